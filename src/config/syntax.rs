//! What the TOML parser says, as problems. It goes on after an error, so a broken file still shows its other problems.
//! Must never report what is only a consequence of the broken line.

use toml::de::{DeTable, DeValue, Error};

use super::problem::{OutCode, Problem};
use super::section::{Context, site};
use super::site::Site;

/// Reports the errors of one file, and takes back the problems reported since `before` that only follow from them.
pub(super) fn report(
    context: &mut Context<'_>,
    file: u16,
    tree: &DeTable<'_>,
    errors: &[Error],
    before: usize,
) {
    if errors.is_empty() {
        return;
    }
    let sites: Vec<Site> = errors
        .iter()
        .map(|error| site(file, &error.span().unwrap_or(0..0)))
        .collect();
    let lines: Vec<u32> = sites
        .iter()
        .map(|&site| context.sources.locate(site).line)
        .collect();
    let found = context
        .problems
        .split_off(before.min(context.problems.len()));
    for problem in found {
        let line = problem.site.map(|site| context.sources.locate(site).line);
        let follows =
            problem.code == OutCode::MissingKey || line.is_some_and(|line| lines.contains(&line));
        if !follows {
            context.problems.push(problem);
        }
    }
    let text = context.sources.text(file);
    for (error, at) in errors.iter().zip(sites) {
        let what = error.message().trim_end_matches('.').replace('\n', "; ");
        let mut problem = Problem::error(OutCode::Syntax, at, what);
        if unquoted(&text, at) {
            problem = problem.hint("texts stand in quotes");
        }
        let word = text.get(at.start as usize..at.end as usize).unwrap_or("");
        let earlier = if error.message() == "duplicate key" {
            first(tree, word, at).or_else(|| header(&text, at))
        } else {
            None
        };
        context.report(match earlier {
            Some(earlier) => problem.also(earlier, "first defined here"),
            None => problem,
        });
    }
}

/// Whether the error is in a value that begins with neither a quote nor a bracket, and so may be a text without quotes.
fn unquoted(text: &str, at: Site) -> bool {
    let before = text.get(..at.start as usize).unwrap_or("");
    let line = before.rsplit('\n').next().unwrap_or("");
    let start = before.len() - line.len();
    let whole = text[start..].lines().next().unwrap_or("");
    let value = whole.split_once('=').map(|(_, value)| value.trim_start());
    line.contains('=')
        && value
            .is_some_and(|value| value.starts_with(|letter: char| letter.is_ascii_alphanumeric()))
}

/// Where a key of that spelling stood first, if only one place can be meant.
fn first(tree: &DeTable<'_>, word: &str, at: Site) -> Option<Site> {
    let name = word.trim_matches(['"', '\'']);
    let mut found = Vec::new();
    collect(tree, name, &mut found);
    found.retain(|span| span.end <= at.start as usize);
    match found.as_slice() {
        [span] => Some(site(at.file, span)),
        _ => None,
    }
}

/// Where the same header stood first, for a table defined twice.
fn header(text: &str, at: Site) -> Option<Site> {
    let start = text
        .get(..at.start as usize)?
        .rfind('\n')
        .map_or(0, |end| end + 1);
    let line = text.get(start..)?.lines().next()?;
    let mut begin = 0;
    for earlier in text.get(..start)?.split_inclusive('\n') {
        if line.starts_with('[') && earlier.trim_end() == line.trim_end() {
            let shift = at.start as usize - start;
            let length = at.end.saturating_sub(at.start) as usize;
            return Some(site(at.file, &(begin + shift..begin + shift + length)));
        }
        begin += earlier.len();
    }
    None
}

/// The parser bounds the depth of the tree, and so of this.
fn collect(table: &DeTable<'_>, name: &str, found: &mut Vec<std::ops::Range<usize>>) {
    for (key, value) in table {
        if key.get_ref() == name {
            found.push(key.span());
        }
        if let DeValue::Table(inner) = value.get_ref() {
            collect(inner, name, found);
        }
    }
}
