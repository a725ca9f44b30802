//! A call to a running sidecar's admin socket. Must never wait without a limit.

use std::path::{Path, PathBuf};
use std::time::Duration;

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

/// Calls, and returns whether it was done, and what was said.
///
/// # Errors
/// If nobody answers there.
pub async fn call(socket: &Path, method: &str, path: &str) -> Result<(bool, String), Error> {
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
    Ok((done, body.to_owned()))
}

async fn exchange(socket: &Path, method: &str, path: &str) -> Result<Vec<u8>, Error> {
    let mut stream = host::unix_connect(socket).await.map_err(|error| {
        Error::Call(format!(
            "{error}; hint: is the sidecar running, and with this state directory?"
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
