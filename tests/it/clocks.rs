//! A wall clock that is set back or forth, within a process and between two of them: no budget is refilled by it. Must never
//! look at the machine's clock.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use outrigger::app::Source;
use outrigger::units::{Boot, Clock, Wall};

use crate::stage::{Stage, StillClock, Upstream, config, json, post};

const CHAT: &str = "/openai/v1/chat/completions";
const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// 2026-12-02T12:30:00Z, a Wednesday.
const NOW: u64 = 1_796_214_600_000;

/// Every kind of window, and how long it takes from `NOW` until all of it is there again.
const PERIODS: [(&str, Option<u64>); 6] = [
    ("hour", Some(30 * MINUTE)),
    ("day", Some(11 * HOUR + 30 * MINUTE)),
    ("week", Some(4 * DAY + 11 * HOUR + 30 * MINUTE)),
    ("month", Some(29 * DAY + 11 * HOUR + 30 * MINUTE)),
    ("6h", Some(7 * HOUR)),
    ("total", None),
];

const BACK: [u64; 6] = [1, MINUTE, HOUR, DAY, 40 * DAY, 400 * DAY];

/// A wall that is set, beside a time since the start that stands.
struct SetClock {
    wall: AtomicU64,
    still: Arc<StillClock>,
}

impl SetClock {
    fn at(wall: u64) -> Arc<Self> {
        Arc::new(Self {
            wall: AtomicU64::new(wall),
            still: Arc::default(),
        })
    }

    fn set(&self, wall: u64) {
        self.wall.store(wall, Ordering::SeqCst);
    }
}

impl Clock for SetClock {
    fn boot(&self) -> Boot {
        self.still.boot()
    }

    fn wall(&self) -> Wall {
        Wall(self.wall.load(Ordering::SeqCst))
    }
}

/// A dollar a window, and each token costs a thousandth.
fn budgeted(period: &str) -> String {
    format!(
        "budgets.b = {{ amount = \"1 USD\", per = \"{period}\" }}\n[journal]\n\
         [prices.models.\"openai/m\"]\ninput = \"1000\"\noutput = \"1000\"\n"
    )
}

async fn stage(state: &Path, period: &str, clock: &Arc<SetClock>) -> Stage {
    let upstream = Upstream::bind().await;
    let text = config(upstream.at, &budgeted(period));
    let time = Arc::clone(clock) as Arc<dyn Clock>;
    let still = Arc::clone(&clock.still);
    Stage::keeping_time(upstream, Source::Text("test", text), state, time, still)
}

/// A call that uses up what there is, or none.
async fn spends(stage: &Stage) -> bool {
    let mut caller = stage.caller().await;
    let question = r#"{"model":"m","max_tokens":900,"messages":[]}"#;
    caller.send(&post(CHAT, question)).await;
    let (head, body) = tokio::select! {
        refusal = caller.answer() => refusal,
        mut peer = stage.upstream.accept() => {
            peer.request().await;
            let usage = r#"{"id":"c","model":"m","choices":[],"usage":{"prompt_tokens":100,"completion_tokens":900,"total_tokens":1000}}"#;
            peer.send(&json(usage)).await;
            peer.close_after().await;
            let (head, body) = caller.answer().await;
            assert!(head.starts_with("HTTP/1.1 200 "), "{head}{body}");
            stage.at_rest().await;
            return true;
        }
    };
    assert!(head.starts_with("HTTP/1.1 402 "), "{head}{body}");
    false
}

#[tokio::test]
async fn a_clock_that_steps_back_refills_no_window() {
    for (period, again) in PERIODS {
        let state = tempfile::tempdir().expect("a directory");
        let clock = SetClock::at(NOW);
        let stage = stage(state.path(), period, &clock).await;
        assert!(spends(&stage).await, "{period}");
        for back in BACK {
            clock.set(NOW - back);
            assert!(!spends(&stage).await, "{period}, {back} ms back");
            clock.set(NOW);
            assert!(!spends(&stage).await, "{period}, {back} ms back and forth");
        }
        if let Some(again) = again {
            clock.set(NOW + again);
            assert!(spends(&stage).await, "{period} begins anew");
            clock.set(NOW);
            assert!(!spends(&stage).await, "{period}: the next is used up, too");
        } else {
            clock.set(NOW + 4_000 * DAY);
            assert!(!spends(&stage).await, "{period} never begins anew");
        }
    }
}

#[tokio::test]
async fn nor_does_one_that_stepped_back_while_nobody_ran() {
    for (period, again) in PERIODS {
        let state = tempfile::tempdir().expect("a directory");
        let clock = SetClock::at(NOW);
        {
            let stage = stage(state.path(), period, &clock).await;
            assert!(spends(&stage).await, "{period}");
            stage.sidecar.close();
        }
        for back in BACK {
            clock.set(NOW - back);
            let stage = stage(state.path(), period, &clock).await;
            assert!(!spends(&stage).await, "{period}, {back} ms back");
            clock.set(NOW);
            assert!(!spends(&stage).await, "{period}, {back} ms back and forth");
            stage.sidecar.close();
        }
        if let Some(again) = again {
            clock.set(NOW + again);
            let stage = stage(state.path(), period, &clock).await;
            assert!(spends(&stage).await, "{period} begins anew");
            stage.sidecar.close();
        }
    }
}
