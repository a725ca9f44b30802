//! The request line (RFC 9112 §3). Must never normalise the target: it goes on as it came.

use memchr::{memchr, memchr3};

use super::super::block::{self, Lane};
use super::field::{is_authority, is_token};
use super::{Broken, Limits, Version};
use crate::units::Code;

/// Checks a whole request line, without its line end.
pub(super) fn check(line: &[u8]) -> Result<Version, Broken> {
    if memchr3(b'\r', 0, b'\t', line).is_some() {
        return Err(Broken::malformed(
            "a control byte stands in the request line",
        ));
    }
    let Some((method, rest)) = split_space(line) else {
        return Err(Broken::malformed("the request line has no target"));
    };
    if rest.is_empty() {
        return Err(Broken::malformed("the request line has no target"));
    }
    if !is_token(method) {
        return Err(Broken::malformed("the method is not a token"));
    }
    let Some((target, version)) = split_space(rest) else {
        return Err(unsupported("a request line without a version is HTTP/0.9"));
    };
    if !version.iter().all(u8::is_ascii_graphic) {
        return Err(Broken::malformed(
            "the request line has more than three parts",
        ));
    }
    let version = match version {
        b"HTTP/1.1" => Version::Http11,
        b"HTTP/1.0" => Version::Http10,
        _ => return Err(unsupported("the version is neither HTTP/1.1 nor HTTP/1.0")),
    };
    check_target(method, target).map(|()| version)
}

/// How long this request line may get, as far as its parts are known, and the refusal beyond that.
pub(super) fn longest(line: &[u8], limits: &Limits) -> (usize, Broken) {
    let method = memchr(b' ', line).unwrap_or(line.len());
    if method > limits.line_bytes {
        return (
            limits.line_bytes,
            Broken::too_large("the method is too long"),
        );
    }
    let rest = line.get(method + 1..).unwrap_or_default();
    let target = memchr(b' ', rest).unwrap_or(rest.len());
    if target > limits.target_bytes {
        let broken = Broken {
            code: Code::TargetTooLong,
            what: "the request target is too long",
        };
        return (method + 1 + limits.target_bytes, broken);
    }
    let most = method + target + 2 + limits.line_bytes;
    (most, Broken::too_large("the version is too long"))
}

fn unsupported(what: &'static str) -> Broken {
    Broken {
        code: Code::VersionUnsupported,
        what,
    }
}

fn split_space(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr(b' ', line)?;
    Some((line.get(..at)?, line.get(at + 1..)?))
}

/// The four forms of RFC 9112 §3.2, each only where it belongs.
pub(super) fn check_target(method: &[u8], target: &[u8]) -> Result<(), Broken> {
    if method == b"CONNECT" {
        let fine = is_authority(target, true);
        return if fine {
            Ok(())
        } else {
            Err(Broken::malformed("CONNECT wants `host:port`"))
        };
    }
    if block::find(target, 0, is_no_target_byte) < target.len() {
        return Err(Broken::malformed(
            "the request target holds a byte that must be percent-encoded",
        ));
    }
    match target.first() {
        Some(b'/') => Ok(()),
        Some(b'*') if target.len() == 1 && method == b"OPTIONS" => Ok(()),
        _ if is_absolute(target) => Ok(()),
        _ => Err(Broken::malformed(
            "the request target has none of the forms of RFC 9112 §3.2",
        )),
    }
}

fn is_absolute(target: &[u8]) -> bool {
    let Some(colon) = memchr(b':', target) else {
        return false;
    };
    let (scheme, rest) = target.split_at(colon);
    let known = scheme.eq_ignore_ascii_case(b"http") || scheme.eq_ignore_ascii_case(b"https");
    let Some(rest) = rest.strip_prefix(b"://") else {
        return false;
    };
    let end = rest
        .iter()
        .position(|&byte| matches!(byte, b'/' | b'?'))
        .unwrap_or(rest.len());
    known && is_authority(rest.get(..end).unwrap_or_default(), false)
}

/// Visible ASCII without the bytes that no URI reader agrees on; `#` never reaches a server (RFC 9112 §3.2).
fn is_no_target_byte(lane: Lane) -> Lane {
    let odd = lane.is(b'"') | lane.is(b'#') | lane.is(b'`') | lane.is(b'<') | lane.is(b'>');
    !lane.within(b'!', b'~') | odd
}
