//! Forms that clients send, forms that two readers would read differently, and any form that can be written.

use proptest::prelude::*;

use super::fuzz::fuzz_form;
use super::*;

const NAMES: &[&str] = &["model", "n", "stream"];

fn read(body: &[u8]) -> Result<Form, FormFaultKind> {
    let boundary = Boundary::of(b"multipart/form-data; boundary=-a-").unwrap();
    let mut scanner = FormScanner::new(&boundary, NAMES);
    let pushed = scanner.push(body);
    pushed
        .and_then(|()| scanner.finish())
        .map_err(|fault| fault.kind)
}

/// A form of these heads and contents.
fn form(parts: &[(&str, &str)]) -> String {
    let one = |(head, content): &(&str, &str)| format!("---a-\r\n{head}\r\n\r\n{content}\r\n");
    let parts: Vec<_> = parts.iter().map(one).collect();
    format!("{}---a---\r\n", parts.concat())
}

fn named(name: &str) -> String {
    format!("Content-Disposition: form-data; name=\"{name}\"")
}

fn values(form: &Form) -> Vec<(&str, &str)> {
    form.fields
        .iter()
        .map(|field| (NAMES[field.name], &*field.value))
        .collect()
}

#[test]
fn what_clients_send_is_read() {
    let file = "Content-Disposition: form-data; name=\"file\"; filename=\"a b.wav\"\r\nContent-Type: audio/wav";
    let text = form(&[
        (&named("model"), "whisper-1"),
        (file, "RIFF\r\n--\r\n---a\r\n\n---b-"),
        (&named("prompt"), "as\r\nit is"),
    ]);
    let read = read(text.as_bytes()).unwrap();
    assert_eq!(values(&read), [("model", "whisper-1")]);
    assert_eq!(
        (read.files, read.text_bytes, read.len),
        (1, 9 + 9, text.len())
    );
    assert_eq!(&text[read.fields[0].at.clone()], "whisper-1");
    for head in [
        "content-disposition: FORM-DATA; name=model",
        "CONTENT-DISPOSITION:form-data;name=\"model\"",
        "Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name=\"model\"",
        "Content-Disposition: form-data; name=\"model\"\r\nContent-Transfer-Encoding: 8bit",
    ] {
        let text = form(&[(head, "m")]);
        assert_eq!(
            values(&super::tests::read(text.as_bytes()).unwrap()),
            [("model", "m")],
            "{head}"
        );
    }
    let odd = "Content-Disposition: form-data; name=\"image[]\"; filename*=UTF-8''a.png; filename=\"ä.png\"";
    assert_eq!(
        super::tests::read(form(&[(odd, ""), (odd, "")]).as_bytes())
            .unwrap()
            .files,
        2
    );
}

#[test]
fn a_governed_part_stands_once_and_under_its_own_name() {
    let twice = form(&[(&named("model"), "a"), (&named("model"), "b")]);
    assert_eq!(read(twice.as_bytes()), Err(FormFaultKind::Ambiguous));
    for name in [
        "Model", "MODEL", "model[]", "model[0]", "model.x", "mo-del", "stream_", "N",
    ] {
        let text = form(&[(&named(name), "a")]);
        assert_eq!(
            read(text.as_bytes()),
            Err(FormFaultKind::Ambiguous),
            "{name}"
        );
    }
    let file = "Content-Disposition: form-data; name=\"model\"; filename=\"m\"";
    assert_eq!(
        read(form(&[(file, "a")]).as_bytes()),
        Err(FormFaultKind::Ambiguous)
    );
    for value in [" a", "a ", "a\r\nb", "a\n", "a\0", "\u{feff}a\t"] {
        let text = form(&[(&named("model"), value)]);
        assert_eq!(
            read(text.as_bytes()),
            Err(FormFaultKind::Value),
            "{value:?}"
        );
    }
    let typed = "Content-Disposition: form-data; name=\"model\"\r\nContent-Type: text/plain; charset=utf-16";
    assert_eq!(
        read(form(&[(typed, "a")]).as_bytes()),
        Err(FormFaultKind::Value)
    );
    let long = "a".repeat(VALUE + 1);
    let text = form(&[(&named("model"), &long)]);
    let too_much = FormFaultKind::TooMuch("large a governed part");
    assert_eq!(read(text.as_bytes()), Err(too_much));
    let longest = "a".repeat(VALUE);
    assert!(read(form(&[(&named("model"), &longest)]).as_bytes()).is_ok());
}

#[test]
fn heads_that_could_be_read_differently_are_refused() {
    for head in [
        "",
        "Content-Type: text/plain",
        "Content-Disposition: attachment; name=\"model\"",
        "Content-Disposition: form-data",
        "Content-Disposition: form-data; name=\"\"",
        "Content-Disposition: form-data; name=\"a\"; name=\"model\"",
        "Content-Disposition: form-data; name=\"a\"; name*=UTF-8''model",
        "Content-Disposition: form-data; name=\"a\\\"; name=\\\"model\"",
        "Content-Disposition: form-data; name=\"a\"; filename=\"\\\"",
        "Content-Disposition: form-data; name='model'",
        "Content-Disposition: form-data; name=\"mod%65l\"",
        "Content-Disposition: form-data; name=\"mod&#101;l\"",
        "Content-Disposition: form-data; name=\"_charset_\"",
        "Content-Disposition: form-data; name=\"a\" x",
        "Content-Disposition: form-data; name=\"a",
        "Content-Disposition: form-data; name=\"a\"; x=y",
        "Content-Disposition : form-data; name=\"a\"",
        "Content-Disposition: form-data;\r\n name=\"a\"",
        "Content-Disposition: form-data; name=\"a\"\nContent-Disposition: form-data; name=\"model\"",
        "Content-Disposition: form-data; name=\"a\"\r\nContent-Disposition: form-data; name=\"model\"",
        "Content-Disposition: form-data; name=\"a\"\r\nContent-Transfer-Encoding: base64",
        "Content-Disposition: form-data; name=\"a\"\r\nContent-Type: multipart/mixed; boundary=b",
        "Content-Disposition: form-data; name=\"a\"\r\nX-Other: 1",
        "Content-Disposition: form-data; name=\"m\u{f6}del\"",
    ] {
        let read = read(form(&[(head, "v")]).as_bytes());
        assert!(
            matches!(read, Err(FormFaultKind::Head(_))),
            "{head:?}: {read:?}"
        );
    }
}

#[test]
fn where_parts_end_is_no_matter_of_opinion() {
    let model = format!("---a-\r\n{}\r\n\r\nm\r\n", named("model"));
    for (text, expected) in [
        (String::new(), FormFaultKind::Ends),
        (model.clone(), FormFaultKind::Ends),
        (format!("{model}---a-"), FormFaultKind::Ends),
        (format!("{model}---a--"), FormFaultKind::Ends),
        (format!("x\r\n{model}---a---"), FormFaultKind::Outside),
        (format!("\r\n{model}---a---"), FormFaultKind::Outside),
        (format!("{model}---a---\r\nx"), FormFaultKind::Outside),
        (format!("{model}---a---x"), FormFaultKind::Outside),
        // With a space behind it, without a line of its own, with half a line end, with more behind it.
        (format!("{model}---a- \r\n"), FormFaultKind::Boundary),
        (format!("{model}---a-x\r\n"), FormFaultKind::Boundary),
        (format!("{model}---a-\nContent"), FormFaultKind::Boundary),
        // In the head of a part.
        (
            format!(
                "---a-\r\nContent-Type: text/plain; x=---a---\r\n{}\r\n\r\nm\r\n---a---",
                named("x")
            ),
            FormFaultKind::Boundary,
        ),
        (
            format!("---a-\r\n{}\r\n\r\nm---a---", named("x")),
            FormFaultKind::Boundary,
        ),
        (
            format!("---a-\r\n{}\r\n\r\nm\n---a---", named("x")),
            FormFaultKind::Boundary,
        ),
        (
            format!("---a-\r\n{}\r\n\r\nm\r---a---", named("x")),
            FormFaultKind::Boundary,
        ),
        (
            format!("---a-\r\n{}\r\n\r\n---a---", named("x")),
            FormFaultKind::Boundary,
        ),
        (
            format!("---a-\r\n{}\r\n\r\nm\r\n----a---", named("x")),
            FormFaultKind::Boundary,
        ),
    ] {
        assert_eq!(read(text.as_bytes()), Err(expected), "{text:?}");
    }
    let many = format!(
        "{}---a---",
        "---a-\r\nContent-Disposition: form-data; name=x\r\n\r\n\r\n".repeat(PARTS + 1)
    );
    assert_eq!(
        read(many.as_bytes()),
        Err(FormFaultKind::TooMuch("many parts"))
    );
    let head = format!(
        "Content-Disposition: form-data; name=x; filename=\"{}\"",
        "f".repeat(HEAD)
    );
    assert!(matches!(
        read(form(&[(&head, "")]).as_bytes()),
        Err(FormFaultKind::TooMuch(_))
    ));
}

#[test]
fn the_content_type_says_the_boundary_and_nothing_else() {
    let of = |text: &str| {
        Boundary::of(text.as_bytes()).map(|it| String::from_utf8(it.0.into()).unwrap())
    };
    for (text, expected) in [
        ("multipart/form-data; boundary=abc", "--abc"),
        ("Multipart/Form-Data;BOUNDARY=\"a:b\"", "--a:b"),
        (
            "multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxk",
            "------WebKitFormBoundary7MA4YWxk",
        ),
    ] {
        assert_eq!(of(text).as_deref(), Some(expected), "{text}");
    }
    let long = format!("multipart/form-data; boundary={}", "a".repeat(71));
    for text in [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=a b",
        "multipart/form-data; boundary=\"a \"",
        "multipart/form-data; boundary=\"a\\b\"",
        "multipart/form-data; boundary=a; boundary=b",
        "multipart/form-data; charset=utf-8; boundary=a",
        "multipart/mixed; boundary=a",
        "multipart/form-datax; boundary=a",
        &long,
    ] {
        assert_eq!(of(text), None, "{text}");
    }
}

proptest! {
    /// Whatever is written into parts comes out, unless it holds the boundary.
    #[test]
    fn forms_survive_being_written(parts in prop::collection::vec(("[b-m]{1,8}", prop::collection::vec(any::<u8>(), 0..40)), 0..6), model in "[!-~]{1,20}") {
        let mut body = format!("---a-\r\n{}\r\n\r\n{model}\r\n", named("model")).into_bytes();
        for (name, content) in &parts {
            body.extend(format!("---a-\r\nContent-Disposition: form-data; name=\"x{name}\"; filename=f\r\n\r\n").bytes());
            body.extend(content);
            body.extend(b"\r\n");
        }
        body.extend(b"---a---\r\n");
        let clear = |text: &[u8]| !text.windows(5).any(|window| window == b"---a-");
        if parts.iter().all(|(_, content)| clear(content)) && clear(model.as_bytes()) {
            let read = read(&body).unwrap();
            prop_assert_eq!(values(&read), vec![("model", model.as_str())]);
            prop_assert_eq!(read.files, parts.len() as u64);
        }
    }

    /// Near-misses of all kinds: the same in any pieces, and no boundary unseen.
    #[test]
    fn any_soup_reads_alike_in_any_pieces(soup in prop::collection::vec(prop::sample::select(vec![
        "---a-", "--", "-", "a", "\r\n", "\r", "\n", "\r\n\r\n", "Content-Disposition: form-data; name=\"model\"",
        "Content-Disposition: form-data; name=\"f\"; filename=\"f\"", "x", " ", "---a-\r\n", "\r\n---a-\r\n", "\r\n---a---",
    ]), 0..24), cut in any::<u8>()) {
        let mut data = vec![cut];
        data.extend(soup.concat().bytes());
        fuzz_form(&data);
        let begun = [&[cut][..], b"---a-\r\nContent-Disposition: form-data; name=f\r\n\r\n", soup.concat().as_bytes()].concat();
        fuzz_form(&begun);
    }
}
