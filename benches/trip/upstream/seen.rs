//! What the upstream has seen of those who came: by which protocol, and with whose key. It must never count a
//! request as something that its connection was not.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::traffic;
use crate::wires::Http;

/// How a request came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Arrived {
    pub(crate) http: Http,
    pub(crate) tls: bool,
}

/// Counts since the start.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    keyed: AtomicU64,
    handshakes: AtomicU64,
    /// By protocol, without TLS and with it.
    requests: [[AtomicU64; 2]; 2],
}

impl Seen {
    /// Requests so far that carried the upstream's own key, which no client of the bench knows.
    pub(crate) fn keyed(&self) -> u64 {
        self.keyed.load(Ordering::Relaxed)
    }

    /// TLS handshakes so far.
    pub(crate) fn handshakes(&self) -> u64 {
        self.handshakes.load(Ordering::Relaxed)
    }

    /// Requests that came like this.
    pub(crate) fn requests(&self, over: Arrived) -> u64 {
        self.counter(over).load(Ordering::Relaxed)
    }

    pub(super) fn request(&self, over: Arrived, authorization: Option<&[u8]>) {
        let bearer = authorization.and_then(|value| value.strip_prefix(b"Bearer "));
        if bearer == Some(traffic::UPSTREAM_KEY.as_bytes()) {
            self.keyed.fetch_add(1, Ordering::Relaxed);
        }
        self.counter(over).fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn handshake(&self) {
        self.handshakes.fetch_add(1, Ordering::Relaxed);
    }

    fn counter(&self, over: Arrived) -> &AtomicU64 {
        let [one, two] = &self.requests;
        let [clear, sealed] = match over.http {
            Http::One => one,
            Http::Two => two,
        };
        if over.tls { sealed } else { clear }
    }
}
