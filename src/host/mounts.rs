//! Where file systems are mounted, as far as it matters to who waits for a file to change. Must never change a mount.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// Of these paths, those whose file is a mount of its own: a container's `subPath`, or a bind mount of one file. Such
/// a file stays as it was when it was mounted if the original is replaced, whatever the original says now.
pub fn pinned(paths: &[PathBuf]) -> Vec<PathBuf> {
    let table = fs::read("/proc/self/mountinfo").unwrap_or_default();
    let points = points(&table);
    paths
        .iter()
        .filter(|path| is_pinned(path, &points))
        .cloned()
        .collect()
}

fn is_pinned(path: &Path, points: &[PathBuf]) -> bool {
    fs::canonicalize(path).is_ok_and(|real| points.contains(&real) && real.is_file())
}

/// The mount points of a table in the form of `/proc/self/mountinfo`: the fifth field, with `\ooo` for what would
/// break the line.
pub(super) fn points(table: &[u8]) -> Vec<PathBuf> {
    table
        .split(|byte| *byte == b'\n')
        .filter_map(|line| line.split(|byte| *byte == b' ').nth(4))
        .map(|field| PathBuf::from(OsString::from_vec(unescape(field))))
        .collect()
}

fn unescape(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.get(..3).filter(|_| *first == b'\\');
        let byte = escaped
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        out.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[3..] } else { after };
    }
    out
}
