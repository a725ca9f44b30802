//! `outrigger explain`: which rule decides about a request that is only described. It asks the same functions
//! that decide about real ones, so it cannot say anything else. Must never send anything.

use std::fmt::Write as _;
use std::sync::Arc;

use http::Method;
use serde_json::json;

use super::Error;
use crate::snapshot::{Snapshot, Upstream, Whose};
use crate::trip::Refusal;
use crate::trip::decide::{Asker, Verdict, endpoint, judge};
use crate::trip::route::choose;
use crate::units::TenantId;
use crate::wire::dialect::asked::{Asked, Governed, scan_code};
use crate::wire::dialect::path::classify;
use crate::wire::dialect::splice::Edit;
use crate::wire::json_scan::{Rules, Scanner};

/// A request as described on the command line.
#[derive(Clone, Debug)]
pub struct Question {
    /// Whose.
    pub tenant: TenantId,
    /// To which upstream; the first one when not named.
    pub upstream: Option<String>,
    /// The method.
    pub method: String,
    /// The path below the upstream; the dialect's main endpoint when not named.
    pub path: Option<String>,
    /// The body; made of `model` when not given.
    pub body: Option<String>,
    /// The model, without a body.
    pub model: Option<String>,
}

/// What would become of the request: text for people, and whether it would pass.
///
/// # Errors
/// If there is no such tenant or upstream, or the path cannot be read.
pub fn explain(snapshot: &Snapshot, question: &Question) -> Result<(String, bool), Error> {
    let tenant = snapshot
        .tenant(&question.tenant)
        .ok_or_else(|| no_tenant(snapshot, question))?;
    let upstream = upstream(snapshot, question)?;
    let main = match upstream.dialect {
        crate::units::Dialect::OpenAi => "/v1/chat/completions",
        crate::units::Dialect::Anthropic => "/v1/messages",
    };
    let path = question.path.as_deref().unwrap_or(main);
    let method = Method::from_bytes(question.method.as_bytes())
        .map_err(|_| Error::Usage(format!("`{}` is no method", question.method)))?;
    let classified = classify(upstream.dialect, &method, path)
        .map_err(|fault| Error::Usage(format!("the path `{path}`: {}", fault.as_str())))?;
    let mut out = String::new();
    let _ = writeln!(
        out,
        "tenant     {} (policy {})",
        tenant.id(),
        tenant.policy().name
    );
    let _ = writeln!(
        out,
        "upstream   {} ({}, region {})",
        upstream.name,
        upstream.dialect,
        upstream.region.as_deref().unwrap_or("undeclared")
    );
    let _ = writeln!(out, "endpoint   {}", classified.endpoint);
    let unseen = classified.endpoint.unseen();
    if !unseen.is_empty() {
        let _ = writeln!(out, "unseen     {unseen}");
    }
    if tenant.key_to(upstream).whose == Whose::Own {
        let _ = writeln!(out, "credential the tenant's own");
    }
    let asker = Asker::of(snapshot, tenant, upstream);
    let verdict = match Governed::of(upstream.dialect, classified.endpoint) {
        None => endpoint(&asker, classified.endpoint, classified.path).map(|rule| Verdict {
            rule: rule.cloned(),
            ..Verdict::default()
        }),
        Some(governed) => read(governed, question)
            .and_then(|asked| judge(&asker, upstream, classified.endpoint, &asked)),
    };
    let passes =
        match verdict.and_then(|verdict| choose(snapshot, tenant, upstream).map(|_| verdict)) {
            Ok(verdict) => {
                allowed(&mut out, &verdict);
                true
            }
            Err(refusal) => {
                refused(&mut out, &refusal);
                false
            }
        };
    Ok((out, passes))
}

fn no_tenant(snapshot: &Snapshot, question: &Question) -> Error {
    let mut names: Vec<_> = snapshot
        .tenants()
        .map(|tenant| format!("`{}`", tenant.id()))
        .collect();
    names.sort_unstable();
    names.truncate(8);
    let more = snapshot.tenants().len().saturating_sub(names.len());
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    Error::Usage(format!(
        "there is no tenant `{}`; there are {}{more}",
        question.tenant,
        names.join(", ")
    ))
}

fn upstream<'s>(snapshot: &'s Snapshot, question: &Question) -> Result<&'s Arc<Upstream>, Error> {
    let found = match &question.upstream {
        Some(name) => snapshot.upstream(name),
        None => snapshot.upstreams().first(),
    };
    found.ok_or_else(|| {
        let names: Vec<_> = snapshot
            .upstreams()
            .iter()
            .map(|upstream| format!("`{}`", upstream.name))
            .collect();
        Error::Usage(match &question.upstream {
            Some(name) => format!(
                "there is no upstream `{name}`; there are {}",
                names.join(", ")
            ),
            None => "the configuration has no upstream".to_owned(),
        })
    })
}

fn read(governed: &'static Governed, question: &Question) -> Result<Asked, Refusal> {
    let body = question
        .body
        .clone()
        .unwrap_or_else(|| match &question.model {
            Some(model) => json!({ "model": model }).to_string(),
            None => json!({}).to_string(),
        });
    let mut scanner = Scanner::new(governed.paths(), Rules::STRICT);
    let scan = scanner
        .push(body.as_bytes())
        .and_then(|()| scanner.finish())
        .map_err(|fault| Refusal::new(scan_code(&fault), format!("the request body: {fault}")))?;
    governed
        .read(scan)
        .map_err(|fault| Refusal::new(fault.code(), fault.to_string()).about(fault.path))
}

fn allowed(out: &mut String, verdict: &Verdict) {
    let _ = writeln!(out, "decision   allowed");
    if let Some(rule) = &verdict.rule {
        let _ = writeln!(out, "rule       {rule}");
    }
    if !verdict.model.is_empty() {
        let _ = writeln!(out, "model      {}", verdict.model);
    }
    for edit in &verdict.edits {
        let text = match edit {
            Edit::Model(model) => format!("the model becomes `{model}`"),
            Edit::OutputCap(cap) => format!("the output is capped at {cap} tokens"),
            Edit::IncludeUsage => {
                "usage is asked for, and taken out of the answer again".to_owned()
            }
            Edit::Stamp { pseudonym } => format!("the end user is named `{pseudonym}`"),
            Edit::CacheKeyPrefix(prefix) => format!("the cache key is prefixed with `{prefix}`"),
            Edit::NoStore => "nothing is stored (`store` is false)".to_owned(),
            Edit::ServiceTier(tier) => format!("the service tier is `{tier}`"),
            Edit::InferenceGeo(place) => format!("the model runs in `{place}`"),
        };
        let _ = writeln!(out, "edit       {text}");
    }
}

fn refused(out: &mut String, refusal: &Refusal) {
    let _ = writeln!(
        out,
        "decision   refused: {} ({})",
        refusal.code,
        refusal.code.status()
    );
    if let Some(rule) = &refusal.rule {
        let _ = writeln!(out, "rule       {rule}");
    }
    let _ = writeln!(out, "why        {}", refusal.text);
}
