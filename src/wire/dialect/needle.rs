//! Cheap looks at one event's JSON, so that the scanner runs only on the few events that matter.
//! A key's quotes cannot stand unescaped inside a string, so a miss is certain as long as keys are spelled without
//! escapes (as every known server does); a hit must be verified by the scanner.

use memchr::memchr2;
use memchr::memmem::Finder;

/// A key to look for, quotes included.
pub(super) fn key(name: &str) -> Finder<'static> {
    Finder::new(&format!("\"{name}\"")).into_owned()
}

/// Whether the key stands there with a value other than `null`.
pub(super) fn present(key: &Finder<'_>, json: &[u8]) -> bool {
    values(key, json).any(|value| value.first().is_some_and(|&byte| byte != b'n'))
}

/// The bytes, as written, of all string values of the key.
pub(super) fn string_bytes(key: &Finder<'_>, json: &[u8]) -> u64 {
    values(key, json)
        .filter_map(|value| value.strip_prefix(b"\""))
        .map(|text| u64::try_from(closing_quote(text)).unwrap_or(u64::MAX))
        .sum()
}

/// What follows each `"key" :` in the document.
fn values<'a>(key: &'a Finder<'_>, json: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    key.find_iter(json).filter_map(move |at| {
        let rest = json.get(at + key.needle().len()..)?.trim_ascii_start();
        Some(rest.strip_prefix(b":")?.trim_ascii_start())
    })
}

fn closing_quote(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += found;
        if text[at] == b'"' {
            return at;
        }
        at += 2;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_from_text() {
        let usage = key("usage");
        for (json, expected) in [
            (r#"{"usage":{"a":1}}"#, true),
            ("{\"usage\" :\n {}}", true),
            (r#"{"usage":null}"#, false),
            (r#"{"a":"usage","b":"\"usage\":{}"}"#, false),
            (r#"{"usage":null,"x":{"usage":1}}"#, true),
            (r#"{"usage":"#, false),
        ] {
            assert_eq!(present(&usage, json.as_bytes()), expected, "{json}");
        }
    }

    #[test]
    fn text_is_counted_as_written() {
        let content = key("content");
        for (json, expected) in [
            (r#"{"content":"hello"}"#, 5),
            (r#"{"content": "a\"b\\"}"#, 6),
            (r#"{"content":null,"x":{"content":"ab"}}"#, 2),
            (r#"{"content":"cut"#, 3),
            (r#"{"content":"cut\"#, 4),
            (r#"{"reasoning_content":"abc"}"#, 0),
        ] {
            assert_eq!(string_bytes(&content, json.as_bytes()), expected, "{json}");
        }
    }
}
