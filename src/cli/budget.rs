//! `outrigger budget`: the words of the command line to calls of a running sidecar's admin door, and its answers to lines.

use std::process::ExitCode;

use http::Method;
use serde_json::Value;

use super::args::{Budget, BudgetVerb};
use super::ctl::{ask, listing, with_query};
use super::told;
use super::verbs::say;
use crate::app::Error;

pub(super) fn budget(budget: &Budget) -> Result<ExitCode, Error> {
    ask(&budget.way, target(&budget.verb), |line, is_first| {
        tell(&budget.verb, line, is_first);
    })
}

fn target(verb: &BudgetVerb) -> (Method, String) {
    match verb {
        BudgetVerb::Show(list) => listing("/budgets", list),
        BudgetVerb::Topup {
            tenant,
            budget,
            amount,
            of,
        } => {
            let path = format!("/budgets/{tenant}/{budget}/topup");
            let of = of.as_ref().map(|of| format!("of={of}"));
            (
                Method::POST,
                with_query(path, [Some(format!("amount={amount}")), of]),
            )
        }
        BudgetVerb::Correct {
            tenant,
            about,
            amount,
            less,
            why,
        } => {
            let path = format!("/tenants/{tenant}/correct?about={about}");
            let change = if *less { "less" } else { "more" };
            let why = why.replace(' ', "%20");
            (Method::POST, format!("{path}&{change}={amount}&why={why}"))
        }
        BudgetVerb::Freeze { tenant, budget } => {
            (Method::POST, format!("/budgets/{tenant}/{budget}/freeze"))
        }
        BudgetVerb::Unfreeze { tenant, budget } => {
            (Method::POST, format!("/budgets/{tenant}/{budget}/unfreeze"))
        }
    }
}

fn tell(verb: &BudgetVerb, line: &str, is_first: bool) {
    let document: Value = serde_json::from_str(line).unwrap_or_default();
    match verb {
        BudgetVerb::Show(_) => {
            if is_first {
                say(told::BUDGETS);
            }
            say(&told::budget(&document));
        }
        BudgetVerb::Topup { .. } => say(&told::topped_up(&document)),
        BudgetVerb::Correct { .. } => say(&told::corrected(&document)),
        BudgetVerb::Freeze { .. } | BudgetVerb::Unfreeze { .. } => say(&told::frozen(&document)),
    }
}
