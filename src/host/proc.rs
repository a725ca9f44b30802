//! What the kernel knows about this process, for the metrics page. Must never read anybody else's `/proc`.

use std::time::Duration;

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use nix::unistd::{SysconfVar, sysconf};

use super::{SystemClock, tasks};
use crate::units::{Clock, Wall};

/// A reading. What the system does not tell is `None` and is not rendered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessFacts {
    /// Resident memory, in bytes.
    pub resident_bytes: Option<u64>,
    /// Open descriptors.
    pub open_fds: Option<u64>,
    /// How many descriptors may be open.
    pub max_fds: Option<u64>,
    /// Processor time used, user and system.
    pub cpu: Option<Duration>,
    /// When the process started.
    pub started: Option<Wall>,
    /// Tasks alive, by name.
    pub tasks: Vec<(&'static str, u64)>,
}

impl ProcessFacts {
    /// Reads them now; a few small files, well under a millisecond. Works in a non-dumpable process too.
    pub fn read() -> Self {
        Self {
            resident_bytes: super::memory::resident(),
            open_fds: open_fds(),
            max_fds: getrlimit(Resource::RLIMIT_NOFILE)
                .ok()
                .map(|(soft, _)| soft),
            cpu: cpu(),
            started: started(),
            tasks: tasks::alive(),
        }
    }
}

fn open_fds() -> Option<u64> {
    let count = std::fs::read_dir("/proc/self/fd").ok()?.count();
    // The directory itself was open while it was counted.
    u64::try_from(count.saturating_sub(1)).ok()
}

fn cpu() -> Option<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    let micros = [usage.user_time(), usage.system_time()]
        .into_iter()
        .map(|time| {
            let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
            let micros = u64::try_from(time.tv_usec()).unwrap_or(0);
            seconds.saturating_mul(1_000_000).saturating_add(micros)
        })
        .fold(0, u64::saturating_add);
    Some(Duration::from_micros(micros))
}

/// The kernel counts from boot in clock ticks; the wall clock now, minus the age, is when the process started.
fn started() -> Option<Wall> {
    let ticks = stat_field(22)?.parse::<u64>().ok()?;
    let per_second = u64::try_from(sysconf(SysconfVar::CLK_TCK).ok()??).ok()?;
    let since_boot = ticks.checked_mul(1_000)?.checked_div(per_second)?;
    let age = (SystemClock.boot().0 / 1_000_000).checked_sub(since_boot)?;
    SystemClock.wall().0.checked_sub(age).map(Wall)
}

/// A field of `/proc/self/stat`, numbered from 1 as in proc(5). The second, the program's name, may hold spaces and
/// parentheses, so counting starts behind the last closing one.
pub(super) fn stat_field(number: usize) -> Option<String> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    rest.split_ascii_whitespace()
        .nth(number.checked_sub(3)?)
        .map(str::to_owned)
}
