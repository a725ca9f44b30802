//! JSON text in the order the providers write it, and ids made from the request. It must never depend on anything
//! but its input. A map type would sort the members, and readers of a stream see the order.

use std::fmt::Write;

use serde_json::Value;

/// The moment every answer claims to be made: 2026-01-01T00:00:00Z.
pub(super) const CREATED: u64 = 1_767_225_600;

/// An object being written, member by member.
#[derive(Clone)]
pub(super) struct Obj {
    text: String,
}

impl Obj {
    pub(super) fn new() -> Self {
        Self {
            text: String::from("{"),
        }
    }

    /// An object with its `type`, as the event and block kinds begin.
    pub(super) fn typed(kind: &str) -> Self {
        Self::new().str("type", kind)
    }

    pub(super) fn str(self, key: &str, value: &str) -> Self {
        let value = quoted(value);
        self.raw(key, &value)
    }

    pub(super) fn num(self, key: &str, value: u64) -> Self {
        self.raw(key, &value.to_string())
    }

    pub(super) fn null(self, key: &str) -> Self {
        self.raw(key, "null")
    }

    /// A string, or null.
    pub(super) fn maybe(self, key: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.str(key, value),
            None => self.null(key),
        }
    }

    pub(super) fn list(self, key: &str, items: &[String]) -> Self {
        let value = listed(items);
        self.raw(key, &value)
    }

    /// A member of the request given back, or `other` (JSON text) when the request has none.
    pub(super) fn echo(self, key: &str, request: &Value, other: &str) -> Self {
        match request.get(key) {
            Some(value) if !value.is_null() => self.raw(key, &value.to_string()),
            _ => self.raw(key, other),
        }
    }

    /// A member whose value is JSON text already.
    pub(super) fn raw(mut self, key: &str, value: &str) -> Self {
        if self.text.len() > 1 {
            self.text.push(',');
        }
        self.text.push('"');
        self.text.push_str(key);
        self.text.push_str("\":");
        self.text.push_str(value);
        self
    }

    pub(super) fn done(mut self) -> String {
        self.text.push('}');
        self.text
    }
}

pub(super) fn listed(items: &[String]) -> String {
    format!("[{}]", items.join(","))
}

pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// What a request hashes to: the source of every id in its answer (FNV-1a, two lanes).
#[derive(Clone, Copy, Debug)]
pub(super) struct Digest {
    lanes: [u64; 2],
}

impl Digest {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self {
            lanes: [fnv1a(bytes), 0x9e37_79b9_7f4a_7c15],
        }
        .salted("")
    }

    /// An id of `digits` hexadecimal digits after `prefix`; each prefix has its own.
    pub(super) fn id(self, prefix: &str, digits: usize) -> String {
        self.numbered(prefix, digits, 0)
    }

    /// The `number`th id of its kind.
    pub(super) fn numbered(self, prefix: &str, digits: usize, number: usize) -> String {
        let mut id = String::from(prefix);
        let mut noise = self.salted(prefix).salted(&number.to_string()).noise();
        while id.len() < prefix.len() + digits {
            let _infallible = write!(id, "{:016x}", noise.next().unwrap_or(0));
        }
        id.truncate(prefix.len() + digits);
        id
    }

    /// Endless numbers that look random and are not (splitmix64).
    pub(super) fn noise(self) -> impl Iterator<Item = u64> {
        let mut state = self.lanes[0] ^ self.lanes[1].rotate_left(32);
        std::iter::repeat_with(move || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        })
    }

    pub(super) fn salted(self, salt: &str) -> Self {
        let [first, second] = self.lanes;
        Self {
            lanes: [first, second.rotate_left(17) ^ fnv1a(salt.as_bytes())],
        }
    }
}

/// The 64-bit FNV-1a hash.
pub(super) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
