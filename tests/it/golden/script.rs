//! The script files of a case: raw bytes, and between them lines that begin with `%% ` and say what else happens.
//! The line feed before such a line belongs to it. Must never look into the bytes.

/// One step of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// These bytes are sent.
    Send(Vec<u8>),
    /// A word, and what follows it.
    Do(String, String),
}

/// Reads a script.
pub(super) fn parse(script: &[u8]) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut rest = script;
    while !rest.is_empty() {
        let Some((start, line)) = next_mark(rest) else {
            steps.push(Step::Send(rest.to_vec()));
            break;
        };
        if start > 0 {
            steps.push(Step::Send(rest[..start].to_vec()));
        }
        let begin = line + MARK.len();
        let length = rest[begin..].iter().position(|byte| *byte == b'\n');
        let end = length.map_or(rest.len(), |length| begin + length);
        let words = String::from_utf8_lossy(&rest[begin..end]).into_owned();
        let (word, argument) = words.split_once(' ').unwrap_or((&words, ""));
        steps.push(Step::Do(word.to_owned(), argument.to_owned()));
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    steps
}

const MARK: &[u8] = b"%% ";

/// Where the bytes before the next mark end, and where its line begins.
fn next_mark(bytes: &[u8]) -> Option<(usize, usize)> {
    if bytes.starts_with(MARK) {
        return Some((0, 0));
    }
    let found = bytes
        .windows(MARK.len() + 1)
        .position(|window| window[0] == b'\n' && window[1..] == *MARK)?;
    Some((found, found + 1))
}

/// Writes a mark behind what is there.
pub(super) fn mark(out: &mut Vec<u8>, words: &str) {
    if !out.is_empty() {
        out.push(b'\n');
    }
    out.extend_from_slice(MARK);
    out.extend_from_slice(words.as_bytes());
    out.push(b'\n');
}

#[test]
fn bytes_and_marks_are_told_apart() {
    let word = |word: &str, argument: &str| Step::Do(word.to_owned(), argument.to_owned());
    assert_eq!(
        parse(b"%% connection 1\nGET /%% HTTP/1.1\r\n\r\n\n%% answer head\nmore\n\n%% hangup"),
        [
            word("connection", "1"),
            Step::Send(b"GET /%% HTTP/1.1\r\n\r\n".to_vec()),
            word("answer", "head"),
            Step::Send(b"more\n".to_vec()),
            word("hangup", ""),
        ]
    );
}
