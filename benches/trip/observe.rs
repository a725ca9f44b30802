//! What the kernel and two tracers say about a process: processor time, memory, system calls, instructions.
//!
//! It must never estimate: a fact that cannot be had here is absent, with the reason.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{AccessFlags, Pid};

/// Processor time of all threads of a family, living and ended, user and system; none for nobody.
pub(crate) fn cpu(family: &[Pid]) -> io::Result<Option<Duration>> {
    let mut sum = None;
    for pid in family {
        let own = Duration::from(nix::time::clock_getcpuclockid(*pid)?.now()?);
        sum = Some(sum.unwrap_or(Duration::ZERO) + own);
    }
    Ok(sum)
}

/// A line of `/proc/PID/status` in KiB, added up: `VmRSS`, `VmHWM`. Pages that processes share count for each of them.
pub(crate) fn memory_kib(family: &[Pid], field: &str) -> io::Result<Option<u64>> {
    let mut sum = None;
    for pid in family {
        sum = Some(sum.unwrap_or(0) + status_kib(*pid, field)?);
    }
    Ok(sum)
}

/// The processes that a process has made and that live.
pub(crate) fn children(parent: Pid) -> io::Result<Vec<Pid>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(id) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        // One that has ended meanwhile is no child any more.
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{id}/stat")) else {
            continue;
        };
        // The name in parentheses may hold anything; then the state, then the parent.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let made_by = fields.split_ascii_whitespace().nth(1);
        if made_by.and_then(|id| id.parse().ok()) == Some(parent.as_raw()) {
            found.push(Pid::from_raw(id));
        }
    }
    Ok(found)
}

fn status_kib(pid: Pid, field: &str) -> io::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
        .and_then(|rest| rest.split_ascii_whitespace().next()?.parse().ok())
        .ok_or_else(|| io::Error::other(format!("no `{field}` of process {pid}")))
}

/// Where a program is. Servers are often where only the superuser's shell looks.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(program))
        .find(|path| nix::unistd::access(path, AccessFlags::X_OK).is_ok())
}

/// Whether a program can be started by this name.
pub(crate) fn is_installed(program: &str) -> bool {
    find(program).is_some()
}

/// `strace -c -f` on running processes.
#[derive(Debug)]
pub(crate) struct Strace {
    child: Child,
    output: PathBuf,
}

impl Strace {
    /// Returns when every thread is attached.
    pub(crate) fn attach(family: &[Pid], output: PathBuf) -> io::Result<Self> {
        let mut command = Command::new("strace");
        command.args(["-c", "-f", "-o"]).arg(&output);
        for pid in family {
            command.args(["-p", &pid.to_string()]);
        }
        let mut child = command
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut stderr = child.stderr.take().map(BufReader::new);
        for _ in family {
            let mut line = String::new();
            if let Some(stderr) = &mut stderr {
                stderr.read_line(&mut line)?;
            }
            if !line.contains(" attached") {
                let _ = child.kill();
                child.wait()?;
                return Err(io::Error::other(line.trim().to_owned()));
            }
        }
        Ok(Self { child, output })
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
        .arg("--dump-instr=yes")
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
