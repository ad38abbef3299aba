//! A bell that says whether it is worth looking.
//!
//! Who waits for several things looks at each of them whenever woken, whoever did it. Where one of them is much more frequent than the
//! others, such as frames, the others are asked for nothing with each of it. They get a waker of their own here, and are not asked before
//! one of them has called.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Rung by whoever has something, until somebody looks.
#[derive(Debug)]
pub(super) struct Bell {
    has_rung: AtomicBool,
    /// The task that waits.
    whom: Mutex<Option<Waker>>,
}

impl Default for Bell {
    /// Rung, since nobody has looked yet.
    fn default() -> Bell {
        Bell { has_rung: AtomicBool::new(true), whom: Mutex::new(None) }
    }
}

impl Bell {
    /// There may be something without anybody having called.
    pub(super) fn ring(&self) {
        self.has_rung.store(true, Ordering::Release);
    }

    /// Looks, if it has rung since the last look found nothing. What is looked at calls by the context that it is given.
    pub(super) fn poll<T>(
        self: &Arc<Bell>,
        context: &mut Context<'_>,
        look: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.remember(context.waker());
        // Cleared before the look, so that who calls while it goes on is not missed.
        if !self.has_rung.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        let found = look(&mut Context::from_waker(&Waker::from(Arc::clone(self))));
        if found.is_ready() {
            self.ring();
        }
        found
    }

    fn remember(&self, waker: &Waker) {
        let mut whom = self.whom.lock().unwrap_or_else(PoisonError::into_inner);
        if !whom.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *whom = Some(waker.clone());
        }
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Bell>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Bell>) {
        self.ring();
        let whom = self.whom.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(waker) = whom {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::AtomicUsize;

    use tokio::sync::mpsc;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Count>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn nobody_looks_before_it_rings_and_everybody_until_nothing_is_found() {
        let (bell, count) = (Arc::new(Bell::default()), Arc::new(Count::default()));
        let waker = Waker::from(Arc::clone(&count));
        let mut context = Context::from_waker(&waker);
        let (sender, mut receiver) = mpsc::channel(4);
        let mut looks = 0;
        let mut poll = |context: &mut Context<'_>| {
            let found = bell.poll(context, |context| {
                looks += 1;
                receiver.poll_recv(context)
            });
            (found, looks)
        };
        assert_eq!(poll(&mut context), (Poll::Pending, 1), "the first look needs no bell");
        assert_eq!(poll(&mut context), (Poll::Pending, 1));
        (7..9).for_each(|number| sender.try_send(number).unwrap());
        assert_eq!(count.0.load(Ordering::Relaxed), 1, "the task is woken, once");
        assert_eq!(poll(&mut context), (Poll::Ready(Some(7)), 2));
        assert_eq!(poll(&mut context), (Poll::Ready(Some(8)), 3), "there may be more where there was one");
        assert_eq!(poll(&mut context), (Poll::Pending, 4));
        assert_eq!(poll(&mut context), (Poll::Pending, 4));
    }

    #[test]
    fn the_task_that_looked_last_is_woken() {
        let bell = Arc::new(Bell::default());
        let (before, now) = (Arc::new(Count::default()), Arc::new(Count::default()));
        let (sender, mut receiver) = mpsc::channel::<u8>(4);
        for count in [&before, &now] {
            let waker = Waker::from(Arc::clone(count));
            let _ = bell.poll(&mut Context::from_waker(&waker), |context| receiver.poll_recv(context));
        }
        sender.try_send(1).unwrap();
        assert_eq!((before.0.load(Ordering::Relaxed), now.0.load(Ordering::Relaxed)), (0, 1));
    }

    /// Threads call while the task looks: every one is heard.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_call_is_missed() {
        let bell = Arc::new(Bell::default());
        let (sender, mut receiver) = mpsc::channel(8);
        let caller = tokio::spawn(async move {
            for number in 0..20_000 {
                sender.send(number).await.unwrap();
            }
        });
        let mut came = 0;
        while let Some(number) =
            poll_fn(|context| bell.poll(context, |context| receiver.poll_recv(context))).await
        {
            assert_eq!(number, came);
            came += 1;
        }
        assert_eq!(came, 20_000);
        caller.await.unwrap();
    }
}
