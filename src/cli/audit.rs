//! `outrigger audit`: the words of the command line to records, and the records to lines.

use std::io::{BufWriter, StdoutLock, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use http::Method;

use super::args::{self, AuditErase, AuditFormat, AuditShow, AuditVerb, Records, Way};
use super::costs::{missing, query, states};
use super::ctl::ask;
use super::verbs::{complain, say};
use crate::app::{self, Erased, Error};
use crate::host::files::read_capped;
use crate::host::hardening::own_uid;
use crate::units::{TenantId, Wall};
use crate::views::{self, Entry, Instances, Validity, event, prove};

pub(super) fn audit(audit: args::Audit) -> Result<ExitCode, Error> {
    let states = states(audit.states);
    match audit.verb {
        AuditVerb::Show(show) => self::show(&states, show, false),
        AuditVerb::Tail(show) => self::show(&states, show, true),
        AuditVerb::Verify { checkpoint } => verify(&states, checkpoint.as_deref()),
        AuditVerb::Export { records, format } => export(&states, records, format),
        AuditVerb::Erase(erase) => self::erase(&states, &erase),
    }
}

/// How long a follower waits before it looks again.
const LOOK_EVERY: Duration = Duration::from_millis(500);

fn show(states: &[PathBuf], show: AuditShow, follow: bool) -> Result<ExitCode, Error> {
    let mut instances = Instances::open(states).map_err(missing)?;
    let query = query(show.records);
    let limit = usize::try_from(show.limit).unwrap_or(usize::MAX);
    let mut out = Out::new();
    let line = |entry: &Entry| {
        if show.json {
            views::json(entry).to_string()
        } else {
            views::line(entry)
        }
    };
    for entry in instances.newest(&query, limit) {
        if out.line(&line(&entry)).is_break() {
            return Ok(ExitCode::SUCCESS);
        }
    }
    while follow && out.flush().is_continue() && query.until == Wall(u64::MAX) {
        wait();
        instances.each(&query, &mut |entry| out.line(&line(entry)));
    }
    let _ = out.flush();
    Ok(ExitCode::SUCCESS)
}

#[expect(
    clippy::disallowed_methods,
    reason = "no trip runs in a process that reads files"
)]
fn wait() {
    std::thread::sleep(LOOK_EVERY);
}

fn export(states: &[PathBuf], records: Records, format: AuditFormat) -> Result<ExitCode, Error> {
    let mut instances = Instances::open(states).map_err(missing)?;
    let mut out = Out::new();
    instances.each(&query(records), &mut |entry| match format {
        AuditFormat::Jsonl => out.line(&views::json(entry).to_string()),
        AuditFormat::Ocsf => match event(entry, env!("CARGO_PKG_VERSION")) {
            Some(event) => out.line(&event.to_string()),
            None => ControlFlow::Continue(()),
        },
    });
    let _ = out.flush();
    Ok(ExitCode::SUCCESS)
}

/// The most that a file of checkpoints may have: a line every few seconds for years.
const MOST_CHECKPOINTS: u64 = 1 << 30;

fn verify(states: &[PathBuf], checkpoint: Option<&Path>) -> Result<ExitCode, Error> {
    if checkpoint.is_some() && states.len() > 1 {
        let text = "checkpoints are of one journal; name one `--state`";
        return Err(Error::Usage(text.to_owned()));
    }
    let elsewhere = match checkpoint.map(|path| read_capped(path, MOST_CHECKPOINTS)) {
        None => String::new(),
        Some(Ok(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
        Some(Err(why)) => {
            complain(&Error::Host(why).to_string());
            return Ok(ended(Validity::CannotTell));
        }
    };
    let mut worst = Validity::Valid;
    for state in states {
        match prove(state, &elsewhere) {
            Ok(proof) => {
                for finding in &proof.findings {
                    say(finding);
                }
                say(&proof.summary);
                worst = worst.max(proof.validity);
            }
            Err(why) => {
                complain(&missing(why).to_string());
                worst = worst.max(Validity::CannotTell);
            }
        }
    }
    Ok(ended(worst))
}

fn erase(states: &[PathBuf], erase: &AuditErase) -> Result<ExitCode, Error> {
    let tenant = &erase.tenant;
    if !erase.yes {
        return Err(Error::Usage(format!(
            "what the records of `{tenant}` say until now could never be read again; amounts stay, and every chain\nhint: `--yes` if that is meant"
        )));
    }
    if erase.admin.is_none() {
        Instances::open(states).map_err(missing)?;
    }
    let by = format!("uid:{}", own_uid());
    let mut worst = ExitCode::SUCCESS;
    for state in states {
        let erased = match erase.admin {
            Some(_) => Erased::InUse,
            None => app::erase(state, tenant, &by)?,
        };
        match erased {
            Erased::Done(alarms) => {
                for alarm in alarms {
                    complain(&format!("warning: {}: {alarm}", state.display()));
                }
                say(&forgotten(state, tenant));
            }
            Erased::NoSuchTenant => {
                let text = format!("{}: nothing is known of `{tenant}`", state.display());
                complain(&text);
                worst = ExitCode::FAILURE;
            }
            Erased::InUse => {
                let asked = ask_to_erase(state, erase)?;
                if asked != ExitCode::SUCCESS {
                    worst = asked;
                }
            }
        }
    }
    Ok(worst)
}

/// Asks the sidecar that has the journal open.
fn ask_to_erase(state: &Path, erase: &AuditErase) -> Result<ExitCode, Error> {
    let way = Way {
        state: Some(state.to_owned()),
        admin: erase.admin.clone(),
        token_file: erase.token_file.clone(),
        json: false,
    };
    let target = format!("/audit/{}/erase?sure=true", erase.tenant);
    ask(&way, (Method::POST, target), |_, _| {
        say(&forgotten(state, &erase.tenant));
    })
}

fn forgotten(state: &Path, tenant: &TenantId) -> String {
    format!(
        "{}: the records of `{tenant}` until now cannot be read any more; amounts stay. What was exported or copied with its keys is elsewhere",
        state.display()
    )
}

fn ended(validity: Validity) -> ExitCode {
    ExitCode::from(match validity {
        Validity::Valid => 0,
        Validity::Invalid => 1,
        Validity::CannotTell => 2,
    })
}

/// Standard output for many lines. A reader that closed early wants no more.
struct Out(BufWriter<StdoutLock<'static>>);

impl Out {
    fn new() -> Self {
        Self(BufWriter::new(std::io::stdout().lock()))
    }

    fn line(&mut self, text: &str) -> ControlFlow<()> {
        match writeln!(self.0, "{text}") {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }

    fn flush(&mut self) -> ControlFlow<()> {
        match self.0.flush() {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}
