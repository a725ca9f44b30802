//! What it costs.

use super::*;

/// Printed, not judged: machines differ. `cargo test --release -- --ignored --nocapture journal_speed`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn journal_speed() {
    let directory = tempfile::tempdir_in(".").unwrap();
    let (journal, _) = open(directory.path(), Settings::default());
    let payload = [b'x'; 350];
    let windows: Vec<_> = (0..4)
        .map(|budget| (WindowId { budget, start: 1 }, NanoUsd(5)))
        .collect();
    for tasks in [1_u64, 32] {
        let cpu = cpu_nanos();
        let began = SystemClock.boot();
        let each = 200_000 / tasks;
        let all: Vec<_> = (0..tasks)
            .map(|task| {
                let book = journal
                    .book(&tenant(&format!("t{task}")), Terms::default())
                    .unwrap();
                let windows = windows.clone();
                crate::host::spawn("test", async move {
                    for _ in 0..each {
                        let record = Record {
                            whole: NanoUsd(5),
                            windows: &windows,
                            payload: &payload,
                        };
                        let intent = book.intent(record).await.unwrap();
                        tokio::task::yield_now().await;
                        intent.end(record);
                    }
                })
            })
            .collect();
        for task in all {
            task.await.unwrap();
        }
        let wall = SystemClock.boot().since(began);
        let count = tasks * each;
        println!(
            "{tasks} tasks: {} ns of processor and {} ns of time per intent and end",
            (cpu_nanos() - cpu) / count,
            u64::try_from(wall.as_nanos()).unwrap() / count
        );
        println!("{:?}", journal.health());
    }
}

fn cpu_nanos() -> u64 {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_PROCESS_CPUTIME_ID).unwrap();
    u64::try_from(time.tv_sec()).unwrap() * 1_000_000_000 + u64::try_from(time.tv_nsec()).unwrap()
}
