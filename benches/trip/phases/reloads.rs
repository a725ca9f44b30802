//! What a reload costs those who are being served: the same load at a fixed rate with and without a new configuration every
//! 100 ms, in turns, on one process. It must never report a window in which the reloads did not happen.

use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Ask, Bench, Load, Subject, Window};
use crate::histogram::Histogram;
use crate::observe;
use crate::subject::Kind;

/// Between two reloads.
const EVERY: Duration = Duration::from_millis(100);
/// Plain requests per second, unless told otherwise; far from saturation, where a p99 is the scheduler's.
const RATE: u32 = 1_000;
/// Streams begun per second, of 50 chunks each.
const STREAM_RATE: u32 = 50;

/// The three windows of a turn; the second quiet one shows what the machine does by itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Turn {
    Quiet,
    Reloads,
    Again,
}

const TURNS: [Turn; 3] = [Turn::Quiet, Turn::Reloads, Turn::Again];

/// What the rounds gave, by turn.
#[derive(Debug, Default)]
struct Seen {
    plain: [Vec<Window>; 3],
    stream: [Vec<Window>; 3],
    reloads: u64,
    /// Processor time of one while nobody is served, before each round.
    alone: Vec<Duration>,
}

impl Bench {
    /// Runs the rounds and gives the table.
    pub(crate) fn reloads(&self) -> io::Result<String> {
        let mut subject = self.launch(Kind::Outrigger)?;
        let mut seen = Seen::default();
        for round in 0..self.shape.rounds {
            eprintln!("round {} of {}", round + 1, self.shape.rounds);
            seen.alone.push(self.alone(&subject)?);
            let mut turns = TURNS;
            turns.rotate_left(round % TURNS.len());
            for turn in turns {
                for (ask, windows) in [
                    (Ask::Plain, &mut seen.plain),
                    (Ask::Stream, &mut seen.stream),
                ] {
                    let (window, reloads) = self.turn(&subject, turn, &self.paced(ask))?;
                    windows[turn as usize].push(window);
                    seen.reloads += reloads;
                }
                subject.drain_log()?;
            }
        }
        subject.stop(Duration::from_secs(10))?;
        Ok(seen.table())
    }

    fn paced(&self, ask: Ask) -> Load {
        let (connections, rate) = match ask {
            Ask::Plain => (self.shape.connections, self.shape.rate.unwrap_or(RATE)),
            Ask::Stream => (self.shape.streams, STREAM_RATE),
        };
        let connected = u32::try_from(connections).unwrap_or(1);
        Load {
            ask,
            connections,
            slice: self.shape.phase,
            interval: Some(Duration::from_secs(1) * connected / rate.max(1)),
        }
    }

    /// Processor time of one reload, of all threads together, with nobody served: as little disturbed as can be.
    fn alone(&self, subject: &Subject) -> io::Result<Duration> {
        let pid = signalled(subject)?;
        let dir = &self.launcher.dir;
        let first = generation(subject)?;
        let over = AtomicBool::new(false);
        let used = std::thread::scope(|scope| {
            let changes = scope.spawn(|| change_until(dir, pid, &over));
            let used = (|| {
                let used = || Ok::<_, io::Error>(observe::cpu(&[pid])?.unwrap_or_default());
                let before = used()?;
                std::thread::sleep(self.shape.phase);
                Ok::<_, io::Error>(used()?.saturating_sub(before))
            })();
            over.store(true, Ordering::Relaxed);
            (used, changes.join())
        });
        let (Ok(used), Ok(Ok(()))) = used else {
            return Err(io::Error::other("the configuration could not be changed"));
        };
        let published = generation(subject)?.saturating_sub(first);
        Ok(used / u32::try_from(published.max(1)).unwrap_or(u32::MAX))
    }

    /// One window, and how many generations were published in it.
    fn turn(&self, subject: &Subject, turn: Turn, load: &Load) -> io::Result<(Window, u64)> {
        if turn != Turn::Reloads {
            return Ok((self.window(subject, load)?, 0));
        }
        let pid = signalled(subject)?;
        let dir = &self.launcher.dir;
        let before = generation(subject)?;
        let begun = Instant::now();
        let over = AtomicBool::new(false);
        let (window, changed) = std::thread::scope(|scope| {
            let changes = scope.spawn(|| change_until(dir, pid, &over));
            let window = self.window(subject, load);
            over.store(true, Ordering::Relaxed);
            let changed = changes.join().unwrap_or_else(|_| {
                Err(io::Error::other(
                    "the thread that changes the config panicked",
                ))
            });
            (window, changed)
        });
        changed?;
        let published = generation(subject)? - before;
        let due = begun.elapsed().as_millis() / EVERY.as_millis();
        if u128::from(published) * 10 < due * 7 {
            let what = format!("{published} reloads in the time of {due}");
            return Err(io::Error::other(what));
        }
        Ok((window?, published))
    }
}

fn signalled(subject: &Subject) -> io::Result<Pid> {
    let pid = subject.family().first().copied();
    pid.ok_or_else(|| io::Error::other("nothing to signal"))
}

/// A new configuration, and the signal to read it, until told to stop.
fn change_until(dir: &Path, pid: Pid, over: &AtomicBool) -> io::Result<()> {
    let config = dir.join("outrigger.toml");
    let beside = dir.join("next.toml");
    let text = std::fs::read_to_string(&config)?;
    let mut due = Instant::now();
    let mut number = 0_u64;
    while !over.load(Ordering::Relaxed) {
        number += 1;
        std::fs::write(&beside, format!("{text}\n# {number}\n"))?;
        std::fs::rename(&beside, &config)?;
        kill(pid, Signal::SIGHUP)?;
        due += EVERY;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    std::fs::write(&beside, &text)?;
    std::fs::rename(&beside, &config)
}

fn generation(subject: &Subject) -> io::Result<u64> {
    let address = subject
        .telemetry()
        .ok_or_else(|| io::Error::other("no telemetry"))?;
    let page = super::ends::page(address)?;
    String::from_utf8_lossy(&page)
        .lines()
        .find_map(|line| line.strip_prefix("outrigger_config_generation "))
        .and_then(|value| value.trim().parse().ok())
        .ok_or_else(|| io::Error::other("`/metrics` knows no generation"))
}

/// What is read off a window's histograms, in microseconds.
type Reading = fn(&Window) -> f64;

const ROWS: [(&str, bool, Reading); 5] = [
    ("plain p50, us", true, |it| micros(&it.tally.whole, 500)),
    ("plain p99, us", true, |it| micros(&it.tally.whole, 990)),
    ("first token p50, us", false, |it| {
        micros(&it.tally.first, 500)
    }),
    ("first token p99, us", false, |it| {
        micros(&it.tally.first, 990)
    }),
    ("whole stream p99, us", false, |it| {
        micros(&it.tally.whole, 990)
    }),
];

fn micros(histogram: &Histogram, permille: u64) -> f64 {
    histogram.percentile(permille) as f64 / 1_000.0
}

impl Seen {
    fn table(&self) -> String {
        let mut text = String::from(
            "a reload every 100 ms, in turns with none; all rounds together, and the median ratio within a round [lowest .. highest]\n",
        );
        let _ = writeln!(
            text,
            "{:<22}{:>10}{:>10}{:>10}   reloads/quiet          again/quiet",
            "", "quiet", "reloads", "again"
        );
        for (name, is_plain, reading) in ROWS {
            let windows = if is_plain { &self.plain } else { &self.stream };
            let values = windows
                .each_ref()
                .map(|turn| turn.iter().map(reading).collect::<Vec<_>>());
            let [quiet, reloads, again] = windows.each_ref().map(|turn| together(turn, reading));
            let _ = writeln!(
                text,
                "{name:<22}{quiet:>10.0}{reloads:>10.0}{again:>10.0}   {:<20}   {}",
                ratios(&values[1], &values[0]),
                ratios(&values[2], &values[0]),
            );
        }
        let alone = self.alone.iter().map(|one| one.as_secs_f64() * 1_000.0);
        let alone: Vec<f64> = alone.collect();
        let _ = writeln!(
            text,
            "reloads published: {}; processor time of one: {:.2} ms under load, {:.2} ms [{:.2} .. {:.2}] alone",
            self.reloads,
            self.cpu_of_one(),
            median(&alone),
            alone.iter().copied().fold(f64::INFINITY, f64::min),
            alone.iter().copied().fold(0.0, f64::max),
        );
        text
    }

    /// At the same rate a window differs from the quiet ones by its reloads.
    fn cpu_of_one(&self) -> f64 {
        let all = |turn: Turn| -> Duration {
            let windows = self.plain[turn as usize]
                .iter()
                .chain(&self.stream[turn as usize]);
            windows.filter_map(|window| window.cpu).sum()
        };
        let quiet = (all(Turn::Quiet) + all(Turn::Again)) / 2;
        let extra = all(Turn::Reloads).saturating_sub(quiet);
        extra.as_secs_f64() * 1_000.0 / (self.reloads.max(1) as f64)
    }
}

fn ratios(values: &[f64], of: &[f64]) -> String {
    let ratios: Vec<f64> = values
        .iter()
        .zip(of)
        .map(|(value, of)| value / of)
        .collect();
    let lowest = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = ratios.iter().copied().fold(0.0, f64::max);
    format!("{:.2} [{lowest:.2} .. {highest:.2}]", median(&ratios))
}

/// A p99 of forty streams is the slowest of them; of all rounds together it is a p99.
fn together(windows: &[Window], reading: Reading) -> f64 {
    let mut windows = windows.iter();
    let Some(first) = windows.next() else {
        return f64::NAN;
    };
    reading(&windows.fold(first.clone(), Window::and))
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
