//! Field lines (RFC 9110 §5, RFC 9112 §5) and the fields whose meaning must be beyond doubt.
//! Must never look at a field nobody could smuggle with.

use memchr::memchr;

use super::super::block;
use super::Broken;
use crate::units::Code;

/// A field line, split.
#[derive(Clone, Copy, Debug)]
pub(in crate::wire) struct Field<'a> {
    pub(super) name: &'a [u8],
    /// Without the white space around it, unless it was read by [`plain`].
    pub(super) value: &'a [u8],
}

/// The fields that must stand at most once, and never under a name that only looks alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    Host,
    ContentLength,
    TransferEncoding,
    ContentType,
    ContentEncoding,
    Authorization,
    ProxyAuthorization,
    ApiKey,
    GoogApiKey,
}

/// Which known fields a head has had.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen(u16);

impl Seen {
    pub(super) const fn has(self, known: Known) -> bool {
        self.0 >> known as u16 & 1 == 1
    }

    pub(super) const fn insert(&mut self, known: Known) -> Result<(), Broken> {
        if self.has(known) {
            return Err(match known {
                Known::ContentLength => Broken::framing("content-length stands twice"),
                Known::TransferEncoding => Broken::framing("transfer-encoding stands twice"),
                Known::Host => Broken::malformed("host stands twice"),
                Known::ContentType => Broken::malformed("content-type stands twice"),
                Known::ContentEncoding => Broken::malformed("content-encoding stands twice"),
                Known::Authorization => Broken::malformed("authorization stands twice"),
                Known::ProxyAuthorization => Broken::malformed("proxy-authorization stands twice"),
                Known::ApiKey => Broken::malformed("x-api-key stands twice"),
                Known::GoogApiKey => Broken::malformed("x-goog-api-key stands twice"),
            });
        }
        self.0 |= 1 << known as u16;
        Ok(())
    }
}

/// Reads a field line that nothing can be said against: whole, its name made of the usual bytes, its value of text.
/// Also where its line feed is. `None` says nothing; [`Field::split`] and [`Field::check_value`] judge. The white space
/// around the value is still there, since few fields are looked at any further: see [`Field::trimmed`].
#[inline]
pub(super) fn plain(bytes: &[u8], from: usize) -> Option<(Field<'_>, usize)> {
    let colon = block::find(bytes, from, |lane| {
        !(lane.with(0x20).within(b'a', b'z') | lane.within(b'0', b'9') | lane.is(b'-'))
    });
    let name = bytes.get(from..colon)?;
    // A tab is looked at by the other way.
    let end = block::find(bytes, colon, |lane| lane.at_most(0x1f) | lane.is(0x7f));
    let value = bytes.get(colon..end)?.strip_prefix(b":")?;
    let whole = !name.is_empty() && bytes.get(end..)?.starts_with(b"\r\n");
    whole.then_some((Field { name, value }, end + 1))
}

impl<'a> Field<'a> {
    /// Splits a field line that has lost its line end, and checks its name.
    #[inline]
    pub(in crate::wire) fn split(line: &'a [u8]) -> Result<Self, Broken> {
        let end = line
            .iter()
            .position(|&byte| !is_token_byte(byte))
            .unwrap_or(line.len());
        let (name, rest) = line.split_at(end);
        match rest.split_first() {
            Some((b':', value)) if !name.is_empty() => Ok(Self {
                name,
                value: trim(value),
            }),
            Some((b':', _)) => Err(Broken::malformed("a field has no name")),
            Some((b' ' | b'\t', _)) if name.is_empty() => Err(Broken::malformed(
                "a field line is folded, or starts with white space",
            )),
            Some((b' ' | b'\t', _)) => Err(Broken::malformed(
                "white space stands before a field's colon",
            )),
            Some(_) => Err(Broken::malformed("a field name is not a token")),
            None => Err(Broken::malformed("a field line has no colon")),
        }
    }

    /// The field without the white space around its value.
    #[inline]
    pub(super) fn trimmed(&self) -> Self {
        Self {
            name: self.name,
            value: trim(self.value),
        }
    }

    /// Checks that the value holds text only: visible bytes, spaces, tabs and obs-text (RFC 9110 §5.5).
    #[inline]
    pub(in crate::wire) fn check_value(&self) -> Result<(), Broken> {
        // No early way out: without one, this is done 16 bytes at a time.
        let bad = self.value.iter().fold(0, |bad, &byte| {
            bad | u8::from(byte < 0x20 && byte != b'\t') | u8::from(byte == 0x7f)
        });
        if bad == 0 {
            Ok(())
        } else {
            Err(Broken::malformed("a control byte stands in a field value"))
        }
    }

    /// Whether the length and the first letter of the name are a known field's, which few names' are.
    #[inline]
    pub(super) fn may_be_known(&self) -> bool {
        let first = self.name.first().map_or(0, |byte| byte | 0x20);
        matches!(
            (self.name.len(), first),
            (4, b'h')
                | (9 | 14, b'x')
                | (12 | 14 | 16, b'c')
                | (13, b'a')
                | (17, b't')
                | (19, b'p')
        )
    }

    /// Which known field this is. A name that becomes a known one when `_` is read as `-` is refused, since some
    /// servers behind us do read it so.
    #[inline]
    pub(super) fn known(&self) -> Result<Option<Known>, Broken> {
        let (wanted, known): (&[u8], Known) = match (self.name.len(), self.name.first()) {
            (4, _) => (b"host", Known::Host),
            (9, _) => (b"x-api-key", Known::ApiKey),
            (12, _) => (b"content-type", Known::ContentType),
            (13, _) => (b"authorization", Known::Authorization),
            (14, Some(b'x' | b'X')) => (b"x-goog-api-key", Known::GoogApiKey),
            (14, _) => (b"content-length", Known::ContentLength),
            (16, _) => (b"content-encoding", Known::ContentEncoding),
            (17, _) => (b"transfer-encoding", Known::TransferEncoding),
            (19, _) => (b"proxy-authorization", Known::ProxyAuthorization),
            _ => return Ok(None),
        };
        if self.name == wanted {
            return Ok(Some(known));
        }
        if !is_alike(self.name, wanted) {
            Ok(None)
        } else if memchr(b'_', self.name).is_some() {
            Err(Broken::malformed(
                "a field name has `_` where a well-known one has `-`",
            ))
        } else {
            Ok(Some(known))
        }
    }

    /// Checks that this field may stand in a trailer section (RFC 9110 §6.5.1): nothing that frames, routes,
    /// identifies or describes the content.
    pub(in crate::wire) fn check_trailer(&self) -> Result<(), Broken> {
        let barred = self.known()?.is_some()
            || NO_TRAILERS.iter().any(|name| is_alike(self.name, name))
            || NO_TRAILER_PREFIXES.iter().any(|prefix| {
                self.name
                    .get(..prefix.len())
                    .is_some_and(|start| is_alike(start, prefix))
            });
        if barred {
            return Err(Broken::malformed(
                "a trailer holds a field that belongs into the head",
            ));
        }
        self.check_value()
    }
}

const NO_TRAILERS: [&[u8]; 16] = [
    b"cache-control",
    b"connection",
    b"content-language",
    b"content-location",
    b"content-range",
    b"cookie",
    b"expect",
    b"forwarded",
    b"keep-alive",
    b"max-forwards",
    b"proxy-connection",
    b"range",
    b"te",
    b"trailer",
    b"upgrade",
    b"via",
];

const NO_TRAILER_PREFIXES: [&[u8]; 4] = [
    b"outrigger-",
    b"x-outrigger-",
    b"x-tenant-",
    b"x-forwarded-",
];

/// Whether a name is `wanted` (lower case) when letter case is ignored and `_` is read as `-`.
#[inline]
fn is_alike(name: &[u8], wanted: &[u8]) -> bool {
    name.len() == wanted.len()
        && name.iter().zip(wanted).all(|(&byte, &wanted)| {
            byte.to_ascii_lowercase() == wanted || (byte == b'_' && wanted == b'-')
        })
}

/// The longest body: what a signed 64-bit number holds, since readers behind us may use one (RFC 9110 §8.6 warns of
/// it), and the HTTP library keeps the highest values for itself.
const LONGEST: u64 = u64::MAX >> 1;

/// Reads a content length: digits only, at most [`LONGEST`].
pub(super) fn length(value: &[u8]) -> Result<u64, Broken> {
    const UNREADABLE: Broken = Broken::framing("content-length is not a plain decimal number");
    if value.is_empty() {
        return Err(UNREADABLE);
    }
    value
        .iter()
        .try_fold(0_u64, |sum, &byte| {
            let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
            sum.checked_mul(10)?.checked_add(digit)
        })
        .filter(|&length| length <= LONGEST)
        .ok_or(UNREADABLE)
}

/// Lets only `chunked` pass (RFC 9112 §6.1). Another coding is unsupported; what some reader could still take for
/// `chunked` is a conflict.
pub(super) fn check_coding(value: &[u8]) -> Result<(), Broken> {
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(());
    }
    let like_chunked = value
        .windows(7)
        .any(|part| part.eq_ignore_ascii_case(b"chunked"));
    if is_token(value) && !like_chunked {
        return Err(Broken {
            code: Code::CodingUnsupported,
            what: "the transfer coding is not `chunked`",
        });
    }
    Err(Broken::framing(
        "transfer-encoding is not exactly `chunked`",
    ))
}

/// Checks a `Host` value (RFC 9112 §3.2).
pub(super) fn check_host(value: &[u8]) -> Result<(), Broken> {
    if value.is_empty() {
        return Err(Broken::malformed("host is empty"));
    }
    if is_authority(value, false) {
        Ok(())
    } else {
        Err(Broken::malformed("host is not `host[:port]`"))
    }
}

/// Whether this is a host and an optional (or wanted) port: a name of letters, digits, `-`, `.`, `_` and `~`, an IPv4
/// address, or an IPv6 address in brackets without zone. No user information, no percent-encoding.
pub(super) fn is_authority(text: &[u8], wants_port: bool) -> bool {
    let (host_fits, port) = if let Some(rest) = text.strip_prefix(b"[") {
        let Some(end) = memchr(b']', rest) else {
            return false;
        };
        let (host, after) = rest.split_at(end);
        (is_ipv6(host), after.get(1..).unwrap_or_default())
    } else {
        let (host, port) = text.split_at(memchr(b':', text).unwrap_or(text.len()));
        (
            !host.is_empty() && host.iter().copied().all(is_name_byte),
            port,
        )
    };
    host_fits
        && match port.split_first() {
            None => !wants_port,
            Some((b':', digits)) => is_port(digits),
            Some(_) => false,
        }
}

fn is_ipv6(host: &[u8]) -> bool {
    std::str::from_utf8(host).is_ok_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok())
}

const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn is_port(digits: &[u8]) -> bool {
    (1..=5).contains(&digits.len())
        && digits.iter().all(u8::is_ascii_digit)
        && u16::try_from(
            digits
                .iter()
                .fold(0_u32, |sum, &digit| sum * 10 + u32::from(digit - b'0')),
        )
        .is_ok()
}

/// A token (RFC 9110 §5.6.2).
pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().copied().all(is_token_byte)
}

#[inline]
const fn is_token_byte(byte: u8) -> bool {
    TOKEN[byte as usize]
}

static TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        let mark = matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        );
        table[byte as usize] = mark || byte.is_ascii_alphanumeric();
        byte += 1;
    }
    table
};

/// Removes optional white space at both ends (RFC 9110 §5.6.3).
#[inline]
fn trim(value: &[u8]) -> &[u8] {
    let mut value = value;
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}
