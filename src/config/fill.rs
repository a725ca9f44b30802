//! `${env:NAME}`, `${env:NAME:-default}` and `${file:/path}` in string values.
//! Filled in after parsing and never parsed again, so a value can never become a key. Must never put a value into an error.

use std::path::Path;

use super::keys::{Grammar, Key, Kind};
use super::load::{Environment, ReadError};
use super::problem::OutCode;

/// Bytes of a referenced file: a secret is a line.
const FILE_CAP: u64 = 64 << 10;
/// Bytes of one that holds certificates: a system's whole bundle has a quarter of that.
const BUNDLE_CAP: u64 = 1 << 20;
/// Bytes of a value with everything filled in.
const VALUE_CAP: usize = 1 << 20;

/// Why a text cannot be filled in; names the reference, never its value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FillError {
    /// Not one of the three forms.
    #[error("`{0}` is not a reference")]
    Malformed(String),
    /// No such variable.
    #[error("the environment variable `{0}` is not set")]
    Unset(String),
    /// No such file, or no text in it.
    #[error("cannot read `{0}`: {1}")]
    File(String, FileFault),
    /// Too much text.
    #[error("the value is larger than {VALUE_CAP} bytes with its references filled in")]
    TooLarge,
}

/// What is wrong with a referenced file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FileFault {
    /// It cannot be read.
    #[error(transparent)]
    Read(ReadError),
    /// It is not text.
    #[error("it is not UTF-8")]
    NotText,
}

impl FillError {
    pub(super) const fn code(&self) -> OutCode {
        match self {
            Self::Malformed(_) => OutCode::ReferenceMalformed,
            Self::Unset(_) => OutCode::VariableUnset,
            Self::File(..) => OutCode::FileUnreadable,
            Self::TooLarge => OutCode::InvalidValue,
        }
    }

    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::Malformed(_) => Some(
                "write `${env:NAME}`, `${env:NAME:-default}` or `${file:/absolute/path}`; `$${` stands for a plain `${`"
                    .to_owned(),
            ),
            Self::Unset(name) => Some(format!("set it, or give a default: `${{env:{name}:-default}}`")),
            Self::File(_, FileFault::Read(ReadError::TooLarge(FILE_CAP))) => Some(
                "is it the file you meant? a secret is a line; only certificates (`ca`) may be larger, up to 1 MiB".to_owned(),
            ),
            Self::File(..) | Self::TooLarge => None,
        }
    }
}

/// Whether anything in a text would be filled in.
pub(super) fn has_reference(text: &str) -> bool {
    text.contains("${")
}

/// How large a file may be that is filled in for a key.
pub(super) const fn most(key: &Key) -> u64 {
    match key.kind {
        Kind::Text(Grammar::Pem) => BUNDLE_CAP,
        _ => FILE_CAP,
    }
}

/// The text with every reference filled in, from files of at most so many bytes. `seen` is told each path before it is read.
pub(super) fn fill(
    text: &str,
    most: u64,
    environment: &dyn Environment,
    seen: &mut dyn FnMut(&Path),
) -> Result<String, FillError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, reference) = rest.split_at(at);
        if let Some(escaped) = before.strip_suffix('$') {
            out.push_str(escaped);
            out.push_str("${");
            rest = &reference[2..];
            continue;
        }
        out.push_str(before);
        let end = reference
            .find('}')
            .ok_or_else(|| FillError::Malformed(shorten(reference)))?;
        out.push_str(&resolve(&reference[2..end], most, environment, seen)?);
        rest = &reference[end + 1..];
        if out.len() > VALUE_CAP {
            return Err(FillError::TooLarge);
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// The value of what stands between `${` and `}`.
fn resolve(
    inner: &str,
    most: u64,
    environment: &dyn Environment,
    seen: &mut dyn FnMut(&Path),
) -> Result<String, FillError> {
    let malformed = || FillError::Malformed(shorten(&format!("${{{inner}}}")));
    match inner.split_once(':') {
        Some(("env", rest)) => {
            let (name, default) = rest
                .split_once(":-")
                .map_or((rest, None), |(name, default)| (name, Some(default)));
            if !is_variable_name(name) || default.is_some_and(has_reference) {
                return Err(malformed());
            }
            // As in a shell, `:-` also stands in for a variable that is empty.
            match (environment.variable(name), default) {
                (Some(value), None) => Ok(value),
                (Some(value), Some(_)) if !value.is_empty() => Ok(value),
                (_, Some(default)) => Ok(default.to_owned()),
                (None, None) => Err(FillError::Unset(name.to_owned())),
            }
        }
        Some(("file", path)) if Path::new(path).is_absolute() && !path.contains(['$', '\0']) => {
            seen(Path::new(path));
            read(path, most, environment)
        }
        Some(_) | None => Err(malformed()),
    }
}

/// The text of a referenced file, without its one trailing line end (editors and `echo` add it).
fn read(path: &str, most: u64, environment: &dyn Environment) -> Result<String, FillError> {
    let fault = |fault| FillError::File(path.to_owned(), fault);
    let bytes = environment
        .read(Path::new(path), most)
        .map_err(|error| fault(FileFault::Read(error)))?;
    let mut text = String::from_utf8(bytes).map_err(|_| fault(FileFault::NotText))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

fn is_variable_name(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    name.bytes().next().is_some_and(letter)
        && name
            .bytes()
            .all(|byte| letter(byte) || byte.is_ascii_digit())
}

/// Enough of a text to recognise it by.
fn shorten(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests;
