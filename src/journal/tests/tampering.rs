//! Whoever changes the files is found out, with the place; what only somebody else's memory can tell, with its help.

use std::fs;
use std::path::PathBuf;

use super::*;
use crate::journal::format::crc::crc32c;
use crate::journal::format::{Frame, Scan, SegmentHead};
use crate::journal::places::Places;

/// A journal of two tenants and several segments, closed; and the lines that were kept elsewhere.
struct Victim {
    directory: tempfile::TempDir,
    elsewhere: String,
}

impl Victim {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let victim = Self {
            directory,
            elsewhere: String::new(),
        };
        victim.live(3).await;
        let elsewhere = victim.lines();
        let verdict = verify(victim.path(), None, &elsewhere);
        assert!(verdict.is_valid(), "{:?}", verdict.invalid);
        assert!(verdict.segments.len() >= 3 && verdict.checkpoints >= 3 && verdict.opened > 100);
        assert_eq!(verdict.tenants.len(), 3, "two, and the journal itself");
        Self {
            elsewhere,
            ..victim
        }
    }

    /// A life with so many segments.
    async fn live(&self, segments: u64) {
        let (journal, _) = open(self.path(), small());
        let books =
            ["acme", "zeta"].map(|name| journal.book(&tenant(name), Terms::default()).unwrap());
        let first = journal.health().segment;
        for _ in 1..segments {
            for round in 0..40 {
                let book = &books[round % 2];
                let intent = book.intent(amount(&day(10), b"{\"n\":1}")).await.unwrap();
                intent.end(amount(&day(7), b"{\"n\":2}"));
            }
            let now = journal.health().segment;
            journal.turn();
            until("the turn", || journal.health().segment > now).await;
        }
        drop(books[0].intent(amount(&day(1), b"")).await.unwrap());
        assert_eq!(journal.health().segment, first + segments - 1);
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn places(&self) -> Places {
        Places::new(self.path())
    }

    fn lines(&self) -> String {
        let places = self.places();
        let numbers = places.numbers("points");
        numbers
            .iter()
            .map(|number| fs::read_to_string(places.points(*number)).unwrap())
            .collect()
    }

    /// Changes a segment's bytes.
    fn change(&self, segment: u64, change: impl FnOnce(&mut Vec<u8>)) {
        let path = self.places().segment(segment);
        let mut bytes = fs::read(&path).unwrap();
        change(&mut bytes);
        fs::write(path, bytes).unwrap();
    }

    /// What is found, with and without the lines from elsewhere.
    fn found(&self) -> [Vec<Invalid>; 2] {
        ["", &self.elsewhere].map(|elsewhere| verify(self.path(), None, elsewhere).invalid)
    }

    /// It is found, with and without help.
    fn finds(&self, what: &str, wanted: impl Fn(&Invalid) -> bool) {
        for found in self.found() {
            assert!(found.iter().any(&wanted), "{what}: {found:?}");
        }
    }
}

/// Where the frames of tenants begin and end.
fn frames(bytes: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut scan = Scan::new(bytes, SegmentHead::BYTES);
    let mut ranges = Vec::new();
    while let Some((range, _)) = scan.step() {
        let tenant = u64::from_le_bytes(*bytes[range.start + 16..].first_chunk().unwrap());
        if tenant != 0 {
            ranges.push(range);
        }
    }
    ranges
}

fn resum(frame: &mut [u8]) {
    let sum = crc32c(&frame[8..]);
    frame[4..8].copy_from_slice(&sum.to_le_bytes());
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target: PathBuf = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn offset(range: &std::ops::Range<usize>) -> u64 {
    u64::try_from(range.start).unwrap()
}

#[tokio::test]
async fn an_edit_is_found_where_it_is_however_well_it_is_hidden() {
    let victim = Victim::new().await;
    let mut place = 0;
    victim.change(1, |bytes| {
        let range = frames(bytes)[5].clone();
        place = offset(&range);
        bytes[range.start + 48] ^= 1;
    });
    victim.finds("an edit", |found| {
        matches!(found.why, Why::Bytes(_)) && (found.mark.segment, found.mark.offset) == (1, place)
    });

    // With a checksum that fits.
    let victim = Victim::new().await;
    victim.change(1, |bytes| {
        let range = frames(bytes)[5].clone();
        bytes[range.start + 48] ^= 1;
        resum(&mut bytes[range]);
    });
    victim.finds("an edit with its sum", |found| {
        found.why == Why::Chain && found.mark.offset == place && found.record.is_some()
    });

    // With a chain that fits, to the end of the segment.
    let victim = Victim::new().await;
    victim.change(1, |bytes| rechain(bytes, 5, |frame| frame[48] ^= 1));
    victim.finds("an edit with its chain", |found| {
        found.why == Why::Sealing && found.mark.offset == place
    });
    victim.finds("a chain made anew", |found| found.why == Why::Head);
    victim.finds("what was sealed", |found| found.why == Why::Seal);
}

/// Changes a frame, and chains it and all of its tenant's frames behind it anew.
fn rechain(bytes: &mut [u8], which: usize, change: impl FnOnce(&mut [u8])) {
    let ranges = frames(bytes);
    let tenant = bytes[ranges[which].start + 16..ranges[which].start + 24].to_vec();
    let mine =
        |range: &&std::ops::Range<usize>| bytes[range.start + 16..range.start + 24] == tenant;
    let mine: Vec<_> = ranges.iter().filter(mine).cloned().collect();
    let at = mine
        .iter()
        .position(|range| *range == ranges[which])
        .unwrap();
    change(&mut bytes[ranges[which].clone()]);
    let mut chain = Frame::shape(&bytes[mine[at - 1].clone()])
        .unwrap()
        .unwrap()
        .chain;
    for range in &mine[at..] {
        let frame = Frame::shape(&bytes[range.clone()]).unwrap().unwrap();
        chain = frame.chain_after(chain, &mut Vec::new());
        bytes[range.end - 32..range.end].copy_from_slice(&chain.0);
        resum(&mut bytes[range.clone()]);
    }
}

#[tokio::test]
async fn deleted_reordered_and_inserted_records_are_found() {
    let victim = Victim::new().await;
    victim.change(1, |bytes| {
        let range = frames(bytes)[5].clone();
        bytes.drain(range);
    });
    victim.finds("a deletion", |found| {
        matches!(found.why, Why::Skipped { .. })
    });

    let victim = Victim::new().await;
    victim.change(1, |bytes| {
        // An intent and its end, which are one tenant's.
        let ranges = frames(bytes);
        let [first, second] = [ranges[4].clone(), ranges[5].clone()];
        let swapped = [&bytes[second.clone()], &bytes[first.clone()]].concat();
        bytes[first.start..second.end].copy_from_slice(&swapped);
    });
    victim.finds("a new order", |found| found.why == Why::Repeated);

    let victim = Victim::new().await;
    victim.change(2, |bytes| {
        // As good as one without the key can make it: the next number, chain and checksum.
        let range = frames(bytes).last().unwrap().clone();
        let before = Frame::shape(&bytes[range.clone()]).unwrap().unwrap().chain;
        let mut made = bytes[range.clone()].to_vec();
        let seq = u64::from_le_bytes(*made[24..].first_chunk().unwrap()) + 1;
        made[24..32].copy_from_slice(&seq.to_le_bytes());
        let chain = Frame::shape(&made)
            .unwrap()
            .unwrap()
            .chain_after(before, &mut Vec::new());
        let end = made.len();
        made[end - 32..].copy_from_slice(&chain.0);
        resum(&mut made);
        bytes.splice(range.end..range.end, made);
    });
    victim.finds("an insertion", |found| found.why == Why::Sealing);
}

#[tokio::test]
async fn a_tail_that_was_cut_is_found_with_what_was_signed() {
    let victim = Victim::new().await;
    victim.change(3, |bytes| {
        let range = frames(bytes).last().unwrap().clone();
        bytes.truncate(range.start);
    });
    victim.finds("a cut", |found| {
        found.why == Why::Truncated && found.mark.segment == 3
    });

    // Whoever cuts cleanly takes the seal and the signed lines along.
    let places = victim.places();
    fs::remove_file(places.seal(3)).unwrap();
    fs::remove_file(places.points(3)).unwrap();
    fs::remove_file(places.segment(3)).unwrap();
    let [alone, helped] = victim.found();
    assert_eq!(alone, []);
    assert!(
        helped.iter().any(|found| found.why == Why::RolledBack),
        "{helped:?}"
    );
}

#[tokio::test]
async fn a_file_that_was_only_begun_is_no_fault_and_hides_none() {
    let victim = Victim::new().await;
    let places = victim.places();
    fs::write(places.segment(4), [0; 4_096]).unwrap();
    assert_eq!(victim.found(), [vec![], vec![]]);
    // What was signed of a segment is missed, whatever stands in its place.
    fs::remove_file(places.segment(4)).unwrap();
    fs::write(places.segment(3), [0; 4_096]).unwrap();
    victim.finds("a blank", |found| {
        found.why == Why::SegmentHead && found.mark.segment == 3
    });
    victim.finds("what was signed", |found| found.why == Why::Truncated);
}

#[tokio::test]
async fn records_of_one_tenant_are_none_of_another() {
    let victim = Victim::new().await;
    victim.change(1, |bytes| {
        let ranges = frames(bytes);
        let number = |range: &std::ops::Range<usize>, bytes: &[u8]| {
            bytes[range.start + 16..range.start + 24].to_vec()
        };
        let other = ranges
            .iter()
            .map(|range| number(range, bytes))
            .find(|other| *other != number(&ranges[5], bytes))
            .unwrap();
        let range = ranges[5].clone();
        bytes[range.start + 16..range.start + 24].copy_from_slice(&other);
        resum(&mut bytes[range]);
    });
    victim.finds("a splice", |found| found.why == Why::Sealing);
    victim.finds("what it left", |found| {
        matches!(found.why, Why::Skipped { .. })
    });
}

#[tokio::test]
async fn segments_that_come_twice_or_are_gone_are_found() {
    let victim = Victim::new().await;
    let places = victim.places();
    fs::copy(places.segment(2), places.segment(4)).unwrap();
    victim.finds("a replay", |found| {
        found.why == Why::SegmentHead && found.mark.segment == 4
    });
    victim.finds("its records", |found| found.why == Why::Repeated);

    let victim = Victim::new().await;
    fs::remove_file(victim.places().segment(2)).unwrap();
    victim.finds("a gone one", |found| {
        found.why == Why::Missing && found.mark.segment == 2
    });
}

#[tokio::test]
async fn keys_that_changed_places_are_found() {
    let victim = Victim::new().await;
    let path = victim.path().join("keys");
    let mut table = fs::read(&path).unwrap();
    let (first, second) = table.split_at_mut(256);
    // The secrets change places, the checksums fit.
    first[28..256].swap_with_slice(&mut second[28..256]);
    for slot in [first, second] {
        let sum = crc32c(&slot[4..256]);
        slot[..4].copy_from_slice(&sum.to_le_bytes());
    }
    fs::write(path, table).unwrap();
    victim.finds("swapped keys", |found| {
        found.why == Why::Key && found.record.is_some()
    });

    let victim = Victim::new().await;
    let other = Victim::new().await;
    for name in ["signing.key", "signing.pub"] {
        fs::copy(other.path().join(name), victim.path().join(name)).unwrap();
    }
    victim.finds("another's key", |found| found.why == Why::SegmentHead);
    let [_, helped] = victim.found();
    assert!(helped.iter().any(|found| found.why == Why::OtherKey));
}

#[tokio::test]
async fn files_of_yesterday_are_found_with_help() {
    let victim = Victim::new().await;
    let yesterday = tempfile::tempdir().unwrap();
    copy(victim.path(), yesterday.path());
    victim.live(2).await;
    let today = victim.lines();
    assert!(verify(victim.path(), None, &today).is_valid());
    assert!(
        verify(yesterday.path(), None, "").is_valid(),
        "nothing here tells"
    );
    let found = verify(yesterday.path(), None, &today).invalid;
    assert!(
        found.iter().any(|found| found.why == Why::RolledBack),
        "{found:?}"
    );
    // One line, the latest, is enough.
    let latest = today.lines().last().unwrap();
    let found = verify(yesterday.path(), None, latest).invalid;
    assert_eq!(found.len(), 1, "{found:?}");
    // And whoever goes on from there has another history than the one that was seen.
    let forked = Victim {
        directory: yesterday,
        elsewhere: today,
    };
    forked.live(3).await;
    let [alone, helped] = forked.found();
    assert_eq!(alone, []);
    assert!(
        helped.iter().any(|found| found.why == Why::Forked),
        "{helped:?}"
    );
}

#[tokio::test]
async fn what_was_not_signed_here_is_found() {
    let victim = Victim::new().await;
    let path = victim.places().points(3);
    let mut lines = fs::read_to_string(&path).unwrap();
    let last = lines.lines().last().unwrap().to_owned();
    let (line, ..) = format::CheckpointLine::parse(&last).unwrap();
    let forged = format::CheckpointLine {
        number: line.number + 1,
        previous: format::CheckpointLine::digest(&last),
        ..line
    };
    lines.push_str(&forged.with_signature(&[7; 64]));
    lines.push('\n');
    fs::write(&path, lines).unwrap();
    victim.finds("a forged checkpoint", |found| {
        found.why == Why::PointSignature && found.mark.segment == 3
    });

    let victim = Victim::new().await;
    let path = victim.places().seal(1);
    let mut seal = fs::read(&path).unwrap();
    seal[120] ^= 1;
    fs::write(&path, seal).unwrap();
    victim.finds("a changed seal", |found| {
        found.why == Why::SealSignature && found.mark.segment == 1
    });
}

#[tokio::test]
async fn an_erased_tenant_is_unreadable_and_everybodys_chain_is_valid() {
    let victim = Victim::new().await;
    {
        let (journal, _) = open(victim.path(), small());
        assert!(journal.erase(&tenant("acme"), b"").unwrap());
    }
    let verdict = verify(victim.path(), None, &victim.elsewhere);
    assert!(verdict.is_valid(), "{:?}", verdict.invalid);
    let reader = Reader::open(victim.path());
    let mut seen = [(0, 0); 2];
    reader.read(&Wanted::default(), &mut |line| {
        let which = match line.tenant.map(TenantId::as_str) {
            Some("acme") => 0,
            Some("zeta") => 1,
            _ => return std::ops::ControlFlow::Continue(()),
        };
        seen[which].0 += 1;
        seen[which].1 += usize::from(line.payload.is_some());
        std::ops::ControlFlow::Continue(())
    });
    let [acme, zeta] = seen;
    assert!(
        acme.0 > 80 && acme.1 <= 2,
        "{acme:?}: only the word of the erasure can be read"
    );
    assert!(zeta.0 == zeta.1 && zeta.0 >= 80, "{zeta:?}");
    let key = fs::read(victim.path().join("keys")).unwrap();
    assert!(key.windows(32).any(|bytes| bytes == [0; 32]));
}
