//! What the books cost: to take and settle a call of every dimension at once, to know a tenant's budgets, and to find again
//! what was spent. Each is measured beside something it can be compared with, in the same run.
//!
//! It must never give a time of something that went wrong.
#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::float_arithmetic,
    clippy::indexing_slicing,
    reason = "a bench prints, looks at the clock, and ends where something went wrong"
)]

mod ledger;
mod now;
mod past;

use std::time::Duration;

use clap::Parser;

/// Measures the ledger of a tenant, its memory, and the recovery of a journal.
#[derive(Debug, Parser)]
#[command(name = "books")]
struct Args {
    /// Records in the journal that is recovered
    #[arg(long, default_value_t = 1_000_000)]
    records: u64,
    /// Tenants whose memory is measured
    #[arg(long, default_value_t = 10_000)]
    tenants: usize,
    /// Rounds of each measure
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Little of everything, to see that it works
    #[arg(long)]
    smoke: bool,
    /// Given by `cargo bench`; means nothing
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let args = Args::parse();
    let (records, tenants, rounds) = if args.smoke {
        (2_000, 100, 1)
    } else {
        (args.records, args.tenants, args.rounds)
    };
    ledger::memory(tenants);
    ledger::times(rounds, if args.smoke { 1_000 } else { 200_000 });
    now::records(if args.smoke { 640 } else { 128_000 });
    past::recovery(records);
    if args.smoke {
        println!("smoke run: it works; the numbers mean nothing");
    }
}

/// The one in the middle.
fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
