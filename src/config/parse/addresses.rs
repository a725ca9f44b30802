//! Where something listens or is reached: addresses, sockets, URLs, hosts and origins.
//! Pure. Must never quote the text in an error: it may have been filled in from a secret.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Flaw, flaw};
use crate::config::defaults;
use crate::config::values::{
    AdminAddress, CallerId, Handed, HostName, ListenAddress, ProxyAddress, ProxyHanded, ProxyPort,
    ProxySocket, Scheme, UpstreamUrl, WebOrigin,
};
use crate::units::TenantId;

pub(super) const ADDRESS: Flaw = flaw(
    "an IP address and a port",
    "write for example `127.0.0.1:8470` or `[::1]:8470`",
);
pub(super) const PROXY: Flaw = flaw(
    "an IP address and a port, `unix:` and an absolute path, or `fd:` and a name",
    "write for example `127.0.0.1:8470`, `[::1]:8470` or `unix:/run/outrigger/acme.sock?mode=0660&tenant=acme`",
);
pub(super) const PROXY_PORT: Flaw = flaw(
    "an address with no option but `connections`, once",
    "a port proves nothing about who calls: only a unix socket has a mode and a tenant",
);
pub(super) const PROXY_ABSTRACT: Flaw = flaw(
    "a path in the file system",
    "whoever runs on the machine can open an abstract socket: it has no permissions",
);
pub(super) const PROXY_OPTION: Flaw = flaw(
    "no options but `mode`, `tenant` and `connections`, each once",
    "write for example `unix:/run/outrigger/acme.sock?mode=0660&tenant=acme`",
);
pub(super) const PROXY_MODE: Flaw = flaw(
    "a mode that lets the owner in and has no other bits than read and write",
    "write for example `mode=0660`; a group or others that may not write cannot connect",
);
pub(super) const PROXY_CONNECTIONS: Flaw = flaw(
    "a whole number of connections from 1 to 1000000",
    "write for example `127.0.0.1:8470?connections=1000`; without it there are as many as `listen.connections` allows",
);
pub(super) const PROXY_HANDED: Flaw = flaw(
    "`fd:` and the name or number of a socket that the service manager hands over",
    "write for example `fd:proxy`, as `FileDescriptorName=` of the `.socket` unit says; the first number is 3",
);
pub(super) const HANDED_OPTION: Flaw = flaw(
    "no options but `tenant` and `connections`, each once",
    "write for example `fd:acme?tenant=acme`; a mode is set by `SocketMode=` of the `.socket` unit",
);
pub(super) const SOCKET: Flaw = flaw(
    "`unix:` and a path, or a loopback address and a port",
    "write for example `unix:admin.sock`, `127.0.0.1:8472`, or `off`",
);
pub(super) const CALLER: Flaw = flaw(
    "`uid:` or `gid:` and a number",
    "write for example `uid:1000`; `id -u NAME` prints a user's number",
);
pub(super) const URL: Flaw = flaw(
    "an `http` or `https` URL",
    "write for example `https://api.openai.com`",
);
pub(super) const URL_USER: Flaw = flaw("a URL without a user", "put the credential into `key`");
pub(super) const URL_QUERY: Flaw = flaw(
    "a URL without query and fragment",
    "end it after the base path",
);
pub(super) const URL_PATH: Flaw = flaw(
    "a URL with a plain base path",
    "leave out empty, `.` and `..` segments, `%` escapes and spaces",
);
pub(super) const HOST: Flaw = flaw(
    "a host name or IP literal",
    "write it without scheme, port and path; names outside ASCII in their `xn--` form",
);
pub(super) const ORIGIN: Flaw = flaw(
    "a browser origin",
    "write scheme, host and port only: `https://app.example.com`",
);

/// `127.0.0.1:8470`, `[::1]:8470`.
pub(in crate::config) fn address(text: &str) -> Result<ListenAddress, Flaw> {
    text.parse::<SocketAddr>()
        .map(ListenAddress)
        .map_err(|_| ADDRESS)
}

/// `127.0.0.1:8470?connections=1000`, `unix:/run/outrigger/proxy.sock?mode=0660&tenant=acme`, `fd:proxy?tenant=acme`.
pub(in crate::config) fn proxy(text: &str) -> Result<ProxyAddress, Flaw> {
    if let Some(rest) = text.strip_prefix("unix:") {
        return unix(rest).map(ProxyAddress::Unix);
    }
    if let Some(rest) = text.strip_prefix("fd:") {
        return handed(rest).map(ProxyAddress::Handed);
    }
    let (at, options) = options(text);
    let at = address(at).map_err(|_| PROXY)?;
    let ProxyOptions { connections, .. } = ProxyOptions::read(options, &[], PROXY_PORT)?;
    Ok(ProxyAddress::Tcp(ProxyPort { at, connections }))
}

fn unix(text: &str) -> Result<ProxySocket, Flaw> {
    let (path, options) = options(text);
    if path.starts_with('@') {
        return Err(PROXY_ABSTRACT);
    }
    if !path.starts_with('/') || !is_socket_path(path) {
        return Err(PROXY);
    }
    let options = ProxyOptions::read(options, &["mode", "tenant"], PROXY_OPTION)?;
    Ok(ProxySocket {
        path: path.into(),
        mode: options.mode.unwrap_or(defaults::SOCKET_MODE),
        tenant: options.tenant,
        connections: options.connections,
    })
}

/// Its mode is the service manager's affair.
fn handed(text: &str) -> Result<ProxyHanded, Flaw> {
    let (which, options) = options(text);
    let which = handed_by(which).ok_or(PROXY_HANDED)?;
    let options = ProxyOptions::read(options, &["tenant"], HANDED_OPTION)?;
    Ok(ProxyHanded {
        which,
        tenant: options.tenant,
        connections: options.connections,
    })
}

/// What may stand behind the question mark of an address that agents call.
#[derive(Default)]
struct ProxyOptions {
    mode: Option<u32>,
    tenant: Option<TenantId>,
    connections: Option<u32>,
}

impl ProxyOptions {
    /// Each once; those in `proper` beside `connections`, which every address may have.
    fn read(options: Option<&str>, proper: &[&str], fault: Flaw) -> Result<Self, Flaw> {
        let mut read = Self::default();
        for option in options.into_iter().flat_map(|all| all.split('&')) {
            let (name, value) = option.split_once('=').ok_or(fault)?;
            let is_repeated = match name {
                "connections" => read.connections.replace(connections(value)?).is_some(),
                "mode" if proper.contains(&name) => {
                    read.mode.replace(socket_mode(value)?).is_some()
                }
                "tenant" if proper.contains(&name) => {
                    let id = value.parse().map_err(|_| fault)?;
                    read.tenant.replace(id).is_some()
                }
                _ => return Err(fault),
            };
            if is_repeated {
                return Err(fault);
            }
        }
        Ok(read)
    }
}

/// The same range as `listen.connections`.
fn connections(digits: &str) -> Result<u32, Flaw> {
    let plain = digits.bytes().all(|digit| digit.is_ascii_digit());
    let count = digits.parse().ok().filter(|_| plain);
    count
        .filter(|count| (1..=1_000_000).contains(count))
        .ok_or(PROXY_CONNECTIONS)
}

/// A number of a descriptor, of which the first is 3, or a name: what `FileDescriptorName=` takes (systemd.socket(5)), less
/// what would need quoting here.
fn handed_by(text: &str) -> Option<Handed> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text
            .parse()
            .ok()
            .filter(|number| *number >= 3)
            .map(Handed::Number);
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
    let good = text.len() <= 255 && text.bytes().all(plain);
    good.then(|| Handed::Name(text.into()))
}

/// A text and the options behind its question mark, if it has one.
fn options(text: &str) -> (&str, Option<&str>) {
    text.split_once('?')
        .map_or((text, None), |(before, behind)| (before, Some(behind)))
}

/// `0660`: who may not write cannot connect (unix(7)), and nothing else of a mode means anything.
fn socket_mode(digits: &str) -> Result<u32, Flaw> {
    let octal =
        (3..=4).contains(&digits.len()) && digits.bytes().all(|digit| matches!(digit, b'0'..=b'7'));
    let mode = u32::from_str_radix(digits, 8).ok().filter(|_| octal);
    mode.filter(|mode| mode & 0o600 == 0o600 && mode & !0o666 == 0)
        .ok_or(PROXY_MODE)
}

/// The kernel takes 107 bytes of path (unix(7)).
fn is_socket_path(path: &str) -> bool {
    let plain = (1..=107).contains(&path.len()) && path.bytes().all(|byte| byte.is_ascii_graphic());
    plain && !path.ends_with('/')
}

/// `unix:admin.sock` or `127.0.0.1:8472`. The state directory is still put before a path.
/// An address that others can reach is none: the token would cross the network in the clear.
pub(in crate::config) fn admin_address(text: &str) -> Result<AdminAddress, Flaw> {
    let Some(path) = text.strip_prefix("unix:") else {
        let address: SocketAddr = text.parse().map_err(|_| SOCKET)?;
        let loopback = address.ip().is_loopback();
        return loopback.then_some(AdminAddress::Tcp(address)).ok_or(SOCKET);
    };
    if is_socket_path(path) {
        Ok(AdminAddress::Unix(path.into()))
    } else {
        Err(SOCKET)
    }
}

/// `uid:1000`, `gid:1000`.
pub(in crate::config) fn caller(text: &str) -> Result<CallerId, Flaw> {
    let (kind, number) = text.split_once(':').ok_or(CALLER)?;
    let number = number.parse().map_err(|_| CALLER)?;
    match kind {
        "uid" => Ok(CallerId::User(number)),
        "gid" => Ok(CallerId::Group(number)),
        _ => Err(CALLER),
    }
}

/// `https://host[:port][/base/path]` (RFC 3986 §3), nothing more: see [`UpstreamUrl`].
pub(in crate::config) fn url(text: &str) -> Result<UpstreamUrl, Flaw> {
    let (scheme, rest) = text.split_once("://").ok_or(URL)?;
    let scheme = Scheme::from_word(&scheme.to_ascii_lowercase()).ok_or(URL)?;
    if rest.contains(['?', '#']) {
        return Err(URL_QUERY);
    }
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if authority.contains('@') {
        return Err(URL_USER);
    }
    let (host, port) = authority_parts(authority).ok_or(URL)?;
    let default = match scheme {
        Scheme::Http => 80,
        Scheme::Https => 443,
    };
    let path = path.strip_suffix('/').unwrap_or(path);
    let plain = |segment: &str| {
        !matches!(segment, "" | "." | "..")
            && segment
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && !b"%\\\"<>^`{|}".contains(&byte))
    };
    if !path.split('/').skip(1).all(plain) {
        return Err(URL_PATH);
    }
    Ok(UpstreamUrl::new(
        scheme,
        host,
        port.unwrap_or(default),
        path.to_owned(),
    ))
}

/// Host and port of `host`, `host:port`, `[v6]` or `[v6]:port`.
fn authority_parts(text: &str) -> Option<(HostName, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (literal, after) = rest.split_once(']')?;
            literal.parse::<Ipv6Addr>().ok()?;
            (
                literal,
                if after.is_empty() {
                    None
                } else {
                    Some(after.strip_prefix(':')?)
                },
            )
        }
        None => text
            .split_once(':')
            .map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = match port {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse().ok().filter(|&port| port > 0)?)
        }
        Some(_) => return None,
        None => None,
    };
    Some((self::host(host).ok()?, port))
}

/// A DNS name of letters, digits, `-` and `_` (RFC 1123 §2.1, and what container networks use), or an IP literal.
pub(in crate::config) fn host(text: &str) -> Result<HostName, Flaw> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let numeric_end = text
        .rsplit('.')
        .next()
        .is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    // A name that ends in a number is an IPv4 address or nothing (URL Standard §3.5): `127.1` must not become a name.
    let good = if text.contains(':') {
        text.parse::<Ipv6Addr>().is_ok()
    } else if numeric_end {
        text.parse::<Ipv4Addr>().is_ok()
    } else {
        text.len() <= 253 && text.split('.').all(label)
    };
    if good {
        Ok(HostName::new(&text.to_ascii_lowercase()))
    } else {
        Err(HOST)
    }
}

/// `https://app.example.com[:port]`, or the `null` that sandboxed pages send is not taken (RFC 6454 §6.1).
pub(in crate::config) fn origin(text: &str) -> Result<WebOrigin, Flaw> {
    let (scheme, rest) = text.split_once("://").ok_or(ORIGIN)?;
    let letters = !scheme.is_empty()
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    if letters && authority_parts(rest).is_some() {
        Ok(WebOrigin::new(&text.to_ascii_lowercase()))
    } else {
        Err(ORIGIN)
    }
}
