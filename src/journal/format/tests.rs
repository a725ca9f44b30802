//! What is written is read again; what was changed, torn or made up is not.

use proptest::prelude::*;

use super::checkpoint::ChainHead;
use super::seal::Net;
use super::*;
use crate::units::{NanoUsd, Wall};

fn head(seq: u64) -> Head {
    Head {
        kind: Kind::Intent,
        flags: Flags::CLEAR,
        tenant: TenantNumber(7),
        seq,
        about: 3,
        wall: Wall(1_795_996_800_123),
        whole: NanoUsd(42),
    }
}

const WINDOWS: [(WindowId, NanoUsd); 2] = [
    (
        WindowId {
            budget: 1,
            start: -5,
        },
        NanoUsd(9),
    ),
    (
        WindowId {
            budget: 2,
            start: 1_795_996_800,
        },
        NanoUsd(u64::MAX),
    ),
];

fn frames(count: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let mut chain = Chain::default();
    for seq in 1..=count {
        chain = compose(
            &mut out,
            &head(seq),
            &WINDOWS,
            b"{\"model\":\"gpt\"}",
            &InTheClear,
            chain,
        );
    }
    out
}

fn scanned(bytes: &[u8]) -> (Vec<u64>, Vec<std::ops::Range<usize>>, bool) {
    let mut scan = Scan::new(bytes, 0);
    let (mut seqs, mut bad, mut torn) = (Vec::new(), Vec::new(), false);
    while let Some((range, found)) = scan.step() {
        match found {
            Found::Frame(frame) => seqs.push(frame.head.seq),
            Found::Damage(_) => bad.push(range),
            Found::Torn => torn = true,
        }
    }
    (seqs, bad, torn)
}

#[test]
fn a_frame_is_read_as_it_was_written() {
    let bytes = frames(2);
    let first = Frame::parse(&bytes).unwrap().unwrap();
    assert_eq!(first.head, head(1));
    assert!(first.windows.iter().eq(WINDOWS));
    assert_eq!(first.payload, b"{\"model\":\"gpt\"}");
    assert_eq!(first.bytes.len(), frame_bytes(2, first.payload.len()));
    let second = Frame::parse(&bytes[first.bytes.len()..]).unwrap().unwrap();
    let mut scratch = Vec::new();
    assert_eq!(
        first.chain_after(Chain::default(), &mut scratch),
        first.chain
    );
    assert_eq!(second.chain_after(first.chain, &mut scratch), second.chain);
    assert_ne!(
        second.chain_after(Chain::default(), &mut scratch),
        second.chain
    );
    assert!(Frame::parse(&[0; 100]).unwrap().is_none());
    assert!(Frame::parse(&[]).unwrap().is_none());
}

#[test]
fn every_bit_counts() {
    let bytes = frames(1);
    for at in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[at / 8] ^= 1 << (at % 8);
        let read = Frame::parse(&changed);
        assert!(!matches!(read, Ok(Some(_))), "bit {at} changed nothing");
    }
}

#[test]
fn a_torn_tail_is_told_from_damage_and_from_room() {
    let bytes = frames(5);
    let one = bytes.len() / 5;
    let mut padded = bytes.clone();
    padded.resize(bytes.len() + 10_000, 0);
    assert_eq!(scanned(&padded), (vec![1, 2, 3, 4, 5], vec![], false));
    for cut in 1..one {
        let mut torn = bytes[..4 * one + cut].to_vec();
        assert_eq!(scanned(&torn), (vec![1, 2, 3, 4], vec![], true), "{cut}");
        torn.resize(bytes.len() + 10_000, 0);
        assert_eq!(scanned(&torn), (vec![1, 2, 3, 4], vec![], true), "{cut}");
    }
    let mut damaged = bytes.clone();
    damaged[one + 50] ^= 1;
    let one_bad = std::iter::once(one..2 * one).collect::<Vec<_>>();
    assert_eq!(
        scanned(&damaged),
        (vec![1, 3, 4, 5], one_bad.clone(), false)
    );
    // A hole of zeros with records behind it, as a power cut leaves.
    damaged[one..2 * one].fill(0);
    assert_eq!(scanned(&damaged), (vec![1, 3, 4, 5], one_bad, false));
}

#[test]
fn heads_seals_and_lines_are_read_as_they_were_written() {
    let segment = SegmentHead {
        number: 3,
        journal: JournalId([1; 16]),
        boot: BootId([2; 16]),
        wall: Wall(5),
    };
    assert_eq!(SegmentHead::parse(&segment.encode()), Some(segment));
    let mut changed = segment.encode();
    changed[40] ^= 1;
    assert_eq!(SegmentHead::parse(&changed), None);

    let net = Net {
        taken: NanoUsd(5),
        given: NanoUsd(1),
    };
    let held = Held {
        whole: NanoUsd(1),
        windows: WINDOWS.to_vec(),
        wall: Wall(9),
    };
    let sum = TenantSum {
        first_seq: 1,
        last_seq: 9,
        chain: Chain([3; 32]),
        bytes: 100,
        records: 9,
        whole: net,
        windows: vec![(WINDOWS[0].0, net)],
        open: vec![(8, held)],
    };
    let seal = Seal {
        segment: 3,
        length: 1_000,
        newest: Wall(7),
        broken_at: 0,
        previous: Chain([4; 32]),
        tenants: vec![(TenantNumber(7), sum)],
    };
    let mut bytes = seal.encode();
    bytes.extend_from_slice(&[9; 64]);
    let (read, signed, signature) = Seal::parse(&bytes).unwrap();
    assert_eq!((&read, signature), (&seal, &[9; 64]));
    assert_eq!(signed, seal.encode());
    assert!(
        (0..bytes.len())
            .all(|cut| Seal::parse(&bytes[..cut]).is_none_or(|(read, ..)| read != seal))
    );

    let line = CheckpointLine {
        journal: segment.journal,
        number: 12,
        wall: Wall(1_000),
        mark: Mark {
            segment: 3,
            offset: 4_096,
        },
        frame: Chain([5; 32]),
        previous: Chain([6; 32]),
    };
    let text = line.with_signature(&[8; 64]);
    let (read, signed, signature) = CheckpointLine::parse(&text).unwrap();
    assert_eq!((read, signed, signature), (line, &*line.signed(), [8; 64]));
    for wrong in [
        text.replace(" 12 ", " 012 "),
        text.replace(" 12 ", " +12 "),
        format!("{text} "),
        text.to_uppercase(),
    ] {
        assert!(CheckpointLine::parse(&wrong).is_none(), "{wrong}");
    }

    let chain_head = ChainHead {
        tenant: TenantNumber(7),
        seq: 9,
        chain: Chain([3; 32]),
    };
    let mut payload = Vec::new();
    chain_head.write(&mut payload);
    assert!(ChainHead::list(&payload).unwrap().eq([chain_head]));
    assert!(ChainHead::list(&payload[1..]).is_none());
}

proptest! {
    #[test]
    fn whatever_bytes_are_they_are_walked_over(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        fuzz::fuzz_journal(&bytes);
    }

    #[test]
    fn whatever_is_changed_the_frames_before_it_are_found(at in 0_usize..500, value in any::<u8>(), cut in 0_usize..600) {
        let mut bytes = frames(4);
        let one = bytes.len() / 4;
        let at = at % bytes.len();
        bytes[at] ^= value;
        bytes.truncate(bytes.len().min(cut + one));
        let (seqs, ..) = scanned(&bytes);
        let good = if value == 0 { bytes.len() } else { at.min(bytes.len()) } / one;
        prop_assert!(seqs.iter().copied().take(good).eq(1..=good as u64));
        fuzz::fuzz_journal(&bytes);
    }
}
