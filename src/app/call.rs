//! A call to a running sidecar's admin socket. Must never wait without a limit.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::Error;
use super::boot::state_directory;
use crate::config::defaults::ADMIN_SOCKET;
use crate::host;

/// A reload of thousands of tenants takes a moment; more than this is a sidecar in trouble.
const LIMIT: Duration = Duration::from_secs(30);
const ANSWER: u64 = 16 << 20;

/// Where the admin socket of a sidecar with that state directory is, unless its configuration moved it.
pub fn admin_socket(state: Option<&Path>) -> PathBuf {
    state_directory(state).join(ADMIN_SOCKET)
}

/// What a sidecar answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whether it did what it was asked.
    pub done: bool,
    /// The answer, as JSON on one line.
    pub text: String,
    /// Why not, for people; taken out of `text`.
    pub problems: Option<String>,
}

/// Calls.
///
/// # Errors
/// If nobody answers there.
pub async fn call(socket: &Path, method: &str, path: &str) -> Result<Answer, Error> {
    let answer = timeout(LIMIT, exchange(socket, method, path))
        .await
        .map_err(|_| Error::Call(format!("`{}` did not answer in time", socket.display())))??;
    let text = String::from_utf8_lossy(&answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return Err(Error::Call(format!(
            "`{}` answered in another language",
            socket.display()
        )));
    };
    let done = head
        .split(' ')
        .nth(1)
        .is_some_and(|status| status.starts_with('2'));
    let (text, problems) = apart(body);
    Ok(Answer {
        done,
        text,
        problems,
    })
}

/// The report of a configuration is many lines long, and no text to be read inside a JSON string.
fn apart(body: &str) -> (String, Option<String>) {
    let Ok(Value::Object(mut members)) = serde_json::from_str(body) else {
        return (body.to_owned(), None);
    };
    match members.remove("problems") {
        Some(Value::String(problems)) => (Value::Object(members).to_string(), Some(problems)),
        _ => (body.to_owned(), None),
    }
}

async fn exchange(socket: &Path, method: &str, path: &str) -> Result<Vec<u8>, Error> {
    let mut stream = host::unix_connect(socket).await.map_err(|error| {
        Error::Call(format!(
            "{error}\nhint: is a sidecar running, and with this state directory? `--state` or `--socket` say where else to look"
        ))
    })?;
    let broken = |error: std::io::Error| Error::Call(format!("`{}`: {error}", socket.display()));
    let request =
        format!("{method} {path} HTTP/1.0\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(broken)?;
    let mut answer = Vec::new();
    stream
        .take(ANSWER)
        .read_to_end(&mut answer)
        .await
        .map_err(broken)?;
    Ok(answer)
}
