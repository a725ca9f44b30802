//! From files to [`Loaded`]: finds and reads them, hands each to the reader, and sums them up.
//! The only IO of the configuration, behind [`Environment`]. Must never stop at the first problem.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{self, SHA256};

use super::problem::{OutCode, Problem, Severity};
use super::raw::Raw;
use super::read;
use super::section::Context;
use super::settings;
use super::site::Sources;

/// Bytes of one config file.
const FILE_CAP: u64 = 16 << 20;
/// Bytes of all config files together.
const TOTAL_CAP: u64 = 256 << 20;
/// Config files, the main one included; a [`Site`](super::Site) counts them in 16 bits.
const FILES_CAP: usize = 60_000;
/// open(2) does not wait; the same number on every Linux this is built for.
const O_NONBLOCK: i32 = 0o4000;

/// Everything a load found. Usable only when [`Loaded::usable`] says so; `raw` is what could be read in any case.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub raw: Raw,
    /// The texts, for showing places.
    pub sources: Sources,
    /// All problems, by place.
    pub problems: Vec<Problem>,
    /// What holds, one line per setting, no secret in it; of tenants, where their own credentials come from.
    pub settings: String,
    /// SHA-256 of the texts in the order of loading, in hex: what `cat outrigger.toml tenants.d/*.toml | sha256sum` prints.
    pub hash: String,
    /// Changes whenever the outcome can: texts, file names and filled-in values.
    pub fingerprint: Fingerprint,
    /// What a change of which may change the outcome: config files, `tenants.d` and the targets of `${file:…}`.
    pub watched: Vec<PathBuf>,
}

impl Loaded {
    /// Whether there is no error among the problems.
    pub fn usable(&self) -> bool {
        self.problems
            .iter()
            .all(|problem| problem.severity != Severity::Error)
    }

    /// Whether the main file says nothing at all, not even a comment.
    pub fn is_blank(&self) -> bool {
        let main = self.sources.texts().next();
        main.is_none_or(|text| text.trim().is_empty())
    }
}

/// A digest that covers secrets, so it is compared and never shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl std::fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// What the configuration needs from the outside.
pub trait Environment {
    /// An environment variable; `None` when unset or not UTF-8.
    fn variable(&self, name: &str) -> Option<String>;
    /// A regular file of at most `cap` bytes.
    fn read(&self, path: &Path, cap: u64) -> Result<Vec<u8>, ReadError>;
    /// The entries of a directory, in any order.
    fn list(&self, directory: &Path) -> Result<Vec<PathBuf>, ReadError>;
}

/// Why a file or directory cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Nothing there.
    #[error("it does not exist")]
    Missing,
    /// A directory, device, socket or pipe.
    #[error("it is not a regular file")]
    NotAFile,
    /// Over the cap.
    #[error("it is larger than {0} bytes")]
    TooLarge(u64),
    /// The system says no.
    #[error("{0}")]
    Io(io::ErrorKind),
}

/// Reads the main file at `root` and `tenants.d/*.toml` beside it, sorted by name.
pub fn load(root: &Path, environment: &dyn Environment) -> Loaded {
    let mut gathered = Gathered::new(environment);
    gathered.watch(root);
    if let Some(text) = gathered.read(root) {
        gathered.keep(root, text);
    }
    let directory = root.with_file_name("tenants.d");
    gathered.watch(&directory);
    for path in gathered.tenant_files(&directory) {
        gathered.watch(&path);
        if let Some(text) = gathered.read(&path) {
            gathered.keep(&path, text);
        }
    }
    gathered.finish(root)
}

/// Reads one text as the main file, with nothing beside it. The empty text is all defaults.
pub fn load_text(name: &str, text: &str, environment: &dyn Environment) -> Loaded {
    let mut gathered = Gathered::new(environment);
    gathered.keep(Path::new(name), text.to_owned());
    gathered.finish(Path::new(name))
}

/// The process environment and the file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Environment for System {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn read(&self, path: &Path, cap: u64) -> Result<Vec<u8>, ReadError> {
        // Looked at before it is opened: opening a device may do something, and opening a pipe would wait for its
        // writer. It may be swapped for one in between, so the opening does not wait, and what was opened is looked at.
        if !std::fs::metadata(path).map_err(read_error)?.is_file() {
            return Err(ReadError::NotAFile);
        }
        let file = std::fs::OpenOptions::new()
            .read(true)
            .custom_flags(O_NONBLOCK)
            .open(path)
            .map_err(read_error)?;
        if !file.metadata().map_err(read_error)?.is_file() {
            return Err(ReadError::NotAFile);
        }
        let mut bytes = Vec::new();
        file.take(cap.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(read_error)?;
        if bytes.len() as u64 > cap {
            Err(ReadError::TooLarge(cap))
        } else {
            Ok(bytes)
        }
    }

    fn list(&self, directory: &Path) -> Result<Vec<PathBuf>, ReadError> {
        let entries = std::fs::read_dir(directory).map_err(read_error)?;
        entries
            .take(2 * FILES_CAP)
            .map(|entry| Ok(entry.map_err(read_error)?.path()))
            .collect()
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape `map_err` takes")]
fn read_error(error: io::Error) -> ReadError {
    if error.kind() == io::ErrorKind::NotFound {
        ReadError::Missing
    } else {
        ReadError::Io(error.kind())
    }
}

/// What was read so far.
struct Gathered<'e> {
    environment: &'e dyn Environment,
    sources: Sources,
    problems: Vec<Problem>,
    watched: BTreeSet<PathBuf>,
    bytes: u64,
}

impl<'e> Gathered<'e> {
    fn new(environment: &'e dyn Environment) -> Self {
        Self {
            environment,
            sources: Sources::default(),
            problems: Vec::new(),
            watched: BTreeSet::new(),
            bytes: 0,
        }
    }

    fn watch(&mut self, path: &Path) {
        self.watched.insert(path.to_path_buf());
    }

    /// The text of a config file, or a problem.
    fn read(&mut self, path: &Path) -> Option<String> {
        let (code, why) = match self.environment.read(path, FILE_CAP) {
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) => return Some(text),
                Err(error) => (
                    OutCode::ConfigUnreadable,
                    format!("byte {} is not UTF-8", error.utf8_error().valid_up_to()),
                ),
            },
            Err(error @ ReadError::TooLarge(_)) => (OutCode::ConfigTooLarge, error.to_string()),
            Err(error) => (OutCode::ConfigUnreadable, error.to_string()),
        };
        self.problems.push(Problem::error(
            code,
            None,
            format!("cannot read `{}`: {why}", path.display()),
        ));
        None
    }

    /// The `*.toml` of a directory, by name; hidden files are the mount's own (`..data` of a Kubernetes volume).
    fn tenant_files(&mut self, directory: &Path) -> Vec<PathBuf> {
        let mut paths = match self.environment.list(directory) {
            Ok(paths) => paths,
            Err(ReadError::Missing) => return Vec::new(),
            Err(error) => {
                let message = format!("cannot list `{}`: {error}", directory.display());
                self.problems
                    .push(Problem::error(OutCode::ConfigUnreadable, None, message));
                return Vec::new();
            }
        };
        paths.retain(|path| {
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or("");
            !name.starts_with('.') && Path::new(name).extension().is_some_and(|end| end == "toml")
        });
        paths.sort_unstable();
        if paths.len() >= FILES_CAP {
            let message = format!("`{}` has more than {FILES_CAP} files", directory.display());
            self.problems
                .push(Problem::error(OutCode::ConfigTooLarge, None, message));
            paths.truncate(FILES_CAP - 1);
        }
        paths
    }

    fn keep(&mut self, path: &Path, text: String) {
        self.bytes = self.bytes.saturating_add(text.len() as u64);
        if text.len() as u64 > FILE_CAP
            || self.bytes > TOTAL_CAP
            || self.sources.add(path, text).is_none()
        {
            let message = format!("`{}` makes the configuration too large", path.display());
            self.problems
                .push(Problem::error(OutCode::ConfigTooLarge, None, message));
        }
    }

    fn finish(self, root: &Path) -> Loaded {
        let mut context = Context::new(self.environment, self.sources, self.problems);
        let raw = read::all(&mut context, root);
        let Context {
            sources,
            mut problems,
            mut watched,
            filled,
            written,
            ..
        } = context;
        let settings = settings::render(&written, &sources);
        watched.extend(self.watched);
        problems.sort_by_key(|problem| problem.site);
        let hash = hash(&sources);
        let fingerprint = fingerprint(&sources, &filled.finish());
        Loaded {
            raw,
            sources,
            problems,
            settings,
            hash,
            fingerprint,
            watched: watched.into_iter().collect(),
        }
    }
}

fn hash(sources: &Sources) -> String {
    let mut context = digest::Context::new(&SHA256);
    for text in sources.texts() {
        context.update(text.as_bytes());
    }
    let mut hex = String::with_capacity(64);
    for byte in context.finish().as_ref() {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// Lengths go in before contents, so that nothing can move from one part to the next unseen.
fn fingerprint(sources: &Sources, filled: &digest::Digest) -> Fingerprint {
    let mut context = digest::Context::new(&SHA256);
    for (path, text) in sources.paths().zip(sources.texts()) {
        for part in [path.as_os_str().as_encoded_bytes(), text.as_bytes()] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
    }
    context.update(filled.as_ref());
    Fingerprint(context.finish().as_ref().try_into().unwrap_or_default())
}
