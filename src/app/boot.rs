//! Where the configuration is, and the facts of it that are read once, at start: listeners, sockets, queues.
//! A reload that changes one of them says that a restart is needed. Must never be read by a request.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use super::Error;
use super::record::JournalBoot;
use crate::config::raw::Raw;
use crate::config::values::{
    AdminAddress, ListenAddress, LogFormat, OnOff, OrOff, ProxyAddress, ProxyHanded, ProxyPort,
    ProxySocket,
};
use crate::config::{Loaded, System, defaults, load, load_text};
use crate::host;
use crate::units::TenantId;

/// Where a configuration comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A file, and `tenants.d` beside it.
    File(PathBuf),
    /// A text that is nowhere written, with its name.
    Text(&'static str, String),
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Text(name, _) => f.write_str(name),
        }
    }
}

impl Source {
    /// Reads it, whole, with all its problems.
    pub fn load(&self) -> Loaded {
        match self {
            Self::File(path) => load(path, &System),
            Self::Text(name, text) => load_text(name, text, &System),
        }
    }
}

/// The configuration to use: the one named, else the first that exists of `$OUTRIGGER_CONFIG`,
/// `./outrigger.toml`, `$XDG_CONFIG_HOME/outrigger/outrigger.toml` and `/etc/outrigger/outrigger.toml`,
/// else none, which means every default.
///
/// # Errors
/// If a named file does not exist.
pub fn find(named: Option<&Path>) -> Result<Source, Error> {
    let by_variable = std::env::var_os("OUTRIGGER_CONFIG")
        .filter(|value| !value.is_empty())
        .map(PathBuf::from);
    let wanted = named
        .map(|path| (path.to_path_buf(), "--config"))
        .or_else(|| by_variable.map(|path| (path, "$OUTRIGGER_CONFIG")));
    if let Some((path, by)) = wanted {
        if path.is_file() {
            return Ok(Source::File(path));
        }
        return Err(Error::Usage(format!(
            "the configuration `{}`, which `{by}` names, {}",
            path.display(),
            why_not(&path)
        )));
    }
    let home = std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".config")));
    let candidates = [
        Some(PathBuf::from("outrigger.toml")),
        home.map(|home| home.join("outrigger/outrigger.toml")),
        Some(PathBuf::from("/etc/outrigger/outrigger.toml")),
    ];
    let found = candidates.into_iter().flatten().find(|path| path.is_file());
    Ok(found.map_or_else(|| Source::Text("built in", String::new()), Source::File))
}

/// How log lines shall look whatever the configuration says: the word given, else that of `$OUTRIGGER_LOG_FORMAT`.
///
/// # Errors
/// If there is no such format.
pub fn log_format(named: Option<&str>) -> Result<Option<LogFormat>, Error> {
    let variable = std::env::var("OUTRIGGER_LOG_FORMAT").ok();
    let by_variable = variable.as_deref().filter(|value| !value.is_empty());
    let Some(word) = named.or(by_variable) else {
        return Ok(None);
    };
    let format = LogFormat::from_word(word);
    let unknown = || {
        let words = LogFormat::WORDS.join("`, `");
        let by = named.map_or("$OUTRIGGER_LOG_FORMAT", |_| "--log-format");
        let word: String = word.chars().take(40).collect();
        Error::Usage(format!(
            "`{}` is no log format, as `{by}` says\nhint: there are `{words}`",
            word.escape_debug()
        ))
    };
    format.ok_or_else(unknown).map(Some)
}

/// Why that is no configuration.
fn why_not(path: &Path) -> String {
    match (std::fs::metadata(path), std::fs::read_link(path)) {
        (Ok(_), _) => "is no regular file".to_owned(),
        (Err(why), Ok(target)) if why.kind() == std::io::ErrorKind::NotFound => {
            format!("is a link to `{}`, which does not exist", target.display())
        }
        (Err(why), _) if why.kind() == std::io::ErrorKind::NotFound => "does not exist".to_owned(),
        (Err(why), _) => format!("cannot be looked at: {}", why.kind()),
    }
}

/// A socket that agents call, as far as it says who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownSocket {
    /// As it is written, without options: `unix:/run/acme.sock`, `fd:proxy`.
    pub name: String,
    /// Whose it is, if everybody on it is one tenant.
    pub tenant: Option<TenantId>,
}

/// The facts read once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boot {
    /// Where agents call.
    pub proxy: Vec<ProxyPort>,
    /// And in the file system.
    pub sockets: Vec<ProxySocket>,
    /// And on what the service manager has opened.
    pub handed: Vec<ProxyHanded>,
    /// Metrics and probes.
    pub telemetry: Option<SocketAddr>,
    /// Where operators call; sockets with their whole path.
    pub admin: Vec<AdminAddress>,
    /// Whether others than root and this user may call, so that the socket lets them connect.
    pub admin_shared: bool,
    /// Bytes of a head.
    pub head_bytes: u64,
    /// Time of a head.
    pub head_timeout: Duration,
    /// Time without a request.
    pub idle_timeout: Duration,
    /// Time without a byte taken by a caller.
    pub write_timeout: Duration,
    /// Connections at once.
    pub connections: u32,
    /// Bytes of request bodies held at once.
    pub buffers: u64,
    /// Idle upstream connections.
    pub pool: u32,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Whether there are request lines.
    pub log_requests: OnOff,
    /// Lines that may wait.
    pub log_queue: u32,
    /// The record of what is done, if there is one.
    pub journal: Option<JournalBoot>,
}

impl Boot {
    /// The facts of a configuration; a relative admin socket lies in `state`.
    pub fn of(raw: &Raw, state: &Path) -> Self {
        let listen = &raw.listen;
        let (mut proxy, mut sockets, mut handed) = (Vec::new(), Vec::new(), Vec::new());
        for address in listen.proxy() {
            match address {
                ProxyAddress::Tcp(port) => proxy.push(port),
                ProxyAddress::Unix(socket) => sockets.push(socket),
                ProxyAddress::Handed(socket) => handed.push(socket),
            }
        }
        Self {
            proxy,
            sockets,
            handed,
            telemetry: match listen.telemetry() {
                OrOff::Off => None,
                OrOff::On(address) => Some(address.0),
            },
            admin: listen
                .admin()
                .into_iter()
                .map(|at| placed(at, state))
                .collect(),
            admin_shared: [&raw.admin.read, &raw.admin.operate]
                .into_iter()
                .flatten()
                .any(|list| !list.value.is_empty()),
            head_bytes: listen.head_bytes(),
            head_timeout: listen.head_timeout(),
            idle_timeout: listen.idle_timeout(),
            write_timeout: listen.write_timeout(),
            connections: listen.connections(),
            buffers: buffers(raw),
            pool: raw.pool.idle_connections(),
            log_format: raw.log.format(),
            log_requests: raw.log.requests(),
            log_queue: raw.log.queue(),
            journal: JournalBoot::of(raw),
        }
    }

    /// The facts of a sidecar that serves one child alone: an address of its own, and nothing to look in by.
    pub(super) fn private(self, at: Option<SocketAddr>) -> Self {
        match at {
            None => self,
            Some(address) => Self {
                proxy: vec![ListenAddress(address).into()],
                sockets: Vec::new(),
                handed: Vec::new(),
                telemetry: None,
                admin: Vec::new(),
                ..self
            },
        }
    }

    /// The sockets that agents call, also those of which only the service manager knows whether they are some.
    pub fn known_sockets(&self) -> Vec<KnownSocket> {
        let own = self.sockets.iter().map(|socket| KnownSocket {
            name: format!("unix:{}", socket.path.display()),
            tenant: socket.tenant.clone(),
        });
        let handed = self.handed.iter().map(|socket| KnownSocket {
            name: socket.which.to_string(),
            tenant: socket.tenant.clone(),
        });
        own.chain(handed).collect()
    }

    /// The same with another look of log lines, if one was asked for.
    pub(super) fn formatted(self, wanted: Option<LogFormat>) -> Self {
        Self {
            log_format: wanted.unwrap_or(self.log_format),
            ..self
        }
    }

    /// The keys in which `newer` differs: they need a restart.
    pub fn changes(&self, newer: &Self) -> Vec<&'static str> {
        [
            (
                "listen.proxy",
                self.proxy != newer.proxy
                    || self.sockets != newer.sockets
                    || self.handed != newer.handed,
            ),
            ("journal", self.journal != newer.journal),
            ("listen.telemetry", self.telemetry != newer.telemetry),
            ("listen.admin", self.admin != newer.admin),
            (
                "admin.read, admin.operate",
                self.admin_shared != newer.admin_shared,
            ),
            ("listen.head_bytes", self.head_bytes != newer.head_bytes),
            (
                "listen.head_timeout",
                self.head_timeout != newer.head_timeout,
            ),
            (
                "listen.idle_timeout",
                self.idle_timeout != newer.idle_timeout,
            ),
            (
                "listen.write_timeout",
                self.write_timeout != newer.write_timeout,
            ),
            ("listen.connections", self.connections != newer.connections),
            ("memory.buffers", self.buffers != newer.buffers),
            ("pool.idle_connections", self.pool != newer.pool),
            ("log.format", self.log_format != newer.log_format),
            ("log.requests", self.log_requests != newer.log_requests),
            ("log.queue", self.log_queue != newer.log_queue),
        ]
        .into_iter()
        .filter_map(|(key, changed)| changed.then_some(key))
        .collect()
    }
}

/// Bytes of request bodies held at once: as written, or a part of the memory that the process may use.
fn buffers(raw: &Raw) -> u64 {
    // Asked for once: it holds from the start on, and a reload should not read the control groups again.
    static DERIVED: LazyLock<u64> = LazyLock::new(|| {
        let (least, most) = defaults::BUFFERS;
        let part = host::memory::usable().map(|bytes| bytes / defaults::BUFFERS_PART);
        part.unwrap_or(least).clamp(least, most)
    });
    let written = raw.memory.buffers.as_ref();
    written.map_or_else(|| *DERIVED, |written| written.value)
}

/// A relative admin socket lies in the state directory.
fn placed(at: AdminAddress, state: &Path) -> AdminAddress {
    match at {
        AdminAddress::Unix(path) => AdminAddress::Unix(state.join(path)),
        AdminAddress::Tcp(_) => at,
    }
}

/// The state directory: the one named, else `$STATE_DIRECTORY` (systemd), else
/// `$XDG_STATE_HOME/outrigger`, else `~/.local/state/outrigger`.
pub fn state_directory(named: Option<&Path>) -> PathBuf {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(path) = named {
        return path.to_path_buf();
    }
    if let Some(path) = variable("STATE_DIRECTORY") {
        return PathBuf::from(path);
    }
    if let Some(path) = variable("XDG_STATE_HOME") {
        return Path::new(&path).join("outrigger");
    }
    let home = variable("HOME").map_or_else(|| PathBuf::from("/tmp"), PathBuf::from);
    home.join(".local/state/outrigger")
}
