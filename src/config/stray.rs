//! Keys that nobody knows where they stand: planned, misspelt, or at home elsewhere.
//! Must never say that a key is unknown without saying what is known.

use super::keys;
use super::problem::{OutCode, Problem};
use super::section::join;
use super::site::Sited;
use super::suggest;

/// What an unknown key is told: planned, misspelt, or at home elsewhere.
pub(super) fn problem(shown: &str, section: &str, known: &[&str], name: &Sited<String>) -> Problem {
    let word = name.value.as_str();
    let place = if shown.is_empty() {
        "at the top".to_owned()
    } else {
        format!("in `[{shown}]`")
    };
    let shown: String = word.chars().take(80).collect();
    if keys::planned(&join(section, word)) {
        return Problem::error(
            OutCode::NotBuilt,
            name.site,
            format!("`{shown}` is not built in this version"),
        )
        .hint("remove it: a rule that is not enforced is never accepted");
    }
    let near = suggest::nearest(word, known.iter().copied());
    let homes = homes_shown(word, section);
    let unknown = Problem::error(
        OutCode::UnknownKey,
        name.site,
        format!("unknown key `{shown}` {place}"),
    );
    match (near, homes) {
        (Some(near), None) => unknown.hint(format!("did you mean `{near}`?")),
        (Some(near), Some(homes)) => unknown.hint(format!(
            "did you mean `{near}`? `{shown}` exists under {homes}"
        )),
        (None, Some(homes)) => Problem::error(
            OutCode::MisplacedKey,
            name.site,
            format!("`{shown}` does not belong {place}"),
        )
        .hint(format!("this key exists under {homes}")),
        (None, None) => unknown.hint(elsewhere(section, known, word)),
    }
}

/// A near name in another section, or the names of this one.
fn elsewhere(section: &str, known: &[&str], word: &str) -> String {
    let all = keys::all()
        .flat_map(|key| key.path.split('.'))
        .filter(|name| *name != "*");
    if let Some((near, homes)) =
        suggest::nearest(word, all).and_then(|near| Some((near, homes_shown(near, section)?)))
    {
        return format!("did you mean `{near}`? it exists under {homes}");
    }
    let names: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
    format!("known here: {}", names.join(", "))
}

/// Where a name is at home: below this section if it is, else everywhere.
fn homes_shown(name: &str, section: &str) -> Option<String> {
    let mut homes = keys::homes(name, section);
    if homes.iter().any(|home| home.starts_with(section)) {
        homes.retain(|home| home.starts_with(section));
    }
    let shown: Vec<_> = homes
        .iter()
        .map(|home| {
            if home.is_empty() {
                "the top of the file".to_owned()
            } else {
                format!("`[{home}]`")
            }
        })
        .collect();
    (!shown.is_empty()).then(|| shown.join(" and "))
}
