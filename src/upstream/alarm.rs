//! A timer that stays with a connection. Setting a timer anew for every answer costs more than most of what
//! a request needs; this one is set when somebody first has to wait, rings early if a later deadline came
//! since, and is then set on. Must never ring late.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use super::{RequestBody, Sent};

/// Wakes whoever waits for a connection when a deadline has passed.
#[derive(Default)]
pub struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    /// Ready once `deadline` has passed; else the task is woken then. Call it after whatever is waited for has
    /// said that it is pending.
    pub fn poll(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
        }
        loop {
            ready!(sleep.as_mut().poll(cx));
            if sleep.deadline() >= deadline {
                return Poll::Ready(());
            }
            // It was set for an earlier wait.
            sleep.as_mut().reset(deadline);
        }
    }
}

/// The wait for the head of an answer. It begins when the request is sent: a body that passes through as it comes puts
/// it off for as long as it moves.
pub(super) struct FirstByte {
    patience: Duration,
    deadline: Instant,
    /// Such a body, and how much of it had gone at the last look.
    passing: Option<(Sent, u64)>,
}

impl FirstByte {
    pub(super) fn new(patience: Duration, body: &RequestBody) -> Self {
        Self {
            patience,
            deadline: Instant::now() + patience,
            passing: body.passing().map(|sent| (sent.clone(), sent.bytes())),
        }
    }

    /// Ready once the wait was too long.
    pub(super) fn poll(&mut self, alarm: &mut Alarm, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(alarm.poll(cx, self.deadline));
            let Some((sent, seen)) = &mut self.passing else {
                return Poll::Ready(());
            };
            if sent.bytes() == *seen {
                return Poll::Ready(());
            }
            *seen = sent.bytes();
            self.deadline = Instant::now() + self.patience;
        }
    }
}
