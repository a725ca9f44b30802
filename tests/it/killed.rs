//! A sidecar that is killed at any instant while tenants call through it, on a disk that is well, full, slow or failing; and
//! started again on what is left. The upstream and the callers are in this process and outlive it: what they saw is compared
//! with what the journal says and with what the budgets have spent. Must never believe the sidecar about what it sent.
//!
//! `KILLS=1000` for the long run, `KILLS_SEED` for another one; each test says its seed.

mod calls;
mod house;
mod left;
mod upstream;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use outrigger::host;

use crate::stage::{Upstream, within};
use calls::{Told, call};
use house::{Disk, House};
use left::{check_left, check_restarted, latest_line};
use upstream::{Billed, locked, play};

const TENANTS: [&str; 3] = ["acme", "globex", "zeta"];

/// Numbers that look random, and are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, beyond: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % beyond
    }
}

/// What came of a number of kills.
#[derive(Debug, Default)]
struct Counts {
    /// Starts that a failing disk did not let happen.
    unstarted: u64,
    /// Requests that the upstream saw.
    seen: usize,
    /// Answers that a caller saw the end of.
    whole: usize,
    refused: usize,
    /// Streams that ended early because they could not be recorded.
    cut: usize,
    /// Requests that were settled at what they held.
    unknown: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        self.unstarted += more.unstarted;
        self.seen += more.seen;
        self.whole += more.whole;
        self.refused += more.refused;
        self.cut += more.cut;
        self.unknown += more.unknown;
    }
}

/// Kills a sidecar so many times. None where the machine has no such disk.
async fn kill_in_a_loop(disk: Disk, kills: u64, dice: &mut Dice) -> Option<Counts> {
    let upstream = Upstream::bind().await;
    let billed = Arc::new(Billed::default());
    let house = House::build(disk, upstream.at)?;
    host::spawn("test-upstream", play(upstream, Arc::clone(&billed)));
    let mut counts = Counts::default();
    let mut elsewhere = String::new();
    for life in 0..kills {
        house.configure(if dice.below(3) == 0 {
            "strict"
        } else {
            "batch"
        });
        // What a failing disk has left is looked at when it does not fail.
        if disk == Disk::Failing {
            check_anew(&house, &billed, life).await;
        }
        let mut child = house.begin(disk);
        let mut told = Vec::new();
        if dice.below(4) == 0 && life > 0 {
            // Perhaps while it opens the journal.
            tokio::time::sleep(Duration::from_millis(dice.below(150))).await;
            child.kill().await.expect("a child");
        } else if let Some(at) = house.ready(&mut child).await {
            if disk != Disk::Failing {
                check_restarted(&house, &billed, life).await;
            }
            let calls = calls(at, disk, life, &billed);
            let (least, more) = disk.span();
            tokio::time::sleep(Duration::from_millis(least + dice.below(more))).await;
            child.kill().await.expect("a child");
            billed.quiet().await;
            for call in calls {
                told.push(within("a caller to end", call).await.expect("a caller"));
            }
        } else {
            counts.unstarted += 1;
        }
        check_left(&house, &told, &billed, &elsewhere).await;
        counts.whole += told.iter().map(|told| told.whole.len()).sum::<usize>();
        counts.refused += told.iter().map(|told| told.refused.len()).sum::<usize>();
        elsewhere = latest_line(&house.journal()).unwrap_or(elsewhere);
    }
    counts.unknown = check_anew(&house, &billed, kills).await;
    counts.seen = locked(&billed.seen).len();
    counts.cut = locked(&billed.cut).len();
    Some(counts)
}

/// Starts a sidecar only to look what it has found.
async fn check_anew(house: &House, billed: &Billed, lives: u64) -> u64 {
    let mut child = house.begin(Disk::Fine);
    house.ready(&mut child).await;
    let unknown = check_restarted(house, billed, lives).await;
    child.kill().await.expect("a child");
    unknown
}

fn calls(
    at: SocketAddr,
    disk: Disk,
    life: u64,
    billed: &Arc<Billed>,
) -> Vec<tokio::task::JoinHandle<Told>> {
    let callers = 0..disk.callers();
    let calls = callers.map(|number| {
        let tenant = TENANTS[number % TENANTS.len()];
        let name = format!("l{life}c{number}");
        host::spawn("test-caller", call(at, tenant, name, Arc::clone(billed)))
    });
    calls.collect()
}

/// So many kills, or the part of `KILLS` that this disk has.
async fn kills_on(disk: Disk, usual: u64) -> Option<Counts> {
    let variable = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(text.parse::<u64>().expect("a number"))
    };
    let kills = variable("KILLS").map_or(usual, |kills| kills.div_ceil(20 / usual));
    let seed = variable("KILLS_SEED").unwrap_or(20_261_124);
    println!("{disk:?}: {kills} kills, KILLS_SEED={seed}");
    let mut dice = Dice(seed);
    let mut counts = Counts::default();
    let mut left = kills;
    while left > 0 {
        let now = left.min(disk.kills_each());
        counts += kill_in_a_loop(disk, now, &mut dice).await?;
        left -= now;
    }
    println!("{disk:?}: {counts:?}");
    assert!(counts.whole > 0, "nothing happened");
    Some(counts)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_left_is_on_record_and_paid_for_however_often_the_process_is_killed() {
    let counts = kills_on(Disk::Fine, 20).await.expect("a disk");
    assert_eq!((counts.refused, counts.cut), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_it_is_where_the_disk_is_full() {
    let counts = kills_on(Disk::Full, 4).await;
    assert!(counts.is_none_or(|counts| counts.refused > 0), "not full");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_it_is_where_the_disk_is_slow() {
    kills_on(Disk::Slow, 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_it_is_where_the_disk_fails() {
    let counts = kills_on(Disk::Failing, 4).await;
    assert!(
        counts.is_none_or(|counts| counts.refused > 0),
        "it did not fail"
    );
}
