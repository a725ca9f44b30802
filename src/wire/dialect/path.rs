//! Which endpoint a method and path mean, per dialect, and the path as the API base sees it.
//! Must never accept a path that two servers could route differently: it is refused as ambiguous.

use http::Method;

use crate::units::{Code, Dialect, Endpoint};

/// A path that means one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Classified<'a> {
    /// The endpoint, or the family it belongs to.
    pub endpoint: Endpoint,
    /// The path relative to the API base (what follows `/v1`), without a trailing slash: `/chat/completions`.
    pub path: &'a str,
}

/// Why a path cannot be read in one way only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathFault {
    /// A byte that no path of these APIs has: control, non-ASCII, `\`, `;`, `?` or `#`; or no leading `/`.
    Byte,
    /// A `.` or `..` segment, or `//`.
    Segment,
    /// A percent-escape outside a model id, a broken one, or one of a byte that may steer routing.
    Escape,
    /// A known word in another letter case, or more `/v1` in front than any client writes.
    Spelling,
}

impl PathFault {
    /// The refusal this becomes.
    pub const fn code(self) -> Code {
        Code::PathAmbiguous
    }

    /// What is wrong, for the refusal's message.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Byte => "the path holds a byte that no provider path has",
            Self::Segment => "the path holds an empty, `.` or `..` segment",
            Self::Escape => {
                "the path holds a percent-escape outside a model id, or one that may steer routing"
            }
            Self::Spelling => {
                "the path spells a known endpoint in another letter case, or starts with too many `/v1`"
            }
        }
    }
}

/// Reads `path`, which is what follows the upstream's own segment (no query): zero, one or two leading
/// `/v1` and a trailing slash are tolerated, as clients disagree on whether the base URL has them.
///
/// # Errors
/// If servers could route the path differently.
pub fn classify<'a>(
    dialect: Dialect,
    method: &Method,
    path: &'a str,
) -> Result<Classified<'a>, PathFault> {
    if let Some(known) = busy(dialect, method, path) {
        return Ok(known);
    }
    let path = api_path(path)?;
    let segments = split(path);
    let endpoint = lookup(dialect, method, &segments);
    check_escapes(path, &segments)?;
    // A server that ignores case would see an endpoint where we see none.
    let has_upper = path.bytes().any(|byte| byte.is_ascii_uppercase());
    let lower = if has_upper {
        path.to_ascii_lowercase()
    } else {
        String::new()
    };
    if has_upper && lookup(dialect, method, &split(&lower)) != endpoint {
        return Err(PathFault::Spelling);
    }
    Ok(Classified { endpoint, path })
}

/// The endpoints that nearly all calls go to, spelled as their SDKs do: no need to look at each byte.
fn busy<'a>(dialect: Dialect, method: &Method, path: &'a str) -> Option<Classified<'a>> {
    if method != Method::POST {
        return None;
    }
    let path = without_version(path);
    let endpoint = match (dialect, path) {
        (Dialect::OpenAi, "/chat/completions") => Endpoint::ChatCompletions,
        (Dialect::OpenAi, "/responses") => Endpoint::Responses,
        (Dialect::OpenAi, "/embeddings") => Endpoint::Embeddings,
        (Dialect::Anthropic, "/messages") => Endpoint::Messages,
        (Dialect::Anthropic, "/messages/count_tokens") => Endpoint::CountTokens,
        (Dialect::OpenAi | Dialect::Anthropic, _) => return None,
    };
    Some(Classified { endpoint, path })
}

fn api_path(path: &str) -> Result<&str, PathFault> {
    let odd =
        |byte: u8| !(0x21..0x7f).contains(&byte) || matches!(byte, b'\\' | b';' | b'?' | b'#');
    if path.bytes().any(odd) || !(path.is_empty() || path.starts_with('/')) {
        return Err(PathFault::Byte);
    }
    let path = path.strip_suffix('/').unwrap_or(path);
    if path
        .split('/')
        .skip(1)
        .any(|segment| matches!(segment, "" | "." | ".."))
    {
        return Err(PathFault::Segment);
    }
    let rest = without_version(without_version(path));
    let first = rest.split('/').nth(1).unwrap_or_default();
    if first.eq_ignore_ascii_case("v1") {
        return Err(PathFault::Spelling);
    }
    Ok(if rest.is_empty() { "/" } else { rest })
}

fn without_version(path: &str) -> &str {
    match path.strip_prefix("/v1") {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => rest,
        Some(_) | None => path,
    }
}

/// The first three segments; no table looks deeper.
fn split(path: &str) -> [&str; 3] {
    let mut segments = path.split('/').skip(1);
    std::array::from_fn(|_| segments.next().unwrap_or(""))
}

fn lookup(dialect: Dialect, method: &Method, segments: &[&str; 3]) -> Endpoint {
    match dialect {
        Dialect::OpenAi => super::openai::endpoint(method, segments),
        Dialect::Anthropic => super::anthropic::endpoint(method, segments),
    }
}

/// Models are listed and read; deleting one ends a training.
pub(super) fn models(method: &Method) -> Endpoint {
    match *method {
        Method::GET | Method::HEAD => Endpoint::Models,
        Method::DELETE => Endpoint::Training,
        _ => Endpoint::Other,
    }
}

/// Escapes stand in model ids only (`/models/ft%3Agpt…`), and there only for bytes that no router splits at.
fn check_escapes(path: &str, segments: &[&str; 3]) -> Result<(), PathFault> {
    if !path.contains('%') {
        return Ok(());
    }
    let id = path.strip_prefix("/models/").ok_or(PathFault::Escape)?;
    if segments[0] != "models" || id.contains('/') {
        return Err(PathFault::Escape);
    }
    let decoded = decode(id).ok_or(PathFault::Escape)?;
    let steering = |byte: u8| !(0x21..0x7f).contains(&byte) || b"/\\%?#;".contains(&byte);
    if decoded.iter().any(|&byte| steering(byte))
        || decoded == b"."
        || decoded.windows(2).any(|two| two == b"..")
    {
        return Err(PathFault::Escape);
    }
    Ok(())
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(if byte == b'%' {
            hex(bytes.next()?)? << 4 | hex(bytes.next()?)?
        } else {
            byte
        });
    }
    Some(out)
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
