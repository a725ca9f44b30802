//! An agent wrapped in a sidecar of its own: what its environment holds, which exit code and signals come through, and what is
//! said in the end. The agents here are shells.

use std::io::Write as _;
use std::process::{Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::serve::outrigger;
use crate::stage::{Caller, PLAIN, within};

const REAL: &str = "sk-real-0123456789";

fn home() -> TempDir {
    TempDir::new().expect("a directory")
}

async fn output(command: &mut Command) -> Output {
    within("the agent to end", command.output())
        .await
        .expect("the program")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The value of a variable on a page of `env`.
fn variable<'p>(page: &'p str, name: &str) -> Option<&'p str> {
    page.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
}

#[tokio::test]
async fn the_agents_environment_leads_to_the_sidecar_and_holds_no_provider_key() {
    let home = home();
    let mut command = outrigger(home.path());
    command
        .env("OPENAI_API_KEY", REAL)
        .env("A_COPY_UNDER_ANOTHER_NAME", REAL)
        .env("ANTHROPIC_API_KEY", "sk-ant-real")
        .env("ANTHROPIC_AUTH_TOKEN", "sk-ant-token")
        .env("OPENAI_ADMIN_KEY", "sk-admin")
        .env("NO_PROXY", "corp.example")
        .env("KEPT", "as it was")
        .args(["run", "--simulate", "--", "env"]);
    let output = output(&mut command).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let page = text(&output.stdout);
    for secret in [REAL, "sk-ant-real", "sk-ant-token", "sk-admin"] {
        assert!(!page.contains(secret), "{page}");
        assert!(!text(&output.stderr).contains(secret));
    }
    let key = variable(&page, "OUTRIGGER_KEY").expect("a key");
    assert!(key.starts_with("outrigger_"), "{key}");
    assert_eq!(variable(&page, "OPENAI_API_KEY"), Some(key));
    assert_eq!(variable(&page, "ANTHROPIC_API_KEY"), Some(key));
    let url = variable(&page, "OUTRIGGER_URL").expect("an address");
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    let openai = format!("{url}/openai/v1");
    assert_eq!(variable(&page, "OPENAI_BASE_URL"), Some(openai.as_str()));
    assert_eq!(variable(&page, "OPENAI_API_BASE"), Some(openai.as_str()));
    let anthropic = format!("{url}/anthropic");
    assert_eq!(
        variable(&page, "ANTHROPIC_BASE_URL"),
        Some(anthropic.as_str())
    );
    assert_eq!(
        variable(&page, "NO_PROXY"),
        Some("corp.example,127.0.0.1,localhost,::1")
    );
    assert_eq!(variable(&page, "KEPT"), Some("as it was"));
    for gone in [
        "A_COPY_UNDER_ANOTHER_NAME",
        "ANTHROPIC_AUTH_TOKEN",
        "OPENAI_ADMIN_KEY",
    ] {
        assert_eq!(variable(&page, gone), None);
    }
}

#[tokio::test]
async fn the_printed_environment_runs_nothing_and_tells_nothing() {
    let home = home();
    let mut command = outrigger(home.path());
    command
        .env("OPENAI_API_KEY", REAL)
        .env("A_COPY", REAL)
        .args(["run", "--print-env"]);
    let output = output(&mut command).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let page = text(&output.stdout);
    assert!(!page.contains(REAL), "{page}");
    assert!(page.contains("\nunset A_COPY\n"), "{page}");
    assert!(
        page.contains("\nexport OPENAI_BASE_URL='http://127.0.0.1:PORT/openai/v1'\n"),
        "{page}"
    );
}

#[tokio::test]
async fn the_agents_end_is_ours() {
    for (script, code) in [
        ("exit 0", 0),
        ("exit 7", 7),
        ("kill -TERM $$", 143),
        ("kill -KILL $$", 137),
    ] {
        let home = home();
        let mut command = outrigger(home.path());
        command.args(["run", "--simulate", "--", "sh", "-c", script]);
        let output = output(&mut command).await;
        assert_eq!(output.status.code(), Some(code), "{script}: {output:?}");
        assert_eq!(
            text(&output.stderr),
            "outrigger: tenant default: 0 requests, 0 refused, 0 input and 0 output tokens\n"
        );
    }
    let home = home();
    let mut command = outrigger(home.path());
    command.args(["run", "--simulate", "--", "./no-such-program"]);
    let output = output(&mut command).await;
    assert_eq!(output.status.code(), Some(127), "{output:?}");
    assert!(
        text(&output.stderr).contains("no such program"),
        "{output:?}"
    );
}

/// An agent that says where its sidecar is, then does what `script` says.
struct Agent {
    child: Child,
    said: BufReader<tokio::process::ChildStdout>,
    at: std::net::SocketAddr,
    key: String,
}

impl Agent {
    async fn start(home: &TempDir, added: &[&str], script: &str) -> Self {
        let script = format!("echo \"$OUTRIGGER_URL\"; echo \"$OUTRIGGER_KEY\"; {script}");
        let mut child = outrigger(home.path())
            .arg("run")
            .args(added)
            .args(["--", "sh", "-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program");
        let mut said = BufReader::new(child.stdout.take().expect("a pipe"));
        let url = line(&mut said).await;
        let key = line(&mut said).await;
        let at = url.strip_prefix("http://").expect("an address");
        Self {
            at: at.parse().expect("an address"),
            child,
            said,
            key,
        }
    }

    async fn ask(&self, key: &str, body: &str) -> Caller {
        let mut caller = Caller::connect(self.at).await;
        let head = format!(
            "POST /openai/v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        caller.send(head.as_bytes()).await;
        caller
    }

    fn signal(&self, signal: Signal) {
        let id = self.child.id().expect("a running child");
        kill(Pid::from_raw(i32::try_from(id).expect("an id")), signal).expect("a running child");
    }

    /// Lets it go on, and waits for its end: the exit code, and what stood on standard error.
    async fn end(mut self) -> (Option<i32>, String) {
        if let Some(mut stdin) = self.child.stdin.take() {
            // An agent that does not read has ended already.
            let _ = stdin.write_all(b"go\n").await;
        }
        let output = within("the agent to end", self.child.wait_with_output()).await;
        let output = output.expect("the program");
        (output.status.code(), text(&output.stderr))
    }
}

async fn line(from: &mut BufReader<tokio::process::ChildStdout>) -> String {
    let mut line = String::new();
    within("a line of the agent", from.read_line(&mut line))
        .await
        .expect("a pipe");
    line.trim_end().to_owned()
}

#[tokio::test]
async fn signals_reach_the_agent() {
    for (name, signal) in [
        ("TERM", Signal::SIGTERM),
        ("HUP", Signal::SIGHUP),
        ("USR1", Signal::SIGUSR1),
        ("INT", Signal::SIGINT),
    ] {
        let home = home();
        let script = format!("trap 'exit 5' {name}; echo set; while :; do sleep 0.01; done");
        let mut agent = Agent::start(&home, &["--simulate"], &script).await;
        assert_eq!(line(&mut agent.said).await, "set");
        agent.signal(signal);
        let (code, said) = agent.end().await;
        assert_eq!(code, Some(5), "{name}: {said}");
    }
}

#[tokio::test]
async fn the_end_says_what_was_used_and_nothing_else_listens() {
    let home = home();
    let agent = Agent::start(&home, &["--simulate"], "read line; exit 3").await;
    let mut caller = agent.ask(&agent.key, PLAIN).await;
    let (head, body) = caller.answer().await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let answer: serde_json::Value = serde_json::from_str(&body).expect("a document");
    let (input, output) = (
        &answer["usage"]["prompt_tokens"],
        &answer["usage"]["completion_tokens"],
    );
    let (head, _) = agent.ask("somebody-elses", PLAIN).await.answer().await;
    assert!(
        head.starts_with("HTTP/1.1 401 "),
        "the session's key alone opens: {head}"
    );
    assert!(
        !home.path().join(".local").exists(),
        "no state, so no admin socket"
    );
    let (code, said) = agent.end().await;
    assert_eq!(code, Some(3));
    assert_eq!(
        said,
        format!(
            "outrigger: tenant default: 2 requests, 1 refused, {input} input and {output} output tokens\n"
        )
    );
}

#[tokio::test]
async fn what_outlives_the_agent_is_cut_and_counted() {
    let home = home();
    let agent = Agent::start(&home, &["--simulate"], "read line").await;
    let body = r#"{"model":"m+sim-fault-stall","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
    let mut caller = agent.ask(&agent.key, body).await;
    caller.sees("data: {").await;
    let (code, said) = agent.end().await;
    assert_eq!(code, Some(0));
    assert!(said.contains(": 1 request, 0 refused, "), "{said}");
    let got = text(&caller.rest().await);
    assert!(got.contains("\"code\":\"cut\""), "{got}");
}

#[tokio::test]
async fn of_several_tenants_one_must_be_named() {
    let home = home();
    let path = home.path().join("outrigger.toml");
    let mut file = std::fs::File::create(&path).expect("a file");
    let (one, two) = (crate::stage::hash_of("one"), crate::stage::hash_of("two"));
    write!(
        file,
        "[identity]\naccept = [\"key\"]\n[upstreams.openai]\ndialect = \"openai\"\nurl = \"http://127.0.0.1:1\"\n\
         [tenants.one]\nkeys = [\"{one}\"]\n[tenants.two]\nkeys = [\"{two}\"]\n"
    )
    .expect("a file");
    let mut command = outrigger(home.path());
    command.args(["run", "--simulate", "--", "true"]);
    let refused = output(&mut command).await;
    assert_eq!(refused.status.code(), Some(64), "{refused:?}");
    assert!(text(&refused.stderr).contains("--tenant"), "{refused:?}");

    let agent = Agent::start(&home, &["--simulate", "--tenant", "two"], "read line").await;
    let (head, _) = agent.ask(&agent.key, PLAIN).await.answer().await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let (head, _) = agent.ask("one", PLAIN).await.answer().await;
    assert!(
        head.starts_with("HTTP/1.1 401 "),
        "another tenant's key does not open this session: {head}"
    );
    let (code, said) = agent.end().await;
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.starts_with("outrigger: tenant two: 2 requests, 1 refused, "),
        "{said}"
    );

    let mut command = outrigger(home.path());
    command.args(["run", "--simulate", "--tenant", "three", "--", "true"]);
    let refused = output(&mut command).await;
    assert_ne!(
        refused.status.code(),
        Some(0),
        "nobody is called so: {refused:?}"
    );
}

#[tokio::test]
async fn a_changed_configuration_holds_for_a_running_agent_which_is_told_nothing() {
    let home = home();
    let file = home.path().join("outrigger.toml");
    let text = |rule: &str, queue: u32| {
        format!(
            "[reload]\npoll = \"off\"\n[listen]\nproxy = \"127.0.0.1:{queue}\"\n[upstreams.openai]\ndialect = \"openai\"\n\
             url = \"http://127.0.0.1:9\"\n[tenants.acme]\npolicy = \"p\"\n[policies.p]\n{rule}\n"
        )
    };
    std::fs::write(&file, text("models.allow = [\"m\"]", 1)).expect("a file");
    let agent = Agent::start(&home, &["--simulate"], "read line; exit 3").await;
    let status = async || agent.ask(&agent.key, PLAIN).await.answer().await.0[9..12].to_owned();
    assert_eq!(status().await, "200");
    // The address written there is not this sidecar's, and nothing waits for a restart.
    std::fs::write(&file, text("models.deny = [\"m\"]", 2)).expect("a file");
    within("the new rule", async { while status().await != "403" {} }).await;
    std::fs::write(&file, "listen = 1").expect("a file");
    std::fs::write(&file, text("models.allow = [\"m\"]", 3)).expect("a file");
    within("the old rule", async { while status().await != "200" {} }).await;
    let (code, said) = agent.end().await;
    assert_eq!(code, Some(3), "{said}");
    assert!(!said.contains("restart"), "{said}");
}
