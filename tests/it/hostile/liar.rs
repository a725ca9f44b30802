//! An upstream that answers as it is told, and a caller that takes what comes by the letter.
//! Must never take an answer that can be read in two ways for either.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use super::house::{ACME, House, PLAIN, field, fields, find, post_with};

const PATH: &str = "/openai/v1/chat/completions";

/// An upstream that answers as it is told, by the number in `x-case`; without one, with what `x-echo` says.
struct Liar {
    at: SocketAddr,
    cases: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Liar {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let at = listener.local_addr().expect("its address");
        let cases = Arc::new(Mutex::new(Vec::<Vec<u8>>::new()));
        let told = Arc::clone(&cases);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let told = Arc::clone(&told);
                thread::spawn(move || lie(stream, &told));
            }
        });
        Self { at, cases }
    }

    /// Adds an answer; a number to ask for it by.
    fn learn(&self, answer: &[u8]) -> usize {
        let mut cases = self.cases.lock().expect("the cases");
        cases.push(answer.to_vec());
        cases.len() - 1
    }
}

/// Stands in an answer for the end of the connection.
pub(super) const CLOSE: &[u8] = b"<close>";

fn lie(mut stream: TcpStream, told: &Mutex<Vec<Vec<u8>>>) {
    let mut bytes = Vec::new();
    let mut space = [0; 4096];
    loop {
        let end = find(&bytes, b"\r\n\r\n").map(|at| at + 4);
        let head = end.map(|end| String::from_utf8_lossy(&bytes[..end]).into_owned());
        let length = head
            .as_deref()
            .and_then(|head| field(head, "content-length"))
            .map_or(0, |text| text.parse().expect("a length"));
        match (end, head) {
            (Some(end), Some(head)) if bytes.len() >= end + length => {
                bytes.drain(..end + length);
                let number = field(&head, "x-case").map(str::parse::<usize>);
                let answer = match number.transpose().expect("a number") {
                    Some(number) => told.lock().expect("the cases")[number].clone(),
                    None => echo(field(&head, "x-echo").unwrap_or("nothing")),
                };
                let closes = answer.ends_with(CLOSE);
                let answer = answer.strip_suffix(CLOSE).unwrap_or(&answer);
                if stream.write_all(answer).is_err() || closes {
                    return;
                }
            }
            _ => match stream.read(&mut space) {
                Ok(read @ 1..) => bytes.extend_from_slice(&space[..read]),
                _ => return,
            },
        }
    }
}

/// A good answer that says this.
fn echo(word: &str) -> Vec<u8> {
    let body = format!("{{\"echo\":\"{word}\"}}");
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
}

/// What the caller made of it, by the letter.
#[derive(Debug, PartialEq, Eq)]
enum Saw {
    /// Our own word that the upstream failed.
    Refused,
    Whole(u16, String),
    /// Its framing does not come to an end.
    Broken,
    /// Its framing can be read in more than one way.
    Unclear(String),
}

fn ask(house: &House, field: &str) -> (Saw, String) {
    let fields = format!("authorization: Bearer {ACME}\r\nconnection: close\r\n{field}\r\n");
    let mut stream = house.connect();
    stream
        .write_all(&post_with(
            PATH,
            &fields,
            "{\"model\":\"m\",\"messages\":[]}",
        ))
        .expect("sent");
    let mut bytes = Vec::new();
    // A reset is an end too.
    let _ = stream.read_to_end(&mut bytes);
    (saw(&bytes), bytes.escape_ascii().to_string())
}

fn saw(bytes: &[u8]) -> Saw {
    let Some(end) = find(bytes, b"\r\n\r\n").map(|at| at + 4) else {
        return Saw::Unclear(format!("no answer: {}", bytes.escape_ascii()));
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    if head.starts_with("HTTP/1.1 1") {
        return saw(&bytes[end..]);
    }
    let status = head[9..12].parse().expect("a status");
    if field(&head, "outrigger-code").is_some() {
        return Saw::Refused;
    }
    let lengths: Vec<_> = fields(&head, "content-length").collect();
    let codings: Vec<_> = fields(&head, "transfer-encoding").collect();
    let is_number = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit());
    if lengths.len() + codings.len() > 1 || !lengths.iter().all(is_number) {
        return Saw::Unclear(head);
    }
    let length = lengths
        .first()
        .map(|text| text.parse::<usize>().expect("a length"));
    let chunked = codings.first().map(|text| (*text).to_owned());
    let rest = &bytes[end..];
    let body = match (length, chunked.as_deref()) {
        (Some(length), _) if rest.len() == length => Some(rest.to_vec()),
        (Some(_), _) => None,
        (None, Some("chunked")) => unchunked(rest),
        (None, other) => {
            assert!(
                other.is_none() && matches!(status, 204 | 304),
                "not framed: {head}"
            );
            Some(rest.to_vec())
        }
    };
    match body {
        Some(body) => Saw::Whole(status, String::from_utf8_lossy(&body).into_owned()),
        None => Saw::Broken,
    }
}

fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = find(rest, b"\r\n")?;
        let size = std::str::from_utf8(&rest[..line]).ok()?;
        let size = usize::from_str_radix(size, 16).expect("a size of ours");
        rest = &rest[line + 2..];
        if size == 0 {
            return rest.ends_with(b"\r\n").then_some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size + 2..)?;
    }
}

/// What may come of an answer.
pub(super) enum May<'a> {
    /// Only a refusal, or an answer that is visibly broken off.
    Fail,
    /// This body, whole.
    Be(&'a str),
    /// Either.
    FailOrBe(&'a str),
}

pub(super) fn trial(cases: &[(&str, Vec<u8>, May<'_>)], least: usize) {
    let liar = Liar::start();
    let house = House::with(&PLAIN.replace('@', &liar.at.to_string()));
    let mut failures = Vec::new();
    for (name, answer, may) in cases {
        let number = liar.learn(answer);
        let (came, bytes) = ask(&house, &format!("x-case: {number}"));
        let fine = match (may, &came) {
            (May::Fail | May::FailOrBe(_), Saw::Refused | Saw::Broken) => true,
            (May::Be(body) | May::FailOrBe(body), Saw::Whole(_, came)) => body == came,
            (_, Saw::Unclear(_))
            | (May::Fail, Saw::Whole(..))
            | (May::Be(_), Saw::Refused | Saw::Broken) => false,
        };
        if !fine {
            failures.push(format!(
                "{name}: {came:?}\n  {}\n  {bytes}",
                answer.escape_ascii()
            ));
        }
        for turn in 0..2 {
            let echo = format!("{number}-{turn}");
            let wanted = Saw::Whole(200, format!("{{\"echo\":\"{echo}\"}}"));
            let (next, bytes) = ask(&house, &format!("x-echo: {echo}"));
            if next != wanted {
                failures.push(format!(
                    "{name}: the next answer is {next:?}\n  {}\n  {bytes}",
                    answer.escape_ascii()
                ));
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {}:\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n---\n")
    );
    assert!(cases.len() >= least, "only {} cases", cases.len());
    let log = house.log(cases.len() * 3);
    let records = log
        .iter()
        .filter(|line| line.contains("\"message\":\"request\""))
        .count();
    assert_eq!(records, cases.len() * 3, "one record each");
}
