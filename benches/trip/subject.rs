//! What is measured: nothing in between, the bare proxy, other people's proxies, or Outrigger with everything on.
//!
//! It owns how each is started and that none outlives the bench. It must never give a subject more or less to do
//! than its column says.

mod everything;
mod kind;
mod others;

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

pub(crate) use self::kind::{Books, Kind};
use crate::wires::{self, Wires};
use crate::{bare, observe};

/// Where things are and how to start them.
#[derive(Debug)]
pub(crate) struct Launcher {
    /// The upstream's address.
    pub(crate) upstream: SocketAddr,
    pub(crate) wires: Wires,
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
        let (command, log) = match (kind, &self.third) {
            (Kind::Direct, _) => return Ok(Subject::direct(self.upstream)),
            (Kind::Bare, _) | (Kind::Outrigger, Third::Twin) => {
                (self.bare(&ready_file, under)?, None)
            }
            (Kind::Nginx | Kind::Haproxy, _) => return self.other(kind, under),
            (
                Kind::Outrigger | Kind::Budgets | Kind::Journal | Kind::Strict,
                Third::Outrigger(path),
            ) => {
                let (command, log) = self.outrigger(kind, path, &ready_file, under)?;
                (command, Some(log))
            }
            (Kind::Budgets | Kind::Journal | Kind::Strict, Third::Twin) => {
                return Err(io::Error::other("a twin keeps no books"));
            }
        };
        let mut subject = Subject::started(kind, command, self.upstream)?;
        subject.log = log;
        subject.words = self.words_of(kind);
        subject.wait_until_ready(&ready_file, under.patience())?;
        Ok(subject)
    }

    /// nginx or `HAProxy`, which say nothing when they are ready: it is when somebody is let in.
    fn other(&self, kind: Kind, under: Under<'_>) -> io::Result<Subject> {
        let path = observe::find(kind.name())
            .ok_or_else(|| io::Error::other(format!("{} is not installed", kind.name())))?;
        let place = others::Place {
            upstream: self.upstream,
            wires: self.wires,
            listen: others::free_address()?,
            dir: &self.dir,
            authority: self.authority()?,
        };
        let words = self.dir.join(format!("{}.log", kind.name()));
        let (mut command, processes) = match (kind, under) {
            (Kind::Nginx, Under::Nothing) => (place.nginx(&path, under)?, 1 + bare::workers()?),
            (Kind::Nginx, Under::Callgrind { .. }) => (place.nginx(&path, under)?, 1),
            _ => (place.haproxy(&path, under)?, 1),
        };
        let file = File::create(&words)?;
        command.stdout(file.try_clone()?).stderr(file);
        let mut subject = Subject::started(kind, command, place.listen)?;
        subject.words = words;
        subject.wait_until_open(processes, under.patience())?;
        Ok(subject)
    }

    fn bare(&self, ready_file: &Path, under: Under<'_>) -> io::Result<Command> {
        let mut command = program(&std::env::current_exe()?, under);
        command
            .args(["bare", "--listen", "127.0.0.1:0", "--upstream"])
            .arg(self.upstream.to_string())
            .args(
                self.wires
                    .side()
                    .iter()
                    .flat_map(|side| ["--h2", side.name()]),
            )
            .args(self.wires.tls.then_some("--tls"))
            .arg("--ready-file")
            .arg(ready_file)
            // What Outrigger does to itself with `mallopt`.
            .env("MALLOC_ARENA_MAX", "2");
        Ok(command)
    }

    /// Who signed the upstream's certificate, as a file.
    fn authority(&self) -> io::Result<PathBuf> {
        let path = self.dir.join("authority.pem");
        std::fs::write(&path, wires::AUTHORITY)?;
        Ok(path)
    }

    /// What an Outrigger says, beside its config.
    fn words_of(&self, kind: Kind) -> PathBuf {
        self.dir.join(format!("{}.log", kind.name()))
    }

    fn outrigger(
        &self,
        kind: Kind,
        path: &Path,
        ready_file: &Path,
        under: Under<'_>,
    ) -> io::Result<(Command, File)> {
        let config = self.dir.join(format!("{}.toml", kind.name()));
        let books = kind.books().unwrap_or(Books::None);
        let to = (self.upstream, self.wires);
        let text = everything::config_text(to, &self.authority()?, self.tenants, books);
        std::fs::write(&config, text)?;
        let state = self.dir.join(format!("{}.state", kind.name()));
        if state.exists() {
            std::fs::remove_dir_all(&state)?;
        }
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .read(true)
            .open(self.words_of(kind))?;
        log.set_len(0)?;
        let mut command = program(path, under);
        command
            .args(["serve", "--config"])
            .arg(&config)
            .arg("--state")
            .arg(&state)
            .arg("--ready-file")
            .arg(ready_file)
            .stdout(Stdio::null())
            .stderr(log.try_clone()?);
        Ok((command, log))
    }
}

impl Under<'_> {
    /// How long a start may take.
    fn patience(self) -> Duration {
        match self {
            Self::Nothing => Duration::from_secs(10),
            Self::Callgrind { .. } => Duration::from_mins(2),
        }
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
    /// The child first, then the processes that it made.
    family: Vec<Pid>,
    /// Its request log.
    log: Option<File>,
    logged: u64,
    /// Where its complaints go.
    words: PathBuf,
}

impl Subject {
    fn direct(upstream: SocketAddr) -> Self {
        Self {
            kind: Kind::Direct,
            address: upstream,
            telemetry: None,
            child: None,
            family: Vec::new(),
            log: None,
            logged: 0,
            words: PathBuf::new(),
        }
    }

    fn started(kind: Kind, mut command: Command, address: SocketAddr) -> io::Result<Self> {
        let child = command.stdin(Stdio::null()).spawn().map_err(|error| {
            io::Error::other(format!(
                "cannot start `{}`: {error}",
                command.get_program().display()
            ))
        })?;
        Ok(Self {
            kind,
            address,
            telemetry: None,
            family: vec![observe::pid_of(&child)?],
            child: Some(child),
            log: None,
            logged: 0,
            words: PathBuf::new(),
        })
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

    /// Its processes; none when there is nothing in between.
    pub(crate) fn family(&self) -> &[Pid] {
        &self.family
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
        // nginx ends after its workers.
        self.family.clear();
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
            self.must_live(begun, patience)?;
            std::thread::sleep(Duration::from_micros(100));
        }
    }

    /// Until it takes connections and has made all of its processes.
    fn wait_until_open(&mut self, processes: usize, patience: Duration) -> io::Result<()> {
        let begun = Instant::now();
        let child = self.family.clone();
        loop {
            self.must_live(begun, patience)?;
            if TcpStream::connect(self.address).is_ok() {
                self.family.clone_from(&child);
                for parent in &child {
                    self.family.extend(observe::children(*parent)?);
                }
                if self.family.len() == processes {
                    return Ok(());
                }
            }
            std::thread::sleep(Duration::from_micros(100));
        }
    }

    fn must_live(&mut self, begun: Instant, patience: Duration) -> io::Result<()> {
        let ended = match &mut self.child {
            Some(child) => child.try_wait()?,
            None => None,
        };
        if ended.is_none() && begun.elapsed() <= patience {
            return Ok(());
        }
        Err(io::Error::other(format!(
            "{} is not ready after {:?}; it says: {}",
            self.kind.name(),
            begun.elapsed(),
            self.last_words()
        )))
    }

    fn last_words(&self) -> String {
        std::fs::read_to_string(&self.words).unwrap_or_default()
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // All fail when it has ended already, which is what we want. The parent goes first, so that it makes no more.
            let _ = child.kill();
            for made in self.family.iter().skip(1) {
                let _ = kill(*made, Signal::SIGKILL);
            }
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
