//! What is filled in, what is left alone, and what is an error.

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;

struct Fixed;

impl Environment for Fixed {
    fn variable(&self, name: &str) -> Option<String> {
        match name {
            "A" => Some("alpha".to_owned()),
            "EMPTY" => Some(String::new()),
            "NESTED" => Some("${env:A}".to_owned()),
            _ => None,
        }
    }

    fn read(&self, path: &Path, cap: u64) -> Result<Vec<u8>, ReadError> {
        match path.to_str() {
            Some("/unix") => Ok(b"text\n".to_vec()),
            Some("/dos") => Ok(b"text\r\n".to_vec()),
            Some("/two") => Ok(b"text\n\n".to_vec()),
            Some("/binary") => Ok(vec![0xff]),
            Some("/large") => Err(ReadError::TooLarge(cap)),
            _ => Err(ReadError::Missing),
        }
    }

    fn list(&self, _: &Path) -> Result<Vec<PathBuf>, ReadError> {
        Err(ReadError::Missing)
    }
}

fn filled(text: &str) -> Result<String, FillError> {
    fill(text, FILE_CAP, &Fixed, &mut |_| {})
}

#[test]
fn what_is_filled_in() {
    for (text, expected) in [
        ("${env:A}", "alpha"),
        ("x${env:A}y${file:/unix}z", "xalphaytextz"),
        ("${env:NO:-}", ""),
        ("${env:NO:-a:-b}", "a:-b"),
        ("${env:EMPTY:-d}", "d"),
        ("${env:EMPTY}", ""),
        ("${env:A:-d}", "alpha"),
        ("${env:NESTED}", "${env:A}"),
        ("${file:/dos}", "text"),
        ("${file:/two}", "text\n"),
        ("$", "$"),
        ("$$", "$$"),
        ("$A {b} }", "$A {b} }"),
        ("$${env:A}", "${env:A}"),
        ("$$${env:A}", "$${env:A}"),
        ("a$${b}c${env:A}", "a${b}calpha"),
    ] {
        assert_eq!(filled(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn what_is_an_error() {
    for text in [
        "${",
        "${}",
        "${A}",
        "${env}",
        "${env:}",
        "${env:1A}",
        "${env:A B}",
        "${env:A",
        "${file:x}",
        "${file:}",
        "${ENV:A}",
        "${env:NO:-${env:A}}",
        "${file:/a$b}",
    ] {
        assert!(
            matches!(filled(text), Err(FillError::Malformed(_))),
            "{text}: {:?}",
            filled(text)
        );
    }
    assert_eq!(filled("${env:NO}"), Err(FillError::Unset("NO".to_owned())));
    assert_eq!(
        filled("${file:/binary}"),
        Err(FillError::File("/binary".to_owned(), FileFault::NotText))
    );
    assert_eq!(
        filled("${file:/large}").map_err(|error| error.to_string()),
        Err("cannot read `/large`: it is larger than 65536 bytes".to_owned())
    );
    let hint = filled("${file:/large}").expect_err("too large").hint();
    assert!(hint.is_some_and(|hint| hint.contains("only certificates (`ca`) may be larger")));
    let ca = super::super::keys::find("upstreams.*.ca").expect("a key");
    let error = fill("${file:/large}", most(ca), &Fixed, &mut |_| {}).expect_err("too large");
    assert_eq!(
        error.to_string(),
        "cannot read `/large`: it is larger than 1048576 bytes"
    );
}

#[test]
fn files_are_named_even_when_they_cannot_be_read() {
    let mut seen = Vec::new();
    let result = fill("${file:/missing}", FILE_CAP, &Fixed, &mut |path| {
        seen.push(path.to_path_buf());
    });
    assert_eq!(
        result,
        Err(FillError::File(
            "/missing".to_owned(),
            FileFault::Read(ReadError::Missing)
        ))
    );
    assert_eq!(seen, [Path::new("/missing")]);
}

proptest! {
    #[test]
    fn text_without_references_stays_as_it_is(text in "[^{]{0,60}") {
        prop_assert_eq!(filled(&text), Ok(text));
    }

    #[test]
    fn no_text_panics(text in "[${}:a-zA-Z/é-]{0,60}") {
        let _ = filled(&text);
    }
}
