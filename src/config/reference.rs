//! The key table as text: `config/reference.toml` and `outrigger explain`.
//! Must never say anything that is not in the table. Lines that begin with `#` and no space are settings:
//! without the `#` the whole file loads, and means what the empty file means, with one upstream, policy and tenant.

use std::fmt::Write as _;

use super::keys::{self, Fallback, Key, Kind};
use super::parse;
use super::problem::OutCode;
use super::suggest::misspelt;

/// The width prose is wrapped at.
const WIDTH: usize = 110;

const HEAD: &str = "\
#:schema ./outrigger.schema.json
#
# Every setting of Outrigger, with its default. A file needs none of them: this one, as it is, changes nothing.
# Lines that begin with `#` and no space are settings; take the `#` away to write one.
# The names `openai`, `standard` and `acme` are examples, to be chosen freely.
#
# In texts, `${env:NAME}`, `${env:NAME:-default}` and `${file:/path}` are filled in; `$${` is a plain `${`.
# `[tenants.…]` and `[policies.…]` may also stand in files of `tenants.d` beside the main file.
# Generated from the key table of the sources; a test compares the two.
";

/// The tables of the reference: path, header, what it is.
const TABLES: &[(&str, &str, &str)] = &[
    (
        "listen",
        "listen",
        "the sockets of the sidecar, and what a connection may cost",
    ),
    ("admin", "admin", "who may operate the sidecar"),
    (
        "admin.tokens.*",
        "admin.tokens.ops",
        "a bearer token for an admin listener on TCP",
    ),
    (
        "identity",
        "identity",
        "what proves a tenant; without this section keys do if a tenant has any, else there is one tenant",
    ),
    (
        "upstreams.*",
        "upstreams.openai",
        "a model provider, reached at `/openai/…` (and at `/v1/…` if it is the only one of its dialect)",
    ),
    (
        "policies.*",
        "policies.standard",
        "what the tenants that use it may do",
    ),
    (
        "policies.*.budgets.*",
        "policies.standard.budgets.daily",
        "money that each tenant of the policy may spend; `daily` is any name",
    ),
    ("tenants.*", "tenants.acme", "whose work it is"),
    (
        "tenants.*.budgets.*",
        "tenants.acme.budgets.daily",
        "money that this tenant may spend; one of the same name takes the policy's place",
    ),
    (
        "prices",
        "prices",
        "what calls cost; the prices of the large providers come with the program (`config/prices.toml`)",
    ),
    (
        "prices.providers.*",
        "prices.providers.local",
        "whose prices they are, and for which addresses they hold",
    ),
    (
        "prices.models.*",
        "prices.models.\"local/llama\"",
        "the prices of one model, in place of those that come with the program",
    ),
    (
        "journal",
        "journal",
        "the record of what was done, for every tenant apart; without this section there is none",
    ),
    ("memory", "memory", "what may be held at once"),
    ("pool", "pool", "connections to upstreams"),
    ("log", "log", "what is written to standard error"),
    ("metrics", "metrics", "what `/metrics` shows"),
    ("drain", "drain", "how the sidecar stops"),
    ("reload", "reload", "how it notices changes"),
];

/// The whole of `config/reference.toml`.
pub fn reference() -> String {
    let mut out = HEAD.to_owned();
    for (path, header, doc) in TABLES {
        let _ = write!(out, "\n\n# `[{header}]`: {doc}.\n#[{header}]\n");
        for key in keys::all() {
            let Some(name) = key
                .path
                .strip_prefix(path)
                .and_then(|rest| rest.strip_prefix('.'))
                .filter(|name| !name.contains('*'))
            else {
                continue;
            };
            out.push('\n');
            wrap(&mut out, "# ", &format!("{}.", capital(key.doc)));
            wrap(&mut out, "#   ", key.why);
            wrap(
                &mut out,
                "#   ",
                &format!("Takes {}. {}", takes(key), fallback(key)),
            );
            let _ = writeln!(out, "#{name} = {}", key.shown_value());
        }
    }
    out
}

/// What `outrigger explain KEY` prints: for a path of the table, or one with real names in it.
pub fn explain(path: &str) -> Option<String> {
    let mut matching: Vec<&Key> = keys::all().filter(|key| fits(key.path, path)).collect();
    if matching.is_empty() {
        matching = keys::all().filter(|key| ends(key.path, path)).collect();
    }
    if matching.is_empty() {
        return None;
    }
    let mut out = String::new();
    for key in matching {
        let _ = writeln!(out, "{} (since {})", key.path, key.since);
        wrap(&mut out, "  ", &format!("{}.", capital(key.doc)));
        wrap(&mut out, "  ", key.why);
        wrap(
            &mut out,
            "  ",
            &format!("Takes {}. {}", takes(key), fallback(key)),
        );
        out.push('\n');
    }
    Some(out.trim_end().to_owned() + "\n")
}

/// What `outrigger explain OUT-0007` prints.
pub fn explain_code(code: OutCode) -> String {
    let mut out = format!("{code}: {}\n", code.title());
    wrap(&mut out, "  ", code.explanation());
    out
}

/// Whether a path names a key, or a section that the key is in.
fn fits(pattern: &str, path: &str) -> bool {
    let path: Vec<&str> = path
        .split('.')
        .filter(|segment| !segment.is_empty())
        .collect();
    let pattern: Vec<&str> = pattern.split('.').collect();
    !path.is_empty()
        && path.len() <= pattern.len()
        && path
            .iter()
            .zip(&pattern)
            .all(|(segment, wanted)| *wanted == "*" || segment == wanted)
}

/// Whether a key is known by this end of its path, which is how its own table writes it (`models.allow`).
fn ends(pattern: &str, path: &str) -> bool {
    pattern
        .strip_suffix(path)
        .is_some_and(|front| front.ends_with('.') && !path.is_empty())
}

/// The key, or end of a key, that was probably meant by a path that names none.
pub fn nearest_key(path: &str) -> Option<&'static str> {
    let tails = |key: &'static Key| {
        let dots = key
            .path
            .match_indices('.')
            .map(|(at, _)| &key.path[at + 1..]);
        std::iter::once(key.path).chain(dots)
    };
    let names: Vec<&'static str> = keys::all().flat_map(tails).collect();
    misspelt(path, names)
}

/// What a key takes, bounds and words included.
fn takes(key: &Key) -> String {
    let kind = key.kind.takes();
    match key.kind {
        Kind::Count(least, most) | Kind::Counts(least, most) => {
            format!("{kind} from {least} to {most}")
        }
        Kind::Size(least, most) => format!(
            "{kind} (`B`, `KiB`, `MiB`, `GiB`), from {} to {}",
            parse::size_text(least),
            parse::size_text(most)
        ),
        Kind::Duration(least, most) | Kind::DurationOrOff(least, most) => {
            format!(
                "{kind} (`ms`, `s`, `m`, `h`), from {} to {}",
                parse::duration_text(least),
                parse::duration_text(most)
            )
        }
        Kind::Word(words) | Kind::Words(words) => format!("{kind}: {}", list(words)),
        Kind::WordsOrAll(words) => format!("{kind}: `*`, {}", list(words)),
        Kind::Rate => format!("{kind}: `50/s`, `200k/min`, `1M/h`, `50/s burst 100`"),
        Kind::Addresses
        | Kind::Prices(_)
        | Kind::Usd(_)
        | Kind::Factors
        | Kind::Flag
        | Kind::AddressOrOff
        | Kind::AdminAddresses
        | Kind::Url
        | Kind::Secret
        | Kind::Text(_)
        | Kind::Texts(_)
        | Kind::Rewrites
        | Kind::Secrets => kind.to_owned(),
    }
}

/// What holds when it is not written.
fn fallback(key: &Key) -> String {
    match key.default {
        Fallback::Required => "Required.".to_owned(),
        Fallback::Unset(meaning) => format!("Without it: {meaning}."),
        Fallback::Is(value) => format!("Default: `{}`.", value.toml()),
        Fallback::Varies(value, when) => format!("Default: `{}` {when}.", value.toml()),
    }
}

fn list(words: &[&str]) -> String {
    words
        .iter()
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Sentences begin with a capital, unless they begin with a literal.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

/// Appends a text in lines of at most [`WIDTH`], each with the prefix.
fn wrap(out: &mut String, prefix: &str, text: &str) {
    let mut length = 0;
    for word in text.split(' ') {
        let fresh = length == 0;
        if !fresh && length + 1 + word.chars().count() > WIDTH {
            out.push('\n');
            length = 0;
        }
        if length == 0 {
            out.push_str(prefix);
            length = prefix.chars().count();
        } else {
            out.push(' ');
            length += 1;
        }
        out.push_str(word);
        length += word.chars().count();
    }
    out.push('\n');
}
