//! Which stretches of the source hold secrets, so that no snippet shows them.
//! Errs on the side of hiding: a hidden region name costs nothing, a printed key costs the key.

use toml::Spanned;
use toml::de::DeValue;

use super::keys::{Grammar, Key, Kind};
use super::parse;
use super::section::site;
use super::site::{Site, Sources};

/// Words in a key's name that make its value a secret.
const SECRETIVE: [&str; 7] = [
    "auth",
    "bearer",
    "credential",
    "key",
    "password",
    "secret",
    "token",
];
/// Names that contain such a word and are none.
const PLAIN: [&str; 5] = [
    "tokens",
    "input_tokens",
    "output_tokens",
    "max_output_tokens",
    "uncapped_output_tokens",
];

/// Whether the values of a key are never quoted.
pub(super) fn hides(key: &Key) -> bool {
    matches!(
        key.kind,
        Kind::Secret | Kind::Secrets | Kind::Url | Kind::Texts(Grammar::KeyHash)
    )
}

/// Hides the value of a known key, if it is or could be a secret.
pub(super) fn known(sources: &mut Sources, key: &Key, text: &str, site: Site) {
    // A reference is not the secret; its default is.
    let reference = text.starts_with("${") && text.ends_with('}') && !text.contains(":-");
    let hidden = (matches!(key.kind, Kind::Secret | Kind::Secrets) && !reference)
        || (key.kind == Kind::Texts(Grammar::KeyHash) && parse::key_hash(text).is_err())
        || (key.kind == Kind::Url && text.contains(['@', '?']));
    if hidden {
        sources.mask(site);
    }
}

/// Hides the value of a known key that has the wrong type: a secret in a list is one all the same.
pub(super) fn wrong(sources: &mut Sources, key: &Key, value: &DeValue<'_>, at: Site) {
    let plain = value.is_integer() || value.is_float() || value.is_bool() || value.is_datetime();
    if plain || !hides(key) {
        return;
    }
    sources.mask(at);
    if let DeValue::Table(table) = value {
        for inner in table.values() {
            unknown(sources, at.file, "key", inner);
        }
    }
}

/// Hides the value of an unknown key whose name sounds like a secret, or what sounds so below it.
pub(super) fn unknown(sources: &mut Sources, file: u16, name: &str, value: &Spanned<DeValue<'_>>) {
    match value.get_ref() {
        // A table written with a header spans only that: what is below it must be hidden piece by piece.
        DeValue::Table(table) => {
            for (inner, value) in table {
                let name = if secretive(name) {
                    name
                } else {
                    inner.get_ref()
                };
                unknown(sources, file, name, value);
            }
        }
        DeValue::Array(array) => {
            for value in array {
                unknown(sources, file, name, value);
            }
        }
        DeValue::String(_) if secretive(name) => sources.mask(site(file, &value.span())),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => {}
    }
}

/// Hides whatever follows a word that sounds like a secret, line by line: for files that are not TOML.
pub(super) fn lines(sources: &mut Sources, file: u16) {
    let text = sources.text(file);
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if let Some(after) = secret_part(line) {
            let end = start + line.trim_end().len();
            sources.mask(site(file, &(start + after..end)));
        }
        start += line.len();
    }
}

fn secretive(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    !PLAIN.contains(&&*name) && SECRETIVE.iter().any(|word| name.contains(word))
}

/// Where the secret of a line may begin: after the first word that sounds like one, and what joins it to its value.
fn secret_part(line: &str) -> Option<usize> {
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    let is_joint = |letter: char| matches!(letter, ' ' | '\t' | '=' | '"' | '\'' | ':' | '[' | '{');
    let mut start = 0;
    while start < line.len() {
        let word = &line[start..];
        let length = word.find(|letter| !is_name(letter)).unwrap_or(word.len());
        // Looked at only behind such a word: a line of brackets must not be walked once for each of them.
        if secretive(&word[..length]) {
            let rest = &word[length..];
            let joint = rest.find(|letter| !is_joint(letter)).unwrap_or(rest.len());
            // A word of a list, a header or a path is no key with a value.
            let ends = rest[joint..].starts_with([',', ']', '.', '}', '\r', '\n']);
            if !ends && !reference(&rest[joint..]) {
                return Some(start + length + joint);
            }
        }
        start += length.max(1);
        while !line.is_char_boundary(start) {
            start += 1;
        }
    }
    None
}

/// Whether nothing but one reference without a default is left of the line.
fn reference(rest: &str) -> bool {
    let rest = rest.trim_end().trim_end_matches(['"', '\'']);
    let inner = rest
        .strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'));
    inner.is_some_and(|inner| !inner.contains(":-") && !inner.contains(['$', '}']))
}
