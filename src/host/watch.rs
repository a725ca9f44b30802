//! Changes of files, told by the kernel (inotify): on every hop of the way to a path, so that links that are swapped,
//! files that are moved over and directories that are replaced are seen as well as a plain write. Must never be the only
//! way a change is found: a network file system, a mount over a directory and a writer that never closes tell nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::Error;

#[cfg(test)]
mod tests;

/// Directories watched at once; there is a limit per user, and the sidecar is not the only one.
const DIRECTORIES: usize = 4096;
/// Links followed on the way to one path, as the kernel has it.
const LINKS: usize = 40;

/// Tells when something on the way to one of its paths has changed.
#[derive(Debug)]
pub struct Watcher {
    queue: AsyncFd<Queue>,
    places: HashMap<WatchDescriptor, Place>,
}

#[derive(Debug)]
struct Queue(Inotify);

impl AsRawFd for Queue {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// What matters in one directory, besides the directory itself.
#[derive(Debug, Default)]
struct Place {
    /// Entries that are hops.
    names: BTreeSet<OsString>,
    /// Every entry that is not hidden: editors' swap files and the insides of a mounted volume are.
    entries: bool,
}

impl Watcher {
    /// Watches everything on the way to these paths, and the entries of those that are directories. A path that does
    /// not exist is watched for its coming. Must run inside a runtime.
    ///
    /// # Errors
    /// If the system gives no more watches, or there would be too many.
    pub fn aim(paths: &[PathBuf]) -> Result<Self, Error> {
        let ways = Ways::to(paths)?;
        let flags = InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC;
        let inotify = Inotify::init(flags).map_err(|errno| failed("inotify", errno))?;
        let mut places: HashMap<WatchDescriptor, Place> = HashMap::new();
        for (directory, place) in ways.places {
            // One that went away meanwhile is missed by who asks for its content.
            let Some(watch) = add(&inotify, &directory, place.mask())? else {
                continue;
            };
            // Two paths to one directory are one watch.
            let known = places.entry(watch).or_default();
            known.names.extend(place.names);
            known.entries |= place.entries;
        }
        Ok(Self {
            queue: register(inotify)?,
            places,
        })
    }

    /// Waits for a change. May be dropped and called again without losing any.
    pub async fn changed(&mut self) {
        loop {
            let Ok(mut ready) = self.queue.readable().await else {
                return;
            };
            match ready.get_inner().0.read_events() {
                Ok(events) if events.iter().any(|event| self.matters(event)) => return,
                Ok(_) | Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => ready.clear_ready(),
                // Whatever it is, it is better looked at than not.
                Err(_) => return,
            }
        }
    }

    /// Whether a change was told that nobody has waited for yet.
    pub fn has_changed(&mut self) -> bool {
        loop {
            match self.queue.get_ref().0.read_events() {
                Ok(events) if events.iter().any(|event| self.matters(event)) => return true,
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => return false,
            }
        }
    }

    fn matters(&self, event: &InotifyEvent) -> bool {
        if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
            return true;
        }
        let Some(place) = self.places.get(&event.wd) else {
            return false;
        };
        match &event.name {
            Some(name) => place.wants(name),
            None => event.mask.intersects(
                AddWatchFlags::IN_MOVE_SELF
                    | AddWatchFlags::IN_DELETE_SELF
                    | AddWatchFlags::IN_UNMOUNT,
            ),
        }
    }
}

#[expect(
    unsafe_code,
    reason = "the reactor has no safe way to take a descriptor of ours"
)]
fn register(inotify: Inotify) -> Result<AsyncFd<Queue>, Error> {
    // SAFETY: the descriptor is open and owned by the `Queue`, which never lends it mutably nor gives it away, so it
    // stays the same open file until the `AsyncFd` drops it.
    let queue = unsafe { AsyncFd::register_with_interest(Queue(inotify), Interest::READABLE) };
    queue.map_err(|error| Error::new("watch", "inotify", error.into()))
}

fn add(
    inotify: &Inotify,
    directory: &Path,
    mask: AddWatchFlags,
) -> Result<Option<WatchDescriptor>, Error> {
    match inotify.add_watch(directory, mask) {
        Ok(watch) => Ok(Some(watch)),
        Err(Errno::ENOENT | Errno::ENOTDIR | Errno::EACCES) => Ok(None),
        Err(errno) => Err(failed(&directory.to_string_lossy(), errno)),
    }
}

fn failed(object: &str, errno: Errno) -> Error {
    let error = Error::new("watch", object, errno.into());
    match errno {
        Errno::ENOSPC => error
            .with_hint("raise the sysctl `fs.inotify.max_user_watches`, or leave it to the poll"),
        Errno::EMFILE => error
            .with_hint("raise the sysctl `fs.inotify.max_user_instances`, or leave it to the poll"),
        _ => error,
    }
}

impl Place {
    fn wants(&self, name: &OsStr) -> bool {
        self.names.contains(name) || (self.entries && !name.as_encoded_bytes().starts_with(b"."))
    }

    /// A directory that is only passed through matters when it goes away; a write counts when the writer closes.
    fn mask(&self) -> AddWatchFlags {
        let itself = AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_ONLYDIR
            // Two paths to one directory are one watch, which must not forget what the first was for.
            | AddWatchFlags::from_bits_retain(nix::libc::IN_MASK_ADD);
        if self.names.is_empty() && !self.entries {
            return itself;
        }
        itself
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MOVED_FROM
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_ATTRIB
    }
}

/// The directories on the way to some paths, links followed by hand.
#[derive(Debug, Default)]
struct Ways {
    places: BTreeMap<PathBuf, Place>,
    /// Directories whose own way is known, so that a thousand files beside each other are walked to once.
    known: HashMap<PathBuf, PathBuf>,
}

impl Ways {
    fn to(paths: &[PathBuf]) -> Result<Self, Error> {
        let mut ways = Self::default();
        for path in paths {
            ways.walk(path);
            if ways.places.len() > DIRECTORIES {
                let source = io::ErrorKind::QuotaExceeded.into();
                return Err(
                    Error::new("watch", path.to_string_lossy(), source).with_hint(
                        "the files lie in too many directories; the poll still finds changes",
                    ),
                );
            }
        }
        Ok(ways)
    }

    fn walk(&mut self, path: &Path) {
        // Fails only for the empty path, or without a working directory.
        let Ok(path) = std::path::absolute(path) else {
            return;
        };
        let parent = path.parent().unwrap_or(&path).to_path_buf();
        if let Some(at) = self.known.get(&parent).cloned()
            && let Some(name) = path.file_name()
        {
            self.follow(at, VecDeque::from([name.to_owned()]));
            return;
        }
        let names: VecDeque<OsString> = path.components().filter_map(hop).collect();
        if names.len() > 1
            && let Ok(real) = fs::canonicalize(&parent)
        {
            self.known.insert(parent, real);
        }
        self.follow(PathBuf::from("/"), names);
    }

    /// Goes on from a directory that is no link, name by name.
    fn follow(&mut self, mut at: PathBuf, mut names: VecDeque<OsString>) {
        let mut links = LINKS;
        while let Some(name) = names.pop_front() {
            if name == ".." {
                at.pop();
                continue;
            }
            let next = at.join(&name);
            let Ok(metadata) = fs::symlink_metadata(&next) else {
                self.place(&at).names.insert(name);
                return;
            };
            if metadata.is_dir() {
                if names.is_empty() {
                    self.place(&at).names.insert(name);
                    self.place(&next).entries = true;
                } else {
                    self.place(&next);
                }
                at = next;
                continue;
            }
            self.place(&at).names.insert(name);
            if !metadata.is_symlink() || links == 0 {
                return;
            }
            links -= 1;
            let Ok(target) = fs::read_link(&next) else {
                return;
            };
            if target.is_absolute() {
                at = PathBuf::from("/");
            }
            for name in target.components().rev().filter_map(hop) {
                names.push_front(name);
            }
        }
    }

    fn place(&mut self, directory: &Path) -> &mut Place {
        self.places.entry(directory.to_path_buf()).or_default()
    }
}

/// A component that leads somewhere.
fn hop(component: Component<'_>) -> Option<OsString> {
    match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    }
}
