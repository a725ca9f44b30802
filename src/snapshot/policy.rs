//! A policy, compiled: rules as matchers, each of which knows where it was written.
//! Must never look at a request: `trip/decide` compares, this only answers what a rule says.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::Pattern;
use crate::config::values::{
    Credentials, HangUp, HoldFor, JournalMode, OnJournalFailure, OnMismatch, OnRevoke, Permission,
    ProviderRetention, StreamUsage,
};
use crate::units::{Endpoint, UpstreamName};

/// Where the record of a policy's tenants differs from everybody's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalRules {
    /// When an action counts as recorded.
    pub mode: Option<JournalMode>,
    /// What becomes of one that cannot be.
    pub on_failure: Option<OnJournalFailure>,
}

/// Where a rule was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A default of Outrigger itself.
    BuiltIn,
    /// A line of a configuration file.
    Line(Arc<str>, u32),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("built in"),
            Self::Line(file, line) => write!(f, "{file}:{line}"),
        }
    }
}

/// A rule's name and place: what a refusal, `explain` and the log show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The key, such as `policies.standard.models.allow`.
    pub key: Box<str>,
    /// Where it stands.
    pub origin: Origin,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.key, self.origin)
    }
}

/// A value with the rule that set it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruled<T> {
    /// What the rule says.
    pub value: T,
    /// Which rule.
    pub rule: Arc<Rule>,
}

/// The rules about models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelRules {
    /// The model of a request that names none.
    pub default: Option<Ruled<String>>,
    /// First match renames; applied before `deny` and `allow`.
    pub rewrite: Vec<Ruled<(Pattern, String)>>,
    /// Beats `allow`.
    pub deny: Vec<Ruled<Pattern>>,
    /// One of these must match.
    pub allow: Vec<Ruled<Pattern>>,
    /// What decides when no `allow` matches.
    pub otherwise: Arc<Rule>,
    /// The most output tokens one request may ask for.
    pub max_output_tokens: Option<Ruled<u64>>,
    /// The cap of a call that sends none, where its whole cost is held.
    pub uncapped_output: u64,
}

impl ModelRules {
    /// The rule that lets `model` pass, or the one that does not.
    pub fn permission(&self, model: &str) -> (Permission, &Arc<Rule>) {
        if let Some(denied) = first_match(&self.deny, model) {
            return (Permission::Deny, denied);
        }
        match first_match(&self.allow, model) {
            Some(allowed) => (Permission::Allow, allowed),
            None => (Permission::Deny, &self.otherwise),
        }
    }

    /// The rule that lets a request for `model` pass, or the one that does not: after its replacement.
    pub fn usable(&self, model: &str) -> (Permission, &Arc<Rule>) {
        let sent = self.rewritten(model).map(|rule| rule.value.1.as_str());
        self.permission(sent.unwrap_or(model))
    }

    /// Whether no model whatever would be denied.
    pub fn is_open(&self) -> bool {
        self.deny.is_empty() && self.allow.iter().any(|rule| rule.value.is_everything())
    }

    /// The name `model` is replaced by, if a rule says so.
    pub fn rewritten(&self, model: &str) -> Option<&Ruled<(Pattern, String)>> {
        self.rewrite.iter().find(|rule| rule.value.0.matches(model))
    }
}

/// A list of globs that opens things which are closed by default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenList {
    /// One of these must match.
    pub allow: Vec<Ruled<Pattern>>,
    /// What decides when none matches.
    pub otherwise: Arc<Rule>,
}

impl OpenList {
    /// The rule that opens `name`, or the one that keeps it closed.
    pub fn permission(&self, name: &str) -> (Permission, &Arc<Rule>) {
        match first_match(&self.allow, name) {
            Some(rule) => (Permission::Allow, rule),
            None => (Permission::Deny, &self.otherwise),
        }
    }
}

/// The rules about where a model runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeoRules {
    /// Where it may; the first is asked for where a request names none.
    pub allow: Ruled<Vec<Box<str>>>,
    /// What becomes of an answer that reports another place.
    pub mismatch: OnMismatch,
}

impl GeoRules {
    /// Whether a model may run there.
    pub fn allows(&self, place: &str) -> bool {
        self.allow.value.iter().any(|allowed| **allowed == *place)
    }
}

/// How far an answer is read whose caller has hung up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// For how long.
    pub time: Duration,
    /// For how many bytes.
    pub bytes: u64,
    /// Of a tenant's calls, so many at once.
    pub calls: u32,
}

fn first_match<'a>(rules: &'a [Ruled<Pattern>], name: &str) -> Option<&'a Arc<Rule>> {
    rules
        .iter()
        .find(|rule| rule.value.matches(name))
        .map(|rule| &rule.rule)
}

/// Everything a policy says, for every tenant that has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its name.
    pub name: Box<str>,
    /// Models.
    pub models: ModelRules,
    /// Endpoints beyond the governed ones.
    pub endpoints: OpenList,
    /// Tools that run at the provider, and routes around the model rules.
    pub hosted_tools: OpenList,
    /// Work that goes on after the answer (`background`).
    pub background: Ruled<Permission>,
    /// References to state kept at the provider, where tenants share a credential.
    pub references: Ruled<Permission>,
    /// Whose credentials may be shown to upstreams.
    pub credentials: Ruled<Credentials>,
    /// What the provider may keep.
    pub retention: Ruled<ProviderRetention>,
    /// Service tiers and speeds that may be asked for.
    pub service_tiers: OpenList,
    /// Whether the account's own setting may decide the tier: what `service_tiers` says of `auto`.
    pub auto_tier: Permission,
    /// Where an Anthropic model may run; `None` is anywhere.
    pub inference_geo: Option<GeoRules>,
    /// Usage in chat streams.
    pub stream_usage: StreamUsage,
    /// What becomes of what is under way when a tenant of it is taken out.
    pub on_revoke: OnRevoke,
    /// What becomes of a call whose caller hangs up.
    pub hang_up: HangUp,
    /// How far its answer is read then.
    pub drain: Drain,
    /// What calls hold of budgets.
    pub hold: HoldFor,
    /// Where the record of its tenants differs from everybody's.
    pub journal: JournalRules,
    /// Regions an upstream may have; `None` is any.
    pub regions: Option<Ruled<Vec<String>>>,
    /// Upstreams that may be used; `None` is all.
    pub upstreams: Option<Ruled<Vec<UpstreamName>>>,
    /// The most bytes of a governed request body.
    pub body: Ruled<usize>,
    /// How long a governed body may take to arrive.
    pub body_timeout: Duration,
    /// How long it may make no progress meanwhile.
    pub body_pause: Duration,
}

impl Policy {
    /// Whether `endpoint` is open under this policy, and by which rule.
    pub fn endpoint(&self, endpoint: Endpoint) -> (Permission, &Arc<Rule>) {
        self.endpoints.permission(endpoint.as_str())
    }
}
