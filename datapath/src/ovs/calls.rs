//! Which of many sockets have called since they were looked at last, so that only those are looked at.
//!
//! Who waits for many sockets by one waker has to look at each of them whenever one calls. Here each has a waker of its own, which puts
//! it into a queue and wakes the task that waits.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

/// The queue of those that have called.
#[derive(Debug, Default)]
pub(super) struct Calls(Arc<Mutex<Called>>);

#[derive(Debug, Default)]
struct Called {
    /// In the order in which they called, each once.
    queue: VecDeque<u32>,
    /// The task that waits.
    whom: Option<Waker>,
}

/// One that calls, known by a number of its own.
#[derive(Debug)]
pub(super) struct Caller {
    signal: Arc<Signal>,
    waker: Waker,
}

#[derive(Debug)]
struct Signal {
    number: u32,
    is_queued: AtomicBool,
    calls: Arc<Mutex<Called>>,
}

impl Calls {
    /// A caller of this number. It has called, since nobody has looked at it yet.
    pub(super) fn caller(&self, number: u32) -> Caller {
        let calls = Arc::clone(&self.0);
        let signal = Arc::new(Signal { number, is_queued: AtomicBool::new(false), calls });
        let waker = Waker::from(Arc::clone(&signal));
        waker.wake_by_ref();
        Caller { signal, waker }
    }

    /// The number of the one that has waited longest, and how many wait behind it. From now on this task is woken when somebody calls.
    pub(super) fn next(&self, whom: &Waker) -> Option<(u32, usize)> {
        let mut called = lock(&self.0);
        if !called.whom.as_ref().is_some_and(|known| known.will_wake(whom)) {
            called.whom = Some(whom.clone());
        }
        called.queue.pop_front().map(|number| (number, called.queue.len()))
    }
}

impl Caller {
    /// It is about to be looked at; what it is looked at with, by which it calls again. Who calls while the look goes on is not missed.
    pub(super) fn answer(&self) -> &Waker {
        self.signal.is_queued.store(false, Ordering::Release);
        &self.waker
    }

    /// Whether it is to be looked at.
    pub(super) fn has_called(&self) -> bool {
        self.signal.is_queued.load(Ordering::Acquire)
    }

    /// It is to be looked at again, without having called; nobody is woken for that.
    pub(super) fn queue(&self) {
        if !self.signal.is_queued.swap(true, Ordering::AcqRel) {
            lock(&self.signal.calls).queue.push_back(self.signal.number);
        }
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Signal>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Signal>) {
        if self.is_queued.swap(true, Ordering::AcqRel) {
            return;
        }
        let whom = {
            let mut called = lock(&self.calls);
            called.queue.push_back(self.number);
            called.whom.clone()
        };
        if let Some(whom) = whom {
            whom.wake();
        }
    }
}

fn lock(calls: &Mutex<Called>) -> MutexGuard<'_, Called> {
    calls.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Count>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn queued(calls: &Calls) -> Vec<u32> {
        std::iter::from_fn(|| calls.next(Waker::noop())).map(|(number, _)| number).collect()
    }

    #[test]
    fn who_is_new_has_called_and_who_calls_often_is_queued_once() {
        let calls = Calls::default();
        let callers: Vec<Caller> = (1..4).map(|number| calls.caller(number)).collect();
        assert_eq!(calls.next(Waker::noop()), Some((1, 2)));
        callers[0].answer();
        callers[0].queue();
        assert_eq!(queued(&calls), [2, 3, 1]);
        let wakers: Vec<Waker> = callers.iter().map(|caller| caller.answer().clone()).collect();
        assert_eq!(queued(&calls), []);
        wakers[2].wake_by_ref();
        wakers[0].wake_by_ref();
        wakers[2].wake_by_ref();
        assert_eq!(queued(&calls), [3, 1]);
        // It was taken from the queue and is not looked at yet: that look sees what it calls for.
        wakers[0].wake_by_ref();
        assert_eq!(queued(&calls), []);
        callers[0].answer().wake_by_ref();
        assert_eq!(queued(&calls), [1]);
    }

    #[test]
    fn the_task_is_woken_by_a_call_and_not_by_being_queued() {
        let (calls, count) = (Calls::default(), Arc::new(Count::default()));
        let caller = calls.caller(7);
        let task = Waker::from(Arc::clone(&count));
        let waker = caller.answer().clone();
        assert_eq!((calls.next(&task), calls.next(&task)), (Some((7, 0)), None));
        caller.queue();
        assert_eq!((calls.next(&task), count.0.load(Ordering::Relaxed)), (Some((7, 0)), 0));
        caller.answer();
        waker.wake_by_ref();
        waker.wake_by_ref();
        assert_eq!((calls.next(&task), count.0.load(Ordering::Relaxed)), (Some((7, 0)), 1));
    }
}
