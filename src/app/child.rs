//! `outrigger run`: an agent process wrapped in a sidecar of its own. The child gets base URLs and a key made
//! for this session; provider keys stay here. Must never pass a provider's key on, nor restart the child.

use std::ffi::OsString;
use std::net::SocketAddr;

use super::Error;
use super::reloads::Reloads;
use super::sidecar::Sidecar;
use crate::host::handed::VARIABLES;
use crate::host::{Child, Exit, Launch, Signal, Signals, hardening};
use crate::process::{ProcessEvent, tell};
use crate::snapshot::{Credential, Snapshot};
use crate::units::{Dialect, Secret};

/// Environment variables that hold the credentials of the providers in front of which the sidecar stands.
const PROVIDER_KEYS: [&str; 5] = [
    "OPENAI_API_KEY",
    "OPENAI_ADMIN_KEY",
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_ADMIN_API_KEY",
];

/// The changes to a child's environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wrapped {
    /// Variables it gets.
    pub set: Vec<(String, String)>,
    /// Variables it does not get.
    pub remove: Vec<String>,
}

/// What a child is told: where each dialect's upstream is, under the session's key.
pub fn child_environment(
    snapshot: &Snapshot,
    at: &str,
    key: &str,
    own: impl Iterator<Item = (OsString, OsString)>,
) -> Wrapped {
    let mut set = vec![
        ("OUTRIGGER_URL".to_owned(), format!("http://{at}")),
        ("OUTRIGGER_KEY".to_owned(), key.to_owned()),
    ];
    let base = |dialect| {
        let upstream = snapshot
            .upstreams()
            .iter()
            .find(|upstream| upstream.dialect == dialect);
        upstream.map(|upstream| format!("http://{at}/{}", upstream.name))
    };
    if let Some(base) = base(Dialect::OpenAi) {
        for name in ["OPENAI_BASE_URL", "OPENAI_API_BASE"] {
            set.push((name.to_owned(), format!("{base}/v1")));
        }
        set.push(("OPENAI_API_KEY".to_owned(), key.to_owned()));
    }
    if let Some(base) = base(Dialect::Anthropic) {
        for name in ["ANTHROPIC_BASE_URL", "ANTHROPIC_API_URL"] {
            set.push((name.to_owned(), base.clone()));
        }
        set.push(("ANTHROPIC_API_KEY".to_owned(), key.to_owned()));
    }
    let mut remove: Vec<String> = PROVIDER_KEYS
        .iter()
        .chain(&VARIABLES)
        .map(|name| (*name).to_owned())
        .collect();
    let mut no_proxy = Vec::new();
    let own: Vec<(String, String)> = own
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    // The simulator takes the place of an upstream with its credential, so the values are looked at too.
    let secrets: Vec<&str> = own
        .iter()
        .filter(|(name, _)| PROVIDER_KEYS.contains(&name.as_str()))
        .map(|(_, value)| value.as_str())
        .collect();
    for (name, value) in &own {
        if name.eq_ignore_ascii_case("no_proxy") {
            no_proxy.push((name.clone(), value.clone()));
        }
        let is_secret = secrets.contains(&value.as_str()) || holds_credential(snapshot, value);
        if !value.is_empty() && is_secret {
            remove.push(name.clone());
        }
    }
    set.extend(bypass(no_proxy));
    remove.sort_unstable();
    remove.dedup();
    Wrapped { set, remove }
}

/// A proxy of the machine must not come between the child and its sidecar.
fn bypass(own: Vec<(String, String)>) -> Vec<(String, String)> {
    const LOCAL: &str = "127.0.0.1,localhost,::1";
    if own.is_empty() {
        return ["NO_PROXY", "no_proxy"]
            .map(|name| (name.to_owned(), LOCAL.to_owned()))
            .into();
    }
    own.into_iter()
        .map(|(name, value)| (name, format!("{value},{LOCAL}")))
        .collect()
}

/// Whether a text is the credential of an upstream or a tenant, under whatever name it lies in the environment.
fn holds_credential(snapshot: &Snapshot, text: &str) -> bool {
    let shared = snapshot
        .upstreams()
        .iter()
        .filter_map(|upstream| upstream.credential.as_ref());
    let own = snapshot
        .tenants()
        .flat_map(|tenant| tenant.own_credentials());
    shared.chain(own).any(|key| match key {
        Credential::Bearer(value) => {
            value.as_bytes().strip_prefix(b"Bearer ") == Some(text.as_bytes())
        }
        Credential::ApiKey(value) => value.as_bytes() == text.as_bytes(),
    })
}

/// Runs the child to its end, hands signals on, drains, and says in one line what was used.
///
/// # Errors
/// If the child cannot be started or waited for.
pub async fn run_child(
    mut sidecar: Sidecar,
    command: Vec<OsString>,
    key: &Secret,
) -> Result<Exit, Error> {
    let mut signals = Signals::listen(&Signal::FORWARDED)?;
    let at = sidecar
        .proxy
        .first()
        .map(SocketAddr::to_string)
        .unwrap_or_default();
    let snapshot = sidecar.ground.live.take();
    let wrapped = child_environment(&snapshot, &at, key.expose(), std::env::vars_os());
    drop(snapshot);
    let mut words = command.into_iter();
    let launch = Launch {
        program: words.next().unwrap_or_default(),
        args: words.collect(),
        set: wrapped
            .set
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        remove: wrapped.remove.into_iter().map(OsString::from).collect(),
    };
    let child = Child::launch(&launch).map_err(Error::Child)?;
    // Limits of the process are inherited, so the child was started first.
    harden_rest();
    let exit = {
        let mut waiting = std::pin::pin!(child.wait(&mut signals));
        // The configuration may change while the child works; it is told nothing of it, and never started again.
        let mut reloads = Reloads::new(std::sync::Arc::clone(&sidecar.reloader));
        loop {
            tokio::select! {
                exit = &mut waiting => break exit?,
                // The child lives on: whether it can do without is for it to say.
                Some(name) = sidecar.ended.recv() => tell(ProcessEvent::TaskEnded { name }),
                // Its one tenant is never taken out: that would be no configuration.
                _ = reloads.next() => {}
            }
        }
    };
    finish(&sidecar).await;
    Ok(exit)
}

fn harden_rest() {
    for (what, outcome) in [
        ("core dumps", hardening::refuse_cores()),
        ("open files", hardening::raise_descriptors().map(|_| ())),
    ] {
        if let Err(why) = outcome {
            tell(ProcessEvent::HardeningIncomplete { what, why: &why });
        }
    }
}

/// The child is gone, and with it whoever could read an answer: what still runs is ended.
async fn finish(sidecar: &Sidecar) {
    let moment = std::time::Duration::from_millis(500);
    let quiet = async {
        while sidecar.ground.shutdown.open() > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    if tokio::time::timeout(moment, quiet).await.is_err() {
        sidecar.cut().await;
        sidecar.close();
    }
}
