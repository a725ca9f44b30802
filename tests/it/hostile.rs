//! Hostile callers, over raw sockets against a real sidecar process: what must be refused is refused with one clear
//! answer in the provider's shape and nothing of it reaches the upstream; whoever claims to be another tenant is not
//! believed; secrets stay where they belong. Must never pass because a connection failed: each case needs its answer.

#![expect(
    clippy::disallowed_methods,
    clippy::too_many_lines,
    reason = "threads stand in for other processes, and tables of cases are long"
)]

mod answers;
mod bodies;
mod doors;
mod escapes;
mod heads;
mod house;
mod liar;
mod requests;
mod secrets;
mod spoofs;
mod upstreams;
