//! Random schedules of what may happen to a tenant's money, with the real journal under it: calls that hold, hold more, end or
//! are dropped, crashes with and without a loss of what was last queued, reloads, clocks that step, top-ups and freezes.
//! Whatever the order: no window has more spent and held in it than it ever allowed, but for what open-ended calls cost beyond
//! what they held; what is settled is what the journal says; and at the end nothing is held. Must never wait for a time.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::tz::TimeZone;
use outrigger::journal::{
    Book, Flags, Journal, Kind, Mode, OpenEntry, Record, Recovery, Settings, Terms, WindowId,
    verify,
};
use outrigger::limits::{
    Account, Ask, BudgetSpec, Claim, Held, Hold, LimitSpec, OnLost, Period, Scope, Want, Who,
};
use outrigger::units::{Boot, Clock, NanoUsd, Wall};
use proptest::prelude::*;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// 2026-11-30T12:00:00Z.
const NOON: u64 = 1_796_040_000;
const SESSIONS: [&str; 3] = ["a", "b", "c"];
/// What one call can cost beyond what it holds, as far as it says; calls that hold all they can cost, nothing.
const BEYOND: u64 = 5;
const ROLLING: Duration = Duration::from_hours(6);

/// What there may be: each with how it is measured, and how much of it there is at first.
const BUDGETS: [(&str, Period, Scope); 4] = [
    ("hourly", Period::Hour, Scope::Tenant),
    ("daily", Period::Day, Scope::Tenant),
    ("rolling", Period::Rolling(ROLLING), Scope::Tenant),
    ("session", Period::Total, Scope::Session),
];
const FIRST: [u64; 4] = [100, 300, 200, 150];

#[derive(Clone, Debug)]
enum Act {
    /// A call that may cost so much, of a session; or one that may cost a little more than it says.
    Admit {
        most: u64,
        session: usize,
        open_ended: bool,
    },
    Extend(usize, u64),
    /// It is over and has cost this percentage of what it held, and as much beyond as it may.
    Settle(usize, u64),
    /// It ends as nobody knows how.
    Cancel(usize),
    /// The process is killed; everything queued was written before, or not.
    Crash {
        flushed: bool,
    },
    /// A budget has another amount, is taken out or comes back.
    Reload(usize, u64),
    /// The wall clock moves by so many seconds.
    Step(i64),
    TopUp(usize, u64),
    Freeze(usize, bool),
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => (0_u64..60, 0..SESSIONS.len(), any::<bool>())
            .prop_map(|(most, session, open_ended)| Act::Admit { most, session, open_ended }),
        3 => (0_usize..8, 0_u64..30).prop_map(|(which, more)| Act::Extend(which, more)),
        6 => (0_usize..8, 0_u64..=100).prop_map(|(which, part)| Act::Settle(which, part)),
        1 => (0_usize..8).prop_map(Act::Cancel),
        2 => any::<bool>().prop_map(|flushed| Act::Crash { flushed }),
        2 => (0..BUDGETS.len(), 0_u64..300).prop_map(|(which, amount)| Act::Reload(which, amount)),
        2 => (-90_000_i64..90_000).prop_map(Act::Step),
        1 => (-4_000_i64..4_000).prop_map(Act::Step),
        1 => (0..BUDGETS.len(), 1_u64..50).prop_map(|(which, amount)| Act::TopUp(which, amount)),
        1 => (0..BUDGETS.len(), any::<bool>()).prop_map(|(which, frozen)| Act::Freeze(which, frozen)),
    ]
}

struct SetClock(AtomicU64);

impl Clock for SetClock {
    fn boot(&self) -> Boot {
        Boot(1_000_000_000)
    }

    fn wall(&self) -> Wall {
        Wall(self.0.load(Ordering::SeqCst) * 1_000)
    }
}

/// A call under way.
struct Call {
    hold: Hold,
    entry: OpenEntry,
    open_ended: bool,
}

/// One life of a process: what it would lose, in the order in which it is let go of.
struct Life {
    calls: Vec<Call>,
    account: Arc<Account>,
    book: Arc<Book>,
    journal: Journal,
    directory: TempDir,
}

/// Amounts by window.
type Sums = BTreeMap<WindowId, u64>;

/// The world as it is known from outside.
struct World {
    runtime: Runtime,
    clock: Arc<SetClock>,
    life: Option<Life>,
    /// What the configuration has: an amount for each budget, if it has it.
    amounts: [Option<u64>; 4],
    /// The most there ever was of each.
    most: [u64; 4],
    /// What was settled, by the account's word.
    settled: Sums,
    /// What came to less when it was settled than what was held, since everything queued was written; and to more.
    returned: Sums,
    exceeded: Sums,
    /// All that open-ended calls cost beyond what they held, and what was added.
    beyond: Sums,
    added: Sums,
}

fn add(sums: &mut Sums, window: WindowId, amount: u64) {
    *sums.entry(window).or_default() += amount;
}

fn of(sums: &Sums, window: WindowId) -> u64 {
    sums.get(&window).copied().unwrap_or_default()
}

/// Which of the budgets a window is one of.
fn budget_of(window: WindowId) -> usize {
    let parts = |scope| match scope {
        Scope::Tenant => [""].as_slice(),
        _ => SESSIONS.as_slice(),
    };
    let is_of = |(name, _, scope): &(&str, Period, Scope)| {
        let mut parts = parts(*scope).iter();
        parts.any(|part| WindowId::of(name, scope.as_str(), part, 0).budget == window.budget)
    };
    BUDGETS.iter().position(is_of).expect("a budget")
}

fn settings() -> Settings {
    Settings {
        segment_bytes: 64 << 10,
        step_bytes: 64 << 10,
        reserve_bytes: 0,
        sync_every: Duration::from_hours(1),
        patience: Duration::from_mins(1),
        ..Settings::default()
    }
}

/// A directory that costs no waiting for a disk, where there is such a file system.
fn directory() -> TempDir {
    let quick = Path::new("/dev/shm");
    tempfile::tempdir_in(quick)
        .or_else(|_| tempfile::tempdir())
        .expect("a directory")
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a kind").is_dir() {
            copy_all(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

impl World {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        let mut world = Self {
            runtime: runtime.expect("a runtime"),
            clock: Arc::new(SetClock(AtomicU64::new(NOON))),
            life: None,
            amounts: FIRST.map(Some),
            most: FIRST,
            settled: Sums::new(),
            returned: Sums::new(),
            exceeded: Sums::new(),
            beyond: Sums::new(),
            added: Sums::new(),
        };
        world.live(directory());
        world
    }

    fn spec(&self) -> LimitSpec {
        let budgets = BUDGETS.iter().zip(self.amounts);
        let budgets = budgets.filter_map(|((name, period, scope), amount)| {
            Some(BudgetSpec {
                name: (*name).into(),
                amount: NanoUsd(amount?),
                period: *period,
                zone: TimeZone::UTC,
                scope: *scope,
                on_lost: OnLost::default(),
            })
        });
        LimitSpec {
            budgets: budgets.collect(),
            ..LimitSpec::default()
        }
    }

    /// A process begins, on what another has left.
    fn live(&mut self, directory: TempDir) -> Recovery {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let opened = Journal::open(&directory.path().join("journal"), settings(), clock);
        let (journal, recovery) = opened.expect("a journal");
        assert_eq!(recovery.alarms, []);
        let account = Account::new(&self.spec(), self.clock.boot());
        for tenant in &recovery.tenants {
            for (window, net) in &tenant.windows {
                account.remember(*window, net.taken, net.given);
            }
        }
        let tenant = "acme".parse().expect("an id");
        let terms = Terms {
            mode: Mode::Batch,
            ..Terms::default()
        };
        let book = journal.book(&tenant, terms).expect("a book");
        self.life = Some(Life {
            directory,
            journal,
            book,
            account,
            calls: Vec::new(),
        });
        recovery
    }

    fn life(&mut self) -> &mut Life {
        self.life.as_mut().expect("somebody lives")
    }

    fn act(&mut self, act: &Act) {
        match *act {
            Act::Admit {
                most,
                session,
                open_ended,
            } => self.admit(most, SESSIONS[session], open_ended),
            Act::Extend(which, more) => self.extend(which, more),
            Act::Settle(which, part) => self.settle(which, part),
            Act::Cancel(which) => self.cancel(which),
            Act::Crash { flushed } => self.crash(flushed),
            Act::Reload(which, amount) => self.reload(which, amount),
            Act::Step(by) => {
                let now = self.clock.0.load(Ordering::SeqCst);
                self.clock
                    .0
                    .store(now.saturating_add_signed(by), Ordering::SeqCst);
            }
            Act::TopUp(which, amount) => self.top_up(which, amount),
            Act::Freeze(which, frozen) => self.freeze(which, frozen),
        }
    }

    fn admit(&mut self, most: u64, session: &str, open_ended: bool) {
        let (boot, at) = (self.clock.boot(), self.clock.wall());
        let who = Who {
            session: Some(session),
            ..Who::default()
        };
        let want = Want {
            ask: Ask {
                input: 1,
                output: 1,
            },
            claim: Some(Claim {
                amount: NanoUsd(most),
                at,
                who,
            }),
        };
        let life = self.life.as_mut().expect("somebody lives");
        let Ok(hold) = life.account.reserve(boot, want) else {
            return;
        };
        let windows = pairs(hold.held());
        let intent = life.book.intent(Record {
            whole: NanoUsd(most),
            windows: &windows,
            payload: b"{}",
        });
        let entry = self.runtime.block_on(intent).expect("it is written");
        // An intent takes along whatever was queued before it.
        self.is_written();
        self.life().calls.push(Call {
            hold,
            entry,
            open_ended,
        });
    }

    fn is_written(&mut self) {
        self.returned.clear();
        self.exceeded.clear();
    }

    fn extend(&mut self, which: usize, more: u64) {
        let at = self.clock.wall();
        let life = self.life.as_mut().expect("somebody lives");
        let Some(call) = life.calls.get_mut(which) else {
            return;
        };
        if call.hold.extend(NanoUsd(more), at).is_err() {
            return;
        }
        let windows = pairs(call.hold.held());
        let whole = windows.iter().map(|(_, amount)| *amount).max();
        let written = call.entry.extend(Record {
            whole: whole.unwrap_or_default(),
            windows: &windows,
            payload: b"",
        });
        let written = written.expect("it is taken");
        self.runtime.block_on(written).expect("it is written");
        self.is_written();
    }

    fn settle(&mut self, which: usize, part: u64) {
        let boot = self.clock.boot();
        let life = self.life.as_mut().expect("somebody lives");
        if which >= life.calls.len() {
            return;
        }
        let Call {
            mut hold,
            entry,
            open_ended,
        } = life.calls.swap_remove(which);
        let held: Sums = hold
            .held()
            .map(|held| (held.window, held.amount.0))
            .collect();
        // What one budget has in two windows is one call's all the same.
        let mut by_budget: BTreeMap<u64, u64> = BTreeMap::new();
        for (window, amount) in &held {
            *by_budget.entry(window.budget).or_default() += amount;
        }
        let whole = by_budget.values().copied().min().unwrap_or_default();
        let beyond = if open_ended { BEYOND } else { 0 };
        let cost = whole * part / 100 + if part == 100 { beyond } else { 0 };
        let settled = hold.settle(boot, 1, 1, NanoUsd(cost));
        entry.end(Record {
            whole: NanoUsd(cost),
            windows: &pairs(settled.windows.iter().copied()),
            payload: b"{}",
        });
        for one in settled.windows {
            let (window, amount) = (one.window, one.amount.0);
            add(&mut self.settled, window, amount);
            let held = of(&held, window);
            add(&mut self.returned, window, held.saturating_sub(amount));
            add(&mut self.exceeded, window, amount.saturating_sub(held));
            add(&mut self.beyond, window, amount.saturating_sub(held));
        }
    }

    /// The trip is dropped: the budgets get back what it held, and the journal settles it at that. As if it had cost all of it.
    fn cancel(&mut self, which: usize) {
        let boot = self.clock.boot();
        let life = self.life.as_mut().expect("somebody lives");
        if which >= life.calls.len() {
            return;
        }
        let mut call = life.calls.swap_remove(which);
        let held: Vec<_> = call.hold.held().collect();
        // Nothing left: the entry says so, and neither spends anything.
        call.hold.settle(boot, 0, 0, NanoUsd::ZERO);
        call.entry.void();
        for one in held {
            add(&mut self.returned, one.window, one.amount.0);
        }
    }

    /// The files as they are at this instant are all that the next process finds.
    fn crash(&mut self, flushed: bool) {
        if flushed {
            self.flush();
        }
        let left = directory();
        let life = self.life.take().expect("somebody lives");
        copy_all(
            &life.directory.path().join("journal"),
            &left.path().join("journal"),
        );
        for call in &life.calls {
            for held in call.hold.held() {
                add(&mut self.settled, held.window, held.amount.0);
            }
        }
        drop(life);
        let verdict = verify(&left.path().join("journal"), None, "");
        assert!(verdict.is_valid(), "{:?}", verdict.invalid);
        let recovery = self.live(left);
        self.compare(&recovery);
        self.is_written();
    }

    fn flush(&mut self) {
        let book = Arc::clone(&self.life().book);
        self.runtime
            .block_on(crate::stage::until("writing", || book.health().queued == 0));
        self.is_written();
    }

    /// What the journal has come to is what was settled; ends that were not written yet count as what was held. From here on,
    /// that is what is known.
    fn compare(&mut self, recovery: &Recovery) {
        let mut found = Sums::new();
        let mut given = Sums::new();
        for (window, net) in recovery.tenants.iter().flat_map(|tenant| &tenant.windows) {
            if is_freeze(*window) {
                continue;
            }
            add(&mut found, *window, net.taken.0);
            add(&mut given, *window, net.given.0);
        }
        let windows: Vec<WindowId> = self.settled.keys().chain(found.keys()).copied().collect();
        for window in windows {
            let (known, found) = (of(&self.settled, window), of(&found, window));
            let most = known + of(&self.returned, window);
            let least = known - of(&self.exceeded, window);
            assert!(
                (least..=most).contains(&found),
                "{window:?}: {found} found, {least} to {most} settled"
            );
        }
        given.retain(|_, amount| *amount > 0);
        assert_eq!(given, self.added, "what was added is on record");
        self.settled = found;
    }

    fn reload(&mut self, which: usize, amount: u64) {
        // A third of them takes it out.
        self.amounts[which] = (amount >= 100).then_some(amount);
        self.most[which] = self.most[which].max(self.amounts[which].unwrap_or_default());
        let (spec, boot) = (self.spec(), self.clock.boot());
        self.life().account.resize(&spec, boot);
    }

    fn top_up(&mut self, which: usize, amount: u64) {
        let at = self.clock.wall();
        let (name, _, scope) = BUDGETS[which];
        let part = if scope == Scope::Tenant {
            ""
        } else {
            SESSIONS[0]
        };
        let life = self.life.as_mut().expect("somebody lives");
        let Some(window) = life.account.window(name, part, at) else {
            return;
        };
        assert!(life.account.top_up(name, part, NanoUsd(amount), at));
        self.adjust(window, amount, Flags::GIVES_BACK);
        add(&mut self.added, window, amount);
    }

    fn freeze(&mut self, which: usize, frozen: bool) {
        let (name, ..) = BUDGETS[which];
        let was = self.life().account.freeze(name, frozen);
        if was.is_some_and(|was| was != frozen) {
            let flags = if frozen {
                Flags::default()
            } else {
                Flags::GIVES_BACK
            };
            self.adjust(Account::freezes(name), 1, flags);
        }
    }

    fn adjust(&mut self, window: WindowId, amount: u64, flags: Flags) {
        let book = Arc::clone(&self.life().book);
        let written = book.record(
            Kind::Adjust,
            flags,
            Record {
                whole: NanoUsd::ZERO,
                windows: &[(window, NanoUsd(amount))],
                payload: b"{}",
            },
        );
        let written = written.expect("it is taken");
        self.runtime.block_on(written).expect("it is written");
        self.is_written();
    }

    /// Spent and held, by window.
    fn standing(&mut self) -> Sums {
        let mut sums = self.settled.clone();
        for held in self
            .life()
            .calls
            .iter()
            .flat_map(|call| call.hold.held().collect::<Vec<_>>())
        {
            add(&mut sums, held.window, held.amount.0);
        }
        sums
    }

    /// No window has more in it than it ever allowed; what the account says of now is what is known.
    fn check(&mut self) {
        let standing = self.standing();
        for (window, amount) in &standing {
            let which = budget_of(*window);
            let is_within = |other: &WindowId| match BUDGETS[which].1 {
                Period::Rolling(span) => {
                    let span = i64::try_from(span.as_secs()).expect("short");
                    other.start > window.start - span && other.start <= window.start
                }
                _ => other.start == window.start,
            };
            let sum = |sums: &Sums| -> u64 {
                let those = sums
                    .iter()
                    .filter(|(other, _)| other.budget == window.budget && is_within(other));
                those.map(|(_, amount)| *amount).sum()
            };
            let most = self.most[which] + sum(&self.added) + sum(&self.beyond);
            let total = sum(&standing).max(*amount);
            assert!(
                total <= most,
                "{}: {total} of {most} at {window:?}",
                BUDGETS[which].0
            );
        }
        let at = self.clock.wall();
        let account = Arc::clone(&self.life().account);
        for state in account.budgets(at) {
            if matches!(state.period, Period::Rolling(_)) {
                continue;
            }
            let scope = state.scope.as_str();
            let Some(window) = account.window(&state.budget, &state.of, at) else {
                panic!("it is there");
            };
            assert_eq!(
                window.budget,
                WindowId::of(&state.budget, scope, &state.of, 0).budget
            );
            let known = of(&standing, window);
            assert_eq!(
                state.spent.0 + state.held.0,
                known,
                "{} of {}",
                state.budget,
                state.of
            );
        }
    }

    /// Everything ends, and another process looks.
    fn close(mut self) {
        while !self.life().calls.is_empty() {
            self.settle(0, 100);
        }
        let at = self.clock.wall();
        for state in self.life().account.budgets(at) {
            assert_eq!(state.held, NanoUsd::ZERO, "{} holds nothing", state.budget);
        }
        self.check();
        self.flush();
        let Life {
            directory, journal, ..
        } = self.life.take().expect("somebody lives");
        journal.close();
        drop(journal);
        let recovery = self.live(directory);
        let unknown: u64 = recovery.tenants.iter().map(|tenant| tenant.unknown).sum();
        assert_eq!(unknown, 0, "everything has an end");
        self.compare(&recovery);
        self.check();
    }
}

fn is_freeze(window: WindowId) -> bool {
    BUDGETS
        .iter()
        .any(|(name, ..)| Account::freezes(name) == window)
}

fn pairs(held: impl Iterator<Item = Held>) -> Vec<(WindowId, NanoUsd)> {
    held.map(|held| (held.window, held.amount)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn whatever_happens_no_more_is_spent_than_there_is_and_all_of_it_is_on_record(
        acts in prop::collection::vec(any_act(), 1..100)
    ) {
        let mut world = World::new();
        for act in &acts {
            world.act(act);
            world.check();
        }
        world.close();
    }
}
