//! Every interleaving of a few threads at the queue and the slots: no slot given twice, no call lost. A lost call
//! shows as a deadlock, which loom reports. Run with `RUSTFLAGS="--cfg loom" cargo test --release loom_`.

use super::*;
use crate::units::{Boot, NanoUsd};
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread::{self, Thread};
use std::sync::Arc;
use std::task::{Poll, Wake, Waker};

const NOW: Boot = Boot(1);
const ASK: Ask = Ask {
    input: 1,
    output: 1,
};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn model(body: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = None;
    builder.check(body);
}

fn one_slot(queue: u32) -> Arc<Account> {
    Account::new(
        &LimitSpec {
            streams: Some(1),
            queue,
            ..LimitSpec::default()
        },
        NOW,
    )
}

/// Waits as a task would: polls, and sleeps until called. No timer: only a call can end it.
fn wait(mut ticket: Ticket) -> Hold {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match ticket.poll(NOW, &waker) {
            Poll::Ready(hold) => return hold.expect("time stands still"),
            Poll::Pending => thread::park(),
        }
    }
}

fn assert_empty(account: &Account) {
    assert_eq!((account.in_flight(), account.waiting()), (0, 0));
}

#[test]
fn loom_one_slot_is_never_given_twice() {
    model(|| {
        let account = one_slot(0);
        let inside = Arc::new(AtomicUsize::new(0));
        let visit = |account: Arc<Account>, inside: Arc<AtomicUsize>| {
            move || {
                if let Ok(hold) = account.reserve(NOW, ASK) {
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                    inside.fetch_sub(1, Ordering::SeqCst);
                    drop(hold);
                }
            }
        };
        let threads =
            [(); 2].map(|()| thread::spawn(visit(Arc::clone(&account), Arc::clone(&inside))));
        visit(Arc::clone(&account), inside)();
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        assert_empty(&account);
    });
}

#[test]
fn loom_a_release_reaches_who_is_about_to_wait() {
    model(|| {
        let account = one_slot(1);
        let hold = account.reserve(NOW, ASK).unwrap();
        let other = Arc::clone(&account);
        let waiter = thread::spawn(move || drop(wait(other.enqueue(NOW, ASK).unwrap())));
        drop(hold);
        waiter.join().unwrap();
        assert_empty(&account);
    });
}

#[test]
fn loom_a_settlement_reaches_who_is_about_to_wait() {
    model(|| {
        let once = Rate {
            amount: 0,
            per: std::time::Duration::from_secs(1),
            burst: Some(10),
        };
        // It never refills and the wait has no end, so only the settlement can help.
        let spec = LimitSpec {
            tokens: Some(once),
            queue: 1,
            queue_wait: Some(std::time::Duration::MAX),
            ..LimitSpec::default()
        };
        let account = Account::new(&spec, NOW);
        let mut hold = account
            .reserve(
                NOW,
                Ask {
                    input: 10,
                    output: 0,
                },
            )
            .unwrap();
        let other = Arc::clone(&account);
        let waiter = thread::spawn(move || drop(wait(other.enqueue(NOW, ASK).unwrap())));
        hold.settle(NOW, 5, 0, NanoUsd::ZERO);
        waiter.join().unwrap();
        drop(hold);
        assert_empty(&account);
    });
}

#[test]
fn loom_two_waiters_both_get_in() {
    model(|| {
        let account = one_slot(2);
        let hold = account.reserve(NOW, ASK).unwrap();
        let inside = Arc::new(AtomicUsize::new(0));
        let threads = [(); 2].map(|()| {
            let (account, inside) = (Arc::clone(&account), Arc::clone(&inside));
            thread::spawn(move || {
                let hold = wait(account.enqueue(NOW, ASK).unwrap());
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                inside.fetch_sub(1, Ordering::SeqCst);
                drop(hold);
            })
        });
        drop(hold);
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        assert_empty(&account);
    });
}

#[test]
fn loom_a_head_that_leaves_passes_the_call_on() {
    model(|| {
        let account = one_slot(2);
        let hold = account.reserve(NOW, ASK).unwrap();
        let mut first = account.enqueue(NOW, ASK).unwrap();
        assert!(first.poll(NOW, Waker::noop()).is_pending());
        let second = account.enqueue(NOW, ASK).unwrap();
        let waiter = thread::spawn(move || drop(wait(second)));
        let leaver = thread::spawn(move || drop(first));
        drop(hold);
        leaver.join().unwrap();
        waiter.join().unwrap();
        assert_empty(&account);
    });
}

#[test]
fn loom_more_room_by_a_resize_reaches_everyone() {
    model(|| {
        let account = one_slot(2);
        let hold = account.reserve(NOW, ASK).unwrap();
        let tickets = [(); 2].map(|()| account.enqueue(NOW, ASK).unwrap());
        let waiters = tickets.map(|ticket| thread::spawn(move || wait(ticket)));
        account.resize(
            &LimitSpec {
                streams: Some(3),
                ..LimitSpec::default()
            },
            NOW,
        );
        let holds = waiters.map(|waiter| waiter.join().unwrap());
        assert_eq!(account.in_flight(), 3);
        drop((hold, holds));
        assert_empty(&account);
    });
}

#[test]
fn loom_buffers_never_pass_the_ceiling_and_all_come_back() {
    model(|| {
        let buffers = Buffers::new(12);
        buffers.share_among(3);
        let spec = LimitSpec::default();
        // One is each tenant's own, nine are lent.
        let hold = |account: Arc<Account>, buffers: Arc<Buffers>| {
            move || {
                let mut lease = account.lease();
                assert_eq!(lease.grow_to(1), Ok(()), "the share is the tenant's own");
                let _ = lease.grow_to(4);
                assert!(buffers.held() <= 12);
            }
        };
        let account = || Account::sharing(&buffers, &spec, NOW);
        let other = thread::spawn(hold(account(), Arc::clone(&buffers)));
        hold(account(), Arc::clone(&buffers))();
        other.join().unwrap();
        assert_eq!(buffers.held(), 0);
    });
}
