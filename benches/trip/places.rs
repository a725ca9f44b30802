//! Whose source an instruction comes from, through all that was inlined, as the program's debug information says.
//!
//! It must never guess: an address without debug information belongs to the object that it is in.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::observe;

/// Whose source a frame comes from.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Source {
    /// A file of this project, below `src/` and without its ending, and the last part of the function's name.
    House { file: String, function: String },
    /// A file of this bench: the bare proxy.
    Bench(String),
    /// A library, without its version.
    Library(String),
    /// The standard library.
    Std,
    /// Something else, or nothing that is known.
    Unknown,
}

/// The frames at each address, the innermost first.
pub(crate) type Places = HashMap<u64, Vec<Source>>;

/// Asks binutils' `addr2line`, which is wherever Rust can link.
pub(crate) fn places(program: &Path, addresses: &[u64], dir: &Path) -> io::Result<Places> {
    let list: Vec<String> = addresses
        .iter()
        .map(|address| format!("{address:#x}"))
        .collect();
    let asked = dir.join("addresses");
    std::fs::write(&asked, list.join("\n"))?;
    let tool = observe::find("addr2line")
        .ok_or_else(|| io::Error::other("`addr2line` is not installed; it comes with binutils"))?;
    let output = Command::new(tool)
        .args([
            "--inlines",
            "--functions",
            "--demangle",
            "--addresses",
            "--exe",
        ])
        .arg(program)
        .arg(format!("@{}", asked.display()))
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(io::Error::other(format!("addr2line: {words}")));
    }
    let places = read(&String::from_utf8_lossy(&output.stdout))
        .ok_or_else(|| io::Error::other("addr2line's answer is not understood"))?;
    match addresses.iter().find(|asked| !places.contains_key(asked)) {
        None => Ok(places),
        Some(asked) => Err(io::Error::other(format!(
            "addr2line did not say where {asked:#x} is"
        ))),
    }
}

/// An address, then a function and a `file:line` for each frame.
pub(crate) fn read(text: &str) -> Option<Places> {
    let mut places = Places::new();
    let mut at = None;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(digits) = line.strip_prefix("0x") {
            let address = u64::from_str_radix(digits, 16).ok()?;
            places.insert(address, Vec::new());
            at = Some(address);
        } else {
            let (file, _) = lines.next()?.rsplit_once(':')?;
            places.get_mut(&at?)?.push(source(file, line));
        }
    }
    Some(places)
}

fn source(file: &str, function: &str) -> Source {
    if let Some((_, rest)) = file.split_once("/registry/src/") {
        return Source::Library(library(rest));
    }
    if file.starts_with("/rustc/")
        || file.contains("/library/std/")
        || file.contains("/library/core/")
    {
        return Source::Std;
    }
    let Some(path) = file.strip_suffix(".rs") else {
        return Source::Unknown;
    };
    if let Some((_, own)) = path.rsplit_once("benches/trip/") {
        return Source::Bench(own.to_owned());
    }
    let own = path.rsplit_once("/src/").map(|(_, own)| own);
    match own.or_else(|| path.strip_prefix("src/")) {
        Some(own) => Source::House {
            file: own.to_owned(),
            function: last_part(function).to_owned(),
        },
        None => Source::Unknown,
    }
}

/// `drop` of `<crate::Type as core::ops::drop::Drop>::drop::h0123456789abcdef`.
fn last_part(function: &str) -> &str {
    let is_hash = |part: &str| {
        part.len() == 17
            && part.starts_with('h')
            && part.bytes().skip(1).all(|byte| byte.is_ascii_hexdigit())
    };
    let mut parts = function.rsplit("::");
    let last = parts.next().unwrap_or_default();
    match parts.next() {
        Some(before) if is_hash(last) => before,
        _ => last,
    }
}

/// `index/name-1.2.3/src/…` without index and version.
fn library(rest: &str) -> String {
    let folder = rest.split('/').nth(1).unwrap_or_default();
    let is_version = |text: &str| text.starts_with(|first: char| first.is_ascii_digit());
    let name = folder
        .match_indices('-')
        .find(|(at, _)| is_version(&folder[at + 1..]))
        .map_or(folder, |(at, _)| &folder[..at]);
    name.to_owned()
}
