//! The proof of the prices: a profile whose steps are known is split as it must be, and one that lost something is noticed.

use std::io;

use super::demand;
use crate::places;
use crate::price::{Step, price};
use crate::profile::Profile;

/// A connection that serves two steps, an allocator that one step and the connection call, and a runtime that is no step's.
const PROFILE: &str = "# callgrind format
version: 1
positions: instr line
events: Ir
summary: 80

ob=(1) /opt/program
fl=(1) ???
fn=(1) connection
0x100 0 10
cob=(2) /lib/libc.so.6
cfn=(3) malloc
calls=1 0x900 0
* 0 6
+4 7 5
cfn=(2) serve
calls=1 0x200 0
-4 0 60

fn=(2)
0x200 0 20
+8 9 6
cob=(2)
cfn=(3)
calls=2 0x900 0
* 9 34

ob=(2)
fn=(3)
0x900 0 40

totals: 81
";

const PLACES: &str = "0x0000000000000100
outrigger::edge::conn::http1::{{closure}}::h0123456789abcdef
/home/me/src/outrigger/src/edge/conn.rs:46
0x0000000000000104
tokio::runtime::task::core::poll::h0123456789abcdef
/home/me/.cargo/registry/src/index-1/tokio-1.54.0/src/runtime/task/core.rs:7
0x0000000000000200
push
/rustc/0123/library/alloc/src/vec/mod.rs:9 (discriminator 3)
scan
src/wire/json_scan/scanner.rs:7
peek
/home/me/src/outrigger/src/trip/peek.rs:12
0x0000000000000208
tally
/home/me/src/outrigger/src/trip/record.rs:331
outrigger::trip::meter::MeteredBody::poll_next::h0123456789abcdef
/home/me/src/outrigger/src/trip/meter.rs:107
";

/// See the head of this file.
pub(super) fn prove() -> io::Result<()> {
    let places = places::read(PLACES).unwrap_or_default();
    demand(places.len() == 4, "addresses are found in their sources")?;
    let mut profile = Profile::default();
    profile.add(PROFILE, 3)?;
    profile.add(PROFILE, -1)?;
    let found = price(&profile, "/opt/program", &places);
    for (step, cost) in [
        (Some(Step::Edge), 16.0),
        (Some(Step::Peek), 20.0),
        (Some(Step::Meter), 40.0),
        (Some(Step::Record), 0.0),
        (None, 5.0),
    ] {
        let is_right = (found.steps.get(&step).copied().unwrap_or(0.0) - 2.0 * cost).abs() < 1e-6;
        demand(is_right, &format!("{step:?} costs what it does"))?;
    }
    for (room, cost) in [
        ("src/edge/conn", 10.0),
        ("tokio", 5.0),
        ("src/wire/json_scan", 20.0),
        ("libc.so.6, without source", 40.0),
    ] {
        let is_right = (found.rooms.get(room).copied().unwrap_or(0.0) - 2.0 * cost).abs() < 1e-6;
        demand(is_right, &format!("{room} costs what it does"))?;
    }
    let unknown = price(&profile, "/opt/another", &places);
    demand(
        unknown.steps.keys().all(Option::is_none),
        "what has no source is no step's",
    )?;
    for (from, to, what) in [
        ("+8 9 6", "+8 9 7", "a changed cost is noticed"),
        ("+8 9 6\n", "", "a lost cost is noticed"),
        ("fn=(1) connection\n", "", "a lost function is noticed"),
        ("(2) serve", "(2)", "a function without a name is noticed"),
        ("instr line", "line", "a profile by line is noticed"),
        ("totals: 81", "", "a profile without a sum is noticed"),
    ] {
        let spoiled = PROFILE.replacen(from, to, 1);
        let taken = Profile::default().add(&spoiled, 1);
        demand(spoiled != PROFILE && taken.is_err(), what)?;
    }
    demand(
        places::read("0x100\nlonely\n").is_none(),
        "a frame without a file is noticed",
    )
}
