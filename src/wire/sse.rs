//! Server-sent events, read as they pass (WHATWG HTML §9.2, "Interpreting an event stream").
//! [`Scanner`] tells whole events, [`Parts`] tells the pieces of one while it is still coming.
//! Must never hold more than a fixed carry-over: past it an event is unreadable, and the bytes flow on.

use memchr::memchr2;

#[doc(hidden)]
pub mod fuzz;
#[cfg(test)]
mod tests;

/// The longest event that [`Scanner::new`] tells whole, in bytes of data.
pub const EVENT_CAP: usize = 1 << 20;

/// The longest event name that is kept; what is longer is cut there, and so equals no known name.
pub const NAME_CAP: usize = 64;

const KEEP: usize = 64 << 10;
const BOM: &[u8] = b"\xef\xbb\xbf";

/// What a stream of events says, event by event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A dispatched event.
    Message {
        /// The `event` field, empty if there was none.
        name: &'a [u8],
        /// The `data` lines, joined by a line feed.
        data: &'a [u8],
        /// Where in the current chunk the event's blank line ends.
        end: usize,
    },
    /// An event with more data than the cap; it was skipped.
    Unreadable {
        /// Where in the current chunk the event's blank line ends.
        end: usize,
    },
}

/// Reads whole events. An event that lies in one chunk is not copied.
#[derive(Debug)]
pub struct Scanner {
    parts: Parts,
    held: Vec<u8>,
    seen: usize,
    cap: usize,
    unreadable: u64,
}

impl Default for Scanner {
    fn default() -> Self {
        Self::new(EVENT_CAP)
    }
}

impl Scanner {
    /// A scanner that holds at most `cap` bytes of an event's data between chunks.
    pub const fn new(cap: usize) -> Self {
        Self {
            parts: Parts::new(),
            held: Vec::new(),
            seen: 0,
            cap,
            unreadable: 0,
        }
    }

    /// How many events were longer than the cap.
    pub const fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// Takes the next chunk and tells each event that it completes.
    pub fn push(&mut self, bytes: &[u8], tell: &mut impl FnMut(Event<'_>)) {
        let Self {
            parts,
            held,
            seen,
            cap,
            unreadable,
        } = self;
        let mut lone: &[u8] = &[];
        parts.push(bytes, &mut |part| match part {
            Part::Data { bytes, .. } => {
                *seen = seen.saturating_add(bytes.len());
                if *seen > *cap {
                    lone = &[];
                    held.clear();
                } else if held.is_empty() && lone.is_empty() {
                    lone = bytes;
                } else {
                    held.extend_from_slice(std::mem::take(&mut lone));
                    held.extend_from_slice(bytes);
                }
            }
            Part::End {
                name,
                at,
                dispatched,
            } => {
                let data = if lone.is_empty() {
                    held.as_slice()
                } else {
                    lone
                };
                if *seen > *cap {
                    *unreadable += 1;
                    tell(Event::Unreadable { end: at });
                } else if dispatched {
                    tell(Event::Message {
                        name,
                        data,
                        end: at,
                    });
                }
                lone = &[];
                *seen = 0;
                held.clear();
                held.shrink_to(KEEP);
            }
        });
        held.extend_from_slice(lone);
    }
}

/// A piece of an event: `'a` is the chunk, `'n` the parser's own memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'n, 'a> {
    /// Some of the event's data; pieces only need to be put together.
    Data {
        /// The event's name so far (it may come after the data).
        name: &'n [u8],
        /// The next bytes of the data; a line feed of its own between two `data` lines.
        bytes: &'a [u8],
    },
    /// A blank line.
    End {
        /// The event's name.
        name: &'n [u8],
        /// Where in the current chunk the blank line ends. A line feed that follows a carriage return at
        /// the end of the previous chunk belongs to no event.
        at: usize,
        /// Whether there was an event, which takes a `data` line.
        dispatched: bool,
    },
}

/// Reads the pieces of events; holds nothing but the current field's and the event's name.
#[derive(Clone, Debug)]
pub struct Parts {
    line: Line,
    field: [u8; 6],
    field_len: usize,
    name: [u8; NAME_CAP],
    name_len: usize,
    after_cr: bool,
    dispatched: bool,
    bom: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Field,
    Value { kind: Kind, first: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Data,
    Name,
    Ignored,
}

impl Default for Parts {
    fn default() -> Self {
        Self::new()
    }
}

impl Parts {
    /// A parser at the start of a stream.
    pub const fn new() -> Self {
        Self {
            line: Line::Field,
            field: [0; 6],
            field_len: 0,
            name: [0; NAME_CAP],
            name_len: 0,
            after_cr: false,
            dispatched: false,
            bom: 0,
        }
    }

    /// Takes the next chunk and tells its pieces in order.
    pub fn push<'a>(&mut self, bytes: &'a [u8], tell: &mut impl FnMut(Part<'_, 'a>)) {
        let mut at = self.skip_bom(bytes);
        while at < bytes.len() {
            if std::mem::take(&mut self.after_cr) && bytes[at] == b'\n' {
                at += 1;
                continue;
            }
            at = match self.line {
                Line::Field => self.in_field(bytes, at, tell),
                Line::Value { kind, first } => self.in_value(bytes, at, kind, first, tell),
            };
        }
    }

    fn skip_bom(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while self.bom < BOM.len() {
            match bytes.get(at) {
                None => return at,
                Some(&byte) if byte == BOM[self.bom] => {
                    self.bom += 1;
                    at += 1;
                }
                Some(_) => {
                    // Half a mark is the start of a field nobody knows.
                    if self.bom > 0 {
                        self.line = Line::Value {
                            kind: Kind::Ignored,
                            first: false,
                        };
                    }
                    self.bom = BOM.len();
                }
            }
        }
        at
    }

    fn in_field<'a>(
        &mut self,
        bytes: &'a [u8],
        at: usize,
        tell: &mut impl FnMut(Part<'_, 'a>),
    ) -> usize {
        let rest = &bytes[at..];
        if self.field_len == 0 {
            // The two fields that nearly every line has, without a look at each byte.
            for (known, kind) in [(&b"data:"[..], Kind::Data), (b"event:", Kind::Name)] {
                if rest.starts_with(known) {
                    self.open_value(kind, tell);
                    return at + known.len();
                }
            }
        }
        match rest.first() {
            None => at,
            Some(b'\n' | b'\r') if self.field_len == 0 => {
                let at = self.end_line(bytes, at);
                let dispatched = std::mem::take(&mut self.dispatched);
                tell(Part::End {
                    name: &self.name[..self.name_len],
                    at,
                    dispatched,
                });
                self.name_len = 0;
                at
            }
            Some(b'\n' | b'\r') => {
                // A field without a colon has the empty value.
                self.open_value(self.kind(), tell);
                self.end_line(bytes, at)
            }
            Some(b':') => {
                self.open_value(self.kind(), tell);
                at + 1
            }
            Some(&byte) => {
                match self.field.get_mut(self.field_len) {
                    Some(slot) => {
                        *slot = byte;
                        self.field_len += 1;
                    }
                    None => {
                        self.line = Line::Value {
                            kind: Kind::Ignored,
                            first: false,
                        }
                    }
                }
                at + 1
            }
        }
    }

    fn kind(&self) -> Kind {
        match &self.field[..self.field_len] {
            b"data" => Kind::Data,
            b"event" => Kind::Name,
            _ => Kind::Ignored,
        }
    }

    fn open_value<'a>(&mut self, kind: Kind, tell: &mut impl FnMut(Part<'_, 'a>)) {
        match kind {
            Kind::Data => {
                if std::mem::replace(&mut self.dispatched, true) {
                    tell(Part::Data {
                        name: &self.name[..self.name_len],
                        bytes: b"\n",
                    });
                }
            }
            Kind::Name => self.name_len = 0,
            Kind::Ignored => {}
        }
        self.line = Line::Value { kind, first: true };
    }

    fn in_value<'a>(
        &mut self,
        bytes: &'a [u8],
        at: usize,
        kind: Kind,
        first: bool,
        tell: &mut impl FnMut(Part<'_, 'a>),
    ) -> usize {
        // At most one space after the colon is not part of the value.
        let from = if first && bytes[at] == b' ' {
            at + 1
        } else {
            at
        };
        self.line = Line::Value { kind, first: false };
        let rest = &bytes[from..];
        let stop = memchr2(b'\n', b'\r', rest);
        let value = &rest[..stop.unwrap_or(rest.len())];
        match kind {
            Kind::Data if value.is_empty() => {}
            Kind::Data => tell(Part::Data {
                name: &self.name[..self.name_len],
                bytes: value,
            }),
            Kind::Name => {
                let room = value.len().min(NAME_CAP - self.name_len);
                self.name[self.name_len..self.name_len + room].copy_from_slice(&value[..room]);
                self.name_len += room;
            }
            Kind::Ignored => {}
        }
        let at = from + value.len();
        if stop.is_some() {
            self.end_line(bytes, at)
        } else {
            at
        }
    }

    /// Steps over the line ending at `at`; a line feed may still follow a carriage return that ends the chunk.
    fn end_line(&mut self, bytes: &[u8], at: usize) -> usize {
        self.line = Line::Field;
        self.field_len = 0;
        match (bytes.get(at), bytes.get(at + 1)) {
            (Some(b'\r'), Some(b'\n')) => at + 2,
            (Some(b'\r'), None) => {
                self.after_cr = true;
                at + 1
            }
            _ => at + 1,
        }
    }
}
