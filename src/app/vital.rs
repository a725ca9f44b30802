//! The tasks that a sidecar cannot be without: its listeners, and what keeps its pool. One that ends, by a panic or
//! because its socket broke, would leave a process that lives and does not hear; so the end is told, and the process
//! goes too, for a supervisor to start anew. One that hangs is found by asking it. Must never restart one itself: what
//! broke it is still there.

use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::host;

/// All such tasks of one sidecar.
#[derive(Clone)]
pub struct Vitals {
    ended: mpsc::Sender<&'static str>,
    pulses: Arc<Mutex<Vec<Watched>>>,
}

/// Goes along with one such task; dropped when it ends, however it ends.
pub(super) struct Vital {
    name: &'static str,
    pulse: Arc<Pulse>,
    ended: mpsc::Sender<&'static str>,
}

/// A task that is asked.
#[derive(Clone)]
struct Watched {
    name: &'static str,
    pulse: Arc<Pulse>,
}

/// How often a task was polled, and how to have it polled again.
#[derive(Default)]
struct Pulse {
    beats: AtomicU64,
    waker: Mutex<Option<Waker>>,
}

/// How often is looked whether all have answered.
const LOOK: Duration = Duration::from_millis(5);

impl Vitals {
    /// None yet; and where the names of those that end come out.
    pub(super) fn new() -> (Self, mpsc::Receiver<&'static str>) {
        let (ended, ends) = mpsc::channel(8);
        let pulses = Arc::default();
        (Self { ended, pulses }, ends)
    }

    /// One more, under that name.
    pub(super) fn vital(&self, name: &'static str) -> Vital {
        let pulse = Arc::new(Pulse::default());
        let mut pulses = self.pulses.lock().unwrap_or_else(PoisonError::into_inner);
        pulses.push(Watched {
            name,
            pulse: Arc::clone(&pulse),
        });
        let ended = self.ended.clone();
        Vital { name, pulse, ended }
    }

    /// Has every task polled once, wherever it runs, and a new one started on the runtime of this one.
    ///
    /// # Errors
    /// The first that does not answer in time.
    pub(super) async fn answer(&self, patience: Duration) -> Result<(), &'static str> {
        let pulses = self
            .pulses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let asked: Vec<_> = pulses
            .into_iter()
            .map(|Watched { name, pulse }| (name, pulse.ask(), pulse))
            .collect();
        let fresh = host::spawn("watchdog-probe", async {});
        let silent = || {
            let mut names = asked.iter();
            names.find_map(|(name, before, pulse)| (pulse.beats() == *before).then_some(*name))
        };
        let all = async {
            while silent().is_some() {
                sleep(LOOK).await;
            }
            let _ = fresh.await;
        };
        timeout(patience, all)
            .await
            .map_err(|_| silent().unwrap_or("the workers"))
    }
}

impl Pulse {
    fn beats(&self) -> u64 {
        self.beats.load(Ordering::Acquire)
    }

    fn beat(&self, waker: &Waker) {
        let mut held = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *held {
            Some(known) => known.clone_from(waker),
            None => *held = Some(waker.clone()),
        }
        drop(held);
        self.beats.fetch_add(1, Ordering::Release);
    }

    /// Wakes the task; how often it had been polled before.
    fn ask(&self) -> u64 {
        let before = self.beats();
        let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        let waker = waker.clone();
        if let Some(waker) = waker {
            waker.wake();
        }
        before
    }
}

impl Vital {
    /// The same task, under watch.
    pub(super) async fn watch(self, task: impl Future<Output = ()>) {
        let mut task = std::pin::pin!(task);
        poll_fn(|cx| {
            self.pulse.beat(cx.waker());
            task.as_mut().poll(cx)
        })
        .await;
        drop(self);
    }
}

impl Drop for Vital {
    fn drop(&mut self) {
        // Full: others have ended, and one is enough. Closed: the process ends anyway.
        let _ = self.ended.try_send(self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_end_is_heard_of_however_it_comes() {
        let (vitals, mut ends) = Vitals::new();
        let vital = |name| vitals.vital(name);
        let lasting = host::spawn("lasting", vital("lasting").watch(std::future::pending()));
        let returned = host::spawn("returns", vital("returns").watch(async {}));
        assert!(returned.await.is_ok());
        assert_eq!(ends.recv().await, Some("returns"));
        let panics = async { assert_eq!(1, 2, "on purpose") };
        let panicked = host::spawn("panics", vital("panics").watch(panics));
        assert!(panicked.await.is_err());
        assert_eq!(ends.recv().await, Some("panics"));
        assert!(ends.try_recv().is_err());
        lasting.abort();
        assert_eq!(ends.recv().await, Some("lasting"));
    }

    /// One that waits answers although nothing happens to it; one that blocks its thread does not, and is named.
    #[tokio::test]
    async fn who_hangs_is_found_by_asking() {
        let (vitals, _ends) = Vitals::new();
        host::spawn("waits", vitals.vital("waits").watch(std::future::pending()));
        assert_eq!(vitals.answer(Duration::from_secs(20)).await, Ok(()));

        let (block, blocked) = std::sync::mpsc::sync_channel::<()>(1);
        let vital = vitals.vital("hangs");
        let other = host::thread("test-other", move || {
            let runtime = host::tasks::small_runtime().unwrap();
            runtime.block_on(vital.watch(async move {
                tokio::task::yield_now().await;
                let _ = blocked.recv();
            }));
        });
        let other = other.unwrap();
        // It answers until it hangs, which is at its second poll at the latest.
        let mut found = Ok(());
        while found.is_ok() {
            found = vitals.answer(Duration::from_millis(50)).await;
        }
        assert_eq!(found, Err("hangs"));
        drop(block);
        other.join().unwrap();
    }
}
