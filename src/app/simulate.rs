//! The simulated model upstream on a port of its own. Must never be mistaken for a provider: its answers say
//! what they are.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use hyper_util::rt::TokioIo;

use super::Error;
use crate::host::{self, Accepted, TcpListener};
use crate::process::{ProcessEvent, tell};
use crate::simulator::{Rules, Simulator, serve_connection};

/// Reads a file of rules, and the transcripts that stand beside it.
///
/// # Errors
/// If a file cannot be read, or a line is no rule.
pub fn simulator_rules(file: &Path) -> Result<Rules, Error> {
    let text = std::fs::read_to_string(file)
        .map_err(|why| Error::Usage(format!("cannot read `{}`: {why}", file.display())))?;
    let beside = |name: &str| {
        let path = file.with_file_name(name);
        std::fs::read(&path).map_err(|why| format!("cannot read `{}`: {why}", path.display()))
    };
    Rules::parse(&text, beside)
        .map_err(|problem| Error::Usage(format!("`{}`, {problem}", file.display())))
}

/// Starts a simulator at `address` and returns where it listens. Must run inside a runtime.
///
/// # Errors
/// If the address cannot be bound.
pub fn simulator(address: SocketAddr, simulator: Simulator) -> Result<SocketAddr, Error> {
    let mut listener = TcpListener::bind(address)?;
    let address = listener.address();
    let simulator = Arc::new(simulator);
    host::spawn("simulator-listener", async move {
        loop {
            match listener.accept().await {
                Accepted::Connection((stream, _peer)) => {
                    let served = serve_connection(TokioIo::new(stream), Arc::clone(&simulator));
                    host::spawn("simulator-connection", async move {
                        if let Some(broken) = served.await {
                            // Fails only if the peer was faster.
                            let _ = broken.into_inner().set_zero_linger();
                        }
                    });
                }
                Accepted::Resting { pause, error, .. } => {
                    tell(ProcessEvent::AcceptBackoff {
                        role: "simulator",
                        pause,
                        why: &error,
                    });
                }
                Accepted::Failed(error) => {
                    tell(ProcessEvent::AcceptFailed {
                        role: "simulator",
                        why: &error,
                    });
                    return;
                }
            }
        }
    });
    Ok(address)
}
