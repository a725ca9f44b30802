//! Who may knock and where: `Host` and `Origin`, absolute targets, denied endpoints and paths in disguise.

use super::house::{ACME, After, House, Shape, Trial};

fn request(method: &str, target: &str, fields: &str) -> Vec<u8> {
    format!("{method} {target} HTTP/1.1\r\n{fields}authorization: Bearer {ACME}\r\ncontent-length: 0\r\n\r\n").into_bytes()
}

#[test]
fn pages_that_rebind_or_cross_origins_are_turned_away() {
    let mut trial = Trial::of(House::plain());
    let models = "/openai/v1/models";
    for host in [
        "evil.example",
        "evil.example:8470",
        "localhost.evil.example",
        "127.0.0.1.nip.io",
        "127.1",
        "0x7f.0.0.1",
        "2130706433",
        "localhostx",
        "xn--lcalhost-dfb",
    ] {
        let name = format!("host {host}");
        let bytes = request("GET", models, &format!("host: {host}\r\n"));
        trial.refuses(
            &name,
            &bytes,
            (403, "host-denied"),
            Shape::OpenAi,
            After::Either,
        );
    }
    for origin in [
        "https://evil.example",
        "null",
        "http://localhost",
        "http://127.0.0.1:8470",
        "file://",
    ] {
        let name = format!("origin {origin}");
        let bytes = request(
            "GET",
            models,
            &format!("host: localhost\r\norigin: {origin}\r\n"),
        );
        trial.refuses(
            &name,
            &bytes,
            (403, "origin-denied"),
            Shape::OpenAi,
            After::Either,
        );
    }
    for site in ["cross-site", "same-site", "Cross-Site"] {
        let name = format!("a page's plain GET, {site}");
        let bytes = request(
            "GET",
            models,
            &format!("host: localhost\r\nsec-fetch-site: {site}\r\n"),
        );
        trial.refuses(
            &name,
            &bytes,
            (403, "origin-denied"),
            Shape::OpenAi,
            After::Either,
        );
    }
    let preflight = request(
        "OPTIONS",
        "/openai/v1/chat/completions",
        "host: localhost\r\norigin: https://evil.example\r\naccess-control-request-method: POST\r\n",
    );
    trial.refuses(
        "preflight",
        &preflight,
        (403, "origin-denied"),
        Shape::OpenAi,
        After::Either,
    );
    let absolute = request(
        "GET",
        "http://evil.example/openai/v1/models",
        "host: localhost\r\n",
    );
    trial.refuses(
        "absolute target",
        &absolute,
        (403, "host-denied"),
        Shape::OpenAi,
        After::Either,
    );
    let mismatch = request(
        "GET",
        "http://localhost/openai/v1/models",
        "host: evil.example\r\n",
    );
    trial.refuses(
        "absolute target, other host",
        &mismatch,
        (403, "host-denied"),
        Shape::OpenAi,
        After::Either,
    );
    for host in [
        "localhost",
        "LOCALHOST:1",
        "127.0.0.1",
        "[::1]:8470",
        "10.1.2.3",
        "localhost.",
    ] {
        trial.passes(
            &format!("host {host}"),
            &request("GET", models, &format!("host: {host}\r\n")),
        );
    }
    trial.passes(
        "absolute target",
        &request(
            "GET",
            "http://localhost/openai/v1/models",
            "host: localhost\r\n",
        ),
    );
    trial.passes(
        "a page of our own",
        &request("GET", models, "host: localhost\r\nsec-fetch-site: none\r\n"),
    );
    trial.end(25);
}

#[test]
fn telemetry_is_not_for_pages_either() {
    use std::io::Write;
    let house = House::plain();
    for fields in [
        "host: evil.example\r\n",
        "host: localhost\r\norigin: http://evil.example\r\n",
    ] {
        let mut stream = std::net::TcpStream::connect(house.telemetry).expect("a connection");
        stream
            .write_all(
                format!("GET /metrics HTTP/1.1\r\n{fields}connection: close\r\n\r\n").as_bytes(),
            )
            .expect("sent");
        let reply = super::house::Reply::read(stream);
        assert_eq!(reply.status, 403, "{fields} {reply:?}");
    }
}

#[test]
fn what_is_not_governed_is_denied_by_name() {
    let mut trial = Trial::of(House::plain());
    let openai = [
        "POST completions",
        "GET responses/resp_1",
        "DELETE responses/resp_1",
        "POST responses/resp_1/cancel",
        "GET responses/resp_1/input_items",
        "PUT responses/compact",
        "GET responses/input_tokens",
        "GET responses",
        "POST conversations",
        "GET conversations/conv_1/items",
        "GET chat/completions",
        "GET chat/completions/c_1",
        "POST chat/completions/c_1",
        "PUT chat/completions",
        "PATCH responses",
        "POST images/generations",
        "POST images/edits",
        "POST audio/speech",
        "POST audio/transcriptions",
        "POST videos",
        "GET videos/v_1/content",
        "GET files",
        "POST files",
        "GET files/f_1/content",
        "POST uploads",
        "POST uploads/u_1/parts",
        "GET vector_stores",
        "POST vector_stores/v_1/search",
        "POST containers",
        "GET containers/c_1/files",
        "GET skills",
        "POST batches",
        "POST batches/b_1/cancel",
        "POST fine_tuning/jobs",
        "POST evals",
        "POST graders",
        "POST realtime/client_secrets",
        "POST realtime/calls",
        "POST live/sessions",
        "POST assistants",
        "POST threads/runs",
        "GET organization/usage/completions",
        "GET organizations",
        "POST webhook_endpoints",
        "POST safety/x",
        "DELETE models/m",
        "POST models",
        "PUT models/m",
        "POST moderations",
        "POST decisions",
        "TRACE models",
        "TRACE chat/completions",
        "OPTIONS models",
        "PROPFIND files",
        "GET ",
        "GET anything/else",
    ];
    for case in openai {
        let (method, path) = case.split_once(' ').expect("a method");
        let bytes = request(method, &format!("/openai/v1/{path}"), "host: localhost\r\n");
        trial.refuses(
            &format!("openai {case}"),
            &bytes,
            (403, "endpoint-denied"),
            Shape::OpenAi,
            After::Either,
        );
    }
    let anthropic = [
        "POST messages/batches",
        "GET messages/batches",
        "GET messages/batches/b_1/results",
        "POST messages/batches/b_1/cancel",
        "GET messages",
        "PUT messages",
        "POST complete",
        "GET files",
        "POST files",
        "GET files/f_1/content",
        "POST skills",
        "POST agents",
        "POST sessions",
        "GET environments",
        "POST deployments",
        "GET memory_stores",
        "POST vaults",
        "GET tunnels",
        "POST dreams",
        "GET organizations/me",
        "GET organizations/api_keys",
        "POST user_profiles",
        "DELETE models/m",
        "GET messages/count_tokens",
        "POST messages/other",
        "TRACE messages",
    ];
    for case in anthropic {
        let (method, path) = case.split_once(' ').expect("a method");
        let bytes = request(
            method,
            &format!("/anthropic/v1/{path}"),
            "host: localhost\r\nanthropic-version: 2023-06-01\r\n",
        );
        trial.refuses(
            &format!("anthropic {case}"),
            &bytes,
            (403, "endpoint-denied"),
            Shape::Anthropic,
            After::Either,
        );
    }
    trial.end(75);
}

#[test]
fn paths_in_disguise_are_refused() {
    let mut trial = Trial::of(House::plain());
    let ambiguous = [
        "/openai/v1//files",
        "/openai//v1/files",
        "/openai/v1/files//",
        "/openai/v1/./files",
        "/openai/v1/../files",
        "/openai/v1/models/../files",
        "/openai/v1/models/%2e%2e/files",
        "/openai/v1/%66iles",
        "/openai/v1/chat%2fcompletions",
        "/openai/v1/chat/completions%00",
        "/openai/v1/chat/completions%20",
        "/openai/v1/chat/completions;x=1",
        "/openai/v1/models;/files",
        "/openai/v1/models/a%2f..%2ffiles",
        "/openai/v1/models/a%252ffiles",
        "/openai/v1/models/%5cfiles",
        "/openai/v1/models\\files",
        "/openai/v1/v1/v1/files",
        "/openai/V1/files",
        "/openai/v1/CHAT/completions",
        "/openai/v1/Files",
        "/openai/v1/Responses",
        "/openai/v1/models/%zz",
        "/openai/v1/models/a%3fb",
        "/openai/v1/models/a%23b",
        "/openai/v1/models/%c0%ae%c0%ae",
        "/v1//models",
        "/v1/../v1/models",
    ];
    for path in ambiguous {
        let bytes = request("GET", path, "host: localhost\r\n");
        trial.refuses(
            path,
            &bytes,
            (400, "path-ambiguous"),
            Shape::OpenAi,
            After::Either,
        );
    }
    let unknown = [
        "/OpenAI/v1/models",
        "//openai/v1/models",
        "/",
        "/./openai/v1/models",
        "/x/../openai/v1/models",
        "/openai%2fv1/models",
        "/openai;x/v1/models",
        "/t/abc/openai/v1/models",
        "/exec",
        "/mcp",
        "/.well-known/x",
        "/metrics",
    ];
    for path in unknown {
        let bytes = request("GET", path, "host: localhost\r\n");
        trial.refuses(
            path,
            &bytes,
            (404, "upstream-unknown"),
            Shape::OpenAi,
            After::Either,
        );
    }
    let star = request("OPTIONS", "*", "host: localhost\r\n");
    trial.refuses(
        "*",
        &star,
        (404, "upstream-unknown"),
        Shape::OpenAi,
        After::Either,
    );
    trial.end(40);
}

#[test]
fn headers_that_override_method_or_path_do_not_go_on() {
    let mut trial = Trial::of(House::plain());
    for name in [
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
        "x-original-url",
        "x-rewrite-url",
        "x_http_method_override",
    ] {
        let bytes = request(
            "GET",
            "/openai/v1/models/m",
            &format!("host: localhost\r\n{name}: DELETE\r\n"),
        );
        if let Some((seen, _)) = trial.passes(name, &bytes)
            && seen.head.contains("DELETE")
        {
            trial.fail(format!("{name} went on: {}", seen.head));
        }
    }
    trial.end(6);
}
