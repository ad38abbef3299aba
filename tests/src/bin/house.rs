//! `house [ROOT]`: the size of the code against its budgets. Exits 0 if everything is in order, 1 if not.

use std::path::PathBuf;
use std::process::ExitCode;

use tests::house::House;

fn main() -> ExitCode {
    let root = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("."), PathBuf::from);
    match House::inspect(&root) {
        Ok(house) => {
            println!("{house}");
            if house.is_in_order() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            let cause =
                std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            eprintln!("house: {error}{cause}");
            ExitCode::FAILURE
        }
    }
}
