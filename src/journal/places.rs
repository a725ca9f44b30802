//! Where each file of a journal is. Must never be spelled anywhere else.

use std::fs;
use std::path::{Path, PathBuf};

/// The directory of one journal.
#[derive(Clone, Debug)]
pub(super) struct Places(PathBuf);

impl Places {
    pub(super) fn new(directory: &Path) -> Self {
        Self(directory.to_owned())
    }

    pub(super) fn directory(&self) -> &Path {
        &self.0
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    pub(super) fn segments(&self) -> PathBuf {
        self.0.join("segments")
    }

    pub(super) fn segment(&self, number: u64) -> PathBuf {
        self.segments().join(format!("{number:016x}.{SEGMENT}"))
    }

    pub(super) fn seal(&self, number: u64) -> PathBuf {
        self.segments().join(format!("{number:016x}.{SEAL}"))
    }

    /// The checkpoints that were made while a segment was written.
    pub(super) fn points(&self, number: u64) -> PathBuf {
        self.segments().join(format!("{number:016x}.{POINTS}"))
    }

    /// The numbers of the files of a kind, in order.
    pub(super) fn numbers(&self, kind: &str) -> Vec<u64> {
        let Ok(entries) = fs::read_dir(self.segments()) else {
            return Vec::new();
        };
        let mut numbers: Vec<u64> = entries
            .filter_map(|entry| {
                let name = entry.ok()?.file_name().into_string().ok()?;
                let digits = name.strip_suffix(kind)?.strip_suffix('.')?;
                u64::from_str_radix(digits, 16).ok()
            })
            .collect();
        numbers.sort_unstable();
        numbers
    }
}

pub(super) const SEGMENT: &str = "seg";
pub(super) const SEAL: &str = "seal";
pub(super) const POINTS: &str = "points";
