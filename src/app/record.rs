//! The journal as configured: opened at start, with what it remembers of earlier processes given to those it concerns.
//! Must never begin to serve before that.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::Error;
use super::lost::{Loss, Lost};
use crate::config::raw::{Journal as Written, Raw};
use crate::config::values::{JournalMode, OnJournalFailure, OrOff};
use crate::journal::{Alarm, Journal, Mode, OnFailure, Recovery, Settings, Terms};
use crate::process::{ProcessEvent, tell};
use crate::snapshot::Accounts;
use crate::trip::Recorder;
use crate::units::{Clock, Wall};

/// The journal in the state directory.
pub(super) const DIRECTORY: &str = "journal";

/// What the configuration says of it, which is read once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalBoot {
    mode: Mode,
    on_failure: OnFailure,
    keep: Option<Duration>,
    size: u64,
    tenant_size: Option<u64>,
    payload: u64,
    ship: Option<std::path::PathBuf>,
}

impl JournalBoot {
    /// None where nothing is recorded.
    pub(super) fn of(raw: &Raw) -> Option<Self> {
        let written = raw.journal.as_ref()?;
        let mode = match written.mode() {
            JournalMode::Off => return None,
            JournalMode::Batch => Mode::Batch,
            JournalMode::Strict => Mode::Strict,
        };
        Some(Self::in_mode(mode, written))
    }

    fn in_mode(mode: Mode, written: &Written) -> Self {
        Self {
            mode,
            on_failure: match written.on_failure() {
                OnJournalFailure::Refuse => OnFailure::Refuse,
                OnJournalFailure::Gap => OnFailure::Gap,
            },
            keep: match written.keep() {
                OrOff::Off => None,
                OrOff::On(span) => Some(span),
            },
            size: written.size(),
            tenant_size: written.tenant_size.as_ref().map(|size| size.value),
            payload: written.payload(),
            ship: written
                .ship
                .as_ref()
                .map(|path| path.value.as_path().to_path_buf()),
        }
    }

    fn settings(&self) -> Settings {
        Settings {
            total_bytes: self.size,
            keep: self.keep,
            ship: self.ship.clone(),
            ..Settings::default()
        }
    }

    fn terms(&self) -> Terms {
        Terms {
            mode: self.mode,
            on_failure: self.on_failure,
            quota_bytes: self.tenant_size.unwrap_or(u64::MAX),
            payload_bytes: usize::try_from(self.payload).unwrap_or(usize::MAX),
            ..Terms::default()
        }
    }
}

/// Opens it, settles what a crash left open, and lets the accounts remember what was spent. `careful` is whether any budget
/// has less than all of it where that is lost.
pub(super) fn open(
    boot: &JournalBoot,
    state: &Path,
    (accounts, careful): (&Arc<Accounts>, bool),
    clock: &Arc<dyn Clock>,
) -> Result<(Recorder, Lost), Error> {
    let directory = state.join(DIRECTORY);
    crate::host::files::private_dir(state)?;
    let opened = Journal::open(&directory, boot.settings(), Arc::clone(clock));
    let (journal, recovery) = opened.map_err(|why| Error::Journal(format!("{why}")))?;
    for tenant in &recovery.tenants {
        let Some(id) = &tenant.tenant else { continue };
        let windows = tenant
            .windows
            .iter()
            .map(|(window, net)| (*window, net.taken, net.given));
        accounts.recall(id, windows.collect());
    }
    report(&recovery);
    let lost = Lost::read(state, accounts);
    lost.found(loss(&recovery, careful, clock.wall()))?;
    if lost.is_rolled_back() {
        journal.distrust();
    }
    let recorder = Recorder::new(journal, boot.terms());
    if lost.is_some() {
        recorder.set_lost(true);
    }
    Ok((recorder, lost))
}

/// What of the record is lost, by what a start found.
fn loss(recovery: &Recovery, careful: bool, now: Wall) -> Option<Loss> {
    let mut why: Vec<String> = recovery.alarms.iter().map(said).collect();
    if recovery.fresh && careful {
        why.push("there is no record of the time before".to_owned());
    }
    let rolled_back = |alarm: &Alarm| matches!(alarm, Alarm::RolledBack { .. });
    (!why.is_empty()).then(|| Loss {
        since: now,
        why,
        rolled_back: recovery.alarms.iter().any(rolled_back),
    })
}

/// Tells what a start found, where there was anything before.
fn report(recovery: &Recovery) {
    let unknown: u64 = recovery.tenants.iter().map(|tenant| tenant.unknown).sum();
    tell(ProcessEvent::JournalOpened {
        fresh: recovery.fresh,
        tenants: recovery.tenants.len(),
        unknown,
        torn: recovery.torn.len(),
    });
    for alarm in &recovery.alarms {
        tell(ProcessEvent::JournalAlarm { what: &said(alarm) });
    }
}

pub(super) fn said(alarm: &Alarm) -> String {
    match alarm {
        Alarm::RolledBack { signed, found } => format!(
            "the files end at segment {} byte {}, and segment {} byte {} was signed: older files stand in their place, or they were cut",
            found.segment, found.offset, signed.segment, signed.offset
        ),
        Alarm::Damaged { mark, bytes, .. } => format!(
            "{bytes} bytes in segment {} at {} are no record",
            mark.segment, mark.offset
        ),
        Alarm::Missing { segment } => format!("segment {segment} is missing"),
        Alarm::BadSeal { segment } => format!("the seal of segment {segment} is not valid"),
        Alarm::KeysLost => "there are records, and their keys are lost".to_owned(),
    }
}
