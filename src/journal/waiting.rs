//! Waiting until a record is as safe as its mode asks for. Must never leave an intent behind that nobody ends.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

use super::book::{Book, Obstacle, Record};
use super::error::Refused;
use super::format::{Flags, Kind, MOST_WINDOWS, WindowId};
use super::open::{OpenEntry, room_for};
use super::settings::{Mode, OnFailure};
use crate::units::NanoUsd;

/// An intent on its way to the file. While the disk is quick it is there at the first look, and nothing is allocated.
/// Whoever drops it takes the intent back: its end says that nothing left.
#[must_use = "nothing may leave before the intent is written"]
pub struct Intent {
    book: Arc<Book>,
    state: State,
    patience: Option<Pin<Box<Sleep>>>,
}

enum State {
    /// There was no room for it yet.
    Outside(Box<Wanted>),
    Queued(OpenEntry, Mode),
    Refused(Refused),
    Over,
}

/// What is to be queued when there is room.
struct Wanted {
    whole: NanoUsd,
    windows: Vec<(WindowId, NanoUsd)>,
    payload: Vec<u8>,
    why: Refused,
}

impl Intent {
    pub(super) fn begin(book: &Arc<Book>, record: Record<'_>) -> Self {
        let windows = record.windows.get(..MOST_WINDOWS);
        let record = Record {
            windows: windows.unwrap_or(record.windows),
            ..record
        };
        let state = match enter(book, record) {
            Ok((open, mode)) => State::Queued(open, mode),
            Err(Obstacle::Refused(why)) => State::Refused(why),
            Err(Obstacle::Moment(why)) => State::Outside(Box::new(Wanted {
                whole: record.whole,
                windows: record.windows.to_vec(),
                payload: record.payload.to_vec(),
                why,
            })),
        };
        Self {
            book: Arc::clone(book),
            state,
            patience: None,
        }
    }

    /// Tries again to queue it; when it is, or never will be, the state says so.
    fn enter_late(&mut self, context: &mut Context<'_>) {
        let State::Outside(wanted) = &mut self.state else {
            return;
        };
        // Registered before the look, so that room made in between wakes.
        self.book.shared.await_room(context.waker());
        let record = Record {
            whole: wanted.whole,
            windows: &wanted.windows,
            payload: &wanted.payload,
        };
        self.state = match enter(&self.book, record) {
            Ok((open, mode)) => State::Queued(open, mode),
            Err(Obstacle::Refused(why)) => State::Refused(why),
            Err(Obstacle::Moment(why)) => {
                wanted.why = why;
                if !self.is_impatient(context) {
                    return;
                }
                State::Refused(why)
            }
        };
    }

    /// Whether it has waited as long as one may.
    fn is_impatient(&mut self, context: &mut Context<'_>) -> bool {
        let span = self.book.shared.settings.patience;
        is_over(&mut self.patience, span, context)
    }

    /// What becomes of an action whose intent is not written.
    fn fail(&mut self, why: Refused) -> Poll<Result<OpenEntry, Refused>> {
        let mut pages = self.book.pages();
        let goes_on = pages.terms().on_failure == OnFailure::Gap && why != Refused::Closed;
        match std::mem::replace(&mut self.state, State::Over) {
            // It is in the queue and will be written when that is possible; the action need not wait for it.
            State::Queued(open, _) if goes_on => Poll::Ready(Ok(open)),
            State::Queued(open, _) => {
                pages.refuse();
                drop(pages);
                open.void();
                Poll::Ready(Err(why))
            }
            State::Outside(_) | State::Refused(_) | State::Over if goes_on => {
                pages.go_unrecorded(self.book.shared.clock.wall());
                drop(pages);
                self.book.shared.miss();
                Poll::Ready(Ok(OpenEntry::unrecorded(&self.book)))
            }
            State::Outside(_) | State::Refused(_) | State::Over => {
                pages.refuse();
                Poll::Ready(Err(why))
            }
        }
    }
}

impl Future for Intent {
    type Output = Result<OpenEntry, Refused>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.enter_late(context);
        let (seq, mode) = match &self.state {
            State::Outside(_) => return Poll::Pending,
            State::Refused(why) => {
                let why = *why;
                return self.fail(why);
            }
            State::Queued(open, mode) => (open.seq, *mode),
            State::Over => return Poll::Ready(Err(Refused::Closed)),
        };
        match look(&self.book, seq, mode, context) {
            Look::Safe => match std::mem::replace(&mut self.state, State::Over) {
                State::Queued(open, _) => Poll::Ready(Ok(open)),
                State::Outside(_) | State::Refused(_) | State::Over => {
                    Poll::Ready(Err(Refused::Closed))
                }
            },
            Look::Failing(why) => self.fail(why),
            Look::Wait if self.is_impatient(context) => {
                self.book.pages().give_up(seq);
                self.fail(Refused::Slow)
            }
            Look::Wait => Poll::Pending,
        }
    }
}

impl Drop for Intent {
    fn drop(&mut self) {
        if let State::Queued(open, _) = std::mem::replace(&mut self.state, State::Over) {
            self.book.pages().give_up(open.seq);
            open.void();
        }
    }
}

/// A record on its way to the file that holds nothing, or that only adds to what is held.
#[must_use = "the record is queued, not written"]
pub struct Written {
    book: Arc<Book>,
    seq: u64,
    mode: Mode,
    patience: Option<Pin<Box<Sleep>>>,
    /// Why it never will be there.
    refused: Option<Refused>,
}

impl Written {
    pub(super) fn new(book: &Arc<Book>, seq: u64, mode: Mode) -> Self {
        Self {
            book: Arc::clone(book),
            seq,
            mode,
            patience: None,
            refused: None,
        }
    }

    /// Of a record that was not taken, so that whoever waits for it must not go on.
    pub(super) fn refused(book: &Arc<Book>, why: Refused) -> Self {
        Self {
            refused: Some(why),
            ..Self::new(book, 0, Mode::Batch)
        }
    }

    /// Its number.
    pub const fn seq(&self) -> u64 {
        self.seq
    }
}

impl Future for Written {
    type Output = Result<(), Refused>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(why) = self.refused {
            return Poll::Ready(Err(why));
        }
        match look(&self.book, self.seq, self.mode, context) {
            Look::Safe => Poll::Ready(Ok(())),
            Look::Failing(why) => Poll::Ready(Err(why)),
            Look::Wait => {
                let span = self.book.shared.settings.patience;
                if is_over(&mut self.patience, span, context) {
                    self.book.pages().give_up(self.seq);
                    return Poll::Ready(Err(Refused::Slow));
                }
                Poll::Pending
            }
        }
    }
}

fn enter(book: &Arc<Book>, record: Record<'_>) -> Result<(OpenEntry, Mode), Obstacle> {
    let mut pages = book.pages();
    let room = room_for(record.windows.len(), pages.terms().payload_bytes);
    let seq = book.enter(&mut pages, Kind::Intent, Flags::default(), 0, record, room)?;
    let (mode, joins) = (pages.terms().mode, pages.join());
    drop(pages);
    let open = OpenEntry::new(book, seq, room, record);
    book.shared.queue(book, joins, mode);
    Ok((open, mode))
}

/// What has become of a record.
enum Look {
    Safe,
    Failing(Refused),
    Wait,
}

fn look(book: &Book, seq: u64, mode: Mode, context: &Context<'_>) -> Look {
    let mut pages = book.pages();
    if pages.is_safe(seq, mode) {
        return Look::Safe;
    }
    if book.shared.stuck() || book.shared.closed() {
        return Look::Failing(book.shared.refusal());
    }
    if mode == Mode::Strict && seq <= pages.unsynced {
        return Look::Failing(Refused::Failing);
    }
    // Under the lock, so that who writes or fails from now on sees it.
    pages.wait(seq, mode, context.waker());
    Look::Wait
}

fn is_over(
    patience: &mut Option<Pin<Box<Sleep>>>,
    span: Duration,
    context: &mut Context<'_>,
) -> bool {
    let sleep = patience.get_or_insert_with(|| Box::pin(sleep(span)));
    sleep.as_mut().poll(context).is_ready()
}
