//! What a killed sidecar leaves, compared with what the upstream and the callers have seen. Must never repair anything.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::Path;

use outrigger::journal::{Flags, Kind, Reader, Wanted, verify};
use outrigger::units::NanoUsd;
use serde_json::Value;

use super::TENANTS;
use super::calls::Told;
use super::house::House;
use super::upstream::{Billed, LOST, locked};

/// What the journal says of one request.
#[derive(Debug)]
pub(super) struct Entry {
    held: u64,
    /// What it was settled at, and whether nobody knew how it ended.
    end: Option<(u64, bool)>,
}

/// What it says of each tenant's, by request.
pub(super) fn entries(journal: &Path) -> [HashMap<String, Entry>; 3] {
    let reader = Reader::open(journal);
    TENANTS.map(|tenant| {
        let mut entries = HashMap::new();
        let mut open = HashMap::new();
        let wanted = Wanted {
            tenant: Some(tenant.parse().expect("an id")),
            ..Wanted::default()
        };
        reader.read(&wanted, &mut |line| {
            let head = line.frame.head;
            let told = line.payload.expect("the key is there");
            for (_, amount) in line.frame.windows.iter() {
                assert_eq!(amount, head.whole, "every budget counts the whole");
            }
            if head.kind == Kind::Intent {
                let told: Value = serde_json::from_slice(told).expect("a document");
                let id = told["session"].as_str().expect("a session").to_owned();
                open.insert(head.seq, id.clone());
                let entry = Entry {
                    held: head.whole.0,
                    end: None,
                };
                let before = entries.insert(id, entry);
                assert!(before.is_none(), "two intents: {before:?}");
            } else if head.kind == Kind::Gap {
                // Refusals that could not be written: they cost nothing.
                assert_eq!(head.whole, NanoUsd::ZERO, "nothing goes unrecorded");
            } else if let Some(entry) = open.get(&head.about).and_then(|id| entries.get_mut(id)) {
                match head.kind {
                    Kind::Extend => entry.held = head.whole.0,
                    Kind::End => entry.end = Some((head.whole.0, head.flags.has(Flags::UNKNOWN))),
                    other => panic!("{other:?} about an intent"),
                }
            } else {
                assert_eq!(
                    head.kind,
                    Kind::Refusal,
                    "about an intent that is not there"
                );
            }
            ControlFlow::Continue(())
        });
        entries
    })
}

/// What is true of what a killed sidecar left, before anybody touches it.
pub(super) async fn check_left(house: &House, told: &[Told], billed: &Billed, elsewhere: &str) {
    let verdict = verify(&house.journal(), None, elsewhere);
    assert!(verdict.is_valid(), "{:?}", verdict.invalid);
    house.verifies(elsewhere).await;
    let entries = entries(&house.journal());
    let of = |id: &str| entries.iter().find_map(|entries| entries.get(id));
    for id in locked(&billed.seen).keys() {
        assert!(of(id).is_some(), "{id} has left without an intent");
    }
    for caller in told {
        for (place, id) in caller.sent.iter().enumerate() {
            if caller.refused.contains(id) {
                assert_eq!(billed.of(id), None, "{id} was refused and has left");
            }
            // What came after it is on record, so it is.
            let followed = caller.sent[place + 1..]
                .iter()
                .any(|next| billed.of(next).is_some());
            if caller.whole.contains(id) && followed {
                let end = of(id).and_then(|entry| entry.end);
                assert_eq!(
                    end,
                    Some((billed.of(id).expect("seen"), false)),
                    "{id} has ended"
                );
            }
        }
    }
}

/// What is true once another has started on it.
pub(super) async fn check_restarted(house: &House, billed: &Billed, lives: u64) -> u64 {
    let spent = house.spent().await;
    let mut unknown = 0;
    let mut known = 0;
    for (tenant, entries) in TENANTS.iter().zip(entries(&house.journal())) {
        let (mut settled, mut least, mut most) = (0, 0, 0);
        for (id, entry) in &entries {
            let mut bill = billed.of(id).unwrap_or_default();
            let (amount, is_unknown) = entry.end.expect("everything is over");
            if is_unknown {
                unknown += 1;
                assert_eq!(amount, entry.held, "{id} is settled at its hold");
                assert!(amount >= bill, "{id} has used {bill}, and held {amount}");
            } else if billed.is_cut(id) {
                // Nobody can charge for pieces that were on their way when it was cut.
                assert!(
                    amount + LOST >= bill,
                    "{id} has used {bill}, and paid {amount}"
                );
                assert!(
                    amount <= entry.held.max(bill),
                    "{id} has held {}",
                    entry.held
                );
                bill = amount;
            } else {
                assert_eq!(amount, bill, "{id} has ended");
            }
            settled += amount;
            least += bill;
            most += if is_unknown { entry.held } else { bill };
            known += u64::from(billed.of(id).is_some());
        }
        let (spent, held) = spent[*tenant];
        assert_eq!(
            (spent.0, held.0),
            (settled, 0),
            "{tenant}: what is spent is on record"
        );
        assert!(
            least <= spent.0 && spent.0 <= most,
            "{tenant}: {least} {spent:?} {most}"
        );
    }
    let seen = locked(&billed.seen).len();
    assert_eq!(
        usize::try_from(known).expect("few"),
        seen,
        "each is on record once"
    );
    let callers = u64::try_from(house.disk.callers()).expect("few");
    assert!(
        unknown <= callers * lives,
        "{unknown} unknown in {lives} lives"
    );
    unknown
}

/// What somebody who keeps checkpoints would have.
pub(super) fn latest_line(journal: &Path) -> Option<String> {
    let entries = std::fs::read_dir(journal.join("segments")).ok()?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut paths: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|kind| kind == "points"))
        .collect();
    paths.sort();
    let texts = paths
        .iter()
        .rev()
        .filter_map(|path| std::fs::read_to_string(path).ok());
    let mut lines = texts.filter_map(|text| {
        let whole = text.get(..text.rfind('\n')?)?;
        whole.lines().last().map(str::to_owned)
    });
    lines.next()
}
