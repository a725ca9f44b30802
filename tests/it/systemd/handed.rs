//! Sockets that the service manager opens and hands over: the test opens them, and starts the sidecar as a manager would.
//! Must never leave one to a program that it was not meant for.

use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::Signal;
use tempfile::TempDir;
use tokio::process::Command;

use crate::serve::{Served, outrigger};
use crate::stage::{Caller, hash_of, until, within};

/// The sockets of a manager, in the order in which they are handed over.
struct Manager(Vec<(&'static str, OwnedFd)>);

impl Manager {
    fn add(&mut self, name: &'static str, socket: impl Into<OwnedFd>) {
        self.0.push((name, socket.into()));
    }

    /// The program under test behind a shell that gives it the sockets from 3 on.
    fn command(&self, home: &Path) -> Command {
        let plain = outrigger(home);
        let mut script = String::new();
        for (number, (_, socket)) in (3..).zip(&self.0) {
            let raw = socket.as_fd().as_raw_fd();
            fcntl(socket, FcntlArg::F_SETFD(FdFlag::empty())).expect("a descriptor");
            // First out of the way of the numbers that are wanted.
            script = format!(
                "exec {}<&{raw}\n{script}exec {number}<&{}\n",
                100 + number,
                100 + number
            );
        }
        let mut command = Command::new("bash");
        let names: Vec<_> = self.0.iter().map(|(name, _)| *name).collect();
        command
            .arg("-ec")
            .arg(format!("{script}export LISTEN_PID=$$\nexec \"$0\" \"$@\""));
        command.arg(plain.as_std().get_program());
        command.env("LISTEN_FDS", self.0.len().to_string());
        command.env("LISTEN_FDNAMES", names.join(":"));
        command
            .current_dir(home)
            .kill_on_drop(true)
            .env("HOME", home);
        command
    }
}

fn config(listen: &str) -> String {
    let (acme, globex) = (hash_of("acme"), hash_of("globex"));
    format!(
        "[listen]\nproxy = {listen}\ntelemetry = \"127.0.0.1:0\"\n[reload]\nwatch = \"off\"\npoll = \"off\"\n[drain]\nidle = \"10ms\"\n\
         [upstreams.openai]\ndialect = \"openai\"\nurl = \"http://127.0.0.1:9\"\n[identity]\naccept = [\"listener\", \"key\"]\n\
         [tenants.acme]\nkeys = [\"{acme}\"]\n[tenants.globex]\nkeys = [\"{globex}\"]\n"
    )
}

async fn start(manager: &Manager, config: &str) -> Served {
    let home = TempDir::new().expect("a directory");
    std::fs::write(home.path().join("outrigger.toml"), config).expect("a file");
    let command = manager.command(home.path());
    Served::start_in(home, command).await
}

/// What it says when it does not start.
async fn failure(manager: &Manager, config: &str) -> String {
    let home = TempDir::new().expect("a directory");
    std::fs::write(home.path().join("outrigger.toml"), config).expect("a file");
    let mut command = manager.command(home.path());
    command.args(["serve", "--config", "outrigger.toml", "--state", "state"]);
    let output: Output = within("the end", command.output()).await.expect("bash");
    assert_eq!(output.status.code(), Some(71), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const ASK: &str = "GET /openai/v1/models HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n";

fn ask(key: &str) -> String {
    format!("{ASK}authorization: Bearer {key}\r\n\r\n")
}

#[tokio::test]
async fn sockets_are_taken_by_name_and_number_and_stay_the_managers() {
    let place = TempDir::new().expect("a directory");
    let path = place.path().join("acme.sock");
    let port = || std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let (one, other) = (port(), port());
    let ports = [&one, &other].map(|port| port.local_addr().expect("an address"));
    let mut manager = Manager(Vec::new());
    manager.add("proxy", one);
    manager.add("proxy", other);
    manager.add("acme.socket", UnixListener::bind(&path).expect("a socket"));
    manager.add("spare", port());
    let config = config("[\"fd:proxy\", \"fd:5?tenant=acme\"]");
    let mut served = start(&manager, &config).await;
    let mut seen = 0;
    for at in ports {
        let mut caller = Caller::connect(at).await;
        caller.send(ask("globex").as_bytes()).await;
        assert!(caller.rest().await.starts_with(b"HTTP/1.1 502"));
        seen += 1;
    }
    let mut caller = UnixStream::connect(&path).expect("a socket");
    let patience = Some(Duration::from_secs(20));
    caller.set_read_timeout(patience).expect("a limit");
    caller
        .write_all(format!("{ASK}\r\n").as_bytes())
        .expect("sent");
    let mut answer = String::new();
    caller.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
    seen += 1;
    until("the records", || served.requests().len() == seen).await;
    let tenants: Vec<_> = served
        .requests()
        .iter()
        .map(|line| line["tenant"].clone())
        .collect();
    assert_eq!(tenants, ["globex", "globex", "acme"]);
    let unused = |line: &serde_json::Value| line["name"] == "spare" && line["number"] == 6;
    assert!(
        served.lines().iter().any(unused),
        "the spare one is not closed in silence"
    );
    for number in [3, 4, 5] {
        let facts = format!("/proc/{}/fdinfo/{number}", served.pid());
        let facts = std::fs::read_to_string(facts).expect("an open descriptor");
        let flags = facts.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = u32::from_str_radix(flags.expect("flags").trim(), 8).expect("octal");
        assert_ne!(flags & 0o2_000_000, 0, "closed on exec: {facts}");
    }
    served.signal(Signal::SIGTERM);
    assert_eq!(served.end().await.code(), Some(0));
    assert!(path.exists(), "it is not ours to take away");

    // Who comes between two lives waits in the manager's socket, and is served by the next.
    let mut early = Caller::connect(ports[0]).await;
    early.send(ask("globex").as_bytes()).await;
    let _served = start(&manager, &config).await;
    assert!(early.rest().await.starts_with(b"HTTP/1.1 502"));
}

#[tokio::test]
async fn what_goes_by_one_name_has_one_number_of_connections() {
    let port = || std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let (one, other) = (port(), port());
    let ports = [&one, &other].map(|port| port.local_addr().expect("an address"));
    let mut manager = Manager(Vec::new());
    manager.add("proxy", one);
    manager.add("proxy", other);
    let served = start(&manager, &config("\"fd:proxy?connections=1\"")).await;
    let silent = Caller::connect(ports[0]).await;
    let open = "outrigger_listener_connections{listener=\"fd:proxy\"}";
    served.shows(&[&format!("{open} 1")]).await;
    let mut next = Caller::connect(ports[1]).await;
    let (head, _) = next.answer().await;
    assert!(head.contains("outrigger-code: overloaded"), "{head}");
    // The idle one was in its way.
    assert!(silent.rest().await.is_empty());
    served.shows(&[&format!("{open} 0")]).await;
    let mut again = Caller::connect(ports[1]).await;
    again.send(ask("globex").as_bytes()).await;
    assert!(again.rest().await.starts_with(b"HTTP/1.1 502"));
}

#[tokio::test]
async fn what_was_not_handed_over_or_does_not_fit_is_said() {
    let mut manager = Manager(Vec::new());
    let nothing = failure(&manager, &config("\"fd:proxy\"")).await;
    assert!(
        nothing.contains("take over `fd:proxy`") && nothing.contains(".socket"),
        "{nothing}"
    );
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    manager.add("proxy", port);
    let misnamed = failure(&manager, &config("\"fd:4\"")).await;
    assert!(misnamed.contains("take over `fd:4`"), "{misnamed}");
    let nameless = failure(&manager, &config("\"fd:proxy?tenant=acme\"")).await;
    assert!(
        nameless.contains("only a unix socket has a tenant"),
        "{nameless}"
    );

    let home = TempDir::new().expect("a directory");
    let open =
        config("\"fd:proxy\"").replace("accept = [\"listener\", \"key\"]", "tenant = \"acme\"");
    std::fs::write(home.path().join("outrigger.toml"), open).expect("a file");
    let output = outrigger(home.path())
        .arg("check")
        .output()
        .await
        .expect("the program");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(
        said.contains("`fd:proxy` may be reached by others, and no credential is asked for"),
        "{said}"
    );
}

#[tokio::test]
async fn the_agent_of_run_gets_neither_the_sockets_nor_word_of_them() {
    let home = TempDir::new().expect("a directory");
    let mut manager = Manager(Vec::new());
    manager.add(
        "proxy",
        std::net::TcpListener::bind("127.0.0.1:0").expect("a port"),
    );
    let mut command = manager.command(home.path());
    command.args([
        "run",
        "--simulate",
        "--",
        "sh",
        "-c",
        "env; test -e /proc/self/fd/3 && echo LISTEN_OPEN; true",
    ]);
    let output = within("the agent", command.output()).await.expect("bash");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("OUTRIGGER_URL="),
        "{output:?}"
    );
    assert!(!said.contains("LISTEN_"), "{said}");
}
