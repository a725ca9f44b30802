//! The rows about money: budgets, which policies and tenants share, and what is held of them.
//! Must never hold a value that is not in `defaults`, nor a sentence the reference should not print.

use super::{is, key};
use crate::config::defaults as d;
use crate::config::keys::{Fallback, Grammar, Key, Kind, Value};
use crate::config::values::{BudgetScope, HoldFor};

macro_rules! budgets {
    ($prefix:literal) => {
        &[
            key(
                concat!($prefix, "amount"),
                Kind::Text(Grammar::Amount),
                Fallback::Required,
                "100 USD",
                "how much may be spent in one window",
                "A call holds what it may cost before it leaves, and gives back the rest when it is over, so calls at the same time cannot spend the same money. What does not fit is refused with `budget-exhausted` (402), which SDKs do not retry. Prices are those of `[prices]`.",
            ),
            key(
                concat!($prefix, "per"),
                Kind::Text(Grammar::Window),
                Fallback::Required,
                "day",
                "the window: `hour`, `day`, `week` (from Monday), `month`, `total`, or a duration for the time just past",
                "Calendar windows begin when clocks in `zone` say so; a day on which they are set has 23 or 25 hours. A call counts for the window it began in. `24h` is whatever the last 24 hours spent; it comes back in sixtieths.",
            ),
            key(
                concat!($prefix, "zone"),
                Kind::Text(Grammar::Zone),
                is(Value::Text(d::BUDGET_ZONE)),
                "",
                "the time zone of the calendar, such as `Europe/Berlin`",
                "By the system's time zone database, or the one built in where there is none. A change counts from the next window on.",
            ),
            key(
                concat!($prefix, "month_day"),
                Kind::Count(1, 31),
                is(Value::Count(d::BUDGET_MONTH_DAY as u64)),
                "",
                "the day on which a `month` begins; the last one where a month has fewer",
                "For contracts that bill from another day than the first.",
            ),
            key(
                concat!($prefix, "scope"),
                Kind::Word(BudgetScope::WORDS),
                is(Value::Text(d::BUDGET_SCOPE.as_str())),
                "",
                "whose it is: `tenant`, or one for each `agent`, `session` or `user`",
                "Who that is, the request says in `outrigger-agent`, `outrigger-session` and `outrigger-user`, which never go upstream. Callers choose them freely, so such a budget keeps an agent that runs wild from spending it all, and protects from nobody: that is what the tenant's own budget is for. 1,000 are told apart, all others share one.",
            ),
        ]
    };
}

pub(super) const OF_POLICIES: &[Key] = budgets!("policies.*.budgets.*.");
pub(super) const OF_TENANTS: &[Key] = budgets!("tenants.*.budgets.*.");

pub(super) const HOLD: &[Key] = &[key(
    "policies.*.hold",
    Kind::Word(HoldFor::WORDS),
    is(Value::Text(d::HOLD.as_str())),
    "",
    "what a call holds of the budgets: `full`, `extend`, or `auto`: `extend` for streams and `full` for the rest",
    "`full` is the most it can cost: its whole input, and the output cap, which is made smaller where less is left. Nothing is overspent, and many calls at once need a budget for the dearest outcome of all. `extend` is what it is likely to cost, and more as its answer streams; when no more is to be had, the answer is cut. It can overspend by what the provider sends before it notices.",
)];
