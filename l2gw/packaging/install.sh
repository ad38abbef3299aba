#!/usr/bin/env bash
# make install: puts the programs, units, manual pages, completions and examples below $DESTDIR$PREFIX; /usr is the default of PREFIX.
# Release programs that are built already are taken as they are, so that root needs no compiler. Nothing is started.
set -euo pipefail
cd "$(dirname "$0")/../.."
umask 022

prefix=${PREFIX:-/usr}
case $prefix in /*) ;; *)
  echo "install: PREFIX=$prefix: allowed is a path from / on" >&2
  exit 64
  ;;
esac
into=${DESTDIR:-}$prefix
built=${CARGO_TARGET_DIR:-target}/release
doc=$into/share/doc/l2gw
programs=(l2gw l2gw-agent)

for program in "${programs[@]}" l2gw-manual; do
  if [ ! -x "$built/$program" ]; then
    . tests/setup/toolchain.sh
    cargo build --release --locked -p l2gw -p agent --bins
    break
  fi
done

for program in "${programs[@]}"; do
  install -D -m 0755 "$built/$program" "$into/bin/$program"
  install -d "$into/lib/systemd/system"
  # The unit names the program by its whole path.
  sed "s,^ExecStart=/usr/bin/,ExecStart=$prefix/bin/," "docs/operations/$program.service" \
    >"$into/lib/systemd/system/$program.service"
  chmod 0644 "$into/lib/systemd/system/$program.service"
done
install -D -m 0644 l2gw/packaging/sysusers.conf "$into/lib/sysusers.d/l2gw.conf"
"$built/l2gw-manual" "$into/share"

install -d "$doc/examples"
install -m 0644 README.md CHANGELOG.md LICENSE "$doc"
install -m 0644 examples/*.toml docs/operations/stunnel-*.conf "$doc/examples"
install -m 0755 docs/operations/stunnel-certificates.sh docs/operations/libvirt-qemu-hook.sh "$doc/examples"
