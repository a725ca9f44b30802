//! How much memory the process may use: the machine's, or what its control group leaves it; and what it takes up. Must
//! never fail: what cannot be read does not bound.

use std::path::{Path, PathBuf};

use nix::unistd::{SysconfVar, sysconf};

/// Bytes of memory that the process may use; `None` if the system does not say.
pub fn usable() -> Option<u64> {
    physical()
        .into_iter()
        .chain(of_groups(Path::new("/")))
        .min()
}

/// Bytes of memory that the process takes up.
pub fn resident() -> Option<u64> {
    let page = u64::try_from(sysconf(SysconfVar::PAGE_SIZE).ok()??).ok()?;
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    text.split_ascii_whitespace()
        .nth(1)?
        .parse::<u64>()
        .ok()?
        .checked_mul(page)
}

/// Gives back to the system what the allocator holds and nobody uses. Walks through the whole heap, with the allocator's
/// locks held; elsewhere than with glibc it does nothing.
#[cfg_attr(
    target_env = "gnu",
    expect(unsafe_code, reason = "malloc_trim(3) has no safe wrapper")
)]
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    {
        // SAFETY: malloc_trim takes an integer and locks the allocator's own state; memory in use is not touched.
        unsafe { nix::libc::malloc_trim(0) };
    }
}

fn physical() -> Option<u64> {
    let pages = u64::try_from(sysconf(SysconfVar::_PHYS_PAGES).ok()??).ok()?;
    let size = u64::try_from(sysconf(SysconfVar::PAGE_SIZE).ok()??).ok()?;
    pages.checked_mul(size)
}

/// The limits of the process's control group and of every group around it, under both versions (cgroups(7)). In a
/// container the group is often the root of what can be seen, so its path may name what is not there: then those that
/// are there hold.
fn of_groups(root: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let limits = text.lines().filter_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let (mount, file) = if controllers.is_empty() {
            ("sys/fs/cgroup", "memory.max")
        } else if controllers.split(',').any(|name| name == "memory") {
            ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
        } else {
            return None;
        };
        smallest(&root.join(mount), path.trim_start_matches('/'), file)
    });
    limits.min()
}

/// The smallest number in a file of that name, from the group up to the mount.
fn smallest(mount: &Path, group: &str, file: &str) -> Option<u64> {
    let innermost: PathBuf = mount.join(group);
    let groups = innermost.ancestors().take_while(|at| at.starts_with(mount));
    let read = |at: &Path| std::fs::read_to_string(at.join(file)).ok();
    // `max` is no number: no limit.
    let limits = groups.filter_map(|at| read(at)?.trim().parse::<u64>().ok());
    limits.filter(|limit| *limit > 0).min()
}

#[cfg(test)]
mod tests {
    use super::{of_groups, usable};
    use std::path::Path;

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn the_smallest_limit_around_the_process_holds() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        assert_eq!(of_groups(root), None);
        write(root, "proc/self/cgroup", "0::/pods/one\n");
        assert_eq!(of_groups(root), None, "nothing is mounted");
        write(root, "sys/fs/cgroup/pods/one/memory.max", "max\n");
        assert_eq!(of_groups(root), None);
        write(root, "sys/fs/cgroup/pods/memory.max", "4096\n");
        assert_eq!(of_groups(root), Some(4096));
        write(root, "sys/fs/cgroup/pods/one/memory.max", "1024\n");
        assert_eq!(of_groups(root), Some(1024));
    }

    #[test]
    fn a_group_that_cannot_be_seen_is_looked_for_at_the_mount() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        write(
            root,
            "proc/self/cgroup",
            "5:cpu:/x\n4:hugetlb,memory:/docker/abc\n",
        );
        write(root, "sys/fs/cgroup/memory/memory.limit_in_bytes", "2048\n");
        assert_eq!(of_groups(root), Some(2048));
    }

    #[test]
    fn this_machine_has_memory() {
        assert!(usable().unwrap() > 1 << 20);
    }
}
