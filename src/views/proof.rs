//! Whether a journal is what was written, in lines. Must never say `valid` where it could not look.

use std::fmt::Write as _;
use std::path::Path;

use super::entry::number;
use super::error::ViewError;
use super::instances::find;
use crate::journal::{Invalid, Mark, Verdict, Why, verify, verify_until};

/// What can be said of a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Validity {
    /// It is what was written.
    Valid,
    /// There is nothing to check it with.
    CannotTell,
    /// It is not.
    Invalid,
}

/// What was found in one journal.
#[derive(Clone, Debug)]
pub struct Proof {
    /// What can be said of it.
    pub validity: Validity,
    /// One line for each thing that is not as it was written.
    pub findings: Vec<String>,
    /// What was checked, in one line.
    pub summary: String,
}

/// Checks the journal of a state directory, and that it has what checkpoints from elsewhere name.
///
/// # Errors
/// There is none, or it cannot be read.
pub fn prove(state: &Path, elsewhere: &str) -> Result<Proof, ViewError> {
    let directory = find(state)?;
    Ok(proof(&directory, &verify(&directory, None, elsewhere)))
}

/// The same, until that says that nobody waits for it any more: then there is nothing.
///
/// # Errors
/// As above.
pub fn prove_until(state: &Path, is_over: &dyn Fn() -> bool) -> Result<Option<Proof>, ViewError> {
    let directory = find(state)?;
    let verdict = verify_until(&directory, "", is_over);
    Ok(verdict.map(|verdict| proof(&directory, &verdict)))
}

fn proof(directory: &Path, verdict: &Verdict) -> Proof {
    let blind = verdict
        .invalid
        .iter()
        .any(|found| found.why == Why::NoPublicKey);
    let validity = match (blind, verdict.is_valid()) {
        (true, _) => Validity::CannotTell,
        (false, true) => Validity::Valid,
        (false, false) => Validity::Invalid,
    };
    let place = directory.display().to_string();
    let findings = verdict.invalid.iter();
    Proof {
        validity,
        findings: findings
            .map(|found| finding(&place, verdict, found))
            .collect(),
        summary: format!("{place}: {}", summary(verdict, validity)),
    }
}

fn finding(place: &str, verdict: &Verdict, found: &Invalid) -> String {
    let mut out = place.to_owned();
    let Mark { segment, offset } = found.mark;
    if segment > 0 {
        let kind = match found.why {
            Why::Seal | Why::SealSignature => "seal",
            Why::PointSignature => "points",
            _ => "seg",
        };
        let _ = write!(out, "/segments/{segment:016x}.{kind} at {offset}");
    }
    if let Some((tenant, seq)) = found.record {
        let name = verdict
            .tenants
            .get(&tenant)
            .and_then(|(name, _)| name.clone());
        let name = name.map_or_else(|| number(tenant), |name| name.to_string());
        let _ = write!(out, ", tenant {name}, record {seq}");
    }
    format!("{out}: {}", found.why)
}

fn summary(verdict: &Verdict, validity: Validity) -> String {
    let records: u64 = verdict.tenants.values().map(|(_, records)| records).sum();
    let tenants = verdict
        .tenants
        .keys()
        .filter(|number| number.0 != 0)
        .count();
    let word = match validity {
        Validity::Valid => "valid".to_owned(),
        Validity::CannotTell => return "cannot tell".to_owned(),
        Validity::Invalid => format!("INVALID, {}", count(verdict.invalid.len(), "finding")),
    };
    let mut out = format!(
        "{word}; {} of {} in {}, {} opened, {}",
        count(records, "record"),
        count(tenants, "tenant"),
        count(verdict.segments.len(), "segment"),
        verdict.opened,
        count(verdict.checkpoints, "checkpoint"),
    );
    if verdict.torn > 0 {
        let _ = write!(
            out,
            "; the last {} bytes were torn by a crash",
            verdict.torn
        );
    }
    if verdict.too_old > 0 {
        let many = count(verdict.too_old, "checkpoint");
        let _ = write!(out, "; {many} from elsewhere older than what is kept");
    }
    out
}

fn count(many: impl TryInto<u64>, noun: &str) -> String {
    match many.try_into().unwrap_or(u64::MAX) {
        1 => format!("1 {noun}"),
        many => format!("{many} {noun}s"),
    }
}
