//! The command line. It must never let a run be asked for that its table would not own up to.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::phases::Shape;
use crate::report::Purpose;
use crate::subject::{Kind, Third};
use crate::traffic;
use crate::wires::{Side, Wires};

/// The program cargo built beside this one.
const BUILT: &str = match option_env!("CARGO_BIN_EXE_outrigger") {
    Some(path) => path,
    None => "target/release/outrigger",
};

/// Compares direct, a bare hyper proxy and Outrigger in interleaved rounds.
#[derive(Debug, Parser)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
#[command(name = "trip", disable_help_subcommand = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) role: Option<Role>,

    /// Rounds; each measures every subject once, in a rotated order
    #[arg(long, default_value_t = 7)]
    pub(crate) rounds: usize,

    /// Seconds of each plain and each stream phase (the phase at concurrency 1 takes half)
    #[arg(long, default_value_t = 2.0, value_parser = seconds)]
    pub(crate) seconds: f64,

    /// Keep-alive connections in the plain phase
    #[arg(long, default_value_t = 32)]
    pub(crate) connections: usize,

    /// Concurrent streams in the stream phase
    #[arg(long, default_value_t = 16)]
    pub(crate) streams: usize,

    /// Requests per second offered in the plain phase, over all connections; absent means a closed loop
    #[arg(long)]
    pub(crate) rate: Option<u32>,

    /// Speak HTTP/2 on one side of the subjects or on both; nginx has it for clients only
    #[arg(long, value_name = "SIDE", num_args = 0..=1, default_missing_value = "both")]
    pub(crate) h2: Option<Side>,

    /// Reach the upstream over TLS
    #[arg(long)]
    pub(crate) tls: bool,

    /// Shorten all other phases, to look at plain requests with a profiler
    #[arg(long)]
    pub(crate) mostly_plain: bool,

    /// Which subjects to measure; nginx and haproxy only if they are installed
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "direct,bare,nginx,haproxy,outrigger"
    )]
    pub(crate) only: Vec<Kind>,

    /// The `outrigger` to measure; absent means the one cargo built for this bench
    #[arg(long)]
    pub(crate) outrigger: Option<PathBuf>,

    /// One short round that shows the harness works; prints no verdicts
    #[arg(long)]
    pub(crate) smoke: bool,

    /// Measure a second bare proxy in Outrigger's place: what the harness can and cannot tell apart
    #[arg(long)]
    pub(crate) twin: bool,

    /// Measure Outrigger alone, with and without a new configuration every 100 ms
    #[arg(long)]
    pub(crate) reloads: bool,

    /// Show what each step of the trip costs in instructions, and nothing else; needs valgrind
    #[arg(long, conflicts_with = "reloads")]
    pub(crate) steps: bool,

    /// Tenants in Outrigger's config, of which 100 speak
    #[arg(long, default_value_t = traffic::TENANTS)]
    pub(crate) tenants: usize,

    /// Leave out the instruction counts, which need valgrind and take a minute
    #[arg(long)]
    pub(crate) no_instructions: bool,

    /// Keep callgrind's profiles in this directory, for `callgrind_annotate`
    #[arg(long)]
    pub(crate) profiles: Option<PathBuf>,

    /// Also write everything measured to this file
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,

    /// Given by `cargo bench`; means nothing
    #[arg(long, hide = true)]
    pub(crate) bench: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Role {
    /// Be the bare proxy
    #[command(hide = true)]
    Bare(BareRole),
}

#[derive(Debug, clap::Args)]
pub(crate) struct BareRole {
    #[arg(long)]
    pub(crate) listen: SocketAddr,
    #[arg(long)]
    pub(crate) upstream: SocketAddr,
    #[arg(long)]
    pub(crate) h2: Option<Side>,
    #[arg(long)]
    pub(crate) tls: bool,
    #[arg(long)]
    pub(crate) ready_file: PathBuf,
}

impl Args {
    pub(crate) fn purpose(&self) -> Purpose {
        match (self.smoke, self.twin) {
            (true, _) => Purpose::Smoke,
            (false, true) => Purpose::Twin,
            (false, false) => Purpose::Judge,
        }
    }

    /// What runs in Outrigger's place.
    pub(crate) fn third(&self) -> Third {
        match (&self.outrigger, self.twin) {
            (_, true) => Third::Twin,
            (Some(path), false) => Third::Outrigger(path.clone()),
            (None, false) => Third::Outrigger(PathBuf::from(BUILT)),
        }
    }

    pub(crate) fn shape(&self) -> Shape {
        let full = Shape {
            rounds: self.rounds.max(1),
            phase: Duration::from_secs_f64(self.seconds),
            connections: self.connections.clamp(1, traffic::SLOTS),
            streams: self.streams.clamp(1, traffic::SLOTS),
            rate: self.rate,
            wires: Wires::new(self.h2, self.tls),
            mostly_plain: self.mostly_plain,
            starts: 9,
            traced_requests: 250,
            traced_streams: 10,
            counted: [64, 832],
        };
        if !self.smoke {
            return full;
        }
        Shape {
            rounds: 1,
            phase: Duration::from_millis(200),
            starts: 1,
            traced_requests: 20,
            traced_streams: 1,
            counted: [8, 24],
            ..full
        }
    }

    /// The subjects asked for, always in the order of the table.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = Kind> + '_ {
        Kind::ALL
            .into_iter()
            .filter(|kind| self.only.contains(kind))
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value <= 600.0 => Ok(value),
        Ok(_) | Err(_) => Err("a number of seconds above 0, at most 600".to_owned()),
    }
}
