//! Disks that are full, slow or broken, tenants that flood: each does what its name says, and nothing that left loses its end.

use std::fs::{self, File};

use super::*;

const GAP: Terms = Terms {
    mode: Mode::Batch,
    on_failure: OnFailure::Gap,
    queue_bytes: 1 << 20,
    quota_bytes: u64::MAX,
    payload_bytes: 3_072,
};

#[tokio::test]
async fn a_full_disk_refuses_what_has_not_left_and_keeps_room_for_what_has() {
    let directory = tempfile::tempdir().unwrap();
    let full = Settings {
        total_bytes: 1 << 20,
        step_bytes: 64 << 10,
        ..small()
    };
    let mut under_way = Vec::new();
    let payload = [b'x'; 1_000];
    {
        let (journal, _) = open(directory.path(), full);
        let acme = journal.book(&tenant("acme"), Terms::default()).unwrap();
        let lax = journal.book(&tenant("lax"), GAP).unwrap();
        let why = loop {
            match acme.intent(amount(&day(10), &payload)).await {
                Ok(intent) => under_way.push(intent),
                Err(why) => break why,
            }
            assert!(under_way.len() < 1_000, "{:?}", journal.health());
        };
        assert_eq!(why, Refused::Full);
        assert_eq!(journal.health().condition, Condition::Full);
        assert_eq!(acme.health().refused, 1);
        let unrecorded = lax.intent(amount(&day(3), b"")).await.unwrap();
        assert_eq!(unrecorded.seq(), 0);
        unrecorded.end(amount(&day(2), b""));
        assert_eq!(lax.health().unrecorded, 1);
        // All of what is under way ends, with its words.
        for open in under_way.drain(..) {
            open.end(amount(&day(7), &payload));
        }
        until("writing", || acme.health().queued == 0).await;
    }
    let verdict = verify(directory.path(), None, "");
    assert!(verdict.is_valid(), "{:?}", verdict.invalid);
    let (_journal, recovery) = open(directory.path(), small());
    let acme = found(&recovery, "acme");
    assert_eq!((acme.unknown, acme.next_seq % 2), (0, 1));
    assert_eq!(acme.whole.spent().0, 7 * (acme.next_seq - 1) / 2);
}

#[tokio::test]
async fn on_a_full_disk_what_has_left_tells_that_it_goes_on_until_it_may_not() {
    let directory = tempfile::tempdir().unwrap();
    let full = Settings {
        total_bytes: 1 << 20,
        step_bytes: 64 << 10,
        ..small()
    };
    let (journal, _) = open(directory.path(), full);
    let acme = journal.book(&tenant("acme"), Terms::default()).unwrap();
    let lax = journal.book(&tenant("lax"), GAP).unwrap();
    let mut open_entry = acme.intent(amount(&day(10), b"")).await.unwrap();
    let mut goes_on = lax.intent(amount(&day(10), b"")).await.unwrap();
    let payload = [b'x'; 1_000];
    let mut others = Vec::new();
    while let Ok(intent) = acme.intent(amount(&day(1), &payload)).await {
        others.push(intent);
    }
    // Room is there for some, and for its end.
    let mut held = 10;
    let why = loop {
        let more = open_entry.extend(amount(&day(held + 1), b"")).unwrap();
        match more.await {
            Ok(()) => held += 1,
            Err(why) => break why,
        }
        assert!(held < 100);
    };
    assert_eq!(why, Refused::Full);
    assert!(held >= 15, "{held}");
    assert_eq!(open_entry.held(), NanoUsd(held));
    // Where the terms let it, it goes on all the same.
    let refused = loop {
        if let Err(why) = goes_on.extend(amount(&day(11), b"")) {
            break why;
        }
    };
    assert_eq!(refused, Refused::Full);
    // Dropped, as by a crash: it is settled at the last that was told.
    drop((open_entry, others, goes_on));
    until("writing", || acme.health().queued == 0).await;
    drop((acme, lax, journal));
    let verdict = verify(directory.path(), None, "");
    assert!(verdict.is_valid(), "{:?}", verdict.invalid);
    let (_journal, recovery) = open(directory.path(), small());
    let acme = found(&recovery, "acme");
    let others = (acme.next_seq - 1 - 2 - (held - 10)) / 2;
    assert_eq!(acme.whole.spent().0, held + others);
    assert_eq!(found(&recovery, "lax").whole.spent(), NanoUsd(11));
}

#[tokio::test]
async fn a_tenant_that_has_used_its_quota_is_refused_or_leaves_a_gap() {
    let directory = tempfile::tempdir().unwrap();
    {
        let (journal, _) = open(directory.path(), small());
        let terms = Terms {
            quota_bytes: 4_000,
            ..Terms::default()
        };
        let acme = journal.book(&tenant("acme"), terms).unwrap();
        let zeta = journal
            .book(
                &tenant("zeta"),
                Terms {
                    quota_bytes: 4_000,
                    ..GAP
                },
            )
            .unwrap();
        let other = journal.book(&tenant("other"), Terms::default()).unwrap();
        let mut recorded = 0;
        while let Ok(intent) = acme.intent(amount(&day(10), b"")).await {
            intent.end(amount(&day(7), b""));
            recorded += 1;
            assert!(recorded < 100);
        }
        let refused = acme.intent(amount(&day(10), b"")).await;
        assert_eq!(refused.err(), Some(Refused::Quota));
        for _ in 0..50 {
            let intent = zeta.intent(amount(&day(10), b"")).await.unwrap();
            intent.end(amount(&day(7), b""));
        }
        let unrecorded = zeta.health().unrecorded;
        assert!((20..50).contains(&unrecorded), "{unrecorded}");
        other.intent(amount(&day(10), b"")).await.unwrap().void();
    }
    let (_journal, recovery) = open(directory.path(), small());
    // A gap tells how many and how much.
    assert_eq!(found(&recovery, "zeta").whole.spent(), NanoUsd(350));
    assert_eq!(found(&recovery, "zeta").windows[0].1.spent(), NanoUsd(350));
}

#[tokio::test]
async fn a_disk_that_fails_is_tried_anew_with_another_file() {
    let directory = tempfile::tempdir().unwrap();
    {
        let (journal, _) = open(directory.path(), small());
        let acme = journal.book(&tenant("acme"), Terms::default()).unwrap();
        let lax = journal.book(&tenant("lax"), GAP).unwrap();
        let early = acme.intent(amount(&day(10), b"")).await.unwrap();
        // Nothing can be written, and no other file be made.
        let segments = directory.path().join("segments");
        let away = directory.path().join("away");
        fs::rename(&segments, &away).unwrap();
        journal.shared.pen().file =
            Arc::new(File::options().write(true).open("/dev/full").unwrap());
        let refused = acme.intent(amount(&day(10), b"")).await;
        assert!(matches!(
            refused.err(),
            Some(Refused::Full | Refused::Failing)
        ));
        assert!(journal.health().stuck);
        // Whoever may go on does; its records wait.
        let late = lax.intent(amount(&day(10), b"")).await.unwrap();
        late.end(amount(&day(3), b""));
        early.end(amount(&day(7), b""));
        assert!(acme.health().queued > 0 && lax.health().queued > 0);
        fs::rename(&away, &segments).unwrap();
        until("writing again", || {
            acme.health().queued == 0 && !journal.health().stuck
        })
        .await;
        assert_eq!(journal.health().condition, Condition::Fine);
        acme.intent(amount(&day(10), b"")).await.unwrap().void();
        assert!(journal.health().segment > 1);
    }
    let verdict = verify(directory.path(), None, "");
    assert!(verdict.is_valid(), "{:?}", verdict.invalid);
    let (_journal, recovery) = open(directory.path(), small());
    assert!(recovery.alarms.is_empty(), "{:?}", recovery.alarms);
    assert_eq!(found(&recovery, "acme").whole.spent(), NanoUsd(7));
    assert_eq!(found(&recovery, "lax").whole.spent(), NanoUsd(3));
}

#[tokio::test]
async fn a_sync_that_fails_ends_the_file_and_refuses_who_waited() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, _) = open(directory.path(), small());
    let terms = Terms {
        mode: Mode::Strict,
        ..Terms::default()
    };
    let acme = journal.book(&tenant("acme"), terms).unwrap();
    acme.intent(amount(&day(1), b"")).await.unwrap().void();
    // It takes writes, and syncing it is an error.
    journal.shared.pen().file = Arc::new(File::options().write(true).open("/dev/null").unwrap());
    let refused = acme.intent(amount(&day(10), b"")).await;
    assert_eq!(refused.err(), Some(Refused::Failing));
    until("another file", || journal.health().segment == 2).await;
    assert!(journal.health().sync_errors > 0);
    acme.intent(amount(&day(1), b"")).await.unwrap().void();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_disk_holds_up_no_worker_and_patience_ends() {
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings {
        patience: Duration::from_millis(50),
        ..small()
    };
    let (journal, _) = open(directory.path(), settings);
    let acme = journal.book(&tenant("acme"), Terms::default()).unwrap();
    let lax = journal.book(&tenant("lax"), GAP).unwrap();
    {
        // Whoever writes does not come back.
        let shared = Arc::clone(&journal.shared);
        let (hold, held) = std::sync::mpsc::sync_channel::<()>(0);
        let (ready, is_ready) = std::sync::mpsc::sync_channel::<()>(0);
        let holder = crate::host::thread("test", move || {
            let pen = shared.pen();
            ready.send(()).unwrap();
            _ = held.recv();
            drop(pen);
        })
        .unwrap();
        is_ready.recv().unwrap();
        let refused = acme.intent(amount(&day(10), b"")).await;
        assert_eq!(refused.err(), Some(Refused::Slow));
        let open = lax.intent(amount(&day(10), b"")).await.unwrap();
        open.end(amount(&day(4), b""));
        hold.send(()).unwrap();
        holder.join().unwrap();
    }
    acme.intent(amount(&day(10), b""))
        .await
        .unwrap()
        .end(amount(&day(5), b""));
    drop(journal);
    let (_journal, recovery) = open(directory.path(), small());
    assert_eq!(found(&recovery, "acme").whole.spent(), NanoUsd(5));
    assert_eq!(found(&recovery, "lax").whole.spent(), NanoUsd(4));
}

#[tokio::test]
async fn one_tenants_flood_waits_behind_others_not_before_them() {
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings {
        step_bytes: 4 << 20,
        segment_bytes: 64 << 20,
        ..small()
    };
    let (journal, _) = open(directory.path(), settings);
    let flood = journal.book(&tenant("flood"), Terms::default()).unwrap();
    let victim = journal.book(&tenant("victim"), Terms::default()).unwrap();
    let payload = [b'x'; 2_000];
    let started;
    {
        let pen = journal.shared.pen();
        started = pen.at;
        for _ in 0..500 {
            _ = flood
                .record(Kind::Refusal, Flags::default(), Record::of(&payload))
                .unwrap();
        }
        _ = victim
            .record(Kind::Refusal, Flags::default(), Record::of(b""))
            .unwrap();
    }
    _ = flood
        .record(Kind::Refusal, Flags::default(), Record::of(&payload))
        .unwrap()
        .await;
    until("writing", || {
        flood.health().queued == 0 && victim.health().queued == 0
    })
    .await;
    let mut place = 0;
    Reader::open(directory.path()).read(&Wanted::default(), &mut |line| {
        if line.frame.head.tenant == victim.number() {
            place = line.mark.offset;
        }
        std::ops::ControlFlow::Continue(())
    });
    assert!(
        place - started < 40 << 10,
        "{} bytes before it",
        place - started
    );
}

#[tokio::test]
async fn a_torn_tail_is_cut_and_told() {
    let directory = tempfile::tempdir().unwrap();
    {
        let (journal, _) = open(directory.path(), small());
        let acme = journal.book(&tenant("acme"), Terms::default()).unwrap();
        acme.intent(amount(&day(10), b""))
            .await
            .unwrap()
            .end(amount(&day(7), b""));
    }
    let places = places::Places::new(directory.path());
    fs::remove_file(places.seal(1)).unwrap();
    let path = places.segment(1);
    let mut bytes = fs::read(&path).unwrap();
    let whole = bytes.len();
    // Half a frame, and the room behind it.
    bytes.extend_from_slice(&[200, 0, 0, 0, 9, 9, 9]);
    bytes.resize(whole + 10_000, 0);
    fs::write(&path, bytes).unwrap();
    assert_eq!(verify(directory.path(), None, "").torn, 7);
    let (_journal, recovery) = open(directory.path(), small());
    assert_eq!((recovery.torn.len(), recovery.torn[0].bytes), (1, 7));
    assert_eq!(recovery.alarms, []);
    assert_eq!(found(&recovery, "acme").whole.spent(), NanoUsd(7));
    assert_eq!(
        fs::metadata(path).unwrap().len(),
        u64::try_from(whole).unwrap()
    );
}

#[tokio::test]
async fn a_journal_shorter_than_what_was_signed_is_an_alarm_until_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    {
        let (journal, _) = open(directory.path(), small());
        let acme = journal.book(&tenant("acme"), Terms::default()).unwrap();
        acme.intent(amount(&day(10), b""))
            .await
            .unwrap()
            .end(amount(&day(7), b""));
    }
    let places = places::Places::new(directory.path());
    fs::remove_file(places.seal(1)).unwrap();
    File::options()
        .write(true)
        .open(places.segment(1))
        .unwrap()
        .set_len(300)
        .unwrap();
    let (journal, recovery) = open(directory.path(), small());
    assert!(
        matches!(recovery.alarms[..], [Alarm::RolledBack { .. }]),
        "{:?}",
        recovery.alarms
    );
    let strict = Terms {
        mode: Mode::Strict,
        ..Terms::default()
    };
    let acme = journal.book(&tenant("acme"), strict).unwrap();
    assert_eq!(
        acme.intent(amount(&day(1), b"")).await.err(),
        Some(Refused::RolledBack)
    );
    assert!(journal.health().rolled_back);
    journal.acknowledge();
    acme.intent(amount(&day(1), b"")).await.unwrap().void();
}
