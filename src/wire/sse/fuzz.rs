//! The body of the fuzz target, shared with the tests. Must never be called by the program itself.

use super::{Event, Scanner};

/// For fuzzing: any split of `data` tells the same events, and no event is longer than the cap.
///
/// # Panics
/// If that does not hold.
pub fn fuzz_sse(data: &[u8]) {
    let (&cut, data) = data.split_first().unwrap_or((&1, data));
    let whole = told(&[data], 256);
    assert_eq!(
        whole,
        told(
            &data.chunks(usize::from(cut).max(1)).collect::<Vec<_>>(),
            256
        )
    );
    assert_eq!(whole, told(&data.chunks(1).collect::<Vec<_>>(), 256));
}

pub(super) fn told(chunks: &[&[u8]], cap: usize) -> Vec<Option<(Vec<u8>, Vec<u8>)>> {
    let mut scanner = Scanner::new(cap);
    let mut out = Vec::new();
    for chunk in chunks {
        scanner.push(chunk, &mut |event| {
            out.push(match event {
                Event::Message { name, data, end } => {
                    assert!(end <= chunk.len() && data.len() <= cap);
                    Some((name.to_vec(), data.to_vec()))
                }
                Event::Unreadable { .. } => None,
            });
        });
        assert!(scanner.held.len() <= cap);
    }
    out
}
