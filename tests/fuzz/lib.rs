//! The parsing rooms, compiled once more with coverage. Must never hold a fuzz body: those stand in their rooms, where
//! `cargo test` replays the corpus through the same functions.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "the rooms serve the product; only the fuzz bodies are used here"
)]

#[path = "../../src/config/mod.rs"]
pub mod config;
/// Only what reads bytes of it.
#[path = "../../src/journal"]
pub mod journal {
    pub mod format;
}
#[path = "../../src/units/mod.rs"]
pub mod units;
#[path = "../../src/wire/mod.rs"]
pub mod wire;
