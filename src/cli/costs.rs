//! `outrigger costs`: the words of the command line to sums, and the sums to lines.

use std::path::PathBuf;
use std::process::ExitCode;

use super::args::{self, CostsBy, CostsFormat, Records, States};
use super::verbs::{complain, say};
use crate::app::{Error, find, state_directory};
use crate::config::render;
use crate::host::SystemClock;
use crate::units::{Clock as _, Wall};
use crate::views::{By, Costs, Instances, Query, Revenues, ViewError};

pub(super) fn costs(costs: args::Costs) -> Result<ExitCode, Error> {
    let revenues = revenues(&costs)?;
    let mut instances = Instances::open(&states(costs.states)).map_err(missing)?;
    let query = query(costs.records);
    if costs.format == CostsFormat::Focus {
        say(&Costs::focus(&mut instances, &query).join("\n"));
        return Ok(ExitCode::SUCCESS);
    }
    let by: Vec<By> = costs.by.into_iter().map(what).collect();
    let mut sums = Costs::sum(&mut instances, &query, &by);
    if let Some(revenues) = revenues {
        sums.compare(&revenues, &query, SystemClock.wall());
    }
    let lines = match costs.format {
        CostsFormat::Json => sums.documents(),
        CostsFormat::Csv => sums.csv(),
        CostsFormat::Text | CostsFormat::Focus => sums.table(),
    };
    if !lines.is_empty() {
        say(&lines.join("\n"));
    }
    for note in sums.notes() {
        complain(&format!("note: {note}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// What tenants bring in, as the configuration that is named says.
fn revenues(costs: &args::Costs) -> Result<Option<Revenues>, Error> {
    let Some(path) = &costs.config else {
        return Ok(None);
    };
    if costs.by != [CostsBy::Tenant] || costs.format == CostsFormat::Focus {
        let text = "a margin is a tenant's: `--config` goes with `--by tenant`, and not with FOCUS";
        return Err(Error::Usage(text.to_owned()));
    }
    let loaded = find(Some(path))?.load();
    if !loaded.usable() {
        let problems = render::lines(&loaded.problems, &loaded.sources);
        return Err(Error::Config(problems));
    }
    let tenants = loaded.raw.tenants.into_iter();
    let revenues = tenants.filter_map(|tenant| Some((tenant.id.value, tenant.revenue?.value)));
    Ok(Some(revenues.collect()))
}

const fn what(by: CostsBy) -> By {
    match by {
        CostsBy::Tenant => By::Tenant,
        CostsBy::Model => By::Model,
        CostsBy::Upstream => By::Upstream,
        CostsBy::Agent => By::Agent,
        CostsBy::Session => By::Session,
        CostsBy::User => By::User,
        CostsBy::Day => By::Day,
    }
}

/// The state directories that were named, or the one that is always meant.
pub(super) fn states(named: States) -> Vec<PathBuf> {
    if named.states.is_empty() {
        return vec![state_directory(None)];
    }
    named.states
}

pub(super) fn query(records: Records) -> Query {
    Query {
        tenant: records.tenant,
        since: records.since.unwrap_or(Wall(0)),
        until: records.until.unwrap_or(Wall(u64::MAX)),
    }
}

/// A journal that cannot be read ends the verb.
#[expect(clippy::needless_pass_by_value, reason = "it is handed to `map_err`")]
pub(super) fn missing(why: ViewError) -> Error {
    Error::Input(why.to_string())
}
