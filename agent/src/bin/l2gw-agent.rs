//! The `l2gw-agent` command.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// As of `l2gw`: a first frame takes a dozen pieces of memory (docs/benchmarks.md).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    ExitCode::from(agent::program::run(std::env::args_os()))
}
