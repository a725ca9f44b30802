//! Maps that every request looks into. Must never have keys that a stranger can add: their hash is quick, and not made to
//! withstand whoever chooses keys that meet.

use std::collections::HashMap;

/// A map whose keys the operator chose, or that were decided here.
pub type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;
