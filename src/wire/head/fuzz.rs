//! The fuzz body of the guard: what must hold for any bytes. Callable from a fuzz target and from tests.
//! Must never be called in production: it reads everything several times.

use super::{Fault, Guard, Limits, Progress, State};
use crate::units::Code;

/// How a connection ended: everything released, and the fault or the last state.
type Verdict = (usize, Result<State, (Code, &'static str, bool)>);

/// Asserts that a conversation is released and judged alike in one piece, cut in two and byte by byte, message by message
/// and all at once, and that a fault is final. The first byte chooses the cut.
///
/// # Panics
/// Where any of this does not hold: that is how a fuzz target reports.
pub fn fuzz_head(data: &[u8]) {
    let Some((&first, bytes)) = data.split_first() else {
        return;
    };
    let cut = usize::from(first) % (bytes.len() + 1);
    let tight = Limits {
        head_bytes: 96,
        target_bytes: 16,
        line_bytes: 32,
        fields: 3,
    };
    for limits in [Limits::DEFAULT, tight] {
        let whole = converse(limits, bytes, &[bytes.len()], Guard::advance);
        let each: Vec<usize> = (1..=bytes.len()).collect();
        for step in [Guard::advance, by_message] {
            let once = converse(limits, bytes, &[bytes.len()], step);
            assert_eq!(whole, once, "message by message");
            let twice = converse(limits, bytes, &[cut, bytes.len()], step);
            assert_eq!(whole, twice, "cut in two");
            assert_eq!(whole, converse(limits, bytes, &each, step), "byte by byte");
        }
    }
}

/// How unreleased bytes are presented.
type Step = fn(&mut Guard, &[u8]) -> Result<Progress, Fault>;

/// As the sidecar does: each message is released by itself, and what was behind it is presented again.
fn by_message(guard: &mut Guard, unreleased: &[u8]) -> Result<Progress, Fault> {
    let mut released = 0;
    loop {
        let before = guard.messages();
        let rest = unreleased.get(released..).unwrap_or_default();
        let progress = guard.advance_message(rest).map_err(|fault| Fault {
            release: released + fault.release,
            ..fault
        })?;
        assert!(guard.messages() <= before + 1, "one message at a time");
        released += progress.release;
        let left = progress.release < rest.len();
        if left && progress.state == State::Idle {
            assert!(progress.release > 0, "stands still between messages");
            continue;
        }
        return Ok(Progress {
            release: released,
            state: progress.state,
        });
    }
}

/// Presents `bytes` up to each of the `ends` in turn.
fn converse(limits: Limits, bytes: &[u8], ends: &[usize], step: Step) -> Verdict {
    let mut guard = Guard::new(limits);
    let mut released = 0;
    let mut last = State::Idle;
    for &end in ends {
        let unreleased = bytes.get(released..end).unwrap_or_default();
        match step(&mut guard, unreleased) {
            Ok(progress) => {
                assert!(
                    progress.release <= unreleased.len(),
                    "releases what is not there"
                );
                let all = progress.release == unreleased.len();
                assert!(progress.state != State::Idle || all, "idle with bytes left");
                released += progress.release;
                last = progress.state;
            }
            Err(fault) => {
                assert!(
                    fault.release <= unreleased.len(),
                    "releases what is not there"
                );
                let again = guard.advance(bytes);
                assert_eq!(
                    again,
                    Err(Fault {
                        release: 0,
                        ..fault
                    }),
                    "a fault is final"
                );
                return (
                    released + fault.release,
                    Err((fault.code, fault.what, fault.in_body)),
                );
            }
        }
    }
    (released, Ok(last))
}
