//! Threads that give way: work that nobody waits for must not take the processor from those who serve. Must never starve
//! such a thread: who cannot be reached by a new configuration cannot be shut out by it either.

use nix::libc;

/// Its share beside one busy thread of the usual priority is about a tenth.
const NICE: i32 = 10;
/// The slice it asks for, in nanoseconds: several times the usual one. A thread that wakes up and asks for less takes over
/// at once, instead of waiting for the end of this one's slice (since Linux 6.12; before, the number means nothing).
const SLICE: u64 = 10_000_000;

/// What `sched_setattr(2)` takes, in its first version.
#[repr(C)]
struct Attributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    slice: u64,
    deadline: u64,
    period: u64,
}

/// Lets every thread of the usual priority go before the calling one, from now on: there is no way back without a
/// privilege, and threads that it starts are like it. What the system does not allow is left as it is.
pub(super) fn give_way() {
    let attributes = Attributes {
        size: SIZE,
        policy: BATCH,
        flags: 0,
        nice: NICE,
        priority: 0,
        slice: SLICE,
        deadline: 0,
        period: 0,
    };
    if !set(&attributes) {
        set_nice();
    }
}

const SIZE: u32 = 48;
const _: () = assert!(
    size_of::<Attributes>() == SIZE as usize,
    "as the kernel has it"
);
/// `SCHED_BATCH`, as the kernel has it: it does not take the processor from others when it wakes up (sched(7)).
const BATCH: u32 = 3;

#[expect(unsafe_code, reason = "the C library has no wrapper for it")]
fn set(attributes: &Attributes) -> bool {
    // SAFETY: the call reads `size` bytes behind the pointer, which is the size of what it points to, and keeps nothing.
    // Thread 0 is the calling one.
    let done = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, attributes, 0) };
    done == 0
}

#[expect(unsafe_code, reason = "there is no safe way to it")]
fn set_nice() {
    // SAFETY: the call takes three numbers and touches no memory. On Linux, process 0 means the calling thread.
    let _ = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
}

#[cfg(test)]
mod tests {
    use crate::host::{aside, tasks};

    /// Niceness, and policy, of the calling thread (proc(5)).
    fn priority() -> (i32, u32) {
        let text = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let behind = text.rsplit_once(") ").unwrap().1;
        let field = |number: usize| behind.split(' ').nth(number - 3).unwrap();
        (field(19).parse().unwrap(), field(41).parse().unwrap())
    }

    #[test]
    fn work_aside_gives_way_and_nobody_else_does() {
        let runtime = tasks::small_runtime().unwrap();
        let before = priority();
        let aside = runtime.block_on(async { aside("test-aside", priority).unwrap().await });
        assert_eq!(aside, Ok((super::NICE, super::BATCH)));
        assert_eq!(priority(), before);
        let blocking = async { crate::host::blocking("test-blocking", priority).await };
        let later = runtime.block_on(blocking);
        assert_eq!(later.unwrap(), before);
    }

    #[test]
    fn a_panic_aside_is_an_end_without_an_answer() {
        let runtime = tasks::small_runtime().unwrap();
        let broken = || -> u32 { panic!("as it should") };
        let aside = runtime.block_on(async { aside("test-broken", broken).unwrap().await });
        assert!(aside.is_err());
    }
}
