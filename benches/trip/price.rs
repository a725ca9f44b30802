//! What each step of the trip costs, and each room of the house: the instructions of a profile, each counted once.
//!
//! An instruction belongs to the step whose source it comes from, however it was inlined. One that comes from no step's (a
//! library, the allocator, a room that several steps use) belongs to the step that called, in proportion to what callgrind saw
//! each caller spend. It must never lose an instruction: the steps, and what no step called, add up to the whole.

use std::collections::{BTreeMap, HashMap};

use crate::places::{Places, Source};
use crate::profile::{Function, Profile};

/// The steps, and what stands around them.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Step {
    Edge,
    Accept,
    Identify,
    Peek,
    Decide,
    Admit,
    Route,
    Forward,
    Respond,
    Meter,
    Record,
    Between,
    Line,
}

impl Step {
    pub(crate) const ALL: [Self; 13] = [
        Self::Edge,
        Self::Accept,
        Self::Identify,
        Self::Peek,
        Self::Decide,
        Self::Admit,
        Self::Route,
        Self::Forward,
        Self::Respond,
        Self::Meter,
        Self::Record,
        Self::Between,
        Self::Line,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Edge => "the caller's connection",
            Self::Accept => "ACCEPT, with the guard",
            Self::Identify => "IDENTIFY",
            Self::Peek => "PEEK",
            Self::Decide => "DECIDE",
            Self::Admit => "ADMIT",
            Self::Route => "ROUTE",
            Self::Forward => "FORWARD",
            Self::Respond => "the answer's head",
            Self::Meter => "METER",
            Self::Record => "RECORD, with the log",
            Self::Between => "between the steps",
            Self::Line => "the upstream's connection",
        }
    }

    /// The step that a file of the house is part of; none of a room that steps share.
    fn of(file: &str, function: &str) -> Option<Self> {
        let (_, step) = OF_FILES.iter().find(|(prefix, _)| {
            let rest = file.strip_prefix(prefix);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })?;
        // All steps write into the run, whose end is the record.
        if matches!(file, "trip/record" | "trip/record/place") && function != "drop" {
            return None;
        }
        Some(*step)
    }
}

/// Files without their ending, or folders; the first that fits.
const OF_FILES: [(&str, Step); 19] = [
    ("edge/guard", Step::Accept),
    ("edge", Step::Edge),
    ("trip/accept", Step::Accept),
    ("trip/identify", Step::Identify),
    ("trip/peek", Step::Peek),
    ("trip/decide", Step::Decide),
    ("trip/admit", Step::Admit),
    ("trip/route", Step::Route),
    ("trip/forward", Step::Forward),
    ("trip/respond", Step::Respond),
    ("trip/stop", Step::Respond),
    ("trip/meter", Step::Meter),
    ("trip/record", Step::Record),
    ("trip/mod", Step::Between),
    ("upstream/connect", Step::Line),
    ("upstream/http2/mod", Step::Line),
    ("upstream/http2/pulse", Step::Line),
    ("upstream", Step::Forward),
    ("spine/log", Step::Record),
];

/// A profile, split in two ways. Both add up to the same.
#[derive(Debug, Default)]
pub(crate) struct Price {
    /// By step; without one, what no step called: the runtime.
    pub(crate) steps: BTreeMap<Option<Step>, f64>,
    /// By room of the house, or library. What is inlined from the standard library counts for whoever called it.
    pub(crate) rooms: BTreeMap<String, f64>,
    /// What is in `steps` without a step, by room.
    pub(crate) stepless: BTreeMap<String, f64>,
}

/// Shares of the steps in something; what is missing from one is nobody's.
type Mix = BTreeMap<Step, f64>;

/// Splits a profile of a program whose frames are known; other objects have none.
pub(crate) fn price(profile: &Profile, program: &str, places: &Places) -> Price {
    let frames = |function: Function, address: u64| -> &[Source] {
        if profile.object(function) != program {
            return &[];
        }
        places.get(&address).map_or(&[], Vec::as_slice)
    };
    let mixes = mixes(profile, &frames);
    let mut price = Price::default();
    for ((function, address), cost) in &profile.own {
        let frames = frames(*function, *address);
        let room = room(frames, profile.object(*function));
        let amount = *cost as f64;
        if let Some(step) = step(frames) {
            *price.steps.entry(Some(step)).or_default() += amount;
        } else {
            let mut left = 1.0;
            for (step, share) in mixes.get(function).into_iter().flatten() {
                *price.steps.entry(Some(*step)).or_default() += amount * share;
                left -= share;
            }
            *price.steps.entry(None).or_default() += amount * left;
            *price.stepless.entry(room.clone()).or_default() += amount * left;
        }
        *price.rooms.entry(room).or_default() += amount;
    }
    price
}

/// The steps that called each function, directly or through others that are no step's.
fn mixes<'a>(
    profile: &Profile,
    frames: &impl Fn(Function, u64) -> &'a [Source],
) -> HashMap<Function, Mix> {
    let mut callers: HashMap<Function, Vec<(Function, Option<Step>, f64)>> = HashMap::new();
    for ((caller, address, called), cost) in &profile.calls {
        // Between two lives, a call may have become rarer by chance; it says nothing about who calls.
        if *cost > 0 && caller != called {
            let step = step(frames(*caller, *address));
            let from = (*caller, step, *cost as f64);
            callers.entry(*called).or_default().push(from);
        }
    }
    let mut mixes: HashMap<Function, Mix> = HashMap::new();
    for _ in 0..DEPTH {
        let mut next = HashMap::with_capacity(callers.len());
        for function in profile.functions() {
            let Some(from) = callers.get(&function) else {
                continue;
            };
            let whole: f64 = from.iter().map(|(_, _, cost)| cost).sum();
            let mut mix = Mix::new();
            for (caller, step, cost) in from {
                let share = cost / whole;
                if let Some(step) = step {
                    *mix.entry(*step).or_default() += share;
                    continue;
                }
                for (step, part) in mixes.get(caller).into_iter().flatten() {
                    *mix.entry(*step).or_default() += share * part;
                }
            }
            next.insert(function, mix);
        }
        mixes = next;
    }
    mixes
}

/// How far a caller may be from a step; the deepest chains of calls in between are a few dozen.
const DEPTH: usize = 100;

fn step(frames: &[Source]) -> Option<Step> {
    frames.iter().find_map(|frame| match frame {
        Source::House { file, function } => Step::of(file, function),
        Source::Bench(_) | Source::Library(_) | Source::Std | Source::Unknown => None,
    })
}

fn room(frames: &[Source], object: &str) -> String {
    let named = frames.iter().find_map(|frame| match frame {
        Source::House { file, .. } => Some(format!("src/{}", two_deep(file))),
        Source::Bench(file) => Some(format!("benches/trip/{file}")),
        Source::Library(name) => Some(name.clone()),
        Source::Std | Source::Unknown => None,
    });
    if let Some(named) = named {
        return named;
    }
    if frames.contains(&Source::Std) {
        return "std, not inlined".to_owned();
    }
    let file = object.rsplit_once('/').map_or(object, |(_, file)| file);
    format!("{file}, without source")
}

fn two_deep(file: &str) -> &str {
    let mut slashes = file.match_indices('/').map(|(at, _)| at);
    slashes.nth(1).map_or(file, |second| &file[..second])
}
