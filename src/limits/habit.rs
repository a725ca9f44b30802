//! What a tenant's calls usually come to, by model, so that what is held of budgets for them is neither an outage nor a
//! licence. Must never be taken for a bound: whoever needs one holds the most that a call can cost.

use std::collections::HashMap;

/// How a tenant's calls to each model went lately.
#[derive(Debug, Default)]
pub(super) struct Habits {
    by_model: HashMap<Box<str>, Habit>,
}

/// Of one model.
#[derive(Clone, Copy, Debug)]
struct Habit {
    /// The true input, in thousandths of its estimate: a high mark that sinks slowly.
    input: u64,
    /// The output in tokens: a high mark that sinks slowly.
    output: u64,
}

/// How many models are told apart; the others are taken for new.
const MODELS: usize = 256;
/// A new model's input is taken for one and a half times its estimate.
const FRESH_INPUT: u64 = 1_500;
/// And its output for this many tokens.
const FRESH_OUTPUT: u64 = 1_024;
/// The bounds of the ratio, so that one odd call moves it only so far.
const INPUT: std::ops::RangeInclusive<u64> = 500..=8_000;

impl Habits {
    /// What an input estimated like this is likely to be at most.
    pub(super) fn input(&self, model: &str, estimate: u64) -> u64 {
        let ratio = self
            .by_model
            .get(model)
            .map_or(FRESH_INPUT, |habit| habit.input);
        let likely = u128::from(estimate) * u128::from(ratio) / 1_000;
        u64::try_from(likely).unwrap_or(u64::MAX)
    }

    /// What an output is likely to be at most.
    pub(super) fn output(&self, model: &str) -> u64 {
        self.by_model
            .get(model)
            .map_or(FRESH_OUTPUT, |habit| habit.output)
    }

    /// A call is over, and the provider has said what it used.
    pub(super) fn learn(&mut self, model: &str, estimate: u64, input: u64, output: u64) {
        let ratio = input.saturating_mul(1_000).checked_div(estimate);
        let ratio = ratio.map_or(FRESH_INPUT, |ratio| {
            ratio.clamp(*INPUT.start(), *INPUT.end())
        });
        let output = output.max(16);
        if let Some(habit) = self.by_model.get_mut(model) {
            habit.input = sunk(habit.input).max(ratio);
            habit.output = sunk(habit.output).max(output);
        } else if self.by_model.len() < MODELS {
            let input = ratio;
            self.by_model.insert(model.into(), Habit { input, output });
        }
    }
}

/// A hundredth less: what was seen once is forgotten after some hundreds of calls.
fn sunk(mark: u64) -> u64 {
    mark - mark / 100
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_rise_at_once_and_sink_slowly() {
        let mut habits = Habits::default();
        assert_eq!(
            (habits.input("m", 1_000), habits.output("m")),
            (1_500, 1_024)
        );
        habits.learn("m", 1_000, 900, 100);
        assert_eq!((habits.input("m", 1_000), habits.output("m")), (900, 100));
        habits.learn("m", 1_000, 2_000, 5_000);
        assert_eq!(
            (habits.input("m", 1_000), habits.output("m")),
            (2_000, 5_000)
        );
        habits.learn("m", 1_000, 900, 100);
        assert_eq!(
            (habits.input("m", 1_000), habits.output("m")),
            (1_980, 4_950)
        );
        for _ in 0..1_000 {
            habits.learn("m", 1_000, 900, 100);
        }
        assert_eq!(habits.input("m", 1_000), 900);
        assert!(habits.output("m") < 200);
    }

    #[test]
    fn odd_calls_move_it_only_so_far_and_many_models_take_no_more_room() {
        let mut habits = Habits::default();
        habits.learn("m", 1, u64::MAX, u64::MAX);
        assert_eq!(habits.input("m", 1_000), 8_000);
        habits.learn("n", 0, 5, 5);
        assert_eq!(habits.input("n", 1_000), 1_500);
        for model in 0..1_000 {
            habits.learn(&model.to_string(), 10, 10, 10);
        }
        assert_eq!(habits.by_model.len(), MODELS);
        assert_eq!(habits.input("999", u64::MAX), u64::MAX);
    }
}
