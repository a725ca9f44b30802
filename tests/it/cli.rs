//! The command line as a user meets it: real processes, what they print, and how they end.
//! Must never depend on the machine's own environment or on a port that somebody else may hold.

pub(crate) mod process;
pub(crate) mod transcript;

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};

use process::{Place, until};
use transcript::{replay, replay_in};

#[test]
fn help() {
    replay("help.md");
}

#[test]
fn check() {
    replay("check.md");
}

#[test]
fn explain() {
    replay("explain.md");
}

#[test]
fn identity() {
    replay("identity.md");
}

#[test]
fn keys() {
    replay("keys.md");
}

#[test]
fn run() {
    replay("run.md");
}

#[test]
fn ctl() {
    replay("ctl.md");
}

/// Every verb of the admin door against a sidecar that serves; the last one ends it.
#[test]
fn operate() {
    let place = Place::new();
    place.write("token", "ops-token-0123456789abcdef\n");
    place.write("other-token", "not-a-token-of-anybody-here\n");
    let operators = format!(
        "admin = [\"unix:admin.sock\", \"127.0.0.1:0\"]\n\
         [admin.tokens.dashboard]\nrole = \"read\"\ntoken = \"${{file:{}}}\"\n",
        place.path("token").display()
    );
    let config = format!("{ANYWHERE}{operators}{}", include_str!("cli/operate.toml"));
    place.write("outrigger.toml", &config);
    let mut served = place.serve(&["serve", "--simulate"]);
    replay_in(&place, "operate.md");
    assert_eq!(served.wait(), Some(0));
}

#[test]
fn discovery() {
    replay("discovery.md");
}

#[test]
fn what_packages_are_made_of() {
    replay("generate.md");
}

const ANYWHERE: &str = "[listen]\nproxy = \"127.0.0.1:0\"\ntelemetry = \"127.0.0.1:0\"\n";

#[test]
fn a_port_in_use_is_named_with_a_way_out() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap();
    let place = Place::new();
    place.write("outrigger.toml", &format!("[listen]\nproxy = \"{at}\"\n"));
    let ended = place.run(&["serve", "--simulate"]);
    assert_eq!(ended.code, Some(71), "{ended:?}");
    let expected =
        format!("error: cannot bind `{at}`: address already in use (EADDRINUSE)\nhint: ");
    assert!(ended.err.contains(&expected), "{ended:?}");
    assert!(ended.err.contains("listen."), "names no setting: {ended:?}");
}

#[test]
fn a_second_sidecar_does_not_take_the_admin_socket_of_the_first() {
    let place = Place::new();
    place.write("outrigger.toml", ANYWHERE);
    let first = place.serve(&["serve", "--simulate"]);
    let second = place.run(&["serve", "--simulate"]);
    assert_eq!(second.code, Some(71), "{second:?}");
    assert!(second.err.contains("hint: "), "{second:?}");
    let health = place.run(&["ctl", "--json", "health"]);
    assert_eq!(health.code, Some(0), "{health:?}");
    drop(first);
}

#[test]
fn ctl_asks_tells_and_stops_a_sidecar() {
    let place = Place::new();
    place.write("outrigger.toml", ANYWHERE);
    let mut served = place.serve(&["serve", "--simulate"]);
    let health = place.run(&["ctl", "--json", "health"]);
    assert_eq!(health.code, Some(0), "{health:?}");
    assert!(health.out.contains("\"generation\":1"), "{health:?}");

    let same = place.run(&["ctl", "--json", "reload"]);
    assert_eq!(same.code, Some(0), "{same:?}");
    assert!(same.out.contains("\"unchanged\""), "{same:?}");

    place.write("outrigger.toml", &format!("{ANYWHERE}[tenants.acme]\n"));
    let reload = place.run(&["ctl", "--json", "reload"]);
    assert_eq!(reload.code, Some(0), "{reload:?}");
    assert!(reload.out.contains("\"generation\":2"), "{reload:?}");

    place.write(
        "outrigger.toml",
        &format!("{ANYWHERE}[tenants.acme]\npolici = \"x\"\n"),
    );
    let bad = place.run(&["ctl", "--json", "reload"]);
    assert_eq!(bad.code, Some(1), "{bad:?}");
    assert!(bad.out.contains("\"rejected\""), "{bad:?}");
    assert!(bad.err.contains("outrigger.toml:5:1\n"), "{bad:?}");
    let config = place.run(&["ctl", "--json", "config"]);
    assert!(config.out.contains("\"generation\":2"), "{config:?}");
    assert!(config.out.contains("OUT-0002"), "{config:?}");

    let drain = place.run(&["ctl", "--json", "drain"]);
    assert_eq!(drain.code, Some(0), "{drain:?}");
    assert_eq!(served.wait(), Some(0));
}

#[test]
fn a_start_says_which_file_it_read_and_what_is_odd_in_it() {
    let place = Place::new();
    place.write(
        "outrigger.toml",
        &format!("{ANYWHERE}[identity]\naccept = [\"key\"]\n[tenants.acme]\n"),
    );
    let _served = place.serve(&["serve", "--simulate"]);
    until("the log has it", || place.log().contains("OUT-0022"));
    let log = place.log();
    assert!(log.contains("\"from\":\"outrigger.toml\""), "{log}");
}

#[test]
fn ctl_is_answered_while_the_sidecar_drains() {
    let place = Place::new();
    let config = format!("{ANYWHERE}[drain]\nidle = \"10ms\"\n");
    place.write("outrigger.toml", &config);
    let mut served = place.serve(&["serve", "--simulate"]);
    let mut caller = TcpStream::connect(served.at("proxy")).unwrap();
    let begun = "POST /openai/v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n\
                 content-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    caller.write_all(begun.as_bytes()).unwrap();
    let health = || place.run(&["ctl", "--json", "health"]);
    until("a trip is open", || health().out.contains("\"open\":1"));

    let drain = place.run(&["ctl", "--json", "drain"]);
    assert_eq!(drain.code, Some(0), "{drain:?}");
    let during = health();
    assert_eq!(during.code, Some(0), "{during:?}");
    assert!(during.out.contains("\"draining\":true"), "{during:?}");
    let again = place.run(&["ctl", "--json", "drain"]);
    assert_eq!(again.code, Some(0), "{again:?}");
    let reload = place.run(&["ctl", "--json", "reload"]);
    assert_eq!(reload.code, Some(1), "{reload:?}");
    assert!(reload.err.contains("draining"), "{reload:?}");

    drop(caller);
    assert_eq!(served.wait(), Some(0));
}

#[test]
fn a_new_key_opens_its_tenant_and_another_does_not() {
    let place = Place::new();
    let (key, hash) = place.new_key();
    place.write(
        "outrigger.toml",
        &format!("{ANYWHERE}[tenants.acme]\nkeys = [\"{hash}\"]\n"),
    );
    let served = place.serve(&["serve", "--simulate"]);
    let status = |key: &str| {
        let url = format!("http://{}/openai/v1/models", served.at("proxy"));
        let call =
            format!("curl -s -o answer -w '%{{http_code}}' -H 'authorization: Bearer {key}' {url}");
        place.shell(&call).out
    };
    assert_eq!(status(&key), "200");
    assert_eq!(status("outrigger_0000"), "401");
}

#[test]
fn the_simulator_serves_on_its_own() {
    let place = Place::new();
    let served = place.serve(&["simulate", "--listen", "127.0.0.1:0", "--open"]);
    let url = format!("http://{}/v1/models", served.at("simulator"));
    let listed = place.shell(&format!("curl -s {url}"));
    assert!(listed.out.contains("\"object\":\"list\""), "{listed:?}");
}

#[test]
fn the_simulator_makes_the_faults_it_is_told() {
    let place = Place::new();
    let faulty = "fault-529+slow-1ms";
    let served = place.serve(&[
        "simulate",
        "--listen",
        "127.0.0.1:0",
        "--open",
        "--script",
        faulty,
    ]);
    let url = format!("http://{}/v1/messages", served.at("simulator"));
    let head = "-H 'anthropic-version: 2023-06-01' -H 'content-type: application/json'";
    let body = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#;
    let asked = place.shell(&format!("curl -s {head} -d '{body}' {url}"));
    assert!(asked.out.contains("overloaded_error"), "{asked:?}");

    let ended = place.run(&["simulate", "--script", "fault-maybe"]);
    assert_eq!(ended.code, Some(64), "{ended:?}");
    assert!(ended.err.contains("fault-maybe"), "{ended:?}");
}
