//! One value of the parsed tree with its key: typed reads, and the reports when the type or the text is wrong.
//! Must never quote a value that was filled in, or one whose key hides.

use toml::Spanned;
use toml::de::{DeString, DeValue};

use super::keys::{Key, Kind};
use super::mask;
use super::parse::Flaw;
use super::problem::{OutCode, Problem};
use super::section::{Context, join, quoted, site};
use super::site::{Origin, Site, Sited};

/// A value with its key.
pub(super) struct Node<'t> {
    pub(super) value: &'t DeValue<'t>,
    pub(super) site: Site,
    pub(super) key: &'static Key,
    /// Its path as written.
    pub(super) shown: String,
    part: Part,
}

/// Whether a node is all of its key's value, or an element of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Whole,
    Element,
}

impl<'t> Node<'t> {
    /// All of a key's value.
    pub(super) const fn whole(
        value: &'t DeValue<'t>,
        site: Site,
        key: &'static Key,
        shown: String,
    ) -> Self {
        Self {
            value,
            site,
            key,
            shown,
            part: Part::Whole,
        }
    }

    /// The text, filled in; or a report that it is none.
    pub(super) fn text(&self, context: &mut Context<'_>) -> Option<Sited<String>> {
        let Some(text) = self.value.as_str() else {
            self.wrong_type(context);
            return None;
        };
        mask::known(&mut context.sources, self.key, text, self.site);
        context.fill(text, self.key, self.site)
    }

    /// The value of the text.
    pub(super) fn parsed<T>(
        &self,
        context: &mut Context<'_>,
        parse: impl Fn(&str) -> Result<T, Flaw>,
    ) -> Option<Sited<T>> {
        let text = self.text(context)?;
        match parse(&text.value) {
            Ok(value) => Some(Sited {
                value,
                site: text.site,
                origin: text.origin,
            }),
            Err(flaw) => {
                let found = self.quote(&text);
                self.reject(
                    context,
                    flaw.code,
                    &format!("expected {}{found}", flaw.expected),
                    flaw.hint,
                );
                None
            }
        }
    }

    /// The elements of a list.
    pub(super) fn list(&self, context: &mut Context<'_>) -> Option<Vec<Self>> {
        let Some(array) = self.value.as_array() else {
            self.wrong_type(context);
            return None;
        };
        Some(array.iter().map(|element| self.element(element)).collect())
    }

    /// A number within bounds.
    pub(super) fn count(
        &self,
        context: &mut Context<'_>,
        least: u64,
        most: u64,
    ) -> Option<Sited<u64>> {
        let Some(integer) = self.value.as_integer() else {
            self.wrong_type(context);
            return None;
        };
        let digits = integer.as_str().replace('_', "");
        match u64::from_str_radix(digits.trim_start_matches('+'), integer.radix()) {
            Ok(number) if (least..=most).contains(&number) => Some(Sited::new(number, self.site)),
            Ok(_) | Err(_) => {
                self.reject(
                    context,
                    OutCode::InvalidValue,
                    &format!("expected a number from {least} to {most}, found `{integer}`"),
                    "",
                );
                None
            }
        }
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, context: &mut Context<'_>) -> Option<Sited<bool>> {
        let DeValue::Boolean(flag) = self.value else {
            self.wrong_type(context);
            return None;
        };
        Some(Sited::new(*flag, self.site))
    }

    /// Reports a value of the right type that cannot be taken.
    pub(super) fn reject(&self, context: &mut Context<'_>, code: OutCode, what: &str, hint: &str) {
        let problem = Problem::error(code, self.site, format!("`{}`: {what}", self.shown));
        context.report(if hint.is_empty() {
            problem
        } else {
            problem.hint(hint)
        });
    }

    /// `, found …`, when the value may be shown.
    pub(super) fn quote(&self, text: &Sited<String>) -> String {
        if text.origin == Origin::Filled {
            return "; the value that was filled in is not one".to_owned();
        }
        if mask::hides(self.key) {
            return String::new();
        }
        let short: String = text.value.chars().take(60).collect();
        format!(", found `{}`", short.escape_debug())
    }

    /// An element of a list, under the key of the list.
    fn element(&self, element: &'t Spanned<DeValue<'t>>) -> Self {
        Self {
            value: element.get_ref(),
            site: site(self.site.file, &element.span()),
            key: self.key,
            shown: self.shown.clone(),
            part: Part::Element,
        }
    }

    /// The entries of a table whose names are the operator's, in the order written, under the key of the table.
    pub(super) fn entries(&self, context: &mut Context<'_>) -> Option<Vec<(Sited<String>, Self)>> {
        let Some(table) = self.value.as_table() else {
            self.wrong_type(context);
            return None;
        };
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        let entry = |(name, value): (&Spanned<DeString<'t>>, &'t Spanned<DeValue<'t>>)| {
            let shown = join(&self.shown, &quoted(name.get_ref()));
            let sited = Sited::new(
                name.get_ref().to_string(),
                site(self.site.file, &name.span()),
            );
            (
                sited,
                Self {
                    shown,
                    ..self.element(value)
                },
            )
        };
        Some(entries.into_iter().map(entry).collect())
    }

    /// Reports a value of a type the key does not take.
    pub(super) fn wrong_type(&self, context: &mut Context<'_>) {
        mask::wrong(&mut context.sources, self.key, self.value, self.site);
        let number = self.value.is_integer() || self.value.is_float();
        let (takes, example) = match self.part {
            Part::Whole => {
                let example = format!("{} = {}", self.key.split().1, self.key.shown_value());
                (self.key.kind.takes(), format!("for example `{example}`"))
            }
            Part::Element if matches!(self.key.kind, Kind::Counts(..)) => {
                ("a whole number", String::new())
            }
            Part::Element => ("a text", String::new()),
        };
        let (code, hint) = match self.key.kind.unit() {
            Some(flaw) if number => (OutCode::UnitMissing, flaw.hint.to_owned()),
            Some(_) | None => (OutCode::WrongType, example),
        };
        let what = format!("expected {takes}, found {}", article(self.value));
        self.reject(context, code, &what, &hint);
    }
}

/// A value's type with its article, for messages.
pub(super) fn article(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
