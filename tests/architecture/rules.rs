//! The rules of the house, each a function from the tree to findings.
//! Must never stop at the first finding: whoever breaks ten rules reads ten lines.

use std::collections::BTreeSet;

use crate::floors::{Floors, dependencies, quoted};
use crate::source::{Path, Source, functions, inline_depth, paths, words};

/// Hard limits; the soft ones (400 lines, 50 lines) are for the reader's eye.
const FILE_LINES: usize = 600;
const FUNCTION_LINES: usize = 80;

/// Everything the rules look at.
pub(crate) struct Tree {
    pub(crate) manifest: String,
    pub(crate) document: String,
    /// The files of `src/`.
    pub(crate) sources: Vec<Source>,
    /// Every other file of the package that the document may name, and the functions of the tests.
    pub(crate) other_files: Vec<String>,
    pub(crate) other_functions: Vec<String>,
}

/// All findings, in the order of the rules.
pub(crate) fn findings(tree: &Tree) -> Vec<String> {
    let floors = Floors::parse(&tree.document);
    let mut found = Vec::new();
    table_matches_tree(tree, &floors, &mut found);
    document_names_what_exists(tree, &mut found);
    trip_has_nine_steps(tree, &mut found);
    for source in &tree.sources {
        opens_with_purpose(source, &mut found);
        names_what_it_is(source, &mut found);
        has_no_unfinished_marks(source, &mut found);
        if source.is_test() {
            continue;
        }
        let paths = paths(&source.live);
        stands_on_lower_floors(source, &paths, &floors, &mut found);
        uses_granted_crates(
            source,
            &paths,
            &floors,
            &dependencies(&tree.manifest),
            &mut found,
        );
        keeps_bans(source, &paths, &mut found);
        keeps_forms(source, &mut found);
        is_small(source, &mut found);
        explains_unsafe(source, &mut found);
    }
    // A group of a `use` breaks a rule once per name.
    found.dedup();
    found
}

/// Every room has a row, every row a room, every dependency a room that may use it, every grant a dependency.
fn table_matches_tree(tree: &Tree, floors: &Floors, found: &mut Vec<String>) {
    if floors.rooms().next().is_none() {
        found.push("src/ARCHITECTURE.md: no floors table found".to_owned());
    }
    for source in &tree.sources {
        if floors.room(source.room()).is_none() {
            found.push(format!(
                "{}: room `{}` is not in the floors table",
                source.path,
                source.room()
            ));
        }
    }
    let dependencies = dependencies(&tree.manifest);
    for (name, room) in floors.rooms() {
        if !tree.sources.iter().any(|source| source.room() == name) {
            found.push(format!(
                "src/ARCHITECTURE.md: room `{name}` is in the floors table and not in src/"
            ));
            continue;
        }
        let used = first_words(tree, name);
        for grant in &room.grants {
            let crate_name = grant.replace('-', "_");
            if !dependencies.contains(&crate_name) {
                found.push(format!(
                    "src/ARCHITECTURE.md: `{name}` may use `{grant}`, which is no dependency"
                ));
            } else if !used.contains(&crate_name) {
                found.push(format!(
                    "src/ARCHITECTURE.md: `{name}` may use `{grant}` and does not: take it away"
                ));
            }
        }
    }
    for crate_name in &dependencies {
        if !floors
            .rooms()
            .any(|(_, room)| grants(&room.grants, crate_name))
        {
            found.push(format!(
                "Cargo.toml: dependency `{crate_name}` is granted to no room"
            ));
        }
    }
}

/// The first words of all paths of a room: the external crates among them are those it uses.
fn first_words(tree: &Tree, room: &str) -> BTreeSet<String> {
    let sources = tree
        .sources
        .iter()
        .filter(|source| source.room() == room && !source.is_test());
    sources
        .flat_map(|source| paths(&source.live))
        .filter_map(|path| path.segments.into_iter().next())
        .collect()
}

/// A path in backquotes exists (from the root or from src/), and so does a test named as `name()`. `<…>` marks an example.
fn document_names_what_exists(tree: &Tree, found: &mut Vec<String>) {
    let prose = without_fences(&tree.document);
    for word in quoted(&prose).filter(|word| !word.contains('<')) {
        if let Some(name) = word.strip_suffix("()") {
            let short = name.rsplit("::").next().unwrap_or(name);
            let in_src = tree
                .sources
                .iter()
                .any(|source| defines(&source.text, short));
            if !in_src
                && !tree
                    .other_functions
                    .iter()
                    .any(|function| function == short)
            {
                found.push(format!(
                    "src/ARCHITECTURE.md: names `{word}`, which no source or test defines"
                ));
            }
        } else if names_a_file(word) {
            let exists = tree
                .other_files
                .iter()
                .map(String::as_str)
                .chain(tree.sources.iter().map(|s| s.path.as_str()));
            let word = word.trim_end_matches('/');
            let in_src = format!("src/{word}");
            let below = |path: &str, top: &str| {
                path.strip_prefix(top)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            if !exists
                .into_iter()
                .any(|path| below(path, word) || below(path, &in_src))
            {
                found.push(format!(
                    "src/ARCHITECTURE.md: names `{word}`, which does not exist"
                ));
            }
        }
    }
}

fn without_fences(document: &str) -> String {
    document.split("```").step_by(2).collect()
}

fn defines(text: &str, function: &str) -> bool {
    words(text, function).any(|at| text[..at].trim_end().ends_with("fn"))
}

/// `trip/admit.rs`, `tests/it/`, `.clippy.toml`; not `/v1`, not `a|b`, not `* /`.
fn names_a_file(word: &str) -> bool {
    let plain = word
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c));
    let ends = [".rs", ".md", ".toml", ".json", "/"]
        .iter()
        .any(|end| word.ends_with(end));
    plain && ends && !word.starts_with('/')
}

/// The nine words of the picture are the nine files of the trip.
fn trip_has_nine_steps(tree: &Tree, found: &mut Vec<String>) {
    const STEPS: [&str; 9] = [
        "accept", "identify", "peek", "decide", "admit", "route", "forward", "meter", "record",
    ];
    for step in STEPS {
        let file = format!("src/trip/{step}.rs");
        let folder = format!("src/trip/{step}/");
        if !tree
            .sources
            .iter()
            .any(|source| source.path == file || source.path.starts_with(&folder))
        {
            found.push(format!("{file}: the step `{step}` of the trip has no file"));
        }
        if !words(&tree.document, &step.to_uppercase()).any(|_| true) {
            found.push(format!(
                "src/ARCHITECTURE.md: the picture lacks `{}`",
                step.to_uppercase()
            ));
        }
    }
}

fn opens_with_purpose(source: &Source, found: &mut Vec<String>) {
    let first = source
        .text
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("");
    // The crate's own page is this document, included.
    if !first.starts_with("//!") && !first.starts_with("#![doc = include_str!(") {
        found.push(format!(
            "{}:1: opens without `//!` (what it owns, what it must never do)",
            source.path
        ));
    }
}

/// A name that says nothing collects everything.
fn names_what_it_is(source: &Source, found: &mut Vec<String>) {
    const EMPTY_NAMES: [&str; 8] = [
        "common", "helper", "helpers", "manager", "misc", "types", "util", "utils",
    ];
    let steps = source.path.trim_end_matches(".rs").split('/');
    let inline =
        words(&source.live, "mod").filter_map(|at| source.live[at + 3..].split_whitespace().next());
    for name in steps.chain(inline) {
        let name = name.trim_end_matches([';', '{']);
        if EMPTY_NAMES.contains(&name) {
            found.push(format!(
                "{}: a module called `{name}`: name what lives there",
                source.path
            ));
        }
    }
}

fn has_no_unfinished_marks(source: &Source, found: &mut Vec<String>) {
    for mark in ["TODO", "FIXME", "XXX", "todo!", "unimplemented!"] {
        for at in words(&source.text, mark) {
            found.push(format!("{}: unfinished mark `{mark}`", place(source, at)));
        }
    }
}

/// Imports go down, never sideways.
fn stands_on_lower_floors(
    source: &Source,
    paths: &[Path],
    floors: &Floors,
    found: &mut Vec<String>,
) {
    let here = source.room();
    let Some(own) = floors.room(here) else { return };
    for path in paths {
        let Some(target) = target_room(source, path) else {
            continue;
        };
        if target == here {
            continue;
        }
        match floors.room(target) {
            None => found.push(format!(
                "{}: `{}` names no room of the floors table",
                place(source, path.at),
                path.segments.join("::")
            )),
            Some(other) if other.floor >= own.floor => found.push(format!(
                "{}: `{here}` (floor {}) uses `{target}` (floor {}): a room uses lower floors only",
                place(source, path.at),
                own.floor,
                other.floor
            )),
            Some(_) => {}
        }
    }
}

/// The room a path of our own crate leads into, if it leads out of the file's own modules.
fn target_room<'a>(source: &Source, path: &'a Path) -> Option<&'a str> {
    let segments: Vec<&str> = path.segments.iter().map(String::as_str).collect();
    match segments.as_slice() {
        ["crate", room, ..] => Some(room),
        ["outrigger", room, ..] if source.path == "src/main.rs" => Some(room),
        _ => {
            let inner = segments.iter().skip_while(|word| **word == "self");
            let ups = inner.clone().take_while(|word| **word == "super").count();
            let depth = source.depth() + inline_depth(&source.live, path.at);
            if ups > 0 && ups >= depth {
                inner.copied().nth(ups)
            } else {
                None
            }
        }
    }
}

fn uses_granted_crates(
    source: &Source,
    paths: &[Path],
    floors: &Floors,
    dependencies: &BTreeSet<String>,
    found: &mut Vec<String>,
) {
    let Some(own) = floors.room(source.room()) else {
        return;
    };
    for path in paths {
        let name = &path.segments[0];
        if dependencies.contains(name) && !grants(&own.grants, name) {
            found.push(format!(
                "{}: `{}` may not use the crate `{name}` (floors table)",
                place(source, path.at),
                source.room()
            ));
        }
    }
}

fn grants(grants: &BTreeSet<String>, crate_name: &str) -> bool {
    grants
        .iter()
        .any(|grant| grant.replace('-', "_") == crate_name)
}

/// A path that only some rooms may write. It matches a path that starts with it, or an imported module's tail.
struct Ban {
    path: &'static str,
    /// Rooms where it is right; empty: nowhere.
    rooms: &'static [&'static str],
    /// Rooms the ban is for; empty: all.
    only: &'static [&'static str],
    why: &'static str,
}

const SOCKETS: &str = "the only sockets are in `host`";
const SPAWNS: &str = "the only spawn is in `host`, where tasks have names";
const PURE: &str = "this room does no IO and reads no clock";
const PURE_ROOMS: &[&str] = &["units", "wire", "limits", "prices"];

const BANS: &[Ban] = &[
    everywhere("tokio::net", &["host"], SOCKETS),
    everywhere("std::net::TcpListener", &["host"], SOCKETS),
    everywhere("std::net::TcpStream", &["host"], SOCKETS),
    everywhere("std::net::UdpSocket", &["host"], SOCKETS),
    everywhere("std::os::unix::net", &["host"], SOCKETS),
    everywhere("tokio::spawn", &["host"], SPAWNS),
    everywhere("tokio::task::spawn", &["host"], SPAWNS),
    everywhere("tokio::task::spawn_blocking", &["host"], SPAWNS),
    everywhere("tokio::task::spawn_local", &["host"], SPAWNS),
    everywhere("tokio::task::JoinSet", &["host"], SPAWNS),
    everywhere("std::thread::spawn", &["host"], SPAWNS),
    everywhere("std::thread::scope", &["host"], SPAWNS),
    everywhere("std::thread::Builder", &["host"], SPAWNS),
    everywhere("std::sync::mpsc::channel", &[], "an unbounded queue"),
    everywhere(
        "tokio::sync::mpsc::unbounded_channel",
        &[],
        "an unbounded queue",
    ),
    everywhere("http::Extensions", &[], "a parameter list without types"),
    everywhere(
        "hyper::http::Extensions",
        &[],
        "a parameter list without types",
    ),
    pure("std::env"),
    pure("std::fs"),
    pure("std::process"),
    pure("std::thread"),
    pure("std::time::Instant"),
    pure("std::time::SystemTime"),
    pure("std::io::stdin"),
    pure("std::io::stdout"),
    pure("std::io::stderr"),
];

const fn everywhere(path: &'static str, rooms: &'static [&'static str], why: &'static str) -> Ban {
    Ban {
        path,
        rooms,
        only: &[],
        why,
    }
}

const fn pure(path: &'static str) -> Ban {
    Ban {
        path,
        rooms: &[],
        only: PURE_ROOMS,
        why: PURE,
    }
}

fn keeps_bans(source: &Source, paths: &[Path], found: &mut Vec<String>) {
    let room = source.room();
    let spelled: Vec<(String, usize)> = paths
        .iter()
        .map(|path| (spelled_out(path, paths), path.at))
        .collect();
    for ban in BANS {
        let concerns = ban.only.is_empty() || ban.only.contains(&room);
        if !concerns || ban.rooms.contains(&room) {
            continue;
        }
        for (path, at) in &spelled {
            if path
                .strip_prefix(ban.path)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
            {
                found.push(format!("{}: `{path}`: {}", place(source, *at), ban.why));
            }
        }
    }
}

/// `thread::spawn` after `use std::thread` is `std::thread::spawn`.
fn spelled_out(path: &Path, paths: &[Path]) -> String {
    let head = &path.segments[0];
    let import = paths.iter().find(|other| {
        matches!(other.segments[0].as_str(), "std" | "tokio" | "hyper")
            && other.segments.last() == Some(head)
    });
    match import {
        Some(import) if import.segments[0] != *head => [&import.segments[..], &path.segments[1..]]
            .concat()
            .join("::"),
        _ => path.segments.join("::"),
    }
}

/// Forms that are wrong whatever they are for.
fn keeps_forms(source: &Source, found: &mut Vec<String>) {
    let (packed, places) = packed(&source.live);
    for (form, why) in [
        (
            "Option<Tenant>",
            "a tenant is never optional; nobody is `_nobody`",
        ),
        (
            "Option<Arc<Tenant>>",
            "a tenant is never optional; nobody is `_nobody`",
        ),
        (".extensions()", "a parameter list without types"),
        (".extensions_mut()", "a parameter list without types"),
        ("unbounded_channel", "an unbounded queue"),
    ] {
        for (at, _) in packed.match_indices(form) {
            found.push(format!("{}: `{form}`: {why}", place(source, places[at])));
        }
    }
    if PURE_ROOMS.contains(&source.room()) {
        for word in ["f32", "f64"] {
            for at in words(&source.live, word) {
                found.push(format!(
                    "{}: `{word}`: only integers here",
                    place(source, at)
                ));
            }
        }
    }
}

/// The code without spaces, and where each byte of it stood.
fn packed(code: &str) -> (String, Vec<usize>) {
    let kept = || code.char_indices().filter(|(_, c)| !c.is_whitespace());
    let places = kept().flat_map(|(at, c)| std::iter::repeat_n(at, c.len_utf8()));
    (kept().map(|(_, c)| c).collect(), places.collect())
}

fn is_small(source: &Source, found: &mut Vec<String>) {
    let lines = source.text.lines().count();
    if lines > FILE_LINES {
        found.push(format!(
            "{}: {lines} lines, at most {FILE_LINES}: is it two rooms?",
            source.path
        ));
    }
    for function in functions(&source.live)
        .iter()
        .filter(|function| function.lines > FUNCTION_LINES)
    {
        found.push(format!(
            "{}: `{}` has {} lines, at most {FUNCTION_LINES}",
            place(source, function.at),
            function.name,
            function.lines
        ));
    }
}

/// `unsafe` lives where the kernel is spoken to, and says each time why it is sound.
fn explains_unsafe(source: &Source, found: &mut Vec<String>) {
    for at in words(&source.live, "unsafe") {
        if !matches!(source.room(), "host" | "sandbox") {
            found.push(format!(
                "{}: `unsafe` outside `host` and `sandbox`",
                place(source, at)
            ));
        }
        let line = source.line(at);
        let above = source
            .text
            .lines()
            .skip(line.saturating_sub(4))
            .take(4.min(line));
        if !above.into_iter().any(|text| text.contains("// SAFETY:")) {
            found.push(format!(
                "{}: `unsafe` without `// SAFETY:` in the three lines above",
                place(source, at)
            ));
        }
    }
}

fn place(source: &Source, at: usize) -> String {
    format!("{}:{}", source.path, source.line(at))
}
