//! One tenant's ledger: the time of a call, and the memory of all. It must never let a call be refused that it times.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use outrigger::limits::{
    Account, Ask, BudgetSpec, Claim, LimitSpec, OnLost, Period, Rate, Scope, Want, Who,
};
use outrigger::units::{Boot, NanoUsd, Wall};

use crate::median;

const NOON: Wall = Wall(1_796_040_000_000);
const PLENTY: u64 = u64::MAX / 4;
const DOLLAR: NanoUsd = NanoUsd(1_000_000_000);

fn budget(name: &str, period: Period, scope: Scope, zone: &TimeZone) -> BudgetSpec {
    BudgetSpec {
        name: name.into(),
        amount: NanoUsd(PLENTY),
        period,
        zone: zone.clone(),
        scope,
        on_lost: OnLost::Full,
    }
}

/// Seven: one of each kind, and one for each agent.
fn budgets() -> Vec<BudgetSpec> {
    let zone = TimeZone::get("Europe/Amsterdam").expect("a time zone");
    let of = |name, period| budget(name, period, Scope::Tenant, &zone);
    vec![
        of("hourly", Period::Hour),
        of("daily", Period::Day),
        of("weekly", Period::Week),
        of("monthly", Period::Month(1)),
        of("total", Period::Total),
        of("rolling", Period::Rolling(Duration::from_hours(24))),
        budget("agents", Period::Day, Scope::Agent, &zone),
    ]
}

/// Five limits, and so many budgets.
fn spec(budgets: Vec<BudgetSpec>) -> LimitSpec {
    let rate = Some(Rate {
        amount: 1_000_000_000,
        per: Duration::from_secs(1),
        burst: None,
    });
    LimitSpec {
        requests: rate,
        input_tokens: rate,
        output_tokens: rate,
        tokens: rate,
        streams: Some(1_000_000),
        budgets,
        ..LimitSpec::default()
    }
}

/// A call of one nano-dollar.
fn call(account: &Arc<Account>, now: Boot) {
    let want = Want {
        ask: Ask {
            input: 100,
            output: 100,
        },
        claim: Some(Claim {
            amount: NanoUsd(2),
            at: NOON,
            who: Who {
                agent: Some("planner"),
                ..Who::default()
            },
        }),
    };
    let mut hold = account.reserve(now, want).expect("there is plenty");
    let settled = hold.settle(now, 90, 80, NanoUsd(1));
    std::hint::black_box(settled);
}

/// Takes and settles calls of five dimensions, and of twelve.
pub(crate) fn times(rounds: usize, calls: u32) {
    println!("\na call taken, settled and given back, median of {rounds} rounds of {calls}");
    let accounts = [
        ("5 limits", spec(Vec::new())),
        ("5 limits, 1 budget", spec(budgets()[1..2].to_vec())),
        ("5 limits, 7 budgets", spec(budgets())),
    ]
    .map(|(name, spec)| (name, Account::new(&spec, Boot(1))));
    let mut seen = accounts.each_ref().map(|_| Vec::new());
    for _ in 0..rounds {
        for ((_, account), seen) in accounts.iter().zip(&mut seen) {
            let began = Instant::now();
            for nth in 0..calls {
                call(account, Boot(1 + u64::from(nth) * 1_000));
            }
            seen.push(began.elapsed() / calls);
        }
    }
    for ((name, _), seen) in accounts.iter().zip(seen) {
        println!("{name:<24}{:>8} ns", median(seen).as_nanos());
    }
}

/// How much memory tenants take that have spent of every budget, beside some that have none.
pub(crate) fn memory(tenants: usize) {
    println!("memory of {tenants} tenants, each of which has called");
    // What is given back would be used again, and not be seen.
    let mut kept = Vec::new();
    for (name, spec) in [
        ("5 limits", spec(Vec::new())),
        ("5 limits, 1 budget", spec(budgets()[1..2].to_vec())),
        ("5 limits, 7 budgets", spec(budgets())),
    ] {
        let before = resident();
        let accounts: Vec<_> = (0..tenants).map(|_| Account::new(&spec, Boot(1))).collect();
        for account in &accounts {
            call(account, Boot(2));
            assert!(
                account
                    .left(NOON, Who::default())
                    .is_none_or(|left| left > DOLLAR)
            );
        }
        let bytes = resident().saturating_sub(before);
        let each = bytes / u64::try_from(tenants).unwrap_or(1).max(1);
        println!("{name:<24}{each:>8} bytes each");
        kept.push(accounts);
    }
}

/// Bytes of memory that are this process's own.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) * 1_024
}
