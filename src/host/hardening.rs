//! What the process does to itself first. Must never touch the child of `run`: that is the operator's program.

use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::Error;

/// Bounds the allocator to two arenas; call it first thing in `main`, before there is a second thread.
/// glibc makes up to eight arenas per core, and each keeps what its busiest moment took. Elsewhere this does nothing.
#[cfg_attr(
    target_env = "gnu",
    expect(unsafe_code, reason = "mallopt(3) has no safe wrapper")
)]
pub fn tune_allocator() {
    #[cfg(target_env = "gnu")]
    {
        // SAFETY: mallopt takes two integers, keeps no pointer and locks the allocator's own state.
        unsafe { nix::libc::mallopt(nix::libc::M_ARENA_MAX, 2) };
    }
}

/// Makes the process non-dumpable (prctl(2), `PR_SET_DUMPABLE`): another process of the same user can then neither
/// trace it nor read its memory, where upstream keys are, and the kernel writes no core of it. exec(2) undoes it, so
/// the child of `run` is as dumpable as it would have been.
pub fn harden() -> Result<(), Error> {
    prctl::set_dumpable(false)
        .map_err(|errno| Error::new("make non-dumpable", "the process", errno.into()))
}

/// Raises the soft limit of open descriptors to the hard one, and returns it. Children inherit limits, and a program
/// that uses select(2) breaks above 1,024 descriptors: under `run`, call this after the child has started.
pub fn raise_descriptors() -> Result<u64, Error> {
    let failed = |errno: nix::errno::Errno| {
        Error::new("raise", "RLIMIT_NOFILE", errno.into())
            .with_hint("many connections may run out of descriptors; raise the limit outside, as `LimitNOFILE=` does")
    };
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(failed)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map_err(failed)?;
    }
    Ok(hard)
}

/// How many descriptors may be open once [`raise_descriptors`] has raised the limit.
pub fn most_descriptors() -> Option<u64> {
    getrlimit(Resource::RLIMIT_NOFILE)
        .ok()
        .map(|(_, hard)| hard)
}

/// Sets the soft limit of core files to zero: the second lock on the door [`harden`] closed, for the case that
/// something makes the process dumpable again. Inherited like every limit: under `run`, call it after the child started.
pub fn refuse_cores() -> Result<(), Error> {
    let failed = |errno: nix::errno::Errno| Error::new("lower", "RLIMIT_CORE", errno.into());
    let (_, hard) = getrlimit(Resource::RLIMIT_CORE).map_err(failed)?;
    setrlimit(Resource::RLIMIT_CORE, 0, hard).map_err(failed)
}

/// The user this process acts as; a peer on the admin socket must be the same.
pub fn own_uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}
