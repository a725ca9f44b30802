//! `outrigger explain`, from its words to its exit code: a key or code, a request, or a caller and the request it makes.

use std::process::ExitCode;

use super::args;
use super::verbs::{read_stdin, say};
use crate::app::{self, Error, Options, Sidecar, find};
use crate::config::key_hash;

pub(super) fn explain(explain: &args::Explain) -> Result<ExitCode, Error> {
    if let Some(topic) = &explain.topic {
        say(&super::topic::topic(topic)?);
        return Ok(ExitCode::SUCCESS);
    }
    let caller = caller(explain)?;
    if explain.tenant.is_none() && caller.is_none() {
        let text = "say what to explain: a key (`models.allow`), a code (`OUT-0007`, `model-denied`), a request \
                    (`--tenant T --model M`), or a caller (`--socket PATH --uid N`)";
        return Err(Error::Usage(text.to_owned()));
    }
    let body = match explain.body.as_deref() {
        Some("-") => Some(read_stdin()?),
        other => other.map(str::to_owned),
    };
    let prepared = Sidecar::prepare(Options::new(find(explain.config.config.as_deref())?))?;
    let snapshot = prepared.snapshot();
    let tenant = match (&explain.tenant, &caller) {
        (Some(tenant), _) => tenant
            .parse()
            .map_err(|why| Error::Usage(format!("`{tenant}`: {why}")))?,
        (None, caller) => {
            let caller = caller.clone().unwrap_or_default();
            let (text, tenant) = app::who(&snapshot, &prepared.boot().known_sockets(), &caller)?;
            say(&text);
            let asks = body.is_some() || explain.model.is_some() || explain.path.is_some();
            match tenant {
                Some(tenant) if asks => tenant,
                Some(_) => return Ok(ExitCode::SUCCESS),
                None => return Ok(ExitCode::FAILURE),
            }
        }
    };
    let question = app::Question {
        tenant,
        upstream: explain.upstream.clone(),
        method: explain.method.to_ascii_uppercase(),
        path: explain.path.clone(),
        body,
        model: explain.model.clone(),
    };
    let (text, passes) = app::explain(&snapshot, &question)?;
    say(&text);
    Ok(if passes {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The caller that is described, if one is.
fn caller(explain: &args::Explain) -> Result<Option<app::Caller>, Error> {
    let key = explain.key.as_deref().map(|text| {
        let hash = key_hash(text);
        hash.map(|hash| *hash.bytes()).ok_or_else(|| {
            Error::Usage("`--key` takes a hash, `sha256:` and 64 hex digits\nhint: `outrigger keys hash` makes it from a key on standard input".to_owned())
        })
    });
    let caller = app::Caller {
        socket: explain.socket.clone(),
        uid: explain.uid,
        key: key.transpose()?,
        header: explain.header.clone(),
    };
    let described = caller.socket.is_some()
        || caller.uid.is_some()
        || caller.key.is_some()
        || caller.header.is_some();
    Ok(described.then_some(caller))
}
