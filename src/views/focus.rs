//! Costs in the shape of the `FinOps` Open Cost and Usage Specification 1.2: a row for each day, tenant, upstream and model.
//! What the specification has no column for begins with `x_`. Must never take a guess for a cost: what was settled without a
//! price or an end is in the total, and shown beside it.

use super::cell::csv;
use super::costs::{Bill, By, Costs, usd};
use super::instances::{Instances, Query};

impl Costs {
    /// The rows, a heading before them.
    pub fn focus(instances: &mut Instances, query: &Query) -> Vec<String> {
        let costs = Self::sum(instances, query, &BY);
        let rows = costs.rows().filter_map(|(key, bill)| match key {
            [day, tenant, upstream, model] => row(day, tenant, upstream, model, bill),
            _ => None,
        });
        let heading = COLUMNS.join(",");
        std::iter::once(heading).chain(rows).collect()
    }
}

const BY: [By; 4] = [By::Day, By::Tenant, By::Upstream, By::Model];

const COLUMNS: [&str; 33] = [
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "EffectiveCost",
    "InvoiceIssuerName",
    "ListCost",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "ResourceId",
    "ServiceCategory",
    "ServiceName",
    "SkuId",
    "SubAccountId",
    "SubAccountName",
    "x_Calls",
    "x_InputTokens",
    "x_OutputTokens",
    "x_UnknownCost",
    "x_UnpricedCost",
];

/// `None` for what is still held: nothing is charged for it.
fn row(day: &str, tenant: &str, upstream: &str, model: &str, bill: &Bill) -> Option<String> {
    if bill.calls == 0 && bill.total() == 0 {
        return None;
    }
    let (month, next_month, next_day) = periods(day)?;
    let (cost, tokens) = (
        usd(bill.total()),
        bill.input.saturating_add(bill.output).to_string(),
    );
    let (tenant, upstream, model) = (csv(tenant), csv(upstream), csv(model));
    let description = format!("calls of {model}");
    let calls = bill.calls.to_string();
    let cells: [&str; COLUMNS.len()] = [
        &cost,
        &upstream,
        &upstream,
        "USD",
        &next_month,
        &month,
        "Usage",
        "",
        &csv(&description.replace('"', "")),
        "Usage-Based",
        &next_day,
        &format!("{day}T00:00:00Z"),
        &tokens,
        "Tokens",
        &cost,
        &cost,
        &upstream,
        &cost,
        &tokens,
        "Tokens",
        &upstream,
        &upstream,
        &model,
        "AI and Machine Learning",
        &upstream,
        &model,
        &tenant,
        &tenant,
        &calls,
        &bill.input.to_string(),
        &bill.output.to_string(),
        &usd(bill.unknown),
        &usd(bill.unpriced),
    ];
    Some(cells.join(","))
}

/// The month's beginning and end, and the day's end.
fn periods(day: &str) -> Option<(String, String, String)> {
    let date: jiff::civil::Date = day.parse().ok()?;
    let midnight = |date: jiff::civil::Date| format!("{date}T00:00:00Z");
    let next_month = date.last_of_month().tomorrow().ok()?;
    Some((
        midnight(date.first_of_month()),
        midnight(next_month),
        midnight(date.tomorrow().ok()?),
    ))
}
