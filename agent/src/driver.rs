//! The thread that the engine and its datapath have to themselves.
//!
//! On a runtime of several threads, one of them waits for all sockets: each frame that comes up, and each answer of the kernel, wakes
//! that one, which wakes the one that works. Here the thread that works also waits, and so looks for what is new only when it has
//! nothing else to do (docs/benchmarks.md has the difference).
//!
//! ```text
//!   start ──► opened? ──► runtime runs ──► addresses ──► finish: tear down? ──► end
//! ```

use std::panic::resume_unwind;
use std::thread::JoinHandle;

use datapath::{FlowTable, Refusal};
use tokio::sync::oneshot;

use crate::engine::Engine;
use crate::input::SavedAddress;
use crate::runtime::{Opener, Runtime, Wiring};

/// What the runtime left, or why it could not go on.
type Ended = Result<Vec<SavedAddress>, Refusal>;

/// A runtime in a thread of its own.
pub(crate) struct Driver {
    ended: oneshot::Receiver<Ended>,
    rest: Rest,
}

/// A runtime that has ended, and still holds its datapath.
pub(crate) struct Rest {
    thread: JoinHandle<Result<(), Refusal>>,
    is_to_go: oneshot::Sender<bool>,
}

/// Why there is none.
#[derive(Debug)]
pub(crate) enum NoDriver {
    /// No thread is to be had.
    Thread(std::io::Error),
    /// The datapath cannot be opened.
    Datapath(Refusal),
}

impl Driver {
    /// Opens the datapath in a new thread, in the network namespace of this one, and lets the runtime run there.
    ///
    /// # Errors
    /// There is no thread to be had, or the datapath cannot be opened.
    pub(crate) async fn start<D: FlowTable + 'static>(
        engine: Engine,
        opener: impl Opener<D> + 'static,
        wiring: Wiring,
        saved: Vec<SavedAddress>,
    ) -> Result<Driver, NoDriver> {
        let (opened, is_open) = oneshot::channel();
        let (tell, ended) = oneshot::channel();
        let (is_to_go, word) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(NoDriver::Thread)?;
        let work = async move {
            let runtime = match Runtime::new(engine, opener, wiring).await {
                Ok(runtime) => runtime,
                Err(refusal) => return pass(opened.send(Err(refusal))),
            };
            let _ = opened.send(Ok(()));
            let (datapath, addresses) = match runtime.run(saved).await {
                Ok(left) => left,
                Err(refusal) => return pass(tell.send(Err(refusal))),
            };
            let _ = tell.send(Ok(addresses));
            // Nobody is there to say so: it stays.
            if word.await == Ok(true) { datapath.teardown().await } else { Ok(()) }
        };
        let thread = std::thread::Builder::new().name("engine".to_owned());
        let thread = thread.spawn(move || runtime.block_on(work)).map_err(NoDriver::Thread)?;
        let rest = Rest { thread, is_to_go };
        match is_open.await {
            Ok(opened) => opened.map(|()| Driver { ended, rest }).map_err(NoDriver::Datapath),
            Err(_) => rest.break_off(),
        }
    }

    /// Waits until it has been told to stop, by its wiring, or cannot go on.
    ///
    /// # Panics
    /// The runtime panicked.
    pub(crate) async fn ended(self) -> (Ended, Rest) {
        match self.ended.await {
            Ok(ended) => (ended, self.rest),
            Err(_) => self.rest.break_off(),
        }
    }
}

impl Rest {
    /// Removes the datapath, or lets it go on forwarding.
    ///
    /// # Errors
    /// It cannot be removed.
    ///
    /// # Panics
    /// The thread panicked.
    pub(crate) fn finish(self, is_to_go: bool) -> Result<(), Refusal> {
        let _ = self.is_to_go.send(is_to_go);
        self.thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// The thread went without a word, so it panicked, and its panic goes on here.
    fn break_off(self) -> ! {
        match self.thread.join() {
            Err(panic) => resume_unwind(panic),
            Ok(outcome) => panic!("the engine's thread ended without a word: {outcome:?}"),
        }
    }
}

/// Whoever waited for it may be gone.
fn pass<T>(_sent: Result<(), T>) -> Result<(), Refusal> {
    Ok(())
}
