//! What a sidecar's answers look like to people. Must never hide what a document says that a script would act on: that is
//! what `--json` is for.

use std::fmt::Write as _;

use serde_json::Value;

/// A document of `health`, in a line or a few.
pub(super) fn health(document: &Value) -> String {
    let state = if document["draining"] == true {
        "draining"
    } else {
        "serving"
    };
    let mut out = format!(
        "{state}: generation {}, {}, {} open, log level {}\n",
        document["generation"],
        count(&document["tenants"], "tenant"),
        count(&document["open"], "request"),
        word(&document["log_level"]),
    );
    if let Some(at) = document["rejected"]["at"].as_str() {
        let _ = writeln!(
            out,
            "the configuration of {at} was rejected; `outrigger ctl config` says why"
        );
    }
    let journal = &document["journal"];
    if let Some(condition) = journal["condition"].as_str().filter(|word| *word != "fine") {
        let _ = writeln!(out, "the journal is {condition}");
    }
    if let Some(since) = journal["state_lost"]["since"].as_str() {
        let why = journal["state_lost"]["why"]
            .as_array()
            .into_iter()
            .flatten();
        let why: Vec<&str> = why.filter_map(Value::as_str).collect();
        let _ = writeln!(
            out,
            "part of the journal is lost, found {since}: {}; `outrigger ctl acknowledge` goes on",
            why.join("; ")
        );
    }
    out + &restart(document)
}

/// A document of `config`: what runs, and each setting; and, apart, why the last change was not taken.
pub(super) fn config(document: &Value) -> (String, Option<String>) {
    let upstreams = document["upstreams"].as_array().into_iter().flatten();
    let upstreams: Vec<&str> = upstreams.filter_map(Value::as_str).collect();
    let mut out = String::new();
    for (name, value) in [
        ("version", word(&document["version"]).to_owned()),
        ("generation", document["generation"].to_string()),
        ("since", word(&document["published_at"]).to_owned()),
        ("hash", word(&document["hash"]).to_owned()),
        ("tenants", document["tenants"].to_string()),
        ("upstreams", upstreams.join(", ")),
        ("prices", format!("of {} models", document["priced_models"])),
        ("watch", word(&document["watch"]).to_owned()),
    ] {
        let _ = writeln!(out, "# {name:<12}{value}");
    }
    for line in restart(document).lines() {
        let _ = writeln!(out, "# {line}");
    }
    out.push_str(word(&document["settings"]));
    let rejected = &document["rejected"];
    let problems = rejected["problems"].as_str().map(|problems| {
        let at = word(&rejected["at"]);
        format!("the configuration of {at} was rejected, and this goes on:\n\n{problems}")
    });
    (out, problems)
}

fn restart(document: &Value) -> String {
    let keys = document["needs_restart"].as_array().into_iter().flatten();
    let keys: Vec<String> = keys
        .filter_map(Value::as_str)
        .map(|key| format!("`{key}`"))
        .collect();
    if keys.is_empty() {
        return String::new();
    }
    format!("a restart is needed for {}\n", keys.join(", "))
}

/// The heading of the list of tenants.
pub(super) const TENANTS: &str =
    "TENANT                   POLICY           STATE       OPEN  WAITING  LEFT";

/// One line of the list.
pub(super) fn tenant(line: &str) -> String {
    let document: Value = serde_json::from_str(line).unwrap_or_default();
    let state = if document["suspended"] == true {
        "suspended"
    } else {
        "active"
    };
    let mut left = String::new();
    for (name, limit) in document["limits"].as_object().into_iter().flatten() {
        let most = limit.get("most").or_else(|| limit.get("burst"));
        let most = most.map_or_else(String::new, Value::to_string);
        let gap = if left.is_empty() { "" } else { ", " };
        let _ = write!(left, "{gap}{name} {}/{most}", limit["left"]);
    }
    format!(
        "{:<24} {:<16} {state:<10} {:>5} {:>8}  {}",
        word(&document["tenant"]),
        word(&document["policy"]),
        document["open"].to_string(),
        document["waiting"].to_string(),
        if left.is_empty() { "unlimited" } else { &left },
    )
}

/// The heading of the list of budgets.
pub(super) const BUDGETS: &str = "TENANT                   BUDGET           OF                 SPENT USD      HELD USD     LIMIT USD  RESETS";

/// One line of the list.
pub(super) fn budget(document: &Value) -> String {
    let of = match (word(&document["scope"]), word(&document["of"])) {
        ("tenant", _) => "-",
        (_, "") => "(unnamed)",
        (_, of) => of,
    };
    let resets = if document["frozen"] == true {
        "frozen"
    } else if document["state_lost"] == true {
        "lost"
    } else {
        document["resets_at"].as_str().unwrap_or("never")
    };
    format!(
        "{:<24} {:<16} {of:<14} {:>13} {:>13} {:>13}  {resets}",
        word(&document["tenant"]),
        word(&document["budget"]),
        word(&document["spent_usd"]),
        word(&document["held_usd"]),
        word(&document["limit_usd"]),
    )
}

/// A document of `topup`.
pub(super) fn topped_up(document: &Value) -> String {
    format!(
        "added {} USD to `{}` of {}: {} USD in this window",
        word(&document["added_usd"]),
        word(&document["budget"]),
        word(&document["tenant"]),
        word(&document["limit_usd"]),
    )
}

/// A document of `correct`.
pub(super) fn corrected(document: &Value) -> String {
    let change = if document["gives_back"] == true {
        "less"
    } else {
        "more"
    };
    format!(
        "record {} of {}: {} USD {change}",
        document["about"],
        word(&document["tenant"]),
        word(&document["amount_usd"]),
    )
}

/// A document of `freeze` or `unfreeze`.
pub(super) fn frozen(document: &Value) -> String {
    let state = if document["frozen"] == true {
        "frozen: nothing more is spent of it"
    } else {
        "released"
    };
    let (budget, tenant) = (word(&document["budget"]), word(&document["tenant"]));
    format!("`{budget}` of {tenant} is {state}")
}

/// A document of `reload`.
pub(super) fn reload(document: &Value) -> String {
    let generation = &document["generation"];
    match word(&document["result"]) {
        "published" => format!(
            "published: generation {generation} runs\n{}",
            restart(document)
        ),
        "unchanged" => format!("unchanged: generation {generation} runs on\n"),
        _ => format!("rejected: generation {generation} runs on\n"),
    }
}

/// A document of `drain`.
pub(super) fn drain(document: &Value) -> String {
    let open = count(&document["open"], "request");
    format!("draining: {open} open\n")
}

/// A document of `loglevel`.
pub(super) fn level(document: &Value) -> String {
    let level = word(&document["level"]);
    match document["for_ms"].as_u64() {
        None => format!("{level}\n"),
        Some(left) => format!(
            "{level} for {} s, then {}\n",
            left.div_ceil(1000),
            word(&document["configured"])
        ),
    }
}

/// A document of `suspend`.
pub(super) fn suspended(document: &Value) -> String {
    let open = count(&document["open"], "request");
    let fate = if document["cut"] == true {
        "cut"
    } else {
        "left to finish"
    };
    format!(
        "{} is suspended until it is resumed or the sidecar ends; {open} under way, {fate}\n",
        word(&document["tenant"])
    )
}

/// A document of `acknowledge`.
pub(super) fn acknowledged(document: &Value) -> String {
    document["acknowledged"].as_str().map_or_else(
        || "nothing of the journal is lost".to_owned(),
        |since| format!("what was found lost at {since} is known; budgets and strict work go on"),
    )
}

/// A document of `resume`.
pub(super) fn resumed(document: &Value) -> String {
    let tenant = word(&document["tenant"]);
    if document["was_suspended"] == true {
        format!("{tenant} is served again\n")
    } else {
        format!("{tenant} was not suspended\n")
    }
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

fn count(value: &Value, noun: &str) -> String {
    match value.as_u64() {
        Some(1) => format!("1 {noun}"),
        Some(many) => format!("{many} {noun}s"),
        None => format!("? {noun}s"),
    }
}
