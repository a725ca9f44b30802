//! What the verbs need that only look: every problem of a configuration, and fresh secrets.
//! Must never start or contact anything.

use std::path::Path;
use std::sync::Arc;

use super::Error;
use super::boot::{Boot as BootFacts, Source};
use super::reload::compile_whole;
use super::who::proofs;
use crate::config::{Loaded, Problem};
use crate::meters::Registry;
use crate::snapshot::{Accounts, Overlay, TrustStore, World};
use crate::units::Boot;

/// Loads and compiles, and returns all problems, of the text and of what it means; and what proves whom, if that is said.
pub fn problems(source: &Source) -> (Loaded, Vec<Problem>, Option<String>) {
    let loaded = source.load();
    let world = World {
        accounts: Arc::new(Accounts::default()),
        registry: Arc::new(Registry::new(env!("CARGO_PKG_VERSION"), 0)),
        trust: Arc::new(TrustStore::default()),
    };
    let problems = match compile_whole(&loaded, &Overlay::default(), &world, 1, Boot::default()) {
        Ok(compiled) => {
            let sockets = BootFacts::of(&loaded.raw, Path::new("")).known_sockets();
            let proofs = proofs(compiled.snapshot(), &sockets);
            return (loaded, compiled.warnings, proofs);
        }
        Err(problems) => problems,
    };
    (loaded, problems, None)
}

/// 256 bits from the system's generator.
///
/// # Errors
/// If the system has none to give.
pub fn random_bytes() -> Result<[u8; 32], Error> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| Error::Call("the system gives no random numbers".to_owned()))?;
    Ok(bytes)
}
