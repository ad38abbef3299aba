#!/usr/bin/env bash
# Runs one fuzz target: fuzz.sh TARGET SECONDS. Needs a nightly compiler; installs cargo-fuzz into the build directory. CI does not run
# this: tests/tests/faults/fuzz.rs gives the same entries other bytes.
set -euo pipefail
cd "$(dirname "$0")/../.."

cargo_fuzz=0.13.2
targets=$(sed -n 's/^name = "\(.*\)"/\1/p' tests/fuzz/Cargo.toml | grep -v '^fuzz$' | sort | paste -sd' ')
target=${1:-}
seconds=${2:-}
case " $targets " in
  *" ${target:-none} "*) ;;
  *)
    echo "fuzz: TARGET=$target is no target; allowed are: $targets" >&2
    exit 64
    ;;
esac
case $seconds in
  '' | *[!0-9]* | 0)
    echo "fuzz: SECONDS=$seconds is no number of seconds; allowed is a whole number from 1, such as 1800" >&2
    exit 64
    ;;
esac

nightly=$(rustup toolchain list 2>/dev/null | awk '{ print $1 }' | grep '^nightly' | head -n 1 || true)
if [ -z "$nightly" ]; then
  echo "fuzz: no nightly compiler, which libFuzzer's instrumentation needs; \`rustup toolchain install nightly\` installs one" >&2
  echo "fuzz: without one, L2GW_CASES=1000000 cargo test -p tests --test faults fuzz::${target}_any gives the same entry random bytes" >&2
  exit 69
fi

build=$(readlink -m "${CARGO_TARGET_DIR:-target}")
tools=$build/fuzz-tools
if [ ! -x "$tools/bin/cargo-fuzz" ]; then
  echo "install: cargo-fuzz $cargo_fuzz, into $tools"
  RUSTUP_TOOLCHAIN=$nightly cargo install --quiet --locked --version "$cargo_fuzz" --root "$tools" cargo-fuzz
fi

# What the stories, captures, examples and recorded runs hold, and what was found before. What a run finds to be new is kept beside it.
corpus=$build/fuzz-corpus/$target
found=$build/fuzz-found/$target
mkdir -p "$corpus" "$found"
(
  . tests/setup/toolchain.sh
  L2GW_FUZZ_SEEDS=$build/fuzz-corpus cargo test --quiet --locked --workspace --test faults -- --exact fuzz::every_target_takes_its_seeds
) </dev/null
[ ! -d "tests/fuzz/rows/$target" ] || cp "tests/fuzz/rows/$target"/* "$corpus"

case $target in
  toml | documents) longest=16384 ;;
  netlink) longest=4096 ;;
  *) longest=2048 ;;
esac
# No sanitizer: our crates have no unsafe code that bytes reach, and without one it is twice as fast.
export RUSTUP_TOOLCHAIN=$nightly
run=("$tools/bin/cargo-fuzz" fuzz run --fuzz-dir tests/fuzz --sanitizer none --target-dir "$build/fuzz" "$target" "$corpus" --)
run+=("-artifact_prefix=$found/" "-max_total_time=$seconds" "-max_len=$longest" -timeout=60 -rss_limit_mb=3000 -print_final_stats=1)
status=0
nice -n 10 "${run[@]}" || status=$?
[ "$status" -eq 0 ] || echo "fuzz: what was found is in $found; put it into tests/fuzz/rows/$target under a name that says what it is" >&2
exit "$status"
