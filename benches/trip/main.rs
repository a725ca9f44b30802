//! The trip's price: direct, a bare hyper proxy and Outrigger with everything on, side by side in one run.
//!
//! Owns the command line and the order of the measurements. Clocks drift on shared machines, so nothing
//! here is judged by an absolute number: the three are measured in turns, and the verdict is the ratio
//! within a round. It must never count an answer that was not compared, byte for byte, with what was sent.
#![allow(
    clippy::cast_precision_loss,
    clippy::float_arithmetic,
    reason = "measured counts become ratios only to be printed"
)]
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a measuring program uses real clocks and its own sockets"
)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the table on stdout is the product; progress goes to stderr"
)]

mod bare;
mod client;
mod histogram;
mod observe;
mod own_proof;
mod phases;
mod report;
mod scan;
mod subject;
mod traffic;
mod upstream;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::phases::{Bench, Shape};
use crate::report::Purpose;
use crate::subject::{Kind, Third};

fn main() -> ExitCode {
    let args = Args::parse();
    let outcome = match &args.role {
        Some(Role::Bare(role)) => bare::serve(role.listen, role.upstream, &role.ready_file),
        None => measure(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("trip: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Everything, in order: one-off measurements on fresh processes first, then the rounds, then the tracers.
fn measure(args: &Args) -> io::Result<()> {
    own_proof::prove()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let shape = args.shape();
    let upstream = runtime.block_on(upstream::Upstream::start(traffic::SLOTS))?;
    let third = match (&args.outrigger, args.twin) {
        (_, true) => Third::Twin,
        (Some(path), false) => Third::Outrigger(path.clone()),
        (None, false) => Third::Outrigger(PathBuf::from(BUILT)),
    };
    let bench = Bench::new(
        runtime,
        upstream,
        shape,
        third,
        args.tenants,
        args.profiles.clone(),
    )?;
    if args.reloads {
        print!("{}", bench.reloads()?);
        return Ok(());
    }
    let mut report = report::Report::new(args.purpose(), &shape);

    for kind in args.kinds() {
        report.start(kind, bench.starts(kind)?);
    }
    let mut running = args
        .kinds()
        .map(|kind| bench.launch(kind))
        .collect::<io::Result<Vec<_>>>()?;
    bench.rounds(&mut running, &mut report)?;
    for subject in &running {
        report.syscalls(subject.kind(), bench.syscalls(subject)?);
    }
    for subject in running {
        report.settled(subject.kind(), bench.settle(subject)?);
    }
    if !args.no_instructions {
        for kind in args.kinds().filter(|kind| *kind != Kind::Direct) {
            report.instructions(kind, bench.instructions(kind)?);
        }
    }

    print!("{}", report.table());
    if let Some(path) = &args.json {
        std::fs::write(path, format!("{:#}\n", report.json()))?;
    }
    Ok(())
}

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
struct Args {
    #[command(subcommand)]
    role: Option<Role>,

    /// Rounds; each measures every subject once, in a rotated order
    #[arg(long, default_value_t = 7)]
    rounds: usize,

    /// Seconds of each plain and each stream phase (the phase at concurrency 1 takes half)
    #[arg(long, default_value_t = 2.0, value_parser = seconds)]
    seconds: f64,

    /// Keep-alive connections in the plain phase
    #[arg(long, default_value_t = 32)]
    connections: usize,

    /// Concurrent streams in the stream phase
    #[arg(long, default_value_t = 16)]
    streams: usize,

    /// Requests per second offered in the plain phase, over all connections; absent means a closed loop
    #[arg(long)]
    rate: Option<u32>,

    /// Shorten all other phases, to look at plain requests with a profiler
    #[arg(long)]
    mostly_plain: bool,

    /// Which subjects to measure
    #[arg(long, value_delimiter = ',', default_value = "direct,bare,outrigger")]
    only: Vec<Kind>,

    /// The `outrigger` to measure; absent means the one cargo built for this bench
    #[arg(long)]
    outrigger: Option<PathBuf>,

    /// One short round that shows the harness works; prints no verdicts
    #[arg(long)]
    smoke: bool,

    /// Measure a second bare proxy in Outrigger's place: what the harness can and cannot tell apart
    #[arg(long)]
    twin: bool,

    /// Measure Outrigger alone, with and without a new configuration every 100 ms
    #[arg(long)]
    reloads: bool,

    /// Tenants in Outrigger's config, of which 100 speak
    #[arg(long, default_value_t = traffic::TENANTS)]
    tenants: usize,

    /// Leave out the instruction counts, which need valgrind and take a minute
    #[arg(long)]
    no_instructions: bool,

    /// Keep callgrind's profiles in this directory, for `callgrind_annotate`
    #[arg(long)]
    profiles: Option<PathBuf>,

    /// Also write everything measured to this file
    #[arg(long)]
    json: Option<PathBuf>,

    /// Given by `cargo bench`; means nothing
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Be the bare proxy
    #[command(hide = true)]
    Bare(BareRole),
}

#[derive(Debug, clap::Args)]
struct BareRole {
    #[arg(long)]
    listen: SocketAddr,
    #[arg(long)]
    upstream: SocketAddr,
    #[arg(long)]
    ready_file: PathBuf,
}

impl Args {
    fn purpose(&self) -> Purpose {
        match (self.smoke, self.twin) {
            (true, _) => Purpose::Smoke,
            (false, true) => Purpose::Twin,
            (false, false) => Purpose::Judge,
        }
    }

    fn shape(&self) -> Shape {
        let full = Shape {
            rounds: self.rounds.max(1),
            phase: Duration::from_secs_f64(self.seconds),
            connections: self.connections.clamp(1, traffic::SLOTS),
            streams: self.streams.clamp(1, traffic::SLOTS),
            rate: self.rate,
            mostly_plain: self.mostly_plain,
            starts: 9,
            traced_requests: 250,
            traced_streams: 10,
            counted: [64, 320],
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
    fn kinds(&self) -> impl Iterator<Item = Kind> + '_ {
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
