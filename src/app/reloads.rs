//! When the configuration is read again: somebody asks, the kernel tells of a change, or the poll finds one. One reload
//! at a time, on a thread that serves nobody. Must never let a file system that hangs hold up a signal.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::reload::{Outcome, Reloader, Settings};
use crate::edge::AdminReply;
use crate::host::{self, Answer, Watcher};
use crate::process::{ProcessEvent, tell};
use crate::snapshot::WatchState;

/// Where the answer to one who asked goes.
type Reply = oneshot::Sender<AdminReply>;

/// A change is looked at when nothing was told for so long…
const QUIET: Duration = Duration::from_millis(250);
/// … or, if there is always something, after so long.
const PATIENCE: Duration = Duration::from_secs(2);
/// What those are told who wait for a reload that panicked.
const BROKEN_OFF: &str = "the reload broke off by a bug of outrigger, see its log";
/// How soon old generations are looked after when nothing else happens.
const SWEEP: Duration = Duration::from_secs(1);

/// Asks for reloads, and does them.
pub(super) struct Reloads {
    reloader: Arc<Reloader>,
    settings: Settings,
    lookout: Lookout,
    running: Option<Result<Answer<Done>, host::Error>>,
    asked: Vec<Reply>,
    is_asked: bool,
    answering: Vec<Reply>,
}

/// Why it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// To begin with.
    First,
    /// It is time.
    Poll,
    /// The kernel told of a change.
    Told,
    /// Somebody wants an answer.
    Asked,
}

/// What a look gives.
struct Done {
    outcome: Outcome,
    /// Aimed anew, if there was reason to.
    watcher: Option<Result<Watcher, host::Error>>,
    /// Whether something was touched after it was read.
    stale: bool,
    /// Generations that some trip still uses.
    retired: usize,
}

impl Reloads {
    /// Begins with a look. Must run inside a runtime.
    pub(super) fn new(reloader: Arc<Reloader>) -> Self {
        let settings = reloader.settings();
        let mut reloads = Self {
            reloader,
            settings,
            lookout: Lookout::default(),
            running: None,
            asked: Vec::new(),
            is_asked: false,
            answering: Vec::new(),
        };
        reloads.start(Look::First);
        reloads
    }

    /// Asks for one, and for an answer, if somebody waits for it. Callers are as many as the admin socket takes.
    pub(super) fn ask(&mut self, reply: Option<Reply>) {
        self.is_asked = true;
        self.asked.extend(reply);
    }

    /// Whether somebody has asked for one that has not begun.
    pub(super) fn is_asked(&self) -> bool {
        self.is_asked
    }

    /// The end of the next look, and who waits for it. May be dropped and called again without losing any.
    pub(super) async fn next(&mut self) -> (Outcome, Vec<Reply>) {
        if self.running.is_none() {
            let look = if self.is_asked {
                Look::Asked
            } else {
                self.lookout.due().await
            };
            self.start(look);
        }
        let Some(running) = &mut self.running else {
            return pending().await;
        };
        let done = match running {
            // A bug: it was told where it happened.
            Ok(answer) => answer.await.map_err(|_| BROKEN_OFF.to_owned()),
            Err(why) => Err(format!("the reload could not begin: {why:#}")),
        };
        self.running = None;
        let replies = std::mem::take(&mut self.answering);
        match done {
            Ok(done) => (self.finish(done), replies),
            Err(text) => {
                // What ran goes on, and the next look comes in its time.
                self.lookout.rest(self.settings.poll);
                (Outcome::Rejected(text), replies)
            }
        }
    }

    fn start(&mut self, look: Look) {
        if look == Look::Asked {
            self.is_asked = false;
            self.answering = std::mem::take(&mut self.asked);
        }
        let reloader = Arc::clone(&self.reloader);
        self.running = Some(host::aside("reload", move || work(&reloader, look)));
    }

    fn finish(&mut self, done: Done) -> Outcome {
        self.settings = self.reloader.settings();
        let sweep = (done.retired > 0).then_some(SWEEP);
        let poll = self.settings.poll;
        self.lookout.rest(poll.into_iter().chain(sweep).min());
        match done.watcher {
            Some(_) if !self.settings.watch => self.lookout.close(),
            Some(Ok(watcher)) => self.lookout.open(watcher),
            Some(Err(why)) => self.lookout.fail(&why, poll.is_some()),
            None => {}
        }
        if let Some(state) = self.lookout.news() {
            self.reloader.watches(state);
        }
        if done.stale || matches!(done.outcome, Outcome::Unsettled) {
            self.lookout.stir();
        }
        done.outcome
    }
}

/// Runs on a thread of its own that gives way to those who serve: may wait for a disk, and for them.
fn work(reloader: &Reloader, look: Look) -> Done {
    let outcome = match look {
        Look::First | Look::Poll => reloader.poll(),
        Look::Told => reloader.told(),
        Look::Asked => reloader.reload(),
    };
    let is_quiet = look == Look::Poll && matches!(outcome, Outcome::Unchanged);
    // The hops may lead elsewhere now; what changed before they were watched is found by looking once more.
    let watcher = (!is_quiet).then(|| reloader.watch());
    Done {
        outcome,
        stale: watcher.is_some() && reloader.is_stale(),
        watcher,
        retired: reloader.sweep(),
    }
}

/// Waits for reasons to look.
#[derive(Default)]
struct Lookout {
    watcher: Option<Watcher>,
    /// Since when there is something to look at, and when it was last told of.
    stirred: Option<(Instant, Instant)>,
    next: Option<Instant>,
    state: WatchState,
    told: Option<WatchState>,
}

impl Lookout {
    /// Waits for the next reason. May be dropped and called again without losing any.
    async fn due(&mut self) -> Look {
        loop {
            let quiet = self
                .stirred
                .map(|(since, last)| (last + QUIET).min(since + PATIENCE));
            tokio::select! {
                biased;
                () = at(quiet) => {
                    self.stirred = None;
                    return Look::Told;
                }
                () = changed(&mut self.watcher) => self.stir(),
                () = at(self.next) => return Look::Poll,
            }
        }
    }

    /// There is something to look at, when it has become quiet.
    fn stir(&mut self) {
        let now = Instant::now();
        let (since, _) = self.stirred.unwrap_or((now, now));
        self.stirred = Some((since, now));
    }

    /// Looks again after so long, if nothing happens before.
    fn rest(&mut self, span: Option<Duration>) {
        self.next = span.map(|span| Instant::now() + span);
    }

    fn open(&mut self, watcher: Watcher) {
        let old = self.watcher.replace(watcher);
        // What the old one was told and nobody waited for is not forgotten with it.
        if old.is_some_and(|mut old| old.has_changed()) {
            self.stir();
        }
        self.state = WatchState::On;
    }

    fn close(&mut self) {
        self.watcher = None;
        self.state = WatchState::Off;
    }

    /// The poll is left, if there is one. Said once, until it works again.
    fn fail(&mut self, why: &host::Error, polls: bool) {
        self.watcher = None;
        let left = if polls {
            "the poll"
        } else {
            "SIGHUP and `ctl reload`"
        };
        if !matches!(self.state, WatchState::Failed(_)) {
            tell(ProcessEvent::WatchFailed { why, left });
        }
        self.state = WatchState::Failed(format!("{why}"));
    }

    /// The state, if it is another than last time.
    fn news(&mut self) -> Option<WatchState> {
        if self.told.as_ref() == Some(&self.state) {
            return None;
        }
        self.told = Some(self.state.clone());
        self.told.clone()
    }
}

async fn changed(watcher: &mut Option<Watcher>) {
    match watcher {
        Some(watcher) => watcher.changed().await,
        None => pending().await,
    }
}

async fn at(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => pending().await,
    }
}
