//! Reading the configuration again while the sidecar runs: whole or not at all, and never silently.
//! Must never touch what runs when the new files have a problem.

use std::sync::Arc;

use super::boot::{Boot, Source};
use crate::config::{self, Loaded, Severity, render};
use crate::host::files;
use crate::process::{ProcessEvent, tell};
use crate::snapshot::{Compiled, Live, Overlay, Snapshot, World, compile};
use crate::units::Clock;

/// What came of a reload.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The files are as they were.
    Unchanged,
    /// A new snapshot runs.
    Published(Arc<Snapshot>),
    /// The files have problems; what ran goes on.
    Rejected(String),
}

/// Knows where the configuration is, and what was read last.
pub struct Reloader {
    source: Source,
    overlay: Overlay,
    world: World,
    live: Arc<Live>,
    clock: Arc<dyn Clock>,
    boot: Boot,
    state: std::path::PathBuf,
    /// What runs.
    running: config::Fingerprint,
    /// What was read last, taken or not.
    seen: config::Fingerprint,
    watched: Vec<std::path::PathBuf>,
    stats: files::Fingerprint,
}

impl Reloader {
    /// Goes on from a first load that runs already.
    pub(super) fn new(
        source: Source,
        overlay: Overlay,
        world: World,
        live: Arc<Live>,
        clock: Arc<dyn Clock>,
        (boot, state): (Boot, std::path::PathBuf),
        loaded: &Loaded,
    ) -> Self {
        Self {
            source,
            overlay,
            world,
            live,
            clock,
            boot,
            state,
            running: loaded.fingerprint,
            seen: loaded.fingerprint,
            stats: files::Fingerprint::take(&loaded.watched),
            watched: loaded.watched.clone(),
        }
    }

    /// Looks whether anything was touched, by stat(2) alone, and reads it again if so.
    pub fn poll(&mut self) -> Outcome {
        if matches!(self.source, Source::Text(..)) {
            return Outcome::Unchanged;
        }
        let stats = files::Fingerprint::take(&self.watched);
        if stats == self.stats {
            return Outcome::Unchanged;
        }
        let seen = self.seen;
        let loaded = self.source.load();
        // Taken before reading: what changes meanwhile is seen at the next look.
        self.stats = stats;
        self.remember(&loaded);
        if loaded.fingerprint == seen {
            return Outcome::Unchanged;
        }
        self.take(&loaded)
    }

    /// Reads it again because somebody asked; the answer says what is true now.
    pub fn reload(&mut self) -> Outcome {
        self.stats = files::Fingerprint::take(&self.watched);
        let loaded = self.source.load();
        self.remember(&loaded);
        if loaded.fingerprint == self.running && loaded.usable() && self.live.rejected().is_none() {
            let generation = self.live.take().generation();
            tell(ProcessEvent::ReloadUnchanged { generation });
            self.world.registry.process().config_unchanged();
            return Outcome::Unchanged;
        }
        self.take(&loaded)
    }

    fn remember(&mut self, loaded: &Loaded) {
        self.seen = loaded.fingerprint;
        if self.watched != loaded.watched {
            self.watched.clone_from(&loaded.watched);
            self.stats = files::Fingerprint::take(&self.watched);
        }
    }

    fn take(&mut self, loaded: &Loaded) -> Outcome {
        let generation = self.live.next_generation();
        let (now, wall) = (self.clock.boot(), self.clock.wall());
        let meters = self.world.registry.process();
        match compile(loaded, &self.overlay, &self.world, generation, now) {
            Err(problems) => {
                let text = render::human(&problems, &loaded.sources, render::Paint::Plain);
                self.live.reject(text.clone(), wall);
                meters.config_rejected();
                tell(ProcessEvent::ConfigRejected {
                    problems: problems.len(),
                    text: &text,
                });
                Outcome::Rejected(text)
            }
            Ok(compiled) => {
                let warnings = Warnings::of(&compiled, loaded);
                let snapshot = self.live.publish(compiled, now, wall);
                self.running = loaded.fingerprint;
                self.world.registry.limit_labels(labels(loaded));
                meters.config_loaded(snapshot.generation(), snapshot.hash(), wall);
                tell(ProcessEvent::ConfigLoaded {
                    generation: snapshot.generation(),
                    hash: snapshot.hash(),
                    tenants: snapshot.tenants().len(),
                    from: &self.source.to_string(),
                });
                warnings.tell();
                self.tell_restart(loaded);
                Outcome::Published(snapshot)
            }
        }
    }

    fn tell_restart(&self, loaded: &Loaded) {
        let changes = self.boot.changes(&Boot::of(&loaded.raw, &self.state));
        if !changes.is_empty() {
            tell(ProcessEvent::ReloadNeedsRestart {
                what: &changes.join(", "),
            });
        }
    }
}

/// What is odd in a configuration that runs all the same.
pub(super) struct Warnings(usize, String);

impl Warnings {
    pub(super) fn of(compiled: &Compiled, loaded: &Loaded) -> Self {
        let text = render::human(&compiled.warnings, &loaded.sources, render::Paint::Plain);
        Self(compiled.warnings.len(), text)
    }

    pub(super) fn tell(&self) {
        let Self(warnings, text) = self;
        if *warnings > 0 {
            tell(ProcessEvent::ConfigOdd {
                warnings: *warnings,
                text,
            });
        }
    }
}

/// How many tenants get labels of their own.
pub(super) fn labels(loaded: &Loaded) -> usize {
    usize::try_from(loaded.raw.metrics.tenants_labelled()).unwrap_or(usize::MAX)
}

/// Whether a list of problems has an error in it.
pub(super) fn has_errors(problems: &[config::Problem]) -> bool {
    problems
        .iter()
        .any(|problem| problem.severity == Severity::Error)
}
