//! From the parsed files to [`Raw`]: one function per section, in the order of the reference.
//! Must never give up early: what cannot be read is reported and left out, and the rest is read.

use std::collections::BTreeMap;
use std::path::Path;

use toml::de::DeTable;

use super::mask;
use super::money;
use super::parse;
use super::prices;
use super::problem::{OutCode, Problem};
use super::raw::{
    Admin, AdminToken, Budget, Drain, Identity, Journal, Limits, Listen, Log, Memory, Metrics,
    Models, Policy, PolicyJournal, Pool, Raw, Reload, Tenant, Upstream,
};
use super::section::{Context, Section};
use super::site::{Site, Sited};
use super::syntax;
use super::values::{PolicyName, Proof};
use crate::units::{IdError, TenantId, UpstreamName};

/// Reads every source. The one named `root` is the main file, the others are files of `tenants.d`.
pub(super) fn all(context: &mut Context<'_>, root: &Path) -> Raw {
    let mut raw = Raw::default();
    let mut names = Names::default();
    let paths: Vec<_> = context.sources.paths().map(Path::to_path_buf).collect();
    for (file, path) in (0..=u16::MAX).zip(paths) {
        let text = context.sources.text(file);
        let (table, errors) = DeTable::parse_recoverable(&text);
        if !errors.is_empty() {
            mask::lines(&mut context.sources, file);
        }
        let before = context.problems.len();
        let top = Section::root(context, table.get_ref(), file);
        if path == root {
            main_only(context, &top, &mut raw);
        } else {
            not_here(context, &top);
        }
        policies(context, &top, &mut raw, &mut names);
        tenants(context, &top, &mut raw, &mut names);
        syntax::report(context, file, table.get_ref(), &errors, before);
    }
    context.close();
    raw
}

/// Where each name was defined first.
#[derive(Default)]
struct Names {
    policies: BTreeMap<String, Site>,
    tenants: BTreeMap<String, Site>,
}

/// The sections of the main file that a file of `tenants.d` may not have.
fn main_only(context: &mut Context<'_>, top: &Section<'_>, raw: &mut Raw) {
    if let Some(section) = top.sub(context, "listen") {
        raw.listen = listen(context, &section);
    }
    if let Some(section) = top.sub(context, "admin") {
        raw.admin = admin(context, &section);
    }
    if let Some(section) = top.sub(context, "identity") {
        raw.identity = Some(identity(context, &section));
    }
    if let Some(section) = top.sub(context, "upstreams") {
        let named = section.named(context);
        raw.upstreams = named
            .iter()
            .filter_map(|(name, section)| upstream(context, name, section))
            .collect();
    }
    if let Some(section) = top.sub(context, "prices") {
        raw.prices = prices::read(context, &section);
    }
    process(context, top, raw);
}

/// Reports the sections that only the main file may have.
fn not_here(context: &mut Context<'_>, top: &Section<'_>) {
    for (name, _) in top.entries() {
        let elsewhere = [
            "listen",
            "admin",
            "identity",
            "upstreams",
            "prices",
            "memory",
            "pool",
            "log",
            "metrics",
            "drain",
            "reload",
        ];
        if elsewhere.contains(&&*name.value) {
            let message = format!(
                "`[{}]` does not belong in a file of `tenants.d`",
                name.value
            );
            context.report(
                Problem::error(OutCode::MisplacedKey, name.site, message)
                    .hint("only `[tenants.…]` and `[policies.…]` do; move it to the main file"),
            );
        }
    }
}

fn listen(context: &mut Context<'_>, section: &Section<'_>) -> Listen {
    Listen {
        proxy: section.get(context, "proxy"),
        telemetry: section.get(context, "telemetry"),
        admin: section.get(context, "admin"),
        hosts: section.get(context, "hosts"),
        origins: section.get(context, "origins"),
        head_bytes: section.get(context, "head_bytes"),
        head_timeout: section.get(context, "head_timeout"),
        idle_timeout: section.get(context, "idle_timeout"),
        write_timeout: section.get(context, "write_timeout"),
        connections: section.get(context, "connections"),
        refusals: section.get(context, "refusals"),
    }
}

fn admin(context: &mut Context<'_>, section: &Section<'_>) -> Admin {
    let tokens = section.sub(context, "tokens");
    let tokens = tokens.map_or_else(Vec::new, |section| section.named(context));
    Admin {
        read: section.get(context, "read"),
        operate: section.get(context, "operate"),
        tokens: tokens
            .iter()
            .filter_map(|(name, section)| {
                let id = good_name(
                    context,
                    name,
                    parse::policy_name(&name.value),
                    "an admin token",
                );
                let role = section.require(context, "role");
                let tenant = section.get(context, "tenant");
                let token = section.require(context, "token");
                Some(AdminToken {
                    name: id?,
                    role: role?,
                    tenant,
                    token: token?,
                })
            })
            .collect(),
    }
}

fn identity(context: &mut Context<'_>, section: &Section<'_>) -> Identity {
    let accept: Option<Sited<Vec<Sited<Proof>>>> = section.get(context, "accept");
    let tenant = section.get(context, "tenant");
    let header = section.get(context, "header");
    if let Some(proofs) = &accept {
        let fixed = proofs
            .value
            .iter()
            .find(|proof| proof.value == Proof::Fixed);
        match (fixed, section.name_site("tenant")) {
            (Some(fixed), _) if proofs.value.len() > 1 => context.report(
                Problem::error(
                    OutCode::Conflict,
                    fixed.site,
                    "`fixed` stands alone in `identity.accept`",
                )
                .hint("beside others, a caller without a credential would become the fixed tenant"),
            ),
            (None, Some(tenant)) => context.report(
                Problem::error(
                    OutCode::Conflict,
                    tenant,
                    "`identity.tenant` is only for `accept = [\"fixed\"]`",
                )
                .also(proofs.site, "credentials are asked for here"),
            ),
            _ => {}
        }
    }
    Identity {
        site: section.site,
        accept,
        tenant,
        header,
    }
}

fn upstream(
    context: &mut Context<'_>,
    name: &Sited<String>,
    section: &Section<'_>,
) -> Option<Upstream> {
    let id = upstream_name(context, name);
    let dialect = section.require(context, "dialect");
    let url = section.require(context, "url");
    let region = section.get(context, "region");
    let provider = section.get(context, "provider");
    let key = section.get(context, "key");
    let key_header = section.get(context, "key_header");
    let stamp = section.get(context, "stamp");
    let trust = section.get(context, "trust");
    let http = section.get(context, "http");
    let ca = section.get(context, "ca");
    let zero_retention = section.get(context, "zero_retention");
    let connect_timeout = section.get(context, "connect_timeout");
    let first_byte_timeout = section.get(context, "first_byte_timeout");
    let between_bytes_timeout = section.get(context, "between_bytes_timeout");
    let idle = section.get(context, "idle");
    // Only here: what is missing must not hide what is wrong.
    Some(Upstream {
        name: id?,
        dialect: dialect?,
        url: url?,
        region,
        provider,
        key,
        key_header,
        stamp,
        trust,
        http,
        ca,
        zero_retention,
        connect_timeout,
        first_byte_timeout,
        between_bytes_timeout,
        idle,
    })
}

fn upstream_name(context: &mut Context<'_>, name: &Sited<String>) -> Option<Sited<UpstreamName>> {
    if UpstreamName::RESERVED.contains(&&*name.value) {
        let message = format!("`{}` cannot name an upstream", name.value);
        context.report(
            Problem::error(OutCode::ReservedName, name.site, message).hint(
                "the name is the first segment of its paths, and this one is the sidecar's own",
            ),
        );
        return None;
    }
    good_name(context, name, name.value.parse(), "an upstream")
}

fn policies(context: &mut Context<'_>, top: &Section<'_>, raw: &mut Raw, names: &mut Names) {
    let Some(section) = top.sub(context, "policies") else {
        return;
    };
    for (name, section) in section.named(context) {
        let id = good_name(context, &name, parse::policy_name(&name.value), "a policy");
        let id = id.filter(|_| first(context, &mut names.policies, &name, "policy"));
        let policy = policy(context, id.as_ref(), &section);
        raw.policies.extend(policy);
    }
}

/// One policy; read for its problems also when its name is no good.
fn policy(
    context: &mut Context<'_>,
    name: Option<&Sited<PolicyName>>,
    section: &Section<'_>,
) -> Option<Policy> {
    let models = section
        .sub(context, "models")
        .map(|models| self::models(context, &models));
    let limits = limits(context, section);
    let budgets = budgets(context, section);
    let mut allow = |name| section.sub(context, name);
    let (regions, endpoints) = (allow("regions"), allow("endpoints"));
    let (hosted_tools, upstreams) = (allow("hosted_tools"), allow("upstreams"));
    let (retention, service_tiers) = (allow("retention"), allow("service_tiers"));
    let inference_geo = allow("inference_geo");
    let journal = allow("journal");
    let policy = Policy {
        name: name
            .cloned()
            .unwrap_or_else(|| Sited::new(PolicyName::new(""), section.site)),
        models: models.unwrap_or_default(),
        regions_allow: regions.and_then(|section| section.get(context, "allow")),
        endpoints_allow: endpoints.and_then(|section| section.get(context, "allow")),
        hosted_tools_allow: hosted_tools.and_then(|section| section.get(context, "allow")),
        upstreams_allow: upstreams.and_then(|section| section.get(context, "allow")),
        background: section.get(context, "background"),
        references: section.get(context, "references"),
        credentials: section.get(context, "credentials"),
        provider_retention: retention.and_then(|section| section.get(context, "provider")),
        service_tiers_allow: service_tiers.and_then(|section| section.get(context, "allow")),
        inference_geo_allow: inference_geo
            .as_ref()
            .and_then(|section| section.get(context, "allow")),
        geo_mismatch: inference_geo.and_then(|section| section.get(context, "mismatch")),
        stream_usage: section.get(context, "stream_usage"),
        on_revoke: section.get(context, "on_revoke"),
        hang_up: section.get(context, "hang_up"),
        drain_for: section.get(context, "drain_for"),
        drain_bytes: section.get(context, "drain_bytes"),
        drain_calls: section.get(context, "drain_calls"),
        body: section.get(context, "body"),
        body_timeout: section.get(context, "body_timeout"),
        body_pause: section.get(context, "body_pause"),
        limits,
        hold: section.get(context, "hold"),
        journal: journal.map_or_else(PolicyJournal::default, |section| PolicyJournal {
            mode: section.get(context, "mode"),
            on_failure: section.get(context, "on_failure"),
            on_lost: section.get(context, "on_lost"),
        }),
        budgets,
    };
    name.map(|_| policy)
}

fn models(context: &mut Context<'_>, section: &Section<'_>) -> Models {
    Models {
        allow: section.get(context, "allow"),
        deny: section.get(context, "deny"),
        default: section.get(context, "default"),
        rewrite: section.get(context, "rewrite"),
        max_output_tokens: section.get(context, "max_output_tokens"),
        uncapped_output_tokens: section.get(context, "uncapped_output_tokens"),
    }
}

fn limits(context: &mut Context<'_>, section: &Section<'_>) -> Limits {
    let Some(section) = section.sub(context, "limits") else {
        return Limits::default();
    };
    Limits {
        requests: section.get(context, "requests"),
        input_tokens: section.get(context, "input_tokens"),
        output_tokens: section.get(context, "output_tokens"),
        tokens: section.get(context, "tokens"),
        streams: section.get(context, "streams"),
        refusals: section.get(context, "refusals"),
        connections: section.get(context, "connections"),
        queue: section.get(context, "queue"),
        queue_wait: section.get(context, "queue_wait"),
    }
}

fn budgets(context: &mut Context<'_>, section: &Section<'_>) -> Vec<Budget> {
    let Some(section) = section.sub(context, "budgets") else {
        return Vec::new();
    };
    let named = section.named(context);
    let read = named.into_iter().filter_map(|(name, section)| {
        let known = money::budget_name(&name.value);
        if let Err(flaw) = known {
            let message = format!("`{}` cannot name a budget", name.value.escape_debug());
            context.report(Problem::error(OutCode::BadName, name.site, message).hint(flaw.hint));
        }
        let (amount, per) = (
            section.require(context, "amount"),
            section.require(context, "per"),
        );
        let zone = section.get(context, "zone");
        let month_day = section.get(context, "month_day");
        let scope = section.get(context, "scope");
        Some(Budget {
            name: Sited::new(known.ok()?, name.site),
            amount: amount?,
            per: per?,
            zone,
            month_day,
            scope,
        })
    });
    read.collect()
}

fn tenants(context: &mut Context<'_>, top: &Section<'_>, raw: &mut Raw, names: &mut Names) {
    let Some(section) = top.sub(context, "tenants") else {
        return;
    };
    for (name, section) in section.named(context) {
        let id = tenant_id(context, &name)
            .filter(|_| first(context, &mut names.tenants, &name, "tenant"));
        let policy = section.get(context, "policy");
        let keys = section.get(context, "keys");
        let uids = section.get(context, "uids");
        let vouches = section.get(context, "vouches");
        let revenue = section.get(context, "revenue");
        let credentials = section.get(context, "credentials");
        let limits = limits(context, &section);
        let budgets = budgets(context, &section);
        raw.tenants.extend(id.map(|id| Tenant {
            id,
            policy,
            keys,
            uids,
            vouches,
            revenue,
            credentials,
            limits,
            budgets,
        }));
    }
}

fn tenant_id(context: &mut Context<'_>, name: &Sited<String>) -> Option<Sited<TenantId>> {
    if name.value == "*" {
        context.report(
            Problem::error(
                OutCode::NotBuilt,
                name.site,
                "the template `[tenants.\"*\"]` is not built in this version",
            )
            .hint("name each tenant"),
        );
        return None;
    }
    if name.value.starts_with('_') {
        context.report(
            Problem::error(
                OutCode::ReservedName,
                name.site,
                "tenant ids that begin with `_` are the sidecar's own",
            )
            .hint("begin with a letter or a digit"),
        );
        return None;
    }
    good_name(context, name, name.value.parse(), "a tenant")
}

/// The name, or a report of what is wrong with it.
fn good_name<T>(
    context: &mut Context<'_>,
    name: &Sited<String>,
    parsed: Result<T, IdError>,
    what: &str,
) -> Option<Sited<T>> {
    match parsed {
        Ok(value) => Some(Sited::new(value, name.site)),
        Err(error) => {
            let shown: String = name.value.chars().take(60).collect();
            let message = format!("`{}` cannot name {what}: {error}", shown.escape_debug());
            context.report(Problem::error(OutCode::BadName, name.site, message));
            None
        }
    }
}

/// Whether this is the first definition of the name; reports it if not.
fn first(
    context: &mut Context<'_>,
    seen: &mut BTreeMap<String, Site>,
    name: &Sited<String>,
    what: &str,
) -> bool {
    if let Some(&earlier) = seen.get(&name.value) {
        let message = format!("{what} `{}` is defined twice", name.value);
        context.report(
            Problem::error(OutCode::DuplicateName, name.site, message)
                .also(earlier, "first defined here"),
        );
        return false;
    }
    seen.insert(name.value.clone(), name.site);
    true
}

/// `[memory]`, `[pool]`, `[log]`, `[metrics]`, `[drain]` and `[reload]`.
fn process(context: &mut Context<'_>, top: &Section<'_>, raw: &mut Raw) {
    if let Some(section) = top.sub(context, "journal") {
        raw.journal = Some(Journal {
            mode: section.get(context, "mode"),
            on_failure: section.get(context, "on_failure"),
            on_lost: section.get(context, "on_lost"),
            keep: section.get(context, "keep"),
            size: section.get(context, "size"),
            tenant_size: section.get(context, "tenant_size"),
            payload: section.get(context, "payload"),
            ship: section.get(context, "ship"),
        });
    }
    if let Some(section) = top.sub(context, "memory") {
        raw.memory = Memory {
            buffers: section.get(context, "buffers"),
        };
    }
    if let Some(section) = top.sub(context, "pool") {
        raw.pool = Pool {
            idle_connections: section.get(context, "idle_connections"),
        };
    }
    if let Some(section) = top.sub(context, "log") {
        raw.log = Log {
            format: section.get(context, "format"),
            level: section.get(context, "level"),
            requests: section.get(context, "requests"),
            queue: section.get(context, "queue"),
        };
    }
    if let Some(section) = top.sub(context, "metrics") {
        raw.metrics = Metrics {
            tenants_labelled: section.get(context, "tenants_labelled"),
        };
    }
    if let Some(section) = top.sub(context, "drain") {
        raw.drain = Drain {
            timeout: section.get(context, "timeout"),
            idle: section.get(context, "idle"),
        };
    }
    if let Some(section) = top.sub(context, "reload") {
        raw.reload = Reload {
            watch: section.get(context, "watch"),
            poll: section.get(context, "poll"),
        };
    }
}
