//! The `l2gw` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(l2gw::cli::run(std::env::args_os()))
}
