//! A table of the parsed tree while it is read: hands out its keys as typed values, and reports every key nobody knows.
//! Must never let a key pass that is not in the key table, and never quote a value that was filled in.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::PathBuf;

use aws_lc_rs::digest;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::fill;
use super::keys::{Key, Place};
use super::load::Environment;
use super::mask;
use super::node::{Node, article};
use super::problem::{OutCode, Problem};
use super::settings::Written;
use super::site::{Origin, Site, Sited, Sources};
use super::stray;

/// Problems that are listed; a broken file of thousands of tenants should not print megabytes.
const PROBLEMS_CAP: usize = 500;

/// What reading needs and collects.
pub(super) struct Context<'e> {
    pub(super) sources: Sources,
    pub(super) problems: Vec<Problem>,
    /// The targets of `${file:…}`.
    pub(super) watched: BTreeSet<PathBuf>,
    /// Covers every filled-in value.
    pub(super) filled: digest::Context,
    /// What was read, for the list of what holds.
    pub(super) written: Vec<Written>,
    environment: &'e dyn Environment,
    left_out: usize,
}

impl<'e> Context<'e> {
    pub(super) fn new(
        environment: &'e dyn Environment,
        sources: Sources,
        problems: Vec<Problem>,
    ) -> Self {
        Self {
            sources,
            problems,
            watched: BTreeSet::new(),
            filled: digest::Context::new(&digest::SHA256),
            written: Vec::new(),
            environment,
            left_out: 0,
        }
    }

    pub(super) fn report(&mut self, problem: Problem) {
        if self.problems.len() < PROBLEMS_CAP {
            self.problems.push(problem);
        } else {
            self.left_out += 1;
        }
    }

    /// Says how many problems were not listed. Called once, when everything was read.
    pub(super) fn close(&mut self) {
        if self.left_out > 0 {
            let message = format!("{} more problems are not listed", self.left_out);
            self.problems
                .push(Problem::error(OutCode::More, None, message));
        }
    }

    /// A string with its references filled in, if they can be; reports and remembers nothing.
    pub(super) fn peek(&self, text: &str, key: &Key) -> Option<String> {
        fill::fill(text, fill::most(key), self.environment, &mut |_| {}).ok()
    }

    /// A string with its references filled in.
    pub(super) fn fill(&mut self, text: &str, key: &Key, site: Site) -> Option<Sited<String>> {
        if !fill::has_reference(text) {
            return Some(Sited::new(text.to_owned(), site));
        }
        let watched = &mut self.watched;
        match fill::fill(text, fill::most(key), self.environment, &mut |path| {
            watched.insert(path.to_path_buf());
        }) {
            Ok(value) => {
                self.filled.update(&(value.len() as u64).to_be_bytes());
                self.filled.update(value.as_bytes());
                Some(Sited {
                    value,
                    site,
                    origin: Origin::Filled,
                })
            }
            Err(error) => {
                let problem = Problem::error(error.code(), site, error.to_string());
                self.report(Problem {
                    hint: error.hint(),
                    ..problem
                });
                None
            }
        }
    }
}

/// A table with a place in the key table.
pub(super) struct Section<'t> {
    /// Where it was first named.
    pub(super) site: Site,
    table: &'t DeTable<'t>,
    /// Its path as written.
    shown: String,
    /// Where it is in the key table.
    place: &'static Place,
}

impl<'t> Section<'t> {
    /// The whole file.
    pub(super) fn root(context: &mut Context<'_>, table: &'t DeTable<'t>, file: u16) -> Self {
        let site = Site {
            file,
            start: 0,
            end: 0,
        };
        Self::open(context, table, site, String::new(), Place::top())
    }

    /// A table; reports its unknown keys.
    fn open(
        context: &mut Context<'_>,
        table: &'t DeTable<'t>,
        site: Site,
        shown: String,
        place: &'static Place,
    ) -> Self {
        let section = Self {
            site,
            table,
            shown,
            place,
        };
        let is_known = |name: &str| place.names == ["*"] || place.names.contains(&name);
        if table.keys().all(|name| is_known(name.get_ref())) {
            return section;
        }
        for (name, value) in section.entries() {
            if !is_known(&name.value) {
                mask::unknown(&mut context.sources, site.file, &name.value, value);
                context.report(stray::problem(
                    &section.shown,
                    place.path,
                    &place.names,
                    &name,
                ));
            }
        }
        section
    }

    /// The table of that name below this one.
    pub(super) fn sub(&self, context: &mut Context<'_>, name: &str) -> Option<Self> {
        let (key, value) = self.table.get_key_value(name)?;
        self.below(context, key, value, self.place.below(name))
    }

    /// The tables below this one, by the names the operator chose, in the order written.
    pub(super) fn named(&self, context: &mut Context<'_>) -> Vec<(Sited<String>, Self)> {
        let place = self.place.below("*");
        self.raw_entries()
            .into_iter()
            .filter_map(|(key, value)| {
                let name = Sited::new(key.get_ref().to_string(), self.site_of(key));
                Some((name, self.below(context, key, value, place)?))
            })
            .collect()
    }

    /// The names and values of the table, in the order written.
    pub(super) fn entries(&self) -> Vec<(Sited<String>, &'t Spanned<DeValue<'t>>)> {
        self.raw_entries()
            .into_iter()
            .map(|(key, value)| {
                (
                    Sited::new(key.get_ref().to_string(), self.site_of(key)),
                    value,
                )
            })
            .collect()
    }

    /// One setting, if it is written.
    pub(super) fn node(&self, name: &str) -> Option<Node<'t>> {
        let value = self.table.get(name)?;
        let key = self.place.key(name)?;
        let shown = join(&self.shown, &quoted(name));
        Some(Node::whole(
            value.get_ref(),
            self.site_of(value),
            key,
            shown,
        ))
    }

    /// The site of the name of a key that stands in the table.
    pub(super) fn name_site(&self, name: &str) -> Option<Site> {
        self.table
            .get_key_value(name)
            .map(|(key, _)| self.site_of(key))
    }

    /// Reports a key that must be written.
    pub(super) fn missing(&self, context: &mut Context<'_>, name: &str) {
        let example = self.place.key(name).map_or("", |key| key.example);
        let message = format!("`[{}]` needs `{name}`", self.shown);
        context.report(
            Problem::error(OutCode::MissingKey, self.site, message)
                .hint(format!("for example `{name} = \"{example}\"`")),
        );
    }

    /// Whether a key stands in the table, readable or not.
    pub(super) fn has(&self, name: &str) -> bool {
        self.table.contains_key(name)
    }

    fn below(
        &self,
        context: &mut Context<'_>,
        key: &Spanned<DeString<'t>>,
        value: &'t Spanned<DeValue<'t>>,
        place: &'static Place,
    ) -> Option<Self> {
        let shown = join(&self.shown, &quoted(key.get_ref()));
        let Some(table) = value.get_ref().as_table() else {
            let found = article(value.get_ref());
            let message = format!("`{shown}` must be a table, not {found}");
            context.report(
                Problem::error(OutCode::WrongType, self.site_of(value), message)
                    .hint(format!("write its settings under `[{shown}]`")),
            );
            return None;
        };
        Some(Self::open(context, table, self.site_of(key), shown, place))
    }

    fn raw_entries(&self) -> Vec<(&'t Spanned<DeString<'t>>, &'t Spanned<DeValue<'t>>)> {
        let mut entries: Vec<_> = self.table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        entries
    }

    fn site_of<T>(&self, spanned: &Spanned<T>) -> Site {
        site(self.site.file, &spanned.span())
    }
}

/// The site of a span; files are far below 4 GiB.
pub(super) fn site(file: u16, span: &std::ops::Range<usize>) -> Site {
    let at = |byte: usize| u32::try_from(byte).unwrap_or(u32::MAX);
    Site {
        file,
        start: at(span.start),
        end: at(span.end),
    }
}

pub(super) fn join(path: &str, name: &str) -> String {
    let mut joined = String::with_capacity(path.len() + 1 + name.len());
    joined.push_str(path);
    if !path.is_empty() {
        joined.push('.');
    }
    joined.push_str(name);
    joined
}

/// A name as a TOML key: bare where it can be.
pub(super) fn quoted(name: &str) -> Cow<'_, str> {
    const LONGEST: usize = 130;
    let end = name
        .char_indices()
        .nth(LONGEST)
        .map_or(name.len(), |(at, _)| at);
    let short = &name[..end];
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !short.is_empty() && short.bytes().all(plain) {
        Cow::Borrowed(short)
    } else {
        Cow::Owned(format!("\"{}\"", short.escape_debug()))
    }
}
