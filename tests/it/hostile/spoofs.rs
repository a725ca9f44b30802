//! Callers who claim to be somebody else: the upstream sees one tenant, the proven one, and no key of ours.

use super::house::{
    ACME, After, GLOBEX, House, SMALL, Seen, Shape, Trial, UPSTREAM_KEY, fields, post_with,
};

const CHAT: &str = "/openai/v1/chat/completions";
const MESSAGES: &str = "/anthropic/v1/messages";
const BODY: &str = "{\"model\":\"m\",\"messages\":[]}";

/// `openai` is our own and named in a header; `outside` and `anthropic` are told pseudonyms in the body.
const STAMPED: &str = r#"
[identity]
accept = ["key", "path"]
[upstreams.openai]
dialect = "openai"
url = "http://@"
key = "${env:TEST_UPSTREAM_KEY}"
trust = "internal"
stamp = "header"
[upstreams.outside]
dialect = "openai"
url = "http://@"
key = "${env:TEST_UPSTREAM_KEY}"
stamp = "provider"
[upstreams.anthropic]
dialect = "anthropic"
url = "http://@"
key = "${env:TEST_UPSTREAM_KEY}"
stamp = "provider"
"#;

/// The upstream saw this one tenant, once, and nothing of what was claimed.
fn check(trial: &mut Trial, name: &str, seen: &Seen, tenant: &str) {
    let text = format!("{}{}", seen.head, seen.body);
    let stamps: Vec<_> = fields(&seen.head, "x-tenant-id").collect();
    let expected: &[&str] = if tenant.is_empty() { &[] } else { &[tenant] };
    if stamps != expected {
        trial.fail(format!("{name}: stamped {stamps:?}: {}", seen.head));
    }
    for secret in [ACME, GLOBEX, SMALL, "evil", "Evil", "EVIL"] {
        if text.contains(secret) {
            trial.fail(format!("{name}: `{secret}` went on: {text}"));
        }
    }
    let credentials = fields(&seen.head, "authorization")
        .chain(fields(&seen.head, "x-api-key"))
        .chain(fields(&seen.head, "x-goog-api-key"));
    let credentials: Vec<_> = credentials.collect();
    if credentials.len() != 1 || !credentials[0].ends_with(UPSTREAM_KEY) {
        trial.fail(format!("{name}: credentials {credentials:?}"));
    }
}

#[test]
fn claims_of_a_tenant_in_headers_are_taken_out() {
    let mut trial = Trial::of(House::with(STAMPED));
    let names = [
        "x-tenant-id",
        "X-Tenant-ID",
        "X_Tenant_Id",
        "x.tenant.id",
        "x-tenant_id",
        "x-tenant",
        "X-TENANT",
        "x_tenant",
        "tenant",
        "Tenant",
        "tenant-id",
        "tenant_id",
        "tenant.id",
        "TenantId",
        "tenantid",
        "x-tenantid",
        "X_TENANTID",
        "x-tenant-name",
        "tenant-name",
        "outrigger",
        "outrigger-tenant",
        "Outrigger_Tenant",
        "outrigger.tenant",
        "x-outrigger-tenant",
        "X_Outrigger_Tenant",
        "x-outrigger",
        "outrigger-anything",
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-user",
        "X_Forwarded_Host",
        "x-real-ip",
        "X_Real_IP",
        "x-gateway-inference-fairness-id",
        "x-llm-d-tenant",
        "x-tenant-id-",
        "uberctx-tenant",
        "ot-baggage-tenant",
        "jaeger-baggage",
        "x-http-method-override",
        "openai-organization",
        "OpenAI_Organization",
        "openai-project",
        "openai_project",
        "anthropic-workspace-id",
        "anthropic_workspace_id",
        "anthropic-user-profile-id",
        "proxy-authorization",
        "keep-alive",
        "te",
    ];
    let bearer = format!("authorization: Bearer {ACME}\r\n");
    for name in names {
        let value = if name == "te" {
            "trailers, evil"
        } else {
            "evil"
        };
        for fields in [
            format!("{bearer}{name}: {value}\r\n"),
            format!("{name}: x\r\n{bearer}{name}: {value}\r\n"),
            format!("{bearer}{name}: {value}\r\nconnection: {name}\r\n"),
        ] {
            if name == "proxy-authorization"
                && fields.matches(name).count() == 2
                && !fields.contains("connection")
            {
                continue;
            }
            if let Some((seen, _)) = trial.passes(name, &post_with(CHAT, &fields, BODY)) {
                check(&mut trial, name, &seen, "acme");
            }
        }
    }
    let (_, cases) = trial.end(140);
    assert!(cases >= 140);
}

#[test]
fn claims_in_context_query_and_nominations_are_taken_out() {
    let mut trial = Trial::of(House::with(STAMPED));
    let bearer = format!("authorization: Bearer {ACME}\r\n");
    for (name, extra, kept) in [
        ("baggage", "baggage: tenant.id=evil\r\n", ""),
        (
            "baggage among others",
            "baggage: a=1, tenant.id=evil;x=y , b=2\r\n",
            "a=1,b=2,tenant.id=acme",
        ),
        (
            "baggage twice",
            "baggage: a=1\r\nBaggage: tenant.id=evil\r\n",
            "a=1,tenant.id=acme",
        ),
        (
            "baggage, other spelling",
            "baggage: Tenant_ID=evil,x-tenant-id=evil,tenant=evil\r\n",
            "",
        ),
        (
            "baggage, escaped",
            "baggage: %74enant.id=evil,tenant%2Eid=evil\r\n",
            "",
        ),
        (
            "baggage, in clear text bytes",
            "baggage: tenant.id=evil\u{e9}\r\n",
            "",
        ),
        (
            "nominated",
            "connection: authorization, host, content-length, content-type, x-tenant-id, x-api-key\r\nx-tenant-id: evil\r\n",
            "",
        ),
        (
            "nominated, twice",
            "connection: authorization\r\nconnection: x-tenant-id, baggage\r\nbaggage: tenant.id=evil\r\n",
            "",
        ),
    ] {
        if let Some((seen, _)) =
            trial.passes(name, &post_with(CHAT, &format!("{bearer}{extra}"), BODY))
        {
            check(&mut trial, name, &seen, "acme");
            let baggage = fields(&seen.head, "baggage").collect::<Vec<_>>();
            let expected = if kept.is_empty() {
                "tenant.id=acme"
            } else {
                kept
            };
            if baggage != [expected] {
                trial.fail(format!("{name}: {baggage:?}"));
            }
            if !seen.body.contains("\"messages\":[]")
                || fields(&seen.head, "content-type").count() != 1
            {
                trial.fail(format!("{name}: mangled: {}{}", seen.head, seen.body));
            }
        }
    }
    for query in [
        "tenant=evil",
        "tenant_id=evil",
        "Tenant-Id=evil",
        "x-tenant-id=evil",
        "X_TENANT_ID=evil",
        "tenant.id=evil",
        "%74enant=evil",
        "%74%65%6e%61%6e%74%5fid=evil",
        "tenant%5Fid=evil",
        "a=1&tenant=evil&b=2",
        "tenant=x&tenant=evil",
        "outrigger-tenant=evil",
        "a=1;tenant=evil",
        "tenant[]=evil",
        "tenant[id]=evil",
        "tenant%5B%5D=evil",
        "+tenant=evil",
        "%20tenant_id=evil",
        "tenant%20=evil",
        "tenantId=evil",
        "x_outrigger_tenant=evil",
        "%2574enant=evil",
        "tenant=",
        "&&tenant_id=evil&&",
    ] {
        if let Some((seen, _)) =
            trial.passes(query, &post_with(&format!("{CHAT}?{query}"), &bearer, BODY))
        {
            check(&mut trial, query, &seen, "acme");
        }
    }
    for query in ["beta=true", "a=b%26c&d", "include[]=x&after=tenant"] {
        if let Some((seen, _)) =
            trial.passes(query, &post_with(&format!("{CHAT}?{query}"), &bearer, BODY))
            && !seen.head.lines().next().unwrap_or_default().contains(query)
        {
            trial.fail(format!("the query is not kept: {}", seen.head));
        }
    }
    // To those outside, no context at all.
    let context = "traceparent: 00-evil\r\ntracestate: evil=1\r\nbaggage: user=evil\r\nb3: evil\r\nx-b3-traceid: evil\r\nuber-trace-id: evil\r\n";
    for path in [MESSAGES, "/outside/v1/chat/completions"] {
        if let Some((seen, _)) =
            trial.passes(path, &post_with(path, &format!("{bearer}{context}"), BODY))
        {
            check(&mut trial, path, &seen, "");
        }
    }
    trial.end(35);
}

#[test]
fn claims_in_the_body_are_replaced_where_the_upstream_is_told_a_pseudonym() {
    let mut trial = Trial::of(House::with(STAMPED));
    let bearer = format!("authorization: Bearer {ACME}\r\n");
    for claim in [
        "\"user\":\"evil\"",
        "\"safety_identifier\":\"evil\"",
        "\"user\":\"evil\",\"safety_identifier\":\"evil\"",
        "\"\\u0075ser\":\"evil\"",
        "\"metadata\":{\"tenant\":\"evil\"}",
        "\"metadata\":{\"tenant_id\":\"evil\",\"a\":\"b\"}",
        "\"metadata\":{\"TenantId\":\"evil\"}",
        "\"metadata\":{\"x-tenant-id\":\"evil\"}",
        "\"metadata\":{\"tenant.id\":\"evil\"}",
        "\"metadata\":{\"tenant\\u005fid\":\"evil\"}",
        "\"metadata\":{\"outrigger_tenant\":\"evil\",\"tenantId\":\"evil\"}",
        "\"user\":null",
    ] {
        for route in ["chat/completions", "responses"] {
            let body = format!("{{\"model\":\"m\",{claim}}}");
            let path = format!("/outside/v1/{route}");
            if let Some((seen, _)) = trial.passes(claim, &post_with(&path, &bearer, &body)) {
                check(&mut trial, claim, &seen, "");
                if seen.body.matches("\"safety_identifier\":\"or-").count() != 1
                    || seen.body.contains("user\":")
                {
                    trial.fail(format!("{claim}: {}", seen.body));
                }
            }
        }
    }
    for claim in [
        "\"metadata\":{\"user_id\":\"evil\"}",
        "\"metadata\":{}",
        "\"metadata\":null",
        "\"x\":1",
        "\"\\u006detadata\":{\"user_id\":\"evil\"}",
    ] {
        let body = format!("{{\"model\":\"m\",\"max_tokens\":1,{claim}}}");
        if let Some((seen, _)) = trial.passes(claim, &post_with(MESSAGES, &bearer, &body)) {
            check(&mut trial, claim, &seen, "");
            if seen.body.matches("{\"user_id\":\"or-").count() != 1 {
                trial.fail(format!("{claim}: {}", seen.body));
            }
        }
    }
    trial.end(25);
}

#[test]
fn two_proofs_that_disagree_prove_nothing() {
    let mut trial = Trial::of(House::with(STAMPED));
    let carriers = |key: &str| {
        [
            format!("authorization: Bearer {key}\r\n"),
            format!("x-api-key: {key}\r\n"),
            format!("x-goog-api-key: {key}\r\n"),
        ]
    };
    let conflict = (403, "identity-conflict");
    let unknown = (401, "identity-unknown");
    for (left, one) in carriers(ACME).iter().enumerate() {
        for (right, other) in carriers(GLOBEX).iter().enumerate() {
            if left != right {
                trial.refuses(
                    &format!("{left} {right}"),
                    &post_with(CHAT, &format!("{one}{other}"), BODY),
                    conflict,
                    Shape::OpenAi,
                    After::Either,
                );
                trial.refuses(
                    &format!("{left} {right}"),
                    &post_with(MESSAGES, &format!("{other}{one}"), BODY),
                    conflict,
                    Shape::Anthropic,
                    After::Either,
                );
                let stray = &carriers("sk-not-ours")[right];
                trial.refuses(
                    &format!("{left} {right} unknown"),
                    &post_with(CHAT, &format!("{one}{stray}"), BODY),
                    unknown,
                    Shape::OpenAi,
                    After::Either,
                );
                let same = &carriers(ACME)[right];
                if let Some((seen, _)) = trial.passes(
                    "the same tenant twice",
                    &post_with(CHAT, &format!("{one}{same}"), BODY),
                ) {
                    check(&mut trial, "twice", &seen, "acme");
                }
            }
        }
        let path = format!("/t/{GLOBEX}{CHAT}");
        trial.refuses(
            &format!("{left} path"),
            &post_with(&path, one, BODY),
            conflict,
            Shape::OpenAi,
            After::Either,
        );
        let path = format!("/t/{ACME}{CHAT}");
        if let Some((seen, _)) = trial.passes("path", &post_with(&path, one, BODY)) {
            check(&mut trial, "path", &seen, "acme");
        }
        let path = format!("/t/sk-not-ours{CHAT}");
        if let Some((seen, _)) =
            trial.passes("a known key, an unknown path", &post_with(&path, one, BODY))
        {
            check(&mut trial, "a known key, an unknown path", &seen, "acme");
        }
    }
    for (name, fields) in [
        (
            "unknown",
            "authorization: Bearer sk-not-ours\r\n".to_owned(),
        ),
        ("basic", format!("authorization: Basic {ACME}\r\n")),
        ("no token", "authorization: Bearer \r\n".to_owned()),
        ("bearer alone", "authorization: bearer\r\n".to_owned()),
        ("empty", "authorization:\r\n".to_owned()),
        ("empty api key", "x-api-key:\r\n".to_owned()),
        (
            "two in one",
            format!("authorization: Bearer {ACME}, Bearer {GLOBEX}\r\n"),
        ),
        (
            "a key and more",
            format!("authorization: Bearer {ACME} {GLOBEX}\r\n"),
        ),
        (
            "upper case key",
            format!("authorization: Bearer {}\r\n", ACME.to_ascii_uppercase()),
        ),
        (
            "scheme in the wrong carrier",
            format!("x-api-key: Bearer {ACME}\r\n"),
        ),
        ("the hash", "authorization: Bearer sha256:00\r\n".to_owned()),
    ] {
        trial.refuses(
            name,
            &post_with(CHAT, &fields, BODY),
            unknown,
            Shape::OpenAi,
            After::Either,
        );
    }
    for (name, fields) in [
        ("nothing", String::new()),
        ("cookie", format!("cookie: key={ACME}\r\n")),
        (
            "proxy-authorization",
            format!("proxy-authorization: Bearer {ACME}\r\n"),
        ),
        ("api-key", format!("api-key: {ACME}\r\n")),
        ("x-tenant-id", "x-tenant-id: acme\r\n".to_owned()),
        ("query", String::new()),
    ] {
        let path = if name == "query" {
            format!("{CHAT}?key={ACME}&api_key={ACME}")
        } else {
            CHAT.to_owned()
        };
        trial.refuses(
            name,
            &post_with(&path, &fields, BODY),
            (401, "identity-missing"),
            Shape::OpenAi,
            After::Either,
        );
    }
    for path in [
        format!("/t/{ACME}/t/{ACME}{CHAT}"),
        format!("/t/{ACME}/t/{GLOBEX}{CHAT}"),
        format!("/t/{ACME}"),
        format!("/t/{ACME}/"),
    ] {
        trial.refuses(
            &path,
            &post_with(&path, "", BODY),
            (404, "upstream-unknown"),
            Shape::OpenAi,
            After::Either,
        );
    }
    for path in [
        format!("/t//{CHAT}"),
        format!("/T/{ACME}{CHAT}"),
        format!("/openai/t/{ACME}/v1/chat/completions"),
    ] {
        let before = trial.house.upstream.count();
        let reply = trial.house.send(&post_with(&path, "", BODY));
        if reply.status < 400 || trial.house.upstream.count() != before {
            trial.fail(format!("{path}: {reply:?}"));
        }
    }
    for path in [
        format!("/t/%6futrigger_{}{CHAT}", &ACME[10..]),
        format!("/t/x{CHAT}"),
        format!("/t/{ACME}%00{CHAT}"),
    ] {
        trial.refuses(
            &path,
            &post_with(&path, "", BODY),
            unknown,
            Shape::OpenAi,
            After::Either,
        );
    }
    trial.end(55);
}

#[test]
fn a_key_of_ours_goes_nowhere_in_no_carrier() {
    let mut trial = Trial::of(House::with(STAMPED));
    for (name, path, fields) in [
        (
            "lower case scheme",
            CHAT.to_owned(),
            format!("Authorization: bearer {ACME}\r\n"),
        ),
        (
            "upper case scheme",
            CHAT.to_owned(),
            format!("AUTHORIZATION: BEARER   {ACME}\r\n"),
        ),
        (
            "bare",
            CHAT.to_owned(),
            format!("authorization: {ACME}\r\n"),
        ),
        ("api key", CHAT.to_owned(), format!("X-API-Key: {ACME}\r\n")),
        (
            "google",
            CHAT.to_owned(),
            format!("X-Goog-Api-Key: {ACME}\r\n"),
        ),
        ("path", format!("/t/{ACME}{CHAT}"), String::new()),
        (
            "path, absolute",
            format!("http://localhost/t/{ACME}{CHAT}"),
            String::new(),
        ),
        (
            "and as azure does",
            CHAT.to_owned(),
            format!("x-api-key: {ACME}\r\napi-key: {ACME}\r\n"),
        ),
        (
            "and in a cookie",
            CHAT.to_owned(),
            format!("x-api-key: {ACME}\r\ncookie: a=b; k={ACME}\r\n"),
        ),
        (
            "and in the query",
            format!("{CHAT}?key={ACME}&a=b"),
            format!("x-api-key: {ACME}\r\n"),
        ),
        (
            "and escaped in the query",
            format!("{CHAT}?key=%6Futrigger_{}", &ACME[10..]),
            format!("x-api-key: {ACME}\r\n"),
        ),
        (
            "path, and the referer",
            format!("/t/{ACME}{CHAT}"),
            format!("referer: http://localhost/t/{ACME}{CHAT}\r\n"),
        ),
        (
            "path, and the query",
            format!("/t/{ACME}{CHAT}?k={ACME}"),
            String::new(),
        ),
        (
            "another tenant's, elsewhere",
            CHAT.to_owned(),
            format!("x-api-key: {ACME}\r\nx-other: {GLOBEX}\r\n"),
        ),
    ] {
        if let Some((seen, _)) = trial.passes(name, &post_with(&path, &fields, BODY)) {
            check(&mut trial, name, &seen, "acme");
        }
    }
    trial.end(14);
}

#[test]
fn an_upstream_does_not_speak_for_the_sidecar() {
    let mut trial = Trial::of(House::plain());
    let bytes = post_with(CHAT, &format!("x-api-key: {ACME}\r\n"), BODY);
    if let Some((_, reply)) = trial.passes("claims of the upstream", &bytes) {
        let id = reply
            .field("outrigger-request-id")
            .unwrap_or_default()
            .to_owned();
        let claims = reply.head.contains("spoofed")
            || reply.head.contains("x-ratelimit-remaining-requests: 7");
        if claims || id.len() != 36 {
            trial.fail(reply.head);
        }
    }
    trial.end(1);
}

#[test]
fn a_path_token_counts_only_where_the_path_may_prove() {
    let mut trial = Trial::of(House::plain());
    let path = format!("/t/{ACME}{CHAT}");
    for (fields, expected) in [
        (String::new(), (401, "identity-missing")),
        (format!("x-api-key: {ACME}\r\n"), (404, "upstream-unknown")),
        (
            format!("x-api-key: {GLOBEX}\r\n"),
            (404, "upstream-unknown"),
        ),
    ] {
        trial.refuses(
            &fields,
            &post_with(&path, &fields, BODY),
            expected,
            Shape::OpenAi,
            After::Either,
        );
    }
    let (house, _) = trial.end(3);
    assert!(house.log(3).iter().all(|line| !line.contains(ACME)));
}
