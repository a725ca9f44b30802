//! A request head as HTTP/2 carries it (RFC 9113 §8.3): a list of fields that the HTTP library has decoded. It meets
//! the rules of an HTTP/1.1 head, since that is what it becomes on the way to the upstream.
//! Must never let pass here what the guard would refuse there.

use http::header::{self, HeaderMap};
use http::{Method, Uri};

use super::field::{self, Field, Known, Seen};
use super::{Broken, Limits, request_line};
use crate::units::Code;

/// What is wrong with a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListFault {
    /// The refusal.
    pub code: Code,
    /// What is wrong, for people.
    pub what: &'static str,
}

/// Checks a decoded head. The library has refused already what RFC 9113 §8.2 and §8.3 call malformed: upper case in
/// names, fields of the connection, pseudo-fields that are missing, repeated or late, and `te` but for `trailers`.
///
/// # Errors
/// The first broken rule; sizes come first.
pub fn check_list(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    limits: &Limits,
) -> Result<(), ListFault> {
    check(method, uri, headers, limits).map_err(|Broken { code, what }| ListFault { code, what })
}

fn check(method: &Method, uri: &Uri, headers: &HeaderMap, limits: &Limits) -> Result<(), Broken> {
    check_sizes(method, uri, headers, limits)?;
    check_target(method, uri)?;
    let mut seen = Seen::default();
    for (name, value) in headers {
        check_field(name.as_str().as_bytes(), value.as_bytes(), &mut seen)?;
    }
    check_authority(uri, headers)
}

/// What the head would take as text, by the limits of text.
fn check_sizes(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    limits: &Limits,
) -> Result<(), Broken> {
    let target = uri
        .path_and_query()
        .map_or(0, |target| target.as_str().len());
    if target > limits.target_bytes {
        return Err(Broken {
            code: Code::TargetTooLong,
            what: "the request target is too long",
        });
    }
    if method.as_str().len() > limits.line_bytes {
        return Err(Broken::too_large("the method is too long"));
    }
    if headers.len() > limits.fields {
        return Err(Broken::too_large("there are too many fields"));
    }
    let authority = uri.authority().map_or(0, |name| name.as_str().len());
    let mut total = method.as_str().len() + target + authority + LINE_ENDS;
    for (name, value) in headers {
        let line = name.as_str().len() + 2 + value.len();
        if line > limits.line_bytes {
            return Err(Broken::too_large("a field line is too long"));
        }
        total += line + 2;
    }
    if total > limits.head_bytes {
        return Err(Broken::too_large("the head is too long"));
    }
    Ok(())
}

/// What else a head has as text: `HTTP/1.1`, two spaces, `host: `, and three line ends.
const LINE_ENDS: usize = 22;

/// The target has the origin form, or is the asterisk of OPTIONS (RFC 9113 §8.3.1). CONNECT has none.
fn check_target(method: &Method, uri: &Uri) -> Result<(), Broken> {
    if *method == Method::CONNECT {
        return Ok(());
    }
    let target = uri.path_and_query().map_or("", |target| target.as_str());
    if !target.starts_with('/') && target != "*" {
        return Err(Broken::malformed(
            "the request target does not begin with `/`",
        ));
    }
    request_line::check_target(method.as_str().as_bytes(), target.as_bytes())?;
    match uri.scheme_str() {
        None | Some("http" | "https") => Ok(()),
        Some(_) => Err(Broken::malformed("the scheme is not `http` or `https`")),
    }
}

fn check_field(name: &[u8], value: &[u8], seen: &mut Seen) -> Result<(), Broken> {
    let read = Field { name, value };
    if matches!(value, [b' ' | b'\t', ..] | [.., b' ' | b'\t']) {
        return Err(Broken::malformed(
            "a field value begins or ends in white space",
        ));
    }
    read.check_value()?;
    if !read.may_be_known() {
        return Ok(());
    }
    let Some(known) = read.known()? else {
        return Ok(());
    };
    seen.insert(known)?;
    match known {
        Known::Host => field::check_host(value),
        Known::ContentLength => field::length(value).map(drop),
        Known::TransferEncoding => Err(Broken::framing("transfer-encoding is given in HTTP/2")),
        Known::ContentType
        | Known::ContentEncoding
        | Known::Authorization
        | Known::ProxyAuthorization
        | Known::ApiKey
        | Known::GoogApiKey => Ok(()),
    }
}

/// `:authority` and `host` are one and the same; whoever comes behind may read either (RFC 9113 §8.3.1).
fn check_authority(uri: &Uri, headers: &HeaderMap) -> Result<(), Broken> {
    let authority = uri.authority().map(|name| name.as_str().as_bytes());
    let host = headers.get(header::HOST).map(header::HeaderValue::as_bytes);
    if let Some(authority) = authority
        && !field::is_authority(authority, false)
    {
        return Err(Broken::malformed("the authority is not `host[:port]`"));
    }
    match (authority, host) {
        (Some(authority), Some(host)) if !authority.eq_ignore_ascii_case(host) => Err(
            Broken::malformed("`:authority` and `host` name different hosts"),
        ),
        (None, None) => Err(Broken::malformed(
            "there is neither `:authority` nor `host`",
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
