//! HTTP/2 frames seen from outside (RFC 9113 §4.1): where each begins and ends, what kind it is and how long. Follows
//! one direction of a connection. Must never look into a frame but for the reason of a reset, nor keep a byte of one.

#[doc(hidden)]
pub mod fuzz;

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is for.
    pub kind: Kind,
    /// The length of its payload in bytes.
    pub length: u32,
    /// Its flags, whose meaning depends on the kind.
    pub flags: u8,
    /// The stream it belongs to; zero for the connection.
    pub stream: u32,
}

/// What a frame is for (RFC 9113 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A piece of a body.
    Data,
    /// The beginning of a head, or of trailers.
    Headers,
    /// More of a head.
    Continuation,
    /// A stream given up.
    Reset,
    /// A farewell: streams beyond those it names will not be looked at.
    GoAway,
    /// Everything else: settings, pings, windows, priorities, and kinds nobody knows.
    Control,
}

impl Frame {
    /// `END_STREAM` of DATA and HEADERS.
    pub const fn ends_stream(self) -> bool {
        self.flags & 0x1 != 0
    }

    /// `END_HEADERS` of HEADERS and CONTINUATION.
    const fn ends_head(self) -> bool {
        self.flags & 0x4 != 0
    }
}

/// Follows the frames of one direction.
#[derive(Clone, Debug)]
pub struct Frames {
    head: [u8; HEAD],
    /// How much of `head` has come.
    have: usize,
    /// What is to come of the frame under way.
    left: usize,
    /// Whether the frame under way is part of a body.
    in_body: bool,
    /// Whether a head is under way that needs a CONTINUATION.
    in_head: bool,
    /// Messages and parts of them that came whole.
    whole: u64,
    /// The latest stream that a head has opened.
    newest: u32,
    /// Whether the head under way opens a stream.
    opens: bool,
    /// Heads that came whole and opened a stream.
    heads: u64,
    /// The reason of the reset under way, so far as it has come.
    reason: Option<u32>,
    /// Resets that said that nobody has looked at the stream.
    refusals: u64,
}

/// The length of a frame header.
const HEAD: usize = 9;

/// `REFUSED_STREAM` (RFC 9113 §7).
const REFUSED: u32 = 7;

/// What a client sends first (RFC 9113 §3.4).
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

impl Frames {
    /// Of a client, whose first bytes are the preface.
    pub const fn of_client() -> Self {
        Self {
            left: PREFACE.len(),
            ..Self::of_server()
        }
    }

    /// Of a server.
    pub const fn of_server() -> Self {
        Self {
            head: [0; HEAD],
            have: 0,
            left: 0,
            in_body: true,
            in_head: false,
            whole: 0,
            newest: 0,
            opens: false,
            heads: 0,
            reason: None,
            refusals: 0,
        }
    }

    /// Takes the next bytes; tells of each frame as soon as its header is whole.
    pub fn advance(&mut self, bytes: &[u8], mut tell: impl FnMut(Frame)) {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.left > 0 {
                let taken = self.left.min(rest.len());
                let (now, behind) = rest.split_at(taken);
                if let Some(reason) = &mut self.reason {
                    *reason = now
                        .iter()
                        .fold(*reason, |sum, byte| sum << 8 | u32::from(*byte));
                }
                self.left -= taken;
                rest = behind;
                self.note_end();
                continue;
            }
            let wanted = (HEAD - self.have).min(rest.len());
            let (now, behind) = rest.split_at(wanted);
            if let Some(space) = self.head.get_mut(self.have..self.have + wanted) {
                space.copy_from_slice(now);
            }
            self.have += wanted;
            rest = behind;
            if self.have == HEAD {
                self.have = 0;
                tell(self.begin());
                self.note_end();
            }
        }
    }

    fn begin(&mut self) -> Frame {
        let [high, middle, low, kind, flags, stream @ ..] = self.head;
        let length = u32::from_be_bytes([0, high, middle, low]);
        // The first bit is reserved, and ignored.
        let stream = u32::from_be_bytes(stream) & !(1 << 31);
        let kind = match kind {
            0 => Kind::Data,
            1 => Kind::Headers,
            3 => Kind::Reset,
            7 => Kind::GoAway,
            9 => Kind::Continuation,
            _ => Kind::Control,
        };
        let frame = Frame {
            kind,
            length,
            flags,
            stream,
        };
        self.left = length as usize;
        self.in_body = kind == Kind::Data;
        if matches!(kind, Kind::Headers | Kind::Continuation) {
            self.in_head = !frame.ends_head();
        }
        if kind == Kind::Headers {
            self.opens = stream > self.newest;
            self.newest = self.newest.max(stream);
        }
        self.reason = (kind == Kind::Reset).then_some(0);
        frame
    }

    fn note_end(&mut self) {
        if self.left > 0 {
            return;
        }
        self.whole += u64::from(!self.in_head);
        if self.opens && !self.in_head {
            self.opens = false;
            self.heads += 1;
        }
        if self.reason.take() == Some(REFUSED) {
            self.refusals += 1;
        }
    }

    /// Whether the next byte begins a frame.
    pub const fn is_between(&self) -> bool {
        self.have == 0 && self.left == 0
    }

    /// Whether something other than a body was begun and is not whole.
    pub const fn is_amid(&self) -> bool {
        self.have > 0 || self.in_head || (self.left > 0 && !self.in_body)
    }

    /// How much has come whole; two equal answers mean that the same thing is still under way.
    pub const fn whole(&self) -> u64 {
        self.whole
    }

    /// How many heads have come whole that opened a stream.
    pub const fn heads(&self) -> u64 {
        self.heads
    }

    /// Whether a head was begun that opens a stream, and is not whole.
    pub const fn is_opening(&self) -> bool {
        self.opens
    }

    /// How many streams were reset because nobody has looked at them.
    pub const fn refusals(&self) -> u64 {
        self.refusals
    }
}

#[cfg(test)]
mod tests;
