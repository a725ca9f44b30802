//! What a caller that sees only one tenant may ask. Must never say of another tenant whether there is one.

use http::StatusCode;

use super::Problem;
use super::archive::Look;
use super::route::What;
use crate::units::{AdminOutcome, TenantId};

const ALL_TENANTS: Problem = Problem(
    StatusCode::FORBIDDEN,
    AdminOutcome::Denied,
    "this token is for one tenant, and sees what is that tenant's own",
);
const NO_SUCH: Problem = Problem(
    StatusCode::NOT_FOUND,
    AdminOutcome::Unknown,
    "there is no such tenant",
);

/// What is asked, within that scope.
pub(super) fn narrow(what: What, scope: Option<&TenantId>) -> What {
    let Some(scope) = scope else { return what };
    match what {
        What::Tenants(mut listing) => match own(&mut listing.only, scope) {
            Ok(()) => What::Tenants(listing),
            Err(problem) => What::Wrong(problem),
        },
        What::Budgets(mut listing) => match own(&mut listing.only, scope) {
            Ok(()) => What::Budgets(listing),
            Err(problem) => What::Wrong(problem),
        },
        What::Archive(mut look) => match within(&mut look, scope) {
            Ok(()) => What::Archive(look),
            Err(problem) => What::Wrong(problem),
        },
        What::Control(_) | What::Erase(_) => What::Wrong(ALL_TENANTS),
        What::Wrong(problem) => What::Wrong(problem),
    }
}

fn within(look: &mut Look, scope: &TenantId) -> Result<(), Problem> {
    match look {
        Look::Costs { query, .. } | Look::Audit { query, .. } => own(&mut query.tenant, scope),
        Look::Verify => Err(ALL_TENANTS),
    }
}

fn own(asked: &mut Option<TenantId>, scope: &TenantId) -> Result<(), Problem> {
    if asked.as_ref().is_some_and(|asked| asked != scope) {
        return Err(NO_SUCH);
    }
    *asked = Some(scope.clone());
    Ok(())
}
