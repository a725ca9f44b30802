//! Edits of a request as splices: which bytes to replace so that exactly the named members change.
//! Must never re-serialise a body: prompt caches hash it, and what was not understood must pass untouched.

mod form;

use std::ops::Range;

use bytes::Bytes;

use super::asked::Asked;
use crate::units::{Dialect, Endpoint, Tokens};
use crate::wire::json_scan::Kind;

/// A change to a governed request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Names another model, or one where none was named.
    Model(String),
    /// Lowers every output cap that is larger, and adds the endpoint's own member if there is none.
    OutputCap(Tokens),
    /// Asks for the usage chunk of an OpenAI chat stream. Only for a request that streams: others may not have it.
    IncludeUsage,
    /// Leaves exactly one end-user mark, this one, and takes out what else claims a tenant.
    Stamp {
        /// The mark; it should not tell who the tenant is.
        pseudonym: String,
    },
    /// Puts this in front of OpenAI's `prompt_cache_key`, if there is one.
    CacheKeyPrefix(String),
    /// Has OpenAI keep no answer for later: `store` is false.
    NoStore,
    /// Asks for this service tier.
    ServiceTier(&'static str),
    /// Asks Anthropic to run the model there.
    InferenceGeo(String),
}

/// Bytes to replace: those `at` the range (of the body as it came) give way to `with`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splice {
    /// Which bytes; empty for an insertion.
    pub at: Range<usize>,
    /// What stands there instead.
    pub with: Bytes,
}

/// The splices that make the edits, sorted and apart from each other. Of two edits of one kind the last counts.
/// An edit that the endpoint has no member for changes nothing.
pub fn splices(asked: &Asked, edits: &[Edit]) -> Vec<Splice> {
    if let Some(form) = &asked.form {
        return form::splices(asked, form, edits);
    }
    let mut plan = Plan {
        asked,
        inserts: Vec::new(),
        doomed: Vec::new(),
        splices: Vec::new(),
    };
    let last = |picks: fn(&Edit) -> bool| edits.iter().rfind(|edit| picks(edit));
    let chosen = [
        last(|edit| matches!(edit, Edit::Model(_))),
        last(|edit| matches!(edit, Edit::OutputCap(_))),
        last(|edit| matches!(edit, Edit::IncludeUsage)),
        last(|edit| matches!(edit, Edit::Stamp { .. })),
        last(|edit| matches!(edit, Edit::CacheKeyPrefix(_))),
        last(|edit| matches!(edit, Edit::NoStore)),
        last(|edit| matches!(edit, Edit::ServiceTier(_))),
        last(|edit| matches!(edit, Edit::InferenceGeo(_))),
    ];
    for edit in chosen.into_iter().flatten() {
        match edit {
            Edit::Model(model) => plan.set(asked.sites.model, "model", &quoted(model)),
            Edit::OutputCap(cap) => plan.cap(*cap),
            Edit::IncludeUsage => plan.include_usage(),
            Edit::Stamp { pseudonym } => plan.stamp(pseudonym),
            Edit::CacheKeyPrefix(prefix) => plan.prefix(prefix),
            Edit::NoStore => plan.set(asked.sites.store, "store", "false"),
            Edit::ServiceTier(tier) => {
                plan.set(asked.sites.service_tier, "service_tier", &quoted(tier));
            }
            Edit::InferenceGeo(geo) => {
                plan.set(asked.sites.inference_geo, "inference_geo", &quoted(geo));
            }
        }
    }
    plan.done()
}

/// The body with the splices made: the frames are sliced, not copied. `splices` as [`splices`] gives them.
/// Also tells the new length.
pub fn apply(body: impl Iterator<Item = Bytes>, splices: &[Splice]) -> (Vec<Bytes>, u64) {
    let mut out = Vec::new();
    let mut splices = splices.iter().peekable();
    // The first byte of the body that is not yet passed on or cut.
    let mut next = 0;
    let mut frame_start = 0;
    for frame in body {
        let frame_end = frame_start + frame.len();
        while let Some(splice) = splices.next_if(|splice| splice.at.start < frame_end) {
            pass(
                &mut out,
                &frame,
                next.max(frame_start) - frame_start..splice.at.start.saturating_sub(frame_start),
            );
            out.push(splice.with.clone());
            next = next.max(splice.at.end);
        }
        pass(
            &mut out,
            &frame,
            next.max(frame_start) - frame_start..frame.len(),
        );
        next = next.max(frame_end);
        frame_start = frame_end;
    }
    out.extend(splices.map(|splice| splice.with.clone()));
    out.retain(|piece| !piece.is_empty());
    let length = out
        .iter()
        .map(|piece| u64::try_from(piece.len()).unwrap_or(u64::MAX))
        .sum();
    (out, length)
}

fn pass(out: &mut Vec<Bytes>, frame: &Bytes, range: Range<usize>) {
    if range.start < range.end {
        out.push(frame.slice(range));
    }
}

/// The edits as they gather: members of the root to add and to take out are settled last, together,
/// because commas depend on both.
struct Plan<'a> {
    asked: &'a Asked,
    inserts: Vec<String>,
    doomed: Vec<u32>,
    splices: Vec<Splice>,
}

impl Plan<'_> {
    /// Gives a root member a value: in its place, or as a new member.
    fn set(&mut self, site: Option<u32>, key: &str, value: &str) {
        match site {
            Some(site) => self.replace(site, value.to_owned()),
            None => self.inserts.push(format!("\"{key}\":{value}")),
        }
    }

    fn replace(&mut self, site: u32, value: String) {
        if let Some(member) = self.asked.member(site) {
            self.splices.push(Splice {
                at: member.value.clone(),
                with: value.into(),
            });
        }
    }

    fn cap(&mut self, cap: Tokens) {
        let scan = &self.asked.scan;
        let mut given = false;
        for &site in &self.asked.sites.output_caps {
            let Some(member) = self.asked.member(site) else {
                continue;
            };
            match scan.integer(member) {
                Some(value) if value <= cap => given = true,
                Some(_) => {
                    given = true;
                    self.replace(site, cap.to_string());
                }
                None => {}
            }
        }
        let Some(key) = cap_member(self.asked.endpoint) else {
            return;
        };
        if !given {
            // A member that is there but `null` is as good a place as any.
            self.set(
                self.asked.sites.output_caps.first().copied(),
                key,
                &cap.to_string(),
            );
        }
    }

    fn include_usage(&mut self) {
        let sites = &self.asked.sites;
        if !matches!(
            self.asked.endpoint,
            Endpoint::ChatCompletions | Endpoint::Completions
        ) {
            return;
        }
        if let Some(site) = sites.include_usage {
            if self.asked.include_usage != Some(true) {
                self.replace(site, "true".to_owned());
            }
            return;
        }
        match sites
            .stream_options
            .and_then(|site| self.asked.member(site))
        {
            Some(options) if options.kind == Kind::Object => {
                let at = options.value.start + 1;
                let comma = if options.empty { "" } else { "," };
                let with = format!("\"include_usage\":true{comma}").into();
                self.splices.push(Splice { at: at..at, with });
            }
            _ => self.set(
                sites.stream_options,
                "stream_options",
                "{\"include_usage\":true}",
            ),
        }
    }

    fn stamp(&mut self, pseudonym: &str) {
        let sites = &self.asked.sites;
        let mark = quoted(pseudonym);
        match (self.asked.dialect, self.asked.endpoint) {
            (Dialect::Anthropic, Endpoint::Messages | Endpoint::Complete) => {
                self.set(
                    sites.metadata,
                    "metadata",
                    &format!("{{\"user_id\":{mark}}}"),
                );
            }
            // Counting takes no metadata.
            (Dialect::Anthropic, _) => self.doomed.extend(sites.metadata),
            (
                Dialect::OpenAi,
                Endpoint::ChatCompletions
                | Endpoint::Responses
                | Endpoint::Decisions
                | Endpoint::ImageGenerations,
            ) => {
                self.doomed.extend(sites.user);
                self.doomed.extend(&sites.tenant_metadata);
                self.set(sites.safety_identifier, "safety_identifier", &mark);
            }
            // Their only mark is the older one.
            (
                Dialect::OpenAi,
                Endpoint::Completions | Endpoint::Embeddings | Endpoint::ImageEdits,
            ) => {
                self.doomed.extend(sites.safety_identifier);
                self.doomed.extend(&sites.tenant_metadata);
                self.set(sites.user, "user", &mark);
            }
            (Dialect::OpenAi, _) => {
                self.doomed
                    .extend(sites.user.into_iter().chain(sites.safety_identifier));
                self.doomed.extend(&sites.tenant_metadata);
            }
        }
    }

    fn prefix(&mut self, prefix: &str) {
        let key = self
            .asked
            .sites
            .cache_key
            .and_then(|site| self.asked.member(site));
        if let Some(key) = key.filter(|key| key.kind == Kind::String) {
            let at = key.value.start + 1;
            let quoted = quoted(prefix);
            let inner = quoted
                .get(1..quoted.len().saturating_sub(1))
                .unwrap_or_default();
            self.splices.push(Splice {
                at: at..at,
                with: inner.to_owned().into(),
            });
        }
    }

    fn done(mut self) -> Vec<Splice> {
        let asked = self.asked;
        let scan = &asked.scan;
        if !self.inserts.is_empty() {
            let new = self.inserts.join(",");
            // A root member that goes makes room for the new ones, commas and all.
            let root = self
                .doomed
                .iter()
                .position(|site| !asked.sites.tenant_metadata.contains(site));
            let room = root
                .map(|at| self.doomed.swap_remove(at))
                .and_then(|site| asked.member(site));
            self.splices.push(match room {
                Some(member) => Splice {
                    at: member.key.start..member.value.end,
                    with: new.into(),
                },
                None if scan.root_empty => Splice {
                    at: scan.inside..scan.inside,
                    with: new.into(),
                },
                None => Splice {
                    at: scan.inside..scan.inside,
                    with: (new + ",").into(),
                },
            });
        }
        let doomed: Vec<_> = self
            .doomed
            .iter()
            .filter_map(|&site| asked.member(site))
            .collect();
        let cuts = scan.removals(|member| doomed.iter().any(|gone| std::ptr::eq(*gone, member)));
        self.splices.extend(cuts.into_iter().map(|at| Splice {
            at,
            with: Bytes::new(),
        }));
        self.splices.sort_by_key(|splice| splice.at.start);
        self.splices
    }
}

/// The member that caps an endpoint's output where the request has none.
const fn cap_member(endpoint: Endpoint) -> Option<&'static str> {
    match endpoint {
        Endpoint::ChatCompletions => Some("max_completion_tokens"),
        Endpoint::Responses => Some("max_output_tokens"),
        Endpoint::Completions | Endpoint::Messages => Some("max_tokens"),
        Endpoint::Complete => Some("max_tokens_to_sample"),
        _ => None,
    }
}

/// A JSON string (RFC 8259 §7), quotes included.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests;
