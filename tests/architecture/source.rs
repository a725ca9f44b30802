//! One source file as the rules see it: comments, texts and test-only items blanked out, paths and functions listed.
//! Must never guess: what it cannot read it leaves alone, so a rule can miss something odd but never invents a finding.

/// A source file and the two readings of it. Every reading keeps each byte's place, so a place is a line in all of them.
pub(crate) struct Source {
    /// Path from the package's root, with `/`.
    pub(crate) path: String,
    /// The file as it is.
    pub(crate) text: String,
    /// Without comments, texts, character literals and whatever exists only under `cfg(test)`.
    pub(crate) live: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let live = without_tests(&code_only(text));
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            live,
        }
    }

    /// The line a byte stands on, from 1.
    pub(crate) fn line(&self, at: usize) -> usize {
        1 + self.text.get(..at).unwrap_or("").matches('\n').count()
    }

    /// Test files are exempt from sizes and grants: they may be long and use what they like.
    pub(crate) fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs")
            || self.path.ends_with("_tests.rs")
            || self.path.contains("/tests/")
    }

    /// The room a file of `src/` belongs to: its first folder or the stem of its file; `lib.rs` and `main.rs` are their own.
    pub(crate) fn room(&self) -> &str {
        let inside = self.path.trim_start_matches("src/");
        match inside.split_once('/') {
            Some((folder, _)) => folder,
            None if matches!(inside, "lib.rs" | "main.rs") => inside,
            None => inside.trim_end_matches(".rs"),
        }
    }

    /// How many modules deep the file is: `src/trip/mod.rs` is 1, `src/trip/admit.rs` is 2.
    pub(crate) fn depth(&self) -> usize {
        let inside = self.path.trim_start_matches("src/");
        if matches!(inside, "lib.rs" | "main.rs") {
            return 0;
        }
        let steps = inside.split('/').count();
        if inside.ends_with("/mod.rs") {
            steps - 1
        } else {
            steps
        }
    }
}

/// Blanks comments, texts and character literals; line breaks stay.
pub(crate) fn code_only(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = opaque_end(bytes, at);
        if end > at {
            blank(&mut out, at, end);
            at = end;
        } else {
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Where the comment, text or character literal that starts at `at` ends; `at` itself when none starts there.
fn opaque_end(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    if rest.starts_with(b"//") {
        at + rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len())
    } else if rest.starts_with(b"/*") {
        block_comment_end(bytes, at)
    } else if rest[0] == b'"' {
        quoted_end(bytes, at + 1, b'"')
    } else if rest[0] == b'r' && may_prefix(bytes, at) {
        raw_end(bytes, at)
    } else if rest[0] == b'\'' {
        char_end(bytes, at)
    } else {
        at
    }
}

/// Block comments nest.
fn block_comment_end(bytes: &[u8], at: usize) -> usize {
    let mut depth = 0usize;
    let mut here = at;
    while here < bytes.len() {
        if bytes[here..].starts_with(b"/*") {
            depth += 1;
            here += 2;
        } else if bytes[here..].starts_with(b"*/") {
            depth -= 1;
            here += 2;
            if depth == 0 {
                return here;
            }
        } else {
            here += 1;
        }
    }
    here
}

fn quoted_end(bytes: &[u8], inside: usize, quote: u8) -> usize {
    let mut here = inside;
    while here < bytes.len() {
        match bytes[here] {
            b'\\' => here += 2,
            b if b == quote => return here + 1,
            _ => here += 1,
        }
    }
    bytes.len()
}

/// `r"…"`, `r#"…"#`; a raw identifier (`r#type`) is no text.
fn raw_end(bytes: &[u8], at: usize) -> usize {
    let hashes = bytes[at + 1..].iter().take_while(|b| **b == b'#').count();
    let open = at + 1 + hashes;
    if bytes.get(open) != Some(&b'"') {
        return at;
    }
    let close = [vec![b'"'], vec![b'#'; hashes]].concat();
    let inside = &bytes[open + 1..];
    let length = inside.windows(close.len()).position(|w| w == close);
    open + 1 + length.map_or(inside.len(), |found| found + close.len())
}

/// A character literal; a lifetime is none.
fn char_end(bytes: &[u8], at: usize) -> usize {
    match bytes.get(at + 1) {
        Some(b'\\') => quoted_end(bytes, at + 1, b'\''),
        Some(first) => {
            let width = match first {
                0xf0.. => 4,
                0xe0.. => 3,
                0xc0.. => 2,
                _ => 1,
            };
            let close = at + 1 + width;
            if bytes.get(close) == Some(&b'\'') {
                close + 1
            } else {
                at
            }
        }
        None => at,
    }
}

/// Blanks every item under `#[cfg(test)]` or `#[cfg(all(test, …))]`.
pub(crate) fn without_tests(code: &str) -> String {
    let mut out = code.as_bytes().to_vec();
    for mark in ["#[cfg(test)]", "#[cfg(all(test"] {
        let mut from = 0;
        while let Some(found) = code[from..].find(mark) {
            let start = from + found;
            let end = item_end(code.as_bytes(), start);
            blank(&mut out, start, end);
            from = end.max(start + mark.len());
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Where the item whose first attribute starts at `at` ends.
fn item_end(code: &[u8], at: usize) -> usize {
    let mut here = at;
    loop {
        here = skip_space(code, here);
        if code.get(here) != Some(&b'#') {
            break;
        }
        here = match code[here..].iter().position(|b| *b == b'[') {
            Some(open) => matching_end(code, here + open),
            None => return code.len(),
        };
    }
    // A field, an arm or an argument ends at a comma; an item's own commas stand inside brackets or generics.
    body_end(code, here, !ITEM_WORDS.contains(&word_at(code, here)))
}

/// The end of what starts at `at`: its block, its semicolon, or its comma where that ends it.
fn body_end(code: &[u8], at: usize, ends_at_comma: bool) -> usize {
    let mut here = at;
    while here < code.len() {
        match code[here] {
            b'(' | b'[' => here = matching_end(code, here),
            b'{' => return matching_end(code, here),
            b';' => return here + 1,
            b',' if ends_at_comma => return here + 1,
            b'}' | b')' | b']' => return here,
            _ => here += 1,
        }
    }
    here
}

const ITEM_WORDS: [&str; 16] = [
    "async",
    "const",
    "enum",
    "extern",
    "fn",
    "impl",
    "let",
    "macro_rules",
    "mod",
    "pub",
    "static",
    "struct",
    "trait",
    "type",
    "unsafe",
    "use",
];

/// A path as the code writes it, with groups of a `use` spelled out one by one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) segments: Vec<String>,
    pub(crate) at: usize,
}

/// Every path of two or more words, and everything a `use` brings in.
pub(crate) fn paths(code: &str) -> Vec<Path> {
    let bytes = code.as_bytes();
    let mut found = Vec::new();
    let mut here = 0;
    while here < bytes.len() {
        if !is_word(bytes[here]) || !starts_word(bytes, here) {
            here += 1;
            continue;
        }
        let word = word_at(code.as_bytes(), here);
        let next = skip_space(bytes, here + word.len());
        if word == "use" && bytes.get(next) != Some(&b'<') {
            here = use_tree(code, next, &[], &mut found).max(next);
            continue;
        }
        let start = here;
        let (segments, end) = inline_path(code, here);
        here = end;
        if segments.len() > 1 {
            found.push(Path {
                segments,
                at: start,
            });
        }
    }
    found
}

fn inline_path(code: &str, at: usize) -> (Vec<String>, usize) {
    let bytes = code.as_bytes();
    let mut segments = Vec::new();
    let mut here = at;
    loop {
        let word = word_at(bytes, here);
        segments.push(word.to_owned());
        here += word.len();
        let after = skip_space(bytes, here);
        let next = skip_space(bytes, after + 2);
        if !bytes[after.min(bytes.len())..].starts_with(b"::")
            || !bytes.get(next).is_some_and(|b| is_word(*b))
        {
            return (segments, here);
        }
        here = next;
    }
}

/// Spells out one branch of a `use`; answers where it ends.
fn use_tree(code: &str, at: usize, prefix: &[String], found: &mut Vec<Path>) -> usize {
    let bytes = code.as_bytes();
    let mut here = skip_space(bytes, at);
    if bytes[here.min(bytes.len())..].starts_with(b"::") {
        here = skip_space(bytes, here + 2);
    }
    match bytes.get(here) {
        Some(b'{') => {
            here += 1;
            loop {
                here = skip_space(bytes, here);
                match bytes.get(here) {
                    Some(b',') => here += 1,
                    Some(b'}') => return here + 1,
                    Some(b) if is_word(*b) || matches!(b, b'{' | b'*' | b':') => {
                        here = use_tree(code, here, prefix, found);
                    }
                    _ => return here,
                }
            }
        }
        Some(b'*') => {
            push(prefix, "*", here, found);
            here + 1
        }
        Some(b) if is_word(*b) => {
            let word = word_at(bytes, here);
            let start = here;
            here = skip_space(bytes, here + word.len());
            if bytes[here..].starts_with(b"::") {
                let longer = [prefix, &[word.to_owned()]].concat();
                return use_tree(code, here + 2, &longer, found);
            }
            push(prefix, word, start, found);
            if word_at(bytes, here) == "as" {
                here = skip_space(bytes, here + 2);
                here += word_at(bytes, here).len();
            }
            here
        }
        _ => here,
    }
}

fn push(prefix: &[String], last: &str, at: usize, found: &mut Vec<Path>) {
    // `a::{self}` is `a`.
    let mut segments = prefix.to_vec();
    if last != "self" || prefix.is_empty() {
        segments.push(last.to_owned());
    }
    found.push(Path { segments, at });
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) at: usize,
    /// From the line of `fn` to the line of its closing brace.
    pub(crate) lines: usize,
}

/// Every named function that has a body.
pub(crate) fn functions(code: &str) -> Vec<Function> {
    let bytes = code.as_bytes();
    words(code, "fn")
        .filter_map(|at| {
            let name_at = skip_space(bytes, at + 2);
            let name = word_at(bytes, name_at);
            if name.is_empty() {
                return None;
            }
            let end = body_end(bytes, name_at, false);
            // A function without a body ends at its semicolon.
            if bytes.get(end.wrapping_sub(1)) != Some(&b'}') {
                return None;
            }
            let lines = 1 + code[at..end].matches('\n').count();
            Some(Function {
                name: name.to_owned(),
                at,
                lines,
            })
        })
        .collect()
}

/// Every place where `word` stands as a whole word.
pub(crate) fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let bytes = code.as_bytes();
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |at| {
            starts_word(bytes, *at) && !bytes.get(at + word.len()).is_some_and(|b| is_word(*b))
        })
}

/// How many inline modules (`mod x { … }`) stand around a place.
pub(crate) fn inline_depth(code: &str, place: usize) -> usize {
    let bytes = code.as_bytes();
    words(code, "mod")
        .filter(|at| {
            let name_at = skip_space(bytes, at + 3);
            let open = skip_space(bytes, name_at + word_at(bytes, name_at).len());
            bytes.get(open) == Some(&b'{') && (open..matching_end(bytes, open)).contains(&place)
        })
        .count()
}

/// The place after the bracket that closes the one at `open`.
fn matching_end(code: &[u8], open: usize) -> usize {
    let mut depth = 0usize;
    for (offset, byte) in code[open..].iter().enumerate() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => {
                depth -= 1;
                if depth == 0 {
                    return open + offset + 1;
                }
            }
            _ => {}
        }
    }
    code.len()
}

fn blank(out: &mut [u8], from: usize, to: usize) {
    let to = to.min(out.len());
    for byte in &mut out[from..to] {
        if *byte != b'\n' {
            *byte = b' ';
        }
    }
}

fn skip_space(code: &[u8], from: usize) -> usize {
    let from = from.min(code.len());
    from + code[from..]
        .iter()
        .take_while(|b| b.is_ascii_whitespace())
        .count()
}

/// The word that starts at `at`; empty when none does.
fn word_at(code: &[u8], at: usize) -> &str {
    let rest = &code[at.min(code.len())..];
    let length = rest.iter().take_while(|b| is_word(**b)).count();
    std::str::from_utf8(&rest[..length]).unwrap_or("")
}

/// No letter stands before it, which would make it the tail of a word.
fn starts_word(code: &[u8], at: usize) -> bool {
    at == 0 || !is_word(code[at - 1])
}

/// The `r` of a raw text may itself follow a `b` or a `c`.
fn may_prefix(code: &[u8], at: usize) -> bool {
    starts_word(code, at) || (matches!(code[at - 1], b'b' | b'c') && starts_word(code, at - 1))
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}
