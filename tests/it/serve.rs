//! The sidecar as a process of its own, for what only a process has: signals, exit codes, files and an environment.
//! Must never find a configuration, or a state directory, of the machine it runs on.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::stage::{Caller, until, within};

/// The program under test, with nothing of the environment that it would look at.
pub(crate) fn outrigger(home: &Path) -> Command {
    bare(Command::new(program()), home)
}

/// The same behind a shell that does something first, in user and mount namespaces of its own, where it is root.
/// None, said aloud, where the machine does not allow that.
pub(crate) fn outrigger_behind(script: &str, home: &Path) -> Option<Command> {
    let shell = ["--user", "--map-root-user", "--mount", "sh", "-ec"];
    let allowed = std::process::Command::new("unshare")
        .args(shell)
        .arg("true")
        .output()
        .is_ok_and(|output| output.status.success());
    if !allowed {
        eprintln!("SKIPPED: no user namespaces here (`unshare --user --mount`)");
        return None;
    }
    let mut command = bare(Command::new("unshare"), home);
    command
        .args(shell)
        .arg(format!("{script}\nexec \"$0\" \"$@\""));
    command.arg(program());
    Some(command)
}

/// The long tests are for the program as it is released.
fn program() -> std::ffi::OsString {
    let built = env!("CARGO_BIN_EXE_outrigger");
    std::env::var_os("OUTRIGGER_UNDER_TEST").unwrap_or_else(|| built.into())
}

pub(crate) fn bare(mut command: Command, home: &Path) -> Command {
    for name in [
        "OUTRIGGER_CONFIG",
        "STATE_DIRECTORY",
        "XDG_CONFIG_HOME",
        "XDG_STATE_HOME",
        "OPENAI_API_KEY",
        "ANTHROPIC_API_KEY",
        "NO_PROXY",
        "no_proxy",
        "OUTRIGGER_LOG_FORMAT",
        "RUST_BACKTRACE",
    ] {
        command.env_remove(name);
    }
    command
        .env("HOME", home)
        .current_dir(home)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// A `serve` that runs.
pub(crate) struct Served {
    pub(crate) home: TempDir,
    pub(crate) proxy: SocketAddr,
    pub(crate) telemetry: SocketAddr,
    child: Child,
    log: PathBuf,
    /// What has to be there for as long as it runs.
    kept: Vec<TempDir>,
}

impl Served {
    /// Starts it with that configuration (which has to say `telemetry = "127.0.0.1:0"`), and waits until it is ready.
    pub(crate) async fn start(config: &str) -> Self {
        Self::start_with(config, &[]).await
    }

    /// The same, with variables in its environment.
    pub(crate) async fn start_with(config: &str, variables: &[(&str, &Path)]) -> Self {
        let home = TempDir::new().expect("a directory");
        std::fs::write(home.path().join("outrigger.toml"), config).expect("a file");
        let mut command = outrigger(home.path());
        command.envs(variables.iter().copied());
        Self::start_in(home, command).await
    }

    /// Starts that command as a `serve` in a home that has an `outrigger.toml`.
    pub(crate) async fn start_in(home: TempDir, mut command: Command) -> Self {
        let log = home.path().join("log");
        let ready = home.path().join("ready");
        let mut child = command
            .args([
                "serve",
                "--config",
                "outrigger.toml",
                "--state",
                "state",
                "--ready-file",
                "ready",
            ])
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).expect("a file"))
            .spawn()
            .expect("the program");
        until("the ready file", || {
            let ended = child.try_wait().expect("a child");
            assert!(
                ended.is_none(),
                "it did not start: {}",
                std::fs::read_to_string(&log).unwrap_or_default()
            );
            ready.exists()
        })
        .await;
        let text = std::fs::read_to_string(&ready).expect("a ready file");
        let at = |name: &str| {
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            line.unwrap_or_else(|| panic!("no `{name}` in {text}"))
                .parse()
                .expect("an address")
        };
        Self {
            proxy: at("proxy"),
            telemetry: at("telemetry"),
            home,
            child,
            log,
            kept: Vec::new(),
        }
    }

    /// Keeps a directory until it ends.
    pub(crate) fn keeps(&mut self, directory: TempDir) {
        self.kept.push(directory);
    }

    /// A line of the ready file.
    pub(crate) fn at(&self, name: &str) -> SocketAddr {
        let text = std::fs::read_to_string(self.home.path().join("ready")).expect("a ready file");
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.unwrap_or_else(|| panic!("no `{name}` in {text}"))
            .parse()
            .expect("an address")
    }

    pub(crate) fn pid(&self) -> Pid {
        let id = self.child.id().expect("a running child");
        Pid::from_raw(i32::try_from(id).expect("an id"))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("a running child");
    }

    /// Waits for its end.
    pub(crate) async fn end(&mut self) -> ExitStatus {
        within("the process to end", self.child.wait())
            .await
            .expect("a child")
    }

    /// All lines of its log so far.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.log).expect("a log");
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
            .collect()
    }

    /// The request lines among them.
    pub(crate) fn requests(&self) -> Vec<Value> {
        let mut lines = self.lines();
        lines.retain(|line| line["message"] == "request");
        lines
    }

    /// A page of its telemetry: the head, and the body.
    pub(crate) async fn page(&self, path: &str) -> (String, String) {
        let mut caller = Caller::connect(self.telemetry).await;
        caller
            .send(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes())
            .await;
        caller.answer().await
    }

    /// Waits until a page of its metrics has all of these lines.
    pub(crate) async fn shows(&self, lines: &[&str]) -> String {
        within(&format!("{lines:?}"), async {
            loop {
                let page = self.page("/metrics").await.1;
                if lines
                    .iter()
                    .all(|line| page.contains(&format!("\n{line}\n")))
                {
                    return page;
                }
            }
        })
        .await
    }

    /// `outrigger ctl` on its socket.
    pub(crate) async fn ctl(&self, verb: &str) -> Output {
        let mut command = outrigger(self.home.path());
        command.args(["ctl", "--json", "--state", "state", verb]);
        within("ctl", command.output()).await.expect("the program")
    }
}
