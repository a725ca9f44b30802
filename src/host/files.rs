//! Files as the config needs them: read with a limit, watched by their facts, kept in a private directory.
//! Must never follow what is in them: text is for the config room.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::Error;
use crate::units::Wall;

/// Reads a file of at most `most` bytes. Pipes and `/dev/stdin` work too, so the size is not asked beforehand.
pub fn read_capped(path: &Path, most: u64) -> Result<Vec<u8>, Error> {
    let failed = |source: io::Error| Error::new("read", path.to_string_lossy(), source);
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(most.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= most) {
        return Ok(bytes);
    }
    Err(failed(io::ErrorKind::FileTooLarge.into()).with_hint("is it the file you meant?"))
}

/// The entries of a directory whose names end in `.extension`, sorted by name, hidden ones left out. A directory that
/// does not exist has none; more than `most` are an error.
pub fn list(directory: &Path, extension: &str, most: usize) -> Result<Vec<PathBuf>, Error> {
    let failed = |source: io::Error| Error::new("list", directory.to_string_lossy(), source);
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if hidden || path.extension().is_none_or(|it| it != extension) {
            continue;
        }
        if found.len() == most {
            return Err(failed(io::ErrorKind::QuotaExceeded.into())
                .with_hint("too many files; several tenants may share one"));
        }
        found.push(path);
    }
    found.sort();
    Ok(found)
}

/// What stat(2) says of some paths, links followed; equal fingerprints mean: not worth reading again. A mounted
/// `ConfigMap` swaps a link, which shows as another inode.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint(Vec<Option<Facts>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Facts {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    /// Catches a copy that keeps the time of modification.
    changed: (i64, i64),
}

impl Fingerprint {
    /// Stats each path, in the order given; a path that is not there is a fact too. A directory's fingerprint changes
    /// when an entry comes or goes.
    pub fn take<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Self {
        Self(paths.into_iter().map(|path| facts(path.as_ref())).collect())
    }

    /// Whether nothing was touched from that moment on, as far as the clock of file systems can tell: it may tick a
    /// hundred times a second.
    pub fn is_older_than(&self, moment: Wall) -> bool {
        let last = moment.0.saturating_sub(20);
        self.0.iter().flatten().all(|facts| {
            let (seconds, nanos) = facts.changed;
            let millis = seconds
                .saturating_mul(1_000)
                .saturating_add(nanos / 1_000_000);
            u64::try_from(millis).is_ok_and(|millis| millis < last)
        })
    }
}

fn facts(path: &Path) -> Option<Facts> {
    let metadata = fs::metadata(path).ok()?;
    Some(Facts {
        device: metadata.dev(),
        inode: metadata.ino(),
        size: metadata.size(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    })
}

/// Writes a file so that whoever waits for it sees it whole or not at all: beside its place first, then renamed.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let failed = |source: io::Error| Error::new("write", path.to_string_lossy(), source);
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(beside);
    fs::write(&beside, bytes).map_err(failed)?;
    fs::rename(&beside, path).map_err(failed)
}

/// Makes a directory (and those above it) that only this user can enter, or accepts one that is there, as long as
/// nobody else can write to it: who can, could put a socket or a file of theirs in our place.
pub fn private_dir(path: &Path) -> Result<(), Error> {
    let failed = |source: io::Error| Error::new("make directory", path.to_string_lossy(), source);
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(failed)?;
    let metadata = fs::metadata(path).map_err(failed)?;
    if metadata.uid() != super::hardening::own_uid() || metadata.mode() & 0o022 != 0 {
        return Err(failed(io::ErrorKind::PermissionDenied.into()).with_hint(
            "it is there, but others own it or may write to it; `chmod 700` it or choose another",
        ));
    }
    Ok(())
}
