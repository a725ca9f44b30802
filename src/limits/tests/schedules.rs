//! Any schedule at all: never more than the limit, never much less, and nothing left held.

use super::super::bucket::Bucket;
use super::*;
use proptest::prelude::*;
use std::task::{Poll, Waker};

/// Rates from a trickle to a flood, with periods that divide nothing evenly.
fn any_rate() -> impl Strategy<Value = Rate> {
    (
        1..5_000_u64,
        1..100_000_000_000_u64,
        proptest::option::of(1..10_000_u64),
    )
        .prop_map(|(amount, per, burst)| Rate {
            amount,
            per: Duration::from_nanos(per),
            burst,
        })
}

/// A failure prints its minimal input; it becomes a table test, not a file that nobody reads.
pub(super) fn unrecorded() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// What the rate brings in so many nanoseconds, whole units.
fn brought(rate: &Rate, nanos: u64) -> u128 {
    u128::from(nanos) * u128::from(rate.amount) / rate.per.as_nanos()
}

/// The bucket again, in plain wide arithmetic: its content in parts of `per`.
struct Model {
    rate: Rate,
    parts: i128,
    last: u64,
}

impl Model {
    fn full(rate: Rate, now: Boot) -> Self {
        let mut model = Self {
            rate,
            parts: 0,
            last: now.0,
        };
        model.parts = model.brim();
        model
    }

    fn per(&self) -> i128 {
        i128::try_from(self.rate.per.as_nanos()).unwrap()
    }

    fn brim(&self) -> i128 {
        i128::from(self.rate.capacity()) * self.per()
    }

    fn refill(&mut self, now: Boot) {
        let elapsed = now.0.saturating_sub(self.last);
        self.last = self.last.max(now.0);
        self.parts =
            (self.parts + i128::from(elapsed) * i128::from(self.rate.amount)).min(self.brim());
    }

    fn add(&mut self, units: i128) {
        self.parts = (self.parts + units * self.per()).min(self.brim());
    }

    fn level(&self) -> i64 {
        i64::try_from(self.parts.div_euclid(self.per())).unwrap()
    }
}

#[derive(Clone, Debug)]
enum Move {
    Pass(u64),
    Back(u64),
    Take(u64),
    PutBack(u64),
}

fn any_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        4 => (0..20_000_000_000_u64).prop_map(Move::Pass),
        1 => (0..1_000_000_000_u64).prop_map(Move::Back),
        4 => (0..6_000_u64).prop_map(Move::Take),
        2 => (0..6_000_u64).prop_map(Move::PutBack),
    ]
}

proptest! {
    #![proptest_config(unrecorded())]

    #[test]
    fn the_bucket_is_exact(rate in any_rate(), moves in prop::collection::vec(any_move(), 1..60)) {
        let mut now = START;
        let mut bucket = Bucket::full(&rate, now);
        let mut model = Model::full(rate, now);
        for step in moves {
            match step {
                Move::Pass(nanos) => now = Boot(now.0 + nanos),
                Move::Back(nanos) => now = Boot(now.0 - nanos),
                Move::Take(units) => { bucket.take(units); model.add(-i128::from(units)); }
                Move::PutBack(units) => { bucket.put_back(units); model.add(i128::from(units)); }
            }
            bucket.refill(now);
            model.refill(now);
            prop_assert_eq!(bucket.level(), model.level());
            let wait = bucket.nanos_until_full(now);
            let (mut early, mut there) = (bucket, bucket);
            there.refill(Boot(now.0 + wait));
            prop_assert_eq!(there.level(), i64::try_from(rate.capacity()).unwrap());
            if wait > 0 {
                early.refill(Boot(now.0 + wait - 1));
                prop_assert!(early.level() < there.level(), "a nanosecond early it is not full");
            }
        }
    }

    #[test]
    fn in_no_interval_more_than_the_limit(
        rate in any_rate(),
        schedule in prop::collection::vec((0..30_000_000_000_u64, 0..400_u64, 0..200_usize), 1..40),
    ) {
        let account = account(&LimitSpec { requests: Some(rate), tokens: Some(rate), ..LimitSpec::default() });
        let mut now = START;
        let mut admitted: Vec<(u64, u64, u64)> = Vec::new();
        for (pass, tokens, times) in schedule {
            now = Boot(now.0 + pass);
            let mut count = 0;
            let mut used = 0;
            for _ in 0..times {
                let Ok(mut hold) = account.reserve(now, ask(tokens, 0)) else { break };
                let held = tokens.min(rate.capacity());
                hold.settle(now, held, 0, NanoUsd::ZERO);
                count += 1;
                used += held;
            }
            admitted.push((now.0, count, used));
        }
        for (index, &(from, ..)) in admitted.iter().enumerate() {
            let (mut requests, mut tokens) = (0_u128, 0_u128);
            for &(to, count, used) in &admitted[index..] {
                requests += u128::from(count);
                tokens += u128::from(used);
                let most = u128::from(rate.capacity()) + brought(&rate, to - from);
                prop_assert!(requests <= most, "{requests} requests in {} ns, at most {most}", to - from);
                prop_assert!(tokens <= most, "{tokens} tokens in {} ns, at most {most}", to - from);
            }
        }
    }

    #[test]
    fn under_constant_demand_no_less_than_the_rate(
        amount in 1..300_u64,
        per in 1..100_000_000_000_u64,
        passes in prop::collection::vec(0..1_000_u64, 1..40),
    ) {
        let rate = Rate { amount, per: Duration::from_nanos(per), burst: Some(amount + 1) };
        let account = account(&LimitSpec { requests: Some(rate), ..LimitSpec::default() });
        let drain = |now| (0..amount + 2).map_while(|_| account.reserve(now, ask(0, 0)).ok()).count() as u128;
        prop_assert_eq!(drain(START), u128::from(amount + 1));
        let (mut now, mut admitted) = (START, 0);
        for pass in passes {
            // Never as long as a period; with room for one more, so that not even a fraction runs over the brim.
            now = Boot(now.0 + u64::try_from(u128::from(per) * u128::from(pass) / 1_001).unwrap());
            admitted += drain(now);
            prop_assert!(admitted + 1 >= brought(&rate, now.0 - START.0));
        }
    }

    #[test]
    fn a_resize_never_refills(from in any_rate(), to in any_rate(), taken in 0..20_000_u64, pass in 0..10_000_000_000_u64) {
        let mut bucket = Bucket::full(&from, START);
        bucket.take(taken);
        let now = Boot(START.0 + pass);
        bucket.refill(now);
        let before = bucket.level();
        bucket.resize(&to, now);
        prop_assert_eq!(bucket.level(), before.min(i64::try_from(to.capacity()).unwrap()));
    }
}

#[derive(Clone, Debug)]
enum Act {
    Reserve(u64, u64),
    Enqueue(u64, u64),
    Poll(usize),
    Leave(usize),
    Settle(usize, u64, u64),
    Drop(usize),
    Resize(u32, u32),
    Pass(u64),
}

fn any_act() -> impl Strategy<Value = Act> {
    let tokens = 0..300_u64;
    prop_oneof![
        4 => (tokens.clone(), tokens.clone()).prop_map(|(input, output)| Act::Reserve(input, output)),
        3 => (tokens.clone(), tokens.clone()).prop_map(|(input, output)| Act::Enqueue(input, output)),
        4 => (0..8_usize).prop_map(Act::Poll),
        1 => (0..8_usize).prop_map(Act::Leave),
        2 => (0..8_usize, tokens.clone(), tokens).prop_map(|(at, input, output)| Act::Settle(at, input, output)),
        3 => (0..8_usize).prop_map(Act::Drop),
        1 => (0..5_u32, 0..5_u32).prop_map(|(streams, queue)| Act::Resize(streams, queue)),
        2 => (0..3_000_000_000_u64).prop_map(Act::Pass),
    ]
}

/// Buckets that never refill, so that every token can be accounted for.
fn fixed(streams: u32, queue: u32) -> LimitSpec {
    let once = |burst| {
        Some(Rate {
            amount: 0,
            per: Duration::from_secs(1),
            burst: Some(burst),
        })
    };
    LimitSpec {
        input_tokens: once(5_000),
        output_tokens: once(4_000),
        tokens: once(7_000),
        streams: Some(streams),
        queue,
        queue_wait: Some(Duration::from_secs(4)),
        ..LimitSpec::default()
    }
}

/// Holds, tickets and what has been used for good.
struct Play {
    account: Arc<Account>,
    now: Boot,
    holds: Vec<(Hold, bool)>,
    tickets: Vec<Ticket>,
    used: (u64, u64),
}

impl Play {
    fn act(&mut self, act: &Act) {
        match *act {
            Act::Reserve(input, output) => {
                let hold = self.account.reserve(self.now, ask(input, output));
                assert!(
                    hold.is_err() || self.account.waiting() == 0,
                    "nobody overtakes"
                );
                self.holds.extend(hold.map(|hold| (hold, false)));
            }
            Act::Enqueue(input, output) => self
                .tickets
                .extend(self.account.enqueue(self.now, ask(input, output))),
            Act::Poll(at) if at < self.tickets.len() => {
                match self.tickets[at].poll(self.now, Waker::noop()) {
                    Poll::Ready(Ok(hold)) => self.holds.push((hold, false)),
                    Poll::Ready(Err(refused)) => assert!(matches!(refused, Refused::TimedOut(_))),
                    Poll::Pending => return,
                }
                drop(self.tickets.remove(at));
            }
            Act::Leave(at) if at < self.tickets.len() => drop(self.tickets.remove(at)),
            Act::Settle(at, input, output) if at < self.holds.len() => {
                let (hold, settled) = &mut self.holds[at];
                hold.settle(self.now, input, output, NanoUsd::ZERO);
                if !std::mem::replace(settled, true) {
                    self.used = (self.used.0 + input, self.used.1 + output);
                }
            }
            Act::Drop(at) if at < self.holds.len() => drop(self.holds.remove(at)),
            Act::Resize(streams, queue) => self.account.resize(&fixed(streams, queue), self.now),
            Act::Pass(nanos) => self.now = Boot(self.now.0 + nanos),
            Act::Poll(_) | Act::Leave(_) | Act::Settle(..) | Act::Drop(_) => {}
        }
    }
}

proptest! {
    #![proptest_config(unrecorded())]

    #[test]
    fn whatever_happens_nothing_is_left_held(acts in prop::collection::vec(any_act(), 1..120)) {
        let account = account(&fixed(3, 3));
        let mut play = Play { account, now: START, holds: vec![], tickets: vec![], used: (0, 0) };
        for act in &acts {
            play.act(act);
            let granted = play.account.in_flight() as usize - play.holds.len();
            prop_assert_eq!(granted + play.account.waiting(), play.tickets.len());
        }
        let Play { account, now, holds, tickets, used } = play;
        drop(holds);
        drop(tickets);
        prop_assert_eq!((account.in_flight(), account.waiting()), (0, 0));
        prop_assert_eq!(remaining(&account, Dimension::InputTokens, now), 5_000_u64.saturating_sub(used.0));
        prop_assert_eq!(remaining(&account, Dimension::OutputTokens, now), 4_000_u64.saturating_sub(used.1));
        prop_assert_eq!(remaining(&account, Dimension::Tokens, now), 7_000_u64.saturating_sub(used.0 + used.1));
    }
}

#[test]
fn a_million_steps_do_not_drift() {
    // 7 in 1.000000007 s, looked at every 1013 ns, never full.
    let rate = Rate {
        amount: 7,
        per: Duration::from_nanos(1_000_000_007),
        burst: Some(1_000),
    };
    let mut bucket = Bucket::full(&rate, START);
    bucket.take(1_000);
    for step in 1..=1_000_000_u64 {
        bucket.refill(at(step * 1_013));
    }
    assert_eq!(
        bucket.level(),
        i64::try_from(brought(&rate, 1_013_000_000)).unwrap()
    );
    // And in between takings and refunds, the same.
    let mut bucket = Bucket::full(&rate, START);
    bucket.take(1_000);
    for step in 1..=1_000_000_u64 {
        bucket.take(3);
        bucket.refill(at(step * 1_013));
        bucket.put_back(3);
    }
    assert_eq!(
        bucket.level(),
        i64::try_from(brought(&rate, 1_013_000_000)).unwrap()
    );
}
