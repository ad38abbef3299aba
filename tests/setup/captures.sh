#!/usr/bin/env bash
# Fetches the captures of tcpdump's own test suite (Debian source package) into the build directory. They are used at test time and
# never committed. Touches no apt setting of the machine: lists and sources are its own, made from the machine's.
set -euo pipefail
cd "$(dirname "$0")/../.."

version=4.99.3-1
into=${CARGO_TARGET_DIR:-target}/captures
[ ! -e "$into/.complete-$version" ] || exit 0
echo "install: captures of the Debian source package tcpdump $version, into $into"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
chmod 755 "$scratch"
mkdir -p "$scratch/parts" "$scratch/lists/partial" "$scratch/unpacked" "$into"
sed 's/^Types: .*/Types: deb-src/' /etc/apt/sources.list.d/*.sources >"$scratch/parts/own.sources" 2>/dev/null || true
cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | sed -n 's/^deb /deb-src /p' >"$scratch/parts/own.list" || true

own=(-o "Dir::Etc::sourcelist=/dev/null" -o "Dir::Etc::sourceparts=$scratch/parts" -o "Dir::State::lists=$scratch/lists" -o APT::Sandbox::User=root)
apt-get "${own[@]}" update -qq </dev/null
(cd "$scratch" && apt-get "${own[@]}" source -qq --download-only "tcpdump=$version" </dev/null >/dev/null)
tar -xf "$(find "$scratch" -name "tcpdump_*.orig.tar.?z")" -C "$scratch/unpacked"
find "$scratch/unpacked" -path '*/tests/*.pcap' -exec cp {} "$into/" \;
touch "$into/.complete-$version"
echo "install: $(find "$into" -name '*.pcap' | wc -l) captures"
