//! Lists that pass and lists that do not.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

use super::super::Limits;
use super::{ListFault, check_list};
use crate::units::Code;

fn list(method: &str, uri: &str, fields: &[(&str, &str)]) -> Result<(), ListFault> {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        headers.append(name, HeaderValue::from_str(value).expect("a value"));
    }
    let method = Method::from_bytes(method.as_bytes()).expect("a method");
    let uri: Uri = uri.parse().expect("a target");
    check_list(&method, &uri, &headers, &Limits::DEFAULT)
}

#[test]
fn what_clients_send_passes() {
    let usual = [
        ("content-type", "application/json"),
        ("content-length", "12"),
        ("authorization", "Bearer key"),
        ("cookie", "a=1"),
        ("cookie", "b=2"),
        ("te", "trailers"),
        ("x-tab", "a\tb"),
    ];
    for (method, uri, fields) in [
        (
            "POST",
            "http://127.0.0.1:8470/openai/v1/responses?a=%20",
            &usual[..],
        ),
        ("GET", "https://localhost/v1/models", &[]),
        (
            "GET",
            "http://LOCALHOST/v1/models",
            &[("host", "localhost")],
        ),
        ("GET", "/v1/models", &[("host", "localhost:8470")]),
        ("GET", "http://[::1]:8470/", &[]),
        ("CONNECT", "example.com:443", &[]),
    ] {
        assert_eq!(list(method, uri, fields), Ok(()), "{method} {uri}");
    }
}

fn refused(uri: &str, fields: &[(&str, &str)], code: Code, sign: &str) {
    let fault = list("POST", uri, fields).expect_err(uri);
    assert_eq!(fault.code, code, "{uri} {fields:?}: {}", fault.what);
    assert!(
        fault.what.contains(sign),
        "{uri} {fields:?}: {}",
        fault.what
    );
}

#[test]
fn targets_that_two_readers_could_take_differently_are_refused() {
    for (uri, sign) in [
        ("http://u@localhost/", "authority"),
        ("http://u:p@localhost:1/", "authority"),
        ("http://local!host/", "authority"),
        ("ftp://localhost/", "scheme"),
        ("/", "neither"),
        ("http://localhost/\"", "percent-encoded"),
    ] {
        refused(uri, &[], Code::HeadMalformed, sign);
    }
}

#[test]
fn fields_that_two_readers_could_take_differently_are_refused() {
    let (malformed, framing) = (Code::HeadMalformed, Code::FramingConflict);
    let at = "http://localhost/";
    for (name, value, code, sign) in [
        ("host", "other", malformed, "different hosts"),
        ("host", "localhost:80", malformed, "different hosts"),
        ("host", "u@a", malformed, "host"),
        ("content_length", "1", malformed, "`_`"),
        ("content-length", "+1", framing, "decimal"),
        ("transfer-encoding", "chunked", framing, "HTTP/2"),
        ("x_api_key", "b", malformed, "`_`"),
        ("x-pad", " a", malformed, "white space"),
        ("x-pad", "a\t", malformed, "white space"),
    ] {
        refused(at, &[(name, value)], code, sign);
    }
    for (name, code) in [
        ("host", malformed),
        ("content-length", framing),
        ("authorization", malformed),
        ("x-api-key", malformed),
    ] {
        refused("/", &[(name, "1"), (name, "1")], code, "twice");
    }
    let long = "x".repeat(16_385);
    refused(at, &[("x-long", &long)], Code::HeadTooLarge, "line");
}

#[test]
fn sizes_are_those_of_a_head_as_text() {
    let target = format!("http://localhost/{}", "a".repeat(16_384));
    let fault = list("GET", &target, &[]).expect_err("a long target");
    assert_eq!(fault.code, Code::TargetTooLong);
    let value = "v".repeat(16_000);
    let names = ["x-0", "x-1", "x-2", "x-3", "x-4"];
    let fields = names.map(|name| (name, value.as_str()));
    assert_eq!(list("GET", "http://a/", &fields[..4]), Ok(()));
    let fault = list("GET", "http://a/", &fields).expect_err("a long head");
    assert_eq!(fault.code, Code::HeadTooLarge);
    let many = [("x", "y"); 101];
    assert_eq!(list("GET", "http://a/", &many[..100]), Ok(()));
    let fault = list("GET", "http://a/", &many).expect_err("many fields");
    assert_eq!(fault.code, Code::HeadTooLarge);
}
