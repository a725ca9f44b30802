//! What each limit does, case by case; how it behaves under any schedule is in `schedules`.
#![allow(
    clippy::arithmetic_side_effects,
    reason = "a test that overflows fails, which is what it is for"
)]

mod budgets;
mod buffers;
mod calendar;
mod past;
mod schedules;
mod threads;
mod waiting;

use super::*;
use crate::units::{Boot, NanoUsd};
use std::sync::Arc;
use std::time::Duration;

const SECOND: u64 = 1_000_000_000;
const START: Boot = Boot(1_000 * SECOND);

fn at(nanos: u64) -> Boot {
    Boot(START.0 + nanos)
}

fn rate(amount: u64, seconds: u64) -> Rate {
    Rate {
        amount,
        per: Duration::from_secs(seconds),
        burst: None,
    }
}

fn ask(input: u64, output: u64) -> Ask {
    Ask { input, output }
}

fn account(spec: &LimitSpec) -> Arc<Account> {
    Account::new(spec, START)
}

fn only(dimension: Dimension, most: u64) -> LimitSpec {
    let rate = Some(rate(most, 60));
    match dimension {
        Dimension::Requests => LimitSpec {
            requests: rate,
            ..LimitSpec::default()
        },
        Dimension::InputTokens => LimitSpec {
            input_tokens: rate,
            ..LimitSpec::default()
        },
        Dimension::OutputTokens => LimitSpec {
            output_tokens: rate,
            ..LimitSpec::default()
        },
        Dimension::Tokens => LimitSpec {
            tokens: rate,
            ..LimitSpec::default()
        },
        Dimension::Streams => LimitSpec {
            streams: Some(u32::try_from(most).unwrap()),
            ..LimitSpec::default()
        },
    }
}

fn remaining(account: &Account, dimension: Dimension, now: Boot) -> u64 {
    account.levels(now).of(dimension).unwrap().remaining
}

#[test]
fn each_dimension_admits_its_limit_and_names_itself() {
    // dimension, limit, ask, how many fit, exact time until the next fits
    let cases = [
        (Dimension::Requests, 3, ask(9, 9), 3, 20 * SECOND),
        (Dimension::InputTokens, 30, ask(10, 999), 3, 20 * SECOND),
        (Dimension::OutputTokens, 30, ask(999, 10), 3, 20 * SECOND),
        (Dimension::Tokens, 30, ask(4, 6), 3, 20 * SECOND),
        (Dimension::Tokens, 7, ask(1, 2), 2, 17_142_857_143), // 2 of 3 are missing: 60 s * 2 / 7, rounded up
        (Dimension::Streams, 3, ask(9, 9), 3, SECOND),
    ];
    for (dimension, most, ask, fit, wait) in cases {
        let spec = only(dimension, most);
        let account = account(&spec);
        let holds: Vec<Hold> = (0..fit)
            .map(|_| account.reserve(START, ask).unwrap())
            .collect();
        let denied = account
            .reserve(START, ask)
            .unwrap_err()
            .denied()
            .copied()
            .unwrap();
        let expected = Denied {
            dimension,
            limit: spec.limit(dimension).unwrap(),
            retry_after: Duration::from_nanos(wait),
        };
        assert_eq!(denied, expected);
        if dimension == Dimension::Streams {
            drop(holds);
            assert!(account.reserve(START, ask).is_ok());
        } else {
            assert!(
                account.reserve(at(wait - 1), ask).is_err(),
                "{dimension:?}: a nanosecond early"
            );
            assert!(
                account.reserve(at(wait), ask).is_ok(),
                "{dimension:?}: on time"
            );
        }
    }
}

#[test]
fn the_dimension_that_takes_longest_is_named() {
    let spec = LimitSpec {
        requests: Some(rate(1, 10)),
        tokens: Some(rate(1, 30)),
        ..LimitSpec::default()
    };
    let account = account(&spec);
    let _hold = account.reserve(START, ask(1, 0)).unwrap();
    let denied = account
        .reserve(START, ask(1, 0))
        .unwrap_err()
        .denied()
        .copied()
        .unwrap();
    assert_eq!(
        (denied.dimension, denied.retry_after.as_secs()),
        (Dimension::Tokens, 30)
    );
}

#[test]
fn a_refusal_takes_nothing_anywhere() {
    let spec = LimitSpec {
        requests: Some(rate(10, 60)),
        input_tokens: Some(rate(100, 60)),
        output_tokens: Some(rate(5, 60)),
        tokens: Some(rate(100, 60)),
        streams: Some(4),
        ..LimitSpec::default()
    };
    let account = account(&spec);
    let _hold = account.reserve(START, ask(1, 3)).unwrap();
    let before = account.levels(START);
    assert_eq!(
        account
            .reserve(START, ask(1, 3))
            .unwrap_err()
            .denied()
            .copied()
            .unwrap()
            .dimension,
        Dimension::OutputTokens
    );
    assert_eq!(account.levels(START), before);
    assert_eq!(account.in_flight(), 1);
}

#[test]
fn settling_returns_the_surplus_or_makes_debt() {
    // held, used, level after (of 100), then the wait for one token more than there is
    let cases = [
        (60, 10, 90, 0),
        (60, 60, 40, 0),
        (60, 99, 1, 0),
        (60, 100, 0, 1),
        (60, 160, -60, 61),
        (60, 0, 100, 0),
    ];
    for (held, used, level, missing) in cases {
        let account = account(&LimitSpec {
            tokens: Some(rate(100, 100)),
            ..LimitSpec::default()
        });
        let mut hold = account.reserve(START, ask(held, 0)).unwrap();
        hold.settle(START, 0, used, NanoUsd::ZERO);
        hold.settle(START, 5_000, 5_000, NanoUsd::ZERO);
        assert_eq!(
            remaining(&account, Dimension::Tokens, START),
            u64::try_from(level).unwrap_or(0)
        );
        assert_eq!(
            account.glance(START, &Want::from(ask(1, 1))).is_err(),
            level < 1
        );
        drop(hold);
        assert_eq!(
            remaining(&account, Dimension::Tokens, START),
            u64::try_from(level).unwrap_or(0)
        );
        let wait = account
            .reserve(START, ask(1, 0))
            .err()
            .map_or(0, |refused| refused.denied().unwrap().retry_after.as_secs());
        assert_eq!(wait, missing, "held {held}, used {used}");
    }
}

#[test]
fn a_shortfall_is_taken_after_the_refill() {
    let account = account(&LimitSpec {
        tokens: Some(rate(100, 100)),
        ..LimitSpec::default()
    });
    let mut hold = account.reserve(START, ask(50, 0)).unwrap();
    // 1000 s later the bucket is full at 100, not at 1050; 30 more than held were used.
    hold.settle(at(1_000 * SECOND), 80, 0, NanoUsd::ZERO);
    assert_eq!(
        remaining(&account, Dimension::Tokens, at(1_000 * SECOND)),
        70
    );
}

#[test]
fn dropped_unsettled_the_tokens_go_back_and_the_request_stays_counted() {
    let spec = LimitSpec {
        requests: Some(rate(5, 60)),
        input_tokens: Some(rate(50, 60)),
        output_tokens: Some(rate(50, 60)),
        streams: Some(2),
        ..LimitSpec::default()
    };
    let account = account(&spec);
    let hold = account.reserve(START, ask(20, 30)).unwrap();
    let held = Dimension::ALL.map(|dimension| {
        account
            .levels(START)
            .of(dimension)
            .map(|level| level.remaining)
    });
    assert_eq!(held, [Some(4), Some(30), Some(20), None, Some(1)]);
    drop(hold);
    let after = Dimension::ALL.map(|dimension| {
        account
            .levels(START)
            .of(dimension)
            .map(|level| level.remaining)
    });
    assert_eq!(after, [Some(4), Some(50), Some(50), None, Some(2)]);
}

#[test]
fn the_slot_outlives_the_settlement() {
    let account = account(&only(Dimension::Streams, 1));
    let mut hold = account.reserve(START, ask(1, 1)).unwrap();
    hold.settle(START, 1, 1, NanoUsd::ZERO);
    assert!(account.reserve(START, ask(1, 1)).is_err());
    drop(hold);
    assert!(account.reserve(START, ask(1, 1)).is_ok());
}

#[test]
fn a_hold_larger_than_the_bucket_takes_it_whole_and_settles_into_debt() {
    let account = account(&LimitSpec {
        tokens: Some(rate(100, 100)),
        ..LimitSpec::default()
    });
    let mut hold = account.reserve(START, ask(0, 4_096)).unwrap();
    assert_eq!(remaining(&account, Dimension::Tokens, START), 0);
    hold.settle(START, 0, 250, NanoUsd::ZERO);
    drop(hold);
    // 150 in debt, and the next one of that size needs a full bucket: 250 s at one a second.
    let denied = account
        .reserve(START, ask(0, 4_096))
        .unwrap_err()
        .denied()
        .copied()
        .unwrap();
    assert_eq!(denied.retry_after.as_secs(), 250);
    assert!(account.reserve(at(250 * SECOND), ask(0, 4_096)).is_ok());
}

#[test]
fn what_uses_no_tokens_passes_an_empty_token_bucket() {
    let account = account(&LimitSpec {
        tokens: Some(rate(10, 60)),
        ..LimitSpec::default()
    });
    let mut hold = account.reserve(START, ask(10, 0)).unwrap();
    hold.settle(START, 20, 0, NanoUsd::ZERO);
    assert!(account.glance(START, &Want::from(ask(1, 1))).is_err());
    assert_eq!(account.glance(START, &Want::from(ask(0, 0))), Ok(()));
    assert!(account.reserve(START, ask(0, 0)).is_ok());
}

#[test]
fn a_glance_takes_nothing_and_counts_the_queue_as_room() {
    let spec = LimitSpec {
        requests: Some(rate(1, 5)),
        streams: Some(1),
        ..LimitSpec::default()
    };
    let account = account(&spec);
    for _ in 0..3 {
        assert_eq!(account.glance(START, &Want::from(ask(1, 1))), Ok(()));
    }
    let _hold = account.reserve(START, Ask::default()).unwrap();
    let denied = |outcome| match outcome {
        Err(Refused::Denied(denied)) => denied,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        denied(account.glance(START, &Want::from(ask(1, 1)))).dimension,
        Dimension::Requests
    );
    assert_eq!(
        denied(account.glance(at(5 * SECOND), &Want::from(ask(1, 1)))).dimension,
        Dimension::Streams
    );
    account.resize(&LimitSpec { queue: 1, ..spec }, START);
    assert_eq!(
        account.glance(START, &Want::from(ask(1, 1))),
        Ok(()),
        "it may wait"
    );
}

#[test]
fn odd_rates_are_total() {
    let once = Rate {
        amount: 0,
        per: Duration::from_secs(1),
        burst: Some(2),
    };
    // rate, how many of one fit at the start, time until the next fits
    let cases = [
        (rate(0, 1), 0, Duration::MAX),
        (once, 2, Duration::MAX),
        (
            Rate {
                amount: 1,
                per: Duration::from_secs(1),
                burst: Some(0),
            },
            1,
            Duration::from_secs(1),
        ),
        (
            Rate {
                amount: 10,
                per: Duration::from_secs(1),
                burst: Some(3),
            },
            3,
            Duration::from_millis(100),
        ),
        (
            Rate {
                amount: 1,
                per: Duration::ZERO,
                burst: None,
            },
            1,
            Duration::from_nanos(1),
        ),
    ];
    for (rate, fit, wait) in cases {
        let account = account(&LimitSpec {
            requests: Some(rate),
            ..LimitSpec::default()
        });
        let admitted = (0..10)
            .map_while(|_| account.reserve(START, ask(0, 0)).ok())
            .count();
        assert_eq!(admitted, fit, "{rate:?}");
        assert_eq!(
            account
                .reserve(START, ask(0, 0))
                .unwrap_err()
                .denied()
                .copied()
                .unwrap()
                .retry_after,
            wait,
            "{rate:?}"
        );
        assert_eq!(
            account
                .levels(START)
                .of(Dimension::Requests)
                .unwrap()
                .remaining,
            0
        );
    }
}

#[test]
fn the_largest_numbers_neither_panic_nor_admit_too_much() {
    let huge = Rate {
        amount: u64::MAX,
        per: Duration::MAX,
        burst: Some(u64::MAX),
    };
    let tight = Rate {
        amount: u64::MAX - 1,
        per: Duration::from_nanos(u64::MAX),
        burst: Some(1),
    };
    for rate in [huge, tight] {
        let account = Account::new(
            &LimitSpec {
                tokens: Some(rate),
                ..LimitSpec::default()
            },
            Boot(0),
        );
        let mut hold = account.reserve(Boot(0), ask(u64::MAX, u64::MAX)).unwrap();
        hold.settle(Boot(1), u64::MAX, u64::MAX, NanoUsd::ZERO);
        hold.settle(Boot(1), u64::MAX, u64::MAX, NanoUsd::ZERO);
        assert!(account.reserve(Boot(2), ask(1, 1)).is_err());
        let _levels = account.levels(Boot(u64::MAX));
        let _outcome = account.reserve(Boot(u64::MAX), ask(u64::MAX, 0));
        account.resize(
            &LimitSpec {
                tokens: Some(tight),
                ..LimitSpec::default()
            },
            Boot(u64::MAX),
        );
        let _levels = account.levels(Boot(u64::MAX));
    }
}

#[test]
fn a_clock_that_goes_back_refills_nothing_and_counts_no_time_twice() {
    let account = account(&LimitSpec {
        requests: Some(rate(10, 10)),
        ..LimitSpec::default()
    });
    let _holds: Vec<Hold> = (0..10)
        .map(|_| account.reserve(START, ask(0, 0)).unwrap())
        .collect();
    assert_eq!(remaining(&account, Dimension::Requests, at(2 * SECOND)), 2);
    assert_eq!(remaining(&account, Dimension::Requests, Boot(0)), 2);
    assert_eq!(remaining(&account, Dimension::Requests, at(2 * SECOND)), 2);
    assert_eq!(remaining(&account, Dimension::Requests, at(3 * SECOND)), 3);
    let _more: Vec<Hold> = (0..3)
        .map(|_| account.reserve(at(SECOND), ask(0, 0)).unwrap())
        .collect();
    // Asked a second ago, as it were: the wait counts from then.
    assert_eq!(
        account
            .reserve(at(2 * SECOND), ask(0, 0))
            .unwrap_err()
            .denied()
            .unwrap()
            .retry_after
            .as_secs(),
        2
    );
}

#[test]
fn a_resize_keeps_what_was_spent() {
    let tokens = |rate| LimitSpec {
        tokens: rate,
        ..LimitSpec::default()
    };
    let level = |account: &Account, now| remaining(account, Dimension::Tokens, now);
    let account = account(&tokens(Some(rate(100, 100))));
    let mut hold = account.reserve(START, ask(70, 0)).unwrap();
    account.resize(&tokens(Some(rate(1_000, 100))), START);
    assert_eq!(level(&account, START), 30, "a bigger bucket is not filled");
    assert_eq!(
        level(&account, at(SECOND)),
        40,
        "but it fills at the new rate"
    );
    account.resize(&tokens(Some(rate(20, 20))), at(SECOND));
    assert_eq!(level(&account, at(SECOND)), 20, "a smaller bucket cuts");
    hold.settle(at(SECOND), 140, 0, NanoUsd::ZERO);
    account.resize(&tokens(Some(rate(500, 500))), at(SECOND));
    let denied = account
        .reserve(at(SECOND), ask(1, 0))
        .unwrap_err()
        .denied()
        .copied()
        .unwrap();
    assert_eq!(
        denied.retry_after.as_secs(),
        51,
        "debt stays: 20 - 70 = -50"
    );
}

#[test]
fn a_resize_keeps_the_fraction_too() {
    let requests = |rate| LimitSpec {
        requests: Some(rate),
        ..LimitSpec::default()
    };
    let account = account(&requests(rate(1, 10)));
    let _hold = account.reserve(START, ask(0, 0)).unwrap();
    for second in 1..=5 {
        account.resize(&requests(rate(1, 10)), at(second * SECOND));
    }
    // Half of one has come in; the other half comes at the new rate.
    for (per, wait) in [(10, 5_000), (100, 50_000), (7, 3_500)] {
        account.resize(&requests(rate(1, per)), at(5 * SECOND));
        let denied = account
            .reserve(at(5 * SECOND), ask(0, 0))
            .unwrap_err()
            .denied()
            .copied()
            .unwrap();
        assert_eq!(denied.retry_after, Duration::from_millis(wait));
    }
}

#[test]
fn a_limit_taken_away_and_brought_back_is_not_refilled() {
    let spec = LimitSpec {
        tokens: Some(rate(100, 100)),
        ..LimitSpec::default()
    };
    let account = account(&spec);
    let mut before = account.reserve(START, ask(90, 0)).unwrap();
    account.resize(&LimitSpec::default(), START);
    assert_eq!(account.levels(START).of(Dimension::Tokens), None);
    let mut between = account.reserve(START, ask(1_000, 0)).unwrap();
    between.settle(START, 5_000, 0, NanoUsd::ZERO);
    before.settle(START, 80, 0, NanoUsd::ZERO);
    account.resize(&spec, START);
    assert_eq!(remaining(&account, Dimension::Tokens, START), 20);
    assert_eq!(remaining(&account, Dimension::Tokens, at(5 * SECOND)), 25);
}

#[test]
fn fewer_slots_than_are_taken_let_the_taken_ones_end() {
    let account = account(&only(Dimension::Streams, 3));
    let mut holds: Vec<Hold> = (0..3)
        .map(|_| account.reserve(START, ask(0, 0)).unwrap())
        .collect();
    account.resize(&only(Dimension::Streams, 1), START);
    for left in [2, 1] {
        holds.pop();
        assert_eq!(
            (
                account.in_flight(),
                account.reserve(START, ask(0, 0)).is_err()
            ),
            (left, true)
        );
    }
    holds.pop();
    assert!(account.reserve(START, ask(0, 0)).is_ok());
}

#[test]
fn without_limits_everything_passes_and_is_counted() {
    let account = account(&LimitSpec::default());
    let holds: Vec<Hold> = (0..100)
        .map(|_| account.reserve(START, ask(u64::MAX, u64::MAX)).unwrap())
        .collect();
    assert_eq!(account.in_flight(), 100);
    assert!(
        Dimension::ALL
            .iter()
            .all(|dimension| account.levels(START).of(*dimension).is_none())
    );
    account.resize(&only(Dimension::Streams, 101), START);
    assert_eq!(remaining(&account, Dimension::Streams, START), 1);
    drop(holds);
    assert_eq!(account.in_flight(), 0);
}

#[test]
fn levels_say_limit_rest_and_reset() {
    let spec = LimitSpec {
        requests: Some(rate(10, 10)),
        streams: Some(5),
        ..LimitSpec::default()
    };
    let account = account(&spec);
    let _holds: Vec<Hold> = (0..4)
        .map(|_| account.reserve(START, ask(0, 0)).unwrap())
        .collect();
    let requests = account
        .levels(at(SECOND / 2))
        .of(Dimension::Requests)
        .unwrap();
    assert_eq!((requests.limit.most(), requests.remaining), (10, 6));
    assert_eq!(requests.reset, Duration::from_millis(3_500));
    let streams = account.levels(START).of(Dimension::Streams).unwrap();
    assert_eq!(
        streams,
        Level {
            limit: Limit::Slots(5),
            remaining: 1,
            reset: Duration::ZERO
        }
    );
}

#[test]
fn names_are_the_config_s() {
    let names = Dimension::ALL.map(Dimension::name);
    assert_eq!(
        names,
        [
            "requests",
            "input_tokens",
            "output_tokens",
            "tokens",
            "streams"
        ]
    );
    for (index, dimension) in Dimension::ALL.into_iter().enumerate() {
        assert_eq!(dimension as usize, index);
    }
}
