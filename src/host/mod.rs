//! Floor 1, Linux facts: sockets, clock, ids, signals, tasks, children, files, and the hardening of the process.
//! The only place that touches `tokio::net`, starts a task or uses `unsafe`. Must never know a tenant or a request.

pub mod child;
pub mod clock;
pub mod durable;
pub mod error;
pub mod files;
pub mod handed;
pub mod hardening;
pub mod ids;
pub mod memory;
pub mod mounts;
pub mod net;
pub mod notify;
mod priority;
pub mod proc;
pub mod signals;
pub mod tasks;
pub mod watch;

#[cfg(test)]
mod tests;

pub use child::{Child, Exit, Launch};
pub use clock::SystemClock;
pub use error::Error;
pub use handed::{HandedListener, HandedSockets};
pub use ids::SystemIds;
pub use net::{
    Accepted, ConnectError, Peer, Readable, TcpListener, TcpStream, UNKNOWN_USER, UnixListener,
    UnixStream, connect, unix_connect,
};
pub use notify::{Notifier, watchdog};
pub use proc::ProcessFacts;
pub use signals::{Signal, Signals};
pub use tasks::{
    AbortHandle, Answer, JoinError, JoinHandle, Runtime, aside, blocking, spawn, spawn_if_running,
    thread,
};
pub use watch::Watcher;
