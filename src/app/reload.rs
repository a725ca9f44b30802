//! Reading the configuration again while the sidecar runs: whole or not at all, and never silently.
//! Must never touch what runs when the new files have a problem.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::boot::{Boot, Source};
use super::sidecar::Options;
use crate::config::values::{LogFormat, OnOff, OrOff};
use crate::config::{self, Loaded, OutCode, Problem, Severity, render};
use crate::host::{self, Watcher, files, mounts};
use crate::meters::ReloadResult;
use crate::process::{ProcessEvent, tell};
use crate::snapshot::{Compiled, Live, Overlay, Snapshot, WatchState, World, compile};
use crate::units::{Clock, Wall};

/// What came of a reload.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The files say what they said.
    Unchanged,
    /// Somebody is writing just now; to be looked at again in a moment.
    Unsettled,
    /// A new snapshot runs.
    Published(Arc<Snapshot>),
    /// The files have problems; what ran goes on.
    Rejected(String),
}

/// What of the configuration the control loop goes by; a reload changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether the kernel is asked to tell of changes.
    pub watch: bool,
    /// How often the files are looked at; `None` is never.
    pub poll: Option<Duration>,
    /// The hard stop of the drain, and how long nothing must happen for an early one.
    pub drain: (Duration, Duration),
}

/// Knows where the configuration is, and what was read last.
pub struct Reloader {
    source: Source,
    overlay: Overlay,
    world: World,
    live: Arc<Live>,
    clock: Arc<dyn Clock>,
    given: Given,
    state: PathBuf,
    boot: Boot,
    known: Mutex<Known>,
}

/// What was read.
struct Known {
    /// What runs.
    running: config::Fingerprint,
    /// Whether what runs is the empty file.
    blank: bool,
    /// What was read last, taken or not.
    seen: config::Fingerprint,
    watched: Vec<PathBuf>,
    /// Which of these were said to stay as they are, and of which files that was found.
    pinned: (Vec<PathBuf>, Vec<Problem>),
    stats: files::Fingerprint,
    /// Something was told that was not looked at yet.
    told: bool,
    /// Looks in a row that found somebody writing.
    unsettled: u32,
    settings: Settings,
}

/// How long nothing must be written before it is read.
const SETTLED: u64 = 200;
/// Looks that find somebody writing before it is read all the same.
const UNSETTLED: u32 = 8;

impl Reloader {
    /// Goes on from a first load that runs already, and that began at that moment.
    pub(super) fn new(
        options: Options,
        state: PathBuf,
        world: World,
        live: Arc<Live>,
        (loaded, began): (&Loaded, Wall),
    ) -> Self {
        let stats = files::Fingerprint::take(&loaded.watched);
        let given = Given {
            private: options.private,
            log_format: options.log_format,
        };
        // What changed while it was read is found by the first look.
        let told = !stats.is_older_than(began);
        Self {
            source: options.source,
            overlay: options.overlay,
            world,
            live,
            clock: options.clock,
            boot: lasting(loaded, &state, given),
            given,
            state,
            known: Mutex::new(Known {
                running: loaded.fingerprint,
                blank: loaded.is_blank(),
                seen: loaded.fingerprint,
                watched: loaded.watched.clone(),
                pinned: (loaded.watched.clone(), pinned(loaded)),
                stats,
                told,
                unsettled: 0,
                settings: settings(loaded),
            }),
        }
    }

    /// Looks whether anything was touched, by stat(2) alone, and reads it again if so.
    pub fn poll(&self) -> Outcome {
        self.look(&mut self.known())
    }

    /// Something was told to have changed: what stat(2) says is not enough, its clock may not have ticked in between.
    pub fn told(&self) -> Outcome {
        let mut known = self.known();
        known.told = true;
        self.look(&mut known)
    }

    /// Reads it again because somebody asked; the answer says what is true now.
    pub fn reload(&self) -> Outcome {
        let mut known = self.known();
        self.live.sweep();
        let stats = files::Fingerprint::take(&known.watched);
        let loaded = self.source.load();
        known.remember(&loaded, stats);
        if let Some(outcome) = self.as_before(&known, &loaded) {
            let generation = self.live.take().generation();
            tell(ProcessEvent::ReloadUnchanged { generation });
            return outcome;
        }
        self.take(&mut known, &loaded)
    }

    /// What the control loop goes by.
    pub fn settings(&self) -> Settings {
        self.known().settings
    }

    /// Watches every file that was read, and every hop on the way to it.
    pub(super) fn watch(&self) -> Result<Watcher, host::Error> {
        let watched = self.known().watched.clone();
        Watcher::aim(&watched)
    }

    /// Notes whether changes are told, for all to see.
    pub(super) fn watches(&self, state: WatchState) {
        let meters = self.world.registry.process();
        meters.watching(state == WatchState::On);
        self.live.set_watch(state);
    }

    /// Whether anything was touched since it was read.
    pub(super) fn is_stale(&self) -> bool {
        let known = self.known();
        files::Fingerprint::take(&known.watched) != known.stats
    }

    /// Frees generations that nobody uses any more; how many are left.
    pub(super) fn sweep(&self) -> usize {
        self.live.sweep()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self, known: &mut Known) -> Outcome {
        self.live.sweep();
        // Taken before reading: what changes meanwhile is seen at the next look.
        let stats = files::Fingerprint::take(&known.watched);
        if stats == known.stats && !known.told {
            return Outcome::Unchanged;
        }
        if self.is_being_written(known, &stats) {
            return Outcome::Unsettled;
        }
        let loaded = self.source.load();
        let after = files::Fingerprint::take(&known.watched);
        if after != stats && self.is_being_written(known, &after) {
            return Outcome::Unsettled;
        }
        let seen = known.seen;
        known.remember(&loaded, stats);
        if loaded.fingerprint == seen {
            return Outcome::Unchanged;
        }
        match self.as_before(known, &loaded) {
            Some(outcome) => outcome,
            None => self.take(known, &loaded),
        }
    }

    /// A half-written file is no news. Who writes for ever is read all the same.
    fn is_being_written(&self, known: &mut Known, stats: &files::Fingerprint) -> bool {
        let settled = Wall(self.clock.wall().0.saturating_sub(SETTLED));
        if stats.is_older_than(settled) || known.unsettled >= UNSETTLED {
            known.unsettled = 0;
            return false;
        }
        known.unsettled += 1;
        true
    }

    /// The files say again, or still, what runs; that ends a rejection.
    fn as_before(&self, known: &Known, loaded: &Loaded) -> Option<Outcome> {
        if loaded.fingerprint != known.running || !loaded.usable() {
            return None;
        }
        self.live.accept();
        let meters = self.world.registry.process();
        meters.reloaded(ReloadResult::Unchanged);
        Some(Outcome::Unchanged)
    }

    fn take(&self, known: &mut Known, loaded: &Loaded) -> Outcome {
        if loaded.is_blank() && !known.blank && loaded.usable() {
            return self.reject(&[emptied(&self.source)], loaded);
        }
        let generation = self.live.next_generation();
        let now = self.clock.boot();
        let running = self.live.take();
        let previous = Some(&*running);
        match compile(
            loaded,
            &self.overlay,
            &self.world,
            previous,
            generation,
            now,
        ) {
            Err(problems) => self.reject(&problems, loaded),
            Ok(mut compiled) => {
                compiled.warnings.extend_from_slice(known.pinned(loaded));
                known.running = loaded.fingerprint;
                known.blank = loaded.is_blank();
                known.settings = settings(loaded);
                self.publish(compiled, loaded)
            }
        }
    }

    fn reject(&self, problems: &[Problem], loaded: &Loaded) -> Outcome {
        let text = render::human(problems, &loaded.sources, render::Paint::Plain);
        self.live.reject(text.clone(), self.clock.wall());
        let meters = self.world.registry.process();
        meters.reloaded(ReloadResult::Rejected);
        tell(ProcessEvent::ConfigRejected {
            problems: problems.len(),
            text: &text,
        });
        Outcome::Rejected(text)
    }

    fn publish(&self, compiled: Compiled, loaded: &Loaded) -> Outcome {
        let (now, wall) = (self.clock.boot(), self.clock.wall());
        let warnings = Warnings::of(&compiled, loaded);
        let newer = lasting(loaded, &self.state, self.given);
        let restart = self.boot.changes(&newer);
        let snapshot = self.live.publish(compiled, restart.clone(), now, wall);
        self.world.registry.limit_labels(labels(loaded));
        let meters = self.world.registry.process();
        meters.reloaded(ReloadResult::Published);
        meters.config_loaded(snapshot.generation(), snapshot.hash(), &restart, wall);
        tell(ProcessEvent::ConfigLoaded {
            generation: snapshot.generation(),
            hash: snapshot.hash(),
            tenants: snapshot.tenants().len(),
            from: &self.source.to_string(),
        });
        warnings.tell();
        if !restart.is_empty() {
            tell(ProcessEvent::ReloadNeedsRestart {
                what: &restart.join(", "),
            });
        }
        Outcome::Published(snapshot)
    }
}

impl Known {
    /// The files that will stay as they are. What is mounted where does not change with every new text.
    fn pinned(&mut self, loaded: &Loaded) -> &[Problem] {
        let (watched, problems) = &mut self.pinned;
        if *watched != loaded.watched {
            watched.clone_from(&loaded.watched);
            *problems = pinned(loaded);
        }
        problems
    }

    fn remember(&mut self, loaded: &Loaded, stats: files::Fingerprint) {
        self.told = false;
        self.unsettled = 0;
        self.seen = loaded.fingerprint;
        self.stats = stats;
        if self.watched != loaded.watched {
            self.watched.clone_from(&loaded.watched);
            self.stats = files::Fingerprint::take(&self.watched);
        }
    }
}

/// What the command line decides, whatever the files say.
#[derive(Clone, Copy)]
struct Given {
    private: Option<SocketAddr>,
    log_format: Option<LogFormat>,
}

/// The facts that a restart would change: of a sidecar that serves one child, the command line decides some.
fn lasting(loaded: &Loaded, state: &Path, given: Given) -> Boot {
    let mut boot = Boot::of(&loaded.raw, state)
        .private(given.private)
        .formatted(given.log_format);
    if given.private.is_some() {
        boot.log_requests = OnOff::Off;
    }
    boot
}

fn emptied(source: &Source) -> Problem {
    Problem::error(
        OutCode::Emptied,
        None,
        format!("`{source}` is empty, and was not before"),
    )
    .hint("is it still being written? to run on defaults, restart, or leave a comment in it")
}

fn settings(loaded: &Loaded) -> Settings {
    let raw = &loaded.raw;
    Settings {
        watch: raw.reload.watch() == OnOff::On,
        poll: match raw.reload.poll() {
            OrOff::Off => None,
            OrOff::On(every) => Some(every),
        },
        drain: (raw.drain.timeout(), raw.drain.idle()),
    }
}

/// Compiles for the first time, and finds what only the machine shows.
///
/// # Errors
/// All problems, if one of them is an error.
pub(super) fn compile_whole(
    loaded: &Loaded,
    overlay: &Overlay,
    world: &World,
    generation: u64,
    now: crate::units::Boot,
) -> Result<Compiled, Vec<Problem>> {
    let mut compiled = compile(loaded, overlay, world, None, generation, now)?;
    compiled.warnings.extend(pinned(loaded));
    Ok(compiled)
}

/// Files that will stay as they are.
fn pinned(loaded: &Loaded) -> Vec<Problem> {
    let paths = mounts::pinned(&loaded.watched).into_iter();
    let problem = |path: PathBuf| {
        let message = format!(
            "`{}` is a mount of its own, so a new file in the place of its original will not be seen",
            path.display()
        );
        Problem::warning(OutCode::Pinned, None, message)
            .hint("mount the directory it lies in, without `subPath`")
    };
    paths.map(problem).collect()
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
pub(super) fn has_errors(problems: &[Problem]) -> bool {
    problems
        .iter()
        .any(|problem| problem.severity == Severity::Error)
}
