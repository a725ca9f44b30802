//! Takes models out of a list of models, byte for byte around what stays. The list is the one answer that is held until
//! it is whole: what may be shown of an entry is not known before its end, nor where its comma belongs.
//! Must never hold more than it is given leave for, and never let a list through that it could not read.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use bytes::Bytes;

use super::splice::{self, Splice};
use crate::wire::json_scan::{Kind, PathId, Paths, Rules, Scan, Scanner};

/// Where lists stand: both providers' `data`, the `models` of some compatible servers, and the bare list of others; and
/// how an entry is named in each.
static PATHS: LazyLock<Paths> = LazyLock::new(|| {
    Paths::compile(&[
        "$.data",
        "$.data[*]",
        "$.data[*].id",
        "$.models",
        "$.models[*]",
        "$.models[*].id",
        "$.models[*].model",
        "$.models[*].name",
        "$[*]",
        "$[*].id",
        "$",
    ])
});

/// A list, its entries, and the names of an entry.
const LISTS: [(PathId, PathId, &[PathId]); 3] = [
    (PathId(0), PathId(1), &[PathId(2)]),
    (PathId(3), PathId(4), &[PathId(5), PathId(6), PathId(7)]),
    (PathId(10), PathId(8), &[PathId(9)]),
];

/// Why a list cannot be passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListFault {
    /// It is longer than may be held.
    TooLong,
    /// It is no list of models in a known shape.
    Unreadable,
}

impl ListFault {
    /// What is wrong, for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooLong => {
                "the upstream's list of models is longer than the policy's `body` lets one be"
            }
            Self::Unreadable => {
                "the upstream's list of models cannot be read, so it cannot be filtered"
            }
        }
    }
}

/// The filter of one list.
#[derive(Debug)]
pub struct ModelListFilter {
    scanner: Scanner,
    held: Vec<Bytes>,
    room: usize,
}

impl ModelListFilter {
    /// A filter that holds at most this many bytes.
    pub fn new(room: usize) -> Self {
        Self {
            scanner: Scanner::new(&PATHS, Rules::LENIENT),
            held: Vec::new(),
            room,
        }
    }

    /// Takes the next bytes of the list.
    ///
    /// # Errors
    /// If it is too long, or not JSON.
    pub fn push(&mut self, bytes: Bytes) -> Result<(), ListFault> {
        self.room = self
            .room
            .checked_sub(bytes.len())
            .ok_or(ListFault::TooLong)?;
        self.scanner
            .push(&bytes)
            .map_err(|_| ListFault::Unreadable)?;
        self.held.push(bytes);
        Ok(())
    }

    /// The list is whole: what of it goes on. `keep` tells whether a model may be shown.
    ///
    /// # Errors
    /// If it is no list of models.
    pub fn finish(self, keep: impl Fn(&str) -> bool) -> Result<Vec<Bytes>, ListFault> {
        let scan = self.scanner.finish().map_err(|_| ListFault::Unreadable)?;
        let doomed = doomed(&scan, keep).filter(|_| !scan.overflowed);
        let doomed = doomed.ok_or(ListFault::Unreadable)?;
        let cuts = scan.removals(|member| doomed.contains(&(member.path, member.index)));
        let splices: Vec<Splice> = cuts
            .into_iter()
            .map(|at| Splice {
                at,
                with: Bytes::new(),
            })
            .collect();
        Ok(splice::apply(self.held.into_iter(), &splices).0)
    }
}

/// The entries that may not be shown, those without a name included; `None` if there is no list.
fn doomed(scan: &Scan, keep: impl Fn(&str) -> bool) -> Option<BTreeSet<(PathId, u32)>> {
    let mut doomed = BTreeSet::new();
    let mut found = false;
    for (list, entry, names) in LISTS {
        found |= scan.get(list).is_some_and(|list| list.kind == Kind::Array);
        doomed.extend(scan.all(entry).map(|member| (entry, member.index)));
        // Every name of an entry must be one that may be shown.
        let mut shown = BTreeSet::new();
        let mut hidden = BTreeSet::new();
        for member in scan
            .members()
            .iter()
            .filter(|member| names.contains(&member.path))
        {
            if member.kind == Kind::String && scan.text(member).is_some_and(&keep) {
                shown.insert(member.index);
            } else {
                hidden.insert(member.index);
            }
        }
        for index in shown.difference(&hidden) {
            doomed.remove(&(entry, *index));
        }
    }
    found.then_some(doomed)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{ListFault, ModelListFilter};

    fn filtered(list: &str, size: usize) -> Result<String, ListFault> {
        let mut filter = ModelListFilter::new(list.len());
        for piece in list.as_bytes().chunks(size) {
            filter.push(Bytes::copy_from_slice(piece))?;
        }
        let pieces = filter.finish(|model| model.starts_with("ok"))?;
        Ok(String::from_utf8(pieces.concat()).expect("text"))
    }

    #[test]
    fn what_may_not_be_shown_is_cut_out_with_its_comma() {
        for (list, expected) in [
            (r#"{"data":[]}"#, r#"{"data":[]}"#),
            (
                r#"{"object":"list","data":[{"id":"no"}]}"#,
                r#"{"object":"list","data":[]}"#,
            ),
            (
                r#"{"data":[ {"id":"no"} , {"id":"ok-1","x":[{"id":"no"}]} ],"last_id":"no"}"#,
                r#"{"data":[  {"id":"ok-1","x":[{"id":"no"}]} ],"last_id":"no"}"#,
            ),
            (
                r#"{"data":[{"id":"ok-1"},{"id":"no"},{"x":1},{"id":"ok-2"},{"id":7}]}"#,
                r#"{"data":[{"id":"ok-1"},{"id":"ok-2"}]}"#,
            ),
            (
                r#"{"data":[{"\u0069d":"\u006eo"},{"id":"\u006fk"}]}"#,
                r#"{"data":[{"id":"\u006fk"}]}"#,
            ),
            (
                r#"{"models":[{"name":"ok","model":"no"},{"name":"ok","model":"ok"}],"data":[{"id":"no"},{"id":"ok"}]}"#,
                r#"{"models":[{"name":"ok","model":"ok"}],"data":[{"id":"ok"}]}"#,
            ),
            (r#"[{"id":"ok"},{"id":"no"}]"#, r#"[{"id":"ok"}]"#),
            (r#"[{"id":"no"}]"#, "[]"),
        ] {
            for size in [1, 7, list.len()] {
                assert_eq!(filtered(list, size).as_deref(), Ok(expected), "{list}");
            }
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_passed_on() {
        for list in [
            "{}",
            r#"{"data":{"id":"ok"}}"#,
            r#"{"data":[{"id":"ok"}"#,
            "no list",
            r#"{"data":[]}x"#,
            r#""ok""#,
        ] {
            assert_eq!(filtered(list, 5), Err(ListFault::Unreadable), "{list}");
        }
        let mut filter = ModelListFilter::new(3);
        assert_eq!(
            filter.push(Bytes::from_static(b"[ ]")),
            Ok(()),
            "within what may be held"
        );
        assert_eq!(
            filter.push(Bytes::from_static(b" ")),
            Err(ListFault::TooLong)
        );
    }
}
