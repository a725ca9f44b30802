//! Heads of HTTP/2 that came whole and that the library never asked the service about: it refuses some by itself (what
//! the protocol forbids, too large, one stream too many), and drops what waits when a connection breaks. Told apart by
//! counting, at moments when the library has read all there is. Must never count a request that became a trip.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::h2::STREAMS;
use crate::trip::{Door, HeadFault, refuse_unasked, unheard};
use crate::units::Code;

/// What the socket and the service of one connection have seen. Written and read by its task alone.
#[derive(Default)]
pub(super) struct Heads {
    /// Whole heads that opened a stream.
    came: AtomicU64,
    /// Of these, asked about.
    asked: AtomicU64,
    /// Answers of the library's own.
    answered: AtomicU64,
    /// Resets of streams beyond those that are allowed.
    refused: AtomicU64,
    /// Farewells that were said.
    farewells: AtomicU64,
    /// Whether a write waits: then something may have been read and not looked at.
    blocked: AtomicBool,
    /// Whether a head is under way.
    opening: AtomicBool,
    /// Whether the client has hung up.
    hung_up: AtomicBool,
    /// How often the connection was polled.
    turn: AtomicU64,
}

impl Heads {
    /// So many came whole, and whether another is under way.
    pub(super) fn come(&self, whole: u64, opening: bool) {
        self.came.store(whole, Ordering::Relaxed);
        self.opening.store(opening, Ordering::Relaxed);
    }

    /// The service is asked about one.
    pub(super) fn asks(&self) {
        add(&self.asked);
    }

    /// The library answers one without asking.
    pub(super) fn answers(&self) {
        add(&self.answered);
    }

    /// So many were one too many.
    pub(super) fn refuses(&self, in_all: u64) {
        self.refused.store(in_all, Ordering::Relaxed);
    }

    /// A farewell is said.
    pub(super) fn farewell(&self) {
        add(&self.farewells);
    }

    /// Whether a write has to wait.
    pub(super) fn blocks(&self, blocked: bool) {
        self.blocked.store(blocked, Ordering::Relaxed);
    }

    /// Which poll of the connection this is.
    pub(super) fn turn(&self) -> u64 {
        self.turn.load(Ordering::Relaxed)
    }

    /// The client has hung up.
    pub(super) fn hang_up(&self) {
        self.hung_up.store(true, Ordering::Relaxed);
    }
}

/// One writer: no need to lock the bus.
fn add(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

/// What is recorded of them.
pub(super) struct Unasked {
    heads: Arc<Heads>,
    /// Heads that need no look any more: asked about, or recorded here.
    settled: u64,
    answered: u64,
    refused: u64,
}

/// How the connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closing {
    /// As it should, or because the client is gone.
    Calm,
    /// The client broke the protocol.
    Broken,
}

impl Unasked {
    pub(super) fn new(heads: &Arc<Heads>) -> Self {
        Self {
            heads: Arc::clone(heads),
            settled: 0,
            answered: 0,
            refused: 0,
        }
    }

    /// The connection is polled.
    pub(super) fn begin(&self) {
        add(&self.heads.turn);
    }

    /// The library has nothing more to do now: whatever came and was not asked about never will be.
    #[inline]
    pub(super) fn settle(&mut self, door: &Arc<Door>) {
        let owed = self.owed();
        if owed > 0 && !self.heads.blocked.load(Ordering::Relaxed) {
            self.record(door, owed);
        }
    }

    fn owed(&self) -> u64 {
        let came = self.heads.came.load(Ordering::Relaxed);
        let asked = self.heads.asked.load(Ordering::Relaxed);
        came.saturating_sub(asked + self.settled)
    }

    #[cold]
    fn record(&mut self, door: &Arc<Door>, owed: u64) {
        self.settled += owed;
        if self.heads.farewells.load(Ordering::Relaxed) > 1 {
            // The client was told that these are not looked at, and to take them elsewhere (RFC 9113 §6.8).
            return;
        }
        for _ in 0..owed {
            let fault = self.fault();
            refuse_unasked(door, fault);
        }
    }

    /// Why the next of them was refused.
    fn fault(&mut self) -> HeadFault {
        if self.refused < self.heads.refused.load(Ordering::Relaxed) {
            self.refused += 1;
            return HeadFault {
                code: Code::Overloaded,
                what: "the connection has as many streams as it may have",
            };
        }
        if self.answered < self.heads.answered.load(Ordering::Relaxed) {
            self.answered += 1;
            return HeadFault {
                code: Code::HeadTooLarge,
                what: "the head is far larger than is allowed",
            };
        }
        HeadFault {
            code: Code::HeadMalformed,
            what: "the head breaks the rules of HTTP/2",
        }
    }

    /// The connection has ended.
    pub(super) fn end(mut self, door: &Arc<Door>, closing: Closing) {
        let severed = door.severed();
        let broken = severed.is_some() || closing == Closing::Broken;
        let half = broken && self.heads.opening.load(Ordering::Relaxed);
        // More than can be under way at once is not recorded: what came behind was not looked at.
        let owed = self.owed() + u64::from(half);
        for _ in 0..owed.min(STREAMS.into()) {
            if let Some(code) = severed {
                let what = "the connection was broken off by the sidecar";
                refuse_unasked(door, HeadFault { code, what });
            } else if broken || !self.heads.hung_up.load(Ordering::Relaxed) {
                let fault = self.fault();
                refuse_unasked(door, fault);
            } else {
                unheard(door);
            }
        }
    }
}
