//! `[policies.*]` to [`Policy`], and the two that are built in: `default`, which is open, for one fixed
//! tenant; `standard`, which denies what runs or stays at the provider, for every configured tenant.

use std::collections::HashMap;
use std::sync::Arc;

use super::Bench;
use super::budgets::merged;
use super::hang_ups;
use super::journal::on_lost;
use crate::config::values::{self, AnyOr, Glob, Permission, ProviderRetention};
use crate::config::{OutCode, Raw, Sited, defaults, raw};
use crate::limits::{BudgetSpec, LimitSpec, OnLost, Rate};
use crate::snapshot::{
    GeoRules, JournalRules, ModelRules, OpenList, Pattern, Policy, Rule, Ruled, Upstream,
};
use crate::units::{Endpoint, Opening, UpstreamName};

/// The policy of one fixed tenant for whom none was written.
const OPEN: &str = "default";

/// The policies by name, each with what it gives its tenants.
pub(super) struct Policies {
    by_name: HashMap<Box<str>, (Arc<Policy>, Given)>,
    /// What an unwritten tenant gets unless a policy called `default` is written.
    open: (Arc<Policy>, Given),
}

/// What each tenant of a policy has for itself, unless it has its own.
#[derive(Clone, Debug, Default)]
pub(super) struct Given {
    limits: raw::Limits,
    budgets: Vec<BudgetSpec>,
    on_lost: OnLost,
}

impl Policies {
    pub(super) fn get(&self, name: &str) -> Option<&(Arc<Policy>, Given)> {
        self.by_name.get(name)
    }

    pub(super) fn open(&self) -> &(Arc<Policy>, Given) {
        self.by_name.get(OPEN).unwrap_or(&self.open)
    }

    pub(super) fn names(&self) -> String {
        let mut names: Vec<_> = self
            .by_name
            .keys()
            .map(|name| format!("`{name}`"))
            .collect();
        names.sort_unstable();
        names.join(", ")
    }
}

impl Bench<'_> {
    pub(super) fn policies(&mut self, raw: &Raw, upstreams: &[Arc<Upstream>]) -> Policies {
        let mut by_name: HashMap<Box<str>, _> = HashMap::new();
        let open = self.built_in_policy(OPEN, Permission::Allow);
        let given = Given {
            on_lost: on_lost(raw, None),
            ..Given::default()
        };
        let open = (self.kept.policy(open), given.clone());
        let standard = self.kept.policy(self.built_in_standard());
        by_name.insert(OPEN.into(), open.clone());
        by_name.insert(defaults::POLICY.into(), (standard, given));
        for policy in &raw.policies {
            let compiled = self.policy(policy, upstreams);
            let compiled = self.kept.policy(compiled);
            let given = Given {
                limits: policy.limits.clone(),
                budgets: self.budgets(&policy.budgets),
                on_lost: on_lost(raw, Some(policy)),
            };
            by_name.insert(policy.name.value.as_str().into(), (compiled, given));
        }
        Policies { by_name, open }
    }

    /// What holds for those who proved nothing, and are refused before it matters.
    pub(super) fn built_in_standard(&self) -> Policy {
        self.built_in_policy(defaults::POLICY, Permission::Deny)
    }

    fn built_in_policy(&self, name: &str, openness: Permission) -> Policy {
        let rule = |key: &str| self.rule(format!("policies.{name}.{key}"), None);
        let open = |key: &str| OpenList {
            allow: match openness {
                Permission::Allow => vec![Ruled {
                    value: Pattern::new("*"),
                    rule: rule(key),
                }],
                Permission::Deny => Vec::new(),
            },
            otherwise: rule(key),
        };
        let models = rule("models.allow");
        Policy {
            name: name.into(),
            models: ModelRules {
                default: None,
                rewrite: Vec::new(),
                deny: Vec::new(),
                allow: vec![Ruled {
                    value: Pattern::new(defaults::MODELS_ALLOW),
                    rule: Arc::clone(&models),
                }],
                otherwise: models,
                max_output_tokens: None,
                uncapped_output: defaults::UNCAPPED_OUTPUT,
            },
            endpoints: open("endpoints.allow"),
            hosted_tools: open("hosted_tools.allow"),
            background: Ruled {
                value: openness,
                rule: rule("background"),
            },
            references: Ruled {
                value: openness,
                rule: rule("references"),
            },
            credentials: Ruled {
                value: defaults::CREDENTIALS,
                rule: rule("credentials"),
            },
            retention: Ruled {
                value: ProviderRetention::Keep,
                rule: rule("retention.provider"),
            },
            service_tiers: match openness {
                Permission::Allow => open("service_tiers.allow"),
                Permission::Deny => plain_tiers(rule("service_tiers.allow")),
            },
            auto_tier: Permission::Allow,
            inference_geo: None,
            stream_usage: defaults::STREAM_USAGE,
            hold: defaults::HOLD,
            journal: JournalRules::default(),
            on_revoke: defaults::ON_REVOKE,
            hang_up: defaults::HANG_UP,
            drain: hang_ups::UNWRITTEN,
            regions: None,
            upstreams: None,
            body: Ruled {
                value: bytes(defaults::BODY),
                rule: rule("body"),
            },
            body_timeout: defaults::BODY_TIMEOUT,
            body_pause: defaults::BODY_PAUSE,
        }
    }

    fn policy(&mut self, raw: &raw::Policy, upstreams: &[Arc<Upstream>]) -> Policy {
        let name = raw.name.value.as_str();
        let key = |key: &str| format!("policies.{name}.{key}");
        let upstreams_allowed = raw.upstreams_allow.as_ref().map(|list| {
            self.known_upstreams(&list.value, upstreams);
            Ruled {
                value: list
                    .value
                    .iter()
                    .map(|upstream| upstream.value.clone())
                    .collect(),
                rule: self.rule(key("upstreams.allow"), Some(list.site)),
            }
        });
        let service_tiers = self.service_tiers(key("service_tiers.allow"), raw);
        Policy {
            name: name.into(),
            models: self.models(&raw.models, name),
            endpoints: self.endpoints(key("endpoints.allow"), raw.endpoints_allow.as_ref()),
            hosted_tools: self.open_list(
                key("hosted_tools.allow"),
                raw.hosted_tools_allow.as_ref(),
                |glob: &Glob| Pattern::new(glob.as_str()),
            ),
            background: self.ruled(key("background"), raw.background(), raw.background.as_ref()),
            references: self.ruled(key("references"), raw.references(), raw.references.as_ref()),
            credentials: self.ruled(
                key("credentials"),
                raw.credentials(),
                raw.credentials.as_ref(),
            ),
            retention: self.ruled(
                key("retention.provider"),
                raw.provider_retention(),
                raw.provider_retention.as_ref(),
            ),
            auto_tier: service_tiers.permission("auto").0,
            service_tiers,
            inference_geo: raw.inference_geo_allow.as_ref().map(|list| GeoRules {
                allow: Ruled {
                    value: list
                        .value
                        .iter()
                        .map(|place| place.value.as_str().into())
                        .collect(),
                    rule: self.rule(key("inference_geo.allow"), Some(list.site)),
                },
                mismatch: raw.geo_mismatch(),
            }),
            stream_usage: raw.stream_usage(),
            on_revoke: raw.on_revoke(),
            hang_up: raw.hang_up(),
            drain: self.drain(raw),
            hold: raw.hold(),
            journal: JournalRules {
                mode: raw.journal.mode.as_ref().map(|mode| mode.value),
                on_failure: raw.journal.on_failure.as_ref().map(|word| word.value),
            },
            regions: raw.regions_allow.as_ref().map(|list| Ruled {
                value: list
                    .value
                    .iter()
                    .map(|region| region.value.to_string())
                    .collect(),
                rule: self.rule(key("regions.allow"), Some(list.site)),
            }),
            upstreams: upstreams_allowed,
            body: self.ruled(key("body"), bytes(raw.body()), raw.body.as_ref()),
            body_timeout: raw.body_timeout(),
            body_pause: raw.body_pause(),
        }
    }

    fn models(&self, raw: &raw::Models, policy: &str) -> ModelRules {
        let key = |key: &str| format!("policies.{policy}.models.{key}");
        let globs = |name: &str, list: Option<&Sited<Vec<Sited<Glob>>>>| -> Vec<Ruled<Pattern>> {
            list.iter()
                .flat_map(|list| &list.value)
                .map(|glob| Ruled {
                    value: Pattern::new(glob.value.as_str()),
                    rule: self.rule(key(name), Some(glob.site)),
                })
                .collect()
        };
        let site = raw.allow.as_ref().map(|list| list.site);
        let otherwise = self.rule(key("allow"), site);
        let allow = match &raw.allow {
            Some(list) => globs("allow", Some(list)),
            None => vec![Ruled {
                value: Pattern::new(defaults::MODELS_ALLOW),
                rule: Arc::clone(&otherwise),
            }],
        };
        let rewrites = raw.rewrite.iter().flat_map(|list| &list.value);
        ModelRules {
            default: raw.default.as_ref().map(|model| Ruled {
                value: model.value.clone(),
                rule: self.rule(key("default"), Some(model.site)),
            }),
            rewrite: rewrites
                .map(|line| Ruled {
                    value: (
                        Pattern::new(line.from.value.as_str()),
                        line.to.value.clone(),
                    ),
                    rule: self.rule(key("rewrite"), Some(line.from.site)),
                })
                .collect(),
            deny: globs("deny", raw.deny.as_ref()),
            allow,
            otherwise,
            uncapped_output: raw
                .uncapped_output_tokens
                .as_ref()
                .map_or(defaults::UNCAPPED_OUTPUT, |cap| cap.value),
            max_output_tokens: raw.max_output_tokens.as_ref().map(|cap| Ruled {
                value: cap.value,
                rule: self.rule(key("max_output_tokens"), Some(cap.site)),
            }),
        }
    }

    /// `*` opens what is listed, not what asks for its own word.
    fn endpoints(
        &self,
        key: String,
        list: Option<&Sited<Vec<Sited<AnyOr<Endpoint>>>>>,
    ) -> OpenList {
        let listed = || {
            Endpoint::ALL
                .iter()
                .filter(|endpoint| endpoint.opening() == Opening::Listed)
        };
        let mut allow = Vec::new();
        for entry in list.iter().flat_map(|list| &list.value) {
            let rule = self.rule(key.clone(), Some(entry.site));
            let open = |endpoint: &Endpoint| Ruled {
                value: Pattern::new(endpoint.as_str()),
                rule: Arc::clone(&rule),
            };
            match &entry.value {
                AnyOr::Any => allow.extend(listed().map(open)),
                AnyOr::One(endpoint) => allow.push(open(endpoint)),
            }
        }
        OpenList {
            allow,
            otherwise: self.rule(key, list.map(|list| list.site)),
        }
    }

    fn service_tiers(&self, key: String, raw: &raw::Policy) -> OpenList {
        let Some(written) = &raw.service_tiers_allow else {
            return plain_tiers(self.rule(key, None));
        };
        self.open_list(key, Some(written), |glob| Pattern::new(glob.as_str()))
    }

    fn open_list<T>(
        &self,
        key: String,
        list: Option<&Sited<Vec<Sited<T>>>>,
        pattern: impl Fn(&T) -> Pattern,
    ) -> OpenList {
        let entries = list.iter().flat_map(|list| &list.value);
        OpenList {
            allow: entries
                .map(|entry| Ruled {
                    value: pattern(&entry.value),
                    rule: self.rule(key.clone(), Some(entry.site)),
                })
                .collect(),
            otherwise: self.rule(key, list.map(|list| list.site)),
        }
    }

    fn ruled<T, U>(&self, key: String, value: T, written: Option<&Sited<U>>) -> Ruled<T> {
        Ruled {
            value,
            rule: self.rule(key, written.map(|written| written.site)),
        }
    }

    fn known_upstreams(&mut self, named: &[Sited<UpstreamName>], upstreams: &[Arc<Upstream>]) {
        for name in named {
            if !upstreams.iter().any(|upstream| upstream.name == name.value) {
                let message = format!("there is no upstream `{}`", name.value);
                self.error(
                    OutCode::UnknownReference,
                    name.site,
                    message,
                    "see `[upstreams.*]`",
                );
            }
        }
    }
}

/// The tiers that cost no more than the list price.
fn plain_tiers(rule: Arc<Rule>) -> OpenList {
    let allow = defaults::SERVICE_TIERS.iter().map(|tier| Ruled {
        value: Pattern::new(tier),
        rule: Arc::clone(&rule),
    });
    OpenList {
        allow: allow.collect(),
        otherwise: rule,
    }
}

/// A tenant's limits: its own, else its policy's, key by key; and its budgets.
pub(super) fn limits(own: &raw::Limits, budgets: Vec<BudgetSpec>, given: &Given) -> LimitSpec {
    let policy = &given.limits;
    let pick = |own: &Option<Sited<_>>, policy: &Option<Sited<values::Rate>>| {
        own.as_ref()
            .or(policy.as_ref())
            .map(|written| rate(written.value))
    };
    let queue = own.queue.as_ref().or(policy.queue.as_ref());
    let wait = own.queue_wait.as_ref().or(policy.queue_wait.as_ref());
    LimitSpec {
        requests: pick(&own.requests, &policy.requests),
        input_tokens: pick(&own.input_tokens, &policy.input_tokens),
        output_tokens: pick(&own.output_tokens, &policy.output_tokens),
        tokens: pick(&own.tokens, &policy.tokens),
        streams: own
            .streams
            .as_ref()
            .or(policy.streams.as_ref())
            .map(|streams| streams.value),
        refusals: pick(&own.refusals, &policy.refusals).or_else(|| Some(rate(defaults::REFUSALS))),
        connections: own
            .connections
            .as_ref()
            .or(policy.connections.as_ref())
            .map(|connections| connections.value),
        budgets: merged(budgets, &given.budgets, given.on_lost),
        queue: queue.map_or(defaults::QUEUE, |queue| queue.value),
        queue_wait: Some(wait.map_or(defaults::QUEUE_WAIT, |wait| wait.value)),
    }
}

pub(super) fn rate(written: values::Rate) -> Rate {
    Rate {
        amount: written.amount,
        per: written.per.span(),
        burst: written.burst,
    }
}

fn bytes(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}
