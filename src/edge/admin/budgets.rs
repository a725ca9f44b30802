//! The list of budgets: one JSON object per line, what each has, and what was spent and is held of it in its window of now.
//! Must never open a window, nor name more of a tenant than its own.

use std::sync::Arc;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::tenants::{Listing, chosen};
use crate::edge::page::{LINES, Page, pieces};
use crate::limits::BudgetState;
use crate::snapshot::Tenant;
use crate::trip::Ground;
use crate::units::{AdminOutcome, TenantId, Wall};

pub(super) fn list(ground: &Arc<Ground>, listing: &Listing) -> (AdminOutcome, Response<Page>) {
    let tenants: Vec<Arc<Tenant>> = match chosen(ground, listing) {
        Ok(tenants) => tenants,
        Err(problem) => return problem.page(),
    };
    let clock = Arc::clone(&ground.clock);
    let mut rest = tenants.into_iter();
    let next = move || {
        let mut text = Vec::new();
        while text.is_empty() {
            let tenant = rest.next()?;
            for state in tenant.account().budgets(clock.wall()) {
                // Writing to a `Vec` cannot fail.
                let _ = serde_json::to_writer(&mut text, &line(tenant.id(), &state));
                text.push(b'\n');
            }
        }
        Some(Bytes::from(text))
    };
    (
        AdminOutcome::Done,
        pieces(StatusCode::OK, LINES, Box::new(next)),
    )
}

/// Amounts are texts: JSON's numbers are floats to most who read them.
fn line(tenant: &TenantId, state: &BudgetState) -> Value {
    let left = state.limit.minus(state.spent).minus(state.held);
    json!({
        "tenant": tenant.as_str(),
        "budget": &*state.budget,
        "scope": state.scope.as_str(),
        "of": &*state.of,
        "per": state.period.name(),
        "limit_usd": state.limit.to_string(),
        "spent_usd": state.spent.to_string(),
        "held_usd": state.held.to_string(),
        "left_usd": left.to_string(),
        "resets_at": state.resets.map(Wall::rfc3339_seconds),
        "frozen": state.frozen,
        "state_lost": state.lost,
    })
}
