//! The limits room under loom. Must never hold a model: those stand in the room, beside what they prove.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "the room serves the product; only its models run here"
)]

#[path = "../../src/limits/mod.rs"]
pub mod limits;
#[path = "../../src/units/mod.rs"]
pub mod units;
