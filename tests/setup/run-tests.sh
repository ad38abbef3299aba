#!/usr/bin/env bash
# Runs the stages of `make build`, `make check`, `make test` or `make test-slow` and says what each took. A stage that fails does
# not keep the others from running, unless nothing can be built; the last line is the sum. For `make demo` and `make demo-cluster`
# it builds their programs. `run-tests.sh targets` says which test target `make test` runs, and which `make test-slow`: each in one
# of them, once.
set -euo pipefail
cd "$(dirname "$0")/../.."

mode=${1:-test}
case $mode in build | check | test | test-slow | demo | demo-cluster | targets) ;; *)
  echo "run-tests.sh: unknown mode $mode: allowed are build, check, test, test-slow, demo, demo-cluster and targets" >&2
  exit 64
  ;;
esac

# Targets of tests that take over 20 s on two cores; `make test` leaves them to `make test-slow`.
slow=" cassandra cluster conformance ensemble kernel_slow simulation_slow "

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
log=$scratch/log
# Each test that cannot run on this machine adds a line.
export L2GW_SKIPS=$scratch/skips
: >"$log"
: >"$L2GW_SKIPS"

rows=()
failed=()
stage() { # stage NAME COMMAND...
  local name=$1 start=$SECONDS outcome=ok
  shift
  echo "== $name: $*"
  "$@" </dev/null 2>&1 | tee -a "$log" || outcome=FAILED
  [ "$outcome" = ok ] || failed+=("$name")
  rows+=("$(printf '%-12s %7d  %s' "$name" $((SECONDS - start)) "$outcome")")
}

finish() {
  local passed broken ignored skipped
  passed=$(sum passed)
  broken=$(sum failed)
  ignored=$(sum ignored)
  skipped=$(sort -u "$L2GW_SKIPS" | wc -l)
  echo
  echo "stage        seconds"
  printf '%s\n' "${rows[@]}"
  [ "${#failed[@]}" -eq 0 ] || [ -z "${seeds:-}" ] || echo "the same cases again: $seeds make $mode"
  echo "make $mode: $passed passed, $broken failed, $skipped skipped, $ignored ignored, $SECONDS s${failed[*]:+; failed: ${failed[*]}}"
  [ "${#failed[@]}" -eq 0 ] || exit 1
  exit 0
}

sum() { # sum WORD: adds up "N WORD" over the result lines of all test binaries
  sed -n "s/^test result: .* \([0-9][0-9]*\) $1;.*/\1/p" "$log" | awk '{ n += $1 } END { print n + 0 }'
}

# Which of `make test` and `make test-slow` runs a test target.
speed_of() { # speed_of NAME
  case $slow in *" $1 "*) echo test-slow ;; *) echo test ;; esac
}

# The test targets of a stage, as arguments of cargo: which stage a folder of */tests/ belongs to shows in its name. `make check`
# has those of `make test`.
targets() { # targets STAGE [CRATE...]
  local wanted=$1 file name stage_of speed=$mode
  [ "$speed" != check ] || speed=test
  shift
  [ $# -gt 0 ] || set -- * tests/servers
  for crate in "$@"; do
    for file in "$crate"/tests/*/main.rs; do
      [ -e "$file" ] || continue
      name=$(basename "$(dirname "$file")")
      case $name in
        cassandra* | cluster* | conformance* | ensemble*) stage_of=conformance ;;
        golden*) stage_of=golden ;;
        simulation* | faults*) stage_of=simulation ;;
        kernel*) stage_of=kernel ;;
        *) stage_of=unit ;;
      esac
      [ "$stage_of $(speed_of "$name")" != "$wanted $speed" ] || echo "--test $name"
    done
  done | sort -u
}

# Always the whole workspace, narrowed by target: a narrower package selection means other features and a second build.
run_targets() { # run_targets STAGE THREADS
  local which
  which=$(targets "$1")
  # shellcheck disable=SC2086
  [ -z "$which" ] || stage "$1" "${cargo_test[@]}" $which -- --test-threads "$2"
}

if [ "$mode" = targets ]; then
  for mode in test test-slow; do
    for stage_name in unit conformance golden simulation kernel; do
      targets "$stage_name" | sed "s/^--test/$mode/"
    done
  done
  exit 0
fi
. tests/setup/toolchain.sh

# With L2GW_SEEDS=commit, as .ci/run has it, random cases begin where the commit says, and whoever has it repeats them; given seeds win.
# Without it they are the cases of every run.
if [ "${L2GW_SEEDS:-}" = commit ] && commit=$(git rev-parse --verify --quiet HEAD 2>/dev/null); then
  seed=$((16#${commit:0:12}))
  export L2GW_SEED=${L2GW_SEED:-$seed} NSDB_SEED=${NSDB_SEED:-$seed} PROPTEST_RNG_SEED=${PROPTEST_RNG_SEED:-$seed}
  seeds="L2GW_SEED=$L2GW_SEED NSDB_SEED=$NSDB_SEED PROPTEST_RNG_SEED=$PROPTEST_RNG_SEED"
fi

# What `make demo` and `make demo-cluster` run. Also of the whole workspace: nearly all of it is then built for the tests as well.
demo_programs=(--bin l2gw --bin lab-run --bin lab-init)
[ "$mode" = demo ] || demo_programs+=(--bin l2gw-agent --bin demo-cluster)
cargo_test=(cargo test --locked --offline --workspace --no-fail-fast)
# Two at least: a test that waits for a kernel or a server leaves its CPU to another.
threads=$(nproc)
[ "$threads" -ge 2 ] || threads=2

case $mode in demo | demo-cluster)
  names=${demo_programs[*]#--bin}
  echo "demo: build${names//  /, }; the first time that is some 150 crates"
  stage build cargo build --locked --workspace "${demo_programs[@]}"
  [ "${#failed[@]}" -eq 0 ] || finish
  echo "demo: a kernel with openvswitch.ko: the running one, or a test kernel that boots in a second"
  echo "demo: the network, and what is tried on it"
  exit 0
  ;;
esac
case $mode in check | test) stage fmt cargo fmt --all --check ;; esac
stage build cargo build --locked --workspace --all-targets
case " ${failed[*]} " in *" build "*) finish ;; esac
[ "$mode" != build ] || finish
[ -z "${seeds:-}" ] || echo "== seeds: $seeds"
[ "$mode" = test-slow ] || stage clippy cargo clippy --locked --offline --workspace --all-targets -- -D warnings

if [ "$mode" = check ]; then
  # Daemons and servers start and end all the time in one of them, which is a minute and a half.
  pure=$(targets unit vlan agent l2gw | grep -vx -- "--test daemon")
  # shellcheck disable=SC2086
  stage pure "${cargo_test[@]}" --lib --bins $pure --test house -- --test-threads "$threads"
  finish
fi

if [ "$mode" = test ]; then
  # shellcheck disable=SC2046
  stage unit "${cargo_test[@]}" --lib --bins $(targets unit) -- --test-threads "$threads"
  stage doc "${cargo_test[@]}" --doc
  stage rustdoc env RUSTDOCFLAGS="-D warnings" cargo doc --locked --offline --workspace --no-deps
else
  run_targets unit "$threads"
fi
run_targets conformance "$threads"
run_targets golden "$threads"
run_targets simulation "$threads"
# Most of these wait for the boot that they share; how many kernels run at once, the lab decides.
run_targets kernel 16
if [ -s "$L2GW_SKIPS" ]; then
  sort -u "$L2GW_SKIPS" | sed 's/^/skipped: /'
  [ "${L2GW_ALLOW_SKIP:-0}" = 1 ] || failed+=("skipped tests; L2GW_ALLOW_SKIP=1 allows them")
fi
finish
