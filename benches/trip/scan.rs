//! Just enough HTTP/1.1 for both ends of the bench: heads, and an answer compared while it arrives.
//!
//! It must never accept an answer of another status, another length or with another byte.

use std::io;

use crate::traffic::Expected;

/// Where a head ends (after its empty line), if it is all there.
pub(crate) fn head_end(bytes: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4)
}

/// The value of a header, its name in lower case; names are compared without case.
pub(crate) fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a [u8]> {
    head.split(|byte| *byte == b'\n').find_map(|line| {
        let (found, rest) = line.split_at_checked(name.len())?;
        if !found.eq_ignore_ascii_case(name.as_bytes()) {
            return None;
        }
        Some(rest.strip_prefix(b":")?.trim_ascii())
    })
}

/// A header that is a number.
pub(crate) fn number(head: &[u8], name: &str) -> Option<usize> {
    let text = std::str::from_utf8(header(head, name)?).ok()?;
    text.parse().ok()
}

/// Compares one answer with what it must be, whatever pieces it comes in.
#[derive(Debug)]
pub(crate) struct Answer {
    part: Part,
    head: Vec<u8>,
    compared: Compared,
}

#[derive(Clone, Copy, Debug)]
enum Part {
    Head,
    Sized { left: usize },
    ChunkSize { size: usize, digits: bool },
    ChunkData { left: usize },
    ChunkEnd { last: bool },
    Done,
}

impl Answer {
    pub(crate) fn new(expected: &'static Expected) -> Self {
        Self {
            part: Part::Head,
            head: Vec::with_capacity(1024),
            compared: Compared::new(expected),
        }
    }

    /// Payload bytes compared so far.
    pub(crate) fn compared(&self) -> usize {
        self.compared.so_far()
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self.part, Part::Done)
    }

    /// Takes what was read. Bytes after the end of the answer are an error: nothing was asked for yet.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            bytes = self.step(bytes)?;
        }
        Ok(())
    }

    fn step<'a>(&mut self, bytes: &'a [u8]) -> io::Result<&'a [u8]> {
        match self.part {
            Part::Head => self.take_head(bytes),
            Part::Sized { left } => {
                let (taken, rest) = bytes.split_at(left.min(bytes.len()));
                self.compare(taken)?;
                self.part = match left - taken.len() {
                    0 => self.finished()?,
                    left => Part::Sized { left },
                };
                Ok(rest)
            }
            Part::ChunkData { left } => {
                let (taken, rest) = bytes.split_at(left.min(bytes.len()));
                self.compare(taken)?;
                self.part = match left - taken.len() {
                    0 => Part::ChunkEnd { last: false },
                    left => Part::ChunkData { left },
                };
                Ok(rest)
            }
            Part::ChunkSize { size, digits } => self.take_size(bytes, size, digits),
            Part::ChunkEnd { last } => self.take_line_end(bytes, last),
            Part::Done => Err(wrong("bytes after the end of the answer")),
        }
    }

    fn take_head<'a>(&mut self, bytes: &'a [u8]) -> io::Result<&'a [u8]> {
        let before = self.head.len();
        self.head.extend_from_slice(bytes);
        let Some(end) = head_end(&self.head) else {
            return Ok(&[]);
        };
        let head = self.head.get(..end).unwrap_or_default();
        if !head.starts_with(b"HTTP/1.1 200 ") {
            return Err(wrong(&String::from_utf8_lossy(&self.head)));
        }
        self.part = match number(head, "content-length") {
            Some(left) => Part::Sized { left },
            None if header(head, "transfer-encoding") == Some(b"chunked") => Part::ChunkSize {
                size: 0,
                digits: false,
            },
            None => return Err(wrong("an answer without a length")),
        };
        Ok(bytes.get(end - before..).unwrap_or_default())
    }

    fn take_size<'a>(
        &mut self,
        bytes: &'a [u8],
        size: usize,
        digits: bool,
    ) -> io::Result<&'a [u8]> {
        let Some((first, rest)) = bytes.split_first() else {
            return Ok(bytes);
        };
        let digit = char::from(*first).to_digit(16);
        self.part = match (digit.and_then(|digit| usize::try_from(digit).ok()), *first) {
            (Some(digit), _) if size < 1 << 24 => Part::ChunkSize {
                size: size * 16 + digit,
                digits: true,
            },
            (None, b'\r') => Part::ChunkSize { size, digits },
            (None, b'\n') if digits && size == 0 => Part::ChunkEnd { last: true },
            (None, b'\n') if digits => Part::ChunkData { left: size },
            _ => return Err(wrong("a chunk size that is none")),
        };
        Ok(rest)
    }

    fn take_line_end<'a>(&mut self, bytes: &'a [u8], last: bool) -> io::Result<&'a [u8]> {
        let Some((first, rest)) = bytes.split_first() else {
            return Ok(bytes);
        };
        match first {
            b'\r' => {}
            b'\n' if last => self.part = self.finished()?,
            b'\n' => {
                self.part = Part::ChunkSize {
                    size: 0,
                    digits: false,
                }
            }
            _ => return Err(wrong("a chunk that does not end where it should")),
        }
        Ok(rest)
    }

    fn compare(&mut self, taken: &[u8]) -> io::Result<()> {
        self.compared.take(taken)
    }

    fn finished(&self) -> io::Result<Part> {
        self.compared.must_be_whole()?;
        Ok(Part::Done)
    }
}

/// How much of a body has come, all of it right.
#[derive(Debug)]
pub(crate) struct Compared {
    expected: &'static Expected,
    so_far: usize,
}

impl Compared {
    pub(crate) fn new(expected: &'static Expected) -> Self {
        Self {
            expected,
            so_far: 0,
        }
    }

    pub(crate) fn so_far(&self) -> usize {
        self.so_far
    }

    /// The next piece; an error unless it is what was sent.
    pub(crate) fn take(&mut self, piece: &[u8]) -> io::Result<()> {
        let end = self.so_far + piece.len();
        if self.expected.bytes.get(self.so_far..end) != Some(piece) {
            return Err(wrong(&format!(
                "the answer differs from what was sent, after byte {}",
                self.so_far
            )));
        }
        self.so_far = end;
        Ok(())
    }

    /// An error unless the end was due.
    pub(crate) fn must_be_whole(&self) -> io::Result<()> {
        if self.so_far == self.expected.bytes.len() {
            return Ok(());
        }
        Err(wrong(&format!(
            "the answer ends after {} of {} bytes",
            self.so_far,
            self.expected.bytes.len()
        )))
    }
}

/// What a client says of an answer.
pub(crate) fn wrong(what: &str) -> io::Error {
    io::Error::other(format!("wrong answer: {what}"))
}
