//! The binary as a process of its own, in a directory of its own, with an environment that holds nothing of the machine's.
//! Must never leave a process behind.

#![expect(
    clippy::disallowed_methods,
    reason = "a test that waits for a process looks at the clock to give up"
)]

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_outrigger");

/// How long anything may take before a test says that it never will.
const PATIENCE: Duration = Duration::from_secs(20);

/// A directory that is home and working directory of what runs in it.
pub(crate) struct Place {
    directory: TempDir,
    variables: Vec<(String, String)>,
}

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Looks until it is so.
pub(crate) fn until(what: &str, mut so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < PATIENCE, "never: {what}");
        std::thread::yield_now();
    }
}

impl Place {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            directory,
            variables: Vec::new(),
        }
    }

    /// The same place with another environment variable.
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// What was logged by what serves here.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// A program that runs here.
    pub(crate) fn program(&self, program: &str) -> Command {
        let folder = Path::new(BINARY).parent().unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new(program);
        command
            .current_dir(self.directory.path())
            .env_clear()
            .env("PATH", format!("{}:{path}", folder.display()))
            .env("HOME", self.directory.path())
            .envs(self.variables.iter().cloned())
            .stdin(Stdio::null());
        command
    }

    /// Runs the binary to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        Ended::of(self.program(BINARY).args(args).output())
    }

    /// Runs a shell command to its end, both its streams as one.
    pub(crate) fn shell(&self, command: &str) -> Ended {
        let command = format!("exec 2>&1\n{command}");
        Ended::of(self.program("sh").args(["-c", &command]).output())
    }

    /// A key and its hash, as `keys new` prints them.
    pub(crate) fn new_key(&self) -> (String, String) {
        let made = self.run(&["keys", "new"]);
        let word = |name: &str| {
            let mut lines = made.out.lines();
            let line = lines.find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("no {name} in {made:?}"))
                .trim()
                .to_owned()
        };
        (word("key "), word("hash "))
    }

    /// Starts a verb that writes a ready file, and waits until it has.
    pub(crate) fn serve(&self, args: &[&str]) -> Served {
        self.start(self.program(BINARY).args(args), &self.path("log"))
    }

    /// The same, where no more than so many files may be open.
    pub(crate) fn serve_with_files(&self, files: u64, args: &[&str]) -> Served {
        let script = "ulimit -n \"$0\" && exec \"$@\"";
        let files = files.to_string();
        let mut command = self.program("sh");
        let command = command.args(["-c", script, &files, BINARY]).args(args);
        self.start(command, &self.path("log"))
    }

    /// The same, with another file for its log.
    pub(crate) fn serve_into(&self, log: &str, args: &[&str]) -> Served {
        self.start(self.program(BINARY).args(args), Path::new(log))
    }

    fn start(&self, command: &mut Command, log: &Path) -> Served {
        let ready = self.path("ready");
        let log = std::fs::File::create(log).unwrap();
        let child = command
            .arg("--ready-file")
            .arg(&ready)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut served = Served {
            child,
            addresses: String::new(),
        };
        let began = Instant::now();
        loop {
            served.addresses = std::fs::read_to_string(&ready).unwrap_or_default();
            if !served.addresses.is_empty() {
                return served;
            }
            let ended = served.child.try_wait().unwrap();
            let log = || self.log();
            assert!(ended.is_none(), "it ended ({ended:?}): {}", log());
            assert!(began.elapsed() < PATIENCE, "it is not ready: {}", log());
            std::thread::yield_now();
        }
    }
}

impl Ended {
    fn of(output: io::Result<Output>) -> Self {
        let output = output.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            code: output.status.code(),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }
}

/// A process that serves until it is dropped.
pub(crate) struct Served {
    child: Child,
    addresses: String,
}

impl Served {
    /// The address of this listener.
    pub(crate) fn at(&self, name: &str) -> &str {
        let mut lines = self.addresses.lines();
        lines
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
            .unwrap_or_else(|| panic!("no {name} in {}", self.addresses))
    }

    /// Waits for the end it comes to by itself.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        let mut ended = None;
        until("it ends", || {
            ended = self.child.try_wait().unwrap();
            ended.is_some()
        });
        ended.and_then(|status| status.code())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
