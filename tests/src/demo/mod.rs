//! `make demo-cluster`: several hosts on one topology, from servers without data to a VM that moves while all of them are dead.
//!
//! `l2gw demo` has one host and needs nothing but the program; this one needs real ZooKeeper servers and the lab's networks.

mod chapters;
mod faults;
mod interrupt;
mod network;
mod script;

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use interrupt::Interrupt;
use network::Network;
use script::{Script, Trouble};

/// Plays the demo and says what came as expected. Exit code 0 if all did.
///
/// What it makes is gone when it returns, also where it is interrupted by SIGINT or SIGTERM.
pub fn demo(out: &mut dyn Write) -> ExitCode {
    let interrupt = match Interrupt::listen() {
        Ok(interrupt) => interrupt,
        Err(error) => {
            eprintln!("demo: cannot listen for signals: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut script = Script::new(out, interrupt.clone());
    // A step of the lab that cannot be done panics, and says why.
    let played = catch_unwind(AssertUnwindSafe(|| play(&mut script)));
    match played {
        Ok(Ok(())) if script.is_all_expected() => return ExitCode::SUCCESS,
        Ok(Ok(())) => {}
        _ if interrupt.is_there() => eprintln!("demo: interrupted; nothing of it is left"),
        Ok(Err(Trouble::Write(error))) => eprintln!("demo: cannot write: {error}"),
        Ok(Err(Trouble::Interrupted)) | Err(_) if script.steps() > 1 => {
            eprintln!("demo: stopped in step {}, by what is said above", script.steps());
        }
        Ok(Err(Trouble::Interrupted)) | Err(_) => eprintln!("{NEEDS}"),
    }
    ExitCode::FAILURE
}

fn play(script: &mut Script<'_>) -> Result<(), Trouble> {
    script.say(network::PICTURE)?;
    script.step("Three ZooKeeper servers, and a database on them")?;
    let mut network = Network::build();
    chapters::found(script, &network)?;
    chapters::start(script, &mut network)?;
    chapters::reach(script, &network)?;
    chapters::keep_apart(script, &network)?;
    chapters::look(script, &network)?;
    faults::lose_a_server(script, &network)?;
    faults::move_with_servers(script, &network)?;
    faults::lose_all_servers(script, &network)?;
    faults::get_servers_back(script, &network)?;
    faults::lose_a_daemon(script, &mut network)?;
    chapters::end(script, &network)
}

const NEEDS: &str = "demo: it needs root, Java, ZooKeeper's libraries, and a kernel with openvswitch.ko, vxlan and VLAN filtering; \
                     `make demo-cluster` installs what is missing, and boots such a kernel where this one is none";
