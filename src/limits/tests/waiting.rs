//! The queue: who waits, in which order, who is called, and for how long.

use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Wake, Waker};

const WAIT: Duration = Duration::from_secs(5);

/// Counts its calls.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A ticket and its bell.
struct Guest {
    ticket: Ticket,
    bell: Arc<Bell>,
}

impl Guest {
    fn arrive(account: &Arc<Account>, now: Boot, ask: Ask) -> Self {
        let mut guest = Self {
            ticket: account.enqueue(now, ask).unwrap(),
            bell: Arc::default(),
        };
        assert!(guest.poll(now).is_pending());
        guest
    }

    fn poll(&mut self, now: Boot) -> Poll<Result<Hold, Refused>> {
        self.ticket.poll(now, &Waker::from(Arc::clone(&self.bell)))
    }

    fn hold(&mut self, now: Boot) -> Hold {
        let Poll::Ready(Ok(hold)) = self.poll(now) else {
            panic!("its turn has come, and it fits");
        };
        hold
    }

    fn rung(&self) -> usize {
        self.bell.0.load(Ordering::Relaxed)
    }
}

fn one_slot(queue: u32) -> LimitSpec {
    LimitSpec {
        streams: Some(1),
        queue,
        queue_wait: Some(WAIT),
        ..LimitSpec::default()
    }
}

#[test]
fn without_a_queue_nobody_waits() {
    let account = account(&one_slot(0));
    let hold = account.reserve(START, ask(0, 0)).unwrap();
    let refused = account.enqueue(START, ask(0, 0)).unwrap_err();
    assert!(matches!(refused, Refused::Denied(denied) if denied.dimension == Dimension::Streams));
    drop(hold);
    assert!(
        account.enqueue(START, ask(0, 0)).is_ok(),
        "what fits needs no queue"
    );
}

#[test]
fn what_fits_is_taken_at_once() {
    let account = account(&one_slot(1));
    let mut ticket = account.enqueue(START, ask(0, 0)).unwrap();
    assert_eq!(
        (account.in_flight(), account.waiting(), ticket.wake_at()),
        (1, 0, START)
    );
    let hold = ticket.poll(START, Waker::noop());
    assert!(matches!(hold, Poll::Ready(Ok(_))));
    assert!(
        ticket.poll(START, Waker::noop()).is_pending(),
        "pending for ever"
    );
    drop(ticket);
    assert_eq!(account.in_flight(), 1);
    drop(hold);
    assert_eq!(account.in_flight(), 0);
}

#[test]
fn a_granted_ticket_dropped_unpolled_gives_everything_back() {
    let account = account(&one_slot(1));
    drop(account.enqueue(START, ask(0, 0)).unwrap());
    assert_eq!(account.in_flight(), 0);
}

#[test]
fn the_queue_is_bounded() {
    let account = account(&one_slot(2));
    let _hold = account.reserve(START, ask(0, 0)).unwrap();
    let _guests = [(); 2].map(|()| Guest::arrive(&account, START, ask(0, 0)));
    let refused = account.enqueue(START, ask(0, 0)).unwrap_err();
    assert!(
        matches!(refused, Refused::QueueFull(denied) if denied.dimension == Dimension::Streams)
    );
    assert!(account.glance(START, &Want::from(ask(1, 1))).is_err());
}

#[test]
fn first_in_first_out_and_only_the_head_is_called() {
    let account = account(&one_slot(3));
    let mut hold = account.reserve(START, ask(0, 0)).unwrap();
    let mut guests = [(); 3].map(|()| Guest::arrive(&account, START, ask(0, 0)));
    for turn in 0..3 {
        drop(hold);
        let rung = [0, 1, 2].map(|guest| guests[guest].rung());
        assert!(guests[turn].rung() > 0, "the head is called");
        for later in guests.iter_mut().skip(turn + 1) {
            assert!(later.poll(START).is_pending(), "nobody overtakes");
        }
        assert!(
            account.reserve(START, ask(0, 0)).is_err(),
            "nor does a newcomer"
        );
        hold = guests[turn].hold(START);
        for later in turn + 1..3 {
            let calls = guests[later].rung() - rung[later];
            assert_eq!(
                calls,
                usize::from(later == turn + 1),
                "only the new head is called, to set its time"
            );
        }
    }
    drop(hold);
    assert_eq!((account.in_flight(), account.waiting()), (0, 0));
}

#[test]
fn a_newcomer_waits_behind_others_even_if_it_would_fit() {
    let spec = LimitSpec {
        tokens: Some(rate(10, 10)),
        queue: 2,
        queue_wait: Some(WAIT),
        ..LimitSpec::default()
    };
    let account = account(&spec);
    let _hold = account.reserve(START, ask(8, 0)).unwrap();
    let mut big = Guest::arrive(&account, START, ask(5, 0));
    let denied = account
        .reserve(START, ask(1, 0))
        .unwrap_err()
        .denied()
        .copied()
        .unwrap();
    assert_eq!(
        (denied.dimension, denied.retry_after),
        (Dimension::Tokens, Denied::SLOT_RETRY)
    );
    let mut small = Guest::arrive(&account, START, ask(1, 0));
    assert_eq!(big.ticket.wake_at(), at(3 * SECOND));
    assert_eq!(small.ticket.wake_at(), START.after(WAIT));
    assert!(small.poll(at(3 * SECOND)).is_pending());
    let _big = big.hold(at(3 * SECOND));
    assert_eq!(small.rung(), 1, "it is the head now");
    assert!(small.poll(at(3 * SECOND)).is_pending());
    assert_eq!(small.ticket.wake_at(), at(4 * SECOND));
    let _small = small.hold(at(4 * SECOND));
}

#[test]
fn a_rate_that_takes_longer_than_the_wait_is_refused_at_once() {
    let spec = LimitSpec {
        requests: Some(rate(1, 6)),
        queue: 9,
        queue_wait: Some(WAIT),
        ..LimitSpec::default()
    };
    let account = account(&spec);
    let _hold = account.reserve(START, ask(0, 0)).unwrap();
    let refused = account.enqueue(START, ask(0, 0)).unwrap_err();
    assert!(matches!(refused, Refused::Denied(denied) if denied.retry_after.as_secs() == 6));
    // A second later it is 5 s: just as long as one may wait, and it is granted at that very instant.
    let mut guest = Guest::arrive(&account, at(SECOND), ask(0, 0));
    assert_eq!(guest.ticket.wake_at(), at(6 * SECOND));
    let _hold = guest.hold(at(6 * SECOND));
}

#[test]
fn the_wait_ends() {
    let account = account(&one_slot(2));
    let _hold = account.reserve(START, ask(0, 0)).unwrap();
    let mut first = Guest::arrive(&account, START, ask(0, 0));
    let mut second = Guest::arrive(&account, at(SECOND), ask(0, 0));
    assert_eq!(
        (first.ticket.wake_at(), second.ticket.wake_at()),
        (at(5 * SECOND), at(6 * SECOND))
    );
    assert!(first.poll(at(5 * SECOND - 1)).is_pending());
    let Poll::Ready(Err(Refused::TimedOut(denied))) = first.poll(at(5 * SECOND)) else {
        panic!("the time is over");
    };
    assert_eq!(denied.dimension, Dimension::Streams);
    assert_eq!(second.rung(), 1);
    assert!(second.poll(at(5 * SECOND)).is_pending());
    assert!(matches!(second.poll(at(6 * SECOND)), Poll::Ready(Err(_))));
    assert_eq!(account.waiting(), 0);
}

#[test]
fn a_later_one_may_time_out_first() {
    let account = account(&one_slot(2));
    let hold = account.reserve(START, ask(0, 0)).unwrap();
    let mut first = Guest::arrive(&account, START, ask(0, 0));
    account.resize(
        &LimitSpec {
            queue_wait: Some(Duration::from_secs(1)),
            ..one_slot(2)
        },
        START,
    );
    let mut second = Guest::arrive(&account, START, ask(0, 0));
    let rung = first.rung();
    assert!(matches!(second.poll(at(SECOND)), Poll::Ready(Err(_))));
    assert_eq!(
        first.rung(),
        rung,
        "whoever leaves from the middle calls nobody"
    );
    drop(hold);
    let _hold = first.hold(at(SECOND));
}

#[test]
fn leaving_the_head_calls_the_next() {
    let account = account(&one_slot(3));
    let hold = account.reserve(START, ask(0, 0)).unwrap();
    let [first, second, mut third] = [(); 3].map(|()| Guest::arrive(&account, START, ask(0, 0)));
    drop(second.ticket);
    assert_eq!((first.rung(), third.rung()), (0, 0));
    // The slot comes free, the head is called, and goes without looking: the call must be passed on.
    drop(hold);
    assert_eq!((first.rung(), third.rung()), (1, 0));
    drop(first.ticket);
    assert_eq!(third.rung(), 1);
    let _hold = third.hold(START);
}

#[test]
fn a_settlement_that_gives_back_calls_the_head() {
    let spec = LimitSpec {
        tokens: Some(rate(100, 60)),
        queue: 1,
        queue_wait: Some(WAIT),
        ..LimitSpec::default()
    };
    let account = account(&spec);
    let mut exact = account.reserve(START, ask(50, 0)).unwrap();
    let mut over = account.reserve(START, ask(49, 0)).unwrap();
    let mut guest = Guest::arrive(&account, START, ask(5, 0));
    exact.settle(START, 50, 0, NanoUsd::ZERO);
    assert_eq!(guest.rung(), 0);
    over.settle(START, 9, 0, NanoUsd::ZERO);
    assert_eq!(guest.rung(), 1);
    let _hold = guest.hold(START);
}

#[test]
fn a_resize_calls_the_head_and_loses_nobody() {
    let account = account(&one_slot(2));
    let _hold = account.reserve(START, ask(0, 0)).unwrap();
    let mut guests = [(); 2].map(|()| Guest::arrive(&account, START, ask(0, 0)));
    account.resize(
        &LimitSpec {
            streams: Some(3),
            ..one_slot(0)
        },
        START,
    );
    assert_eq!((guests[0].rung(), guests[1].rung()), (1, 0));
    let _first = guests[0].hold(START);
    assert_eq!(guests[1].rung(), 1);
    let _second = guests[1].hold(START);
    assert_eq!(account.in_flight(), 3);
}

/// A waker that uses the account when it is woken and when it is dropped.
struct Meddler(Arc<Account>);

impl Wake for Meddler {
    fn wake(self: Arc<Self>) {
        self.0.resize(&one_slot(4), START);
    }
}

impl Drop for Meddler {
    fn drop(&mut self) {
        let _levels = self.0.levels(START);
    }
}

#[test]
fn wakers_run_and_die_outside_the_lock() {
    let account = account(&one_slot(4));
    let meddler = || Waker::from(Arc::new(Meddler(Arc::clone(&account))));
    let hold = account.reserve(START, ask(0, 0)).unwrap();
    let [mut first, mut second, third] =
        [(); 3].map(|()| account.enqueue(START, ask(0, 0)).unwrap());
    for _ in 0..2 {
        assert!(first.poll(START, &meddler()).is_pending());
        assert!(second.poll(START, &meddler()).is_pending());
    }
    drop(third);
    drop(hold);
    let hold = first.poll(START, &meddler());
    assert!(hold.is_ready());
    assert!(second.poll(at(60 * SECOND), &meddler()).is_ready());
    drop(hold);
    assert_eq!((account.in_flight(), account.waiting()), (0, 0));
}
