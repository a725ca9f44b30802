//! Outrigger's configuration with everything on: a key among 100 tenants, 20 rules, limits, request log, metrics.
//!
//! It must never leave out what a deployment would have.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use super::kind::Books;
use crate::traffic;
use crate::wires::{Http, Wires};

/// The text of the file. Connecting may take long because the first TLS handshake of a process under callgrind does.
pub(super) fn config_text(
    (upstream, wires): (SocketAddr, Wires),
    authority: &Path,
    tenants: usize,
    books: Books,
) -> String {
    let rules: Vec<String> = (1..20)
        .map(|number| format!("\"vendor-{number:02}-*\""))
        .chain(["\"gpt-5.6-mini-*\"".to_owned()])
        .collect();
    let mut text = format!(
        r#"[listen]
proxy = "127.0.0.1:0"
telemetry = "127.0.0.1:0"
admin = "off"

[identity]
accept = ["key"]

[upstreams.openai]
dialect = "openai"
url = "{}://{upstream}"
{}key = "{}"
connect_timeout = "60s"

[policies.bench]
models.allow = [{}]
{}
[log]
format = "json"
"#,
        if wires.tls { "https" } else { "http" },
        on_wires(wires, authority),
        traffic::UPSTREAM_KEY,
        rules.join(", "),
        on_books(books),
    );
    for tenant in 0..tenants.max(traffic::TENANTS) {
        let key = traffic::tenant_key(tenant);
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            r#"
[tenants.t{tenant:02}]
policy = "bench"
keys = ["sha256:{}"]
limits = {{ requests = "1000k/s", tokens = "1000M/min", streams = 10000 }}
"#,
            hex_of_hash(&key),
        );
    }
    text
}

/// What a tenant's money takes: budgets that hold, and where it is on record.
fn on_books(books: Books) -> String {
    let budgets = "budgets.daily = { amount = \"1000000 USD\", per = \"day\" }\n\
        budgets.total = { amount = \"1000000000 USD\", per = \"total\" }\n";
    match books {
        Books::None => String::new(),
        Books::Budgets => budgets.to_owned(),
        Books::Journal(mode) => format!("{budgets}[journal]\nmode = \"{mode}\"\n"),
    }
}

/// What an upstream in clear text and HTTP/1.1 does not need.
fn on_wires(wires: Wires, authority: &Path) -> String {
    let mut text = String::new();
    if wires.tls {
        let _ = writeln!(text, "ca = \"${{file:{}}}\"", authority.display());
    }
    if !wires.are_plain() {
        let http = match wires.upstream {
            Http::One => "1.1",
            Http::Two => "2",
        };
        let _ = writeln!(text, "http = \"{http}\"");
    }
    text
}

fn hex_of_hash(key: &str) -> String {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key.as_bytes());
    hash.as_ref().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
