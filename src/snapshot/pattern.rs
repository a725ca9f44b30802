//! Glob patterns over short names (models, tool kinds): `*` stands for any run of characters, nothing else
//! is special. Must never allocate while matching: it runs on every request.

/// A compiled glob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: Box<str>,
}

impl Pattern {
    /// Every text is a valid pattern.
    pub fn new(text: &str) -> Self {
        Self { text: text.into() }
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it matches every name.
    pub fn is_everything(&self) -> bool {
        !self.text.is_empty() && self.text.bytes().all(|byte| byte == b'*')
    }

    /// Whether `name` matches, case-sensitive, whole.
    pub fn matches(&self, name: &str) -> bool {
        let pattern = self.text.as_bytes();
        let name = name.as_bytes();
        // Most rules of a list are about other names altogether.
        if let (Some(first), Some(start)) = (pattern.first(), name.first())
            && first != start
            && *first != b'*'
        {
            return false;
        }
        let (mut at, mut in_name) = (0, 0);
        // Where to take up again when a run after the last `*` turns out not to match.
        let mut star: Option<(usize, usize)> = None;
        while in_name < name.len() {
            match pattern.get(at) {
                Some(b'*') => {
                    star = Some((at, in_name));
                    at += 1;
                }
                Some(byte) if *byte == name[in_name] => {
                    at += 1;
                    in_name += 1;
                }
                _ => match star {
                    Some((star_at, from)) => {
                        at = star_at + 1;
                        in_name = from + 1;
                        star = Some((star_at, in_name));
                    }
                    None => return false,
                },
            }
        }
        pattern[at..].iter().all(|byte| *byte == b'*')
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn globs_match_as_a_reader_expects() {
        for (pattern, name, expected) in [
            ("gpt-4*", "gpt-4o-mini", true),
            ("gpt-4*", "gpt-4", true),
            ("gpt-4*", "xgpt-4", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("*-mini", "gpt-mini-mini", true),
            ("claude-haiku-4", "claude-haiku-4", true),
            ("claude-haiku-4", "Claude-haiku-4", false),
            ("a.c", "abc", false),
            ("**x", "x", true),
        ] {
            assert_eq!(
                Pattern::new(pattern).matches(name),
                expected,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn everything_is_only_stars() {
        assert!(Pattern::new("*").is_everything());
        assert!(!Pattern::new("").is_everything());
        assert!(!Pattern::new("g*").is_everything());
    }
}
