//! Whether the demo is to end: who stops it by Ctrl-C or SIGTERM finds nothing of it afterwards.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};

/// A wish that everything ends, once it is there.
#[derive(Debug, Clone, Default)]
pub(super) struct Interrupt {
    is_there: Arc<AtomicBool>,
}

impl Interrupt {
    /// Listens for SIGINT and SIGTERM from now on. The second of them ends the process at once, whatever is left.
    ///
    /// # Errors
    /// The kernel refuses.
    pub(super) fn listen() -> io::Result<Interrupt> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (mut int, mut term) = runtime.block_on(async {
            Ok::<_, io::Error>((signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?))
        })?;
        let interrupt = Interrupt::default();
        let wish = interrupt.clone();
        std::thread::spawn(move || {
            runtime.block_on(async {
                for _ in 0..2 {
                    tokio::select! {
                        _ = int.recv() => {}
                        _ = term.recv() => {}
                    }
                    if wish.is_there.swap(true, Ordering::Relaxed) {
                        std::process::exit(1);
                    }
                }
            });
        });
        Ok(interrupt)
    }

    /// Whether it is there.
    pub(super) fn is_there(&self) -> bool {
        self.is_there.load(Ordering::Relaxed)
    }
}
