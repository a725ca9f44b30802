//! The guard before the HTTP library: it follows HTTP/1.1 framing on a client connection and lets only those bytes
//! go on that can be read in one way (RFC 9112, strictly). Must never change a byte, buffer one, or guess.
//!
//! The caller keeps the bytes; the guard says how many may go on. A head goes on only when it is whole and passed,
//! body bytes as they come. Everything that ends a connection here is a [`Fault`] with its refusal code.

use memchr::memchr;

use super::chunked;
use crate::units::Code;

pub(super) mod field;
#[doc(hidden)]
pub mod fuzz;
mod list;
mod request_line;
#[cfg(test)]
mod tests;

use field::{Field, Seen};
pub use list::{ListFault, check_list};

/// The bounds of a request head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The whole head in bytes, its empty line included; a trailer section has the same bound.
    pub head_bytes: usize,
    /// The request target in bytes.
    pub target_bytes: usize,
    /// A field line in bytes, without its line end; the method and the version have the same bound.
    pub line_bytes: usize,
    /// How many field lines a head (or a trailer section) may have.
    pub fields: usize,
}

impl Limits {
    /// What agents need: long tokens and long lists of beta features, and no more.
    pub const DEFAULT: Self = Self {
        head_bytes: 65_536,
        target_bytes: 16_384,
        line_bytes: 16_384,
        fields: 100,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Where the connection stands after the released bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Between messages; nothing is unreleased.
    Idle,
    /// A partial head waits, unreleased.
    InHead,
    /// In a body. Only a partial trailer line can be unreleased.
    InBody,
}

/// What may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How many of the presented bytes, from the first.
    pub release: usize,
    /// Where the connection stands after them.
    pub state: State,
}

/// Why nothing more may go on. The connection cannot be used any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The refusal.
    pub code: Code,
    /// How many of the presented bytes, from the first, may still go on: what comes before the faulty head, or the
    /// part of the body that was in order.
    pub release: usize,
    /// What is wrong, for people.
    pub what: &'static str,
    /// Whether it is in a body, whose head has gone on already, and not in a head.
    pub in_body: bool,
}

/// A broken rule, before it is known where in the presented bytes it broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) code: Code,
    pub(super) what: &'static str,
}

impl Broken {
    pub(super) const fn malformed(what: &'static str) -> Self {
        Self {
            code: Code::HeadMalformed,
            what,
        }
    }

    pub(super) const fn framing(what: &'static str) -> Self {
        Self {
            code: Code::FramingConflict,
            what,
        }
    }

    pub(super) const fn too_large(what: &'static str) -> Self {
        Self {
            code: Code::HeadTooLarge,
            what,
        }
    }
}

/// Follows one client connection.
#[derive(Debug)]
pub struct Guard {
    limits: Limits,
    phase: Phase,
    messages: u64,
    dead: Option<Fault>,
}

#[derive(Debug)]
enum Phase {
    Head(Head),
    /// A body with this many bytes to come (RFC 9112 §6.2).
    Counted(u64),
    Chunked(chunked::Framing),
}

/// A head on its way in. Offsets count from its first byte.
#[derive(Debug, Default)]
struct Head {
    /// Up to here, every line was whole and passed.
    parsed: usize,
    /// Up to here, there is no line end after `parsed`.
    looked: usize,
    /// Whether an empty line before the request line was skipped already (RFC 9112 §2.2).
    skipped: bool,
    /// The version, once the request line has passed.
    version: Option<Version>,
    fields: usize,
    seen: Seen,
    length: Option<u64>,
}

/// The versions this guard lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    Http10,
    Http11,
}

/// How far to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    AllThatCame,
    OneMessage,
}

/// What a step in a head came to.
enum Step {
    /// More bytes are needed.
    Wait,
    /// This many bytes of leading empty line can go.
    Skip(usize),
    /// The head is whole, this long, and passed.
    Whole(usize, Phase),
}

impl Guard {
    /// A guard at the start of a connection.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            phase: Phase::Head(Head::default()),
            messages: 0,
            dead: None,
        }
    }

    /// Looks at all bytes that came and were not released yet; after a partial head these are the same bytes again
    /// with more behind them. The work is proportional to the new bytes.
    ///
    /// # Errors
    /// The first broken rule. From then on, every call returns the same fault with nothing to release.
    pub fn advance(&mut self, unreleased: &[u8]) -> Result<Progress, Fault> {
        self.reach(unreleased, Reach::AllThatCame)
    }

    /// The same, but goes no further than the end of a message: what follows it stays unreleased, and the state is
    /// [`State::Idle`].
    ///
    /// # Errors
    /// As [`Guard::advance`].
    pub fn advance_message(&mut self, unreleased: &[u8]) -> Result<Progress, Fault> {
        self.reach(unreleased, Reach::OneMessage)
    }

    fn reach(&mut self, unreleased: &[u8], reach: Reach) -> Result<Progress, Fault> {
        if let Some(fault) = self.dead {
            return Err(fault);
        }
        let mut at = 0;
        loop {
            let rest = unreleased.get(at..).unwrap_or_default();
            match self.step(rest) {
                Ok(0) => {
                    return Ok(Progress {
                        release: at,
                        state: self.state(rest),
                    });
                }
                Ok(taken) => at += taken,
                Err((taken, broken)) => return Err(self.die(at + taken, broken)),
            }
            if reach == Reach::OneMessage && self.is_between() {
                return Ok(Progress {
                    release: at,
                    state: State::Idle,
                });
            }
        }
    }

    /// How many messages have ended.
    pub const fn messages(&self) -> u64 {
        self.messages
    }

    /// Whether nothing was released so far: what came is the beginning of the connection.
    pub const fn is_at_start(&self) -> bool {
        match &self.phase {
            Phase::Head(head) => self.messages == 0 && !head.skipped,
            Phase::Counted(_) | Phase::Chunked(_) => false,
        }
    }

    /// Whether a message has just ended, and nothing of the next one was looked at.
    const fn is_between(&self) -> bool {
        match &self.phase {
            Phase::Head(head) => head.looked == 0 && !head.skipped,
            Phase::Counted(_) | Phase::Chunked(_) => false,
        }
    }

    /// Takes some of the bytes; none if more are needed.
    fn step(&mut self, rest: &[u8]) -> Result<usize, (usize, Broken)> {
        if rest.is_empty() {
            return Ok(0);
        }
        match &mut self.phase {
            Phase::Head(head) => match head.advance(rest, &self.limits).map_err(|why| (0, why))? {
                Step::Wait => Ok(0),
                Step::Skip(taken) => Ok(taken),
                Step::Whole(taken, next) => {
                    self.messages += u64::from(matches!(next, Phase::Head(_)));
                    self.phase = next;
                    Ok(taken)
                }
            },
            Phase::Counted(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                *left -= taken as u64;
                if *left == 0 {
                    self.messages += 1;
                    self.phase = Phase::Head(Head::default());
                }
                Ok(taken)
            }
            Phase::Chunked(framing) => {
                let taken = framing.advance(rest, &self.limits)?;
                if framing.is_over() {
                    self.messages += 1;
                    self.phase = Phase::Head(Head::default());
                }
                Ok(taken)
            }
        }
    }

    const fn state(&self, rest: &[u8]) -> State {
        match self.phase {
            Phase::Head(_) if rest.is_empty() => State::Idle,
            Phase::Head(_) => State::InHead,
            Phase::Counted(_) | Phase::Chunked(_) => State::InBody,
        }
    }

    #[cold]
    fn die(&mut self, release: usize, broken: Broken) -> Fault {
        let in_body = !matches!(self.phase, Phase::Head(_));
        let fault = Fault {
            code: broken.code,
            release,
            what: broken.what,
            in_body,
        };
        self.dead = Some(Fault {
            release: 0,
            ..fault
        });
        fault
    }
}

impl Head {
    fn advance(&mut self, bytes: &[u8], limits: &Limits) -> Result<Step, Broken> {
        if bytes.first() == Some(&TLS_HANDSHAKE) {
            return Err(Broken::malformed(
                "this is TLS, but the listener speaks plain HTTP",
            ));
        }
        loop {
            if self.looked == self.parsed
                && self.version.is_some()
                && let Some((field, end)) = field::plain(bytes, self.parsed)
                && self.is_small(end - self.parsed, limits)
            {
                self.parsed = end + 1;
                self.looked = end + 1;
                self.count_field(limits)?;
                if field.may_be_known() {
                    self.known_field(&field.trimmed())?;
                }
                continue;
            }
            let fresh = bytes.get(self.looked..).unwrap_or_default();
            let Some(found) = memchr(b'\n', fresh) else {
                self.looked = bytes.len();
                self.check_size(bytes.get(self.parsed..).unwrap_or_default(), limits)?;
                return Ok(Step::Wait);
            };
            let end = self.looked + found;
            let line = bytes.get(self.parsed..end).unwrap_or_default();
            self.check_size(line, limits)?;
            self.parsed = end + 1;
            self.looked = end + 1;
            let Some(line) = line.strip_suffix(b"\r") else {
                return Err(Broken::malformed("a line ends in a bare line feed"));
            };
            match self.version {
                None if line.is_empty() => return self.skip_empty(),
                None => self.version = Some(request_line::check(line)?),
                Some(version) if line.is_empty() => {
                    return self
                        .framing(version)
                        .map(|next| Step::Whole(self.parsed, next));
                }
                Some(_) => {
                    self.count_field(limits)?;
                    let field = Field::split(line)?;
                    self.field(&field)?;
                    field.check_value()?;
                }
            }
        }
    }

    /// Judges a line, whole or partial, by its length alone. The limit that is crossed first is the one that counts,
    /// so that the verdict does not depend on how the bytes were cut.
    fn check_size(&self, line: &[u8], limits: &Limits) -> Result<(), Broken> {
        if self.is_small(line.len(), limits) {
            return Ok(());
        }
        let end = self.parsed + line.len();
        let (most, broken) = match self.version {
            None => request_line::longest(line, limits),
            Some(_) => (
                limits.line_bytes + 1,
                Broken::too_large("a field line is too long"),
            ),
        };
        let line_cut = self.parsed.saturating_add(most);
        let head_cut = limits.head_bytes.saturating_sub(1);
        if end > line_cut && line_cut <= head_cut {
            Err(broken)
        } else if end > head_cut {
            Err(Broken::too_large("the head is too long"))
        } else {
            Ok(())
        }
    }

    /// Whether a line of this length is beyond no limit.
    fn is_small(&self, length: usize, limits: &Limits) -> bool {
        length <= limits.line_bytes.min(limits.target_bytes)
            && self.parsed + length < limits.head_bytes
    }

    fn skip_empty(&mut self) -> Result<Step, Broken> {
        if self.skipped {
            return Err(Broken::malformed(
                "more than one empty line comes before the request line",
            ));
        }
        *self = Self {
            skipped: true,
            ..Self::default()
        };
        Ok(Step::Skip(2))
    }

    fn count_field(&mut self, limits: &Limits) -> Result<(), Broken> {
        self.fields += 1;
        if self.fields > limits.fields {
            return Err(Broken::too_large("there are too many fields"));
        }
        Ok(())
    }

    /// Takes note of a field that matters.
    #[inline]
    fn field(&mut self, field: &Field<'_>) -> Result<(), Broken> {
        if field.may_be_known() {
            self.known_field(field)
        } else {
            Ok(())
        }
    }

    #[inline(never)]
    fn known_field(&mut self, field: &Field<'_>) -> Result<(), Broken> {
        if let Some(known) = field.known()? {
            self.seen.insert(known)?;
            match known {
                field::Known::Host => field::check_host(field.value)?,
                field::Known::ContentLength => self.length = Some(field::length(field.value)?),
                field::Known::TransferEncoding => field::check_coding(field.value)?,
                field::Known::ContentType
                | field::Known::ContentEncoding
                | field::Known::Authorization
                | field::Known::ProxyAuthorization
                | field::Known::ApiKey
                | field::Known::GoogApiKey => {}
            }
        }
        Ok(())
    }

    /// How the body is framed (RFC 9112 §6.3), where there is only one way to see it.
    fn framing(&self, version: Version) -> Result<Phase, Broken> {
        let chunked = self.seen.has(field::Known::TransferEncoding);
        if chunked && self.length.is_some() {
            return Err(Broken::framing(
                "both transfer-encoding and content-length are given",
            ));
        }
        if chunked && version == Version::Http10 {
            return Err(Broken::framing("transfer-encoding is given in HTTP/1.0"));
        }
        if version == Version::Http11 && !self.seen.has(field::Known::Host) {
            return Err(Broken::malformed("host is missing"));
        }
        Ok(match self.length {
            _ if chunked => Phase::Chunked(chunked::Framing::default()),
            None | Some(0) => Phase::Head(Self::default()),
            Some(length) => Phase::Counted(length),
        })
    }
}

/// The first byte of a TLS handshake record (RFC 8446 §5.1).
const TLS_HANDSHAKE: u8 = 0x16;
