//! The child of `outrigger run`: the agent, started, signalled and waited for. Must never run code between fork and
//! exec, nor come between the child and its terminal.

use std::ffi::OsString;
use std::process::{ExitStatus, Stdio};

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

use super::proc::stat_field;
use super::{Error, Signal, Signals};

#[cfg(test)]
mod tests;

/// What to start. The environment is this process's own, with `remove` taken out and then `set` put in.
#[derive(Clone, Debug, Default)]
pub struct Launch {
    /// A path, or a name looked up in `PATH`.
    pub program: OsString,
    /// Its arguments, without the program itself.
    pub args: Vec<OsString>,
    /// Variables to set.
    pub set: Vec<(OsString, OsString)>,
    /// Variables to take out.
    pub remove: Vec<OsString>,
}

/// A running child. It shares stdin, stdout, stderr, process group and terminal with this process.
#[derive(Debug)]
pub struct Child {
    inner: tokio::process::Child,
    pid: Pid,
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(u8),
    /// By this signal.
    Signal(u8),
}

impl Exit {
    /// What to exit with oneself: the code, or 128 and the signal, as shells do.
    pub const fn code(self) -> u8 {
        match self {
            Self::Code(code) => code,
            Self::Signal(number) => 128_u8.saturating_add(number),
        }
    }
}

impl Child {
    /// Starts it. Must run inside a runtime. Begin to listen for signals before, so that none is lost.
    pub fn launch(launch: &Launch) -> Result<Self, Error> {
        let name = launch.program.to_string_lossy().into_owned();
        let mut command = Command::new(&launch.program);
        command.args(&launch.args);
        command
            .stdin(Stdio::inherit())
            .stdout(Stdio::inherit())
            .stderr(Stdio::inherit());
        for variable in &launch.remove {
            command.env_remove(variable);
        }
        command.envs(launch.set.iter().map(|(variable, value)| (variable, value)));
        let inner = command
            .spawn()
            .map_err(|source| not_started(&name, source))?;
        let id = inner.id().and_then(|id| i32::try_from(id).ok());
        let pid = id.ok_or_else(|| Error::new("start", name, Errno::ESRCH.into()))?;
        Ok(Self {
            inner,
            pid: Pid::from_raw(pid),
        })
    }

    /// The child's process id.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Waits for the end, and hands on every signal that arrives meanwhile. As PID 1 it also reaps what the child
    /// left behind.
    ///
    /// What a terminal sends (the keys for INT and QUIT, a change of its size) goes to the whole foreground group, so
    /// the child has it already: while this process is in the foreground those are not handed on. The price: an INT
    /// that somebody sends with kill(1) to this process alone stays here; TERM always gets through.
    pub async fn wait(mut self, signals: &mut Signals) -> Result<Exit, Error> {
        let mut orphans = if nix::unistd::getpid() == INIT {
            let stream = signal(SignalKind::child());
            Some(stream.map_err(|source| Error::new("listen for signal", "SIGCHLD", source))?)
        } else {
            None
        };
        loop {
            tokio::select! {
                status = self.inner.wait() => {
                    let status = status.map_err(|source| Error::new("wait for", "the child", source))?;
                    return Ok(exit(status));
                }
                signal = signals.next() => self.hand_on(signal),
                Some(()) = async { orphans.as_mut()?.recv().await } => reap_orphans(self.pid),
            }
        }
    }

    /// The child cannot have been reaped here, so its number is still its own.
    fn hand_on(&self, signal: Signal) {
        if comes_to_the_group(signal) && in_foreground() {
            return;
        }
        // Fails only if the child is gone, which `wait` is about to tell.
        let _ = kill(self.pid, signal.number());
    }
}

const INIT: Pid = Pid::from_raw(1);

const fn comes_to_the_group(signal: Signal) -> bool {
    match signal {
        Signal::Interrupt | Signal::Quit | Signal::Window => true,
        Signal::Hangup | Signal::Terminate | Signal::User1 | Signal::User2 => false,
    }
}

/// Whether this process is in the foreground of a terminal: its group (field 5 of `/proc/self/stat`) is the terminal's
/// foreground group (field 8; -1 without a terminal). Asked each time, as a shell moves jobs to and fro.
fn in_foreground() -> bool {
    match (stat_field(5), stat_field(8)) {
        (Some(group), Some(foreground)) => group == foreground,
        _ => false,
    }
}

/// Reaps every ended child but `child`, whose status belongs to whoever waits for it. Looking does not reap, so when
/// `child` comes up the rest can stay: it is over then, and the system clears up behind PID 1.
fn reap_orphans(child: Pid) {
    let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    loop {
        match waitid(Id::All, look) {
            Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..)) if pid != child => {
                let _ = waitpid(pid, Some(WaitPidFlag::WNOHANG));
            }
            Err(Errno::EINTR) => {}
            Ok(_) | Err(_) => return,
        }
    }
}

fn exit(status: ExitStatus) -> Exit {
    use std::os::unix::process::ExitStatusExt;
    let number = |raw: i32| u8::try_from(raw).unwrap_or(u8::MAX);
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(number(code)),
        (None, Some(signal)) => Exit::Signal(number(signal)),
        (None, None) => Exit::Code(u8::MAX),
    }
}

fn not_started(name: &str, source: std::io::Error) -> Error {
    let errno = source.raw_os_error();
    let error = Error::new("start", name, source);
    match errno {
        Some(nix::libc::ENOENT) => {
            error.with_hint("no such program; check the spelling and `PATH`")
        }
        Some(nix::libc::EACCES) => error.with_hint("the file is not executable"),
        _ => error,
    }
}
