//! The `l2gw-agent` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(agent::program::run(std::env::args_os()))
}
