//! The simulated model upstream on a port of its own. Must never be mistaken for a provider: its answers say
//! what they are.

use std::net::SocketAddr;
use std::sync::Arc;

use hyper_util::rt::TokioIo;

use super::Error;
use crate::host::{self, Accepted, TcpListener};
use crate::process::{ProcessEvent, tell};
use crate::simulator::{Script, Simulator, serve_connection};

/// Starts a simulator at `address` and returns where it listens. Must run inside a runtime.
///
/// # Errors
/// If the address cannot be bound.
pub fn simulator(address: SocketAddr, script: Script) -> Result<SocketAddr, Error> {
    let mut listener = TcpListener::bind(address)?;
    let address = listener.address();
    let simulator = Arc::new(Simulator::new(script));
    host::spawn("simulator-listener", async move {
        loop {
            match listener.accept().await {
                Accepted::Connection((stream, _peer)) => {
                    let served = serve_connection(TokioIo::new(stream), Arc::clone(&simulator));
                    host::spawn("simulator-connection", served);
                }
                Accepted::Resting { pause, error } => {
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
