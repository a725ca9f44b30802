//! The operator's side of the admin door: verbs to calls, and answers to what is printed.

use std::process::ExitCode;

use http::Method;
use serde_json::Value;

use super::args::{Ctl, CtlVerb, Tenants, Way};
use super::told;
use super::verbs::{complain, say};
use crate::app::{Answer, Door, Error, admin_socket, call};
use crate::host::tasks;

pub(super) fn ctl(control: &Ctl) -> Result<ExitCode, Error> {
    ask(&control.way, target(&control.verb), |line, is_first| {
        tell(&control.verb, line, is_first);
    })
}

/// Calls a running sidecar and prints what it says: as it is, or as `tell` does for people, line by line.
pub(super) fn ask(
    way: &Way,
    (method, target): (Method, String),
    tell: impl Fn(&str, bool),
) -> Result<ExitCode, Error> {
    let door = match &way.admin {
        Some(named) => Door::named(named, way.token_file.as_deref())?,
        None => Door::Socket(admin_socket(way.state.as_deref())),
    };
    let mut first = true;
    let mut take = |line: &str| {
        if way.json {
            say(line);
        } else {
            tell(line, std::mem::take(&mut first));
        }
    };
    let runtime = tasks::small_runtime()?;
    let answer = runtime.block_on(call(&door, method, &target, &mut take))?;
    Ok(match answer {
        Answer::Done => ExitCode::SUCCESS,
        Answer::Refused(document) => refused(way, &document),
    })
}

fn target(verb: &CtlVerb) -> (Method, String) {
    match verb {
        CtlVerb::Reload => (Method::POST, "/reload".to_owned()),
        CtlVerb::Drain => (Method::POST, "/drain".to_owned()),
        CtlVerb::Health => (Method::GET, "/health".to_owned()),
        CtlVerb::Config => (Method::GET, "/config".to_owned()),
        CtlVerb::Tenants(list) => listing("/tenants", list),
        CtlVerb::Loglevel(wish) => {
            let Some(level) = &wish.level else {
                return (Method::GET, "/loglevel".to_owned());
            };
            let span = wish.span.map(|span| format!("for_ms={}", span.as_millis()));
            let level = Some(format!("level={level}"));
            (
                Method::POST,
                with_query("/loglevel".to_owned(), [level, span]),
            )
        }
        CtlVerb::Suspend { tenant, cut } => {
            let cut = cut.then(|| "cut=true".to_owned());
            let path = format!("/tenants/{tenant}/suspend");
            (Method::POST, with_query(path, [cut, None]))
        }
        CtlVerb::Acknowledge => (Method::POST, "/acknowledge".to_owned()),
        CtlVerb::Resume { tenant } => (Method::POST, format!("/tenants/{tenant}/resume")),
    }
}

/// The target of a list of something, by tenants.
pub(super) fn listing(path: &str, list: &Tenants) -> (Method, String) {
    let only = list.tenant.as_ref();
    let path = only.map_or_else(|| path.to_owned(), |id| format!("{path}/{id}"));
    let after = list.after.as_ref().map(|id| format!("after={id}"));
    let limit = list.limit.map(|most| format!("limit={most}"));
    (Method::GET, with_query(path, [after, limit]))
}

pub(super) fn with_query(path: String, members: [Option<String>; 2]) -> String {
    let members: Vec<String> = members.into_iter().flatten().collect();
    if members.is_empty() {
        return path;
    }
    format!("{path}?{}", members.join("&"))
}

/// Prints one line of a good answer for people.
fn tell(verb: &CtlVerb, line: &str, is_first: bool) {
    let document = || serde_json::from_str::<Value>(line).unwrap_or_default();
    match verb {
        CtlVerb::Tenants(_) => {
            if is_first {
                say(told::TENANTS);
            }
            say(&told::tenant(line));
        }
        CtlVerb::Config => {
            let (settings, rejected) = told::config(&document());
            if let Some(rejected) = rejected {
                complain(rejected.trim_end());
            }
            say(&settings);
        }
        CtlVerb::Health => say(&told::health(&document())),
        CtlVerb::Reload => say(&told::reload(&document())),
        CtlVerb::Drain => say(&told::drain(&document())),
        CtlVerb::Loglevel(_) => say(&told::level(&document())),
        CtlVerb::Suspend { .. } => say(&told::suspended(&document())),
        CtlVerb::Resume { .. } => say(&told::resumed(&document())),
        CtlVerb::Acknowledge => say(&told::acknowledged(&document())),
    }
}

/// Says why not: the report of a configuration is many lines long, and no text to be read inside a JSON string.
fn refused(way: &Way, document: &Value) -> ExitCode {
    if let Some(problems) = document["problems"].as_str() {
        complain(problems.trim_end());
    }
    if let Some(message) = document["message"].as_str() {
        complain(&format!("error: {message}"));
    }
    if way.json {
        say(&document.to_string());
    } else if document["result"].is_string() {
        say(&told::reload(document));
    }
    ExitCode::FAILURE
}
