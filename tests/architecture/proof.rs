//! Shows that each rule can fail: small trees that break one thing, and the reader's odd corners.
//! Must never touch the real tree.

use crate::floors::{Floors, dependencies};
use crate::rules::{Tree, findings};
use crate::source::{Source, code_only, functions, inline_depth, paths, without_tests};

const DOCUMENT: &str = "\
The picture: ACCEPT IDENTIFY PEEK DECIDE ADMIT ROUTE FORWARD METER RECORD

| floor | room | what lives there | may use |
|---|---|---|---|
| 0 | `units/` | values | `zeroize` |
| 1 | `wire/` | bytes | `serde_json` |
| 1 | `host/` | Linux | `tokio`, `hyper-util` |
| 2 | `process.rs` | lines | |
| 6 | `trip/` | steps | `tokio` |
| 9 | `lib.rs`, `main.rs` | doors | |
";

const MANIFEST: &str = "\
[dependencies]
tokio = \"1\"
hyper-util = { version = \"0.1\" }
serde_json = \"1\"
zeroize = \"1\"

[dev-dependencies]
proptest = \"1\"
";

/// A sound house.
fn sound() -> Vec<(String, String)> {
    let steps = [
        "accept", "identify", "peek", "decide", "admit", "route", "forward", "meter", "record",
    ];
    [
        ("src/lib.rs", ""),
        ("src/main.rs", ""),
        ("src/units/secret.rs", "use zeroize::Zeroizing;"),
        ("src/wire/json.rs", "use serde_json::Value;"),
        (
            "src/host/net.rs",
            "use tokio::net::TcpStream;\nuse hyper_util::rt::TokioIo;",
        ),
        ("src/process.rs", ""),
        ("src/trip/mod.rs", "use tokio::time::Instant;"),
    ]
    .into_iter()
    .map(|(path, code)| (path.to_owned(), format!("//! Opens.\n{code}\n")))
    .chain(steps.map(|step| (format!("src/trip/{step}.rs"), "//! A step.\n".to_owned())))
    .collect()
}

/// A sound house, with one file put in or replaced.
fn with(path: &str, text: &str) -> Vec<String> {
    let mut files = sound();
    files.retain(|(known, _)| known != path);
    files.push((path.to_owned(), text.to_owned()));
    house(&files, DOCUMENT, MANIFEST)
}

fn house(files: &[(String, String)], document: &str, manifest: &str) -> Vec<String> {
    findings(&Tree {
        manifest: manifest.to_owned(),
        document: document.to_owned(),
        sources: files
            .iter()
            .map(|(path, text)| Source::new(path, text))
            .collect(),
        other_files: vec!["tests/it/main.rs".to_owned(), "Cargo.toml".to_owned()],
        other_functions: vec!["one_end".to_owned()],
    })
}

/// The code breaks exactly one rule, and the finding says so at the right line.
#[track_caller]
fn breaks(path: &str, code: &str, says: &str) {
    let found = with(path, &format!("//! Opens.\n{code}\n"));
    assert!(
        matches!(found.as_slice(), [one] if one.contains(says) && one.contains(path)),
        "`{code}` should break exactly: {says}\ngot: {found:#?}"
    );
}

#[track_caller]
fn holds(path: &str, code: &str) {
    let found = with(path, &format!("//! Opens.\n{code}\n"));
    assert!(found.is_empty(), "`{code}` should be fine, got: {found:#?}");
}

#[test]
fn a_sound_house_passes() {
    holds("src/units/mod.rs", "pub struct Tokens(pub u64);");
}

#[test]
fn imports_go_down_only() {
    holds(
        "src/trip/peek.rs",
        "use crate::{units::{Id, Code}, wire, process};",
    );
    holds(
        "src/trip/peek.rs",
        "use super::record::Record; use super::super::wire::Head;",
    );
    holds(
        "src/wire/head.rs",
        "//! [`crate::trip`] reads this.\nfn f() { let text = \"crate::trip::x\"; }",
    );
    holds("src/wire/tests.rs", "use crate::trip::Trip;");
    holds(
        "src/wire/mod.rs",
        "#[cfg(test)]\nmod tests { use crate::trip::Trip; }",
    );
    breaks(
        "src/wire/mod.rs",
        "use crate::trip::Trip;",
        "mod.rs:2: `wire` (floor 1) uses `trip` (floor 6)",
    );
    breaks(
        "src/wire/mod.rs",
        "use crate::host::net;",
        "uses `host` (floor 1)",
    );
    breaks(
        "src/wire/mod.rs",
        "use crate::{units::{Id, Code}, host::net};",
        "uses `host`",
    );
    breaks(
        "src/wire/head.rs",
        "fn f() {\n    crate::trip::run();\n}",
        "head.rs:3: `wire`",
    );
    breaks(
        "src/wire/head.rs",
        "use super::super::trip::Trip;",
        "uses `trip`",
    );
    breaks("src/wire/mod.rs", "use super::trip::Trip;", "uses `trip`");
    breaks(
        "src/wire/mod.rs",
        "mod inner { use super::super::trip::Trip; }",
        "uses `trip`",
    );
    breaks(
        "src/wire/mod.rs",
        "macro_rules! m { () => { $crate::trip::run() } }",
        "uses `trip`",
    );
    breaks("src/wire/mod.rs", "use crate::nowhere::X;", "names no room");
    breaks("src/wire/mod.rs", "use crate::*;", "names no room");
}

#[test]
fn crates_are_used_where_they_are_granted() {
    holds("src/host/mod.rs", "use hyper_util::rt::TokioIo;");
    holds("src/units/tests.rs", "use tokio::time;");
    breaks(
        "src/units/mod.rs",
        "use tokio::time;",
        "`units` may not use the crate `tokio`",
    );
    breaks(
        "src/units/mod.rs",
        "fn f(v: serde_json::Value) {}",
        "`serde_json`",
    );
    breaks(
        "src/units/mod.rs",
        "#[derive(serde_json::X)]\nstruct S;",
        "`serde_json`",
    );
    breaks("src/wire/mod.rs", "use {std::fmt, tokio::time};", "`tokio`");
    breaks(
        "src/wire/mod.rs",
        "fn f() -> ::tokio::time::Instant {}",
        "`tokio`",
    );
}

#[test]
fn the_table_matches_the_tree() {
    breaks(
        "src/cellar/mod.rs",
        "",
        "room `cellar` is not in the floors table",
    );
    let found = house(&sound()[..2], DOCUMENT, MANIFEST).join("\n");
    assert!(
        found.contains("room `wire` is in the floors table and not in src/"),
        "{found}"
    );
    assert!(
        found.contains("src/trip/peek.rs: the step `peek` of the trip has no file"),
        "{found}"
    );
    let found = house(&sound(), DOCUMENT, &MANIFEST.replace("zeroize", "left-pad"));
    let says = [
        "src/ARCHITECTURE.md: `units` may use `zeroize`, which is no dependency",
        "Cargo.toml: dependency `left_pad` is granted to no room",
    ];
    assert_eq!(found, says);
    let generous = DOCUMENT.replace("`zeroize`", "`zeroize`, `tokio`");
    let found = house(&sound(), &generous, MANIFEST);
    assert_eq!(
        found,
        ["src/ARCHITECTURE.md: `units` may use `tokio` and does not: take it away"]
    );
    let found = house(&sound(), "", MANIFEST).join("\n");
    assert!(found.contains("no floors table found"), "{found}");
    assert!(found.contains("the picture lacks `FORWARD`"), "{found}");
}

#[test]
fn the_document_names_what_exists() {
    let document =
        format!("{DOCUMENT}\n`tests/it/`, `one_end()`, `trip/peek.rs`, `/v1/`, `wire/<name>.rs`\n");
    let found = house(&[], &document, MANIFEST).join("\n");
    assert!(
        !found.contains("one_end") && !found.contains("tests/it") && !found.contains("<name>"),
        "{found}"
    );
    assert!(
        found.contains("names `trip/peek.rs`, which does not exist"),
        "{found}"
    );
    let found = house(&[], &document.replace("one_end", "no_such_test"), MANIFEST).join("\n");
    assert!(
        found.contains("names `no_such_test()`, which no source or test defines"),
        "{found}"
    );
}

#[test]
fn sockets_and_spawns_are_in_host() {
    holds(
        "src/host/mod.rs",
        "fn f() { tokio::spawn(x); let s = tokio::net::TcpStream::connect(a); }",
    );
    breaks(
        "src/trip/forward.rs",
        "fn f() { tokio::spawn(async {}); }",
        "forward.rs:2: `tokio::spawn`",
    );
    breaks(
        "src/trip/forward.rs",
        "use tokio::{net::TcpStream, time};",
        "`tokio::net::TcpStream`",
    );
    breaks(
        "src/trip/forward.rs",
        "fn f() { std::thread::spawn(|| {}); }",
        "`std::thread::spawn`",
    );
    breaks(
        "src/process.rs",
        "use std::thread;\nfn f() { thread::spawn(|| {}); }",
        "process.rs:3: `std::thread::spawn`",
    );
    breaks(
        "src/process.rs",
        "fn f() { std::net::TcpStream::connect(a); }",
        "the only sockets",
    );
    holds(
        "src/process.rs",
        "use std::net::SocketAddr;\nuse std::thread;\nfn f() { thread::current(); }",
    );
}

#[test]
fn pure_rooms_are_pure() {
    holds("src/process.rs", "fn f() { std::fs::read(p); }");
    breaks("src/wire/mod.rs", "fn f() { std::fs::read(p); }", "no IO");
    breaks(
        "src/units/mod.rs",
        "use std::time::{Duration, Instant};",
        "no IO",
    );
    breaks(
        "src/units/mod.rs",
        "fn f(x: f64) {}",
        "`f64`: only integers here",
    );
    holds("src/process.rs", "fn f(x: f64) {}");
}

#[test]
fn wrong_forms_are_found() {
    breaks(
        "src/trip/peek.rs",
        "struct X { t: Option<\n    Arc< Tenant > > }",
        "peek.rs:2: `Option<Arc<Tenant>>`",
    );
    breaks(
        "src/trip/peek.rs",
        "fn f() -> Option<Tenant> {}",
        "never optional",
    );
    breaks(
        "src/trip/peek.rs",
        "fn f() { request\n.extensions_mut()\n.insert(x); }",
        "peek.rs:3: `.extensions_mut()`",
    );
    breaks(
        "src/trip/peek.rs",
        "fn f() { unbounded_channel(); }",
        "unbounded queue",
    );
    breaks(
        "src/trip/peek.rs",
        "use std::sync::mpsc;\nfn f() { mpsc::channel(); }",
        "unbounded queue",
    );
    holds(
        "src/trip/peek.rs",
        "use tokio::sync::mpsc;\nfn f() { mpsc::channel(8); }",
    );
}

#[test]
fn sizes_are_held() {
    let long = |lines: usize| {
        format!(
            "fn f<A, B>(a: A, b: [B; 4]) -> bool {{\n{}}}",
            "    x();\n".repeat(lines - 2)
        )
    };
    holds("src/trip/peek.rs", &long(80));
    breaks("src/trip/peek.rs", &long(81), "peek.rs:2: `f` has 81 lines");
    holds("src/trip/tests.rs", &long(81));
    holds("src/trip/peek.rs", &"const X: u8 = 1;\n".repeat(598));
    breaks(
        "src/trip/peek.rs",
        &"const X: u8 = 1;\n".repeat(600),
        "at most 600",
    );
}

#[test]
fn unsafe_is_in_host_and_explained() {
    holds(
        "src/host/mod.rs",
        "// SAFETY: the pointer is ours.\nunsafe { f() }",
    );
    holds(
        "src/wire/mod.rs",
        "//! no unsafe here\nfn f() { \"unsafe\"; }",
    );
    breaks("src/host/mod.rs", "unsafe { f() }", "without `// SAFETY:`");
    breaks(
        "src/wire/mod.rs",
        "// SAFETY: why.\nunsafe { f() }",
        "outside `host`",
    );
}

#[test]
fn names_and_marks_are_found() {
    breaks("src/trip/utils.rs", "", "a module called `utils`");
    breaks(
        "src/trip/peek.rs",
        "mod helpers;",
        "a module called `helpers`",
    );
    breaks(
        "src/trip/peek.rs",
        "// TODO: later",
        "peek.rs:2: unfinished mark `TODO`",
    );
    breaks(
        "src/trip/peek.rs",
        "fn f() { todo!() }",
        "unfinished mark `todo!`",
    );
    let found = with("src/trip/peek.rs", "use std::fmt;\n");
    assert!(
        matches!(found.as_slice(), [one] if one.contains("opens without `//!`")),
        "{found:#?}"
    );
}

#[test]
fn texts_and_comments_are_blanked() {
    for (code, kept) in [
        ("a // b\nc", "a \nc"),
        ("a /* b /* c */ d */ e", "a  e"),
        ("f(\"x \\\" y\") g", "f() g"),
        ("f(r#\"x \" y\"#) g", "f() g"),
        ("f(br\"x\") g", "f(b) g"),
        ("let c = '\"'; g", "let c = ; g"),
        ("let c = '\\''; g", "let c = ; g"),
        ("let c = '…'; g", "let c = ; g"),
        ("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}"),
        ("r#type for bar", "r#type for bar"),
    ] {
        let read = code_only(code);
        assert_eq!(read.len(), code.len(), "places moved in {code}");
        let squeeze = |text: &str| {
            text.split([' '])
                .filter(|s| !s.is_empty())
                .collect::<String>()
        };
        assert_eq!(squeeze(&read), squeeze(kept), "{code}");
    }
}

#[test]
fn test_only_items_are_blanked() {
    for (code, gone, stays) in [
        (
            "#[cfg(test)]\nmod tests { fn a() {} }\nfn b() {}",
            "fn a",
            "fn b",
        ),
        (
            "#[cfg(test)]\n#[path = \"x\"]\nmod a;\nfn b() {}",
            "mod a",
            "fn b",
        ),
        (
            "#[cfg(all(test, loom))]\nfn a<A, B>(x: A) {}\nfn b() {}",
            "fn a",
            "fn b",
        ),
        ("struct S { #[cfg(test)] a: u8, b: u8 }", "a:", "b:"),
    ] {
        let read = without_tests(&code_only(code));
        assert!(!read.contains(gone) && read.contains(stays), "{read}");
    }
}

#[test]
fn paths_are_spelled_out() {
    let spelled = |code: &str| -> Vec<String> {
        paths(code)
            .iter()
            .map(|path| path.segments.join("::"))
            .collect()
    };
    assert_eq!(
        spelled("use a::{self, b::{C as D, *}, e};"),
        ["a", "a::b::C", "a::b::*", "a::e"]
    );
    assert_eq!(spelled("pub(crate) use a\n    ::b;"), ["a::b"]);
    assert_eq!(spelled("let x = a::b::<C>::d(e::F);"), ["a::b", "e::F"]);
    assert_eq!(
        spelled("fn f() -> impl A + use<'a> { x }"),
        Vec::<String>::new()
    );
    assert_eq!(inline_depth("mod a { mod b { x } }", 16), 2);
    assert_eq!(inline_depth("mod a { mod b {   } x }", 20), 1);
}

#[test]
fn functions_are_measured() {
    let code = "trait T { fn a(&self); }\nfn b()\nwhere\n    X: Fn(u8),\n{\n}\ntype F = fn(u8);";
    let found: Vec<_> = functions(code)
        .into_iter()
        .map(|f| (f.name, f.lines))
        .collect();
    assert_eq!(found, [("b".to_owned(), 5)]);
}

#[test]
fn tables_and_manifests_are_read() {
    let floors = Floors::parse(DOCUMENT);
    assert_eq!(floors.rooms().count(), 7);
    assert_eq!(floors.room("process").map(|room| room.floor), Some(2));
    let names = dependencies(
        "[dependencies]\na-b = \"1\"\n[target.'cfg(unix)'.dependencies]\nc = \"1\"\n[dependencies.d]\nversion = \"1\"\n[dev-dependencies]\ne = \"1\"\n",
    );
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["a_b", "c", "d"]);
}
