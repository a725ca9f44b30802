//! Files that must outlive the process: made privately, given their room beforehand, synced, locked against a second
//! process. Must never be called where a wait would hold up a trip, but for the one write that says so.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::statvfs::statvfs;

use super::Error;

/// Makes a file that was not there, readable and writable by this user alone.
pub fn create_private(path: &Path) -> Result<File, Error> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|source| Error::new("make", path.to_string_lossy(), source))
}

/// Opens a file for reading and writing in place; makes it, for this user alone, if it is not there.
pub fn open_private(path: &Path) -> Result<File, Error> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|source| Error::new("open", path.to_string_lossy(), source))
}

/// A file with these bytes, synced, its name too: it appears whole or not at all. An existing one is replaced.
pub fn write_durable(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let failed = |source| Error::new("write", path.to_string_lossy(), source);
    let beside = path.with_added_extension("new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let file = create_private(&beside)?;
    file.write_all_at(bytes, 0).map_err(failed)?;
    file.sync_data().map_err(failed)?;
    fs::rename(&beside, path).map_err(failed)?;
    path.parent().map_or(Ok(()), sync_directory)
}

/// Gives a file room on the disk from a place on, which reads as zeros and makes it longer: writing there later cannot
/// fail for want of space. Where the file system knows no such thing, zeros are written.
pub fn allocate(file: &File, from: u64, bytes: u64) -> io::Result<()> {
    let (offset, length) = (signed(from)?, signed(bytes)?);
    loop {
        match fallocate(file, FallocateFlags::empty(), offset, length) {
            Ok(()) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => return write_zeros(file, from, bytes),
            Err(errno) => return Err(errno.into()),
        }
    }
}

fn signed(value: u64) -> io::Result<i64> {
    i64::try_from(value).map_err(|_| io::ErrorKind::FileTooLarge.into())
}

fn write_zeros(file: &File, from: u64, bytes: u64) -> io::Result<()> {
    static BLOCK: [u8; 64 * 1024] = [0; 64 * 1024];
    let until = from.saturating_add(bytes);
    let mut at = from;
    while at < until {
        let length = usize::try_from(until - at).unwrap_or(BLOCK.len());
        let block = BLOCK.get(..length.min(BLOCK.len())).unwrap_or(&BLOCK);
        file.write_all_at(block, at)?;
        at = at.saturating_add(u64::try_from(block.len()).unwrap_or(u64::MAX));
    }
    Ok(())
}

/// Takes everything behind a place away from a file, and waits until the disk has that.
pub fn cut(path: &Path, length: u64) -> Result<(), Error> {
    OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|file| {
            if file.metadata()?.len() == length {
                return Ok(());
            }
            file.set_len(length)?;
            file.sync_all()
        })
        .map_err(|source| Error::new("cut", path.to_string_lossy(), source))
}

/// Makes the names in a directory durable: new files, renames.
pub fn sync_directory(path: &Path) -> Result<(), Error> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(|source| Error::new("sync directory", path.to_string_lossy(), source))
}

/// How many bytes this user may still write to the file system.
pub fn free_bytes(path: &Path) -> Result<u64, Error> {
    let facts = statvfs(path)
        .map_err(|errno| Error::new("ask for room", path.to_string_lossy(), errno.into()))?;
    Ok(facts
        .blocks_available()
        .saturating_mul(facts.fragment_size()))
}

/// Held for as long as this process uses a directory; the system lets go of it however the process ends.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock; another process that holds it is an error, at once.
    pub fn take(path: &Path) -> Result<Self, Error> {
        let file = open_private(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => Err(Error::new(
                "lock",
                path.to_string_lossy(),
                io::ErrorKind::ResourceBusy.into(),
            )
            .with_hint("another sidecar uses this state directory; each needs its own")),
            Err(TryLockError::Error(source)) => {
                Err(Error::new("lock", path.to_string_lossy(), source))
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a child that has been forked and runs nothing yet has the file open, too.
        _ = self.file.unlock();
    }
}
