//! Texts to values: durations, sizes, rates, addresses, URLs and names.
//! Pure. Must never quote the text in an error: it may have been filled in from a secret.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::defaults;
use super::problem::OutCode;
use super::values::{
    AdminAddress, CallerId, Glob, HostName, KeyHash, ListenAddress, Pem, Per, PolicyName,
    ProxyAddress, ProxySocket, Rate, Region, Scheme, TenantHeader, UpstreamUrl, WebOrigin,
};
use crate::units::UpstreamName;

/// Why a text is not a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    /// The kind of problem.
    pub(super) code: OutCode,
    /// What was expected, as in "expected …".
    pub(super) expected: &'static str,
    /// What to write instead.
    pub(super) hint: &'static str,
}

pub(super) const fn flaw(expected: &'static str, hint: &'static str) -> Flaw {
    Flaw {
        code: OutCode::InvalidValue,
        expected,
        hint,
    }
}

const DURATION: Flaw = flaw(
    "a duration",
    "write a number and a unit: `250ms`, `30s`, `5m` or `2h`",
);
const SIZE: Flaw = flaw(
    "a size",
    "write a number and a unit: `1000B`, `64KiB`, `32MiB` or `1GiB`",
);
const RATE: Flaw = flaw(
    "a rate",
    "write an amount per `s`, `min` or `h`: `50/s`, `200k/min`, `1M/h`, `50/s burst 100`",
);
const ADDRESS: Flaw = flaw(
    "an IP address and a port",
    "write for example `127.0.0.1:8470` or `[::1]:8470`",
);
const PROXY: Flaw = flaw(
    "an IP address and a port, or `unix:` and an absolute path",
    "write for example `127.0.0.1:8470`, `[::1]:8470` or `unix:/run/outrigger/acme.sock?mode=0660&tenant=acme`",
);
const PROXY_PORT: Flaw = flaw(
    "an address and nothing behind it",
    "a port proves nothing about who calls: only a unix socket has a mode and a tenant",
);
const PROXY_ABSTRACT: Flaw = flaw(
    "a path in the file system",
    "whoever runs on the machine can open an abstract socket: it has no permissions",
);
const PROXY_OPTION: Flaw = flaw(
    "no options but `mode` and `tenant`, each once",
    "write for example `unix:/run/outrigger/acme.sock?mode=0660&tenant=acme`",
);
const PROXY_MODE: Flaw = flaw(
    "a mode that lets the owner in and has no other bits than read and write",
    "write for example `mode=0660`; a group or others that may not write cannot connect",
);
const SOCKET: Flaw = flaw(
    "`unix:` and a path, or a loopback address and a port",
    "write for example `unix:admin.sock`, `127.0.0.1:8472`, or `off`",
);
const CALLER: Flaw = flaw(
    "`uid:` or `gid:` and a number",
    "write for example `uid:1000`; `id -u NAME` prints a user's number",
);
const URL: Flaw = flaw(
    "an `http` or `https` URL",
    "write for example `https://api.openai.com`",
);
const URL_USER: Flaw = flaw("a URL without a user", "put the credential into `key`");
const URL_QUERY: Flaw = flaw(
    "a URL without query and fragment",
    "end it after the base path",
);
const URL_PATH: Flaw = flaw(
    "a URL with a plain base path",
    "leave out empty, `.` and `..` segments, `%` escapes and spaces",
);
const HOST: Flaw = flaw(
    "a host name or IP literal",
    "write it without scheme, port and path; names outside ASCII in their `xn--` form",
);
const ORIGIN: Flaw = flaw(
    "a browser origin",
    "write scheme, host and port only: `https://app.example.com`",
);
const PEM: Flaw = flaw(
    "certificates as PEM",
    "write `${file:/path}` with the path of a file that holds `-----BEGIN CERTIFICATE-----`",
);
const TENANT_HEADER: Flaw = flaw(
    "the name of a header that begins with `x-` and means nothing else",
    "write for example `x-tenant-id`",
);
const REGION: Flaw = flaw("a region", "use 1 to 64 of `[a-z0-9-]`");
const GLOB: Flaw = flaw(
    "a pattern",
    "use 1 to 256 visible ASCII characters; `*` stands for any text",
);
const MODEL: Flaw = flaw(
    "the name of a model",
    "use 1 to 256 visible ASCII characters, no `*`",
);
const KEY_HASH: Flaw = flaw(
    "`sha256:` and 64 hex digits",
    "`outrigger keys new` makes a key and prints its hash; the key itself never stands here",
);
const SECRET: Flaw = flaw(
    "a credential of visible ASCII characters",
    "check for spaces and line ends around it",
);

const fn unit_missing(flaw: Flaw) -> Flaw {
    Flaw {
        code: OutCode::UnitMissing,
        ..flaw
    }
}

/// What a bare number where a unit is needed is told.
pub(super) const DURATION_UNIT: Flaw = unit_missing(DURATION);
/// The same for sizes.
pub(super) const SIZE_UNIT: Flaw = unit_missing(SIZE);
/// The same for rates.
pub(super) const RATE_UNIT: Flaw = unit_missing(RATE);

/// `250ms`, `30s`, `5m`, `2h`: a whole number and one unit.
pub(super) fn duration(text: &str) -> Result<Duration, Flaw> {
    let (number, unit) = leading_number(text).ok_or(DURATION)?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "" => return Err(DURATION_UNIT),
        _ => return Err(DURATION),
    };
    number
        .checked_mul(millis)
        .map(Duration::from_millis)
        .ok_or(DURATION)
}

/// The shortest text of a duration of whole milliseconds.
pub(super) fn duration_text(span: Duration) -> String {
    let millis = span.as_millis();
    let (divisor, unit) = [(3_600_000, "h"), (60_000, "m"), (1000, "s")]
        .into_iter()
        .find(|&(divisor, _)| millis >= divisor && millis.is_multiple_of(divisor))
        .unwrap_or((1, "ms"));
    // Seconds are how people know the usual timeouts: 120 s stays `120s`.
    if unit == "m" {
        format!("{}s", millis / 1000)
    } else {
        format!("{}{unit}", millis / divisor)
    }
}

/// `1000B`, `64KiB`, `32MiB`, `1GiB`: binary multiples only, since two meanings of `MB` exist.
pub(super) fn size(text: &str) -> Result<u64, Flaw> {
    let (number, unit) = leading_number(text).ok_or(SIZE)?;
    let bytes = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "" => return Err(SIZE_UNIT),
        _ => return Err(SIZE),
    };
    number.checked_mul(bytes).ok_or(SIZE)
}

/// The shortest text of a size.
pub(super) fn size_text(bytes: u64) -> String {
    let (shift, unit) = [(30, "GiB"), (20, "MiB"), (10, "KiB")]
        .into_iter()
        .find(|&(shift, _)| bytes >= 1 << shift && bytes.trailing_zeros() >= shift)
        .unwrap_or((0, "B"));
    format!("{}{unit}", bytes >> shift)
}

/// `50/s`, `200k/min`, `1M/h`, `50/s burst 100`.
pub(super) fn rate(text: &str) -> Result<Rate, Flaw> {
    let (rate, burst) = match text.split_once(" burst ") {
        Some((rate, burst)) => (rate, Some(amount(burst.trim()).ok_or(RATE)?)),
        None => (text, None),
    };
    let Some((number, unit)) = rate.trim().split_once('/') else {
        return Err(if amount(text).is_some() {
            RATE_UNIT
        } else {
            RATE
        });
    };
    let per = match unit.trim() {
        "s" => Per::Second,
        "min" => Per::Minute,
        "h" | "hour" => Per::Hour,
        _ => return Err(RATE),
    };
    Ok(Rate {
        amount: amount(number.trim()).ok_or(RATE)?,
        per,
        burst,
    })
}

/// A whole number of at least 1, with `k` or `M`.
fn amount(text: &str) -> Option<u64> {
    let (number, suffix) = leading_number(text)?;
    let times = match suffix {
        "" => 1,
        "k" => 1000,
        "M" => 1_000_000,
        _ => return None,
    };
    number.checked_mul(times).filter(|&amount| amount > 0)
}

/// A whole number (`_` between digits allowed, as in TOML) and what follows it.
fn leading_number(text: &str) -> Option<(u64, &str)> {
    let end = text
        .find(|letter: char| !letter.is_ascii_digit() && letter != '_')
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    if digits.starts_with('_') || digits.ends_with('_') {
        return None;
    }
    Some((digits.replace('_', "").parse().ok()?, rest.trim_start()))
}

/// `127.0.0.1:8470`, `[::1]:8470`.
pub(super) fn address(text: &str) -> Result<ListenAddress, Flaw> {
    text.parse::<SocketAddr>()
        .map(ListenAddress)
        .map_err(|_| ADDRESS)
}

/// `127.0.0.1:8470`, `unix:/run/outrigger/proxy.sock?mode=0660&tenant=acme`.
pub(super) fn proxy(text: &str) -> Result<ProxyAddress, Flaw> {
    let Some(rest) = text.strip_prefix("unix:") else {
        let fault = if text.contains('?') {
            PROXY_PORT
        } else {
            PROXY
        };
        return address(text).map(ProxyAddress::Tcp).map_err(|_| fault);
    };
    let (path, options) = rest
        .split_once('?')
        .map_or((rest, None), |(path, rest)| (path, Some(rest)));
    if path.starts_with('@') {
        return Err(PROXY_ABSTRACT);
    }
    if !path.starts_with('/') || !is_socket_path(path) {
        return Err(PROXY);
    }
    let (mut mode, mut tenant) = (None, None);
    for option in options.into_iter().flat_map(|options| options.split('&')) {
        match option.split_once('=') {
            Some(("mode", digits)) if mode.is_none() => mode = Some(socket_mode(digits)?),
            Some(("tenant", id)) if tenant.is_none() => {
                tenant = Some(id.parse().map_err(|_| PROXY_OPTION)?);
            }
            Some(_) | None => return Err(PROXY_OPTION),
        }
    }
    Ok(ProxyAddress::Unix(ProxySocket {
        path: path.into(),
        mode: mode.unwrap_or(defaults::SOCKET_MODE),
        tenant,
    }))
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
pub(super) fn admin_address(text: &str) -> Result<AdminAddress, Flaw> {
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
pub(super) fn caller(text: &str) -> Result<CallerId, Flaw> {
    let (kind, number) = text.split_once(':').ok_or(CALLER)?;
    let number = number.parse().map_err(|_| CALLER)?;
    match kind {
        "uid" => Ok(CallerId::User(number)),
        "gid" => Ok(CallerId::Group(number)),
        _ => Err(CALLER),
    }
}

/// `https://host[:port][/base/path]` (RFC 3986 §3), nothing more: see [`UpstreamUrl`].
pub(super) fn url(text: &str) -> Result<UpstreamUrl, Flaw> {
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
pub(super) fn host(text: &str) -> Result<HostName, Flaw> {
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
pub(super) fn origin(text: &str) -> Result<WebOrigin, Flaw> {
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

/// `x-[a-z0-9-]+`, written in any case (RFC 9110 §5.1); not one that carries a credential or steers a request.
pub(super) fn tenant_header(text: &str) -> Result<TenantHeader, Flaw> {
    const TAKEN: [&str; 8] = [
        "x-api-key",
        "x-goog-api-key",
        "x-idempotency-key",
        "x-http-method",
        "x-http-method-override",
        "x-method-override",
        "x-original-url",
        "x-rewrite-url",
    ];
    let name = text.to_ascii_lowercase();
    let letters = name
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    let taken =
        TAKEN.contains(&&*name) || name.starts_with("x-stainless-") || name.starts_with("x-b3-");
    if letters && !taken && name.starts_with("x-") && (3..=64).contains(&name.len()) {
        Ok(TenantHeader::new(&name))
    } else {
        Err(TENANT_HEADER)
    }
}

/// `[a-z0-9-]{1,64}`.
pub(super) fn pem(text: &str) -> Result<Pem, Flaw> {
    if text.contains("-----BEGIN CERTIFICATE-----") {
        Ok(Pem::new(text))
    } else {
        Err(PEM)
    }
}

pub(super) fn region(text: &str) -> Result<Region, Flaw> {
    let good = (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if good {
        Ok(Region::new(text))
    } else {
        Err(REGION)
    }
}

/// Visible ASCII, with `*`.
pub(super) fn glob(text: &str) -> Result<Glob, Flaw> {
    if visible(text, 256) {
        Ok(Glob::new(text))
    } else {
        Err(GLOB)
    }
}

/// Visible ASCII, without `*`.
pub(super) fn model(text: &str) -> Result<String, Flaw> {
    if visible(text, 256) && !text.contains('*') {
        Ok(text.to_owned())
    } else {
        Err(MODEL)
    }
}

/// A credential that can stand in a header.
pub(super) fn secret(text: &str) -> Result<(), Flaw> {
    if visible(text, 64 << 10) {
        Ok(())
    } else {
        Err(SECRET)
    }
}

/// `sha256:` and 64 hex digits.
pub(super) fn key_hash(text: &str) -> Result<KeyHash, Flaw> {
    let digits = text
        .strip_prefix("sha256:")
        .filter(|digits| digits.len() == 64)
        .ok_or(KEY_HASH)?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        let [high, low] = [hex(pair[0]), hex(pair[1])];
        *byte = high
            .zip(low)
            .map(|(high, low)| high << 4 | low)
            .ok_or(KEY_HASH)?;
    }
    Ok(KeyHash::new(bytes))
}

/// The name of a policy: the grammar of an upstream's name.
pub(super) fn policy_name(text: &str) -> Result<PolicyName, crate::units::IdError> {
    text.parse::<UpstreamName>()
        .map(|name| PolicyName::new(name.as_str()))
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

fn visible(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests;
