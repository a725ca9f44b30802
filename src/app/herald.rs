//! What the service manager is told, and the watchdog: a sign of life that only a data plane that works can give.
//! Must never tell it from a timer alone.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::sidecar::Sidecar;
use super::vital::Vitals;
use crate::host::{self, Notifier};
use crate::process::{ProcessEvent, tell};

/// Tells the service manager, if there is one.
pub(super) struct Herald {
    notifier: Option<Arc<Notifier>>,
    /// The generation the manager knows of.
    told: u64,
    /// Whether the manager was told of a reload that is not over.
    reloading: bool,
}

impl Herald {
    /// Of the process's environment.
    pub(super) fn of_environment() -> Self {
        let notifier = Notifier::of_environment().unwrap_or_else(|why| {
            tell(ProcessEvent::ManagerUnheard { why: &why });
            None
        });
        Self {
            notifier: notifier.map(Arc::new),
            told: 0,
            reloading: false,
        }
    }

    /// Everything listens; from now on signs of life come, if they are waited for.
    pub(super) fn serves(&mut self, sidecar: &Sidecar) {
        let Some(notifier) = &self.notifier else {
            return;
        };
        notifier.ready(&status(sidecar));
        self.told = sidecar.ground.live.take().generation();
        if let Some(patience) = host::watchdog() {
            let (notifier, vitals) = (Arc::clone(notifier), sidecar.vitals.clone());
            host::spawn("watchdog", watch(notifier, vitals, patience));
        }
    }

    /// A reload is asked for.
    pub(super) fn reloads(&mut self) {
        if let Some(notifier) = &self.notifier {
            notifier.reloading();
            self.reloading = true;
        }
    }

    /// The files were looked at, whatever came of it: what runs, runs. While one look more `is_asked` for, the reload the
    /// manager knows of is not over.
    pub(super) fn looks(&mut self, sidecar: &Sidecar, is_asked: bool) {
        let Some(notifier) = &self.notifier else {
            return;
        };
        let generation = sidecar.ground.live.take().generation();
        let is_new = std::mem::replace(&mut self.told, generation) != generation;
        if self.reloading && !is_asked {
            self.reloading = false;
            notifier.ready(&status(sidecar));
        } else if is_new {
            notifier.status(&status(sidecar));
        }
    }

    /// The shutdown begins.
    pub(super) fn stops(&self, sidecar: &Sidecar) {
        if let Some(notifier) = &self.notifier {
            let open = sidecar.ground.shutdown.open();
            notifier.stopping(&format!("draining, {open} requests open"));
        }
    }
}

fn status(sidecar: &Sidecar) -> String {
    let snapshot = sidecar.ground.live.take();
    let rejected = match sidecar.ground.live.rejected() {
        Some(_) => "; the last change was rejected",
        None => "",
    };
    format!(
        "generation {}, {} tenants{rejected}",
        snapshot.generation(),
        snapshot.tenants().len()
    )
}

/// Gives a sign of life for as long as every listener's task answers and the workers take new tasks. Runs on these
/// workers itself, so a runtime that stands still is silent too. Three tries before the manager's patience ends.
async fn watch(notifier: Arc<Notifier>, vitals: Vitals, patience: Duration) {
    let period = patience / 3;
    let mut next = Instant::now();
    loop {
        sleep_until(next).await;
        next += period;
        match vitals.answer(period).await {
            Ok(()) => notifier.alive(),
            Err(name) => tell(ProcessEvent::NoAnswer { name }),
        }
    }
}
