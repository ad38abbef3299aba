//! What is waited for besides upcalls: the end, the socket, the store, links, and the time.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use datapath::port::LinkEvent;
use tokio::sync::watch;
use tokio::time::{Instant as TokioInstant, Sleep, sleep};

use super::bell::Bell;
use super::{Request, Wiring};
use crate::clock;
use crate::engine::Engine;
use crate::input::Input;

/// What wakes the task, apart from upcalls.
pub(super) struct Waits {
    /// Rings when there is something of it.
    bell: Arc<Bell>,
    /// Ends when the daemon is to stop.
    stop: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Wakes at the earliest moment that was asked for since it rang last.
    alarm: Pin<Box<Sleep>>,
    /// Changes of links on their way in, kept for its memory.
    news: Vec<LinkEvent>,
}

impl Waits {
    pub(super) fn new(mut stop: watch::Receiver<bool>) -> Waits {
        Waits {
            bell: Arc::default(),
            stop: Box::pin(async move {
                // Nobody is there to say so any more: it goes on.
                if stop.wait_for(|is_to_stop| *is_to_stop).await.is_err() {
                    std::future::pending::<()>().await;
                }
            }),
            alarm: Box::pin(sleep(FAR_AWAY)),
            news: Vec::new(),
        }
    }

    /// The alarm wakes at this time at the latest, if there is one. It is set anew only where it would ring too late: to be put into the
    /// runtime's wheel and taken out again costs something with every frame that comes up, and a tick too many does nothing.
    pub(super) fn set_alarm(&mut self, now: TokioInstant, wake_at: Option<TokioInstant>) {
        let wake_at = wake_at.unwrap_or(now + FAR_AWAY);
        if self.alarm.is_elapsed() || wake_at < self.alarm.deadline() {
            self.alarm.as_mut().reset(wake_at);
            self.bell.ring();
        }
    }

    /// The first of it that is there; a channel whose other end is gone has nothing any more.
    pub(super) fn poll(
        &mut self,
        context: &mut Context<'_>,
        engine: &Engine,
        wiring: &mut Wiring,
        inputs: &mut Vec<Input>,
    ) -> Poll<()> {
        let Waits { bell, stop, alarm, news } = self;
        bell.poll(context, |context| {
            if stop.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            if let Poll::Ready(Some(request)) = wiring.requests.poll_recv(context) {
                inputs.extend(answer_request(engine, request));
                return Poll::Ready(());
            }
            if let Poll::Ready(Some(arrived)) = wiring.topology.poll_recv(context) {
                inputs.push(arrived);
                return Poll::Ready(());
            }
            // Many at once: behind each input a few links are attached, which takes the kernel milliseconds, and one that is down must
            // not wait behind the news of all those that were.
            if let Poll::Ready(1..) = wiring.links.poll_recv_many(context, news, LINKS_AT_ONCE) {
                inputs.extend(news.drain(..).map(|event| Input::Link(Box::new(event))));
                return Poll::Ready(());
            }
            let is_time = alarm.as_mut().poll(context);
            inputs.extend(is_time.is_ready().then_some(Input::Tick));
            is_time
        })
    }
}

fn answer_request(engine: &Engine, request: Request) -> Option<Input> {
    match request {
        Request::Look(look) => {
            look(engine, clock::now());
            None
        }
        Request::Command(command) => Some(Input::Operator(command)),
    }
}

/// How long is waited where nothing is due.
const FAR_AWAY: Duration = Duration::from_secs(3600);
/// Changes of links that are taken in together; each takes some microseconds.
const LINKS_AT_ONCE: usize = 256;
