//! The golden wire transcripts: each folder of `tests/golden/` is one case, played whole, in 7-byte and in 1-byte
//! pieces on both sides of a sidecar, with the same outcome each time. `UPDATE=1` writes the expectations anew.
//! Must never compare less than every byte, but for the closed list of what [`masked`] and `house` leave out.
//!
//! A case is these files and no others: `config.toml`, what the two ends send (`client`, `upstream`), what they must get
//! (`at-upstream`, `at-client`), the request lines (`log`) and the samples that changed (`metrics`).

mod client;
mod framing;
mod house;
mod script;
mod upstream;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use house::House;
use upstream::Stage;

const GIVEN: [&str; 3] = ["config.toml", "client", "upstream"];
const EXPECTED: [&str; 4] = ["at-upstream", "at-client", "log", "metrics"];

/// The sizes of the pieces; the first is all at once.
const PIECES: [usize; 3] = [usize::MAX, 7, 1];

fn check(name: &str) {
    let folder = root().join(name.replace('_', "-"));
    files_are_those_of_a_case(&folder);
    let given = GIVEN.map(|file| std::fs::read(folder.join(file)).expect(file));
    for piece in PIECES {
        let outcome = play(&given, piece);
        for (file, found) in EXPECTED.iter().zip(outcome) {
            compare(&folder.join(file), &found, piece);
        }
    }
}

/// What came of one run, in the order of [`EXPECTED`].
fn play([config, sent, script]: &[Vec<u8>; 3], piece: usize) -> [Vec<u8>; 4] {
    // One thread that looks at the sockets after each step: so the pieces arrive as they were sent.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .event_interval(1)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let stage = Stage::new(piece);
        let ports = Ports {
            upstream: upstream::start(&stage, script),
            dead: dead(),
        };
        let config = String::from_utf8(config.clone()).expect("a configuration is text");
        let house = House::open(ports.put_into(&config));
        let played = client::play(&stage, &house, sent);
        let at_client = tokio::time::timeout(Duration::from_secs(20), played)
            .await
            .expect("a case ends");
        house.settle().await;
        assert_eq!(stage.answers_left(), 0, "answers nobody asked for");
        [
            ports.masked(&stage.at_upstream()),
            ports.masked(&at_client),
            house.log(),
            house.metrics(),
        ]
    })
}

/// The ports of a run.
struct Ports {
    upstream: SocketAddr,
    /// Nobody listens there.
    dead: SocketAddr,
}

impl Ports {
    fn put_into(&self, config: &str) -> String {
        config
            .replace("@UPSTREAM@", &self.upstream.to_string())
            .replace("@DEAD@", &self.dead.to_string())
    }

    /// The closed list: the two ports, and the time of day that the HTTP library writes.
    fn masked(&self, bytes: &[u8]) -> Vec<u8> {
        let bytes = replace(bytes, self.upstream.to_string().as_bytes(), b"@UPSTREAM@");
        let bytes = replace(&bytes, self.dead.to_string().as_bytes(), b"@DEAD@");
        without_dates(&bytes)
    }
}

fn dead() -> SocketAddr {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener = std::net::TcpListener::bind(any).expect("a free port");
    listener.local_addr().expect("an address")
}

fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(from.len()).position(|window| window == from) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    out.extend_from_slice(rest);
    out
}

/// The dates of the scripts are of this day; every other is now.
const THAT_DAY: &[u8] = b"Thu, 01 Jan 2026";

fn without_dates(bytes: &[u8]) -> Vec<u8> {
    const DATE: &[u8] = b"\r\ndate: ";
    const LENGTH: usize = 29;
    let mut out = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(DATE.len()).position(|window| window == DATE) {
        let value = at + DATE.len();
        out.extend_from_slice(&rest[..value]);
        rest = &rest[value..];
        if !rest.starts_with(THAT_DAY) {
            out.extend_from_slice(b"@DATE@");
            rest = &rest[LENGTH..];
        }
    }
    out.extend_from_slice(rest);
    out
}

fn compare(file: &Path, found: &[u8], piece: usize) {
    if std::env::var_os("UPDATE").is_some_and(|value| value == "1") && piece == PIECES[0] {
        std::fs::write(file, found).expect("the expectation can be written");
    }
    let expected = std::fs::read(file).expect("the expectation can be read");
    assert!(
        expected == found,
        "{}, in pieces of {piece}\n--- expected\n{}\n--- found\n{}",
        file.display(),
        String::from_utf8_lossy(&expected).replace('\r', "\\r"),
        String::from_utf8_lossy(found).replace('\r', "\\r"),
    );
}

fn files_are_those_of_a_case(folder: &Path) {
    let found = names_in(folder);
    let given = GIVEN.map(str::to_owned);
    let expected = EXPECTED.map(str::to_owned);
    if std::env::var_os("UPDATE").is_none() {
        let wanted: BTreeSet<_> = given.into_iter().chain(expected).collect();
        assert_eq!(found, wanted, "{}", folder.display());
        return;
    }
    let known: BTreeSet<_> = given.into_iter().chain(expected).collect();
    assert!(found.is_subset(&known), "{}: {found:?}", folder.display());
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn names_in(folder: &Path) -> BTreeSet<String> {
    std::fs::read_dir(folder)
        .unwrap_or_else(|why| panic!("{}: {why}", folder.display()))
        .map(|entry| entry.expect("a readable folder").file_name())
        .map(|name| name.into_string().expect("a name of ASCII letters"))
        .collect()
}

macro_rules! cases {
    ($($name:ident)*) => {
        $(#[test] fn $name() { check(stringify!($name)); })*

        #[test]
        fn every_case_is_listed() {
            let listed: BTreeSet<_> = [$(stringify!($name)),*]
                .into_iter()
                .map(|name| name.replace('_', "-"))
                .collect();
            assert_eq!(names_in(&root()), listed);
        }
    };
}

mod cases {
    //! One test a folder; the name is the folder's, with `_` for `-`.
    use super::*;
    include!("golden/cases.rs");
}
