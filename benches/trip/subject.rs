//! What is measured: nothing in between, the bare proxy, or Outrigger with everything on.
//!
//! It owns how each is started, with which config, and that none outlives the bench. It must never start
//! Outrigger with less than everything: a key among 100 tenants, 20 rules, limits, request log, metrics.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{observe, traffic};

/// The three that are compared.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, ValueEnum)]
pub(crate) enum Kind {
    Direct,
    Bare,
    Outrigger,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Direct, Self::Bare, Self::Outrigger];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Bare => "bare",
            Self::Outrigger => "outrigger",
        }
    }
}

/// Where things are and how to start them.
#[derive(Debug)]
pub(crate) struct Launcher {
    /// The upstream's address.
    pub(crate) upstream: SocketAddr,
    pub(crate) third: Third,
    /// Tenants in Outrigger's config; those past the ones that speak only have to be read.
    pub(crate) tenants: usize,
    /// A directory of this run alone.
    pub(crate) dir: PathBuf,
}

/// What runs in Outrigger's place.
#[derive(Clone, Debug)]
pub(crate) enum Third {
    /// Outrigger: this program.
    Outrigger(PathBuf),
    /// Another bare proxy, to see what the harness can tell apart.
    Twin,
}

/// Whether a program is started as it is, or counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Under<'a> {
    Nothing,
    Callgrind { log: &'a Path, profile: &'a Path },
}

impl Launcher {
    /// Starts a subject and waits until it says that it is ready.
    pub(crate) fn launch(&self, kind: Kind, under: Under<'_>) -> io::Result<Subject> {
        let ready_file = self.dir.join("ready");
        let _ = std::fs::remove_file(&ready_file);
        let (mut command, log) = match (kind, &self.third) {
            (Kind::Direct, _) => return Ok(Subject::direct(self.upstream)),
            (Kind::Bare, _) | (Kind::Outrigger, Third::Twin) => {
                (self.bare(&ready_file, under)?, None)
            }
            (Kind::Outrigger, Third::Outrigger(path)) => {
                let (command, log) = self.outrigger(path, &ready_file, under)?;
                (command, Some(log))
            }
        };
        let patience = match under {
            Under::Nothing => Duration::from_secs(10),
            Under::Callgrind { .. } => Duration::from_mins(2),
        };
        let child = command.stdin(Stdio::null()).spawn().map_err(|error| {
            io::Error::other(format!(
                "cannot start `{}`: {error}",
                command.get_program().display()
            ))
        })?;
        let mut subject = Subject {
            kind,
            address: self.upstream,
            telemetry: None,
            child: Some(child),
            log,
            logged: 0,
        };
        subject.wait_until_ready(&ready_file, patience)?;
        Ok(subject)
    }

    fn bare(&self, ready_file: &Path, under: Under<'_>) -> io::Result<Command> {
        let mut command = program(&std::env::current_exe()?, under);
        command
            .args(["bare", "--listen", "127.0.0.1:0", "--upstream"])
            .arg(self.upstream.to_string())
            .arg("--ready-file")
            .arg(ready_file)
            // What Outrigger does to itself with `mallopt`.
            .env("MALLOC_ARENA_MAX", "2");
        Ok(command)
    }

    fn outrigger(
        &self,
        path: &Path,
        ready_file: &Path,
        under: Under<'_>,
    ) -> io::Result<(Command, File)> {
        let config = self.dir.join("outrigger.toml");
        std::fs::write(&config, config_text(self.upstream, self.tenants))?;
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .read(true)
            .open(self.dir.join("outrigger.log"))?;
        log.set_len(0)?;
        let mut command = program(path, under);
        command
            .args(["serve", "--config"])
            .arg(&config)
            .arg("--ready-file")
            .arg(ready_file)
            .stdout(Stdio::null())
            .stderr(log.try_clone()?);
        Ok((command, log))
    }
}

fn program(path: &Path, under: Under<'_>) -> Command {
    match under {
        Under::Nothing => Command::new(path),
        Under::Callgrind { log, profile } => observe::under_callgrind(path, log, profile),
    }
}

/// A started subject; killed when dropped.
#[derive(Debug)]
pub(crate) struct Subject {
    kind: Kind,
    address: SocketAddr,
    telemetry: Option<SocketAddr>,
    child: Option<Child>,
    log: Option<File>,
    logged: u64,
}

impl Subject {
    fn direct(upstream: SocketAddr) -> Self {
        Self {
            kind: Kind::Direct,
            address: upstream,
            telemetry: None,
            child: None,
            log: None,
            logged: 0,
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Where to send requests.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where `/metrics` is, if the subject has it.
    pub(crate) fn telemetry(&self) -> Option<SocketAddr> {
        self.telemetry
    }

    /// The process; none when there is nothing in between.
    pub(crate) fn pid(&self) -> io::Result<Option<Pid>> {
        self.child.as_ref().map(observe::pid_of).transpose()
    }

    /// Counts the lines of the request log and empties the file, which would grow to gigabytes.
    pub(crate) fn drain_log(&mut self) -> io::Result<()> {
        let Some(log) = &mut self.log else {
            return Ok(());
        };
        log.rewind()?;
        let mut buffer = vec![0; 256 * 1024];
        loop {
            let count = log.read(&mut buffer)?;
            let lines = memchr::memchr_iter(b'\n', buffer.get(..count).unwrap_or_default()).count();
            self.logged += u64::try_from(lines).unwrap_or(0);
            if count == 0 {
                return log.set_len(0);
            }
        }
    }

    /// Lines of the request log so far; none when the subject has none.
    pub(crate) fn logged(&self) -> Option<u64> {
        self.log.as_ref().map(|_| self.logged)
    }

    /// Asks it to end and waits; callgrind writes its sum on the way.
    pub(crate) fn stop(mut self, patience: Duration) -> io::Result<()> {
        let Some(child) = &mut self.child else {
            return Ok(());
        };
        kill(observe::pid_of(child)?, Signal::SIGTERM)?;
        let begun = Instant::now();
        while child.try_wait()?.is_none() {
            if begun.elapsed() > patience {
                return Err(io::Error::other(format!(
                    "{} did not end within {patience:?} of SIGTERM",
                    self.kind.name()
                )));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// The ready file is complete with its last line end; `proxy=` must be in it, `telemetry=` may be.
    fn wait_until_ready(&mut self, ready_file: &Path, patience: Duration) -> io::Result<()> {
        let begun = Instant::now();
        loop {
            let text = std::fs::read_to_string(ready_file).unwrap_or_default();
            if text.ends_with('\n') {
                self.telemetry = address_of(&text, "telemetry=");
                self.address = address_of(&text, "proxy=").ok_or_else(|| {
                    io::Error::other(format!("no `proxy=` in the ready file: {text}"))
                })?;
                return Ok(());
            }
            let ended = match &mut self.child {
                Some(child) => child.try_wait()?,
                None => None,
            };
            if ended.is_some() || begun.elapsed() > patience {
                return Err(io::Error::other(format!(
                    "{} is not ready after {:?}; it says: {}",
                    self.kind.name(),
                    begun.elapsed(),
                    self.last_words()
                )));
            }
            std::thread::sleep(Duration::from_micros(100));
        }
    }

    fn last_words(&mut self) -> String {
        let mut text = String::new();
        if let Some(log) = &mut self.log {
            let _ = log.rewind();
            let _ = log.read_to_string(&mut text);
        }
        text
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Both fail when it has ended already, which is what we want.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn address_of(ready: &str, name: &str) -> Option<SocketAddr> {
    ready
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|value| value.trim().parse().ok())
}

/// Everything on: see the head of this file.
fn config_text(upstream: SocketAddr, tenants: usize) -> String {
    let rules: Vec<String> = (1..20)
        .map(|number| format!("\"vendor-{number:02}-*\""))
        .chain(["\"gpt-5.6-mini-*\"".to_owned()])
        .collect();
    let mut text = format!(
        r#"[listen]
proxy = "127.0.0.1:0"
telemetry = "127.0.0.1:0"
admin = "off"

[identity]
accept = ["key"]

[upstreams.openai]
dialect = "openai"
url = "http://{upstream}"
key = "{}"

[policies.bench]
models.allow = [{}]

[log]
format = "json"
"#,
        traffic::UPSTREAM_KEY,
        rules.join(", "),
    );
    for tenant in 0..tenants.max(traffic::TENANTS) {
        let key = traffic::tenant_key(tenant);
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            r#"
[tenants.t{tenant:02}]
policy = "bench"
keys = ["sha256:{}"]
limits = {{ requests = "1000k/s", tokens = "1000M/min", streams = 10000 }}
"#,
            hex_of_hash(&key),
        );
    }
    text
}

fn hex_of_hash(key: &str) -> String {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key.as_bytes());
    hash.as_ref().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
