//! Who a caller would be, and why: asked of the same function that identifies real ones. And the proofs of a configuration
//! in a few lines. Must never take a key itself: its hash is what the configuration knows.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::Error;
use super::boot::KnownSocket;
use crate::config::values::Proof;
use crate::snapshot::{Claim, Entry, IdentityFault, KeyDigest, Presented, Snapshot};
use crate::trip::Refusal;
use crate::trip::identify::refusal;
use crate::units::TenantId;

/// A caller as described on the command line.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// The socket of `listen.proxy` it connects to; none is a port.
    pub socket: Option<PathBuf>,
    /// The user it runs as.
    pub uid: Option<u32>,
    /// The hash of the key it shows.
    pub key: Option<KeyDigest>,
    /// The tenant it names in `identity.header`.
    pub header: Option<String>,
}

/// Says who a caller would be, and why; and gives the tenant if it is one.
///
/// # Errors
/// If nothing listens there, or the answer depends on what was not said.
pub fn who(
    snapshot: &Snapshot,
    sockets: &[KnownSocket],
    caller: &Caller,
) -> Result<(String, Option<TenantId>), Error> {
    let entry = entry(snapshot, sockets, caller)?;
    let key = caller.key.as_ref().map(<[u8; 32]>::as_slice);
    let presented = Presented {
        entry: &entry,
        headers: [key, None, None],
        path: None,
        claim: claim(snapshot, caller)?,
    };
    let identified = snapshot.identify(&presented, |_| caller.key.unwrap_or_default());
    let accepted = words(snapshot.accepts());
    let mut out = String::new();
    let tenant = match identified {
        Ok(one) => {
            let by = one.by.as_str();
            let how = match &one.voucher {
                None => format!("by {by}"),
                Some(voucher) => format!("named by {voucher}, which is proven by {by}"),
            };
            let id = one.tenant.id();
            let _ = writeln!(out, "identity   {id}, {how} (accepted: {accepted})");
            Some(id.clone())
        }
        Err(fault) => {
            let _ = writeln!(out, "identity   nobody (accepted: {accepted})");
            refused(&mut out, &refusal(snapshot, fault));
            if fault == IdentityFault::UnknownUser
                && let Some(uid) = entry.uid
            {
                let _ = writeln!(out, "user       {uid}");
            }
            None
        }
    };
    Ok((out, tenant))
}

fn refused(out: &mut String, refusal: &Refusal) {
    let (code, status) = (refusal.code, refusal.code.status());
    let _ = writeln!(out, "decision   refused: {code} ({status})");
    let _ = writeln!(out, "why        {}", refusal.text);
}

fn entry(snapshot: &Snapshot, sockets: &[KnownSocket], caller: &Caller) -> Result<Entry, Error> {
    let Some(path) = &caller.socket else {
        return match caller.uid {
            None => Ok(Entry::default()),
            Some(_) => Err(Error::Usage(
                "over a port there is no user\nhint: say on which socket, with `--socket`"
                    .to_owned(),
            )),
        };
    };
    let name = match path.to_str().filter(|text| text.starts_with("fd:")) {
        Some(handed) => handed.to_owned(),
        None => format!("unix:{}", path.display()),
    };
    let Some(socket) = sockets.iter().find(|socket| socket.name == name) else {
        let names = sockets.iter().map(|socket| format!("`{}`", socket.name));
        let names: Vec<_> = names.collect();
        return Err(Error::Usage(format!(
            "`listen.proxy` has no socket `{name}`\nhint: there are {}",
            if names.is_empty() {
                "none".to_owned()
            } else {
                names.join(", ")
            }
        )));
    };
    if caller.uid.is_none() && snapshot.accepts().contains(&Proof::Uid) {
        let text = "on a socket the user counts\nhint: say which one, with `--uid`";
        return Err(Error::Usage(text.to_owned()));
    }
    Ok(Entry {
        peer: None,
        listener: socket.tenant.clone(),
        uid: caller.uid,
    })
}

fn claim<'c>(snapshot: &Snapshot, caller: &'c Caller) -> Result<Claim<'c>, Error> {
    match &caller.header {
        None => Ok(Claim::None),
        Some(name) if snapshot.tenant_header().is_some() => Ok(Claim::Named(name)),
        Some(_) => Err(Error::Usage(
            "there is no `identity.header`, so nobody is named in one".to_owned(),
        )),
    }
}

/// More of a kind than this are counted, not listed.
const FEW: usize = 16;

/// What proves whom, where a connection can prove it; keys are only counted elsewhere.
pub(super) fn proofs(snapshot: &Snapshot, sockets: &[KnownSocket]) -> Option<String> {
    let by_connection = [Proof::Listener, Proof::Uid];
    let accepts = snapshot.accepts();
    let header = snapshot.tenant_header();
    if header.is_none() && !accepts.iter().any(|proof| by_connection.contains(proof)) {
        return None;
    }
    let mut lines: Vec<String> = Vec::new();
    for socket in sockets {
        if let Some(tenant) = &socket.tenant {
            lines.push(format!("whoever opens `{}` is {tenant}", socket.name));
        }
    }
    let mut users: Vec<_> = snapshot.users().collect();
    users.sort_unstable();
    lines.extend(
        users
            .iter()
            .map(|(uid, tenant)| format!("user {uid} is {tenant}")),
    );
    if let Some(header) = header {
        let mut vouching: Vec<_> = snapshot
            .tenants()
            .filter(|one| !one.vouches().is_empty())
            .collect();
        vouching.sort_unstable_by_key(|one| one.id());
        for one in vouching {
            let patterns: Vec<_> = one
                .vouches()
                .iter()
                .map(|pattern| format!("`{}`", pattern.as_str()))
                .collect();
            lines.push(format!(
                "{} may name {} in `{header}`",
                one.id(),
                patterns.join(", ")
            ));
        }
    }
    let more = lines.len().saturating_sub(FEW);
    lines.truncate(FEW);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    let mut text = format!("identity   {}", words(accepts));
    for line in lines {
        let _ = write!(text, "\n           {line}");
    }
    Some(text)
}

fn words(proofs: &[Proof]) -> String {
    let words: Vec<_> = proofs.iter().map(|proof| proof.as_str()).collect();
    words.join(", ")
}
