//! Cheap looks at one event's JSON, so that the scanner runs only on the few events that matter.
//! A key's quotes cannot stand unescaped inside a string, so a miss is certain as long as keys are spelled without
//! escapes (as every known server does); a hit must be verified by the scanner.

use memchr::memmem::Finder;

use memchr::{memchr_iter, memchr2};

/// A key to look for, quotes included.
pub(super) fn key(name: &str) -> Finder<'static> {
    Finder::new(&format!("\"{name}\"")).into_owned()
}

/// Whether the key stands there with a value other than `null`.
pub(super) fn present(key: &Finder<'_>, json: &[u8]) -> bool {
    values(key, json).any(|value| value.first().is_some_and(|&byte| byte != b'n'))
}

/// A key to look for together with others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Needle {
    name: &'static str,
    says: Says,
    /// The opening quote and the name, or their last eight bytes, and which bits of eight bytes they are.
    end: u64,
    mask: u64,
}

/// A list of needles, and which of them have which byte at the end and before it.
#[derive(Debug)]
pub(super) struct Needles<const N: usize> {
    list: [Needle; N],
    by_last: [u16; 256],
    by_last_but_one: [u16; 256],
}

impl<const N: usize> Needles<N> {
    /// At most 16 needles of at least two bytes.
    pub(super) const fn new(list: [Needle; N]) -> Self {
        let mut by_last = [0; 256];
        let mut by_last_but_one = [0; 256];
        let mut at = 0;
        while at < N {
            let name = list[at].name.as_bytes();
            by_last[name[name.len() - 1] as usize] |= 1 << at;
            by_last_but_one[name[name.len() - 2] as usize] |= 1 << at;
            at += 1;
        }
        Self {
            list,
            by_last,
            by_last_but_one,
        }
    }

    /// Which needles end like this, a bit each.
    #[inline]
    fn ending(&self, last_but_one: u8, last: u8) -> u16 {
        self.by_last[usize::from(last)] & self.by_last_but_one[usize::from(last_but_one)]
    }

    #[inline]
    fn find(&self, key: &[u8]) -> Option<&Needle> {
        let [.., last_but_one, last] = *key else {
            return None;
        };
        let mut left = self.ending(last_but_one, last);
        let end = last_word(key);
        while left != 0 {
            let needle = self.list.get(left.trailing_zeros() as usize)?;
            if needle.ends(key, end) {
                return Some(needle);
            }
            left &= left - 1;
        }
        None
    }
}

/// What the value of a key is to the one who looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    /// Generated text.
    Text,
    /// Usage.
    Usage,
    /// An error.
    Error,
}

/// What one look at an event came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// The bytes, as written, of all string values of text keys.
    pub(super) text_bytes: u64,
    /// Whether usage is there with a value other than `null`.
    pub(super) usage: bool,
    /// Whether an error is.
    pub(super) error: bool,
}

impl Needle {
    pub(super) const fn new(name: &'static str, says: Says) -> Self {
        let bytes = name.as_bytes();
        let (mut end, mut mask, mut at) = (0, 0, 0);
        while at < 8 && at <= bytes.len() {
            let byte = if at < bytes.len() {
                bytes[bytes.len() - 1 - at]
            } else {
                b'"'
            };
            end |= (byte as u64) << (56 - 8 * at);
            mask |= 0xff << (56 - 8 * at);
            at += 1;
        }
        Self {
            name,
            says,
            end,
            mask,
        }
    }

    /// Whether what stands before a closing quote, whose last eight bytes are `end`, is this key.
    #[inline]
    fn ends(&self, before: &[u8], end: u64) -> bool {
        end & self.mask == self.end
            && (self.name.len() < 8
                || before
                    .strip_suffix(self.name.as_bytes())
                    .is_some_and(|rest| rest.ends_with(b"\"")))
    }
}

/// Looks for all keys in one pass: from colon to colon, and back from each.
pub(super) fn look<const N: usize>(needles: &Needles<N>, json: &[u8]) -> Look {
    let mut look = Look::default();
    for colon in memchr_iter(b':', json) {
        // Most keys can be told to be no needle by their last two letters.
        let before = colon.checked_sub(3).and_then(|at| json.get(at..colon));
        match before {
            Some(&[last_but_one, last, b'"']) if needles.ending(last_but_one, last) == 0 => {}
            _ => look.at(needles, json, colon),
        }
    }
    look
}

impl Look {
    /// Looks at what stands around a colon.
    #[inline(never)]
    fn at<const N: usize>(&mut self, needles: &Needles<N>, json: &[u8], colon: usize) {
        let (before, value) = json.split_at(colon);
        let key = match before {
            [key @ .., b'"'] => key,
            [.., b' ' | b'\t' | b'\n' | b'\r' | b'\x0c'] => match before.trim_ascii_end() {
                [key @ .., b'"'] => key,
                _ => return,
            },
            _ => return,
        };
        let Some(needle) = needles.find(key) else {
            return;
        };
        let value = value.get(1..).unwrap_or_default().trim_ascii_start();
        match needle.says {
            Says::Text => {
                if let Some(text) = value.strip_prefix(b"\"") {
                    self.text_bytes += u64::try_from(closing_quote(text)).unwrap_or(u64::MAX);
                }
            }
            Says::Usage => self.usage |= value.first().is_some_and(|&byte| byte != b'n'),
            Says::Error => self.error |= value.first().is_some_and(|&byte| byte != b'n'),
        }
    }
}

#[inline]
fn last_word(bytes: &[u8]) -> u64 {
    match bytes.last_chunk::<8>() {
        Some(word) => u64::from_le_bytes(*word),
        None => bytes
            .iter()
            .fold(0, |word, &byte| word >> 8 | u64::from(byte) << 56),
    }
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
        let usage_needle = Needles::new([Needle::new("usage", Says::Usage)]);
        for (json, expected) in [
            (r#"{"usage":{"a":1}}"#, true),
            ("{\"usage\" :\n {}}", true),
            (r#"{"usage":null}"#, false),
            (r#"{"a":"usage","b":"\"usage\":{}"}"#, false),
            (r#"{"usage":null,"x":{"usage":1}}"#, true),
            (r#"{"usage":"#, false),
        ] {
            assert_eq!(present(&usage, json.as_bytes()), expected, "{json}");
            let found = look(&usage_needle, json.as_bytes());
            assert_eq!(found.usage, expected, "{json}");
        }
    }

    #[test]
    fn text_is_counted_as_written() {
        let content = Needles::new([Needle::new("content", Says::Text)]);
        let long = Needles::new([Needle::new("reasoning_content", Says::Text)]);
        for (json, expected) in [
            (r#"{"content":"hello"}"#, 5),
            (r#"{"content": "a\"b\\"}"#, 6),
            (r#"{"content":null,"x":{"content":"ab"}}"#, 2),
            (r#"{"content":"cut"#, 3),
            (r#"{"content":"cut\"#, 4),
            (r#"{"other_content":"abc"}"#, 0),
            (r#"{"contents":"abc","xcontent":"ab"}"#, 0),
            (r#"{"content"	 : "ab"}"#, 2),
            (r#"content":"ab"}"#, 0),
        ] {
            let found = look(&content, json.as_bytes());
            assert_eq!(found.text_bytes, expected, "{json}");
            let longer = json.replace("content", "reasoning_content");
            let found = look(&long, longer.as_bytes());
            assert_eq!(found.text_bytes, expected, "{longer}");
        }
    }
}
