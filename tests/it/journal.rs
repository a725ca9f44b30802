//! The journal and processes that end at any instant: whatever was sent has its intent, whatever was settled stays, and what
//! is left of the files is valid. `KILLS=1000` for the long run.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use outrigger::host::SystemClock;
use outrigger::journal::{
    Journal, Kind, Mode, OnFailure, Reader, Record, Recovery, Settings, Terms, Wanted, WindowId,
    verify,
};
use outrigger::units::NanoUsd;

const DIRECTORY: &str = "OUTRIGGER_TEST_JOURNAL";
const TENANTS: [&str; 3] = ["acme", "strict", "zeta"];
const HELD: u64 = 100;
const SETTLED: u64 = 60;

/// Many segments, little room at a time, and a disk that is full now and then.
fn settings() -> Settings {
    Settings {
        segment_bytes: 512 << 10,
        step_bytes: 128 << 10,
        reserve_bytes: 0,
        checkpoint_every: Duration::from_millis(20),
        ..Settings::default()
    }
}

fn terms(tenant: &str) -> Terms {
    Terms {
        mode: if tenant == "strict" {
            Mode::Strict
        } else {
            Mode::Batch
        },
        on_failure: OnFailure::Refuse,
        ..Terms::default()
    }
}

fn windows(amount: u64) -> [(WindowId, NanoUsd); 2] {
    [1, 2].map(|budget| {
        let start = 1_795_996_800;
        (WindowId { budget, start }, NanoUsd(amount))
    })
}

fn record<'a>(windows: &'a [(WindowId, NanoUsd)], payload: &'a [u8]) -> Record<'a> {
    Record {
        whole: windows[0].1,
        windows,
        payload,
    }
}

/// Where a process says what it has sent and what it has seen the end of, as an upstream and a client would know: one byte
/// for the tenant, one for what, in a single write each.
fn say(what: u8, tenant: u8) {
    _ = std::io::stderr().write_all(&[what, tenant]);
}

/// Not a test: the process that is killed. It writes until it dies.
#[test]
#[ignore = "started by the one that kills it"]
fn child_that_writes() {
    let Ok(directory) = std::env::var(DIRECTORY) else {
        return;
    };
    let total_bytes =
        std::env::var("OUTRIGGER_TEST_ROOM").map_or(u64::MAX >> 1, |room| room.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let settings = Settings {
        total_bytes,
        ..settings()
    };
    let (journal, _) =
        Journal::open(Path::new(&directory), settings, Arc::new(SystemClock)).unwrap();
    say(b'r', 0);
    runtime.block_on(async {
        let tasks = (0..12_u8).map(|task| {
            let tenant = task % 3;
            let name = TENANTS[usize::from(tenant)];
            let book = journal.book(&name.parse().unwrap(), terms(name)).unwrap();
            outrigger::host::spawn("test", async move {
                loop {
                    let held = windows(HELD);
                    let Ok(open) = book.intent(record(&held, b"{\"model\":\"m\"}")).await else {
                        say(b'f', tenant);
                        tokio::time::sleep(Duration::from_millis(1)).await;
                        continue;
                    };
                    // From here on it has left.
                    say(b's', tenant);
                    tokio::task::yield_now().await;
                    open.end(record(&windows(SETTLED), b"{\"status\":200}"));
                }
            })
        });
        let _alive: Vec<_> = tasks.collect();
        std::future::pending::<()>().await;
    });
}

/// When a life ends.
#[derive(Clone, Copy)]
enum Life {
    /// So many milliseconds after it was born: perhaps while it opens the journal.
    Short(u64),
    /// So many after it began to write.
    Full(u64),
}

/// What one life sent, by tenant.
fn live_and_die(directory: &Path, life: Life, room: Option<u64>) -> ([u64; 3], u64) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "--exact",
            "journal::child_that_writes",
            "--ignored",
            "--nocapture",
        ])
        .env(DIRECTORY, directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    if let Some(room) = room {
        command.env("OUTRIGGER_TEST_ROOM", room.to_string());
    }
    let mut child = command.spawn().unwrap();
    let mut said = child.stderr.take().unwrap();
    let (tell, is_ready) = std::sync::mpsc::sync_channel(1);
    let reader = outrigger::host::thread("test", move || {
        let (mut sent, mut refused) = ([0_u64; 3], 0);
        let mut pair = [0; 2];
        let mut ready = false;
        while said.read_exact(&mut pair).is_ok() {
            match pair {
                [b'r', _] => {
                    ready = true;
                    _ = tell.send(());
                }
                [b's', tenant] if ready => sent[usize::from(tenant)] += 1,
                [b'f', _] if room.is_some() => refused += 1,
                other => panic!("the child said {:?}", String::from_utf8_lossy(&other)),
            }
        }
        (sent, refused)
    })
    .unwrap();
    let millis = match life {
        Life::Short(millis) => millis,
        Life::Full(millis) => {
            is_ready.recv_timeout(Duration::from_mins(1)).unwrap();
            millis
        }
    };
    // Nothing more is told: this is how long it lives on.
    _ = is_ready.recv_timeout(Duration::from_millis(millis));
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

/// What the records say, one by one: intents and settled amounts of a tenant.
fn counted(directory: &Path, tenant: &str) -> (u64, u64) {
    let wanted = Wanted {
        tenant: Some(tenant.parse().unwrap()),
        ..Wanted::default()
    };
    let (mut intents, mut settled) = (0, 0);
    Reader::open(directory).read(&wanted, &mut |line| {
        let head = line.frame.head;
        assert!(line.payload.is_some());
        match head.kind {
            Kind::Intent => intents += 1,
            Kind::End => settled += head.whole.0,
            other => assert_eq!(other, Kind::Gap),
        }
        std::ops::ControlFlow::Continue(())
    });
    (intents, settled)
}

fn spent(recovery: &Recovery, tenant: &str) -> (u64, u64) {
    let found = recovery.tenants.iter().find(|found| {
        found
            .tenant
            .as_ref()
            .is_some_and(|id| id.as_str() == tenant)
    });
    found.map_or((0, 0), |found| {
        let whole = found.whole.spent().0;
        assert!(found.windows.iter().all(|(_, net)| net.spent().0 == whole));
        (whole, found.unknown)
    })
}

fn kill_in_a_loop(kills: u64, room: Option<u64>) {
    let directory = tempfile::tempdir().unwrap();
    let mut sent = [0_u64; 3];
    let mut unknown = [0_u64; 3];
    let mut refused = 0;
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut elsewhere = String::new();
    for kill in 0..kills {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        // Where a disk fills up, each life gets some more of it.
        let room = room.map(|room| room + used(directory.path()));
        let millis = (seed >> 33) % 100;
        let life = if kill % 4 == 3 {
            Life::Short(millis)
        } else {
            Life::Full(millis + 20)
        };
        let (now, full) = live_and_die(directory.path(), life, room);
        refused += full;
        sent.iter_mut()
            .zip(now)
            .for_each(|(sent, now)| *sent += now);
        let before = verify(directory.path(), None, &elsewhere);
        assert!(before.is_valid(), "{:?}", before.invalid);
        let (journal, recovery) =
            Journal::open(directory.path(), settings(), Arc::new(SystemClock)).unwrap();
        assert_eq!(recovery.alarms, []);
        journal.close();
        for (place, tenant) in TENANTS.iter().enumerate() {
            let (intents, settled) = counted(directory.path(), tenant);
            assert!(
                intents >= sent[place],
                "{tenant}: {intents} of {}",
                sent[place]
            );
            let (whole, open) = spent(&recovery, tenant);
            unknown[place] += open;
            assert_eq!(whole, settled, "{tenant}: recovered and written sums");
            // Never below what was sent; above it by what was in flight when it died.
            assert!(whole >= sent[place] * SETTLED);
            let most = intents * SETTLED + unknown[place] * (HELD - SETTLED);
            assert!(whole <= most, "{tenant}: {whole} of at most {most}");
        }
        elsewhere = latest_line(directory.path());
    }
    let after = verify(directory.path(), None, &elsewhere);
    assert!(after.is_valid(), "{:?}", after.invalid);
    assert!(sent.iter().all(|sent| *sent > 0), "{sent:?}");
    assert_eq!(refused > 0, room.is_some(), "{refused} refused");
    println!("{kills} kills, {sent:?} sent, {unknown:?} unknown, {refused} refused");
}

/// What somebody who keeps checkpoints would have.
fn latest_line(directory: &Path) -> String {
    let mut files: Vec<_> = std::fs::read_dir(directory.join("segments"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "points"))
        .collect();
    files.sort();
    let latest = std::fs::read_to_string(files.last().unwrap()).unwrap();
    latest.lines().last().unwrap().to_owned()
}

fn used(directory: &Path) -> u64 {
    let segments = directory.join("segments");
    let Ok(entries) = std::fs::read_dir(segments) else {
        return 0;
    };
    let facts = entries.map(|entry| entry.unwrap().metadata().unwrap());
    facts.map(|facts| facts.len()).sum()
}

fn kills(usual: u64) -> u64 {
    std::env::var("KILLS").map_or(usual, |kills| kills.parse().unwrap())
}

#[test]
fn whatever_was_sent_is_on_record_however_often_the_process_is_killed() {
    kill_in_a_loop(kills(20), None);
}

#[test]
fn so_it_is_where_the_disk_fills_up() {
    kill_in_a_loop(kills(20).div_ceil(4), Some(300 << 10));
}
