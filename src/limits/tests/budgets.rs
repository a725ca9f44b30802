//! Budgets: nothing is spent that was not held, windows end once, and what is unknown costs nobody else.

use super::super::calendar::Period;
use super::super::{BudgetSpec, Claim, OnLost, Scope, Who};
use super::*;
use crate::units::{NanoUsd, Wall, WindowId};
use jiff::tz::TimeZone;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

const CENT: NanoUsd = NanoUsd(10_000_000);
pub(super) const NOON: Wall = Wall(1_796_040_000_000); // 2026-11-30T12:00:00Z
pub(super) const HOUR: u64 = 3_600_000;

pub(super) fn cents(amount: u64) -> NanoUsd {
    NanoUsd(CENT.0 * amount)
}

pub(super) fn budget(name: &str, amount: NanoUsd, period: Period) -> BudgetSpec {
    BudgetSpec {
        name: name.into(),
        amount,
        period,
        zone: TimeZone::UTC,
        scope: Scope::Tenant,
        on_lost: OnLost::Full,
    }
}

pub(super) fn with(budgets: Vec<BudgetSpec>) -> LimitSpec {
    LimitSpec {
        budgets,
        ..LimitSpec::default()
    }
}

pub(super) fn claim(amount: NanoUsd, at: Wall) -> Want<'static> {
    Want {
        ask: ask(1, 1),
        claim: Some(Claim {
            amount,
            at,
            who: Who::default(),
        }),
    }
}

pub(super) fn by(session: &str, amount: NanoUsd) -> Want<'_> {
    let who = Who {
        session: Some(session),
        ..Who::default()
    };
    Want {
        ask: ask(1, 1),
        claim: Some(Claim {
            amount,
            at: NOON,
            who,
        }),
    }
}

pub(super) fn broke(outcome: Result<Hold, Refused>) -> Broke {
    match outcome {
        Err(Refused::Broke(broke)) => *broke,
        other => panic!("not broke: {other:?}"),
    }
}

/// What is spent and held of the first budget.
fn stands(account: &Account, at: Wall) -> (NanoUsd, NanoUsd) {
    let state = account.budgets(at).remove(0);
    (state.spent, state.held)
}

#[test]
fn what_is_held_cannot_be_spent_twice() {
    let account = account(&with(vec![budget("daily", cents(100), Period::Day)]));
    let mut first = account.reserve(START, claim(cents(60), NOON)).unwrap();
    let found = broke(account.reserve(START, claim(cents(41), NOON)));
    assert_eq!((&*found.budget, found.limit), ("daily", cents(100)));
    assert_eq!((found.spent, found.held), (NanoUsd::ZERO, cents(60)));
    assert_eq!(found.resets, Some(Wall(NOON.0 + 12 * HOUR)));
    let second = account.reserve(START, claim(cents(40), NOON)).unwrap();
    assert!(account.reserve(START, claim(NanoUsd(1), NOON)).is_err());
    // The truth is less than was held: the rest is there again.
    let settled = first.settle(START, 1, 1, cents(25));
    assert!(settled.crossings.is_empty());
    assert_eq!(settled.windows[0].amount, cents(25));
    assert_eq!(stands(&account, NOON), (cents(25), cents(40)));
    drop(first);
    drop(second);
    assert_eq!(stands(&account, NOON), (cents(25), NanoUsd::ZERO));
}

#[test]
fn a_budget_that_is_used_up_lets_nothing_pass_that_could_cost() {
    let account = account(&with(vec![budget("daily", cents(10), Period::Day)]));
    let mut hold = account.reserve(START, claim(cents(10), NOON)).unwrap();
    hold.settle(START, 1, 1, cents(10));
    let free = claim(NanoUsd::ZERO, NOON);
    assert!(broke(account.reserve(START, free)).left() == NanoUsd::ZERO);
    assert!(matches!(
        account.glance(START, &free),
        Err(Refused::Broke(_))
    ));
    // What makes no claim is no matter of money.
    assert!(account.reserve(START, ask(1, 1)).is_ok());
}

#[test]
fn a_refusal_for_money_takes_nothing_of_the_rates_and_the_other_way_round() {
    let spec = LimitSpec {
        requests: Some(rate(1, 60)),
        ..with(vec![budget("daily", cents(10), Period::Day)])
    };
    let account = account(&spec);
    broke(account.reserve(START, claim(cents(11), NOON)));
    assert_eq!(remaining(&account, Dimension::Requests, START), 1);
    let _hold = account.reserve(START, claim(cents(1), NOON)).unwrap();
    assert!(
        account
            .reserve(START, claim(cents(1), NOON))
            .unwrap_err()
            .denied()
            .is_some()
    );
    assert_eq!(stands(&account, NOON), (NanoUsd::ZERO, cents(1)));
}

#[test]
fn all_budgets_hold_together_and_the_tightest_is_named() {
    let account = account(&with(vec![
        budget("monthly", cents(1_000), Period::Month(1)),
        budget("daily", cents(100), Period::Day),
    ]));
    let hold = account.reserve(START, claim(cents(70), NOON)).unwrap();
    assert_eq!(
        hold.held().map(|held| held.amount).collect::<Vec<_>>(),
        [cents(70); 2]
    );
    assert_eq!(
        &*broke(account.reserve(START, claim(cents(31), NOON))).budget,
        "daily"
    );
    let held: Vec<_> = account
        .budgets(NOON)
        .iter()
        .map(|state| state.held)
        .collect();
    assert_eq!(held, [cents(70); 2]);
    assert_eq!(account.left(NOON, Who::default()), Some(cents(30)));
}

#[test]
fn a_request_counts_for_the_window_it_began_in() {
    let account = account(&with(vec![budget("hourly", cents(100), Period::Hour)]));
    let mut old = account.reserve(START, claim(cents(80), NOON)).unwrap();
    let later = Wall(NOON.0 + HOUR);
    let mut new = account.reserve(START, claim(cents(100), later)).unwrap();
    old.settle(START, 1, 1, cents(80));
    assert_eq!(stands(&account, later), (NanoUsd::ZERO, cents(100)));
    new.settle(START, 1, 1, cents(30));
    assert_eq!(stands(&account, later), (cents(30), NanoUsd::ZERO));
}

#[test]
fn a_clock_that_goes_back_refills_nothing() {
    let account = account(&with(vec![budget("hourly", cents(100), Period::Hour)]));
    let mut hold = account.reserve(START, claim(cents(90), NOON)).unwrap();
    hold.settle(START, 1, 1, cents(90));
    for hours in [1, 24, 1_000] {
        let before = Wall(NOON.0 - hours * HOUR);
        assert!(account.reserve(START, claim(cents(20), before)).is_err());
        assert_eq!(stands(&account, before).0, cents(90));
    }
    assert!(
        account
            .reserve(START, claim(cents(20), Wall(NOON.0 + HOUR)))
            .is_ok()
    );
}

#[test]
fn a_rolling_budget_gives_back_bit_by_bit() {
    let account = account(&with(vec![budget(
        "rolling",
        cents(100),
        Period::Rolling(Duration::from_hours(1)),
    )]));
    let spend = |amount, at| {
        let outcome = account.reserve(START, claim(amount, at));
        outcome.map(|mut hold| drop(hold.settle(START, 1, 1, amount)))
    };
    let minute = |minutes: u64| Wall(NOON.0 + minutes * 60_000);
    spend(cents(60), minute(0)).unwrap();
    spend(cents(40), minute(30)).unwrap();
    let Err(Refused::Broke(found)) = spend(cents(1), minute(59)) else {
        panic!("nothing is left")
    };
    // A sixtieth counts until all of it is past.
    assert_eq!(found.resets, Some(minute(61)));
    assert!(spend(cents(1), minute(60)).is_err());
    spend(cents(60), minute(61)).unwrap();
    assert!(spend(cents(1), minute(90)).is_err());
    spend(cents(40), minute(91)).unwrap();
}

#[test]
fn what_a_call_held_of_a_rolling_budget_comes_back_however_long_it_took() {
    let hour = Period::Rolling(Duration::from_hours(1));
    let account = account(&with(vec![budget("rolling", cents(100), hour)]));
    let mut long = account.reserve(START, claim(cents(60), NOON)).unwrap();
    let dropped = account.reserve(START, claim(cents(40), NOON)).unwrap();
    let later = Wall(NOON.0 + 3 * HOUR);
    assert_eq!(stands(&account, later), (NanoUsd::ZERO, cents(100)));
    long.settle(START, 1, 1, cents(50));
    drop(dropped);
    assert_eq!(stands(&account, later), (NanoUsd::ZERO, NanoUsd::ZERO));
}

#[test]
fn a_stream_holds_more_as_it_goes_or_is_told_that_it_cannot() {
    let account = account(&with(vec![
        budget("daily", cents(100), Period::Day),
        budget("hourly", cents(50), Period::Hour),
    ]));
    let mut hold = account.reserve(START, claim(cents(20), NOON)).unwrap();
    hold.extend(cents(30), NOON).unwrap();
    let found = hold.extend(NanoUsd(1), NOON).unwrap_err();
    assert_eq!((&*found.budget, found.held), ("hourly", cents(50)));
    assert_eq!(
        hold.held().map(|held| held.amount).sum::<NanoUsd>(),
        cents(100)
    );
    hold.settle(START, 1, 1, cents(45));
    assert!(
        hold.extend(cents(100), NOON).is_ok(),
        "nothing is held any more"
    );
    let spent: Vec<_> = account
        .budgets(NOON)
        .iter()
        .map(|state| (state.spent, state.held))
        .collect();
    assert_eq!(spent, [(cents(45), NanoUsd::ZERO); 2]);
}

#[test]
fn sessions_have_budgets_of_their_own_up_to_a_bound() {
    let mut each = budget("session", cents(10), Period::Total);
    each.scope = Scope::Session;
    let account = account(&with(vec![each]));
    let mut holds = Vec::new();
    for number in 0..1_000 {
        holds.push(
            account
                .reserve(START, by(&number.to_string(), cents(10)))
                .unwrap(),
        );
        assert!(
            account
                .reserve(START, by(&number.to_string(), NanoUsd(1)))
                .is_err()
        );
    }
    // Those that say nothing share one; past a thousand there is no room for more, and all others share one.
    holds.push(account.reserve(START, claim(cents(10), NOON)).unwrap());
    holds.push(account.reserve(START, by("one more", cents(6))).unwrap());
    assert!(
        account
            .reserve(START, by("and one more", cents(6)))
            .is_err()
    );
    assert_eq!(account.budgets(NOON).len(), 1_002);
    // Who spent nothing and is gone makes room.
    drop(holds);
    holds = vec![account.reserve(START, by("a last one", cents(10))).unwrap()];
    assert_eq!(account.budgets(NOON).len(), 2);
    drop(holds);
}

#[test]
fn an_operator_can_add_and_freeze() {
    let account = account(&with(vec![budget("daily", cents(10), Period::Day)]));
    let mut hold = account.reserve(START, claim(cents(10), NOON)).unwrap();
    hold.settle(START, 1, 1, cents(10));
    assert!(!account.top_up("weekly", "", cents(5), NOON));
    assert!(account.top_up("daily", "", cents(5), NOON));
    assert!(account.reserve(START, claim(cents(6), NOON)).is_err());
    assert!(account.reserve(START, claim(cents(5), NOON)).is_ok());
    assert_eq!(account.freeze("weekly", true), None);
    assert_eq!(account.freeze("daily", true), Some(false));
    let found = broke(account.reserve(START, claim(NanoUsd(1), NOON)));
    assert!(found.frozen && found.resets.is_none());
    assert_eq!(account.freeze("daily", false), Some(true));
    assert!(account.reserve(START, claim(cents(5), NOON)).is_ok());
    // What was added is of this window alone.
    let tomorrow = Wall(NOON.0 + 24 * HOUR);
    assert!(account.reserve(START, claim(cents(11), tomorrow)).is_err());
}

#[test]
fn a_reload_keeps_what_was_spent() {
    let account = account(&with(vec![budget("daily", cents(100), Period::Day)]));
    let mut hold = account.reserve(START, claim(cents(60), NOON)).unwrap();
    hold.settle(START, 1, 1, cents(60));
    let second = account.reserve(START, claim(cents(30), NOON)).unwrap();
    // Less than was spent: what runs, runs; nothing new begins.
    account.resize(&with(vec![budget("daily", cents(50), Period::Day)]), START);
    assert!(account.reserve(START, claim(NanoUsd(1), NOON)).is_err());
    // Taken out and brought back, it is not new.
    account.resize(&with(Vec::new()), START);
    assert!(account.reserve(START, claim(cents(1_000), NOON)).is_ok());
    account.resize(&with(vec![budget("daily", cents(95), Period::Day)]), START);
    assert_eq!(stands(&account, NOON), (cents(60), cents(30)));
    drop(second);
    assert!(account.reserve(START, claim(cents(35), NOON)).is_ok());
    // Another period begins when the window that runs has ended.
    account.resize(&with(vec![budget("daily", cents(95), Period::Hour)]), START);
    assert!(
        account
            .reserve(START, claim(cents(36), Wall(NOON.0 + HOUR)))
            .is_err()
    );
    assert!(
        account
            .reserve(START, claim(cents(95), Wall(NOON.0 + 12 * HOUR)))
            .is_ok()
    );
}

#[test]
fn thresholds_are_told_once_a_window() {
    let account = account(&with(vec![budget("daily", cents(100), Period::Day)]));
    let spend = |amount, at| {
        let mut hold = account.reserve(START, claim(NanoUsd(1), at)).unwrap();
        let told = hold.settle(START, 1, 1, amount).crossings;
        told.iter()
            .map(|crossing| crossing.percent)
            .collect::<Vec<_>>()
    };
    assert_eq!(spend(cents(79), NOON), [0_u8; 0]);
    assert_eq!(spend(cents(1), NOON), [80]);
    assert_eq!(spend(cents(1), NOON), [0_u8; 0]);
    assert_eq!(spend(cents(30), NOON), [100], "the highest that was passed");
    let tomorrow = Wall(NOON.0 + 24 * HOUR);
    assert_eq!(spend(cents(85), tomorrow), [80]);
}

#[test]
fn what_an_earlier_process_spent_is_remembered_for_its_window_alone() {
    let account = account(&with(vec![budget("daily", cents(100), Period::Day)]));
    let midnight = i64::try_from(NOON.0 / 1_000).unwrap() - 12 * 3_600;
    let of = |start| WindowId::of("daily", "tenant", "", start);
    account.remember(of(midnight), cents(60), NanoUsd::ZERO);
    account.remember(of(midnight), cents(10), NanoUsd::ZERO);
    account.remember(of(midnight - 86_400), cents(500), NanoUsd::ZERO);
    let found = broke(account.reserve(START, claim(cents(31), NOON)));
    assert_eq!(found.spent, cents(70));
    assert!(account.reserve(START, claim(cents(30), NOON)).is_ok());
}

#[test]
fn who_waits_for_a_slot_is_refused_if_the_money_is_gone_meanwhile() {
    let spec = LimitSpec {
        streams: Some(1),
        queue: 4,
        queue_wait: Some(Duration::from_secs(5)),
        ..with(vec![budget("daily", cents(10), Period::Day)])
    };
    let account = account(&spec);
    let mut running = account.reserve(START, claim(cents(5), NOON)).unwrap();
    let mut ticket = account.enqueue(START, claim(cents(5), NOON)).unwrap();
    assert!(ticket.poll(START, std::task::Waker::noop()).is_pending());
    running.settle(START, 1, 1, cents(8));
    drop(running);
    let std::task::Poll::Ready(outcome) = ticket.poll(START, std::task::Waker::noop()) else {
        panic!("its turn has come")
    };
    assert_eq!(broke(outcome).spent, cents(8));
    assert_eq!((account.waiting(), account.in_flight()), (0, 0));
}

#[test]
fn a_thousand_racing_calls_of_a_dime_against_five_dollars_admit_fifty() {
    let account = account(&with(vec![budget("daily", cents(500), Period::Day)]));
    let barrier = std::sync::Barrier::new(1_000);
    let admitted = std::thread::scope(|scope| {
        let call = || {
            barrier.wait();
            let outcome = account.reserve(START, claim(cents(10), NOON));
            outcome
                .map(|mut hold| drop(hold.settle(START, 1, 1, cents(10))))
                .is_ok()
        };
        let threads: Vec<_> = (0..1_000)
            .map(|_| {
                let small = std::thread::Builder::new().stack_size(64 * 1_024);
                small.spawn_scoped(scope, call).unwrap()
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .filter(|got| *got)
            .count()
    });
    assert_eq!(admitted, 50);
    assert_eq!(stands(&account, NOON), (cents(500), NanoUsd::ZERO));
}

/// What may happen to a budget.
#[derive(Clone, Debug)]
enum Act {
    /// A request that would cost at most so much.
    Admit(u64),
    /// One under way wants to hold more.
    Extend(usize, u64),
    /// One ends and has cost this percentage of what it held.
    Settle(usize, u64),
    /// One is dropped.
    Cancel(usize),
    /// The clock moves, forward or back.
    Step(i64),
    /// The configuration says another amount.
    Reload(u64),
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0_u64..60).prop_map(Act::Admit),
        2 => (0_usize..8, 0_u64..30).prop_map(|(which, more)| Act::Extend(which, more)),
        3 => (0_usize..8, 0_u64..=100).prop_map(|(which, share)| Act::Settle(which, share)),
        1 => (0_usize..8).prop_map(Act::Cancel),
        1 => (-7_200_i64..7_200).prop_map(Act::Step),
        1 => (50_u64..200).prop_map(Act::Reload),
    ]
}

proptest! {
    #![proptest_config(super::schedules::unrecorded())]

    /// Whatever happens, no window spends more than the largest amount it ever had, and nothing stays held.
    #[test]
    fn nothing_is_spent_that_was_not_held(acts in prop::collection::vec(any_act(), 1..150)) {
        let account = account(&with(vec![budget("hourly", cents(100), Period::Hour)]));
        let (mut second, mut most) = (NOON.0 / 1_000, 100);
        let mut holds: Vec<Hold> = Vec::new();
        let mut spent: BTreeMap<WindowId, NanoUsd> = BTreeMap::new();
        for act in acts {
            let at = Wall(second * 1_000);
            match act {
                Act::Admit(amount) => {
                    holds.extend(account.reserve(START, claim(cents(amount), at)).ok());
                }
                Act::Extend(which, more) if which < holds.len() => {
                    let _ = holds[which].extend(cents(more), at);
                }
                Act::Settle(which, share) if which < holds.len() => {
                    let mut hold = holds.swap_remove(which);
                    let mut left = NanoUsd(hold.held().map(|held| held.amount.0).sum::<u64>() * share / 100);
                    let cost = left;
                    for held in hold.held() {
                        let of_this = spent.entry(held.window).or_default();
                        *of_this = of_this.plus(left.min(held.amount));
                        left = left.minus(held.amount);
                    }
                    hold.settle(START, 1, 1, cost);
                }
                Act::Cancel(which) if which < holds.len() => drop(holds.swap_remove(which)),
                Act::Extend(..) | Act::Settle(..) | Act::Cancel(_) => {}
                Act::Step(by) => second = second.saturating_add_signed(by),
                Act::Reload(amount) => {
                    most = most.max(amount);
                    account.resize(&with(vec![budget("hourly", cents(amount), Period::Hour)]), START);
                }
            }
            let mut of_each = spent.clone();
            for held in holds.iter().flat_map(|hold| hold.held().collect::<Vec<_>>()) {
                let of_this = of_each.entry(held.window).or_default();
                *of_this = of_this.plus(held.amount);
            }
            let largest = of_each.values().max().copied().unwrap_or_default();
            prop_assert!(largest <= cents(most), "{largest} of {}", cents(most));
            let state = account.budgets(at).remove(0);
            let window = of_each.keys().max().copied();
            if let Some(window) = window.filter(|window| state.resets.is_some_and(|end| end.0 / 1_000 == window.start.unsigned_abs() + 3_600)) {
                prop_assert_eq!(state.spent.plus(state.held), of_each[&window], "sums agree");
            }
        }
        drop(holds);
        prop_assert_eq!(account.budgets(Wall(second * 1_000)).remove(0).held, NanoUsd::ZERO);
    }
}

#[test]
fn a_stream_over_midnight_holds_more_of_the_new_day() {
    let account = account(&with(vec![budget("daily", cents(100), Period::Day)]));
    let mut hold = account.reserve(START, claim(cents(90), NOON)).unwrap();
    let tomorrow = Wall(NOON.0 + 24 * HOUR);
    hold.extend(cents(60), tomorrow).unwrap();
    assert!(
        hold.extend(cents(41), tomorrow).is_err(),
        "a new day is no licence"
    );
    assert_eq!(stands(&account, tomorrow), (NanoUsd::ZERO, cents(60)));
    hold.settle(START, 1, 1, cents(100));
    assert_eq!(
        stands(&account, tomorrow),
        (cents(10), NanoUsd::ZERO),
        "the rest was yesterday's"
    );
}
