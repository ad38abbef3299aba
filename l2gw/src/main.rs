//! The `l2gw` command.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A first frame takes a dozen pieces of memory; docs/benchmarks.md says what this saves.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    ExitCode::from(l2gw::cli::run(std::env::args_os()))
}
