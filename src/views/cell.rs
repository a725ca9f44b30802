//! Names that callers chose, put where they cannot be taken for anything else. Must never be left out where such a name is
//! printed.

/// A text for a terminal: what could move the cursor or turn the line around stands as an escape.
pub(super) fn plain(text: &str) -> String {
    let is_plain = |letter: char| !letter.is_control() && !turns(letter);
    if text.chars().all(is_plain) {
        return text.to_owned();
    }
    let escaped = text.chars().map(|letter| {
        if is_plain(letter) {
            letter.to_string()
        } else {
            letter.escape_unicode().to_string()
        }
    });
    escaped.collect()
}

/// The letters that change the direction of what follows.
const fn turns(letter: char) -> bool {
    matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A text as a cell of RFC 4180, which no spreadsheet takes for a formula.
pub(super) fn csv(text: &str) -> String {
    let text = plain(text);
    let is_formula = text.starts_with(['=', '+', '-', '@']);
    let quote = if is_formula { "'" } else { "" };
    if text.contains(['"', ',']) {
        return format!("\"{quote}{}\"", text.replace('"', "\"\""));
    }
    format!("{quote}{text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_caller_chose_stays_text() {
        for (given, terminal, cell) in [
            ("gpt-5-mini", "gpt-5-mini", "gpt-5-mini"),
            ("\u{1b}[2J", "\\u{1b}[2J", "\\u{1b}[2J"),
            ("a\u{202e}b", "a\\u{202e}b", "a\\u{202e}b"),
            ("=1+1", "=1+1", "'=1+1"),
            ("@x,\"y\"", "@x,\"y\"", "\"'@x,\"\"y\"\"\""),
            ("a\nb", "a\\u{a}b", "a\\u{a}b"),
        ] {
            assert_eq!(plain(given), terminal);
            assert_eq!(csv(given), cell);
        }
    }
}
