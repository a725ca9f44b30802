//! A journal that a process has left: written, then opened again, with its seals and without, and verified. It must never
//! count a record that was not found again.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use outrigger::host::SystemClock;
use outrigger::journal::{Book, Journal, Record, Settings, Terms, verify};
use outrigger::units::{NanoUsd, TenantId, WindowId};

const TENANTS: u64 = 100;
/// What an end says, about.
const PAYLOAD: &[u8] = &[b'x'; 600];

/// Writes so many records, and finds them again.
pub(crate) fn recovery(records: u64) {
    let place = tempfile::tempdir().expect("a directory");
    println!("\na journal of {records} records of {TENANTS} tenants");
    let took = write(place.path(), records);
    let size = size_of(place.path());
    println!(
        "{:<24}{:>8} ms, {} bytes each",
        "written",
        took.as_millis(),
        size / records.max(1)
    );
    let (took, read) = open(place.path(), records);
    println!(
        "{:<24}{:>8} ms, {read} read one by one",
        "opened by its seals",
        took.as_millis()
    );
    for entry in walk(place.path()) {
        if entry
            .extension()
            .is_some_and(|extension| extension == "seal")
        {
            std::fs::remove_file(entry).expect("a seal");
        }
    }
    let (took, read) = open(place.path(), records);
    println!(
        "{:<24}{:>8} ms, {read} read one by one",
        "opened without seals",
        took.as_millis()
    );
    let began = Instant::now();
    let verdict = verify(place.path(), None, "");
    let took = began.elapsed();
    assert!(verdict.is_valid(), "{:?}", verdict.invalid);
    println!("{:<24}{:>8} ms", "verified", took.as_millis());
}

fn write(place: &Path, records: u64) -> Duration {
    let settings = Settings {
        total_bytes: 1 << 40,
        ..Settings::default()
    };
    let (journal, _) =
        Journal::open(place, settings, Arc::new(SystemClock)).expect("a new journal");
    let books: Vec<Arc<Book>> = (0..TENANTS)
        .map(|nth| {
            let id: TenantId = format!("t{nth}").parse().expect("an id");
            journal.book(&id, Terms::default()).expect("a book")
        })
        .collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let began = Instant::now();
    runtime.block_on(async {
        for nth in 0..records / 2 {
            let book = &books[usize::try_from(nth % TENANTS).expect("few")];
            let windows = [(WindowId::of("daily", "tenant", "", 0), NanoUsd(2))];
            let intent = Record {
                whole: NanoUsd(2),
                windows: &windows,
                payload: &PAYLOAD[..300],
            };
            let open = book.intent(intent).await.expect("a quick disk");
            let windows = [(WindowId::of("daily", "tenant", "", 0), NanoUsd(1))];
            open.end(Record {
                whole: NanoUsd(1),
                windows: &windows,
                payload: PAYLOAD,
            });
        }
    });
    let took = began.elapsed();
    journal.close();
    took
}

/// Opens and closes it; everything that was spent is there.
fn open(place: &Path, records: u64) -> (Duration, u64) {
    let settings = Settings {
        total_bytes: 1 << 40,
        ..Settings::default()
    };
    let began = Instant::now();
    let (journal, recovery) =
        Journal::open(place, settings, Arc::new(SystemClock)).expect("a journal");
    let took = began.elapsed();
    let spent: u64 = recovery
        .tenants
        .iter()
        .flat_map(|tenant| &tenant.windows)
        .map(|(_, net)| net.taken.0)
        .sum();
    assert_eq!(spent, records / 2, "{:?}", recovery.alarms);
    let read = recovery.records;
    journal.close();
    (took, read)
}

fn size_of(place: &Path) -> u64 {
    let files = walk(place);
    let sizes = files.iter().filter_map(|path| path.metadata().ok());
    sizes.map(|metadata| metadata.len()).sum()
}

fn walk(place: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(place).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                walk(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}
