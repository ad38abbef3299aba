# make demo and make test set themselves up on a bare Debian 12 machine; see tests/setup/install.sh for what they install.
.PHONY: build check test demo fmt clean install

install:
	@tests/setup/install.sh

build: install
	cargo build --locked --workspace

check:
	@tests/setup/run-tests.sh check

test: install
	@tests/setup/run-tests.sh all

fmt:
	cargo fmt --all

clean:
	cargo clean
