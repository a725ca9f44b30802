//! Outrigger: a sidecar that makes the tenant the spine of everything an AI agent does.
#![doc = include_str!("ARCHITECTURE.md")]

// Floor 0: values.
pub mod units;

// Floor 1: bytes in, facts out; text in, configuration out; Linux.
pub mod config;
pub mod host;
pub mod wire;

// Floor 2: machinery that knows no tenant's policy.
pub mod limits;
pub mod meters;
pub mod prices;
pub mod process;
pub mod simulator;

// Floor 3: the immutable world.
pub mod snapshot;

// Floor 4: the spine of a request.
pub mod spine;

// Floor 5: the way out, and what is written down.
pub mod journal;
pub mod upstream;

// Floor 6: the trip, and what is read of its records.
pub mod trip;
pub mod views;

// Floor 7: the edge.
pub mod edge;

// Floor 8: assembly and the command line.
pub mod app;
pub mod cli;
