//! The virtual keys that a request proved itself with, and where else the caller wrote them: a key must not go
//! on in a cookie, a query or a second carrier either. Must never be printed, nor outlive its request.

use http::HeaderMap;
use http::header::HeaderValue;

use super::super::identify::{CARRIERS, without_scheme};

/// The keys, held past the removal of their carriers.
pub(super) struct Spent {
    headers: [Option<HeaderValue>; 3],
    token: Option<Box<str>>,
}

/// A shorter secret is no key to look for: it would be found by chance.
const SHORTEST: usize = 16;

impl Spent {
    /// The keys that stand in the carriers which `spent` marks, and the path token.
    pub(super) fn of(headers: &HeaderMap, spent: [bool; 3], token: Option<Box<str>>) -> Self {
        let mut held = [None, None, None];
        for ((carrier, spent), held) in CARRIERS.iter().zip(spent).zip(&mut held) {
            if spent {
                *held = headers.get(carrier).cloned();
            }
        }
        Self {
            headers: held,
            token,
        }
    }

    /// Whether that carrier, by its place in [`CARRIERS`], held one.
    pub(super) fn was_in(&self, carrier: usize) -> bool {
        matches!(self.headers.get(carrier), Some(Some(_)))
    }

    /// Whether one of them stands in `text`, or what `outrigger keys new` makes: another tenant's is no better.
    pub(super) fn shows_in(&self, text: &[u8]) -> bool {
        if text.len() < SHORTEST {
            return false;
        }
        let headers = self.headers.iter().flatten();
        let token = self.token.as_deref().map(str::as_bytes);
        let mut secrets = headers
            .map(|value| without_scheme(value.as_bytes()))
            .chain(token)
            .filter(|secret| (SHORTEST..=text.len()).contains(&secret.len()));
        holds_made_key(text)
            || secrets.any(|secret| {
                let mut parts = text.windows(secret.len());
                parts.any(|part| part.first() == secret.first() && part == secret)
            })
    }
}

/// Whether a key as `outrigger keys new` makes them stands in `text`.
fn holds_made_key(text: &[u8]) -> bool {
    const MARK: &[u8] = b"outrigger";
    const DIGITS: usize = 32;
    text.len() > MARK.len() + DIGITS
        && text.iter().enumerate().any(|(at, byte)| {
            let digits = text[at + 1..].iter().take(DIGITS);
            *byte == b'_'
                && text[..at].ends_with(MARK)
                && digits.filter(|digit| digit.is_ascii_hexdigit()).count() == DIGITS
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_wherever_they_stand() {
        let mut headers = HeaderMap::new();
        let value = HeaderValue::from_static("Bearer a-key-made-elsewhere");
        headers.insert("authorization", value);
        let token = Some("a-token-in-the-path".into());
        let spent = Spent::of(&headers, [true, false, true], token);
        let made = format!("outrigger_{}", "0a".repeat(32));
        for (text, expected) in [
            ("a-key-made-elsewhere", true),
            ("x=1; k=a-key-made-elsewhere;", true),
            ("http://x/t/a-token-in-the-path/y", true),
            ("a-key-made-elsewher", false),
            ("Bearer", false),
            (made.as_str(), true),
            (&made[..41], false),
            ("outrigger_client/1.0 (somebody's own program)", false),
            ("", false),
        ] {
            assert_eq!(spent.shows_in(text.as_bytes()), expected, "{text}");
        }
        let none = Spent::of(&headers, [false; 3], None);
        assert!(!none.shows_in(b"a-key-made-elsewhere"));
    }
}
