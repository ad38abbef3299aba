#!/usr/bin/env bash
# Fetches Apache Cassandra and what it needs (tests/setup/cassandra/pom.xml) into the build directory. Tests start real nodes of it; it
# is never committed. Touches nothing of Maven's own: its store is thrown away.
set -euo pipefail
cd "$(dirname "$0")/../.."

version=5.0.8
into=${CARGO_TARGET_DIR:-target}/cassandra-$version
[ ! -e "$into/.complete" ] || exit 0
echo "install: Apache Cassandra $version for tests, some 70 MB, into $into"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
fetch() {
  mvn --quiet --batch-mode --strict-checksums --file tests/setup/cassandra/pom.xml "-Dmaven.repo.local=$scratch/store" \
    dependency:copy-dependencies -DincludeScope=runtime "-DoutputDirectory=$scratch/lib" </dev/null
}
# What came in the first time is not fetched again.
for pause in 5 15 0; do
  ! fetch >"$scratch/said" 2>&1 || break
  cat "$scratch/said" >&2
  [ "$pause" -gt 0 ] || {
    echo "install: Maven could not fetch Apache Cassandra $version; above is why. L2GW_ALLOW_SKIP=1 lets its tests be left out" >&2
    [ "${L2GW_ALLOW_SKIP:-0}" != 1 ] || exit 0
    exit 1
  }
  echo "install: once more in $pause s" >&2
  sleep "$pause"
done
rm -rf "$into"
mkdir -p "$into"
cp -r "$scratch/lib" "$into/"
touch "$into/.complete"
echo "install: $(find "$into/lib" -name '*.jar' | wc -l) files of Apache Cassandra $version"
