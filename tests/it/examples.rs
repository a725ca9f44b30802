//! Every example of `examples/`, and what README shows, run as they stand against the built-in simulator.
//! Must never show a newcomer what does not work.

#![expect(
    clippy::disallowed_methods,
    reason = "a server that is only there to be called runs beside the test"
)]

use std::fs::read_to_string;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use super::cli::process::{Ended, Place};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A shell command at the root of the tree, where a newcomer stands.
fn at_root(place: &Place, command: &str) -> Ended {
    place.shell(&format!("cd '{}'\n{command}", root().display()))
}

/// A place whose environment has what the examples take from it.
fn equipped() -> (Place, String, String) {
    let maker = Place::new();
    let ((acme, acme_hash), (globex, globex_hash)) = (maker.new_key(), maker.new_key());
    let place = maker
        .with("ACME_KEY", &acme)
        .with("ACME_KEY_HASH", &acme_hash)
        .with("GLOBEX_KEY", &globex)
        .with("GLOBEX_KEY_HASH", &globex_hash)
        .with("TEAM_KEY_HASH", &acme_hash)
        .with("ANTHROPIC_API_KEY", "sk-ant-real");
    (place, acme, globex)
}

#[test]
fn every_configuration_is_whole() {
    let (place, ..) = equipped();
    let mut folders = vec![root().join("examples")];
    let mut files: Vec<PathBuf> = vec![root().join("config/reference.toml")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.ends_with("outrigger.toml") {
                files.push(path);
            }
        }
    }
    assert!(files.len() >= 6, "{files:?}");
    for file in files {
        let ended = place.run(&["check", "--deny-warnings", "-c", file.to_str().unwrap()]);
        assert_eq!(ended.code, Some(0), "{}: {ended:?}", file.display());
    }
}

#[test]
fn the_quickstart_needs_no_configuration() {
    let place = Place::new();
    let said = at_root(
        &place,
        "outrigger run --simulate --tenant acme -- sh examples/quickstart/agent.sh",
    );
    assert_eq!(said.code, Some(0), "{said:?}");
    for line in [
        "   This is a simulated answer to: Hello",
        "   401 identity-unknown",
        "outrigger: tenant acme: 5 requests, 1 refused, 13 input and 36 output tokens",
    ] {
        assert!(said.out.lines().any(|one| one == line), "{line}: {said:?}");
    }
}

#[test]
fn the_quickstart_is_refused_by_the_rules_of_a_policy() {
    let place = Place::new();
    let said = at_root(
        &place,
        "outrigger run --config examples/quickstart/outrigger.toml --simulate -- sh examples/quickstart/agent.sh",
    );
    assert_eq!(said.code, Some(0), "{said:?}");
    let shown = after("<!-- test: policy-shows -->");
    assert!(shown.len() > 3, "README shows nothing");
    for line in shown {
        assert!(said.out.contains(&line), "{line}: {said:?}");
    }
}

#[test]
fn readme_shows_what_the_quickstart_prints() {
    let command = after("<!-- ci: quickstart -->").join("\n");
    let command = command.replacen("cargo run --release -- ", "outrigger ", 1);
    let said = at_root(&Place::new(), &command);
    assert_eq!(said.code, Some(0), "{said:?}");
    let shown = after("<!-- ci: quickstart-shows -->");
    assert!(shown.len() > 3, "README shows nothing");
    for line in shown {
        assert!(said.out.contains(&line), "{line}: {said:?}");
    }
}

#[test]
fn the_configuration_of_readme_decides_as_readme_says() {
    let place = Place::new().with("OPENAI_API_KEY", "sk-real");
    let config = after("## The configuration").join("\n");
    place.write("outrigger.toml", &config);
    let checked = place.run(&["check", "--deny-warnings"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let mut shown = after("(`outrigger explain models.allow`) and what would become").into_iter();
    let command = shown.next().unwrap();
    let said = place.shell(command.strip_prefix("$ ").unwrap());
    assert_eq!(
        said.out.lines().collect::<Vec<_>>(),
        shown.collect::<Vec<_>>()
    );
}

#[test]
fn refusals_look_as_readme_shows() {
    let config = after("## The configuration").join("\n");
    let config = format!(
        "{config}\n[upstreams.anthropic]\ndialect = \"anthropic\"\nurl = \"https://api.anthropic.com\"\n"
    );
    let place = Place::new().with("OPENAI_API_KEY", "sk-real");
    place.write("outrigger.toml", &config);
    let refused = |url: &str, model: &str| {
        let ask = format!(
            "curl -si \"{url}\" -H \"authorization: Bearer $OUTRIGGER_KEY\" -H 'content-type: application/json' \
             -d '{{\"model\":\"{model}\",\"messages\":[]}}'"
        );
        place.write("ask.sh", &ask);
        place.shell("outrigger run --simulate --tenant acme -- sh ask.sh")
    };
    for (marker, url, model) in [
        (
            "To OpenAI's SDKs:",
            "$OPENAI_BASE_URL/chat/completions",
            "gpt-5.6-sol",
        ),
        (
            "To Anthropic's SDKs:",
            "$ANTHROPIC_BASE_URL/v1/messages",
            "claude-opus-4",
        ),
    ] {
        let said = refused(url, model);
        // Ids differ, and README breaks the lines of the body.
        let pieces = after(marker).join("\n").replace("\n ", "\n");
        for piece in pieces.split('\n').flat_map(without_ids) {
            assert!(said.out.contains(piece), "{piece}: {said:?}");
        }
    }
}

/// The text around request ids.
fn without_ids(line: &str) -> Vec<&str> {
    const ID: usize = 36;
    let mut pieces = Vec::new();
    let mut rest = line.trim_start();
    while let Some(at) = rest.find("01a20c34-") {
        pieces.push(&rest[..at]);
        rest = &rest[at + ID..];
    }
    pieces.push(rest);
    pieces
}

/// The block of README after a marker, as lines that are not empty.
fn after(marker: &str) -> Vec<String> {
    let text = read_to_string(root().join("README.md")).unwrap();
    let (_, rest) = text.split_once(marker).unwrap();
    rest.lines()
        .skip_while(|line| !line.starts_with("```"))
        .skip(1)
        .take_while(|line| !line.starts_with("```"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn readme_names_tests_and_files_that_exist() {
    let readme = read_to_string(root().join("README.md")).unwrap();
    let mut sources = String::new();
    let mut folders = vec![
        root().join("src"),
        root().join("tests"),
        root().join("benches"),
    ];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "node_modules" && name != "corpus" && name != ".venv" {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                sources += &read_to_string(&path).unwrap_or_default();
            }
        }
    }
    let mut tests = 0;
    for quoted in readme.split('`').skip(1).step_by(2) {
        if let Some(test) = quoted.strip_suffix("()") {
            let name = test.rsplit("::").next().unwrap();
            let known = sources.contains(&format!("fn {name}("));
            assert!(known, "README names a test that is not there: {quoted}");
            tests += 1;
        }
    }
    assert!(tests > 10, "README names {tests} tests");
    let links = readme
        .split("](")
        .skip(1)
        .map(|rest| rest.split(')').next().unwrap());
    for link in links.filter(|link| !link.starts_with('#')) {
        assert!(root().join(link).exists(), "README links to {link}");
    }
}

#[test]
fn two_tenants_are_told_apart() {
    let (place, ..) = equipped();
    let folder = root().join("examples/two-tenants");
    let main = read_to_string(folder.join("outrigger.toml")).unwrap();
    let ports = "[listen]\nproxy = \"127.0.0.1:0\"\ntelemetry = \"127.0.0.1:0\"\n";
    place.write("outrigger.toml", &format!("{ports}{main}"));
    for name in ["acme.toml", "globex.toml"] {
        let text = read_to_string(folder.join("tenants.d").join(name)).unwrap();
        place.write(&format!("tenants.d/{name}"), &text);
    }
    let served = place.serve(&["serve", "--simulate"]);
    let calls = folder.join("calls.sh");
    let said = place.shell(&format!(
        "OUTRIGGER_URL=http://{} sh '{}'",
        served.at("proxy"),
        calls.display()
    ));
    let lines: Vec<&str> = said.out.lines().map(str::trim_end).collect();
    assert_eq!(
        lines,
        [
            "acme, a large model in the us: 200",
            "globex, the same: 403 model-denied",
            "globex, a small model in the us: 403 region-denied",
            "globex, a small model in the eu: 200",
            "globex, an old model that is rewritten: 200",
            "globex, its key in the path: 200",
            "both keys at once: 403 identity-conflict",
            "nobody: 401 identity-missing",
        ],
        "{said:?}"
    );
}

/// The gateway's socket lies where the test says; who may open it is who the test runs as.
#[test]
fn a_gateway_names_its_customers_and_nobody_else() {
    let (place, ..) = equipped();
    let folder = root().join("examples/gateway");
    let main = read_to_string(folder.join("outrigger.toml")).unwrap();
    let listen = "[listen]\n";
    assert!(main.contains(listen), "the ports would not be free");
    let free = format!("{listen}telemetry = \"127.0.0.1:0\"\n");
    place.write("outrigger.toml", &main.replacen(listen, &free, 1));
    let run = place.path("run");
    std::fs::create_dir(&run).unwrap();
    let place = place.with("RUN_DIR", run.to_str().unwrap());
    let _served = place.serve(&["serve", "--simulate"]);
    let calls = folder.join("calls.sh");
    let said = place.shell(&format!("sh '{}'", calls.display()));
    let lines: Vec<&str> = said.out.lines().map(str::trim_end).collect();
    assert_eq!(
        lines,
        [
            "for customer-acme: 200",
            "for customer-globex: 200",
            "for somebody it does not vouch for: 403 identity-conflict",
            "for a customer that is not there: 401 identity-unknown",
            "for two at once: 400 identity-malformed",
            "for nobody but itself: 403 model-denied",
        ],
        "{said:?}"
    );
}

/// One call to a server that only keeps what it is sent.
#[test]
fn an_internal_server_is_told_the_tenant_and_nothing_that_is_claimed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut seen = Vec::new();
        let mut buffer = [0; 4096];
        while !seen.ends_with(b"\"messages\":[]}") {
            let read = stream.read(&mut buffer).unwrap();
            assert!(read > 0, "cut short: {}", String::from_utf8_lossy(&seen));
            seen.extend_from_slice(&buffer[..read]);
        }
        let answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
        stream.write_all(answer).unwrap();
        String::from_utf8(seen).unwrap().to_ascii_lowercase()
    });
    let place = Place::new().with("MODELS_URL", format!("http://{at}"));
    let said = at_root(
        &place,
        r#"outrigger run --config examples/internal-server/outrigger.toml -- sh -c '
            curl -s -o /dev/null -w "%{http_code}" "$OPENAI_BASE_URL/chat/completions" -H "authorization: Bearer $OPENAI_API_KEY" \
                -H "X-Tenant-Id: globex" -H "x_tenant_id: globex" -H "baggage: tenant.id=globex" -H "content-type: application/json" \
                -d "{\"model\":\"llama-3\",\"messages\":[]}"'"#,
    );
    assert!(said.out.starts_with("200"), "{said:?}");
    let seen = server.join().unwrap();
    assert_eq!(seen.matches("x-tenant-id: acme\r\n").count(), 1, "{seen}");
    assert!(seen.contains("tenant.id=acme"), "{seen}");
    assert!(!seen.contains("globex"), "{seen}");
    assert!(
        !seen.contains("outrigger_"),
        "the session's key left: {seen}"
    );
}

#[test]
fn claude_code_points_at_the_sidecar() {
    let folder = root().join("examples/claude-code");
    let settings = read_to_string(folder.join("settings.json")).unwrap();
    let settings: serde_json::Value = serde_json::from_str(&settings).unwrap();
    let base = settings["env"]["ANTHROPIC_BASE_URL"].as_str().unwrap();
    let path = base.strip_prefix("http://127.0.0.1:8470").unwrap();

    let (place, key, _) = equipped();
    let main = read_to_string(folder.join("outrigger.toml")).unwrap();
    let ports = "[listen]\nproxy = \"127.0.0.1:0\"\ntelemetry = \"127.0.0.1:0\"\n";
    place.write("outrigger.toml", &format!("{ports}{main}"));
    let served = place.serve(&["serve", "--simulate"]);
    // What the program sends: the token as a bearer, betas, a query, a stream.
    let call = |endpoint: &str, body: &str| {
        let url = format!("http://{}{path}{endpoint}?beta=true", served.at("proxy"));
        place.shell(&format!(
            "curl -s -w '\n%{{http_code}}\n' '{url}' -H 'authorization: Bearer {key}' -H 'anthropic-version: 2023-06-01' \
             -H 'anthropic-beta: claude-code-20250219' -H 'content-type: application/json' -d '{body}'"
        ))
    };
    let message = r#"{"model":"claude-sonnet-4-5","max_tokens":64,"stream":true,"messages":[{"role":"user","content":"Hello"}]}"#;
    let said = call("/v1/messages", message);
    assert!(said.out.contains("event: message_stop"), "{said:?}");
    assert!(said.out.ends_with("\n200\n"), "{said:?}");
    let count = r#"{"model":"claude-sonnet-4-5","messages":[{"role":"user","content":"Hello"}]}"#;
    let said = call("/v1/messages/count_tokens", count);
    assert!(said.out.contains("\"input_tokens\""), "{said:?}");
    assert!(said.out.ends_with("\n200\n"), "{said:?}");
}
