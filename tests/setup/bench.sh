#!/usr/bin/env bash
# Fetches what the benchmarks compare with and run on, and says what: `bench.sh kernel` or `bench.sh uml`. Not part of any test.
#
# Debian's kernel image and Open vSwitch are unpacked into the build directory and not installed: installed, one would want to be booted
# and the other would start its daemon. Only QEMU is installed, by apt. Versions are pinned, since the figures depend on them.
set -euo pipefail
cd "$(dirname "$0")/../.."

mode=${1:-kernel}
case $mode in kernel | uml) ;; *)
  echo "bench.sh: unknown mode $mode: allowed are kernel and uml" >&2
  exit 64
  ;;
esac

kernel_release=6.1.0-56-amd64
kernel_version=${L2GW_BENCH_KERNEL:-6.1.192-2}
ovs_version=${L2GW_BENCH_OVS:-3.1.0-2+deb12u1}
qemu_version=${L2GW_BENCH_QEMU:-1:7.2+dfsg-7+deb12u18+b3}
into=${CARGO_TARGET_DIR:-target}/release/bench
mkdir -p "$into"
into=$(cd "$into" && pwd)

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

as_root=()
if [ "$(id -u)" -ne 0 ]; then as_root=(sudo); fi

# pinned PACKAGE VERSION VARIABLE: fails with what there is instead if the mirror has the version no more.
pinned() {
  local has
  has=$(apt-cache madison "$1" | awk '{ print $3 }' | sort -u | tr '\n' ' ')
  case " $has " in *" $2 "*) return 0 ;; esac
  echo "bench.sh: no $1 $2; the configured mirrors have: ${has:-none}. Run apt-get update, or choose one by $3=VERSION; the figures in docs/benchmarks.md are for $2" >&2
  exit 1
}

# unpack DIRECTORY PACKAGE=VERSION...: these and what they need that is not installed here.
unpack() {
  local directory=$1
  shift
  mkdir -p "$scratch/archives/partial"
  if [ "${1#linux-image}" != "$1" ]; then
    (cd "$scratch/archives" && apt-get -qq -o APT::Sandbox::User=root download "$@" </dev/null)
  else
    # Its own lists of locks and archives, so that neither root nor a change of the machine is needed.
    apt-get -qq -y --download-only --no-install-recommends -o Debug::NoLocking=1 -o APT::Sandbox::User=root \
      -o "Dir::Cache::archives=$scratch/archives" install "$@" </dev/null >/dev/null
  fi
  mkdir -p "$scratch/root"
  for package in "$scratch"/archives/*.deb; do dpkg -x "$package" "$scratch/root"; done
  rm -rf "$directory" "$scratch/archives"
  mv "$scratch/root" "$directory"
}

[ -n "$(apt-cache madison openvswitch-switch)" ] || "${as_root[@]}" apt-get update -qq </dev/null

ovs=$into/openvswitch-$ovs_version
if [ ! -e "$ovs/.complete" ]; then
  echo "bench.sh: Debian package openvswitch-switch $ovs_version and the libraries it needs, unpacked into $ovs"
  pinned openvswitch-switch "$ovs_version" L2GW_BENCH_OVS
  if dpkg-query -W -f '${Status}' openvswitch-switch 2>/dev/null | grep -q installed; then
    echo "bench.sh: openvswitch-switch is installed on this machine; its files are used" >&2
    mkdir -p "$ovs/usr"
    cp -a /usr/sbin /usr/share/openvswitch /usr/lib/openvswitch-switch "$ovs/usr/" 2>/dev/null || true
  else
    unpack "$ovs" "openvswitch-switch=$ovs_version" "openvswitch-common=$ovs_version"
  fi
  touch "$ovs/.complete"
fi
ln -sfn "$ovs" "$into/openvswitch"
[ "$mode" = kernel ] || exit 0

if ! command -v qemu-system-x86_64 >/dev/null 2>&1; then
  pinned qemu-system-x86 "$qemu_version" L2GW_BENCH_QEMU
  echo "bench.sh: installs the Debian package qemu-system-x86 $qemu_version"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "qemu-system-x86=$qemu_version" </dev/null >/dev/null
fi

kernel=$into/linux-$kernel_version
if [ ! -e "$kernel/.complete" ]; then
  echo "bench.sh: Debian package linux-image-$kernel_release $kernel_version, unpacked into $kernel"
  pinned "linux-image-$kernel_release" "$kernel_version" L2GW_BENCH_KERNEL
  unpack "$kernel" "linux-image-$kernel_release=$kernel_version"
  # The boot protocol (Documentation/x86/boot.rst): setup_sects at 0x1f1, payload_offset at 0x248, payload_length at 0x24c. QEMU
  # starts the payload, an ELF file, by its PVH note, without BIOS and decompressor.
  image=$kernel/boot/vmlinuz-$kernel_release
  number() { od -An -t "u$2" -j "$1" -N "$2" "$image" | tr -d ' '; }
  start=$((($(number 497 1) + 1) * 512 + $(number 584 4)))
  tail -c "+$((start + 1))" "$image" | head -c "$(number 588 4)" | xz -dcq --single-stream >"$kernel/vmlinux" || true
  [ "$(head -c 4 "$kernel/vmlinux" | tail -c 3)" = ELF ] || {
    echo "bench.sh: $image: its payload is no ELF file compressed by xz; this kernel cannot be used" >&2
    exit 1
  }
  PATH=$PATH:/usr/sbin:/sbin depmod -b "$kernel" "$kernel_release"
  touch "$kernel/.complete"
fi
ln -sfn "$kernel" "$into/linux"
