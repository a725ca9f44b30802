//! Writing, closing, opening again.

use super::*;

#[tokio::test]
async fn what_was_settled_is_there_again_and_what_was_open_is_settled_at_its_hold() {
    let directory = tempfile::tempdir().unwrap();
    let left_open;
    {
        let (journal, recovery) = open(directory.path(), small());
        assert!(recovery.fresh && recovery.tenants.is_empty());
        let acme = journal.book(&tenant("acme"), Terms::default()).unwrap();
        let zeta = journal.book(&tenant("zeta"), Terms::default()).unwrap();
        for round in 0..100 {
            let intent = acme
                .intent(amount(&day(10), b"{\"model\":\"m\"}"))
                .await
                .unwrap();
            assert_eq!(intent.seq(), 2 * round + 1);
            intent.end(amount(&day(7), b"{\"status\":200}"));
        }
        let mut extended = zeta.intent(amount(&day(5), b"")).await.unwrap();
        extended
            .extend(amount(&day(9), b""))
            .unwrap()
            .await
            .unwrap();
        left_open = extended;
        zeta.intent(amount(&day(1_000), b"")).await.unwrap().void();
        drop(zeta.intent(amount(&day(100), b"")).await.unwrap());
        drop(zeta.intent(amount(&day(1_000), b"")));
        _ = zeta
            .record(
                Kind::Adjust,
                Flags::GIVES_BACK,
                amount(&day(30), b"\"top up\""),
            )
            .unwrap();
        let health = acme.health();
        assert_eq!((health.records, health.refused), (200, 0));
        journal.close();
        assert_eq!(journal.health().condition, Condition::Closed);
        let refused = acme.intent(amount(&day(1), b"")).await;
        assert_eq!(refused.err(), Some(Refused::Closed));
    }
    let (_journal, recovery) = open(directory.path(), small());
    drop(left_open);
    assert!(!recovery.fresh && recovery.alarms.is_empty() && recovery.torn.is_empty());
    let acme = found(&recovery, "acme");
    assert_eq!((acme.next_seq, acme.unknown), (201, 0));
    assert_eq!(acme.whole.spent(), NanoUsd(700));
    assert_eq!(acme.windows[0].1.spent(), NanoUsd(700));
    let zeta = found(&recovery, "zeta");
    assert_eq!((zeta.unknown, zeta.unknown_whole), (1, NanoUsd(9)));
    assert_eq!(zeta.whole.spent(), NanoUsd(9 + 100 - 30));
    assert_eq!(zeta.windows[0].0, day(0)[0].0);
}

#[tokio::test]
async fn segments_follow_one_another_and_sums_stay() {
    let directory = tempfile::tempdir().unwrap();
    {
        let (journal, _) = open(directory.path(), small());
        let acme = journal.book(&tenant("acme"), Terms::default()).unwrap();
        let payload = [b'x'; 1_000];
        let long = acme.intent(amount(&day(50), &payload)).await.unwrap();
        for _ in 0..1_000 {
            let intent = acme.intent(amount(&day(2), &payload)).await.unwrap();
            intent.end(amount(&day(1), &payload));
        }
        assert!(journal.health().segment > 3, "{:?}", journal.health());
        long.end(amount(&day(40), b""));
    }
    let (_journal, recovery) = open(directory.path(), small());
    let acme = found(&recovery, "acme");
    assert_eq!(acme.whole.spent(), NanoUsd(1_040));
    assert_eq!((acme.unknown, acme.next_seq), (0, 2_003));
    assert_eq!(recovery.records, 0, "all of it was sealed");
    assert!(recovery.alarms.is_empty(), "{:?}", recovery.alarms);
}

#[tokio::test]
async fn strict_waits_for_the_disk_and_many_share_one_sync() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, _) = open(directory.path(), small());
    let terms = Terms {
        mode: Mode::Strict,
        ..Terms::default()
    };
    let acme = journal.book(&tenant("acme"), terms).unwrap();
    let before = journal.health().syncs;
    let began = SystemClock.boot();
    let all = (0..200).map(|_| {
        let acme = Arc::clone(&acme);
        crate::host::spawn("test", async move {
            let intent = acme.intent(amount(&day(1), b"")).await.unwrap();
            intent.end(amount(&day(1), b""));
        })
    });
    for task in all.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let syncs = journal.health().syncs - before;
    assert!((1..=60).contains(&syncs), "{syncs} syncs");
    // Nobody waited for as long as one may.
    let took = SystemClock.boot().since(began);
    assert!(took < Duration::from_secs(30), "{took:?}");
    assert_eq!(acme.health().records, 400);
}

#[tokio::test]
async fn an_erased_tenants_sums_stay_and_its_name_and_payloads_are_gone() {
    let directory = tempfile::tempdir().unwrap();
    {
        let (journal, _) = open(directory.path(), small());
        for name in ["acme", "zeta"] {
            let book = journal.book(&tenant(name), Terms::default()).unwrap();
            let intent = book.intent(amount(&day(10), b"secret")).await.unwrap();
            intent.end(amount(&day(7), b""));
        }
        assert!(journal.erase(&tenant("acme"), b"").unwrap());
        let acme = journal.book(&tenant("acme"), Terms::default()).unwrap();
        let intent = acme.intent(amount(&day(1), b"later")).await.unwrap();
        intent.end(amount(&day(1), b""));
    }
    let (_journal, recovery) = open(directory.path(), small());
    assert!(recovery.alarms.is_empty(), "{:?}", recovery.alarms);
    assert_eq!(found(&recovery, "acme").whole.spent(), NanoUsd(8));
    assert_eq!(found(&recovery, "zeta").whole.spent(), NanoUsd(7));
}

/// An erasure that a crash broke off left two keys; the next one forgets both.
#[tokio::test]
async fn an_erasure_forgets_every_key_there_ever_was() {
    let directory = tempfile::tempdir().unwrap();
    let table = directory.path().join("keys");
    let before = {
        let (journal, _) = open(directory.path(), small());
        let acme = journal.book(&tenant("acme"), Terms::default()).unwrap();
        acme.intent(amount(&day(1), b"secret"))
            .await
            .unwrap()
            .void();
        drop(journal);
        std::fs::read(&table).unwrap()
    };
    {
        let (journal, _) = open(directory.path(), small());
        assert!(journal.erase(&tenant("acme"), b"{}").unwrap());
        assert!(!journal.erase(&tenant("nobody-there"), b"{}").unwrap());
    }
    let mut broken_off = std::fs::read(&table).unwrap();
    broken_off[..before.len()].copy_from_slice(&before);
    std::fs::write(&table, &broken_off).unwrap();
    let opened = || {
        let mut opened = Vec::new();
        let mut visit = |line: &crate::journal::Line<'_>| {
            let head = line.frame.head;
            if line.tenant.is_some() && head.kind == Kind::Intent {
                opened.push(line.payload.is_some());
            }
            std::ops::ControlFlow::Continue(())
        };
        let reader = crate::journal::Reader::open(directory.path());
        reader.read(&crate::journal::Wanted::default(), &mut visit);
        opened
    };
    assert_eq!(opened(), [true], "the crash left the key");
    let (journal, _) = open(directory.path(), small());
    assert!(journal.erase(&tenant("acme"), b"{}").unwrap());
    assert_eq!(opened(), [false]);
    // One that was never written is not written later.
    let zeta = journal.book(&tenant("zeta"), Terms::default()).unwrap();
    assert!(journal.erase(&tenant("zeta"), b"").unwrap());
    zeta.intent(amount(&day(1), b"")).await.unwrap().void();
    drop(journal);
    let left = std::fs::read(&table).unwrap();
    let live = left.chunks(256).filter(|slot| slot[4] == 1).count();
    assert_eq!(live, 2, "the new key of each");
}

#[tokio::test]
async fn one_process_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let (_journal, _) = open(directory.path(), small());
    let second = Journal::open(directory.path(), small(), Arc::new(SystemClock));
    assert!(matches!(second, Err(JournalError::System(error)) if error.hint().is_some()));
}

#[tokio::test]
async fn a_clock_that_steps_back_turns_no_record_back() {
    let directory = tempfile::tempdir().unwrap();
    let clock = MovedClock::new();
    let (journal, _) =
        Journal::open(directory.path(), small(), Arc::<MovedClock>::clone(&clock)).unwrap();
    let acme = journal.book(&tenant("acme"), Terms::default()).unwrap();
    acme.intent(amount(&day(1), b"")).await.unwrap().void();
    clock
        .0
        .store(0_u64.wrapping_sub(40 * 86_400_000), Ordering::Relaxed);
    acme.intent(amount(&day(1), b"")).await.unwrap().void();
    assert_eq!(journal.health().clock_steps, 2);
    drop(journal);
    let (_journal, recovery) = open(directory.path(), small());
    assert!(recovery.newest.0 > SystemClock.wall().0 - 60_000);
}
