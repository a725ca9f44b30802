//! What the configuration promises: every problem with its exact text, nothing ignored, no secret shown, no drift.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::keys::{self, Fallback, Kind};
use super::render::Paint;
use super::values::{AdminAddress, AnyOr, LogFormat, OrOff, Per, ProxyAddress, Rate};
use super::*;
use crate::units::TenantId;

/// A made-up outside.
#[derive(Default)]
struct Fake {
    variables: BTreeMap<&'static str, &'static str>,
    files: BTreeMap<PathBuf, Vec<u8>>,
}

impl Fake {
    fn file(mut self, path: &str, text: impl AsRef<[u8]>) -> Self {
        self.files
            .insert(PathBuf::from(path), text.as_ref().to_vec());
        self
    }

    fn variable(mut self, name: &'static str, value: &'static str) -> Self {
        self.variables.insert(name, value);
        self
    }
}

impl Environment for Fake {
    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).map(ToString::to_string)
    }

    fn read(&self, path: &Path, cap: u64) -> Result<Vec<u8>, ReadError> {
        let bytes = self.files.get(path).ok_or(ReadError::Missing)?;
        if bytes.len() as u64 > cap {
            Err(ReadError::TooLarge(cap))
        } else {
            Ok(bytes.clone())
        }
    }

    fn list(&self, directory: &Path) -> Result<Vec<PathBuf>, ReadError> {
        let mut paths: Vec<_> = self
            .files
            .keys()
            .filter(|path| path.parent() == Some(directory))
            .cloned()
            .collect();
        paths.reverse();
        if paths.is_empty() {
            Err(ReadError::Missing)
        } else {
            Ok(paths)
        }
    }
}

/// The outside that the cases of `problems.txt` are written for.
fn outside() -> Fake {
    Fake::default()
        .variable("SET", "filled-in-secret")
        .variable("EMPTY", "")
        .file("/run/secrets/key", "file-secret\n")
        .file(
            "/etc/outrigger/internal-ca.pem",
            "-----BEGIN CERTIFICATE-----\n",
        )
        .file("/run/secrets/outrigger-admin", "a-token-of-the-reference\n")
}

fn read(text: &str) -> Loaded {
    load_text("outrigger.toml", text, &outside())
}

#[track_caller]
fn good(text: &str) -> Raw {
    let loaded = read(text);
    assert_eq!(render::lines(&loaded.problems, &loaded.sources), "");
    loaded.raw
}

fn codes(loaded: &Loaded) -> Vec<OutCode> {
    loaded.problems.iter().map(|problem| problem.code).collect()
}

/// Compares with a kept file, or writes it when `UPDATE` is set.
#[track_caller]
fn kept(path: &str, now: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, now).unwrap();
    }
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        before == now,
        "{} has drifted; run the tests with UPDATE=1 and read the difference",
        path.display()
    );
}

/// Every case of `problems.txt`: a title, the file, and what is printed about it.
fn cases() -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/tests/problems.txt");
    let text = std::fs::read_to_string(path).unwrap();
    text.split("=== ")
        .skip(1)
        .map(|case| {
            let (title, rest) = case.split_once('\n').unwrap();
            let (input, _) = rest.split_once("---\n").unwrap();
            (title.to_owned(), input.to_owned())
        })
        .collect()
}

#[test]
fn every_problem_has_its_exact_text() {
    let mut now = String::new();
    for (title, input) in cases() {
        let loaded = read(&input);
        let human = render::human(&loaded.problems, &loaded.sources, Paint::Plain);
        let _ = write!(
            now,
            "=== {title}\n{input}---\n{}",
            if human.is_empty() {
                "no problem\n\n"
            } else {
                &human
            }
        );
    }
    kept("src/config/tests/problems.txt", &now);
}

#[test]
fn every_code_has_a_case_or_belongs_to_the_snapshot() {
    let elsewhere = [
        OutCode::ConfigUnreadable,
        OutCode::ConfigTooLarge,
        OutCode::DuplicateName,
        OutCode::More,
        // Only the compiler of the snapshot can see these.
        OutCode::UnknownReference,
        OutCode::DuplicateKeyHash,
        OutCode::DuplicateUid,
        OutCode::IdentityImpossible,
        OutCode::ListenerExposed,
        OutCode::Ineffective,
        // Only a machine, or a reload.
        OutCode::Pinned,
        OutCode::Emptied,
    ];
    let mut seen: BTreeSet<OutCode> = cases()
        .iter()
        .flat_map(|(_, input)| codes(&read(input)))
        .collect();
    seen.extend(elsewhere);
    let missing: Vec<_> = OutCode::ALL
        .iter()
        .filter(|code| !seen.contains(code))
        .collect();
    assert_eq!(missing, Vec::<&OutCode>::new());
}

#[test]
fn codes_are_numbered_without_gaps_and_explained() {
    for (index, code) in OutCode::ALL.iter().enumerate() {
        assert_eq!(usize::from(code.number()), index + 1);
        assert_eq!(OutCode::from_text(&code.to_string()), Some(*code));
        assert!(
            explain_code(*code).starts_with(&format!("{code}: ")),
            "{code}"
        );
        assert!(
            code.explanation().len() > 40 && code.explanation().ends_with('.'),
            "{code}"
        );
    }
    assert_eq!(OutCode::from_text("OUT-9999"), None);
    assert_eq!(OutCode::from_text("7"), None);
}

#[test]
fn one_line_form_names_place_code_and_hint() {
    let loaded = read("[listen]\n  head_timout = \"30s\"\n");
    assert_eq!(
        render::lines(&loaded.problems, &loaded.sources),
        "outrigger.toml:2:3: error[OUT-0002]: unknown key `head_timout` in `[listen]` (did you mean `head_timeout`?)\n"
    );
    assert!(!loaded.usable());
}

#[test]
fn all_problems_come_at_once_and_in_order() {
    let loaded = read(
        "[listen]\nhead_timeout = 5\nproxy = \"x\"\n[tenants.acme]\nslo = 1\nlimits.requests = \"1/d\"\n[nope]\n[log]\nformat = \"xml\"\n",
    );
    let lines: Vec<_> = loaded
        .problems
        .iter()
        .map(|problem| loaded.sources.locate(problem.site.unwrap()).line)
        .collect();
    assert_eq!(lines, [2, 3, 5, 6, 7, 9]);
}

#[test]
fn a_broken_line_hides_no_other_problem() {
    let loaded = read("[listen]\nproxy = \nhead_timeout = 5\n\n[log]\nformat = \"xml\"\n");
    assert_eq!(
        codes(&loaded),
        [OutCode::Syntax, OutCode::UnitMissing, OutCode::InvalidValue]
    );
}

#[test]
fn the_empty_file_is_all_defaults() {
    let loaded = read("");
    assert!(loaded.usable() && loaded.problems.is_empty());
    let raw = loaded.raw;
    assert!(raw.identity.is_none() && raw.upstreams.is_empty() && raw.tenants.is_empty());
    let proxy = raw.listen.proxy();
    assert!(
        matches!(proxy[0], ProxyAddress::Tcp(port) if port.at.0.to_string() == "127.0.0.1:8470")
    );
    assert!(matches!(raw.listen.telemetry(), OrOff::On(at) if at.0.port() == 8471));
    assert_eq!(
        raw.listen.admin(),
        [AdminAddress::Unix("admin.sock".into())]
    );
    assert_eq!(raw.listen.head_bytes(), 65_536);
    assert_eq!(raw.drain.timeout(), Duration::from_secs(25));
    assert_eq!(raw.log.format(), LogFormat::Auto);
    assert_eq!(raw.reload.poll(), OrOff::On(Duration::from_secs(2)));
}

#[test]
fn values_arrive_with_their_types_and_places() {
    let text = r#"
[listen]
proxy = ["127.0.0.1:0", "[::1]:8470", "unix:/run/o.sock?tenant=a:b&mode=0660", "unix:/run/p.sock"]
telemetry = "off"
admin = "unix:/run/outrigger/admin.sock"
hosts = ["Agent-Box", "10.0.0.1"]
origins = ["https://App.example.com:8443"]
[upstreams.eu]
dialect = "anthropic"
url = "HTTPS://API.Example.com:8443/base/v1/"
key = "Bearer-${env:SET}-${file:/run/secrets/key}"
region = "eu-central-1"
[upstreams.plain]
dialect = "openai"
url = "http://[::1]"
"#;
    let raw = good(text);
    let proxy = raw.listen.proxy();
    let sockets = proxy.iter().filter_map(|at| match at {
        ProxyAddress::Tcp(_) | ProxyAddress::Handed(_) => None,
        ProxyAddress::Unix(socket) => {
            Some((socket.mode, socket.tenant.as_ref().map(TenantId::as_str)))
        }
    });
    let sockets: Vec<_> = sockets.collect();
    assert_eq!(sockets, [(0o660, Some("a:b")), (0o600, None)]);
    assert_eq!(proxy.len(), 4);
    assert_eq!(raw.listen.telemetry(), OrOff::Off);
    assert_eq!(
        raw.listen.hosts.as_ref().unwrap().value[0].value.as_str(),
        "agent-box"
    );
    assert_eq!(
        raw.listen.origins.as_ref().unwrap().value[0].value.as_str(),
        "https://app.example.com:8443"
    );
    let [eu, plain] = &raw.upstreams[..] else {
        panic!("two upstreams")
    };
    let url = &eu.url.value;
    assert_eq!(
        (url.host().as_str(), url.port(), url.path(), url.tls()),
        ("api.example.com", 8443, "/base/v1", true)
    );
    let key = eu.key.as_ref().unwrap();
    assert_eq!(key.value.expose(), "Bearer-filled-in-secret-file-secret");
    assert_eq!(key.origin, Origin::Filled);
    assert_eq!(
        (plain.url.value.host().as_str(), plain.url.value.port()),
        ("::1", 80)
    );
    assert_eq!(
        (eu.idle(), plain.idle()),
        (Duration::from_secs(30), Duration::from_secs(4))
    );
}

#[test]
fn order_and_places_are_kept() {
    let text = r#"
[policies.p]
models.rewrite = { "z*" = "one", "a*" = "two" }
models.max_output_tokens = 4_096
endpoints.allow = ["files", "*"]
upstreams.allow = ["eu"]
[tenants."Acme:1"]
policy = "p"
keys = ["sha256:00ffAA00000000000000000000000000000000000000000000000000000000ee"]
limits = { requests = "50/s", tokens = "200k/min burst 1M", streams = 20, queue_wait = "250ms" }
"#;
    let raw = good(text);
    let policy = &raw.policies[0];
    let order: Vec<_> = policy
        .models
        .rewrite
        .as_ref()
        .unwrap()
        .value
        .iter()
        .map(|line| line.from.value.as_str())
        .collect();
    assert_eq!(order, ["z*", "a*"], "the order written, not the alphabet");
    assert_eq!(
        policy.endpoints_allow.as_ref().unwrap().value[1].value,
        AnyOr::Any
    );
    let tenant = &raw.tenants[0];
    assert_eq!(tenant.id.value.as_str(), "Acme:1");
    assert_eq!(
        tenant.keys.as_ref().unwrap().value[0].value.bytes()[..3],
        [0, 255, 170]
    );
    let tokens = tenant.limits.tokens.unwrap();
    assert_eq!(
        tokens.value,
        Rate {
            amount: 200_000,
            per: Per::Minute,
            burst: Some(1_000_000)
        }
    );
    assert_eq!(
        &text[tokens.site.start as usize..tokens.site.end as usize],
        "\"200k/min burst 1M\""
    );
    assert_eq!(tenant.limits.queue(), 100);
}

#[test]
fn a_switch_can_be_filled_in() {
    let raw = good(
        "[listen]\ntelemetry = \"${env:UNSET:-off}\"\nadmin = \"${env:UNSET:-unix:a}\"\n[reload]\npoll = \"${env:UNSET:-5s}\"\n",
    );
    assert_eq!(raw.listen.telemetry(), OrOff::Off);
    assert_eq!(raw.listen.telemetry.unwrap().origin, Origin::Filled);
    assert_eq!(raw.listen.admin(), [AdminAddress::Unix("a".into())]);
    assert_eq!(raw.reload.poll(), OrOff::On(Duration::from_secs(5)));
}

/// Nothing in the table is ignored by the reader: a value no key takes is reported for each.
#[test]
fn every_key_of_the_table_is_read() {
    for key in keys::all() {
        let text = format!("{} = 1979-05-27\n", key.path.replace('*', "x"));
        let loaded = read(&text);
        let wrong = loaded
            .problems
            .iter()
            .any(|problem| problem.code == OutCode::WrongType);
        assert!(wrong, "{} is not read", key.path);
        let known = loaded
            .problems
            .iter()
            .all(|problem| problem.code != OutCode::UnknownKey);
        assert!(known, "{} is in the table and unknown", key.path);
    }
}

#[test]
fn bounds_of_the_table_hold() {
    let show = |value: keys::Value| value.toml();
    for key in keys::all() {
        let (least, most, under, over) = match key.kind {
            Kind::Count(least, most) => {
                let show = |number| show(keys::Value::Count(number));
                (
                    show(least),
                    show(most),
                    least.checked_sub(1).map(show),
                    show(most + 1),
                )
            }
            Kind::Counts(least, most) => {
                let show = |number| format!("[{number}]");
                let under = least.checked_sub(1).map(show);
                (show(least), show(most), under, show(most + 1))
            }
            Kind::Size(least, most) => {
                let show = |bytes| show(keys::Value::Size(bytes));
                (
                    show(least),
                    show(most),
                    Some(show(least - 1)),
                    show(most + 1),
                )
            }
            Kind::Duration(least, most) | Kind::DurationOrOff(least, most) => {
                let show = |span| show(keys::Value::Duration(span));
                let step = Duration::from_millis(1);
                (
                    show(least),
                    show(most),
                    Some(show(least.saturating_sub(step))),
                    show(most + step),
                )
            }
            Kind::Addresses
            | Kind::AddressOrOff
            | Kind::AdminAddresses
            | Kind::Rate
            | Kind::Flag
            | Kind::Word(_)
            | Kind::Words(_)
            | Kind::WordsOrAll(_)
            | Kind::Url
            | Kind::Secret
            | Kind::Text(_)
            | Kind::Texts(_)
            | Kind::Usd(_)
            | Kind::Prices(_)
            | Kind::Factors
            | Kind::Rewrites
            | Kind::Secrets => continue,
        };
        let at = |value: &str| format!("{} = {value}\n", key.path.replace('*', "x"));
        let rejected = |value: &str| codes(&read(&at(value))).contains(&OutCode::InvalidValue);
        assert!(
            !rejected(&least) && !rejected(&most),
            "{}: its own bounds",
            key.path
        );
        assert!(rejected(&over), "{}: {over}", key.path);
        assert!(
            under.is_none_or(|under| rejected(&under)),
            "{}: below",
            key.path
        );
    }
}

#[test]
fn what_is_planned_is_said_to_be_not_built() {
    for path in keys::all_planned() {
        assert_eq!(
            keys::find(path).map(|key| key.path),
            None,
            "{path} is built"
        );
        let text = format!("{} = {{ x = 1 }}\n", path.replace('*', "x"));
        let loaded = read(&text);
        assert!(codes(&loaded).contains(&OutCode::NotBuilt), "{path}");
        assert!(!codes(&loaded).contains(&OutCode::UnknownKey), "{path}");
    }
}

#[test]
fn no_planned_name_is_a_name_of_this_version() {
    for key in keys::all() {
        assert!(!keys::planned(key.path), "{}", key.path);
    }
}

#[test]
fn tenants_d_is_read_in_order_and_merged_by_no_one() {
    let outside = Fake::default()
        .file("/etc/o/outrigger.toml", "[tenants.main]\n")
        .file(
            "/etc/o/tenants.d/b.toml",
            "[tenants.acme]\n\n[policies.p]\n[log]\nformat = \"json\"\n",
        )
        .file(
            "/etc/o/tenants.d/a.toml",
            "# first\n[tenants.acme]\npolicy = \"p\"\n[tenants.main]\n",
        )
        .file("/etc/o/tenants.d/..data", "[tenants.hidden]\n")
        .file("/etc/o/tenants.d/notes.txt", "not toml");
    let loaded = load(Path::new("/etc/o/outrigger.toml"), &outside);
    let ids: Vec<_> = loaded
        .raw
        .tenants
        .iter()
        .map(|tenant| tenant.id.value.as_str())
        .collect();
    assert_eq!(ids, ["main", "acme"]);
    assert_eq!(
        render::lines(&loaded.problems, &loaded.sources),
        "/etc/o/tenants.d/a.toml:4:10: error[OUT-0013]: tenant `main` is defined twice\n\
         /etc/o/tenants.d/b.toml:1:10: error[OUT-0013]: tenant `acme` is defined twice\n\
         /etc/o/tenants.d/b.toml:4:2: error[OUT-0003]: `[log]` does not belong in a file of `tenants.d` \
         (only `[tenants.…]` and `[policies.…]` do; move it to the main file)\n"
    );
    let human = render::human(&loaded.problems[1..2], &loaded.sources, Paint::Plain);
    assert!(
        human.contains("/etc/o/tenants.d/b.toml:1:10")
            && human.contains("/etc/o/tenants.d/a.toml:2:"),
        "{human}"
    );
    assert!(human.contains("first defined here"), "{human}");
    let watched: Vec<_> = loaded
        .watched
        .iter()
        .map(|path| path.to_str().unwrap())
        .collect();
    assert_eq!(
        watched,
        [
            "/etc/o/outrigger.toml",
            "/etc/o/tenants.d",
            "/etc/o/tenants.d/a.toml",
            "/etc/o/tenants.d/b.toml"
        ]
    );
}

#[test]
fn control_characters_of_the_file_are_not_printed() {
    let loaded = read(
        "\"a\\u001b[31m\" = 1\n[upstreams.o]\ndialect = \"openai\"\nurl = \"http://a\"\nkey = \"${file:/\\u001b[31m}\"\n[tenants.\"x\\u0007\"]\npolicy = \"\\u001b[0m\"\n",
    );
    assert_eq!(loaded.problems.len(), 4);
    let human = render::human(&loaded.problems, &loaded.sources, Paint::Plain);
    let lines = render::lines(&loaded.problems, &loaded.sources);
    assert!(!(human + &lines).contains(|letter: char| letter.is_control() && letter != '\n'));
}

#[test]
fn depth_is_bounded() {
    for text in [
        format!("a = {}", "[".repeat(20_000)),
        format!("a = {}", "{a=".repeat(20_000)),
        format!("{}a = 1", "a.".repeat(20_000)),
        format!("[{}a]", "a.".repeat(20_000)),
        format!("[upstreams.o]\nkey{} = \"x\"", ".key".repeat(20_000)),
    ] {
        let loaded = read(&text);
        assert!(!loaded.usable());
        let human = render::human(&loaded.problems, &loaded.sources, Paint::Plain);
        assert!(!human.is_empty());
    }
}

#[test]
fn files_that_cannot_be_read_are_problems() {
    let missing = load(Path::new("/nowhere/outrigger.toml"), &Fake::default());
    assert_eq!(
        render::lines(&missing.problems, &missing.sources),
        "error[OUT-0011]: cannot read `/nowhere/outrigger.toml`: it does not exist\n"
    );
    let binary = load(
        Path::new("/c.toml"),
        &Fake::default().file("/c.toml", b"a = \"\xff\""),
    );
    assert_eq!(
        binary.problems[0].message,
        "cannot read `/c.toml`: byte 5 is not UTF-8"
    );
    let large = load(
        Path::new("/c.toml"),
        &Fake::default().file("/c.toml", vec![b'#'; (16 << 20) + 1]),
    );
    assert_eq!(codes(&large), [OutCode::ConfigTooLarge]);
}

#[test]
fn the_list_of_problems_is_bounded_and_says_so() {
    let text: String = (0..700).fold(String::new(), |text, number| {
        text + &format!("bogus{number} = 1\n")
    });
    let loaded = read(&text);
    assert_eq!(loaded.problems.len(), 501);
    assert!(
        loaded
            .problems
            .iter()
            .any(|problem| problem.message == "200 more problems are not listed")
    );
}

#[test]
fn the_hash_is_that_of_the_texts() {
    // printf 'abc' | sha256sum
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let outside = Fake::default()
        .file("/o/outrigger.toml", "a")
        .file("/o/tenants.d/x.toml", "bc");
    assert_eq!(load(Path::new("/o/outrigger.toml"), &outside).hash, abc);
}

#[test]
fn the_fingerprint_sees_filled_in_values_and_the_hash_does_not() {
    let text = "[upstreams.o]\ndialect = \"openai\"\nurl = \"http://a\"\nkey = \"${file:/k}\"\n";
    let with = |key: &str| load_text("outrigger.toml", text, &Fake::default().file("/k", key));
    let (one, two) = (with("one"), with("two"));
    assert_eq!(one.hash, two.hash);
    assert!(one.fingerprint != two.fingerprint && one.fingerprint == with("one").fingerprint);
    assert_eq!(one.watched, [Path::new("/k")]);
}

/// Wherever a secret can stand, whole or broken, it is in none of the outputs.
#[test]
fn secrets_are_never_shown() {
    let upstream =
        |lines: &str| format!("[upstreams.o]\ndialect = \"openai\"\nurl = \"http://a\"\n{lines}\n");
    let texts = [
        upstream("key = \"SECRET\"\nregion = 5"),
        upstream("key = \"SE CRET\""),
        upstream("key = \"SECRET"),
        upstream("key = SECRET"),
        upstream("key SECRET"),
        upstream(
            "key = \"${env:A}\"\nregion = \"${env:A}\"\nstamp = \"${env:A}\"\nidle = \"${env:A}\"",
        ),
        upstream("key = \"${env:UNSET:-SECRET}\"\nkey = 5"),
        upstream("api_key = \"SECRET\""),
        upstream("headers = { Authorization = \"SECRET\" }"),
        upstream("auth = [\"SECRET\"]\n[upstreams.o.credentials]\nx = { y = \"SECRET\" }"),
        "upstreams.o = { key = \"SECRET\", url = 5, dialect = \"openai\" }".to_owned(),
        "upstreams.o = { key = \"SECRET\", url = 5 dialect = }".to_owned(),
        "[upstreams.o]\ndialect = \"openai\"\nurl = \"https://me:SECRET@host/\"".to_owned(),
        "[upstreams.o]\ndialect = \"openai\"\nurl = \"https://host/?key=SECRET\"".to_owned(),
        "[upstreams.o]\ndialect = \"openai\"\nurl = \"https://some host\"\nkey = [\"SECRET\"]"
            .to_owned(),
        "[tenants.t]\nkeys = [\"SECRET\", 5]".to_owned(),
        "[tenants.t]\nkeys = \"SECRET\"".to_owned(),
        upstream("region = 5\n[upstreams.o.key]\nx = \"SECRET\"\n[log]\nformat = 5"),
        "[tenants.t]\nkey = \"SECRET\"\npolicy = \"${file:/a}\"\nlimits.requests = \"${env:A}\""
            .to_owned(),
    ];
    let outside = || {
        Fake::default()
            .variable("A", "my SECRET value")
            .file("/a", "a SECRET")
    };
    for text in texts {
        let loaded = load_text("outrigger.toml", &text, &outside());
        assert!(!loaded.problems.is_empty(), "{text}");
        let shown = [
            render::human(&loaded.problems, &loaded.sources, Paint::Plain),
            render::human(&loaded.problems, &loaded.sources, Paint::Colour),
            render::lines(&loaded.problems, &loaded.sources),
            format!("{loaded:?}"),
        ];
        for out in shown {
            assert!(
                !out.contains("SECRET") && !out.contains("CRET\""),
                "{text}\n\n{out}"
            );
        }
    }
}

#[test]
fn debug_of_a_good_configuration_shows_no_filled_in_value() {
    let raw = good(
        "[upstreams.o]\ndialect = \"openai\"\nurl = \"http://${env:SET}/\"\nregion = \"${env:SET}\"\nkey = \"plain\"\n",
    );
    let shown = format!("{raw:?}");
    assert!(
        !shown.contains("filled-in-secret") && !shown.contains("plain"),
        "{shown}"
    );
}

/// The reference without its `#`: every key, loaded.
fn uncommented() -> String {
    reference()
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(setting) if !setting.starts_with([' ', ':']) => format!("{setting}\n"),
            _ => format!("{line}\n"),
        })
        .collect()
}

#[test]
fn the_reference_is_up_to_date() {
    kept("config/reference.toml", &reference());
}

#[test]
fn the_schema_is_up_to_date() {
    kept("config/outrigger.schema.json", &schema());
}

#[test]
fn the_reference_as_it_is_changes_nothing() {
    assert_eq!(
        format!("{:?}", good(&reference())),
        format!("{:?}", good(""))
    );
}

#[test]
fn the_reference_without_its_signs_has_every_key() {
    let text = uncommented();
    good(&text);
    let table: toml::Table = text.parse().unwrap();
    for key in keys::all() {
        let path = key
            .path
            .replace("upstreams.*", "upstreams.openai")
            .replace("policies.*", "policies.standard");
        let path = path
            .replace("tenants.*", "tenants.acme")
            .replace("tokens.*", "tokens.ops")
            .replace("budgets.*", "budgets.daily")
            .replace("providers.*", "providers.local")
            .replace("models.*", "models.local/llama");
        let mut at = Some(&toml::Value::Table(table.clone())).cloned();
        for segment in path.split('.') {
            at = at.and_then(|value| value.get(segment).cloned());
        }
        let value = at.unwrap_or_else(|| panic!("{path} is not in the reference"));
        if let Some(default) = key.default_toml() {
            let default: toml::Table = format!("x = {default}").parse().unwrap();
            assert_eq!(Some(&value), default.get("x"), "{path}");
        }
    }
}

/// What the table prints as defaults is what the accessors give.
fn hang_ups(policy: &raw::Policy) -> String {
    format!(
        "{:?} {:?} {} {}",
        policy.hang_up(),
        policy.drain_for(),
        policy.drain_bytes(),
        policy.drain_calls()
    )
}

#[test]
fn the_reference_means_the_defaults() {
    let written = good(&uncommented());
    let minimal = good(
        "[identity]\n[upstreams.openai]\ndialect = \"openai\"\nurl = \"https://api.openai.com\"\n[policies.standard]\n[tenants.acme]\n",
    );
    let seen = |raw: &Raw| {
        let (upstream, policy, tenant) = (&raw.upstreams[0], &raw.policies[0], &raw.tenants[0]);
        [
            format!(
                "{:?} {:?} {:?}",
                raw.listen.proxy(),
                raw.listen.telemetry(),
                raw.listen.admin()
            ),
            format!(
                "{} {:?}",
                raw.listen.head_bytes(),
                raw.listen.head_timeout()
            ),
            format!(
                "{:?} {}",
                raw.listen.idle_timeout(),
                raw.listen.connections()
            ),
            format!("{:?}", raw.identity.as_ref().map(raw::Identity::accept)),
            format!(
                "{:?} {:?} {:?}",
                upstream.stamp(),
                upstream.trust(),
                upstream.connect_timeout()
            ),
            format!(
                "{:?} {:?} {:?}",
                upstream.first_byte_timeout(),
                upstream.between_bytes_timeout(),
                upstream.idle()
            ),
            format!(
                "{:?} {:?} {:?} {:?}",
                policy.background(),
                policy.references(),
                policy.stream_usage(),
                policy.on_revoke()
            ),
            hang_ups(policy),
            format!("{} {:?}", policy.body(), policy.body_timeout()),
            format!(
                "{} {:?} {} {:?}",
                policy.limits.queue(),
                policy.limits.queue_wait(),
                tenant.limits.queue(),
                tenant.limits.queue_wait()
            ),
            format!(
                "{} {:?} {:?} {}",
                raw.pool.idle_connections(),
                raw.log.format(),
                raw.log.requests(),
                raw.log.queue()
            ),
            format!(
                "{} {:?} {:?}",
                raw.metrics.tenants_labelled(),
                raw.drain.timeout(),
                raw.drain.idle()
            ),
            format!("{:?} {:?}", raw.reload.watch(), raw.reload.poll()),
        ]
    };
    assert_eq!(seen(&written), seen(&minimal));
    let policy = written.tenants[0].policy.as_ref().unwrap();
    assert_eq!(policy.value.as_str(), defaults::POLICY);
    assert_eq!(
        written.identity.unwrap().tenant.unwrap().value.as_str(),
        defaults::FIXED_TENANT
    );
}

#[test]
fn the_schema_knows_every_key() {
    let schema: serde_json::Value = serde_json::from_str(&schema()).unwrap();
    for key in keys::all() {
        let pointer = key
            .path
            .split('.')
            .fold(String::new(), |path, segment| match segment {
                "*" => path + "/additionalProperties",
                name => path + "/properties/" + name,
            });
        let node = schema
            .pointer(&pointer)
            .unwrap_or_else(|| panic!("{} is not in the schema", key.path));
        assert!(
            node["description"].as_str().unwrap().starts_with(key.doc),
            "{}",
            key.path
        );
        let default = !matches!(key.default, Fallback::Required | Fallback::Unset(_));
        assert_eq!(node.get("default").is_some(), default, "{}", key.path);
    }
}

#[test]
fn explain_finds_keys_by_pattern_by_name_and_by_section() {
    let by_pattern = explain("tenants.*.limits.requests").unwrap();
    assert_eq!(explain("tenants.acme.limits.requests").unwrap(), by_pattern);
    assert!(
        by_pattern.starts_with("tenants.*.limits.requests (since 0.1)\n  Requests: an amount"),
        "{by_pattern}"
    );
    let by_end = explain("models.allow").unwrap();
    assert!(
        by_end.starts_with("policies.*.models.allow (since 0.1)\n"),
        "{by_end}"
    );
    assert_eq!(explain("s.allow"), None, "only whole segments");
    assert_eq!(explain("drain").unwrap().matches("(since").count(), 2);
    assert_eq!(explain("nope"), None);
    assert_eq!(explain(""), None);
}

#[test]
fn the_system_reads_files_up_to_the_cap_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f");
    std::fs::write(&path, "12345").unwrap();
    assert_eq!(System.read(&path, 5), Ok(b"12345".to_vec()));
    assert_eq!(System.read(&path, 4), Err(ReadError::TooLarge(4)));
    assert_eq!(System.read(directory.path(), 5), Err(ReadError::NotAFile));
    assert_eq!(
        System.read(&directory.path().join("g"), 5),
        Err(ReadError::Missing)
    );
    assert_eq!(System.list(directory.path()), Ok(vec![path]));
}

#[test]
fn load_reads_a_real_directory() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("tenants.d")).unwrap();
    std::fs::write(directory.path().join("outrigger.toml"), "[tenants.a]\n").unwrap();
    std::fs::write(directory.path().join("tenants.d/b.toml"), "[tenants.b]\n").unwrap();
    let loaded = load(&directory.path().join("outrigger.toml"), &System);
    assert!(loaded.usable());
    assert_eq!(loaded.raw.tenants.len(), 2);
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(48))]

    #[test]
    fn no_text_makes_it_panic(text in "[\\[\\]{}a-z.=\"'#$:\\n ,0-9é-]{0,200}") {
        fuzz_config(text.as_bytes());
    }

    #[test]
    fn no_mangled_reference_makes_it_panic(at in 0usize..16_000, insert in "[\\[\\]{}\"'=\\n.#$é]{0,3}", cut in 0usize..40) {
        let mut text = uncommented();
        let border = |text: &str, mut at: usize| { while !text.is_char_boundary(at) { at -= 1; } at };
        let from = border(&text, at.min(text.len()));
        let to = border(&text, (from + cut).min(text.len())).max(from);
        text.replace_range(from..to, &insert);
        fuzz_config(text.as_bytes());
    }
}
