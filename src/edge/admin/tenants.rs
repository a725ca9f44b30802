//! The list of tenants: one JSON object per line, what each may have and what it has left now. Made piece by piece while it
//! is sent, so that thousands of tenants take the memory of a few. Must never take anything from an account it looks at.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use super::Problem;
use crate::edge::page::{LINES, Page, pieces};
use crate::limits::{Dimension, Level, Limit};
use crate::snapshot::Tenant;
use crate::trip::Ground;
use crate::units::{AdminOutcome, Boot, TenantId};

/// Which tenants, in the order of their ids.
#[derive(Debug)]
pub(super) struct Listing {
    /// Only this one.
    pub(super) only: Option<TenantId>,
    /// Only those behind this one.
    pub(super) after: Option<TenantId>,
    /// So many at most.
    pub(super) most: usize,
}

impl Default for Listing {
    fn default() -> Self {
        Self {
            only: None,
            after: None,
            most: usize::MAX,
        }
    }
}

/// Tenants in one piece of the answer.
const PIECE: usize = 64;

/// The tenants that a listing means.
pub(super) fn chosen(ground: &Ground, listing: &Listing) -> Result<Vec<Arc<Tenant>>, Problem> {
    let snapshot = ground.live.take();
    let mut tenants: Vec<Arc<Tenant>> = match &listing.only {
        Some(id) => snapshot.tenant(id).cloned().into_iter().collect(),
        None => snapshot.tenants().cloned().collect(),
    };
    if listing.only.is_some() && tenants.is_empty() {
        let text = "there is no such tenant";
        return Err(Problem(StatusCode::NOT_FOUND, AdminOutcome::Unknown, text));
    }
    if let Some(after) = &listing.after {
        tenants.retain(|tenant| tenant.id() > after);
    }
    tenants.sort_unstable_by(|left, right| left.id().cmp(right.id()));
    tenants.truncate(listing.most);
    Ok(tenants)
}

pub(super) fn list(ground: &Arc<Ground>, listing: &Listing) -> (AdminOutcome, Response<Page>) {
    let tenants = match chosen(ground, listing) {
        Ok(tenants) => tenants,
        Err(problem) => return problem.page(),
    };
    let clock = Arc::clone(&ground.clock);
    let mut rest = tenants.into_iter();
    let next = move || {
        let mut text = Vec::new();
        let now = clock.boot();
        for tenant in rest.by_ref().take(PIECE) {
            // Writing to a `Vec` cannot fail.
            let _ = serde_json::to_writer(&mut text, &line(&tenant, now));
            text.push(b'\n');
        }
        (!text.is_empty()).then(|| Bytes::from(text))
    };
    let response = pieces(StatusCode::OK, LINES, Box::new(next));
    (AdminOutcome::Done, response)
}

fn line(tenant: &Tenant, now: Boot) -> Value {
    let account = tenant.account();
    let levels = account.levels(now);
    let mut limits = Map::new();
    for dimension in Dimension::ALL {
        if let Some(level) = levels.of(dimension) {
            limits.insert(dimension.name().to_owned(), limit(level));
        }
    }
    json!({
        "tenant": tenant.id().as_str(),
        "policy": tenant.policy().name,
        "suspended": account.order().is_suspended(),
        "open": account.in_flight(),
        "waiting": account.waiting(),
        "queue": account.queue_room(),
        "limits": limits,
    })
}

/// A limit and what is left of it; when it is whole again, if ever.
fn limit(level: Level) -> Value {
    match level.limit {
        Limit::Slots(most) => json!({ "most": most, "left": level.remaining }),
        Limit::Rate(rate) => {
            let whole_in = Some(level.reset).filter(|reset| *reset < Duration::MAX);
            json!({
                "amount": rate.amount,
                "per_s": rate.per.as_secs(),
                "burst": rate.capacity(),
                "left": level.remaining,
                "whole_in_ms": whole_in.map(|span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX)),
            })
        }
    }
}
