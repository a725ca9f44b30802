//! The request log: one line per trip. The time, the tenant, the id and the generation come from the spine and
//! cannot be left out; the trip adds its facts. Must never hold a prompt, an answer or a credential.

use std::fmt::Display;
use std::io::Write as _;

use super::{LogFormat, Spine};
use crate::units::Boot;
use crate::units::digits::decimal;

/// A request line as it is written.
pub struct Line<'b> {
    out: &'b mut Vec<u8>,
    format: LogFormat,
}

/// A line as a document of its own, without a line end; `now` if the trip is over.
pub(super) fn document(
    spine: &Spine,
    now: Option<Boot>,
    facts: impl FnOnce(&mut Line<'_>),
) -> Vec<u8> {
    let mut out = Vec::with_capacity(768);
    let mut line = begin(spine, LogFormat::Json, &mut out);
    facts(&mut line);
    match now {
        Some(now) => {
            end(spine, now, LogFormat::Json, &mut out);
            out.pop();
        }
        None => out.push(b'}'),
    }
    out
}

/// The name of a member, dressed for JSON when the program is compiled. Its length is fixed, since that many bytes are
/// copied in a few instructions, and as many as it takes in a call.
#[derive(Clone, Copy, Debug)]
pub struct Name {
    json: [u8; Self::ROOM],
    length: usize,
}

impl Name {
    const ROOM: usize = 32;

    /// A name of plain letters.
    ///
    /// # Panics
    /// When the program is compiled, if the name is too long.
    pub const fn new(name: &'static str) -> Self {
        let bytes = name.as_bytes();
        assert!(bytes.len() + 4 <= Self::ROOM, "a member's name is too long");
        let mut json = [0; Self::ROOM];
        (json[0], json[1]) = (b',', b'"');
        let mut at = 0;
        while at < bytes.len() {
            json[at + 2] = bytes[at];
            at += 1;
        }
        (json[at + 2], json[at + 3]) = (b'"', b':');
        Self {
            json,
            length: at + 4,
        }
    }

    fn bare(&self) -> &[u8] {
        self.json.get(2..self.length - 2).unwrap_or_default()
    }
}

/// A [`Name`] that is made when the program is compiled.
macro_rules! name {
    ($name:literal) => {
        const { &$crate::spine::Name::new($name) }
    };
}
pub(crate) use name;

/// Opens a line with whose it is.
pub(super) fn begin<'b>(spine: &Spine, format: LogFormat, out: &'b mut Vec<u8>) -> Line<'b> {
    match format {
        LogFormat::Json => {
            out.extend_from_slice(b"{\"timestamp\":\"");
            spine.started_wall().rfc3339(out);
            out.extend_from_slice(b"\",\"level\":\"INFO\",\"message\":\"request\",\"tenant\":");
            quoted(spine.tenant().id().as_str(), out);
            out.extend_from_slice(b",\"request_id\":\"");
            out.extend_from_slice(&spine.id().encode());
            out.extend_from_slice(b"\",\"generation\":");
            decimal(spine.snapshot().generation(), out);
        }
        LogFormat::Text => {
            spine.started_wall().rfc3339(out);
            out.extend_from_slice(b" request tenant=");
            out.extend_from_slice(spine.tenant().id().as_str().as_bytes());
        }
        LogFormat::Logfmt => {
            out.extend_from_slice(b"timestamp=");
            spine.started_wall().rfc3339(out);
            out.extend_from_slice(b" level=info message=request tenant=");
            out.extend_from_slice(spine.tenant().id().as_str().as_bytes());
            out.extend_from_slice(b" generation=");
            decimal(spine.snapshot().generation(), out);
        }
    }
    Line { out, format }
}

/// Closes a line with how long it took.
pub(super) fn end(spine: &Spine, now: Boot, format: LogFormat, out: &mut Vec<u8>) {
    let took = u64::try_from(now.since(spine.started()).as_micros()).unwrap_or(u64::MAX);
    let mut line = Line { out, format };
    line.number(name!("took_us"), took);
    match format {
        LogFormat::Json => out.extend_from_slice(b"}\n"),
        LogFormat::Text | LogFormat::Logfmt => {
            out.extend_from_slice(b" request_id=");
            out.extend_from_slice(&spine.id().encode());
            out.push(b'\n');
        }
    }
}

impl Line<'_> {
    /// A word of a closed vocabulary.
    pub fn word(&mut self, name: &'static Name, word: &'static str) {
        self.name(name);
        match self.format {
            LogFormat::Json => {
                self.out.push(b'"');
                self.out.extend_from_slice(word.as_bytes());
                self.out.push(b'"');
            }
            LogFormat::Text | LogFormat::Logfmt => self.out.extend_from_slice(word.as_bytes()),
        }
    }

    /// A number, with its unit in the name.
    pub fn number(&mut self, name: &'static Name, value: u64) {
        self.name(name);
        decimal(value, self.out);
    }

    /// A short text of the caller or the configuration, escaped.
    pub fn text(&mut self, name: &'static Name, value: &str) {
        self.name(name);
        self.put(value);
    }

    /// A short text that is put together where it is needed, escaped.
    pub fn shown(&mut self, name: &'static Name, value: &impl Display) {
        self.name(name);
        let start = self.out.len();
        // Writing to a `Vec` cannot fail.
        let _ = write!(self.out, "\"{value}\"");
        let text = self.out.get(start + 1..self.out.len() - 1);
        let text = text.unwrap_or_default();
        if self.format == LogFormat::Json && !is_odd(text) {
            return;
        }
        let text = String::from_utf8_lossy(text).into_owned();
        self.out.truncate(start);
        self.put(&text);
    }

    /// Amounts by words of a closed vocabulary, as texts: they are larger than JSON's numbers are exact. In documents only.
    pub fn amounts(&mut self, name: &'static Name, of: impl Iterator<Item = (&'static str, u128)>) {
        if self.format != LogFormat::Json {
            return;
        }
        self.name(name);
        let mut before = b'{';
        for (word, amount) in of {
            self.out.push(before);
            before = b',';
            quoted(word, self.out);
            self.out.push(b':');
            quoted(&amount.to_string(), self.out);
        }
        if before == b'{' {
            self.out.push(before);
        }
        self.out.push(b'}');
    }

    fn put(&mut self, value: &str) {
        if plain(value, self.format) {
            self.out.extend_from_slice(value.as_bytes());
        } else {
            quoted(value, self.out);
        }
    }

    fn name(&mut self, name: &'static Name) {
        match self.format {
            LogFormat::Json => {
                let end = self.out.len() + name.length;
                self.out.extend_from_slice(&name.json);
                self.out.truncate(end);
            }
            LogFormat::Text | LogFormat::Logfmt => {
                self.out.push(b' ');
                self.out.extend_from_slice(name.bare());
                self.out.push(b'=');
            }
        }
    }
}

/// Whether a text stands bare in that format.
fn plain(value: &str, format: LogFormat) -> bool {
    let means = match format {
        LogFormat::Json => return false,
        LogFormat::Text => &b"\""[..],
        LogFormat::Logfmt => b"\"=",
    };
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !means.contains(&byte);
    !value.is_empty() && value.bytes().all(is_plain)
}

fn quoted(value: &str, out: &mut Vec<u8>) {
    // Names are plain, nearly all of them.
    if is_odd(value.as_bytes()) {
        // Writing to a `Vec` cannot fail.
        let _ = serde_json::to_writer(out, value);
    } else {
        out.push(b'"');
        out.extend_from_slice(value.as_bytes());
        out.push(b'"');
    }
}

/// Whether a text cannot stand in JSON as it is.
fn is_odd(text: &[u8]) -> bool {
    let odd = text.iter().fold(0, |odd, byte| {
        odd | u8::from(!(b' '..0x7f).contains(byte))
            | u8::from(*byte == b'"')
            | u8::from(*byte == b'\\')
    });
    odd != 0
}
