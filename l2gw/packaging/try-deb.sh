#!/usr/bin/env bash
# try-deb.sh PACKAGE: what is in a package, and what becomes of a system on which it is installed twice, removed and purged. That system is
# a folder; nothing of this machine is touched.
set -euo pipefail

fail() {
  echo "try-deb: $*" >&2
  exit 1
}

package=$(realpath "$1")
# dpkg gives files to root.
if [ "$(id -u)" -ne 0 ]; then
  command -v fakeroot >/dev/null 2>&1 || fail "a plain user needs fakeroot for it"
  exec fakeroot "$0" "$package"
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
system=$scratch/system

contents=$(dpkg-deb --contents "$package")
for file in usr/bin/l2gw usr/bin/l2gw-agent usr/lib/systemd/system/l2gw.service usr/lib/systemd/system/l2gw-agent.service \
  usr/lib/sysusers.d/l2gw.conf usr/share/man/man1/l2gw.1.gz usr/share/man/man1/l2gw-apply.1.gz \
  usr/share/man/man8/l2gw-agent.8.gz usr/share/bash-completion/completions/l2gw \
  usr/share/doc/l2gw/examples/gateway.example.toml usr/share/doc/l2gw/examples/libvirt-qemu-hook.sh \
  usr/share/doc/l2gw/copyright usr/share/doc/l2gw/changelog.gz etc/l2gw/; do
  grep -q " \./$file\$" <<<"$contents" || fail "$file is not in it"
done
awk '$2 != "root/root"' <<<"$contents" | grep . && fail "the lines above belong to somebody else than root"
awk '$1 ~ /^.....w|^........w|[sStT]/' <<<"$contents" | grep . && fail "the lines above are writable by others, or set a user"

for field in Package Version Architecture Depends Recommends; do
  [ -n "$(dpkg-deb --field "$package" "$field")" ] || fail "it has no field $field"
done

# Runs dpkg on the folder, as a user who may be anybody: the package's scripts are told of the folder by DPKG_ROOT.
on_system() { # on_system DPKG-ARGUMENT...
  PATH=$PATH:/usr/sbin:/sbin dpkg --root="$system" --force-not-root --force-script-chrootless --force-depends \
    --log="$scratch/log" "$@" >"$scratch/out" 2>&1 || {
    cat "$scratch/out" >&2
    fail "dpkg $1 failed"
  }
}

mkdir -p "$system"/var/lib/dpkg/{info,updates,triggers} "$system/etc" "$system/usr"
touch "$system"/var/lib/dpkg/{status,available} "$system"/etc/{passwd,group}
on_system --install "$package"
on_system --install "$package"
[ "$(grep -c '^l2gw:' "$system/etc/passwd")" = 1 ] || fail "it is installed, and the user is not there once"
[ "$(grep -c '^l2gw:' "$system/etc/group")" = 1 ] || fail "it is installed, and the group is not there once"
enabled=$(find "$system/etc/systemd" -name 'l2gw*' 2>/dev/null || true)
[ -z "$enabled" ] || fail "it enables what nobody asked for: $enabled"
(cd "$system" && md5sum --quiet --check var/lib/dpkg/info/l2gw.md5sums) || fail "its sums are not those of its files"
version=$(dpkg-deb --field "$package" Version)
for program in l2gw l2gw-agent; do
  said=$("$system/usr/bin/$program" --version)
  [ "$said" = "$program ${version/\~/-}" ] || fail "$program says it is $said, the package is $version"
done
"$system/usr/bin/l2gw" check "$system/usr/share/doc/l2gw/examples/gateway.example.toml" >/dev/null ||
  fail "the example is not right"

mkdir -p "$system/var/lib/l2gw"
touch "$system/var/lib/l2gw/state.redb" "$system/etc/l2gw/gateway.toml"
on_system --remove l2gw
[ ! -e "$system/usr/bin/l2gw" ] || fail "it is removed, and its program is there"
[ -e "$system/var/lib/l2gw/state.redb" ] || fail "it is removed, and its state went with it"
on_system --purge l2gw
on_system --install "$package"
on_system --purge l2gw
[ ! -e "$system/var/lib/l2gw" ] || fail "it is purged, and its state is there"
[ -e "$system/etc/l2gw/gateway.toml" ] || fail "it is purged, and a file went that the operator wrote"

# The programs that the units name are not on this machine, or are others.
if command -v systemd-analyze >/dev/null 2>&1; then
  dpkg-deb --extract "$package" "$scratch/unpacked"
  said=$(systemd-analyze verify "$scratch"/unpacked/usr/lib/systemd/system/*.service 2>&1 | grep -v 'is not executable' || true)
  [ -z "$said" ] || fail "systemd-analyze verify: $said"
fi
if command -v lintian >/dev/null 2>&1; then
  lintian --fail-on error "$package" || fail "lintian finds errors"
fi
echo "try-deb: $(wc -l <<<"$contents") files and folders, installed, upgraded, removed and purged"
