//! Replays what `tests/cli/*.md` show: a block ```` ```toml NAME ```` is a file, a block ```` ```console ```` holds commands and
//! what they print, with the exit code in brackets when it is not 0. `[..]` stands for any text within a line, a line `...` for
//! any lines. With `UPDATE=1` the blocks that differ are written anew. Must never skip a block it cannot read.

use std::fmt::Write as _;
use std::path::Path;

use super::process::Place;

/// Replays one file, in a place of its own.
pub(crate) fn replay(name: &str) {
    replay_in(&Place::new(), name);
}

/// Replays one file in a place where something runs already.
pub(crate) fn replay_in(place: &Place, name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cli")
        .join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    let mut now = String::new();
    let mut differences = String::new();
    let mut commands = 0;
    for part in parts(&text) {
        match part {
            Part::Prose(line) => {
                now += line;
                now.push('\n');
            }
            Part::File(name, body) => {
                place.write(name, &body);
                let _ = write!(now, "```toml {name}\n{body}```\n");
            }
            Part::Console(calls) => {
                now += "```console\n";
                for Call { command, expected } in calls {
                    commands += 1;
                    let ended = place.shell(command);
                    let mut shown = ended.out;
                    if !shown.is_empty() && !shown.ends_with('\n') {
                        shown.push('\n');
                    }
                    if ended.code != Some(0) {
                        let _ = writeln!(shown, "[{}]", ended.code.unwrap_or(-1));
                    }
                    let same = fits(&lines(&expected), &lines(&shown));
                    if !same {
                        let _ = writeln!(
                            differences,
                            "$ {command}\n--- expected\n{expected}--- printed\n{shown}"
                        );
                    }
                    let kept = if same { &expected } else { &shown };
                    let _ = write!(now, "$ {command}\n{kept}");
                }
                now += "```\n";
            }
        }
    }
    assert!(commands > 0, "{name} runs nothing");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, now).unwrap();
    }
    assert!(differences.is_empty(), "{name}:\n{differences}");
}

enum Part<'a> {
    Prose(&'a str),
    File(&'a str, String),
    Console(Vec<Call<'a>>),
}

struct Call<'a> {
    command: &'a str,
    expected: String,
}

fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = text.lines();
    while let Some(line) = rest.next() {
        let Some(kind) = line.strip_prefix("```") else {
            parts.push(Part::Prose(line));
            continue;
        };
        let body: Vec<&str> = rest.by_ref().take_while(|line| *line != "```").collect();
        if kind == "console" {
            parts.push(Part::Console(calls(&body)));
        } else if let Some(name) = kind.strip_prefix("toml ") {
            parts.push(Part::File(name, joined(&body)));
        } else {
            panic!("a block of an unknown kind: {line}");
        }
    }
    parts
}

fn calls<'a>(body: &[&'a str]) -> Vec<Call<'a>> {
    let mut calls: Vec<Call<'_>> = Vec::new();
    for line in body {
        match (line.strip_prefix("$ "), calls.last_mut()) {
            (Some(command), _) => calls.push(Call {
                command,
                expected: String::new(),
            }),
            (None, Some(call)) => {
                call.expected += line;
                call.expected.push('\n');
            }
            (None, None) => panic!("a line before the first command: {line}"),
        }
    }
    calls
}

fn joined(body: &[&str]) -> String {
    body.iter().flat_map(|line| [line, "\n"]).collect()
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim_end).collect()
}

fn fits(expected: &[&str], shown: &[&str]) -> bool {
    match expected {
        [] => shown.is_empty(),
        ["...", rest @ ..] => (0..=shown.len()).any(|skipped| fits(rest, &shown[skipped..])),
        [line, rest @ ..] => shown
            .split_first()
            .is_some_and(|(first, others)| fits_line(line.trim_end(), first) && fits(rest, others)),
    }
}

fn fits_line(expected: &str, shown: &str) -> bool {
    match expected.split_once("[..]") {
        None => expected == shown,
        Some((head, tail)) => shown.strip_prefix(head).is_some_and(|left| {
            left.char_indices()
                .map(|(at, _)| at)
                .chain([left.len()])
                .any(|at| fits_line(tail, &left[at..]))
        }),
    }
}

#[test]
fn wildcards_fit_what_they_should() {
    assert!(fits(&["a [..] c", "...", "z"], &["a b c", "x", "y", "z"]));
    assert!(fits(&["..."], &[]));
    assert!(!fits(&["a [..] c"], &["a b d"]));
    assert!(!fits(&["a"], &["a", "b"]));
    assert!(!fits(&["a", "b"], &["a"]));
}
