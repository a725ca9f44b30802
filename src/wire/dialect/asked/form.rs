//! Requests that come as form data: their governed parts, read as the members of the same names would be, so that one
//! table and one judgement serve both. Must never take a part for a value of another kind than its member has.

use super::{AskFault, Asked, Governed, Role};
use crate::units::Endpoint;
use crate::wire::form::Form;
use crate::wire::json_scan::{Rules, Scanner};

/// What a part's text must be to stand for a member.
#[derive(Clone, Copy)]
enum Shape {
    Text,
    Switch,
    Count,
    /// A list or an object, which each library writes into forms in a way of its own.
    None,
}

impl Governed {
    /// The names of the parts that are governed where the endpoint takes forms; empty where it takes none.
    pub fn form(&self) -> &'static [&'static str] {
        self.form
    }

    /// Reads what is asked from a form that was scanned for [`Governed::form`].
    ///
    /// # Errors
    /// If a governed part holds what its member cannot hold.
    pub fn read_form(&'static self, form: Form) -> Result<Asked, AskFault> {
        let mut members = serde_json::Map::new();
        for field in &form.fields {
            let name = self.form.get(field.name).copied().unwrap_or_default();
            let fault = |expected| AskFault {
                path: self.path_of(name),
                at: field.at.start,
                expected,
            };
            let text = &*field.value;
            let value = match (self.shape(name), text) {
                (Shape::Text, text) => text.into(),
                (Shape::Switch, "true") => true.into(),
                (Shape::Switch, "false") => false.into(),
                (Shape::Switch, _) => return Err(fault("`true` or `false`")),
                (Shape::Count, text) => count(text).ok_or_else(|| fault("a whole number"))?.into(),
                (Shape::None, _) => return Err(fault("sent as JSON, and not in a form")),
            };
            members.insert(name.to_owned(), value);
        }
        let document = serde_json::Value::Object(members).to_string();
        let mut scanner = Scanner::new(self.paths(), Rules::STRICT);
        // What was just written can be read; if it could not, nothing of it would be believed.
        let scanned = scanner.push(document.as_bytes());
        let scan = scanned
            .and_then(|()| scanner.finish())
            .map_err(|_| AskFault {
                path: "$",
                at: 0,
                expected: "a form",
            })?;
        let mut asked = self.read(scan)?;
        let media = form.files.saturating_mul(super::MEDIA_TOKENS);
        asked.input_estimate = form.text_bytes.div_ceil(4).saturating_add(media);
        asked.form = Some(Box::new(form));
        Ok(asked)
    }

    fn shape(&self, name: &str) -> Shape {
        let role = self.paths.id(self.path_of(name));
        match role.and_then(|path| self.roles.get(usize::from(path.0))) {
            Some(Role::Model | Role::OtherModel | Role::User | Role::SafetyIdentifier) => {
                Shape::Text
            }
            Some(Role::Stream) => Shape::Switch,
            Some(Role::OutputCap | Role::Choices) => Shape::Count,
            Some(_) | None => Shape::None,
        }
    }

    fn path_of(&self, name: &str) -> &'static str {
        let is_it = |path: &&'static str| path.strip_prefix("$.") == Some(name);
        self.names.iter().copied().find(is_it).unwrap_or("$")
    }
}

/// The members of the root, where the endpoint takes forms.
pub(super) fn names(endpoint: Endpoint, paths: &[&'static str]) -> &'static [&'static str] {
    if !matches!(endpoint, Endpoint::ImageEdits | Endpoint::Transcriptions) {
        return &[];
    }
    let of_root = paths.iter().filter_map(|path| path.strip_prefix("$."));
    let names: Vec<_> = of_root.filter(|name| !name.contains(['.', '['])).collect();
    names.leak()
}

/// Decimal digits and nothing else.
fn count(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}
