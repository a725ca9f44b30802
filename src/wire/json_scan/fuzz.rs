//! The fuzz body of the scanner: what must hold for any bytes. Callable from a fuzz target and from tests.
//! Must never be called in production: it scans every document several times.

use std::sync::LazyLock;

use super::{Fault, Paths, Rules, Scan, Scanner};

static PATHS: LazyLock<Paths> = LazyLock::new(|| {
    Paths::compile(&[
        "$.model",
        "$.stream",
        "$.stream_options.include_usage",
        "$.metadata",
        "$.metadata.user_id",
        "$.tools[*]",
        "$.tools[*].type",
        "$.messages[*].content[*].source.file_id",
        "$.k",
        "$[*]",
    ])
});

/// Asserts that a document scans alike in one piece and cut anywhere, that offsets slice, and that nothing panics.
/// The first byte chooses the cut.
///
/// # Panics
/// Where any of this does not hold: that is how a fuzz target reports.
pub fn fuzz_json_scan(data: &[u8]) {
    let Some((&first, document)) = data.split_first() else {
        return;
    };
    let cut = usize::from(first) % (document.len() + 1);
    for rules in [
        Rules::STRICT,
        Rules {
            max_depth: 8,
            max_text: 4,
            ..Rules::LENIENT
        },
    ] {
        let whole = scan(rules, &[document]);
        let (left, right) = document.split_at(cut);
        assert_eq!(whole, scan(rules, &[left, right]), "cut in two");
        let bytes: Vec<&[u8]> = document.chunks(1).collect();
        assert_eq!(whole, scan(rules, &bytes), "byte by byte");
        if let Ok(found) = whole {
            check(document, &found);
        }
    }
}

fn scan(rules: Rules, chunks: &[&[u8]]) -> Result<Scan, Fault> {
    let mut scanner = Scanner::new(&PATHS, rules);
    for chunk in chunks {
        scanner.push(chunk)?;
    }
    scanner.finish()
}

fn check(document: &[u8], found: &Scan) {
    assert_eq!(found.len, document.len(), "length");
    for member in found.members() {
        let value = document.get(member.value.clone());
        assert!(
            value.is_some_and(|value| !value.is_empty()),
            "value {member:?}"
        );
        let key = document.get(member.key.clone()).unwrap_or_default();
        assert!(
            key.is_empty() || (key.starts_with(b"\"") && key.ends_with(b"\"")),
            "{member:?}"
        );
        assert!(
            member
                .before()
                .is_none_or(|at| document.get(at) == Some(&b',')),
            "{member:?}"
        );
        assert!(
            member
                .after()
                .is_none_or(|at| document.get(at) == Some(&b',')),
            "{member:?}"
        );
    }
}
