//! What reached the simulator: the last requests, to be read back at `/sim/requests` and cleared by `DELETE`. Tests
//! see here what a proxy sent upstream: how often, with which headers, and whether the body is the client's to the
//! byte. It must never grow past [`KEPT`] requests of [`BODY_KEPT`] bytes, and requests for it are not in it.
//!
//! Header names are in lower case and in the order of their arrival; repeated ones stand at the first one's place.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::StatusCode;
use http::request::Parts;

use super::body::Mark;
use super::json::{Obj, fnv1a, listed, quoted};

/// How many requests are kept.
const KEPT: usize = 64;
/// The longest body that is kept; of a longer one only its length and hash are.
const BODY_KEPT: usize = 64 * 1024;

#[derive(Debug, Default)]
pub(super) struct Seen {
    log: Mutex<Log>,
}

#[derive(Debug, Default)]
struct Log {
    /// Since the last clearing, those let go included.
    total: u64,
    kept: VecDeque<Entry>,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    head: Parts,
    body_bytes: usize,
    body: Kept,
    status: StatusCode,
    mark: Mark,
}

#[derive(Debug)]
enum Kept {
    Whole(Bytes),
    Hash(u64),
}

impl Seen {
    /// Keeps a request; the mark it returns follows its answer.
    pub(super) fn note(&self, head: Parts, body: &Bytes, status: StatusCode) -> Mark {
        // Copied: a slice of the connection's read buffer would keep all of that buffer.
        let kept = if body.len() <= BODY_KEPT {
            Kept::Whole(Bytes::copy_from_slice(body))
        } else {
            Kept::Hash(fnv1a(body))
        };
        let mark = Mark::default();
        let mut log = self.lock();
        log.total += 1;
        let number = log.total;
        if log.kept.len() == KEPT {
            log.kept.pop_front();
        }
        log.kept.push_back(Entry {
            number,
            head,
            body_bytes: body.len(),
            body: kept,
            status,
            mark: mark.clone(),
        });
        mark
    }

    pub(super) fn clear(&self) {
        *self.lock() = Log::default();
    }

    /// As JSON, the oldest first.
    pub(super) fn list(&self) -> String {
        let log = self.lock();
        let entries: Vec<String> = log.kept.iter().map(Entry::written).collect();
        Obj::new()
            .num("total", log.total)
            .list("requests", &entries)
            .done()
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn written(&self) -> String {
        let headers: Vec<String> = self
            .head
            .headers
            .iter()
            .map(|(name, value)| {
                listed(&[
                    quoted(name.as_str()),
                    quoted(&String::from_utf8_lossy(value.as_bytes())),
                ])
            })
            .collect();
        let (text, hash) = match &self.body {
            Kept::Whole(body) => (std::str::from_utf8(body).ok(), fnv1a(body)),
            Kept::Hash(hash) => (None, *hash),
        };
        let entry = Obj::new()
            .num("number", self.number)
            .str("method", self.head.method.as_str())
            .str("target", &self.head.uri.to_string())
            .str("version", &format!("{:?}", self.head.version))
            .list("headers", &headers)
            .num(
                "body_bytes",
                u64::try_from(self.body_bytes).unwrap_or(u64::MAX),
            )
            .str("body_fnv1a64", &format!("{hash:016x}"));
        // Null when the body was too long to keep or is not UTF-8.
        match text {
            Some(text) => entry.str("body", text),
            None => entry.null("body"),
        }
        .num("status", u64::from(self.status.as_u16()))
        .str("answer", self.mark.word())
        .done()
    }
}
