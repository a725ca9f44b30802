//! One address that agents call: how many connections have come in by it, and how many may be open at once. Must never name
//! it to a caller: the log and the metrics do.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::places::Places;
use crate::meters::{ListenerMeters, Registry};
use crate::process::{ProcessEvent, tell};

/// What all listeners of one address of `listen.proxy` share.
pub struct Gate {
    name: Box<str>,
    pub(super) places: Places,
    meters: ListenerMeters,
    news: Mutex<News>,
}

/// What is told of those who were refused.
#[derive(Default)]
struct News {
    told: Option<Instant>,
    refused: u64,
}

/// A gate that is full again and again is told of no more often than this.
const PAUSE: Duration = Duration::from_secs(10);

impl Gate {
    /// An address as the log and the metrics call it, and how many connections it may have, if that is bounded.
    pub fn new(name: &str, connections: Option<u32>, registry: &Registry) -> Arc<Self> {
        let most = connections.map_or(usize::MAX, |most| {
            usize::try_from(most).unwrap_or(usize::MAX)
        });
        Arc::new(Self {
            name: name.into(),
            places: Places::new(most),
            meters: registry.listener(name),
            news: Mutex::default(),
        })
    }

    pub(super) fn opened(&self) {
        self.meters.connection_opened();
    }

    pub(super) fn closed(&self) {
        self.places.give_back();
        self.meters.connection_closed();
    }

    /// A connection was refused because all places of this address are taken.
    pub(super) fn refused(&self) {
        self.meters.connection_refused();
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        news.refused += 1;
        if news.told.is_some_and(|told| told.elapsed() < PAUSE) {
            return;
        }
        let refused = std::mem::take(&mut news.refused);
        news.told = Some(Instant::now());
        drop(news);
        tell(ProcessEvent::ListenerFull {
            listener: &self.name,
            most: self.places.most(),
            refused,
        });
    }
}
