//! The soak: many callers of all manners and both protocols, over all dialects and endpoints, against a provider with every fault, through a
//! sidecar process. Afterwards every call has exactly one record, with the ending and the tally that what the
//! provider did demands; nothing is held; and the process has not grown. Must never be lenient about a count.
//!
//! `SOAK_SECONDS` is how long it takes (6 if not said), `SOAK_SEED` where the draws begin, `OUTRIGGER_UNDER_TEST` the program.

mod call;
mod hear;
mod judge;
mod two;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use outrigger::simulator::Fault;
use serde_json::Value;
use tokio::time::Instant;

use crate::pair::{Load, Pair};
use crate::stage::{hash_of, sum, until, within};
use call::{Call, Dice, TENANTS};
use hear::Heard;

/// Callers at once.
const AGENTS: u64 = 32;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_trip_ends_once_and_as_it_must() {
    let span = Duration::from_secs(number("SOAK_SECONDS", 6));
    let seed = number("SOAK_SEED", 1);
    let pair = Pair::start(&[], config).await;
    let began = Instant::now();
    let agents: Vec<_> = (0..AGENTS)
        .map(|lane| {
            let at = pair.sidecar.proxy;
            outrigger::host::spawn("soak-agent", work(at, seed, lane, began, span))
        })
        .collect();
    let loads = watch(&pair, began, span).await;
    let mut calls = Vec::new();
    for agent in agents {
        calls.extend(agent.await.expect("an agent that ends"));
    }
    pair.at_rest().await;
    let story = verdict(&pair, &calls).await;
    let flat = flatness(&loads);
    println!("soak: seed {seed}, {} s, {story}\n{flat}", span.as_secs());
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// One agent's day: its calls, and what it heard.
async fn work(
    at: SocketAddr,
    seed: u64,
    lane: u64,
    began: Instant,
    span: Duration,
) -> Vec<(Call, Heard)> {
    let mut dice = Dice::of(seed, lane);
    let mut agent = Agent::new(at, lane);
    let mut calls = Vec::new();
    let mut number = 0;
    while began.elapsed() < span {
        number += 1;
        let call = Call::drawn(&mut dice, &format!("n{seed}x{lane}x{number}"));
        let what = format!("an answer to {call:?}");
        let heard = Box::pin(within(&what, agent.heard(&call))).await;
        calls.push((call, heard));
        // All calls are kept for the verdict, so a longer soak makes them more slowly.
        tokio::time::sleep(span / 6000).await;
    }
    calls
}

/// One in four speaks HTTP/2.
enum Agent {
    One(hear::Agent),
    Two(two::Agent),
}

impl Agent {
    fn new(at: SocketAddr, lane: u64) -> Self {
        if lane.is_multiple_of(4) {
            Self::Two(two::Agent::new(at))
        } else {
            Self::One(hear::Agent::new(at))
        }
    }

    async fn heard(&mut self, call: &Call) -> Heard {
        match self {
            Self::One(agent) => agent.heard(call).await,
            Self::Two(agent) => agent.heard(call).await,
        }
    }
}

/// The load, from when everything is warm to the end.
async fn watch(pair: &Pair, began: Instant, span: Duration) -> Vec<Load> {
    let mut loads = Vec::new();
    let warm = span / 4;
    while began.elapsed() < span {
        tokio::time::sleep(span / 80).await;
        if began.elapsed() > warm {
            loads.push(pair.load().await);
        }
    }
    loads
}

/// The second half takes up no more than the first, but for a tenth and a little.
fn flatness(loads: &[Load]) -> String {
    let (first, second) = loads.split_at(loads.len() / 2);
    let mut told = String::new();
    for (name, of, slack) in [
        (
            "resident bytes",
            (|load: &Load| load.resident) as fn(&Load) -> u64,
            2 << 20,
        ),
        ("descriptors", |load: &Load| load.descriptors, 16),
        ("tasks", |load: &Load| load.tasks, 16),
    ] {
        let (before, after) = (median(first, of), median(second, of));
        writeln!(
            told,
            "{name}: {before} in the first half, {after} in the second"
        )
        .expect("text");
        assert!(
            after <= before + before / 10 + slack,
            "{name} grow: {loads:?}"
        );
    }
    told
}

fn median(loads: &[Load], of: impl Fn(&Load) -> u64) -> u64 {
    let mut values: Vec<u64> = loads.iter().map(of).collect();
    values.sort_unstable();
    values[values.len() / 2]
}

/// Holds the records against what was called, what was heard and what the provider has seen.
async fn verdict(pair: &Pair, calls: &[(Call, Heard)]) -> String {
    let page = pair.metrics().await;
    let dropped = sum(&page, "outrigger_log_dropped_total", "");
    assert_eq!((dropped, sum(&page, "outrigger_panics_total", "")), (0, 0));
    // The log's writer comes a moment later than the trips' end.
    let counted = sum(&page, "outrigger_requests_total", "");
    until("every line to be written", || {
        pair.sidecar.requests().len() as u64 >= counted
    })
    .await;
    let lines = pair.sidecar.requests();
    let mut books = Books::default();
    for line in &lines {
        let id = line["request_id"].as_str().expect("an id");
        let before = books.records.insert(id, line);
        assert!(before.is_none(), "two records of {id}");
        *books.endings.entry(word(line, "ending")).or_default() += 1;
    }
    for (call, heard) in calls {
        books.settle(call, heard);
    }
    for tenant in 0..TENANTS.len() {
        books.settle_unheard(tenant, calls);
    }
    let total = calls.len();
    assert_eq!(lines.len(), total - books.gone, "records and calls");
    assert_eq!(counted, lines.len() as u64, "counted once");
    let left = lines.iter().filter(|line| line.get("left_us").is_some());
    let left = left.count() as u64;
    let seen = pair.provider.requests().await;
    assert!(seen <= left, "{seen} came to the provider, {left} left");
    books.told(calls, seen)
}

fn word<'l>(line: &'l Value, name: &str) -> &'l str {
    line[name].as_str().unwrap_or("none")
}

/// The records, as they are claimed by the calls.
#[derive(Default)]
struct Books<'l> {
    records: HashMap<&'l str, &'l Value>,
    endings: BTreeMap<&'l str, usize>,
    failures: Vec<String>,
    /// Callers that gave a request up which may not have left: these made no trip.
    gone: usize,
    /// Calls that met a connection which the provider was closing.
    stale: usize,
}

impl Books<'_> {
    fn settle(&mut self, call: &Call, heard: &Heard) {
        let record = heard.id().map(|id| self.records.remove(id));
        if judge::met_a_closing_connection(call, heard, record.flatten()) {
            self.stale += 1;
            return;
        }
        let found = record.map(|record| record.unwrap_or(&Value::Null));
        if let Err(why) = judge::judge(call, heard, found) {
            let told = heard.told();
            self.failures
                .push(format!("{why}\n{call:?}\n{told}\n{record:?}"));
        }
    }

    /// What is left must be those that heard no id: whatever was sent is a trip, however soon its caller was gone.
    fn settle_unheard(&mut self, tenant: usize, calls: &[(Call, Heard)]) {
        let unheard = calls
            .iter()
            .filter(|(call, heard)| call.tenant == tenant && heard.id().is_none());
        let tenant = TENANTS[tenant];
        let (sent, unsent): (Vec<_>, Vec<_>) = unheard.partition(|(_, heard)| heard.sent);
        let unclaimed = self.records.values();
        let unclaimed = unclaimed.filter(|line| line["tenant"] == tenant).count();
        let (least, most) = (sent.len(), sent.len() + unsent.len());
        assert!(
            (least..=most).contains(&unclaimed),
            "{unclaimed} records of {tenant} for {least} to {most} calls that heard nothing"
        );
        self.gone += most - unclaimed;
    }

    fn told(&self, calls: &[(Call, Heard)], seen: u64) -> String {
        let some = self.failures.iter().take(8).cloned();
        let some = some.collect::<Vec<_>>().join("\n---\n");
        let (failed, total) = (self.failures.len(), calls.len());
        assert!(failed == 0, "{failed} of {total}:\n{some}");
        let closes = calls
            .iter()
            .filter(|(call, _)| matches!(call.fault, Some((_, Fault::Close | Fault::Early))));
        let (stale, closed, gone) = (self.stale, closes.count(), self.gone);
        assert!(
            stale <= closed,
            "{stale} met a closing connection, {closed} were closed"
        );
        format!(
            "{total} calls, {gone} given up before they had left, {stale} met a closing connection, \
             {seen} came to the provider: {:?}",
            self.endings
        )
    }
}

/// Two tenants without limits, and two that are always near them.
fn config(provider: SocketAddr) -> String {
    let mut text = String::from(
        "[listen]\nproxy = \"127.0.0.1:0\"\ntelemetry = \"127.0.0.1:0\"\n[log]\nformat = \"json\"\n\
         [identity]\naccept = [\"key\"]\n",
    );
    for dialect in ["openai", "anthropic"] {
        write!(text, "[upstreams.{dialect}]\ndialect = \"{dialect}\"\nurl = \"http://{provider}\"\nkey = \"of-the-operator\"\n\
             first_byte_timeout = \"2s\"\nbetween_bytes_timeout = \"2s\"\n").expect("text");
    }
    for (name, limits) in TENANTS.iter().zip([
        "",
        "",
        "limits.requests = \"20/s\"\nlimits.queue_wait = \"100ms\"\n",
        "limits.streams = 2\nlimits.queue = 2\nlimits.queue_wait = \"50ms\"\n",
    ]) {
        write!(
            text,
            "[tenants.{name}]\nkeys = [\"{}\"]\n{limits}",
            hash_of(&call::key(name))
        )
        .expect("text");
    }
    text
}
