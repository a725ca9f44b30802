//! The journal as its users see it: what is written is there again, however the process ended.

mod failing;
mod life;
mod tampering;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::*;
use crate::host::SystemClock;
use crate::units::{Boot, Clock, NanoUsd, TenantId, Wall};

/// The system's clock, whose wall can be moved.
struct MovedClock(AtomicU64);

impl MovedClock {
    fn new() -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(0)))
    }
}

impl Clock for MovedClock {
    fn boot(&self) -> Boot {
        SystemClock.boot()
    }

    fn wall(&self) -> Wall {
        let moved = self.0.load(Ordering::Relaxed);
        Wall(SystemClock.wall().0.wrapping_add(moved))
    }
}

fn small() -> Settings {
    Settings {
        segment_bytes: 256 << 10,
        step_bytes: 128 << 10,
        reserve_bytes: 0,
        sync_every: Duration::from_millis(200),
        // Disks that many share may take their time.
        patience: Duration::from_mins(1),
        ..Settings::default()
    }
}

fn open(directory: &Path, settings: Settings) -> (Journal, Recovery) {
    Journal::open(directory, settings, Arc::new(SystemClock)).unwrap()
}

fn tenant(name: &str) -> TenantId {
    name.parse().unwrap()
}

fn day(amount: u64) -> [(WindowId, NanoUsd); 1] {
    [(
        WindowId {
            budget: 1,
            start: 1_795_996_800,
        },
        NanoUsd(amount),
    )]
}

fn amount<'a>(windows: &'a [(WindowId, NanoUsd)], payload: &'a [u8]) -> Record<'a> {
    Record {
        whole: windows[0].1,
        windows,
        payload,
    }
}

/// Until something holds; a test that waits longer than this has failed.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..2_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{what} did not happen");
}

fn found<'a>(recovery: &'a Recovery, name: &str) -> &'a Recovered {
    let mut tenants = recovery.tenants.iter();
    tenants
        .find(|found| found.tenant.as_ref().is_some_and(|id| id.as_str() == name))
        .unwrap()
}
