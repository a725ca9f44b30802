//! The chunked transfer coding (RFC 9112 §7.1), followed but not decoded. Must never accept a size line that two
//! readers could take for different sizes.

use memchr::memchr;

use super::head::field::Field;
use super::head::{Broken, Limits};

/// Follows one chunked body, from the first size line to the empty line after the trailers.
#[derive(Debug, Default)]
pub(super) struct Framing {
    state: State,
    /// Bytes of extensions in this size line.
    line: usize,
    /// Bytes of extensions in this body.
    extensions: usize,
    trailers: usize,
    trailer_bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In a chunk size of this many digits so far.
    Size {
        digits: u8,
        value: u64,
    },
    /// In the extensions of a chunk of this size.
    Extension(u64),
    /// After the CR of a size line.
    SizeEnd(u64),
    /// In chunk data with this many bytes to come.
    Data(u64),
    /// Where the CR after chunk data must stand.
    DataReturn,
    /// Where the LF after chunk data must stand.
    DataEnd,
    /// At the start of a trailer line that has no line end up to this offset.
    Trailers {
        looked: usize,
    },
    Over,
}

impl Default for State {
    fn default() -> Self {
        Self::SIZE
    }
}

impl State {
    const SIZE: Self = Self::Size {
        digits: 0,
        value: 0,
    };
}

/// The most bytes of extensions in one size line.
const LINE_EXTENSIONS: usize = 1024;

/// The most bytes of extensions in one body.
const BODY_EXTENSIONS: usize = 16_384;

impl Framing {
    /// Whether the body has ended.
    pub(super) const fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Follows the body as far as it reaches and says how many bytes that took: all of them, except those after its
    /// end and a partial trailer line.
    ///
    /// # Errors
    /// The broken rule, and how many bytes before it were in order.
    pub(super) fn advance(
        &mut self,
        bytes: &[u8],
        limits: &Limits,
    ) -> Result<usize, (usize, Broken)> {
        let mut at = 0;
        while at < bytes.len() && !self.is_over() {
            let rest = bytes.get(at..).unwrap_or_default();
            let taken = self.step(rest, limits).map_err(|broken| (at, broken))?;
            if taken == 0 {
                break;
            }
            at += taken;
        }
        Ok(at)
    }

    fn step(&mut self, rest: &[u8], limits: &Limits) -> Result<usize, Broken> {
        let byte = rest.first().copied().unwrap_or_default();
        let (next, taken) = match self.state {
            State::Size { digits, value } => (self.size(digits, value, byte)?, 1),
            State::Extension(size) => (self.extension(size, byte)?, 1),
            State::SizeEnd(size) => (size_end(size, byte)?, 1),
            State::Data(left) => {
                let taken = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                let left = left - taken as u64;
                (
                    if left == 0 {
                        State::DataReturn
                    } else {
                        State::Data(left)
                    },
                    taken,
                )
            }
            State::DataReturn if byte == b'\r' => (State::DataEnd, 1),
            State::DataEnd if byte == b'\n' => (State::SIZE, 1),
            State::DataReturn | State::DataEnd => {
                return Err(Broken::framing("chunk data is not followed by CR LF"));
            }
            State::Trailers { looked } => return self.trailer(rest, looked, limits),
            State::Over => (State::Over, 0),
        };
        self.state = next;
        Ok(taken)
    }

    fn size(&mut self, digits: u8, value: u64, byte: u8) -> Result<State, Broken> {
        if let Some(digit) = char::from(byte).to_digit(16) {
            if digits >= 16 {
                return Err(Broken::framing("a chunk size has more than 16 digits"));
            }
            return Ok(State::Size {
                digits: digits + 1,
                value: value << 4 | u64::from(digit),
            });
        }
        match byte {
            _ if digits == 0 => Err(Broken::framing(
                "a chunk size does not start with a hex digit",
            )),
            b'\r' => Ok(State::SizeEnd(value)),
            b';' => {
                self.line = 0;
                self.extension_byte().map(|()| State::Extension(value))
            }
            b' ' | b'\t' => Err(Broken::framing("white space follows a chunk size")),
            b'\n' => Err(Broken::framing(
                "a chunk size line ends in a bare line feed",
            )),
            _ => Err(Broken::framing("a chunk size is not hex digits only")),
        }
    }

    fn extension(&mut self, size: u64, byte: u8) -> Result<State, Broken> {
        match byte {
            b'\r' => Ok(State::SizeEnd(size)),
            b'\n' => Err(Broken::framing(
                "a chunk size line ends in a bare line feed",
            )),
            b'\t' | 0x20..=0x7e | 0x80.. => self.extension_byte().map(|()| State::Extension(size)),
            _ => Err(Broken::framing(
                "a control byte stands in a chunk extension",
            )),
        }
    }

    const fn extension_byte(&mut self) -> Result<(), Broken> {
        self.line += 1;
        self.extensions += 1;
        if self.line > LINE_EXTENSIONS || self.extensions > BODY_EXTENSIONS {
            return Err(Broken::framing("the chunk extensions are too long"));
        }
        Ok(())
    }

    /// Takes a whole trailer line, or nothing.
    fn trailer(&mut self, rest: &[u8], looked: usize, limits: &Limits) -> Result<usize, Broken> {
        let found = memchr(b'\n', rest.get(looked..).unwrap_or_default()).map(|at| looked + at);
        let line = rest.get(..found.unwrap_or(rest.len())).unwrap_or_default();
        if line.len() > limits.line_bytes + 1
            || self.trailer_bytes + line.len() >= limits.head_bytes
        {
            return Err(Broken::too_large("the trailers are too long"));
        }
        if found.is_none() {
            self.state = State::Trailers { looked: rest.len() };
            return Ok(0);
        }
        let taken = line.len() + 1;
        let Some(line) = line.strip_suffix(b"\r") else {
            return Err(Broken::framing("a trailer line ends in a bare line feed"));
        };
        self.trailer_bytes += taken;
        if line.is_empty() {
            self.state = State::Over;
            return Ok(taken);
        }
        self.trailers += 1;
        if self.trailers > limits.fields {
            return Err(Broken::too_large("there are too many trailers"));
        }
        Field::split(line)?.check_trailer()?;
        self.state = State::Trailers { looked: 0 };
        Ok(taken)
    }
}

fn size_end(size: u64, byte: u8) -> Result<State, Broken> {
    match (byte, size) {
        (b'\n', 0) => Ok(State::Trailers { looked: 0 }),
        (b'\n', _) => Ok(State::Data(size)),
        _ => Err(Broken::framing(
            "a bare carriage return stands in a chunk size line",
        )),
    }
}
