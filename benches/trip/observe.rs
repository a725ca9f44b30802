//! What the kernel and two tracers say about a process: processor time, memory, system calls, instructions.
//!
//! It must never estimate: a fact that cannot be had here is absent, with the reason.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Processor time of all threads of a process, living and ended, user and system.
pub(crate) fn cpu(pid: Pid) -> io::Result<Duration> {
    Ok(nix::time::clock_getcpuclockid(pid)?.now()?.into())
}

/// A line of `/proc/PID/status` in KiB: `VmRSS`, `VmHWM`.
pub(crate) fn memory_kib(pid: Pid, field: &str) -> io::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
        .and_then(|rest| rest.split_ascii_whitespace().next()?.parse().ok())
        .ok_or_else(|| io::Error::other(format!("no `{field}` of process {pid}")))
}

/// Whether a program can be started by this name.
pub(crate) fn is_installed(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// `strace -c -f` on a running process.
#[derive(Debug)]
pub(crate) struct Strace {
    child: Child,
    output: PathBuf,
}

impl Strace {
    /// Returns when every thread is attached.
    pub(crate) fn attach(pid: Pid, output: PathBuf) -> io::Result<Self> {
        let mut child = Command::new("strace")
            .args(["-c", "-f", "-p", &pid.to_string(), "-o"])
            .arg(&output)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        if let Some(stderr) = child.stderr.take() {
            BufReader::new(stderr).read_line(&mut line)?;
        }
        if line.contains(" attached") {
            return Ok(Self { child, output });
        }
        child.wait()?;
        Err(io::Error::other(line.trim().to_owned()))
    }

    /// Calls by name since attaching.
    pub(crate) fn detach(mut self) -> io::Result<BTreeMap<String, u64>> {
        kill(pid_of(&self.child)?, Signal::SIGINT)?;
        self.child.wait()?;
        Ok(parse_counts(&std::fs::read_to_string(&self.output)?))
    }
}

/// Rows of `strace -c`: share, seconds, µs per call, calls, errors if any, name.
fn parse_counts(table: &str) -> BTreeMap<String, u64> {
    let row = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let calls = fields.get(3)?.parse().ok()?;
        let name = fields.last().filter(|name| **name != "total")?;
        Some(((*name).to_owned(), calls))
    };
    table.lines().filter_map(row).collect()
}

/// How to start a program under callgrind; its log tells the instructions when it has ended.
pub(crate) fn under_callgrind(program: &Path, log: &Path, profile: &Path) -> Command {
    let mut command = Command::new("valgrind");
    command
        .arg("--tool=callgrind")
        .arg(format!("--log-file={}", log.display()))
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(program);
    command
}

/// Instructions in user space, out of callgrind's log.
pub(crate) fn instructions(log: &Path) -> io::Result<u64> {
    let text = std::fs::read_to_string(log)?;
    text.lines()
        .find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok())
        .ok_or_else(|| io::Error::other("callgrind did not say how many instructions it saw"))
}

/// A child's id as nix wants it.
pub(crate) fn pid_of(child: &Child) -> io::Result<Pid> {
    let id = i32::try_from(child.id()).map_err(io::Error::other)?;
    Ok(Pid::from_raw(id))
}
