//! The trip's price: direct, a bare hyper proxy, nginx, `HAProxy` and Outrigger with everything on, side by side in one run.
//!
//! Owns the order of the measurements. Clocks drift on shared machines, so nothing
//! here is judged by an absolute number: all are measured in turns, and the verdict is the ratio
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

mod args;
mod bare;
mod client;
mod histogram;
mod observe;
mod own_proof;
mod phases;
mod places;
mod price;
mod profile;
mod report;
mod scan;
mod subject;
mod traffic;
mod upstream;
mod wires;

use std::io;
use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Args, Role};
use crate::phases::Bench;
use crate::subject::Kind;
use crate::wires::Wires;

fn main() -> ExitCode {
    let args = Args::parse();
    let outcome = match &args.role {
        Some(Role::Bare(role)) => {
            let wires = Wires::new(role.h2, role.tls);
            bare::serve(role.listen, role.upstream, wires, &role.ready_file)
        }
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
    let bench = Bench::new(
        runtime,
        upstream,
        shape,
        args.third(),
        args.tenants,
        args.profiles.clone(),
    )?;
    if args.reloads {
        print!("{}", bench.reloads()?);
        return Ok(());
    }
    if args.steps {
        print!("{}", bench.steps()?);
        return Ok(());
    }
    let (kinds, missing): (Vec<Kind>, Vec<Kind>) = args
        .kinds()
        .partition(|kind| kind.missing(shape.wires).is_none());
    let mut report = report::Report::new(args.purpose(), &shape, &kinds);
    for kind in missing {
        report.skipped(kind, kind.missing(shape.wires).unwrap_or_default());
    }

    for kind in &kinds {
        report.start(*kind, bench.starts(*kind)?);
    }
    let mut running = kinds
        .iter()
        .map(|kind| bench.launch(*kind))
        .collect::<io::Result<Vec<_>>>()?;
    bench.rounds(&mut running, &mut report)?;
    for subject in &running {
        report.syscalls(subject.kind(), bench.syscalls(subject)?);
    }
    for subject in running {
        report.settled(subject.kind(), bench.settle(subject)?);
    }
    if !args.no_instructions {
        for kind in kinds.iter().filter(|kind| **kind != Kind::Direct) {
            report.instructions(*kind, bench.instructions(*kind)?);
        }
    }

    print!("{}", report.table());
    if let Some(path) = &args.json {
        std::fs::write(path, format!("{:#}\n", report.json()))?;
    }
    Ok(())
}
