//! Listening on a unix socket that only those can reach who are meant to. Must never leave a moment in which others could.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use nix::sys::stat::{FchmodatFlags, Mode, fchmod, fchmodat};
use tokio::net::{UnixSocket, UnixStream};

use super::{Accepted, BACKLOG, Patience};
use crate::host::Error;

/// A unix listener whose file is 0600 from birth, is opened to others only then, and goes away with it.
#[derive(Debug)]
pub struct UnixListener {
    inner: tokio::net::UnixListener,
    path: PathBuf,
    /// Device and inode of the file made here, if it was: at the end, somebody else's under the same name stays.
    file: Option<(u64, u64)>,
    patience: Patience,
    /// What stands for a user that has no number here.
    overflow: u32,
}

/// The usual overflow user: what the kernel says of a user that has no number in this user namespace
/// (`user_namespaces(7)`). Whoever it is, it is not known who.
pub const UNKNOWN_USER: u32 = 65_534;

/// Who is at the other end, by the kernel's word (`SO_PEERCRED`): as of the moment they connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The effective user; [`UNKNOWN_USER`] for one without a number here.
    pub uid: u32,
    /// Its own group, not one of its further groups.
    pub gid: u32,
    /// The process; for the log only, as numbers are used again.
    pub pid: Option<i32>,
}

impl UnixListener {
    /// Binds at `path`. A socket left there by a process that is gone is replaced; one that answers is not, nor is any
    /// other kind of file. Must run inside a runtime.
    pub fn bind_private(path: &Path) -> Result<Self, Error> {
        Self::bind(path, OWNER_ONLY)
    }

    /// The same, open to group and others as far as `mode` says, once it is there.
    pub fn bind(path: &Path, mode: u32) -> Result<Self, Error> {
        check_length(path)?;
        clear_stale(path)?;
        let failed = |source: io::Error| Error::new("bind", path.to_string_lossy(), source);
        let socket = UnixSocket::new_stream().map_err(failed)?;
        // Linux gives the file the mode of the socket (less the umask), so with the mode set before, the file is never
        // open to others; a chmod behind bind would leave a gap, and changing the umask would change it for all threads.
        fchmod(&socket, Mode::S_IRUSR | Mode::S_IWUSR).map_err(|errno| failed(errno.into()))?;
        socket.bind(path).map_err(failed)?;
        let metadata = fs::symlink_metadata(path).map_err(failed)?;
        if metadata.permissions().mode() & 0o077 != 0 {
            let _ = fs::remove_file(path);
            return Err(failed(io::ErrorKind::PermissionDenied.into())
                .with_hint("the file system gave the socket to others; put it on another one"));
        }
        let inner = socket.listen(BACKLOG).map_err(failed)?;
        let file = Some((metadata.dev(), metadata.ino()));
        // From here on a failure takes the file away again.
        let listener = Self {
            inner,
            path: path.to_owned(),
            file,
            patience: Patience::default(),
            overflow: overflow_user(),
        };
        if mode != OWNER_ONLY {
            // The umask has a say in what bind makes, and none in this; a link in its place is not followed.
            let mode = Mode::from_bits_truncate(mode);
            fchmodat(AT_FDCWD, path, mode, FchmodatFlags::NoFollowSymlink)
                .map_err(|errno| failed(errno.into()))?;
        }
        Ok(listener)
    }

    /// Listens on a socket that listens already, at a path that is somebody else's. Must run inside a runtime.
    pub(in crate::host) fn handed(socket: OwnedFd, path: PathBuf) -> io::Result<Self> {
        let socket = std::os::unix::net::UnixListener::from(socket);
        socket.set_nonblocking(true)?;
        Ok(Self {
            inner: tokio::net::UnixListener::from_std(socket)?,
            path,
            file: None,
            patience: Patience::default(),
            overflow: overflow_user(),
        })
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lets every user connect whom the directories above let through: whoever accepts asks the kernel who it is.
    pub fn open_to_all(&self) -> Result<(), Error> {
        fs::set_permissions(&self.path, fs::Permissions::from_mode(0o666))
            .map_err(|source| Error::new("open", self.path.to_string_lossy(), source))
    }

    /// The next connection and who made it. May be dropped and called again without losing a connection.
    pub async fn accept(&mut self) -> Accepted<(UnixStream, Peer)> {
        self.patience.wait().await;
        loop {
            match self.inner.accept().await {
                Ok((stream, _)) => {
                    self.patience.refresh();
                    // Whose identity the kernel does not tell is hung up on, as nobody may stay unnamed here.
                    let Ok(cred) = stream.peer_cred() else {
                        continue;
                    };
                    let peer = Peer {
                        uid: if cred.uid() == self.overflow {
                            UNKNOWN_USER
                        } else {
                            cred.uid()
                        },
                        gid: cred.gid(),
                        pid: cred.pid(),
                    };
                    return Accepted::Connection((stream, peer));
                }
                Err(error) => {
                    let answer = self.patience.answer(&self.path.to_string_lossy(), error);
                    if let Some(answer) = answer {
                        return answer;
                    }
                }
            }
        }
    }
}

impl Drop for UnixListener {
    fn drop(&mut self) {
        let still_ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| self.file == Some((metadata.dev(), metadata.ino())));
        if still_ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}

const OWNER_ONLY: u32 = 0o600;

/// The machine's own overflow user, where it is not the usual one (`proc_sys_kernel(5)`).
fn overflow_user() -> u32 {
    let text = fs::read_to_string("/proc/sys/kernel/overflowuid").unwrap_or_default();
    text.trim().parse().unwrap_or(UNKNOWN_USER)
}

/// `sun_path` holds 108 bytes with the closing zero (unix(7)).
const LONGEST_PATH: usize = 107;

fn check_length(path: &Path) -> Result<(), Error> {
    if path.as_os_str().len() <= LONGEST_PATH {
        return Ok(());
    }
    Err(Error::new(
        "bind",
        path.to_string_lossy(),
        io::Error::from_raw_os_error(nix::libc::ENAMETOOLONG),
    )
    .with_hint("a socket's path holds at most 107 bytes; choose a shorter one, or a shorter state directory"))
}

fn clear_stale(path: &Path) -> Result<(), Error> {
    let failed = |source: io::Error| Error::new("bind", path.to_string_lossy(), source);
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    if !metadata.file_type().is_socket() {
        return Err(failed(io::ErrorKind::AlreadyExists.into())
            .with_hint("a file that is not a socket has that name; move it away"));
    }
    match probe(path) {
        Err(Errno::ECONNREFUSED) => fs::remove_file(path).map_err(failed),
        Err(Errno::ENOENT) => Ok(()),
        // A full backlog is an answer too.
        Ok(()) | Err(Errno::EAGAIN) => Err(failed(Errno::EADDRINUSE.into()).with_hint(
            "another process answers there; stop it, or choose another path or state directory",
        )),
        Err(errno) => Err(failed(errno.into())),
    }
}

/// Knocks without waiting.
fn probe(path: &Path) -> nix::Result<()> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    connect(socket.as_raw_fd(), &UnixAddr::new(path)?)
}
