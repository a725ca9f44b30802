//! Where a value was written: sites, the texts they point into, and the places people read.
//! Must never hand out source text with a secret in it: `Sources::lines` masks first.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A stretch of one config file, in bytes. `file` counts in the order of loading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Site {
    /// Which file, in the order of loading; the main file is 0.
    pub file: u16,
    /// The first byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

/// Whether a value stands in the file as it is, or was filled in from `${env:…}` or `${file:…}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Written in the file.
    Written,
    /// Filled in from outside the file: never printed.
    Filled,
}

/// A value and where it was written. `Debug` hides a filled-in value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sited<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub site: Site,
    /// Whether it may be printed.
    pub origin: Origin,
}

impl<T> Sited<T> {
    /// A value that stands in the file as it is.
    pub const fn new(value: T, site: Site) -> Self {
        Self {
            value,
            site,
            origin: Origin::Written,
        }
    }

    /// The same place, another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Sited<U> {
        Sited {
            value: change(self.value),
            site: self.site,
            origin: self.origin,
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Sited<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.origin {
            Origin::Written => self.value.fmt(f),
            Origin::Filled => f.write_str("***"),
        }
    }
}

/// A place as an editor names it: path, line and column, both counted from 1 (columns in characters).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as it was named when loading.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.path.display(), self.line, self.column)
    }
}

/// The texts that were read, kept so that every [`Site`] can be shown.
#[derive(Clone, Default)]
pub struct Sources {
    files: Vec<Source>,
    masked: Vec<Site>,
}

#[derive(Clone)]
struct Source {
    path: PathBuf,
    text: Arc<str>,
    /// The first byte of every line.
    starts: Vec<u32>,
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.paths()).finish()
    }
}

impl Sources {
    /// The files, in the order of loading.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|source| source.path.as_path())
    }

    /// The path of one file.
    pub fn path(&self, file: u16) -> Option<&Path> {
        self.files
            .get(usize::from(file))
            .map(|source| source.path.as_path())
    }

    /// Where a site is, for people.
    pub fn locate(&self, site: Site) -> Place {
        let Some(source) = self.files.get(usize::from(site.file)) else {
            return Place {
                path: PathBuf::new(),
                line: 1,
                column: 1,
            };
        };
        let (number, start) = source.line_at(site.start);
        let before = clip(&source.text, site.start);
        Place {
            path: source.path.clone(),
            line: number,
            column: count(before[start..].chars().count()).saturating_add(1),
        }
    }

    /// The whole lines around a stretch of one file, every secret in them replaced by as many `*` as it has bytes,
    /// so that sites still fit.
    pub(super) fn lines(&self, file: u16, from: u32, to: u32) -> Lines {
        let Some(source) = self.files.get(usize::from(file)) else {
            return Lines {
                text: String::new(),
                start: 0,
                number: 1,
            };
        };
        let text = &source.text;
        let (number, start) = source.line_at(from);
        let inside = clip(text, to.max(from)).len();
        let end = text[inside..]
            .find('\n')
            .map_or(text.len(), |at| inside + at);
        let mut shown = text[start..end].to_owned();
        for site in self.masked.iter().filter(|site| site.file == file) {
            let [from, to] =
                [site.start, site.end].map(|at| (at as usize).clamp(start, end) - start);
            if let Some(stars) = shown.get(from..to).map(mask) {
                shown.replace_range(from..to, &stars);
            }
        }
        Lines {
            text: shown,
            start,
            number,
        }
    }

    pub(super) fn add(&mut self, path: &Path, text: String) -> Option<u16> {
        let file = u16::try_from(self.files.len()).ok()?;
        self.files.push(Source {
            path: path.to_path_buf(),
            starts: line_starts(&text),
            text: Arc::from(text),
        });
        Some(file)
    }

    /// The texts, in the order of loading.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|source| &*source.text)
    }

    /// Hides a stretch of text for good.
    pub(super) fn mask(&mut self, site: Site) {
        self.masked.push(site);
    }

    /// The text of one file as it is, secrets included.
    pub(super) fn text(&self, file: u16) -> Arc<str> {
        self.files
            .get(usize::from(file))
            .map_or_else(|| Arc::from(""), |source| Arc::clone(&source.text))
    }
}

impl Source {
    /// The number of the line a byte is in, from 1, and the byte that line begins at.
    fn line_at(&self, byte: u32) -> (u32, usize) {
        let lines = self.starts.partition_point(|&start| start <= byte).max(1);
        let start = self
            .starts
            .get(lines - 1)
            .map_or(0, |&start| start as usize);
        (count(lines), start.min(clip(&self.text, byte).len()))
    }
}

fn line_starts(text: &str) -> Vec<u32> {
    let after = text.match_indices('\n').map(|(at, _)| count(at + 1));
    std::iter::once(0).chain(after).collect()
}

/// Some lines of a file, fit to be shown.
pub(super) struct Lines {
    /// The lines.
    pub(super) text: String,
    /// The byte of the file they begin at.
    pub(super) start: usize,
    /// The number of the first, from 1.
    pub(super) number: u32,
}

/// Stars for every byte but line ends, so that lines stay lines.
fn mask(secret: &str) -> String {
    secret
        .bytes()
        .map(|byte| {
            if matches!(byte, b'\n' | b'\r') {
                char::from(byte)
            } else {
                '*'
            }
        })
        .collect()
}

/// The text up to a byte, moved back to the nearest character border.
fn clip(text: &str, end: u32) -> &str {
    let mut end = text.len().min(end as usize);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
