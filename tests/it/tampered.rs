//! A journal that real use has written, and whoever changes its files afterwards, however well he hides it: each kind is
//! found, with its place. What no file of the journal can tell is found with the checkpoints that somebody kept elsewhere.
//! Must never test a journal that was not valid before.

use std::fmt::Write as _;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use outrigger::app::Source;
use outrigger::host;
use outrigger::journal::format::crc::crc32c;
use outrigger::journal::format::{CheckpointLine, Fault, Frame, Head, Scan, SegmentHead};
use outrigger::journal::{Flags, Invalid, Kind, Mark, TenantNumber, Why, verify};
use tempfile::TempDir;

use crate::serve::outrigger;
use crate::stage::{
    END, PLAIN, STREAM, Stage, Upstream, WHOLE, chat, chunk, hash_of, json, post, until, within,
};

const CHAT: &str = "/openai/v1/chat/completions";
const TENANTS: [&str; 2] = ["acme", "zeta"];

fn config(upstream: &Upstream) -> String {
    let tenant = |name: &str| {
        format!(
            "[tenants.{name}]\nkeys = [\"{}\"]\nbudgets.daily = {{ amount = \"9 USD\", per = \"day\" }}\n",
            hash_of(name)
        )
    };
    format!(
        "[listen]\nproxy = \"127.0.0.1:0\"\ntelemetry = \"off\"\nadmin = \"off\"\n[identity]\naccept = [\"key\"]\n[journal]\n\
         [upstreams.openai]\ndialect = \"openai\"\nurl = \"http://{}\"\nkey = \"provider\"\n{}{}",
        upstream.at,
        tenant(TENANTS[0]),
        tenant(TENANTS[1]),
    )
}

/// Answers whatever is asked, in one piece or as a stream.
async fn play(upstream: Upstream) {
    loop {
        let mut peer = upstream.accept_any().await;
        host::spawn("test-upstream", async move {
            while let Some(asked) = peer.asked().await {
                if crate::stage::find(&asked, b"\"stream\":true").is_none() {
                    peer.try_send(&json(WHOLE)).await;
                    continue;
                }
                peer.try_send(STREAM).await;
                for event in chat().events {
                    peer.try_send(&chunk(&event)).await;
                }
                peer.try_send(END).await;
            }
        });
    }
}

/// A life of the sidecar, which is one segment: calls of both tenants, streams, and what was refused.
async fn live(state: &Path) {
    let upstream = Upstream::bind().await;
    let text = config(&upstream);
    let mut stage = Stage::keeping(upstream, Source::Text("test", text), state);
    let upstream = stage.take_upstream().await;
    host::spawn("test-upstream", play(upstream));
    let mut trips = 0;
    for tenant in TENANTS {
        let mut caller = stage.caller().await;
        for question in [PLAIN, chat().question, PLAIN, r#"{"messages":[]}"#, PLAIN] {
            let request = String::from_utf8(post(CHAT, question)).expect("a text");
            let key = format!("\r\nauthorization: Bearer {tenant}\r\n\r\n");
            caller
                .send(request.replacen("\r\n\r\n", &key, 1).as_bytes())
                .await;
            if question == chat().question {
                caller.sees("0\r\n\r\n").await;
                caller = stage.caller().await;
            } else {
                caller.answer().await;
            }
            trips += 1;
            let totals = &stage.sidecar.ground.totals;
            until("the trip to end", || {
                totals.of(outrigger::trip::Total::Requests) == trips
            })
            .await;
        }
    }
    stage.at_rest().await;
    stage.sidecar.close();
}

/// The files of a journal, to be tampered with.
struct Files {
    home: TempDir,
    directory: PathBuf,
}

/// What every case begins with.
struct Real {
    today: Files,
    /// As they were two lives before.
    yesterday: Files,
    /// Of the same sidecar on another machine.
    other: Files,
    /// What somebody kept elsewhere.
    elsewhere: String,
}

impl Real {
    async fn written() -> Self {
        let [today, other] = [Files::new(), Files::new()];
        live(&today.state()).await;
        live(&today.state()).await;
        let yesterday = today.copy();
        live(&today.state()).await;
        live(&today.state()).await;
        live(&other.state()).await;
        let elsewhere = today.lines();
        Self {
            today,
            yesterday,
            other,
            elsewhere,
        }
    }
}

impl Files {
    fn new() -> Self {
        let state = tempfile::tempdir().expect("a directory");
        let directory = state.path().join("journal");
        Self {
            home: state,
            directory,
        }
    }

    fn state(&self) -> PathBuf {
        self.home.path().to_owned()
    }

    fn copy(&self) -> Self {
        let copy = Self::new();
        copy_all(&self.directory, &copy.directory);
        copy
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn of(&self, segment: u64, kind: &str) -> PathBuf {
        self.at(&format!("segments/{segment:016x}.{kind}"))
    }

    fn remove(&self, segment: u64, kinds: &[&str]) {
        for kind in kinds {
            fs::remove_file(self.of(segment, kind)).expect("a file");
        }
    }

    fn bytes(&self, segment: u64) -> Vec<u8> {
        fs::read(self.of(segment, "seg")).expect("a segment")
    }

    fn change(&self, segment: u64, change: impl FnOnce(&mut Vec<u8>)) {
        edit(&self.of(segment, "seg"), change);
    }

    /// What the program itself says of them, and that it ends with that code.
    async fn verdict(&self, elsewhere: &str, code: i32) -> String {
        fs::write(self.state().join("elsewhere"), elsewhere).expect("a file");
        let mut command = outrigger(&self.state());
        command.args([
            "audit",
            "verify",
            "--state",
            ".",
            "--checkpoint",
            "elsewhere",
        ]);
        let output = within("a verdict", command.output()).await;
        let output = output.expect("the program");
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The lines of the checkpoints.
    fn lines(&self) -> String {
        (1..)
            .map_while(|segment| fs::read_to_string(self.of(segment, "points")).ok())
            .collect()
    }

    /// The n-th record of such a kind in a segment.
    fn record(&self, segment: u64, kind: Kind, which: usize) -> Place {
        let places = places(segment, &self.bytes(segment));
        let mut those = places.into_iter().filter(|place| place.head.kind == kind);
        those.nth(which).expect("a record")
    }
}

fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).expect("a file");
    change(&mut bytes);
    fs::write(path, bytes).expect("a file");
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a kind").is_dir() {
            copy_all(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

/// One record, and where it stands.
#[derive(Clone)]
struct Place {
    segment: u64,
    range: Range<usize>,
    head: Head,
}

impl Place {
    fn mark(&self) -> Mark {
        mark(self.segment, self.range.start)
    }

    fn found(&self, why: Why) -> Finding {
        Finding {
            record: Some((self.head.tenant, self.head.seq)),
            ..at(why, self.mark())
        }
    }
}

fn mark(segment: u64, offset: usize) -> Mark {
    let offset = u64::try_from(offset).expect("short");
    Mark { segment, offset }
}

fn places(segment: u64, bytes: &[u8]) -> Vec<Place> {
    let mut scan = Scan::new(bytes, SegmentHead::BYTES);
    let mut places = Vec::new();
    while let Some((range, found)) = scan.step() {
        let outrigger::journal::format::Found::Frame(Frame { head, .. }) = found else {
            panic!("no record at {range:?}");
        };
        places.push(Place {
            segment,
            range,
            head,
        });
    }
    places
}

/// What must be found.
#[derive(Clone, Copy, Debug)]
struct Finding {
    why: Why,
    mark: Mark,
    record: Option<(TenantNumber, u64)>,
    /// Only with what was kept elsewhere.
    with_help: bool,
}

fn at(why: Why, mark: Mark) -> Finding {
    Finding {
        why,
        mark,
        record: None,
        with_help: false,
    }
}

fn helped(why: Why, mark: Mark) -> Finding {
    Finding {
        with_help: true,
        ..at(why, mark)
    }
}

impl Finding {
    fn is(&self, found: &Invalid) -> bool {
        (self.why, self.mark, self.record) == (found.why, found.mark, found.record)
    }
}

/// The checksum made to fit.
fn resum(frame: &mut [u8]) {
    let sum = crc32c(&frame[8..]);
    frame[4..8].copy_from_slice(&sum.to_le_bytes());
}

/// The same for a segment's head.
fn resum_head(bytes: &mut [u8]) {
    let sum = crc32c(&bytes[24..SegmentHead::BYTES]);
    bytes[20..24].copy_from_slice(&sum.to_le_bytes());
}

fn frame(bytes: &[u8]) -> Frame<'_> {
    Frame::shape(bytes).expect("a frame").expect("a frame")
}

/// Changes a record, and chains all of its tenant's records from there to the end of the segment anew.
fn rechain(bytes: &mut [u8], place: &Place, change: impl FnOnce(&mut [u8])) {
    let mut all = places(place.segment, bytes);
    all.retain(|other| other.head.tenant == place.head.tenant);
    let which = all.iter().position(|other| other.range == place.range);
    let which = which.expect("it is there");
    let mut chain = frame(&bytes[all[which - 1].range.clone()]).chain;
    change(&mut bytes[place.range.clone()]);
    for other in &all[which..] {
        let changed = frame(&bytes[other.range.clone()]);
        chain = changed.chain_after(chain, &mut Vec::new());
        bytes[other.range.end - 32..other.range.end].copy_from_slice(&chain.0);
        resum(&mut bytes[other.range.clone()]);
    }
}

/// A record changed, with everything that needs no key made to fit.
fn hidden_edit(files: &Files, change: impl FnOnce(&mut [u8])) -> Finding {
    let place = files.record(2, Kind::End, 1);
    files.change(2, |bytes| rechain(bytes, &place, change));
    place.found(Why::Sealing)
}

/// One way to tamper.
struct Case {
    kind: &'static str,
    tamper: fn(&Real, &Files) -> Finding,
}

macro_rules! case {
    ($kind:literal, |$real:pat_param, $files:pat_param| $tamper:expr) => {
        Case {
            kind: $kind,
            tamper: |$real, $files| $tamper,
        }
    };
}

/// Records that were changed, taken out, put in.
const RECORDS: &[Case] = &[
    case!("a byte of a payload is another", |_, files| {
        let place = files.record(2, Kind::Intent, 1);
        files.change(2, |bytes| bytes[place.range.end - 40] ^= 1);
        at(Why::Bytes(Fault::Checksum), place.mark())
    }),
    case!("… and its checksum fits", |_, files| {
        let place = files.record(2, Kind::Intent, 1);
        files.change(2, |bytes| {
            bytes[place.range.end - 40] ^= 1;
            resum(&mut bytes[place.range.clone()]);
        });
        place.found(Why::Chain)
    }),
    case!("… and all that follows is chained anew", |_, files| {
        hidden_edit(files, |frame| {
            let at = frame.len() - 40;
            frame[at] ^= 1;
        })
    }),
    case!("an amount in the clear is another", |_, files| {
        hidden_edit(files, |frame| frame[48] ^= 1)
    }),
    case!("what counts in a budget is another", |_, files| {
        hidden_edit(files, |frame| frame[56 + 16] ^= 1)
    }),
    case!("a time is another", |_, files| {
        hidden_edit(files, |frame| frame[40] ^= 1)
    }),
    case!("an end is that of another intent", |_, files| {
        hidden_edit(files, |frame| frame[32] ^= 1)
    }),
    case!("a payload is said not to be sealed", |_, files| {
        hidden_edit(files, |frame| frame[11] |= Flags::CLEAR.0)
    }),
    case!("a record is deleted", |_, files| {
        let [gone, next] = [0, 1].map(|which| two_of_one(files)[which].clone());
        files.change(2, |bytes| drop(bytes.drain(gone.range.clone())));
        let expected = gone.head.seq;
        Finding {
            mark: gone.mark(),
            ..next.found(Why::Skipped { expected })
        }
    }),
    case!("two records change places", |_, files| {
        let [first, second] = two_of_one(files);
        files.change(2, |bytes| {
            let swapped = [&bytes[second.range.clone()], &bytes[first.range.clone()]].concat();
            bytes[first.range.start..second.range.end].copy_from_slice(&swapped);
        });
        let expected = first.head.seq;
        Finding {
            mark: first.mark(),
            ..second.found(Why::Skipped { expected })
        }
    }),
    case!("a record stands there twice", |_, files| {
        let place = files.record(2, Kind::End, 1);
        files.change(2, |bytes| {
            let again = bytes[place.range.clone()].to_vec();
            bytes.splice(place.range.end..place.range.end, again);
        });
        Finding {
            mark: mark(2, place.range.end),
            ..place.found(Why::Repeated)
        }
    }),
    case!("zeros stand in the place of a record", |_, files| {
        let place = files.record(2, Kind::End, 1);
        files.change(2, |bytes| bytes[place.range.clone()].fill(0));
        at(Why::Bytes(Fault::Shape), place.mark())
    }),
    case!(
        "a record of one tenant becomes the next of another",
        |_, files| { splice(files) }
    ),
];

/// An intent and its end, which are neighbours.
fn two_of_one(files: &Files) -> [Place; 2] {
    let all = places(2, &files.bytes(2));
    let pair = all.windows(2).find(|pair| {
        pair[0].head.kind == Kind::Intent
            && pair[1].head.tenant == pair[0].head.tenant
            && pair[0].head.seq > 1
    });
    let [first, second] = pair.expect("a pair") else {
        panic!("two");
    };
    [first.clone(), second.clone()]
}

/// With the next number, the chain and the checksum that fit.
fn splice(files: &Files) -> Finding {
    let all = places(2, &files.bytes(2));
    let intents = |place: &&Place| place.head.kind == Kind::Intent;
    let mine = all.iter().find(intents).expect("an intent");
    let others = |place: &&Place| {
        place.head.tenant != mine.head.tenant && place.head.tenant != TenantNumber::JOURNAL
    };
    let last = all.iter().rfind(others).expect("another's").clone();
    let mut made = Vec::new();
    files.change(2, |bytes| {
        let before = frame(&bytes[last.range.clone()]).chain;
        made = bytes[mine.range.clone()].to_vec();
        made[16..24].copy_from_slice(&last.head.tenant.0.to_le_bytes());
        made[24..32].copy_from_slice(&(last.head.seq + 1).to_le_bytes());
        let chain = frame(&made).chain_after(before, &mut Vec::new());
        let end = made.len();
        made[end - 32..].copy_from_slice(&chain.0);
        resum(&mut made);
        bytes.splice(last.range.end..last.range.end, made.iter().copied());
    });
    Finding {
        record: Some((last.head.tenant, last.head.seq + 1)),
        ..at(Why::Sealing, mark(2, last.range.end))
    }
}

/// Files that were cut, taken away, put in place of others.
const FILES: &[Case] = &[
    case!("the tail is cut off", |real, files| {
        let line = parsed(real.elsewhere.lines().last());
        let cut = usize::try_from(line.mark.offset).expect("short");
        files.change(line.mark.segment, |bytes| bytes.truncate(cut));
        at(Why::Truncated, line.mark)
    }),
    case!("… with all that told of it", |real, files| {
        files.remove(4, &["seg", "seal", "points"]);
        helped(Why::RolledBack, first_of(real, 4).mark)
    }),
    case!("all files are those of yesterday", |real, files| {
        fs::remove_dir_all(&files.directory).expect("a directory");
        copy_all(&real.yesterday.directory, &files.directory);
        helped(Why::RolledBack, first_of(real, 3).mark)
    }),
    case!("a segment is deleted", |_, files| {
        files.remove(2, &["seg"]);
        at(Why::Missing, mark(2, 0))
    }),
    case!("… with all that told of it", |_, files| {
        files.remove(2, &["seg", "seal", "points"]);
        at(Why::Missing, mark(2, 0))
    }),
    case!(
        "the first segment is deleted, as if its term were over",
        |_, files| {
            files.remove(1, &["seg", "points"]);
            at(Why::Missing, mark(1, 0))
        }
    ),
    case!("a segment is replayed under another number", |_, files| {
        fs::copy(files.of(2, "seg"), files.of(5, "seg")).expect("a copy");
        at(Why::SegmentHead, mark(5, 0))
    }),
    case!("… which its head says, too", |_, files| {
        fs::copy(files.of(2, "seg"), files.of(5, "seg")).expect("a copy");
        files.change(5, |bytes| {
            bytes[24] = 5;
            resum_head(bytes);
        });
        let first = &places(5, &files.bytes(5))[0];
        first.found(Why::Repeated)
    }),
    case!("two segments change places", |_, files| {
        let [first, second] = [files.bytes(1), files.bytes(2)];
        files.change(1, |bytes| *bytes = second);
        files.change(2, |bytes| *bytes = first);
        at(Why::SegmentHead, mark(1, 0))
    }),
    case!("a segment is said to be of another start", |_, files| {
        files.change(2, |bytes| {
            bytes[48] ^= 1;
            resum_head(bytes);
        });
        files.record(2, Kind::Intent, 0).found(Why::Sealing)
    }),
    case!("a segment's head says more than it may", |_, files| {
        files.change(2, |bytes| {
            bytes[80] ^= 1;
            resum_head(bytes);
        });
        at(Why::SegmentHead, mark(2, 0))
    }),
];

/// Keys, signatures and what is signed.
const SIGNED: &[Case] = &[
    case!("two tenants' keys change places", |_, files| {
        let mut number = 0;
        edit(&files.at("keys"), |table| {
            let (first, second) = table.split_at_mut(256);
            first[28..256].swap_with_slice(&mut second[28..256]);
            number = u64::from_le_bytes(*first[8..].first_chunk().expect("a number"));
            for slot in [first, second] {
                let sum = crc32c(&slot[4..256]);
                slot[..4].copy_from_slice(&sum.to_le_bytes());
            }
        });
        Finding {
            record: Some((TenantNumber(number), 1)),
            ..at(Why::Key, mark(0, 0))
        }
    }),
    case!(
        "a key is forgotten to hide that a record was changed",
        |_, files| {
            let place = files.record(2, Kind::End, 1);
            forget(files, place.head.tenant);
            files.change(2, |bytes| rechain(bytes, &place, |frame| frame[48] ^= 1));
            let all = places(2, &files.bytes(2));
            let point = |other: &&Place| {
                other.head.kind == Kind::Checkpoint && other.range.start > place.range.start
            };
            let point = all.iter().find(point).expect("a checkpoint");
            let mine = |other: &&Place| {
                other.head.tenant == place.head.tenant && other.range.start < point.range.start
            };
            let last = all.iter().rfind(mine).expect("a record");
            Finding {
                mark: point.mark(),
                ..last.found(Why::Head)
            }
        }
    ),
    case!("the public key is another's", |real, files| {
        fs::copy(real.other.at("signing.pub"), files.at("signing.pub")).expect("a copy");
        at(Why::SegmentHead, mark(1, 0))
    }),
    case!("all files are another journal's", |real, files| {
        fs::remove_dir_all(&files.directory).expect("a directory");
        copy_all(&real.other.directory, &files.directory);
        helped(Why::OtherKey, first_of(real, 1).mark)
    }),
    case!("a seal is another", |_, files| {
        edit(&files.of(2, "seal"), |seal| seal[120] ^= 1);
        at(Why::SealSignature, mark(2, 0))
    }),
    case!("a seal is gone", |_, files| {
        files.remove(2, &["seal"]);
        at(Why::SealSignature, mark(3, 0))
    }),
    case!("a checkpoint's line is another", |_, files| {
        edit(&files.of(2, "points"), |line| {
            let at = line.iter().rposition(u8::is_ascii_digit).expect("a digit");
            line[at] = if line[at] == b'1' { b'2' } else { b'1' };
        });
        let text = fs::read_to_string(files.of(2, "points")).expect("a text");
        let last = text.trim_end().rfind('\n').map_or(0, |at| at + 1);
        at(Why::PointSignature, mark(2, last))
    }),
    case!("a checkpoint's line is gone", |_, files| {
        edit(&files.of(2, "points"), |text| {
            let first = text.iter().position(|byte| *byte == b'\n').expect("a line");
            text.drain(..=first);
        });
        at(Why::PointSignature, mark(3, 0))
    }),
    case!("a checkpoint names another head", |_, files| {
        let place = files.record(2, Kind::Checkpoint, 0);
        files.change(2, |bytes| {
            // The journal's own records are not sealed: whoever likes can chain them anew.
            rechain(bytes, &place, |frame| frame[56 + 16] ^= 1);
        });
        at(Why::Checkpoint, place.mark())
    }),
    case!("a checkpoint is signed by somebody else", |_, files| {
        let mut offset = 0;
        edit(&files.of(4, "points"), |text| {
            let lines = String::from_utf8_lossy(text).into_owned();
            let last = lines.lines().last().expect("a line");
            let line = parsed(Some(last));
            let forged = CheckpointLine {
                number: line.number + 1,
                previous: CheckpointLine::digest(last),
                ..line
            };
            offset = text.len();
            text.extend_from_slice(forged.with_signature(&[7; 64]).as_bytes());
            text.push(b'\n');
        });
        at(Why::PointSignature, mark(4, offset))
    }),
];

/// Overwrites a tenant's slot as an erasure would.
fn forget(files: &Files, tenant: TenantNumber) {
    edit(&files.at("keys"), |table| {
        let slots = table.as_chunks_mut::<256>().0;
        for slot in slots
            .iter_mut()
            .filter(|slot| slot[8..16] == tenant.0.to_le_bytes())
        {
            slot[24..].fill(0);
            slot[4] = 2;
            let sum = crc32c(&slot[4..]);
            slot[..4].copy_from_slice(&sum.to_le_bytes());
        }
    });
}

fn parsed(line: Option<&str>) -> CheckpointLine {
    CheckpointLine::parse(line.expect("a line"))
        .expect("a checkpoint")
        .0
}

/// The first checkpoint of a segment, of those that were kept elsewhere.
fn first_of(real: &Real, segment: u64) -> CheckpointLine {
    let mut lines = real.elsewhere.lines().map(|line| parsed(Some(line)));
    let found = lines.find(|line| line.mark.segment == segment);
    found.expect("a checkpoint")
}

#[tokio::test]
async fn every_kind_of_tampering_is_found_with_its_place() {
    let real = Real::written().await;
    let untouched = real.today.copy();
    for elsewhere in ["", &real.elsewhere] {
        let verdict = verify(&untouched.directory, None, elsewhere);
        assert!(verdict.is_valid(), "{:?}", verdict.invalid);
        assert_eq!((verdict.segments.len(), verdict.tenants.len()), (4, 3));
        untouched.verdict(elsewhere, 0).await;
        assert!(
            verdict.opened > 60 && verdict.checkpoints >= 4,
            "{verdict:?}"
        );
    }
    for files in [&real.yesterday, &real.other] {
        assert!(verify(&files.directory, None, "").is_valid());
    }
    let mut failed = String::new();
    for case in RECORDS.iter().chain(FILES).chain(SIGNED) {
        let files = real.today.copy();
        let wanted = (case.tamper)(&real, &files);
        let alone = verify(&files.directory, None, "").invalid;
        let with_help = verify(&files.directory, None, &real.elsewhere).invalid;
        let is_found = |found: &[Invalid]| found.iter().any(|found| wanted.is(found));
        let as_wanted = is_found(&with_help)
            && if wanted.with_help {
                alone.is_empty()
            } else {
                is_found(&alone)
            };
        if !as_wanted {
            let kind = case.kind;
            let _ = writeln!(
                failed,
                "{kind}: {wanted:?} in {alone:?} and {with_help:?}
"
            );
        }
        let said = files.verdict(&real.elsewhere, 1).await;
        let Mark { segment, offset } = wanted.mark;
        let place = format!("{segment:016x}");
        let is_told =
            segment == 0 || (said.contains(&place) && said.contains(&format!(" at {offset}")));
        assert!(
            is_told && said.contains(&wanted.why.to_string()),
            "{}: {said}",
            case.kind
        );
    }
    assert!(failed.is_empty(), "{failed}");
}
