//! The cost of each step of the trip in instructions: two lives under callgrind, by instruction, and their difference
//! split by step and by room. It must never show a table that does not add up to what callgrind counted.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use super::{Ask, Bench};
use crate::observe;
use crate::places;
use crate::price::{Price, Step, price};
use crate::profile::Profile;
use crate::subject::{Kind, Third};
use crate::traffic;

/// Per request, per chunk.
type Pair = [f64; 2];

/// A room cheaper than this part of the whole is one of the others.
const SMALL: f64 = 0.004;

/// What one subject costs, split.
struct Priced {
    name: &'static str,
    /// Of plain requests, and of streams.
    prices: [Price; 2],
    /// What to divide by to have one request, and one chunk.
    units: Pair,
}

impl Bench {
    /// The tables.
    pub(crate) fn steps(&self) -> io::Result<String> {
        if !observe::is_installed("valgrind") {
            return Ok("steps skipped: valgrind is not installed\n".to_owned());
        }
        let bare = self.priced(Kind::Bare)?;
        let ours = self.priced(Kind::Outrigger)?;
        let mut text = String::new();
        if !matches!(self.launcher.third, Third::Twin) {
            ours.know_every_step()?;
            ours.by_step(&mut text);
        }
        by_room(&mut text, &bare, &ours);
        Ok(text)
    }

    fn priced(&self, kind: Kind) -> io::Result<Priced> {
        eprintln!("counting the instructions of {}, one by one", kind.name());
        let [few, many] = self.shape.counted;
        let split = |ask, few, many| {
            let mut profile = Profile::default();
            for (answers, times) in [(few, -1), (many, 1)] {
                self.counted_life(kind, ask, answers)?;
                let text = std::fs::read_to_string(self.profile(kind, ask, answers))?;
                profile.add(&text, times)?;
            }
            self.split(kind, &profile)
        };
        let prices = [
            split(Ask::Plain, few, many)?,
            split(Ask::Stream, few / 8, many / 8)?,
        ];
        let answers = |few: usize, many: usize| ((many - few) * super::counts::CONNECTIONS) as f64;
        Ok(Priced {
            name: kind.name(),
            prices,
            units: [
                answers(few, many),
                answers(few / 8, many / 8) * traffic::CHUNKS as f64,
            ],
        })
    }

    fn split(&self, kind: Kind, profile: &Profile) -> io::Result<Price> {
        let program = match (&self.launcher.third, kind) {
            (Third::Outrigger(path), Kind::Outrigger) => path.clone(),
            _ => std::env::current_exe()?,
        };
        let program = program.canonicalize()?;
        let name = program.display().to_string();
        let mut addresses: Vec<u64> = profile
            .own
            .keys()
            .copied()
            .chain(profile.calls.keys().map(|(from, at, _)| (*from, *at)))
            .filter(|(function, _)| profile.object(*function) == name)
            .map(|(_, address)| address)
            .collect();
        addresses.sort_unstable();
        addresses.dedup();
        let places = places::places(&program, &addresses, self.dir.path())?;
        let price = price(profile, &name, &places);
        let by_room: f64 = price.rooms.values().sum();
        let by_step: f64 = price.steps.values().sum();
        let off = |sum: f64| (sum - profile.total as f64).abs();
        if off(by_room) > 1.0 || off(by_step) > 1.0 {
            let what = format!(
                "of {} instructions {by_room} have a room and {by_step} a step or none",
                profile.total
            );
            return Err(io::Error::other(what));
        }
        Ok(price)
    }

    pub(super) fn profile(&self, kind: Kind, ask: Ask, answers: usize) -> PathBuf {
        let name = format!("{}-{ask:?}-{answers}.callgrind", kind.name()).to_lowercase();
        self.profiles.join(name)
    }
}

impl Priced {
    fn whole(&self) -> Pair {
        self.pair(|price| price.steps.values().sum())
    }

    fn pair(&self, of: impl Fn(&Price) -> f64) -> Pair {
        let [plain, stream] = &self.prices;
        let [requests, chunks] = self.units;
        [of(plain) / requests, of(stream) / chunks]
    }

    /// A step that costs nothing has moved to a file that the harness does not know.
    fn know_every_step(&self) -> io::Result<()> {
        let [plain, _] = &self.prices;
        let lost = Step::ALL.into_iter().find(|step| {
            !plain
                .steps
                .get(&Some(*step))
                .is_some_and(|cost| *cost > 0.0)
        });
        let Some(lost) = lost else {
            return Ok(());
        };
        Err(io::Error::other(format!(
            "no instruction belongs to the step `{}`: its files have moved, or the program has no line tables",
            lost.name()
        )))
    }

    fn by_step(&self, text: &mut String) {
        let whole = self.whole();
        let _ = writeln!(
            text,
            "instructions of {} by step, with what each step called\n{:<32}{:>12}{:>8}{:>12}{:>8}",
            self.name, "", "request", "%", "chunk", "%"
        );
        let mut line = |name: &str, pair: Pair| {
            let [request, chunk] = pair;
            let _ = writeln!(
                text,
                "{name:<32}{request:>12.0}{:>8.1}{chunk:>12.0}{:>8.1}",
                request * 100.0 / whole[0],
                chunk * 100.0 / whole[1],
            );
        };
        let of = |price: &Price, step: &Option<Step>| price.steps.get(step).copied().unwrap_or(0.0);
        for step in Step::ALL {
            line(step.name(), self.pair(|price| of(price, &Some(step))));
        }
        line(
            "no step: the runtime, threads",
            self.pair(|price| of(price, &None)),
        );
        for room in rooms(&[self], |price| &price.stepless) {
            let pair = self.pair(|price| part(&price.stepless, &room));
            if pair[0] > whole[0] * SMALL || pair[1] > whole[1] * SMALL {
                line(&format!("  of these {room}"), pair);
            }
        }
        line("all", whole);
        text.push('\n');
    }
}

/// Where the instructions of both are, the dearest rooms of Outrigger first.
fn by_room(text: &mut String, bare: &Priced, ours: &Priced) {
    let _ = writeln!(
        text,
        "instructions by room: its own source, and what of the standard library was inlined there\n\
         {:<32}{:>12}{:>12}{:>12}{:>12}\n{:<32}{:>12}{:>12}{:>12}{:>12}",
        "", "request", "request", "chunk", "chunk", "", bare.name, ours.name, bare.name, ours.name,
    );
    let mut line = |name: &str, bare: Pair, ours: Pair| {
        let _ = writeln!(
            text,
            "{name:<32}{:>12.0}{:>12.0}{:>12.0}{:>12.0}",
            bare[0], ours[0], bare[1], ours[1]
        );
    };
    let [all_of_bare, all_of_ours] = [bare.whole(), ours.whole()];
    let mut left = [all_of_bare, all_of_ours];
    for room in rooms(&[ours, bare], |price| &price.rooms) {
        let [of_bare, of_ours] = [bare, ours].map(|it| it.pair(|price| part(&price.rooms, &room)));
        let is_small =
            |pair: Pair, whole: Pair| pair[0] < whole[0] * SMALL && pair[1] < whole[1] * SMALL;
        if is_small(of_bare, all_of_bare) && is_small(of_ours, all_of_ours) {
            continue;
        }
        for (left, own) in left.iter_mut().zip([of_bare, of_ours]) {
            left[0] -= own[0];
            left[1] -= own[1];
        }
        line(&room, of_bare, of_ours);
    }
    line("all others", left[0], left[1]);
    line("all", all_of_bare, all_of_ours);
}

fn part(parts: &BTreeMap<String, f64>, name: &str) -> f64 {
    parts.get(name).copied().unwrap_or(0.0)
}

/// The names that occur in any, by what a request and then a chunk spends there in the first.
fn rooms(all: &[&Priced], of: impl Fn(&Price) -> &BTreeMap<String, f64>) -> Vec<String> {
    let mut names: Vec<String> = all
        .iter()
        .flat_map(|priced| &priced.prices)
        .flat_map(|price| of(price).keys().cloned())
        .collect();
    names.sort();
    names.dedup();
    let by = |name: &String| {
        let first = all
            .first()
            .map(|priced| priced.pair(|price| part(of(price), name)));
        first.unwrap_or_default().iter().sum::<f64>()
    };
    names.sort_by(|one, other| by(other).total_cmp(&by(one)));
    names
}
