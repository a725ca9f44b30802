//! Signals as a stream of words. Must never do anything in a handler: tokio's only wakes this stream.

use std::future::poll_fn;
use std::task::Poll;

use tokio::signal::unix::{self, SignalKind};

use super::Error;

/// The signals Outrigger knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGHUP: reload.
    Hangup,
    /// SIGINT.
    Interrupt,
    /// SIGQUIT.
    Quit,
    /// SIGTERM: drain.
    Terminate,
    /// SIGUSR1.
    User1,
    /// SIGUSR2.
    User2,
    /// SIGWINCH: the terminal changed its size.
    Window,
}

impl Signal {
    /// What `serve` listens to.
    pub const CONTROL: [Self; 5] = [
        Self::Hangup,
        Self::Interrupt,
        Self::Quit,
        Self::Terminate,
        Self::User1,
    ];

    /// What `run` hands on to its child.
    pub const FORWARDED: [Self; 7] = [
        Self::Hangup,
        Self::Interrupt,
        Self::Quit,
        Self::Terminate,
        Self::User1,
        Self::User2,
        Self::Window,
    ];

    /// The name as signal(7) has it.
    pub const fn as_str(self) -> &'static str {
        self.number().as_str()
    }

    pub(super) const fn number(self) -> nix::sys::signal::Signal {
        match self {
            Self::Hangup => nix::sys::signal::SIGHUP,
            Self::Interrupt => nix::sys::signal::SIGINT,
            Self::Quit => nix::sys::signal::SIGQUIT,
            Self::Terminate => nix::sys::signal::SIGTERM,
            Self::User1 => nix::sys::signal::SIGUSR1,
            Self::User2 => nix::sys::signal::SIGUSR2,
            Self::Window => nix::sys::signal::SIGWINCH,
        }
    }
}

/// The signals that arrive, one after another. Several of a kind that arrive together may be told once, as with the
/// kernel itself. From the first `listen` on, the default action of these signals is gone for the whole process.
#[derive(Debug)]
pub struct Signals {
    streams: Vec<(Signal, unix::Signal)>,
}

impl Signals {
    /// Begins to listen. Must run inside a runtime.
    pub fn listen(wanted: &[Signal]) -> Result<Self, Error> {
        let streams = wanted
            .iter()
            .map(|&signal| {
                let kind = SignalKind::from_raw(signal.number() as i32);
                unix::signal(kind)
                    .map(|stream| (signal, stream))
                    .map_err(|source| Error::new("listen for signal", signal.as_str(), source))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { streams })
    }

    /// The next one. May be dropped and called again without losing any.
    pub async fn next(&mut self) -> Signal {
        poll_fn(|context| {
            for (signal, stream) in &mut self.streams {
                if stream.poll_recv(context).is_ready() {
                    return Poll::Ready(*signal);
                }
            }
            Poll::Pending
        })
        .await
    }
}
