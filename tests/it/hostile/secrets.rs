//! What must not be seen from outside: keys in logs, answers, metrics and the admin's page; the process's memory.
//! And what must be: a tenant on every request line and on every meter of one.

use std::io::Write;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::process::Command;

use super::house::{ACME, GLOBEX, House, PLAIN, UPSTREAM_KEY, post_with};

const CHAT: &str = "/openai/v1/chat/completions";

#[test]
fn secrets_stay_inside_and_every_line_has_its_tenant() {
    let house = House::with(&PLAIN.replace("[\"key\"]", "[\"key\", \"path\"]"));
    let body = "{\"model\":\"m\"}";
    let requests = [
        post_with(CHAT, &format!("x-api-key: {ACME}\r\n"), body),
        post_with(&format!("/t/{ACME}{CHAT}"), "", body),
        post_with(&format!("/t/{ACME}/nowhere"), "", body),
        post_with(&format!("/t/{ACME}/t/{GLOBEX}{CHAT}"), "", body),
        post_with(&format!("/t/{GLOBEX}x{CHAT}"), "", body),
        post_with(
            CHAT,
            &format!("authorization: Bearer {ACME}\r\nx-api-key: {GLOBEX}\r\n"),
            body,
        ),
        post_with(CHAT, &format!("authorization: Basic {ACME}\r\n"), body),
        post_with(
            CHAT,
            &format!("authorization: Bearer {ACME}\r\n"),
            "{\"model\":",
        ),
        post_with(CHAT, "authorization: Bearer sk-somebody\r\n", body),
        post_with(CHAT, "", body),
        post_with("/openai/v1/files", &format!("x-api-key: {ACME}\r\n"), body),
        post_with(&format!("/{ACME}/v1/chat"), "", body),
        b"GET /t/x y HTTP/1.1\r\n\r\n".to_vec(),
    ];
    let mut told = String::new();
    for request in &requests {
        let reply = house.send(request);
        assert!(reply.status >= 200, "{reply:?}");
        told.push_str(&reply.head);
        told.push_str(&reply.body);
    }
    let log = house.log(requests.len()).join("\n");
    let metrics = house.metrics();
    let config = ctl(&house);
    for (place, text) in [
        ("answers", &told),
        ("log", &log),
        ("metrics", &metrics),
        ("config", &config),
    ] {
        for secret in [UPSTREAM_KEY, &ACME[10..], &GLOBEX[10..]] {
            assert!(!text.contains(secret), "`{secret}` in the {place}: {text}");
        }
        assert!(!text.is_empty(), "nothing in the {place}");
    }
    lines(&log, requests.len());
    meters(&metrics, requests.len());
}

fn ctl(house: &House) -> String {
    let mut stream = UnixStream::connect(house.admin()).expect("the admin socket");
    stream
        .write_all(b"GET /config HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .expect("sent");
    let mut text = String::new();
    std::io::Read::read_to_string(&mut stream, &mut text).expect("an answer");
    text
}

fn lines(log: &str, requests: usize) {
    let lines: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect();
    let of_requests: Vec<_> = lines
        .iter()
        .filter(|line| line["message"] == "request")
        .collect();
    assert_eq!(of_requests.len(), requests, "{log}");
    for line in of_requests {
        let tenant = line["tenant"].as_str().unwrap_or_default();
        assert!(["acme", "_nobody"].contains(&tenant), "{line}");
        assert!(
            line["request_id"].as_str().is_some_and(|id| id.len() == 36),
            "{line}"
        );
    }
}

/// The families that count requests have a tenant in every series, and the sum is what was sent.
fn meters(page: &str, requests: usize) {
    let mut total = 0;
    for line in page
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
    {
        let (series, value) = line.rsplit_once(' ').expect("a sample");
        let of_process = series.starts_with("outrigger_process_") || series.starts_with("process_");
        if series.starts_with("outrigger_requests_total") {
            total += value.parse::<usize>().expect("a count");
        }
        let of_trip = [
            "requests",
            "refusals",
            "tokens",
            "bytes",
            "request_duration",
            "first_token",
        ];
        if !of_process
            && of_trip
                .iter()
                .any(|word| series.starts_with(&format!("outrigger_{word}")))
        {
            assert!(series.contains("tenant=\""), "{line}");
        }
    }
    assert_eq!(total, requests, "{page}");
    assert!(page.contains("tenant=\"_nobody\""), "{page}");
}

#[test]
fn the_process_cannot_be_looked_into() {
    // Root may look anyway, and owns everything already: the sidecar then runs as nobody.
    let user = if own_uid() == 0 { 65_534 } else { own_uid() };
    let house = House::start(PLAIN, (user != own_uid()).then_some(user));
    let of_process = |name: &str| format!("/proc/{}/{name}", house.pid());
    let status = std::fs::read_to_string(of_process("status")).expect("its status");
    assert!(
        status.contains(&format!("Uid:\t{user}")),
        "it runs as somebody else: {status}"
    );
    // What belongs to a process that is not dumpable belongs to root (proc(5)).
    for name in ["environ", "mem", "maps"] {
        let owner = std::fs::metadata(of_process(name))
            .expect("its entry")
            .uid();
        assert_eq!(owner, 0, "{name}");
    }
    let limits = std::fs::read_to_string(of_process("limits")).expect("its limits");
    let cores = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .expect("a limit");
    assert_eq!(cores.split_whitespace().nth(4), Some("0"), "{cores}");
}

fn own_uid() -> u32 {
    let out = Command::new("id").arg("-u").output().expect("id");
    String::from_utf8_lossy(&out.stdout)
        .trim()
        .parse()
        .expect("a uid")
}
