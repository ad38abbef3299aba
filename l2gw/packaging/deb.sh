#!/usr/bin/env bash
# make deb: builds the package l2gw with dpkg-deb, and tries it: what is in it, installed, upgraded, removed and purged below a folder.
# The same programs give the same bytes: times in the package are those of the commit (SOURCE_DATE_EPOCH).
set -euo pipefail
cd "$(dirname "$0")/../.."
umask 022

target=${CARGO_TARGET_DIR:-target}
. tests/setup/toolchain.sh
cargo build --release --locked -p l2gw -p agent --bins
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
root=$scratch/root
control=$root/DEBIAN
DESTDIR=$root PREFIX=/usr l2gw/packaging/install.sh

# 0.2.0-rc.1 comes before 0.2.0: to dpkg that is 0.2.0~rc.1.
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml | sed 's/-/~/')
architecture=$(dpkg --print-architecture)

for program in "$root"/usr/bin/*; do
  strip --strip-unneeded --remove-section=.comment --remove-section=.note "$program"
done
find "$root/usr/share/man" -type f -exec gzip -9n {} +
doc=$root/usr/share/doc/l2gw
rm "$doc/LICENSE"
gzip -9n "$doc/CHANGELOG.md"
mv "$doc/CHANGELOG.md.gz" "$doc/changelog.gz"
cat >"$doc/copyright" <<TEXT
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: l2gw

Files: *
Copyright: the authors of l2gw
License: Apache-2.0
 On Debian systems the text is in /usr/share/common-licenses/Apache-2.0.
TEXT
install -d "$root/etc/l2gw"

# Of the C library, the newest version that any symbol asks for.
libc=$(readelf --wide --dyn-syms "$root"/usr/bin/* | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1)
install -d "$control"
cat >"$control/control" <<TEXT
Package: l2gw
Version: $version
Architecture: $architecture
Maintainer: l2gw maintainers <l2gw@localhost>
Section: net
Priority: optional
Installed-Size: $(du -k -s --apparent-size "$root" | cut -f 1)
Depends: libc6 (>= ${libc#GLIBC_}), libgcc-s1, passwd
Recommends: kmod
Suggests: bash-completion, stunnel4
Description: layer 2 gateway between physical VLANs and virtual machines
 Puts a machine on a switch port and a virtual machine on a tap device into
 one segment, on one host or, with a ZooKeeper ensemble, on many. The
 kernel's openvswitch.ko forwards; no Open vSwitch daemon is needed.
 .
 l2gw runs a gateway and asks it, l2gw-agent runs a host whose topology is
 in its store. Installing this package starts neither.
TEXT
install -m 0755 l2gw/packaging/deb/{postinst,prerm,postrm} "$control"
(cd "$root" && find etc usr -type f -print0 | sort -z | xargs -0 md5sum) >"$control/md5sums"
find "$root" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +

package=$target/l2gw_${version}_${architecture}.deb
dpkg-deb --root-owner-group -Zxz --build "$root" "$package" >/dev/null
l2gw/packaging/try-deb.sh "$package"
echo "deb: $package"
