//! Text that must never print: upstream keys and the like. Wiped when dropped.
//! Must never implement `Display` or `Serialize`.

use std::fmt;

use zeroize::Zeroizing;

/// A secret text. `Debug` shows `***`; the only way to the bytes is [`Secret::expose`].
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a text over.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The bytes, for the one place that sends them.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
