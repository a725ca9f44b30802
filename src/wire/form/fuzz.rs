//! The fuzz body of the form reader: what must hold for any bytes. Callable from a fuzz target and from tests.
//! Must never be called in production: it reads every form several times.

use super::{Boundary, Form, FormFault, FormScanner};

const NAMES: &[&str] = &["model", "n", "stream"];

fn read(boundary: &Boundary, pieces: &[&[u8]]) -> Result<Form, FormFault> {
    let mut scanner = FormScanner::new(boundary, NAMES);
    for piece in pieces {
        scanner.push(piece)?;
    }
    scanner.finish()
}

/// Asserts that a form reads alike in one piece, cut anywhere and byte by byte, that values stand where it is said, that a
/// governed name stands once, and that the boundary stands once more than there are parts. The first byte chooses the cut.
///
/// # Panics
/// Where any of this does not hold: that is how a fuzz target reports.
pub fn fuzz_form(data: &[u8]) {
    let Some((&first, body)) = data.split_first() else {
        return;
    };
    let Some(boundary) = Boundary::of(b"multipart/form-data; boundary=-a-") else {
        return;
    };
    let whole = read(&boundary, &[body]);
    let cut = body.len() * usize::from(first) / 256;
    let (before, behind) = body.split_at(cut);
    assert_eq!(whole, read(&boundary, &[before, behind]));
    assert_eq!(whole, read(&boundary, &body.chunks(1).collect::<Vec<_>>()));
    let Ok(form) = whole else {
        return;
    };
    assert_eq!(form.len, body.len());
    let mut names: Vec<_> = form.fields.iter().map(|field| field.name).collect();
    for field in &form.fields {
        assert_eq!(body.get(field.at.clone()), Some(field.value.as_bytes()));
    }
    names.sort_unstable();
    assert!(
        names.windows(2).all(|pair| pair[0] != pair[1]),
        "a governed name twice"
    );
    // Whatever another reader makes of lines: there is no boundary but those that were taken for one.
    let dashed = boundary.dashed();
    let starts = body
        .windows(dashed.len())
        .enumerate()
        .filter(|(_, window)| *window == dashed);
    for (at, _) in starts {
        let before = at == 0 || body[..at].ends_with(b"\r\n");
        let behind = &body[at + dashed.len()..];
        assert!(
            before && (behind.starts_with(b"\r\n") || behind.starts_with(b"--")),
            "at {at}"
        );
    }
}
