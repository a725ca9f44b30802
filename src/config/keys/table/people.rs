//! The rows about who is served, and what proves it: `[identity]` and `[tenants.*]`.
//! Must never hold a value that is not in `defaults`, nor a sentence the reference should not print.

use super::{is, key};
use crate::config::defaults as d;
use crate::config::keys::{Fallback, Grammar, Key, Kind, Value};
use crate::config::values::Proof;

const ACCEPT: &[&str] = &[d::ACCEPT[0].as_str()];

pub(super) const IDENTITY: &[Key] = &[
    key(
        "identity.accept",
        Kind::Words(Proof::WORDS),
        Fallback::Varies(
            Value::Texts(ACCEPT),
            "in this section; without the section those of `listener`, `uid` and `key` that a socket or a tenant has something for",
        ),
        "",
        "what proves a tenant, in the order that counts: `listener`, `uid`, `key`, `path`; or `fixed` alone",
        "The first that a request presents must hold, and all that it presents must name the same tenant. `listener` is a socket of `listen.proxy` with a tenant; `uid` is the user at the other end of a unix socket, by the kernel's word; `key` is a virtual key in `authorization`, `x-api-key` or `x-goog-api-key`; `path` is the same key in the path, `/t/<key>/…`, for clients that cannot set one; `fixed` takes every caller for one tenant.",
    ),
    key(
        "identity.tenant",
        Kind::Text(Grammar::Tenant),
        Fallback::Varies(
            Value::Text(d::FIXED_TENANT),
            "while no tenant is written; else the only one",
        ),
        "",
        "the tenant of `fixed`",
        "Without a table of its own under `[tenants]` it uses the built-in policy `default`, which is open.",
    ),
    key(
        "identity.header",
        Kind::Text(Grammar::Header),
        Fallback::Unset("whatever a request claims in headers is taken out, and means nothing"),
        "x-tenant-id",
        "the header in which a tenant that `vouches` for others names the one it calls for",
        "For a gateway or runtime that works for many tenants. The header alone proves nothing: from a tenant that may not speak for the one it names the request is refused with `identity-conflict`, and so is one that stands twice, is spelt otherwise or holds no tenant id (`identity-malformed`). It never goes upstream.",
    ),
];

pub(super) const TENANTS: &[Key] = &[
    key(
        "tenants.*.policy",
        Kind::Text(Grammar::Policy),
        is(Value::Text(d::POLICY)),
        "",
        "the policy it is held to",
        "`standard` is built in unless defined: any model of the upstreams, tools at the provider and references denied.",
    ),
    key(
        "tenants.*.keys",
        Kind::Texts(Grammar::KeyHash),
        is(Value::Texts(&[])),
        "",
        "hashes of its virtual keys",
        "`outrigger keys new` makes a key and prints its hash. The key itself is never in the configuration. Several may be valid at once, so that they can be changed without a gap.",
    ),
    key(
        "tenants.*.uids",
        Kind::Counts(0, 0xffff_fffe),
        is(Value::Texts(&[])),
        "1001",
        "numbers of the users it calls as, on unix sockets",
        "The kernel says who has connected, so nothing has to be kept secret. Each number is one tenant's, root (0) and the sidecar's own included, which are never meant unless written. 65534 stands for all users the kernel cannot name here (user namespaces), and cannot be a tenant.",
    ),
    key(
        "tenants.*.vouches",
        Kind::Texts(Grammar::Glob),
        is(Value::Texts(&[])),
        "acme-*",
        "tenants it may name in `identity.header`; `*` stands for any text",
        "Whoever proves to be this tenant can then act as each of those, so it is for one's own gateway or runtime. Without the header it is itself.",
    ),
    key(
        "tenants.*.revenue",
        Kind::Text(Grammar::Revenue),
        Fallback::Unset("no margin is worked out"),
        "49 USD/month",
        "what it brings in: an amount for a `month`, `year` or `day` of the calendar (UTC), or for each `call`",
        "`outrigger costs --config` sets it against what the tenant cost in the time asked for: `profitable` if at least a fifth of it is left, `thin` if less is, `loss` if it cost more than it brought; with `0 USD/month` the tenant is `subsidised` on purpose. It decides about no request.",
    ),
    key(
        "tenants.*.credentials",
        Kind::Secrets,
        is(Value::Empty),
        "",
        "its own credentials: upstream = credential",
        "Its calls to that upstream show its own credential in place of the shared one. What the provider keeps under it is taken to be this tenant's alone, so `references` need no opening: it must be of an account or project that no other tenant's key is of. Write `${file:/path}`, not the key itself; it never prints.",
    ),
];
