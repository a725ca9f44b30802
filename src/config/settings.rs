//! What holds, as one line per setting: the values as written, secrets hidden, and the defaults of the rest.
//! Must never show a filled-in value (the reference stands in for it), and of tenants list nothing but
//! where some of their own credentials come from: there are thousands.

use std::collections::HashSet;
use std::fmt::Write as _;

use super::keys::{self, Fallback, Key};
use super::site::{Site, Sources};

/// A setting that was read: its key, its path as written, and where its value stands.
pub(super) struct Written {
    key: &'static Key,
    shown: String,
    site: Site,
}

/// More lines than this are not kept.
const LINES: usize = 2000;

/// Notes a setting for the list; those of tenants are left out.
pub(super) fn note(list: &mut Vec<Written>, key: &'static Key, shown: &str, site: Site) {
    if !key.path.starts_with("tenants.") && list.len() < LINES {
        let shown = shown.to_owned();
        list.push(Written { key, shown, site });
    }
}

/// Notes a credential of a tenant's own: whose, for which upstream, and where it comes from. Of many, some: what the
/// operator looks for is whether it is the one that was meant.
pub(super) fn note_own(list: &mut Vec<Written>, key: &'static Key, shown: &str, site: Site) {
    if list.len() < LINES / 2 {
        let shown = shown.to_owned();
        list.push(Written { key, shown, site });
    }
}

/// The list: every key of the process in the order of the reference, then what is written below chosen names.
pub(super) fn render(list: &[Written], sources: &Sources) -> String {
    let mut out = String::new();
    let mut seen = HashSet::new();
    for key in keys::all().filter(|key| !key.path.contains('*')) {
        let written = list.iter().find(|written| written.key.path == key.path);
        match (written, key.default_toml()) {
            (Some(written), _) => line(&mut out, &written.shown, &value(written, sources), ""),
            (None, Some(default)) => {
                let when = match key.default {
                    Fallback::Varies(_, when) => format!("  # default {when}"),
                    _ => "  # default".to_owned(),
                };
                line(&mut out, key.path, &default, &when);
            }
            (None, None) => {}
        }
    }
    for written in list.iter().filter(|written| written.key.path.contains('*')) {
        if seen.insert(&written.shown) {
            line(&mut out, &written.shown, &value(written, sources), "");
        }
    }
    out
}

fn line(out: &mut String, path: &str, value: &str, note: &str) {
    // Writing to a `String` cannot fail.
    let _ = writeln!(out, "{path} = {value}{note}");
}

/// The source text of a value on one line, every secret in it three stars.
fn value(written: &Written, sources: &Sources) -> String {
    let Site { file, start, end } = written.site;
    let lines = sources.lines(file, start, end);
    let at = |byte: u32| (byte as usize).saturating_sub(lines.start);
    let text = lines.text.get(at(start)..at(end)).unwrap_or("\"***\"");
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars().map(|letter| match letter {
        letter if letter.is_control() => ' ',
        letter => letter,
    }) {
        let run = letter == '*' && shown.ends_with("***");
        let gap = letter == ' ' && shown.ends_with(' ');
        if !run && !gap {
            shown.push(letter);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use crate::config::{System, load_text};

    #[test]
    fn of_a_tenants_own_credentials_it_is_said_where_they_come_from() {
        let text = "[upstreams.own]\ndialect = \"openai\"\nurl = \"http://h\"\n\
                    [tenants.acme]\ncredentials.own = \"${file:/run/secrets/acme}\"\n\
                    [tenants.globex]\ncredentials = { own = \"sk-in-clear\" }\n\
                    [tenants.initech]\ncredentials.own = \"${env:NO_SUCH:-sk-fallback}\"\n";
        let settings = load_text("outrigger.toml", text, &System).settings;
        for line in [
            "tenants.acme.credentials.own = \"${file:/run/secrets/acme}\"\n",
            "tenants.globex.credentials.own = ***\n",
            "tenants.initech.credentials.own = ***\n",
        ] {
            assert!(settings.contains(line), "{line} not in {settings}");
        }
        assert!(!settings.contains("sk-"), "{settings}");
    }

    #[test]
    fn every_setting_of_the_process_stands_there_and_no_secret() {
        let text = "[listen]\nproxy = [\n  \"127.0.0.1:1\",\n  \"127.0.0.1:2\",\n]\n\
                    [upstreams.own]\ndialect = \"openai\"\nurl = \"http://h\"\nkey = \"sk-secret-of-ours\"\n\
                    [upstreams.other]\ndialect = \"openai\"\nurl = \"http://h\"\nkey = \"${env:NO_SUCH:-sk-fallback}\"\n\
                    [tenants.acme]\nlimits.streams = 7\n";
        let loaded = load_text("outrigger.toml", text, &System);
        let settings = &loaded.settings;
        for line in [
            "listen.proxy = [ \"127.0.0.1:1\", \"127.0.0.1:2\", ]\n",
            "listen.telemetry = \"127.0.0.1:8471\"  # default\n",
            "upstreams.own.url = \"http://h\"\n",
            "upstreams.own.key = ***\n",
            "upstreams.other.key = ***\n",
        ] {
            assert!(settings.contains(line), "{line} not in {settings}");
        }
        assert!(
            !settings.contains("sk-") && !settings.contains("acme"),
            "{settings}"
        );
    }
}
