//! A timer that stays with a connection. Setting a timer anew for every answer costs more than most of what
//! a request needs; this one is set when somebody first has to wait, rings early if a later deadline came
//! since, looks at the clock, and goes on. Must never ring late.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep, sleep};

use crate::units::{Boot, Clock};

/// Wakes whoever waits for a connection when a deadline has passed.
pub struct Alarm {
    sleep: Option<(Pin<Box<Sleep>>, Boot)>,
    clock: Arc<dyn Clock>,
}

impl Alarm {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { sleep: None, clock }
    }

    /// Ready once `deadline` has passed; else the task is woken then. Call it after whatever is waited for has
    /// said that it is pending.
    pub fn poll(&mut self, cx: &mut Context<'_>, deadline: Boot) -> Poll<()> {
        let clock = &self.clock;
        let until = |deadline: Boot| deadline.since(clock.boot());
        let (alarm, rings) = self
            .sleep
            .get_or_insert_with(|| (Box::pin(sleep(until(deadline))), deadline));
        if *rings > deadline {
            let when = Instant::now() + until(deadline);
            alarm.as_mut().reset(when);
            *rings = deadline;
        }
        loop {
            ready!(alarm.as_mut().poll(cx));
            let left = until(deadline);
            if left.is_zero() {
                return Poll::Ready(());
            }
            let when = Instant::now() + left;
            alarm.as_mut().reset(when);
            *rings = deadline;
        }
    }
}
