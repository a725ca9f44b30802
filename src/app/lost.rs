//! What is known of a loss: that the record of what was spent is not whole, since when, and why. It is kept in the state
//! directory until an operator has acknowledged it, so that a second start does not take for whole what the first one found
//! in pieces. Must never be cleared by anything else.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::host::durable::write_durable;
use crate::host::files::read_capped;
use crate::host::{self};
use crate::snapshot::Accounts;
use crate::trip::Recorder;
use crate::units::Wall;

const FILE: &str = "journal-lost.json";
const MOST_BYTES: u64 = 1 << 16;

/// What was lost and nobody has acknowledged.
pub struct Lost {
    place: PathBuf,
    accounts: Arc<Accounts>,
    loss: Mutex<Option<Loss>>,
}

/// One loss.
#[derive(Clone, Debug)]
pub(super) struct Loss {
    /// When it was found.
    pub(super) since: Wall,
    /// What is lost, for people.
    pub(super) why: Vec<String>,
    /// Whether older files stood in the place of newer ones.
    pub(super) rolled_back: bool,
}

impl Lost {
    /// Where there is no record, nothing of it can be lost.
    pub(super) fn nothing(accounts: &Arc<Accounts>) -> Self {
        Self {
            place: PathBuf::new(),
            accounts: Arc::clone(accounts),
            loss: Mutex::default(),
        }
    }

    /// What an earlier start has found.
    pub(super) fn read(state: &Path, accounts: &Arc<Accounts>) -> Self {
        let place = state.join(FILE);
        let loss = read_capped(&place, MOST_BYTES).ok();
        Self {
            loss: Mutex::new(loss.map(|bytes| Loss::of(&bytes))),
            accounts: Arc::clone(accounts),
            place,
        }
    }

    /// Adds what this start has found, and tells the budgets.
    ///
    /// # Errors
    /// It cannot be written down.
    pub(super) fn found(&self, new: Option<Loss>) -> Result<(), host::Error> {
        let mut loss = self.loss.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(new) = new {
            let both = match loss.take() {
                None => new,
                Some(old) => old.and(new),
            };
            write_durable(&self.place, both.document().to_string().as_bytes())?;
            *loss = Some(both);
        }
        self.accounts.lose(loss.as_ref().map(|loss| loss.since));
        Ok(())
    }

    /// Whether anything is.
    pub(super) fn is_some(&self) -> bool {
        let loss = self.loss.lock().unwrap_or_else(PoisonError::into_inner);
        loss.is_some()
    }

    /// Whether older files stood in the place of newer ones.
    pub(super) fn is_rolled_back(&self) -> bool {
        let loss = self.loss.lock().unwrap_or_else(PoisonError::into_inner);
        loss.as_ref().is_some_and(|loss| loss.rolled_back)
    }

    /// As an operator sees it; `null` if nothing is lost.
    pub(super) fn shown(&self) -> Value {
        let loss = self.loss.lock().unwrap_or_else(PoisonError::into_inner);
        loss.as_ref().map_or(
            Value::Null,
            |loss| json!({"since": loss.since.rfc3339_seconds(), "why": loss.why}),
        )
    }

    /// It is known: what waited for that goes on. When it had been found, if there was anything.
    ///
    /// # Errors
    /// It cannot be forgotten, so that the next start would know it again.
    pub(super) fn acknowledge(
        &self,
        recorder: Option<&Recorder>,
    ) -> Result<Option<Wall>, std::io::Error> {
        let mut loss = self.loss.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = &*loss else {
            return Ok(None);
        };
        let since = known.since;
        std::fs::remove_file(&self.place)?;
        *loss = None;
        self.accounts.lose(None);
        if let Some(recorder) = recorder {
            recorder.set_lost(false);
        }
        Ok(Some(since))
    }
}

impl Loss {
    /// What cannot be read is a loss all the same.
    fn of(bytes: &[u8]) -> Self {
        let document: Value = serde_json::from_slice(bytes).unwrap_or_default();
        let why = document["why"].as_array().cloned().unwrap_or_default();
        Self {
            since: Wall(document["since_ms"].as_u64().unwrap_or_default()),
            why: why
                .iter()
                .filter_map(|line| line.as_str().map(str::to_owned))
                .collect(),
            rolled_back: document["rolled_back"] != Value::Bool(false),
        }
    }

    /// The later time: all that was spent before it may be lost.
    fn and(mut self, new: Self) -> Self {
        const MOST_REASONS: usize = 32;
        self.since = self.since.max(new.since);
        self.rolled_back |= new.rolled_back;
        self.why.extend(new.why);
        self.why.dedup();
        self.why.truncate(MOST_REASONS);
        self
    }

    fn document(&self) -> Value {
        json!({"since_ms": self.since.0, "why": self.why, "rolled_back": self.rolled_back})
    }
}
