# make demo, make demo-cluster and make test set themselves up on a bare Debian 12 machine; see tests/setup/install.sh for what they install.
# make install and make deb install the gateway; l2gw/packaging/ has what they do.
.PHONY: setup install deb build check test test-slow test-smp demo demo-cluster house bench-kernel bench-uml bench-scale bench-feed bench-agents fuzz fmt clean

setup:
	@tests/setup/install.sh

# Programs, units, manual pages, completions and examples below $(DESTDIR)$(PREFIX), which is /usr. Built first if they are not.
install:
	@l2gw/packaging/install.sh

# The same as a Debian package, which is tried before it is said to be there.
deb: setup
	@l2gw/packaging/deb.sh

build: setup
	@tests/setup/run-tests.sh build

# Format, clippy, arrows, size and pure tests: under three minutes after a build.
check: setup
	@tests/setup/run-tests.sh check

# Every test but the slow ones. A test that cannot run on this machine fails it, unless L2GW_ALLOW_SKIP=1.
test: setup
	@tests/setup/captures.sh
	@tests/setup/cassandra.sh
	@tests/setup/run-tests.sh test

# The test targets that take over 20 s. With `make test` that is every test, once.
test-slow: setup
	@tests/setup/cassandra.sh
	@tests/setup/run-tests.sh test-slow

# The gateway, and what boots a test kernel for it where that is needed: no test is built.
demo: setup
	@tests/setup/run-tests.sh demo
	@"$${CARGO_TARGET_DIR:-target}"/debug/lab-run "$${CARGO_TARGET_DIR:-target}"/debug/l2gw demo

# Five hosts on three ZooKeeper servers: a minute after the build.
demo-cluster: setup
	@tests/setup/run-tests.sh demo-cluster
	@LAB_MEM="$${LAB_MEM:-768M}" "$${CARGO_TARGET_DIR:-target}"/debug/lab-run --limit 300 "$${CARGO_TARGET_DIR:-target}"/debug/demo-cluster

# The size of the code against its budgets; CONTRIBUTING.md has them.
house:
	@. tests/setup/toolchain.sh; cargo run --locked --quiet -p tests --bin house

# What is measured, by release builds and not by any test: docs/benchmarks.md. In instructions, with verdict and exit code …
bench-kernel: setup
	@tests/setup/bench.sh kernel
	@. tests/setup/toolchain.sh; cargo build --release --locked -p l2gw -p tests --bins
	@"$${CARGO_TARGET_DIR:-target}"/release/bench-kernel

# … and in time and memory, which the machine's other work disturbs.
bench-uml: setup
	@tests/setup/bench.sh uml
	@. tests/setup/toolchain.sh; cargo build --release --locked -p l2gw -p tests --bins
	@"$${CARGO_TARGET_DIR:-target}"/release/bench-uml

# How cost grows with size, with verdict and exit code. It takes half an hour, and is best alone on the machine.
bench-scale: setup
	@. tests/setup/toolchain.sh; cargo build --release --locked --workspace --bins
	@"$${CARGO_TARGET_DIR:-target}"/release/bench-scale

# How long it takes until another host knows of an address, through a real ensemble: two minutes after the build.
bench-feed: setup
	@. tests/setup/toolchain.sh; cargo build --release --locked -p tests --bin bench-feed
	@"$${CARGO_TARGET_DIR:-target}"/release/bench-feed

# What 250 and 1 000 hosts cost a real ensemble, and how long news takes to all of them: ten minutes after the build.
bench-agents: setup
	@. tests/setup/toolchain.sh; cargo build --release --locked -p tests -p agent --bin bench-agents --bin l2gw-agent
	@"$${CARGO_TARGET_DIR:-target}"/release/bench-agents

# What only two CPUs show, under QEMU, against ovs-vswitchd: some minutes after the build. It needs what bench-kernel needs.
test-smp: setup
	@tests/setup/bench.sh kernel
	@. tests/setup/toolchain.sh; cargo build --release --locked --workspace --bins
	@"$${CARGO_TARGET_DIR:-target}"/release/bench-smp

# One target for a while: make fuzz TARGET=frames SECONDS=1800. Needs a nightly compiler; docs/fuzzing.md tells the targets.
fuzz: setup
	@tests/setup/fuzz.sh "$(TARGET)" "$(or $(SECONDS),60)"

fmt:
	@. tests/setup/toolchain.sh; cargo fmt --all

clean:
	@. tests/setup/toolchain.sh; cargo clean

# The scripts are bash.
SHELL := /bin/bash

# Given to make or to its environment, they come to the scripts.
export DESTDIR PREFIX
