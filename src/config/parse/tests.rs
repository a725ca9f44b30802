//! Every text form, with what it means and what it must not mean.

use proptest::prelude::*;

use super::addresses::*;
use super::*;
use crate::config::values::{
    AdminAddress, CallerId, ProxyAddress, ProxyHanded, ProxyPort, ProxySocket,
};

#[test]
fn durations() {
    let millis = |text: &str| duration(text).map(|span| span.as_millis());
    for (text, expected) in [
        ("250ms", 250),
        ("30s", 30_000),
        ("5m", 300_000),
        ("5min", 300_000),
        ("2h", 7_200_000),
        ("1_000 s", 1_000_000),
        ("0s", 0),
    ] {
        assert_eq!(millis(text), Ok(expected), "{text}");
    }
    for text in [
        "",
        "s",
        "1.5s",
        "-1s",
        "1d",
        "1 S",
        "1s ",
        "1s1s",
        "_1s",
        "1_s",
        "99999999999999999999s",
        "18446744073709551615h",
        "1µs",
        "１s",
    ] {
        assert_eq!(duration(text), Err(DURATION), "{text}");
    }
    assert_eq!(duration("30"), Err(DURATION_UNIT));
    assert_eq!(DURATION_UNIT.code, OutCode::UnitMissing);
}

#[test]
fn sizes() {
    for (text, expected) in [
        ("1000B", 1000),
        ("64KiB", 65_536),
        ("32MiB", 33_554_432),
        ("1 GiB", 1_073_741_824),
    ] {
        assert_eq!(size(text), Ok(expected), "{text}");
    }
    for text in [
        "",
        "1KB",
        "1MB",
        "1kib",
        "1K",
        "-1B",
        "1.5MiB",
        "99999999999GiB",
    ] {
        assert_eq!(size(text), Err(SIZE), "{text}");
    }
    assert_eq!(size("1000"), Err(SIZE_UNIT));
}

#[test]
fn rates() {
    let parts = |text: &str| rate(text).map(|rate| (rate.amount, rate.per, rate.burst));
    assert_eq!(parts("50/s"), Ok((50, Per::Second, None)));
    assert_eq!(parts("200k/min"), Ok((200_000, Per::Minute, None)));
    assert_eq!(parts("1M/hour"), Ok((1_000_000, Per::Hour, None)));
    assert_eq!(
        parts("1 M / h burst 2M"),
        Ok((1_000_000, Per::Hour, Some(2_000_000)))
    );
    for text in [
        "0/s",
        "/s",
        "50/",
        "50/d",
        "50/m",
        "5K/s",
        "-1/s",
        "50/s burst",
        "50/s burst 0",
        "50/s burst 1/s",
        "50/s/s",
        "1.5/s",
        "burst 5",
        "99999999999999M/s",
    ] {
        assert_eq!(rate(text), Err(RATE), "{text}");
    }
    assert_eq!(rate("50"), Err(RATE_UNIT));
    assert_eq!(rate("50k"), Err(RATE_UNIT));
}

#[test]
fn urls() {
    let parts = |text: &str| {
        url(text).map(|url| {
            (
                url.tls(),
                url.host().as_str().to_owned(),
                url.port(),
                url.path().to_owned(),
            )
        })
    };
    let of = |tls, host: &str, port, path: &str| Ok((tls, host.to_owned(), port, path.to_owned()));
    assert_eq!(
        parts("https://api.openai.com"),
        of(true, "api.openai.com", 443, "")
    );
    assert_eq!(
        parts("https://api.openai.com/"),
        of(true, "api.openai.com", 443, "")
    );
    assert_eq!(
        parts("http://LOCALHOST:8080/v1/"),
        of(false, "localhost", 8080, "/v1")
    );
    assert_eq!(parts("http://[::1]:80/a/b"), of(false, "::1", 80, "/a/b"));
    assert_eq!(parts("http://10.0.0.1"), of(false, "10.0.0.1", 80, ""));
    assert_eq!(
        parts("http://model_server-1.svc"),
        of(false, "model_server-1.svc", 80, "")
    );
    for text in [
        "",
        "https://",
        "ftp://x",
        "//x",
        "https:/x",
        "https://x:0",
        "https://x:",
        "https://x:65536",
        "https://x:+80",
        "https://a b",
        "https://ä.de",
        "https://[::1",
        "https://[x]",
        "https://[::1]80",
        "https://127.1",
        "https://0x7f.1.",
        "https://x..y",
        "https://-x",
        "https://x\n",
        "https:// x",
        "https://x\0",
    ] {
        assert_eq!(parts(text), Err(URL), "{text}");
    }
    assert_eq!(parts("https://a@b"), Err(URL_USER));
    assert_eq!(parts("https://a/b?c"), Err(URL_QUERY));
    assert_eq!(parts("https://a#c"), Err(URL_QUERY));
    for text in [
        "https://a//",
        "https://a/b//c",
        "https://a/.",
        "https://a/../b",
        "https://a/%2e",
        "https://a/b c",
        "https://a/é",
        "https://a/b\\c",
    ] {
        assert_eq!(parts(text), Err(URL_PATH), "{text}");
    }
}

#[test]
fn names_and_the_like() {
    assert_eq!(address("127.0.0.1:0").map(|at| at.0.port()), Ok(0));
    for text in [
        "localhost:1",
        ":8470",
        "127.0.0.1",
        "[::1]",
        "unix:x",
        "1.2.3.4:99999",
    ] {
        assert_eq!(address(text), Err(ADDRESS), "{text}");
    }
    assert_eq!(
        admin_address("unix:a/b.sock"),
        Ok(AdminAddress::Unix("a/b.sock".into()))
    );
    for text in ["127.0.0.1:1", "[::1]:0"] {
        let at = text.parse().unwrap();
        assert_eq!(admin_address(text), Ok(AdminAddress::Tcp(at)), "{text}");
    }
    // A token must not cross a network in the clear.
    for text in [
        "unix:",
        "unix:a/",
        "unix:a b",
        "a.sock",
        "0.0.0.0:1",
        "[::]:1",
        "192.0.2.1:1",
        "localhost:1",
    ] {
        assert_eq!(admin_address(text), Err(SOCKET), "{text}");
    }
    assert_eq!(
        admin_address(&format!("unix:{}", "x".repeat(108))),
        Err(SOCKET)
    );
    assert_eq!(caller("uid:1000"), Ok(CallerId::User(1000)));
    assert_eq!(caller("gid:0"), Ok(CallerId::Group(0)));
    for text in [
        "1000",
        "uid:",
        "uid:-1",
        "uid:root",
        "user:1",
        "uid:4294967296",
    ] {
        assert_eq!(caller(text), Err(CALLER), "{text}");
    }
    assert!(origin("https://a.example:8443").is_ok() && origin("chrome-extension://abc").is_ok());
    for text in [
        "null",
        "a.example",
        "https://a/",
        "https://a?b",
        "://a",
        "https://u@a",
    ] {
        assert_eq!(origin(text), Err(ORIGIN), "{text}");
    }
    assert!(
        region("eu-central-1").is_ok()
            && region("").is_err()
            && region("EU").is_err()
            && region(&"a".repeat(65)).is_err()
    );
    assert!(
        glob("gpt-5*").is_ok() && glob("").is_err() && glob("a b").is_err() && glob("é").is_err()
    );
    assert!(model("org/model:free").is_ok() && model("gpt-*").is_err());
    assert!(
        secret("sk-x").is_ok()
            && secret("").is_err()
            && secret("a\n").is_err()
            && secret("a b").is_err()
    );
    assert!(
        policy_name("a.b").is_ok() && policy_name("a:b").is_err() && policy_name("_a").is_err()
    );
}

#[test]
fn key_hashes() {
    let good = format!("sha256:{}", "0aF9".repeat(16));
    assert_eq!(
        key_hash(&good).map(|hash| hash.bytes()[..2].to_vec()),
        Ok(vec![0x0a, 0xf9])
    );
    for text in [
        "",
        "sha256:",
        "0a",
        &good[..70],
        &format!("{good}0"),
        &good.replace('F', "g"),
        &good.replace("sha256", "sha512"),
        &good.replace("0a", "é"),
    ] {
        assert_eq!(key_hash(text), Err(KEY_HASH), "{text}");
    }
}

proptest! {
    #[test]
    fn a_duration_is_its_text(millis in 0u64..=86_400_000) {
        let span = Duration::from_millis(millis);
        prop_assert_eq!(duration(&duration_text(span)), Ok(span));
    }

    #[test]
    fn a_size_is_its_text(bytes in 0u64..=u64::MAX / 2) {
        prop_assert_eq!(size(&size_text(bytes)), Ok(bytes));
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,40}") {
        let _ = (duration(&text), size(&text), rate(&text), address(&text), admin_address(&text), caller(&text), url(&text));
        let _ = (host(&text), origin(&text), region(&text), glob(&text), model(&text), key_hash(&text), policy_name(&text));
    }

    #[test]
    fn no_url_like_text_panics(text in "https?://[\\[\\]a-z0-9.:/@?#%-]{0,30}") {
        if let Ok(url) = url(&text) {
            prop_assert!(!url.host().as_str().is_empty() && url.port() > 0);
            prop_assert!(url.path().is_empty() || url.path().starts_with('/') && !url.path().ends_with('/'));
        }
    }
}

#[test]
fn a_socket_that_is_handed_over_has_a_name_or_a_number_and_no_mode() {
    let handed = |text: &str| match proxy(text) {
        Ok(ProxyAddress::Handed(one)) => Ok((one.which.to_string(), one.tenant)),
        Ok(other) => panic!("{other:?}"),
        Err(flaw) => Err(flaw),
    };
    let acme = "acme".parse().ok();
    for (text, which, tenant) in [
        ("fd:proxy", "fd:proxy", None),
        ("fd:outrigger.socket", "fd:outrigger.socket", None),
        ("fd:3", "fd:3", None),
        ("fd:acme?tenant=acme", "fd:acme", acme),
    ] {
        assert_eq!(handed(text), Ok((which.to_owned(), tenant)), "{text}");
    }
    for text in [
        "fd:",
        "fd:2",
        "fd:70000",
        "fd:a:b",
        "fd:a b",
        "fd:?tenant=acme",
    ] {
        assert_eq!(handed(text), Err(PROXY_HANDED), "{text}");
    }
    for text in [
        "fd:a?mode=0600",
        "fd:a?tenant=",
        "fd:a?tenant=a&tenant=a",
        "fd:a?",
    ] {
        assert_eq!(handed(text), Err(HANDED_OPTION), "{text}");
    }
}

#[test]
fn every_address_may_have_a_number_of_connections() {
    let most = |text: &str| {
        proxy(text).map(|address| match address {
            ProxyAddress::Tcp(ProxyPort { connections, .. })
            | ProxyAddress::Unix(ProxySocket { connections, .. })
            | ProxyAddress::Handed(ProxyHanded { connections, .. }) => connections,
        })
    };
    for address in ["127.0.0.1:8470", "[::1]:0", "unix:/run/a.sock", "fd:proxy"] {
        assert_eq!(most(address), Ok(None), "{address}");
        for (number, count) in [("1", 1), ("200", 200), ("1000000", 1_000_000)] {
            let text = format!("{address}?connections={number}");
            assert_eq!(most(&text), Ok(Some(count)), "{text}");
        }
        for number in [
            "",
            "0",
            "-1",
            "+1",
            "1k",
            "1_000",
            "1000001",
            "99999999999999999999",
        ] {
            let text = format!("{address}?connections={number}");
            assert_eq!(most(&text), Err(PROXY_CONNECTIONS), "{text}");
        }
    }
    for (text, connections) in [
        ("unix:/run/a.sock?mode=0660&connections=7&tenant=acme", 7),
        ("fd:3?tenant=acme&connections=7", 7),
    ] {
        assert_eq!(most(text), Ok(Some(connections)), "{text}");
    }
    for (text, flaw) in [
        ("127.0.0.1:8470?", PROXY_PORT),
        ("127.0.0.1:8470?connections", PROXY_PORT),
        ("127.0.0.1:8470?connections=1&connections=1", PROXY_PORT),
        ("127.0.0.1:8470?connections=1&tenant=acme", PROXY_PORT),
        ("127.0.0.1:8470?mode=0600", PROXY_PORT),
        ("127.0.0.1?connections=1", PROXY),
        ("unix:/run/a.sock?connections=1&connections=2", PROXY_OPTION),
        ("fd:a?connections=1&connections=2", HANDED_OPTION),
        ("fd:a?connections=1&mode=0600", HANDED_OPTION),
    ] {
        assert_eq!(most(text), Err(flaw), "{text}");
    }
}
