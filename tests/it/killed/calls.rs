//! The callers, who know what they have been told. Must never ask twice under one name.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::upstream::{Billed, number_of};
use crate::stage::{END, field, find, post};

const CHAT: &str = "/openai/v1/chat/completions";

/// What one caller saw in one life of the sidecar, in order.
#[derive(Default)]
pub(super) struct Told {
    pub(super) sent: Vec<String>,
    /// Those whose answer came to its end.
    pub(super) whole: HashSet<String>,
    /// Those that were refused because they could not be recorded.
    pub(super) refused: HashSet<String>,
}

/// Calls one after the other over one connection, until that breaks.
pub(super) async fn call(
    at: SocketAddr,
    tenant: &'static str,
    name: String,
    billed: Arc<Billed>,
) -> Told {
    let mut told = Told::default();
    let Ok(mut stream) = TcpStream::connect(at).await else {
        return told;
    };
    for number in 0.. {
        let id = format!("{name}n{number}");
        let body = if number_of(&id).is_multiple_of(2) {
            format!(
                r#"{{"model":"m","max_tokens":64,"messages":[{{"role":"user","content":"{id}. Tell me all of it."}}]}}"#
            )
        } else {
            format!(
                r#"{{"model":"m","stream":true,"messages":[{{"role":"user","content":"{id}. Tell me all of it."}}]}}"#
            )
        };
        let request = String::from_utf8(post(CHAT, &body)).expect("a text");
        let who = format!("\r\nauthorization: Bearer {tenant}\r\noutrigger-session: {id}\r\n\r\n");
        told.sent.push(id.clone());
        let pace = billed.pace(&id);
        let request = request.replacen("\r\n\r\n", &who, 1);
        match exchange(&mut stream, request.as_bytes(), &pace).await {
            None => return told,
            Some(answer) if answer.starts_with("HTTP/1.1 200 ") => {
                if answer.contains("\"usage\"") || answer.contains("[DONE]") {
                    told.whole.insert(id);
                } else {
                    let end = &answer[answer.len().saturating_sub(600)..];
                    assert!(answer.contains("cannot be recorded"), "{id}: {end}");
                    let behind = answer.rsplit("cannot be recorded").next();
                    assert!(
                        behind.is_none_or(|rest| !rest.contains("delta")),
                        "{id}: {end}"
                    );
                    billed.cut(id);
                }
            }
            Some(answer) => {
                let head = answer.lines().next().unwrap_or_default();
                let code = field(&answer, "outrigger-code");
                assert_eq!(code, Some("journal-unavailable"), "{head}");
                told.refused.insert(id);
                // Whoever is refused is in no hurry.
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
    }
    told
}

/// One question and its answer; none if the connection broke.
pub(super) async fn exchange(
    stream: &mut TcpStream,
    request: &[u8],
    pace: &Semaphore,
) -> Option<String> {
    stream.write_all(request).await.ok()?;
    let mut got = Vec::new();
    let mut pieces = 0;
    loop {
        if !matches!(stream.read_buf(&mut got).await, Ok(read) if read > 0) {
            return None;
        }
        let text = String::from_utf8_lossy(&got);
        let now = text.matches("\"content\":\"word").count();
        pace.add_permits(now - pieces);
        pieces = now;
        let Some(at) = find(&got, b"\r\n\r\n") else {
            continue;
        };
        let is_whole = match field(&text[..at], "content-length") {
            Some(length) => got.len() >= at + 4 + length.parse::<usize>().expect("a length"),
            None => got.ends_with(END),
        };
        if is_whole {
            return Some(text.into_owned());
        }
    }
}
