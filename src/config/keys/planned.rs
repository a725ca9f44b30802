//! Keys of the design that this version does not enforce. Naming one is an error of its own kind, so that
//! nobody believes a rule holds that does not. Must never list a key that works.

/// Sections and keys by path; whatever stands below a planned section is planned too.
const PLANNED: &[&str] = &[
    "cache",
    "exec",
    "identity.certificate",
    "identity.claims",
    "identity.jwt",
    "identity.peer",
    "intercept",
    "listen.ca",
    "listen.tls",
    "mcp",
    "otlp",
    "sandbox",
    "tiers",
    "tools",
    "upstream_proxy",
    "upstreams.*.retention",
    "upstreams.*.weight",
    "policies.*.cache",
    "policies.*.degrade",
    "policies.*.egress",
    "policies.*.exec",
    "policies.*.limits.cpu",
    "policies.*.limits.memory",
    "policies.*.limits.storage",
    "policies.*.limits.tool_calls",
    "policies.*.ownership",
    "policies.*.retention.bodies",
    "policies.*.retention.journal",
    "policies.*.ring",
    "policies.*.sandbox",
    "policies.*.tools",
    "policies.*.weight",
    "tenants.*.degrade",
    "tenants.*.egress",
    "tenants.*.exec",
    "tenants.*.limits.cpu",
    "tenants.*.limits.memory",
    "tenants.*.limits.storage",
    "tenants.*.limits.tool_calls",
    "tenants.*.retention",
    "tenants.*.ring",
    "tenants.*.sandbox",
    "tenants.*.slo",
    "tenants.*.tier",
    "tenants.*.tools",
    "tenants.*.weight",
];

/// Whether this path is planned, or its last segment is planned somewhere else (and so means the same thing here),
/// unless that is built somewhere already.
pub(crate) fn planned(path: &str) -> bool {
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let name = last(path);
    let is_built = || super::all().any(|key| last(key.path) == name);
    PLANNED.contains(&path) || (PLANNED.iter().any(|known| last(known) == name) && !is_built())
}

/// Words of the design that a key of this version does not take yet.
const PLANNED_WORDS: &[(&str, &[&str])] = &[
    ("identity.accept", &["certificate", "jwt"]),
    (
        "upstreams.*.dialect",
        &["bedrock", "gemini", "mcp", "opaque"],
    ),
    ("upstreams.*.stamp", &["assertion", "jwt", "signed"]),
];

/// Whether a word is planned for a key.
pub(crate) fn planned_word(path: &str, word: &str) -> bool {
    PLANNED_WORDS
        .iter()
        .any(|(key, words)| *key == path && words.contains(&word))
}

/// Every planned path, for tests.
#[cfg(test)]
pub(crate) const fn all_planned() -> &'static [&'static str] {
    PLANNED
}
