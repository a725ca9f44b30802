//! Where request ids come from. Must never make a secret: an id is a name that may be printed.

use std::cell::Cell;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use crate::units::{IdSource, RequestId, Wall};

/// Random request ids: one generator per thread, seeded once from the system, so an id costs no system call and no lock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemIds;

impl IdSource for SystemIds {
    fn next(&self, now: Wall) -> RequestId {
        let random = STATE.with(|state| {
            let mut words = state.get();
            let (low, high) = (step(&mut words), step(&mut words));
            state.set(words);
            u128::from(high) << 64 | u128::from(low)
        });
        RequestId::v7(now, random)
    }
}

thread_local! {
    static STATE: Cell<[u64; 4]> = Cell::new(seed());
}

/// The standard library's hasher keys are 128 bits from the system's generator, different for each thread; hashing four
/// numbers under them spreads that over the state.
fn seed() -> [u64; 4] {
    let keys = RandomState::new();
    [
        keys.hash_one(1_u8),
        keys.hash_one(2_u8),
        keys.hash_one(3_u8),
        keys.hash_one(4_u8) | 1,
    ]
}

/// The generator xoshiro256++ (Blackman and Vigna, 2019): period 2^256 - 1, never stuck as long as one bit is set.
fn step(state: &mut [u64; 4]) -> u64 {
    let out = state[0]
        .wrapping_add(state[3])
        .rotate_left(23)
        .wrapping_add(state[0]);
    let shifted = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = state[3].rotate_left(45);
    out
}
