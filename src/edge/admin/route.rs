//! From a method and a target to what is asked, and the role it takes. Pure. Must never give a GET a meaning that changes
//! something, nor look at a body: whatever a call needs stands in its target.

use std::time::Duration;

use http::{Method, Request, StatusCode};

use super::archive::{self, Look};
use super::tenants::Listing;
use super::{Ask, Problem};
use crate::config::values::{LogLevel, Role};
use crate::journal::Mark;
use crate::units::{AdminOutcome, AdminVerb, NanoUsd, TenantId};
use crate::views::{By, Query, moment};

/// A call, read.
pub(super) struct Asked {
    pub(super) verb: AdminVerb,
    /// About whom or what, for the log.
    pub(super) about: String,
    /// What it takes to ask it.
    pub(super) role: Role,
    pub(super) what: What,
}

pub(super) enum What {
    /// Answered here.
    Tenants(Listing),
    /// Answered here, too.
    Budgets(Listing),
    /// Answered from the journal's files.
    Archive(Look),
    /// Done to the journal.
    Erase(TenantId),
    /// Answered by the control loop.
    Control(Ask),
    /// Not answered.
    Wrong(Problem),
}

const NO_SUCH: Problem = Problem(
    StatusCode::NOT_FOUND,
    AdminOutcome::Unknown,
    "there are GET /health, /config, /tenants, /tenants/ID, /budgets, /budgets/ID, /costs, /audit, /audit/verify and /loglevel, and POST /reload, /drain, /acknowledge, /loglevel, /tenants/ID/suspend, /tenants/ID/resume, /tenants/ID/correct, /audit/ID/erase and /budgets/ID/NAME/topup, /freeze and /unfreeze",
);
const WRONG_METHOD: Problem = Problem(
    StatusCode::METHOD_NOT_ALLOWED,
    AdminOutcome::Unknown,
    "looking is GET, changing something is POST or PUT",
);
const WRONG_QUERY: Problem = Problem(
    StatusCode::BAD_REQUEST,
    AdminOutcome::Unknown,
    "the query has a member that means nothing here, or a value that cannot be read",
);
const NO_TENANT: Problem = Problem(
    StatusCode::NOT_FOUND,
    AdminOutcome::Unknown,
    "that cannot be the id of a tenant",
);

pub(super) fn read<B>(request: &Request<B>) -> Asked {
    let path = request.uri().path();
    let query = request.uri().query().unwrap_or_default();
    let segments: Vec<&str> = path.split('/').skip(1).take(5).collect();
    let acts = matches!(*request.method(), Method::POST | Method::PUT);
    let looks = matches!(*request.method(), Method::GET | Method::HEAD);
    let about = path_and_query(request);
    let (verb, about, what) = match segments[..] {
        ["health"] => (AdminVerb::Health, "", plain(query, Ask::Health)),
        ["config"] => (AdminVerb::Config, "", plain(query, Ask::Config)),
        ["reload"] => (AdminVerb::Reload, "", plain(query, Ask::Reload)),
        ["drain"] => (AdminVerb::Drain, "", plain(query, Ask::Drain)),
        ["loglevel"] if acts => (AdminVerb::SetLogLevel, query, set_level(query)),
        ["loglevel"] => (AdminVerb::LogLevel, "", plain(query, Ask::LogLevel)),
        ["tenants"] => (AdminVerb::Tenants, query, listing(None, query)),
        ["tenants", id] => (AdminVerb::Tenants, id, listing(Some(id), query)),
        ["tenants", id, "suspend"] => (AdminVerb::Suspend, id, suspend(id, query)),
        ["tenants", id, "resume"] => (AdminVerb::Resume, id, resume(id, query)),
        ["costs"] => (AdminVerb::Costs, query, costs(query)),
        ["audit"] => (AdminVerb::Audit, query, audit(query)),
        ["audit", "verify"] if query.is_empty() => {
            (AdminVerb::Verify, "", Ok(What::Archive(Look::Verify)))
        }
        ["audit", id, "erase"] => (AdminVerb::Erase, id, erase(id, query)),
        ["budgets"] => (AdminVerb::Budgets, query, budgets(None, query)),
        ["budgets", id] => (AdminVerb::Budgets, id, budgets(Some(id), query)),
        ["budgets", id, budget, "topup"] => (AdminVerb::TopUp, about, top_up(id, budget, query)),
        ["budgets", id, budget, "freeze"] => {
            (AdminVerb::Freeze, about, freeze(id, budget, query, true))
        }
        ["budgets", id, budget, "unfreeze"] => {
            (AdminVerb::Unfreeze, about, freeze(id, budget, query, false))
        }
        ["tenants", id, "correct"] => (AdminVerb::Correct, about, correct(id, query)),
        ["acknowledge"] => (AdminVerb::Acknowledge, "", plain(query, Ask::Acknowledge)),
        _ => (AdminVerb::Unknown, path, Err(NO_SUCH)),
    };
    let role = role_of(verb);
    let fits = match (role, verb) {
        (_, AdminVerb::Unknown) => true,
        (Role::Read, _) => looks,
        (Role::Operate, _) => acts,
    };
    let what = if fits { what } else { Err(WRONG_METHOD) };
    Asked {
        verb,
        about: shown(about),
        role,
        what: what.unwrap_or_else(What::Wrong),
    }
}

/// Looking takes `read`, whatever changes something `operate`.
const fn role_of(verb: AdminVerb) -> Role {
    match verb {
        AdminVerb::Health
        | AdminVerb::Config
        | AdminVerb::Tenants
        | AdminVerb::Budgets
        | AdminVerb::Costs
        | AdminVerb::Audit
        | AdminVerb::Verify
        | AdminVerb::LogLevel
        | AdminVerb::Unknown => Role::Read,
        AdminVerb::Reload
        | AdminVerb::Drain
        | AdminVerb::SetLogLevel
        | AdminVerb::Suspend
        | AdminVerb::Resume
        | AdminVerb::TopUp
        | AdminVerb::Freeze
        | AdminVerb::Unfreeze
        | AdminVerb::Acknowledge
        | AdminVerb::Correct
        | AdminVerb::Erase => Role::Operate,
    }
}

/// What a caller wrote, fit for a log line.
fn shown(text: &str) -> String {
    let plain = text.chars().filter(char::is_ascii_graphic);
    plain.take(160).collect()
}

/// The members of a query; `None` for one without a value.
fn members(query: &str) -> impl Iterator<Item = Option<(&str, &str)>> {
    query
        .split('&')
        .filter(|member| !member.is_empty())
        .map(|member| member.split_once('='))
}

fn plain(query: &str, ask: Ask) -> Result<What, Problem> {
    if query.is_empty() {
        return Ok(What::Control(ask));
    }
    Err(WRONG_QUERY)
}

fn set_level(query: &str) -> Result<What, Problem> {
    let (mut level, mut span) = (None, None);
    for member in members(query) {
        match member {
            Some(("level", word)) => level = LogLevel::from_word(word),
            Some(("for_ms", millis)) => {
                let millis = millis.parse().map_err(|_| WRONG_QUERY)?;
                span = Some(Duration::from_millis(millis));
            }
            _ => return Err(WRONG_QUERY),
        }
    }
    let level = level.ok_or(WRONG_QUERY)?;
    Ok(What::Control(Ask::SetLogLevel(level, span)))
}

fn suspend(id: &str, query: &str) -> Result<What, Problem> {
    let tenant = tenant(id)?;
    let mut cut = false;
    for member in members(query) {
        match member {
            Some(("cut", "true")) => cut = true,
            Some(("cut", "false")) => cut = false,
            _ => return Err(WRONG_QUERY),
        }
    }
    Ok(What::Control(Ask::Suspend { tenant, cut }))
}

fn resume(id: &str, query: &str) -> Result<What, Problem> {
    plain(query, Ask::Resume(tenant(id)?))
}

fn listing(id: Option<&str>, query: &str) -> Result<What, Problem> {
    let mut listing = Listing {
        only: id.map(tenant).transpose()?,
        ..Listing::default()
    };
    for member in members(query) {
        match member {
            Some(("after", id)) if listing.only.is_none() => listing.after = Some(tenant(id)?),
            Some(("limit", number)) if listing.only.is_none() => {
                listing.most = number.parse().map_err(|_| WRONG_QUERY)?;
            }
            _ => return Err(WRONG_QUERY),
        }
    }
    Ok(What::Tenants(listing))
}

fn budgets(id: Option<&str>, query: &str) -> Result<What, Problem> {
    let What::Tenants(listing) = listing(id, query)? else {
        return Err(WRONG_QUERY);
    };
    Ok(What::Budgets(listing))
}

/// `by=tenant,model`, and what records are meant.
fn costs(query: &str) -> Result<What, Problem> {
    let (mut which, mut by) = (Query::default(), vec![By::Tenant]);
    for member in members(query) {
        let (name, value) = decoded(member)?;
        if name == "by" {
            let words = value.split(',').map(By::from_word);
            by = words.collect::<Option<_>>().ok_or(WRONG_QUERY)?;
            continue;
        }
        records(&mut which, name, &value)?;
    }
    Ok(What::Archive(Look::Costs { query: which, by }))
}

/// `after=SEGMENT-BYTE`, `limit=N`, and what records are meant.
fn audit(query: &str) -> Result<What, Problem> {
    let (mut which, mut after, mut most) = (Query::default(), None, archive::USUAL);
    for member in members(query) {
        let (name, value) = decoded(member)?;
        match name {
            "limit" => {
                let number: usize = value.parse().map_err(|_| WRONG_QUERY)?;
                most = number.clamp(1, archive::MOST);
            }
            "after" => after = Some(mark(&value).ok_or(WRONG_QUERY)?),
            _ => records(&mut which, name, &value)?,
        }
    }
    Ok(What::Archive(Look::Audit {
        query: which,
        after,
        most,
    }))
}

/// It cannot be undone, so it is said twice: `sure=true`.
fn erase(id: &str, query: &str) -> Result<What, Problem> {
    let tenant = tenant(id)?;
    if query == "sure=true" {
        return Ok(What::Erase(tenant));
    }
    Err(WRONG_QUERY)
}

fn records(query: &mut Query, name: &str, value: &str) -> Result<(), Problem> {
    let time = || moment(value).map_err(|_| WRONG_QUERY);
    match name {
        "tenant" => query.tenant = Some(tenant(value)?),
        "since" => query.since = time()?,
        "until" => query.until = time()?,
        _ => return Err(WRONG_QUERY),
    }
    Ok(())
}

fn mark(text: &str) -> Option<Mark> {
    let (segment, offset) = text.split_once('-')?;
    Some(Mark {
        segment: segment.parse().ok()?,
        offset: offset.parse().ok()?,
    })
}

/// A member of a query, its value as it was before RFC 3986 §2.1.
fn decoded<'q>(member: Option<(&'q str, &'q str)>) -> Result<(&'q str, String), Problem> {
    let (name, value) = member.ok_or(WRONG_QUERY)?;
    let mut pieces = value.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2).ok_or(WRONG_QUERY)?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| WRONG_QUERY)?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    let value = String::from_utf8(bytes).map_err(|_| WRONG_QUERY)?;
    Ok((name, value))
}

/// `about=NUMBER`, `more=USD` or `less=USD`, and `why=WORDS`.
fn correct(id: &str, query: &str) -> Result<What, Problem> {
    const MOST_WORDS: usize = 200;
    let tenant = tenant(id)?;
    let (mut about, mut change, mut why) = (None, None, String::new());
    for member in members(query) {
        let (name, value) = decoded(member)?;
        match name {
            "about" => about = value.parse().ok(),
            "more" | "less" if change.is_none() => {
                let amount = NanoUsd::parse(&value).map_err(|_| WRONG_QUERY)?;
                change = Some((amount, name == "less"));
            }
            "why" if value.len() <= MOST_WORDS => why = value,
            _ => return Err(WRONG_QUERY),
        }
    }
    let (Some(about), Some((amount, gives))) = (about, change) else {
        return Err(WRONG_QUERY);
    };
    Ok(What::Control(Ask::Correct {
        tenant,
        about,
        amount,
        gives,
        why,
    }))
}

fn top_up(id: &str, budget: &str, query: &str) -> Result<What, Problem> {
    let (mut amount, mut of) = (None, String::new());
    for member in members(query) {
        match member {
            Some(("amount", text)) => amount = NanoUsd::parse(text).ok(),
            Some(("of", name)) => name.clone_into(&mut of),
            _ => return Err(WRONG_QUERY),
        }
    }
    Ok(What::Control(Ask::TopUp {
        tenant: tenant(id)?,
        budget: budget.to_owned(),
        of,
        amount: amount.ok_or(WRONG_QUERY)?,
    }))
}

fn freeze(id: &str, budget: &str, query: &str, frozen: bool) -> Result<What, Problem> {
    let (tenant, budget) = (tenant(id)?, budget.to_owned());
    plain(
        query,
        Ask::Freeze {
            tenant,
            budget,
            frozen,
        },
    )
}

/// What a call that changes money was about: all of it.
fn path_and_query<B>(request: &Request<B>) -> &str {
    let target = request.uri().path_and_query();
    target.map_or("", |target| target.as_str().trim_start_matches("/budgets/"))
}

fn tenant(id: &str) -> Result<TenantId, Problem> {
    id.parse().map_err(|_| NO_TENANT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &str, target: &str) -> Asked {
        let request = Request::builder().method(method).uri(target).body(());
        read(&request.unwrap())
    }

    #[test]
    fn nothing_that_changes_something_is_a_get_and_nothing_that_looks_a_post() {
        for target in [
            "/reload",
            "/drain",
            "/tenants/acme/suspend",
            "/tenants/acme/resume",
            "/budgets/acme/daily/topup?amount=5",
            "/budgets/acme/daily/freeze",
            "/budgets/acme/daily/unfreeze",
            "/audit/acme/erase?sure=true",
        ] {
            for method in ["GET", "HEAD", "DELETE", "OPTIONS"] {
                let what = asked(method, target).what;
                assert!(
                    matches!(
                        what,
                        What::Wrong(Problem(StatusCode::METHOD_NOT_ALLOWED, ..))
                    ),
                    "{method} {target}"
                );
            }
            for method in ["POST", "PUT"] {
                let asked = asked(method, target);
                assert!(
                    matches!(asked.what, What::Control(_) | What::Erase(_)),
                    "{method} {target}"
                );
                assert_eq!(asked.role, Role::Operate, "{target}");
            }
        }
        for target in [
            "/health",
            "/config",
            "/tenants",
            "/tenants/acme",
            "/budgets",
            "/budgets/acme",
            "/costs?by=tenant,day&since=2026-11-01&until=2026-11-24T09%3A00%3A00%2B01:00",
            "/audit?tenant=acme%3Aeu&limit=5&after=1-96",
            "/audit/verify",
        ] {
            let looked = asked("GET", target);
            assert!(!matches!(looked.what, What::Wrong(_)), "{target}");
            assert_eq!(looked.role, Role::Read, "{target}");
            assert!(
                matches!(asked("POST", target).what, What::Wrong(_)),
                "{target}"
            );
        }
        assert_eq!(asked("GET", "/loglevel?level=debug").role, Role::Read);
        assert!(matches!(
            asked("GET", "/loglevel?level=debug").what,
            What::Wrong(_)
        ));
    }

    #[test]
    fn targets_are_read_whole_or_not_at_all() {
        let Asked {
            what, about, verb, ..
        } = asked("POST", "/tenants/acme:eu-1/suspend?cut=true");
        let tenant = "acme:eu-1".parse().unwrap();
        let expected = Ask::Suspend { tenant, cut: true };
        assert!(matches!(what, What::Control(ask) if ask == expected));
        assert_eq!((about.as_str(), verb), ("acme:eu-1", AdminVerb::Suspend));
        let level = asked("PUT", "/loglevel?level=debug&for_ms=600000").what;
        let expected = Ask::SetLogLevel(LogLevel::Debug, Some(Duration::from_mins(10)));
        assert!(matches!(level, What::Control(ask) if ask == expected));
        for target in [
            "/",
            "/reload/",
            "/reload?now",
            "/loglevel",
            "/loglevel?level=loud",
            "/loglevel?level=info&for_ms=soon",
            "/tenants/acme/suspend?cut",
            "/tenants/acme/suspend/now",
            "/tenants/_nobody/suspend",
            "/tenants//suspend",
            "/budgets/acme/daily/topup",
            "/budgets/acme/daily/topup?amount=-5",
            "/budgets/acme/daily/topup?amount=5&to=7",
            "/audit/acme/erase",
            "/audit/acme/erase?sure=false",
            "/audit/_nobody/erase?sure=true",
            "/budgets/acme/daily/freeze?for=1h",
            "/budgets/acme/daily/freeze/now",
        ] {
            assert!(
                matches!(asked("POST", target).what, What::Wrong(_)),
                "{target}"
            );
        }
        for target in [
            "/tenants?limit=-1",
            "/tenants/acme?limit=1",
            "/tenants?after=",
            "/costs?by=weather",
            "/costs?limit=5",
            "/costs?since=yesterday",
            "/costs?tenant=%zz",
            "/costs?tenant=%ff",
            "/audit?after=1",
            "/audit?limit=all",
            "/audit/verify?tenant=acme",
        ] {
            assert!(
                matches!(asked("GET", target).what, What::Wrong(_)),
                "{target}"
            );
        }
    }
}
