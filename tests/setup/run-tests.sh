#!/usr/bin/env bash
# Runs the stages of `make check` or `make test` and prints what each took. Any failing stage ends the run.
set -euo pipefail
cd "$(dirname "$0")/../.."

names=()
seconds=()
stage() { # stage NAME COMMAND...
  local name=$1 start=$SECONDS
  shift
  echo "== $name: $*"
  if ! "$@"; then
    echo "== $name: FAILED after $((SECONDS - start)) s" >&2
    exit 1
  fi
  names+=("$name")
  seconds+=($((SECONDS - start)))
}

stage format cargo fmt --all --check
stage build cargo build --locked --workspace --all-targets
stage clippy cargo clippy --locked --workspace --all-targets -- -D warnings
if [ "${1:-all}" = check ]; then
  stage pure cargo test --locked -p vlan -p l2gw
else
  stage tests cargo test --locked --workspace
fi

echo
echo "stage        seconds"
for i in "${!names[@]}"; do
  printf '%-12s %7d\n' "${names[$i]}" "${seconds[$i]}"
done
