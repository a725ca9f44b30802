//! Real threads on one account: exactly as many get in as there is room for.

use super::*;
use std::sync::Barrier;
use std::task::{Poll, Wake, Waker};
use std::thread::{self, Thread};

/// A thousand ask at once; all keep what they got.
fn race(spec: &LimitSpec, ask: Ask) -> usize {
    let account = account(spec);
    let barrier = Barrier::new(1_000);
    let holds: Vec<Option<Hold>> = thread::scope(|scope| {
        let asking = || {
            barrier.wait();
            account.reserve(START, ask).ok()
        };
        let threads: Vec<_> = (0..1_000)
            .map(|_| {
                thread::Builder::new()
                    .stack_size(64 * 1_024)
                    .spawn_scoped(scope, asking)
                    .unwrap()
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    let admitted = holds.iter().flatten().count();
    assert_eq!(account.in_flight() as usize, admitted);
    drop(holds);
    assert_eq!(account.in_flight(), 0);
    admitted
}

#[test]
fn a_thousand_at_once_get_exactly_what_there_is() {
    assert_eq!(race(&only(Dimension::Streams, 50), ask(1, 1)), 50);
    assert_eq!(race(&only(Dimension::Tokens, 500), ask(4, 6)), 50);
    let both = LimitSpec {
        streams: Some(60),
        ..only(Dimension::Requests, 50)
    };
    assert_eq!(race(&both, ask(1, 1)), 50);
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[test]
fn a_crowd_at_two_slots_all_get_through() {
    let spec = LimitSpec {
        streams: Some(2),
        queue: 64,
        queue_wait: Some(Duration::MAX),
        ..LimitSpec::default()
    };
    let account = account(&spec);
    let inside = std::sync::atomic::AtomicU32::new(0);
    let visit = || {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut ticket = account.enqueue(START, ask(1, 1)).unwrap();
        let hold = loop {
            match ticket.poll(START, &waker) {
                Poll::Ready(hold) => break hold.unwrap(),
                Poll::Pending => thread::park(),
            }
        };
        let others = inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        assert!(others < 2, "two slots, and {others} others inside");
        thread::yield_now();
        inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
        drop(hold);
    };
    thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| (0..50).for_each(|_| visit()));
        }
    });
    assert_eq!((account.in_flight(), account.waiting()), (0, 0));
}

#[test]
fn a_panic_while_holding_gives_back_and_harms_nobody() {
    let account = account(&only(Dimension::Streams, 1));
    let result = thread::scope(|scope| {
        let crash = || {
            let _hold = account.reserve(START, ask(1, 1)).unwrap();
            panic!("expected by the test");
        };
        scope.spawn(crash).join()
    });
    assert!(result.is_err());
    assert!(account.reserve(START, ask(1, 1)).is_ok());
}
