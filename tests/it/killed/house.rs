//! Where a sidecar lives, again and again, and what its disk is like. Must never touch a disk that is not its own.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use outrigger::units::NanoUsd;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::TENANTS;
use crate::serve::{bare, outrigger};
use crate::stage::{hash_of, until, within};

/// What the disk is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disk {
    Fine,
    /// A file system of its own that has no room beyond what the journal took when it began: less than it leaves free for others.
    Full,
    /// Every few writes and every sync take their time.
    Slow,
    /// Some writes and some syncs fail.
    Failing,
}

impl Disk {
    /// How many call at once: where the disk is full, more than it has room for the ends of.
    pub(super) const fn callers(self) -> usize {
        match self {
            Self::Full => 100,
            Self::Fine | Self::Slow | Self::Failing => 12,
        }
    }

    /// So many kills, and then another journal: each is read from its beginning after every kill, and must fit on its disk.
    pub(super) const fn kills_each(self) -> u64 {
        match self {
            Self::Full => 12,
            Self::Fine | Self::Slow | Self::Failing => 25,
        }
    }

    /// How long it is called at least, and at most beyond that, before it is killed.
    pub(super) const fn span(self) -> (u64, u64) {
        match self {
            Self::Fine => (20, 400),
            Self::Full | Self::Slow | Self::Failing => (400, 1_100),
        }
    }

    /// What `strace` does to the system calls of the sidecar.
    pub(super) const fn injected(self) -> &'static [&'static str] {
        match self {
            Self::Fine | Self::Full => &[],
            Self::Slow => &[
                "pwrite64:delay_enter=20000:when=9+9",
                "fdatasync:delay_exit=50000",
            ],
            Self::Failing => &[
                "pwrite64:error=EIO:when=60+40",
                "fdatasync:error=EIO:when=15+5",
            ],
        }
    }
}

/// Holds a file system for as long as it lives, in namespaces of its own.
pub(super) struct Keeper(std::process::Child);

impl Keeper {
    /// None, said aloud, where the machine does not allow that.
    pub(super) fn mount(at: &Path) -> Option<Self> {
        let mut child = std::process::Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-ec"])
            .arg("mount -t tmpfs -o size=67m,mode=700 tmpfs \"$0\"; echo mounted; exec cat")
            .arg(at)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut line = String::new();
        let said = child.stdout.take().expect("it is piped");
        let read = BufReader::new(said).read_line(&mut line);
        let keeper = Self(child);
        if read.is_ok() && line == "mounted\n" {
            return Some(keeper);
        }
        eprintln!("SKIPPED: no file system can be mounted here (`unshare --user --mount`)");
        None
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// Where a sidecar lives, again and again.
pub(super) struct House {
    home: TempDir,
    pub(super) disk: Disk,
    keeper: Option<Keeper>,
    upstream: SocketAddr,
}

impl House {
    /// None, said aloud, where the machine has no such disk.
    pub(super) fn build(disk: Disk, upstream: SocketAddr) -> Option<Self> {
        let home = TempDir::new().expect("a directory");
        let state = home.path().join("state");
        std::fs::create_dir(&state).expect("a directory");
        let keeper = match disk {
            Disk::Full => Some(Keeper::mount(&state)?),
            Disk::Fine | Disk::Slow | Disk::Failing => None,
        };
        if !disk.injected().is_empty() && !can_trace() {
            eprintln!("SKIPPED: system calls cannot be tampered with here (`strace`)");
            return None;
        }
        Some(Self {
            home,
            disk,
            keeper,
            upstream,
        })
    }

    pub(super) fn configure(&self, mode: &str) {
        let tenant = |name: &&str| {
            format!(
                "[tenants.{name}]\nkeys = [\"{}\"]\nbudgets.all = {{ amount = \"100000000 USD\", per = \"total\" }}\n\
                 budgets.each = {{ amount = \"1000 USD\", per = \"total\", scope = \"session\" }}\n",
                hash_of(name)
            )
        };
        let tenants: String = TENANTS.iter().map(tenant).collect();
        // Where room is short, an end may need much of it.
        let payload = if self.disk == Disk::Full { 48 } else { 3 };
        let text = format!(
            "[listen]\nproxy = \"127.0.0.1:0\"\ntelemetry = \"off\"\n[identity]\naccept = [\"key\"]\n\
             [log]\nrequests = \"off\"\n[journal]\nmode = \"{mode}\"\npayload = \"{payload}KiB\"\n\
             [upstreams.openai]\ndialect = \"openai\"\nurl = \"http://{}\"\nkey = \"provider\"\n\
             [prices.models.\"openai/m\"]\ninput = \"1000\"\noutput = \"2000\"\n{tenants}",
            self.upstream
        );
        std::fs::write(self.home.path().join("outrigger.toml"), text).expect("a file");
    }

    /// The program where its disk is.
    pub(super) fn program(&self, wrapped: &[&str]) -> Command {
        let plain = outrigger(self.home.path());
        let mut around: Vec<String> = Vec::new();
        if let Some(keeper) = &self.keeper {
            let target = keeper.0.id().to_string();
            let enter = ["nsenter", "--user", "--mount", "--preserve-credentials"];
            around.extend(enter.map(Into::into));
            // A working directory of outside would not have the file system in it.
            let there = ["sh", "-ec", "cd \"$0\"; exec \"$@\""].map(Into::into);
            around.extend(["--target".into(), target].into_iter().chain(there));
            around.push(self.home.path().display().to_string());
        }
        around.extend(wrapped.iter().map(|word| (*word).to_owned()));
        let Some((first, rest)) = around.split_first() else {
            return plain;
        };
        let mut command = bare(Command::new(first), self.home.path());
        command.args(rest).arg(plain.as_std().get_program());
        command
    }

    pub(super) fn begin(&self, disk: Disk) -> Child {
        _ = std::fs::remove_file(self.home.path().join("ready"));
        let mut wrapped = Vec::new();
        let injected: Vec<String> = disk
            .injected()
            .iter()
            .map(|what| format!("inject={what}"))
            .collect();
        if !injected.is_empty() {
            // As its grandchild, so that the sidecar is the child that is killed.
            wrapped.extend([
                "strace",
                "-D",
                "-f",
                "--seccomp-bpf",
                "-qqq",
                "-o",
                "/dev/null",
            ]);
            wrapped.extend(["-e", "trace=pwrite64,fdatasync"]);
            wrapped.extend(injected.iter().flat_map(|what| ["-e", what]));
        }
        let log = std::fs::File::create(self.home.path().join("log")).expect("a file");
        self.program(&wrapped)
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
            .stderr(log)
            .spawn()
            .expect("the program")
    }

    /// Waits until it is ready; or the disk failed it before.
    pub(super) async fn ready(&self, child: &mut Child) -> Option<SocketAddr> {
        let ready = self.home.path().join("ready");
        let mut failed = false;
        until("the ready file", || {
            let ended = child.try_wait().expect("a child");
            let log = std::fs::read_to_string(self.home.path().join("log"));
            let log = log.unwrap_or_default();
            failed = ended.is_some() && self.disk == Disk::Failing && log.contains("EIO");
            assert!(ended.is_none() || failed, "it did not start: {log}");
            failed || ready.exists()
        })
        .await;
        if failed {
            return None;
        }
        let text = std::fs::read_to_string(&ready).expect("a ready file");
        let at = text.lines().find_map(|line| line.strip_prefix("proxy="));
        Some(at.expect("an address").parse().expect("an address"))
    }

    /// The journal, as this process sees it.
    pub(super) fn journal(&self) -> PathBuf {
        let state = self.home.path().join("state/journal");
        let Some(keeper) = &self.keeper else {
            return state;
        };
        let root = PathBuf::from(format!("/proc/{}/root", keeper.0.id()));
        root.join(state.strip_prefix("/").expect("an absolute path"))
    }

    /// Whether the program itself finds the journal valid, with the checkpoints that were kept elsewhere.
    pub(super) async fn verifies(&self, elsewhere: &str) {
        std::fs::write(self.home.path().join("elsewhere"), elsewhere).expect("a file");
        let mut command = self.program(&[]);
        command.args([
            "audit",
            "--state",
            "state",
            "verify",
            "--checkpoint",
            "elsewhere",
        ]);
        let output = within("the verdict", command.output()).await;
        let output = output.expect("the program");
        assert!(output.status.success(), "{output:?}");
    }

    /// What each tenant has spent, and holds, as the sidecar says.
    pub(super) async fn spent(&self) -> HashMap<String, (NanoUsd, NanoUsd)> {
        let mut command = self.program(&[]);
        command.args(["budget", "show", "--json", "--state", "state"]);
        let output = within("the budgets", command.output())
            .await
            .expect("the program");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut spent = HashMap::new();
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).expect("a document");
            let amount = |name: &str| {
                let text = line[name].as_str().expect("an amount");
                NanoUsd::parse(text).expect("an amount")
            };
            if line["budget"] == "all" {
                let tenant = line["tenant"].as_str().expect("a name").to_owned();
                spent.insert(tenant, (amount("spent_usd"), amount("held_usd")));
            }
        }
        assert_eq!(
            spent.len(),
            TENANTS.len(),
            "{text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        spent
    }
}

pub(super) fn can_trace() -> bool {
    let mut traced = std::process::Command::new("strace");
    traced.args([
        "-D",
        "-f",
        "--seccomp-bpf",
        "-qqq",
        "-o",
        "/dev/null",
        "-e",
        "trace=fdatasync",
        "true",
    ]);
    traced.output().is_ok_and(|output| output.status.success())
}
