//! What it takes to put a call on record: the processor's time for an intent and an end, and how many calls a disk keeps up
//! with where each waits for it. It must never count a call whose intent was not as safe as its mode asks for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use outrigger::host::SystemClock;
use outrigger::journal::{Book, Journal, Mode, Record, Settings, Terms};
use outrigger::units::{NanoUsd, TenantId, WindowId};

/// What an intent says, about, and an end.
const PAYLOAD: &[u8] = &[b'x'; 600];

/// Calls one after another and at once, in both modes.
pub(crate) fn records(calls: u64) {
    println!("\nan intent of 300 bytes and an end of 600, four budgets each; {calls} calls");
    for (mode, word) in [(Mode::Batch, "batch"), (Mode::Strict, "strict")] {
        for at_once in [1_u64, 64] {
            // One after another, a disk that is waited for takes milliseconds for each.
            let calls = if mode == Mode::Strict {
                calls.min(200 * at_once)
            } else {
                calls
            };
            let (processor, time) = written(mode, at_once, calls / at_once);
            let calls = u32::try_from(calls).unwrap_or(u32::MAX).max(1);
            let rate = f64::from(calls) / time.as_secs_f64();
            println!(
                "{word}, {at_once:>2} at once{:>10} ns of processor{rate:>10.0} calls/s",
                (processor / calls).as_nanos(),
            );
        }
    }
}

/// The processor's time and the time it took.
fn written(mode: Mode, at_once: u64, each: u64) -> (Duration, Duration) {
    // On the disk that is measured, not in memory.
    let place = tempfile::tempdir_in("target").expect("a directory");
    let settings = Settings::default();
    let opened = Journal::open(place.path(), settings, Arc::new(SystemClock));
    let (journal, _) = opened.expect("a new journal");
    let terms = Terms {
        mode,
        ..Terms::default()
    };
    let books: Vec<Arc<Book>> = (0..at_once)
        .map(|nth| {
            let id: TenantId = format!("t{nth}").parse().expect("an id");
            journal.book(&id, terms).expect("a book")
        })
        .collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("a runtime");
    let (processor, began) = (processor_time(), Instant::now());
    runtime.block_on(async {
        let callers: Vec<_> = books.into_iter().map(|book| calls(book, each)).collect();
        let running: Vec<_> = callers
            .into_iter()
            .map(|caller| tokio::spawn(caller))
            .collect();
        for caller in running {
            caller.await.expect("no panic");
        }
    });
    let took = (processor_time().saturating_sub(processor), began.elapsed());
    journal.close();
    took
}

async fn calls(book: Arc<Book>, each: u64) {
    let windows: Vec<_> = ["hourly", "daily", "monthly", "total"]
        .map(|name| (WindowId::of(name, "tenant", "", 0), NanoUsd(5)))
        .to_vec();
    for _ in 0..each {
        let intent = Record {
            whole: NanoUsd(5),
            windows: &windows,
            payload: PAYLOAD.get(..300).unwrap_or_default(),
        };
        let open = book.intent(intent).await.expect("a disk that works");
        tokio::task::yield_now().await;
        open.end(Record {
            payload: PAYLOAD,
            ..intent
        });
    }
}

fn processor_time() -> Duration {
    let clock = nix::time::ClockId::CLOCK_PROCESS_CPUTIME_ID;
    nix::time::clock_gettime(clock).map_or(Duration::ZERO, Duration::from)
}
