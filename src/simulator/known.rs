//! The last answers, so that a load run of equal requests does not have each one written anew. It must never grow past
//! its bounds, and never hold an answer that depends on more than its [`Key`].

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::header::HeaderValue;

use super::answer::Answer;
use super::route::Route;

/// What an answer depends on: the endpoint, the Anthropic version (it changes which bodies are accepted), the body.
pub(super) type Key = (Route, Option<HeaderValue>, Bytes);

/// Answers written lately, each with its request's model; bounded, and emptied when full.
#[derive(Debug, Default)]
pub(super) struct Known {
    answers: Mutex<HashMap<Key, (String, Answer)>>,
}

impl Known {
    const MOST: usize = 64;
    /// Bodies of requests and answers beyond this are not worth their memory.
    const LONGEST: usize = 64 * 1024;

    pub(super) fn find(&self, key: &Key) -> Option<(String, Answer)> {
        self.answers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(key)
            .cloned()
    }

    pub(super) fn keep(&self, (route, version, body): Key, fresh: &(String, Answer)) {
        if body.len() > Self::LONGEST || fresh.1.weight() > Self::LONGEST {
            return;
        }
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= Self::MOST {
            answers.clear();
        }
        // Copied: a slice of the connection's read buffer would keep all of that buffer.
        answers.insert(
            (route, version, Bytes::copy_from_slice(&body)),
            fresh.clone(),
        );
    }
}
