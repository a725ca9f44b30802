//! What the journals' readers print: journals of two instances are written through the front door, and read by the released
//! verbs. Must never depend on the time at which it runs.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use outrigger::host::SystemClock;
use outrigger::journal::{Book, Flags, Journal, Kind, Record, Settings, Terms};
use outrigger::units::{Boot, Clock, NanoUsd, Wall};
use outrigger::views::{Instances, Query};

use crate::cli::process::{BINARY, Place, until};
use crate::cli::transcript::replay_in;

/// A wall that stands still until it is moved.
struct Standing(AtomicU64);

impl Clock for Standing {
    fn boot(&self) -> Boot {
        SystemClock.boot()
    }

    fn wall(&self) -> Wall {
        Wall(self.0.load(Ordering::Relaxed))
    }
}

/// 2025-03-01T12:00:00Z.
const NOON: u64 = 1_740_830_400_000;
const DAY: u64 = 86_400_000;

fn record(amount: u64, payload: &str) -> Record<'_> {
    Record {
        whole: NanoUsd(amount),
        windows: &[],
        payload: payload.as_bytes(),
    }
}

fn intent_of(tenant: &str, more: &str) -> String {
    format!(
        "{{\"timestamp\":\"2025-03-01T12:00:00.000Z\",\"level\":\"INFO\",\"message\":\"request\",\"tenant\":\"{tenant}\",\
         \"request_id\":\"0195-{tenant}\",\"generation\":1,\"endpoint\":\"chat-completions\",\"upstream\":\"openai\"{more}}}"
    )
}

fn end_of(tenant: &str, more: &str, end: &str) -> String {
    let intent = intent_of(tenant, more);
    format!("{},{end}}}", intent.trim_end_matches('}'))
}

/// One call: held, then settled.
async fn call(book: &Arc<Book>, more: &str, held: u64, end: &str, cost: u64) {
    let tenant = book.id().to_string();
    let entry = book
        .intent(record(held, &intent_of(&tenant, more)))
        .await
        .unwrap();
    entry.end(record(cost, &end_of(&tenant, more, end)));
}

const COMPLETE: &str = "\"decision\":\"allowed\",\"rule\":\"policies.p.models.allow (outrigger.toml:7)\",\"ending\":\"complete\",\"ended_in\":\"meter\",\"status\":200,\
    \"request_bytes\":90,\"response_bytes\":500,\"input_tokens\":120,\"output_tokens\":30,\
    \"cache_read_tokens\":20,\"usage\":\"reported\",\"cost_nano_usd\":1234567,\
    \"cost_lines\":{\"input\":\"1000000000\",\"output\":\"234567000\"},\
    \"queue_wait_us\":1500,\"connect_us\":31040,\"first_us\":90000,\"took_us\":250000";

const UNPRICED: &str = "\"ending\":\"complete\",\"ended_in\":\"meter\",\"status\":200,\
    \"input_tokens\":7,\"output_tokens\":8,\"usage\":\"estimated\",\"unpriced\":\"yes\",\
    \"cost_nano_usd\":5000000,\"cost_lines\":{\"output\":\"5000000000\"},\"took_us\":1500";

const REFUSED: &str = "\"decision\":\"refused\",\"rule\":\"tenants.acme.budgets.day (outrigger.toml:9)\",\"ending\":\"refused\",\"ended_in\":\"admit\",\"status\":402,\
    \"code\":\"budget-exhausted\",\"took_us\":40";

const PLANNER: &str =
    ",\"agent\":\"planner\",\"session\":\"s-1\",\"model\":\"fast\",\"model_sent\":\"gpt-5-mini\"";

/// Everything a tenant can meet, and one call that is not over.
fn first(state: &Path) {
    with_journal(state, async |journal, clock| {
        let acme = journal
            .book(&"acme".parse().unwrap(), Terms::default())
            .unwrap();
        call(&acme, PLANNER, 2_000_000, COMPLETE, 1_234_567).await;
        call(
            &acme,
            ",\"model\":\"new-model\"",
            9_000_000,
            UNPRICED,
            5_000_000,
        )
        .await;
        let lost = acme.intent(record(10_000_000, &intent_of("acme", PLANNER)));
        drop(lost.await.unwrap());
        let void = acme.intent(record(1, &intent_of("acme", PLANNER)));
        void.await.unwrap().void();
        let refused = end_of("acme", ",\"model\":\"gpt-5\"", REFUSED);
        let written = acme.record(Kind::Refusal, Flags::default(), record(0, &refused));
        drop(written.unwrap());
        clock.0.store(NOON + DAY, Ordering::Relaxed);
        let zeta = journal
            .book(&"zeta".parse().unwrap(), Terms::default())
            .unwrap();
        let spoofed = ",\"agent\":\"=1+1\\u001b[2J\",\"model\":\"gpt-5-mini\"";
        call(&zeta, spoofed, 2_000_000, COMPLETE, 1_000_000_001).await;
        let open = zeta.intent(record(7_000_000, &intent_of("zeta", spoofed)));
        journal.close();
        drop(open);
    });
}

fn second(state: &Path) {
    with_journal(state, async |journal, _| {
        let acme = journal
            .book(&"acme".parse().unwrap(), Terms::default())
            .unwrap();
        call(&acme, PLANNER, 2_000_000, COMPLETE, 765_433).await;
    });
}

fn with_journal(state: &Path, write: impl AsyncFnOnce(&Journal, &Standing)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let clock = Arc::new(Standing(AtomicU64::new(NOON)));
    fs::create_dir_all(state).unwrap();
    let settings = Settings {
        reserve_bytes: 0,
        ..Settings::default()
    };
    let for_journal: Arc<dyn Clock> = Arc::<Standing>::clone(&clock);
    let (journal, _) = Journal::open(&state.join("journal"), settings, for_journal).unwrap();
    runtime.block_on(write(&journal, &clock));
    journal.close();
}

/// What each verb prints of two instances, as it stands in the transcript.
#[test]
fn views() {
    let place = Place::new();
    first(&place.path("one"));
    second(&place.path("two"));
    replay_in(&place, "views.md");
}

#[test]
fn a_changed_byte_is_found_with_its_place() {
    let place = Place::new();
    first(&place.path("state"));
    let verify = ["audit", "verify", "--state", "state"];
    let before = place.run(&verify);
    assert_eq!(before.code, Some(0), "{before:?}");
    let segment = place.path("state/journal/segments/0000000000000001.seg");
    let mut bytes = fs::read(&segment).unwrap();
    let middle = 96 + 400;
    bytes[middle] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let after = place.run(&verify);
    assert_eq!(after.code, Some(1), "{after:?}");
    let place_of_it = "state/journal/segments/0000000000000001.seg at ";
    assert!(after.out.contains(place_of_it), "{after:?}");
    assert!(after.out.contains("its checksum is wrong"), "{after:?}");
    assert!(after.out.contains("INVALID, "), "{after:?}");
}

#[test]
fn a_checkpoint_from_elsewhere_shows_an_older_copy() {
    let place = Place::new();
    first(&place.path("state"));
    let points = fs::read_dir(place.path("state/journal/segments")).unwrap();
    let points = points
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|kind| kind == "points"))
        .unwrap();
    fs::copy(&points, place.path("kept")).unwrap();
    let verify = |state| {
        let words = ["audit", "verify", "--checkpoint", "kept", "--state", state];
        place.run(&words)
    };
    assert_eq!(verify("state").code, Some(0));
    second(&place.path("other"));
    let other = verify("other");
    assert_eq!(other.code, Some(1), "{other:?}");
    assert!(other.out.contains("signed with another key"), "{other:?}");
    assert_eq!(verify("nothing").code, Some(2));
    fs::remove_file(place.path("kept")).unwrap();
    assert_eq!(verify("state").code, Some(2));
    fs::remove_file(place.path("state/journal/signing.pub")).unwrap();
    let blind = place.run(&["audit", "verify", "--state", "state"]);
    assert_eq!(blind.code, Some(2), "{blind:?}");
}

/// A correction that is written days later counts where its call does, whatever was asked for by the time of either.
#[test]
fn a_correction_stands_where_its_call_does() {
    let place = Place::new();
    with_journal(&place.path("state"), async |journal, clock| {
        let acme = journal
            .book(&"acme".parse().unwrap(), Terms::default())
            .unwrap();
        call(&acme, PLANNER, 2_000_000, COMPLETE, 1_234_567).await;
        let lost = acme.intent(record(
            10_000_000,
            &intent_of("acme", ",\"agent\":\"lost\""),
        ));
        drop(lost.await.unwrap());
        clock.0.store(NOON + 3 * DAY, Ordering::Relaxed);
        let correct = |about, amount, flags| {
            let corrected = acme.correct(about, flags, record(amount, "{\"why\":\"late\"}"));
            drop(corrected.unwrap().unwrap());
        };
        correct(1, 250_000_000, Flags::giving(false));
        correct(2, 50_000_000, Flags::giving(true));
        correct(3, 4_000_000, Flags::giving(true));
        // Of a correction nobody has asked for anything.
        correct(5, 1_000, Flags::giving(false));
    });
    let costs = |by: &str, more: &[&str]| {
        let words = ["costs", "--state", "state", "--format", "csv", "--by", by];
        let printed = place.run(&[&words, more].concat());
        assert_eq!(printed.code, Some(0), "{printed:?}");
        let lines = printed.out.lines().filter(|line| !line.starts_with("note"));
        let rows = lines.skip(1).map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            let total = cells[cells.len() - 2];
            format!("{} {total}", cells[..cells.len() - 16].join(","))
        });
        rows.collect::<Vec<_>>()
    };
    let called = "planner,gpt-5-mini,s-1,2025-03-01 0.201234567";
    let lost = "lost,(none),(none),2025-03-01 0.006";
    let other = "(none),(none),(none),2025-03-04 0.000001";
    assert_eq!(costs("agent,model,session,day", &[]), [other, lost, called]);
    // The call is not within the time; its correction is, and is known for what it is.
    let since = ["--since", "2025-03-04"];
    let later = ["(none) 0.000001", "lost -0.004", "planner 0.20"];
    assert_eq!(costs("agent", &since), later);
    assert_eq!(costs("tenant", &[]), ["acme 0.207235567"]);
}

#[test]
fn who_follows_sees_what_comes() {
    let place = Place::new();
    let state = place.path("state");
    with_journal(&state, async |journal, _| {
        let acme = journal
            .book(&"acme".parse().unwrap(), Terms::default())
            .unwrap();
        call(&acme, PLANNER, 2, COMPLETE, 1).await;
        let out = fs::File::create(place.path("out")).unwrap();
        let mut tail = place
            .program(BINARY)
            .args(["audit", "tail", "--state", "state", "--tenant", "acme"])
            .stdout(out)
            .spawn()
            .unwrap();
        let lines = || {
            fs::read_to_string(place.path("out"))
                .unwrap()
                .lines()
                .count()
        };
        until("what was there is shown", || lines() == 2);
        call(&acme, PLANNER, 2, COMPLETE, 1).await;
        until("what comes is shown", || lines() == 4);
        tail.kill().unwrap();
        tail.wait().unwrap();
    });
}

#[tokio::test]
async fn the_latest_records_are_the_same_wherever_segments_end() {
    let state = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(Standing(AtomicU64::new(NOON)));
    let settings = Settings {
        reserve_bytes: 0,
        segment_bytes: 16 << 10,
        step_bytes: 4 << 10,
        ..Settings::default()
    };
    let (journal, _) = Journal::open(&state.path().join("journal"), settings, clock).unwrap();
    let book = |name: &str| journal.book(&name.parse().unwrap(), Terms::default());
    let (acme, zeta) = (book("acme").unwrap(), book("zeta").unwrap());
    for round in 0..100 {
        call(&acme, PLANNER, 2, COMPLETE, 1).await;
        if round % 10 == 5 {
            call(&zeta, PLANNER, 2, COMPLETE, 1).await;
        }
    }
    journal.close();
    let open = || Instances::open(&[state.path().to_path_buf()]).unwrap();
    for tenant in [None, Some("acme"), Some("zeta")] {
        let query = Query {
            tenant: tenant.map(|tenant| tenant.parse().unwrap()),
            ..Query::default()
        };
        let mut all = Vec::new();
        let mut whole = open();
        whole.each(&query, &mut |entry| {
            all.push((entry.number, entry.seq));
            std::ops::ControlFlow::Continue(())
        });
        assert!(whole.read_to().unwrap().segment > 3, "several segments");
        for most in [0, 1, 7, 50, 1_000] {
            let mut instances = open();
            let latest = instances.newest(&query, most);
            let latest: Vec<_> = latest.iter().map(|one| (one.number, one.seq)).collect();
            assert_eq!(
                latest,
                all[all.len().saturating_sub(most)..],
                "{tenant:?} {most}"
            );
            // Who follows has missed nothing, and sees nothing twice.
            instances.each(&query, &mut |entry| panic!("seen already: {entry:?}"));
        }
    }
}

/// Whoever looks while somebody writes sees what was written so far, and nothing that is not so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_is_proven_and_added_up_while_it_is_written() {
    let state = tempfile::tempdir().unwrap();
    let settings = Settings {
        reserve_bytes: 0,
        segment_bytes: 64 << 10,
        step_bytes: 16 << 10,
        checkpoint_every: std::time::Duration::from_millis(5),
        ..Settings::default()
    };
    let clock: Arc<dyn Clock> = Arc::new(Standing(AtomicU64::new(NOON)));
    let (journal, _) = Journal::open(&state.path().join("journal"), settings, clock).unwrap();
    // Each look lets so many calls go on beside it.
    let pace = Arc::new(tokio::sync::Semaphore::new(0));
    let writers: Vec<_> = ["acme", "zeta"]
        .into_iter()
        .map(|name| {
            let book = journal.book(&name.parse().unwrap(), Terms::default());
            let (book, pace) = (book.unwrap(), Arc::clone(&pace));
            outrigger::host::spawn("test-writer", async move {
                let mut calls = 0;
                while let Ok(one) = pace.acquire().await {
                    one.forget();
                    call(&book, PLANNER, 2, COMPLETE, 1).await;
                    calls += 1;
                }
                calls
            })
        })
        .collect();
    let directory = state.path().to_path_buf();
    let paced = Arc::clone(&pace);
    let looked = outrigger::host::tasks::blocking("test-looker", move || {
        let (mut segments, mut before, mut looks) = (0, 0, 0);
        // Segments are to end meanwhile.
        while looks < 20 || (segments < 3 && looks < 1_000) {
            looks += 1;
            paced.add_permits(20);
            let proof = outrigger::views::prove(&directory, "").unwrap();
            assert_eq!(
                proof.validity,
                outrigger::views::Validity::Valid,
                "{proof:?}"
            );
            let mut instances = Instances::open(std::slice::from_ref(&directory)).unwrap();
            let costs = outrigger::views::Costs::sum(&mut instances, &Query::default(), &[]);
            let total = costs.total();
            assert_eq!(total.total(), i128::from(total.calls), "each cost one");
            assert!(total.calls >= before, "nothing goes away");
            before = total.calls;
            segments = instances.read_to().unwrap().segment;
        }
        segments
    });
    let segments = looked.await.unwrap();
    pace.close();
    let mut calls = 0;
    for writer in writers {
        calls += writer.await.unwrap();
    }
    journal.close();
    assert!(segments >= 3, "segments ended meanwhile");
    let mut instances = Instances::open(&[state.path().to_path_buf()]).unwrap();
    let costs = outrigger::views::Costs::sum(&mut instances, &Query::default(), &[]);
    assert_eq!(costs.total().calls, calls);
}
