//! Erasing a tenant from a journal that no sidecar has open. Must never make a journal where there is none, nor leave files
//! that its sidecar cannot read.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use super::Error;
use super::record::{DIRECTORY, said};
use crate::host::SystemClock;
use crate::host::hardening::own_uid;
use crate::journal::{Journal, JournalError, Settings};
use crate::units::TenantId;

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Erased {
    /// It was done. What opening the journal has shown is in these lines.
    Done(Vec<String>),
    /// The journal has nothing of such a tenant.
    NoSuchTenant,
    /// A sidecar has the journal open, and must be asked.
    InUse,
}

/// Forgets the key of what a tenant's records in a state directory say; the record of that names `by`. Blocks.
///
/// # Errors
/// There is no journal, it is somebody else's, or the disk would not forget.
pub fn erase(state: &Path, tenant: &TenantId, by: &str) -> Result<Erased, Error> {
    let directory = state.join(DIRECTORY);
    let shown = directory.display();
    let facts = std::fs::metadata(&directory)
        .map_err(|why| Error::Input(format!("there is no journal at `{shown}`: {why}")))?;
    if facts.uid() != own_uid() {
        let text = format!(
            "the journal at `{shown}` is that of the user {}\nhint: erase as that user, or ask a running sidecar with `--admin`",
            facts.uid()
        );
        return Err(Error::Input(text));
    }
    // Nothing is let go of, and nothing is too full to forget.
    let settings = Settings {
        keep: None,
        total_bytes: u64::MAX,
        reserve_bytes: 0,
        ..Settings::default()
    };
    let (journal, recovery) = match Journal::open(&directory, settings, Arc::new(SystemClock)) {
        Ok(opened) => opened,
        Err(JournalError::System(why)) if why.kind() == std::io::ErrorKind::ResourceBusy => {
            return Ok(Erased::InUse);
        }
        Err(why) => return Err(Error::Journal(why.to_string())),
    };
    let why =
        serde_json::json!({"tenant": tenant.as_str(), "action": "erase", "by": by}).to_string();
    let erased = journal.erase(tenant, why.as_bytes());
    journal.close();
    let alarms = recovery.alarms.iter().map(said).collect();
    match erased {
        Ok(true) => Ok(Erased::Done(alarms)),
        Ok(false) => Ok(Erased::NoSuchTenant),
        Err(why) => Err(Error::Journal(why.to_string())),
    }
}
