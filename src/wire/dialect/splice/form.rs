//! The edits of a request that came as a form: a part's value gives way, or another part goes before all others. Must
//! never leave a mark that the caller chose beside ours.

use std::collections::BTreeMap;

use super::{Edit, Splice};
use crate::units::Endpoint;
use crate::wire::dialect::asked::{Asked, Governed};
use crate::wire::form::Form;

/// Those that forms have a part for. The rest is for endpoints that take none.
pub(super) fn splices(asked: &Asked, form: &Form, edits: &[Edit]) -> Vec<Splice> {
    let mut values: BTreeMap<&str, &str> = BTreeMap::new();
    for edit in edits {
        match edit {
            Edit::Model(model) => {
                values.insert("model", model);
            }
            Edit::Stamp { pseudonym } => {
                // What the caller says of whom it serves says ours, and where there is a mark there is always one.
                for mark in ["user", "safety_identifier"] {
                    let is_there = field(asked, form, mark).is_some();
                    if is_there || (mark == "user" && asked.endpoint == Endpoint::ImageEdits) {
                        values.insert(mark, pseudonym);
                    }
                }
            }
            Edit::OutputCap(_)
            | Edit::IncludeUsage
            | Edit::CacheKeyPrefix(_)
            | Edit::NoStore
            | Edit::ServiceTier(_)
            | Edit::InferenceGeo(_) => {}
        }
    }
    let splice = |(name, value): (&str, &str)| match field(asked, form, name) {
        Some(at) => Splice {
            at,
            with: value.to_owned().into(),
        },
        None => Splice {
            at: 0..0,
            with: form.part(name, value).into(),
        },
    };
    let mut splices: Vec<_> = values.into_iter().map(splice).collect();
    splices.sort_by_key(|splice| splice.at.start);
    splices
}

/// Where the value of a governed part stands.
fn field(asked: &Asked, form: &Form, name: &str) -> Option<std::ops::Range<usize>> {
    let governed = Governed::of(asked.dialect, asked.endpoint)?;
    let is_it = |field: &&crate::wire::form::Field| governed.form().get(field.name) == Some(&name);
    form.fields.iter().find(is_it).map(|field| field.at.clone())
}
