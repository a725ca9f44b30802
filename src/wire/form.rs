//! Form data as it comes (`multipart/form-data`, RFC 7578 over RFC 2046 §5.1): the parts with a governed name are read, the
//! rest is counted. Stricter than the standards wherever two readers could differ: where a part begins and ends, what it
//! is called, and how often. Must never hold a part that is not governed.

mod part;

use std::fmt;
use std::ops::Range;

use memchr::{memchr, memmem};

use part::Described;

/// Parts of one form; a body of nothing but delimiters would be many.
const PARTS: usize = 1024;
/// Bytes of the headers of one part.
const HEAD: usize = 4096;
/// Bytes of a governed value.
const VALUE: usize = 1024;

/// What separates the parts, as the content type of the request says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boundary(Box<[u8]>);

impl Boundary {
    /// The boundary of a content type that is form data and says nothing else.
    pub fn of(content_type: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(content_type).ok()?;
        let (kind, parameter) = text.split_once(';')?;
        if !kind
            .trim_ascii()
            .eq_ignore_ascii_case("multipart/form-data")
        {
            return None;
        }
        let (name, value) = parameter.split_once('=')?;
        let value = match value.trim_ascii_end().strip_prefix('"') {
            Some(quoted) => quoted.strip_suffix('"')?,
            None => value.trim_ascii_end(),
        };
        // RFC 2046 §5.1.1, less what would have to be quoted or could end in a space.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&byte);
        let good = (1..=70).contains(&value.len()) && value.bytes().all(plain);
        let is_boundary = name.trim_ascii().eq_ignore_ascii_case("boundary");
        (good && is_boundary).then(|| Self(format!("--{value}").into_bytes().into()))
    }

    /// As it stands before each part.
    fn dashed(&self) -> &[u8] {
        &self.0
    }
}

/// A governed part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Which: the index of its name in the list that was asked for.
    pub name: usize,
    /// What it says.
    pub value: Box<str>,
    /// Where that stands in the body.
    pub at: Range<usize>,
}

/// What a form holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// The governed parts, as they came.
    pub fields: Vec<Field>,
    /// Parts that are files.
    pub files: u64,
    /// Bytes of the parts that are none.
    pub text_bytes: u64,
    /// The length of the body.
    pub len: usize,
    boundary: Box<[u8]>,
}

impl Form {
    /// The bytes that, before all others, make another part.
    pub fn part(&self, name: &str, value: &str) -> Vec<u8> {
        let head =
            format!("\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        [&*self.boundary, head.as_bytes()].concat()
    }
}

/// What is wrong with a form, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormFault {
    /// The offset in the body.
    pub at: usize,
    /// What.
    pub kind: FormFaultKind,
}

/// What can be wrong with a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormFaultKind {
    /// It does not begin with its boundary, or something follows its end.
    Outside,
    /// It ends in the middle of something.
    Ends,
    /// The boundary stands where it ends no part, so others could see another part there.
    Boundary,
    /// The head of a part.
    Head(&'static str),
    /// Too much of something.
    TooMuch(&'static str),
    /// A governed name twice, or in another spelling.
    Ambiguous,
    /// A governed value that is no plain text.
    Value,
}

impl fmt::Display for FormFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}: ", self.at)?;
        match self.kind {
            FormFaultKind::Outside => {
                f.write_str("a form begins with its boundary and ends with its last one")
            }
            FormFaultKind::Ends => f.write_str("the form ends in the middle"),
            FormFaultKind::Boundary => {
                f.write_str("the boundary stands where no part begins or ends")
            }
            FormFaultKind::Head(what) => write!(f, "the head of a part {what}"),
            FormFaultKind::TooMuch(what) => write!(f, "the form has too {what}"),
            FormFaultKind::Ambiguous => {
                f.write_str("a governed part stands twice or in another spelling")
            }
            FormFaultKind::Value => f.write_str("a governed part is not one line of plain text"),
        }
    }
}

impl std::error::Error for FormFault {}

/// Reads a form in any pieces.
#[derive(Debug)]
pub struct FormScanner {
    delimiter: Box<[u8]>,
    /// For each length of a match, the longest shorter one that it ends with (Knuth, Morris, Pratt).
    shorter: Box<[u8]>,
    names: &'static [&'static str],
    form: Form,
    state: State,
    /// How much of the delimiter the last bytes are.
    matched: usize,
    /// Whether a line end was right before it.
    at_line: bool,
    /// The two bytes before this one, of the same part.
    last: [u8; 2],
    /// The head or the governed value that is being read.
    held: Vec<u8>,
    parts: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first boundary.
    Start,
    /// Behind a boundary: a line end begins a part, `--` ends the form.
    Behind,
    /// Behind the first byte of either.
    Second(u8),
    /// In the head of a part.
    Head,
    /// In a part: the index of its name, if it is governed, and where it began.
    Part {
        name: Option<usize>,
        is_file: bool,
        from: usize,
    },
    /// Behind the end, so far into the line end that may follow.
    End(usize),
}

impl FormScanner {
    /// Reads forms with this boundary for parts of these names.
    pub fn new(boundary: &Boundary, names: &'static [&'static str]) -> Self {
        let delimiter: Box<[u8]> = boundary.dashed().into();
        Self {
            shorter: shorter(&delimiter),
            form: Form {
                boundary: delimiter.clone(),
                ..Form::default()
            },
            delimiter,
            names,
            state: State::Start,
            matched: 0,
            at_line: true,
            last: [0; 2],
            held: Vec::new(),
            parts: 0,
        }
    }

    /// The bytes it holds, about.
    pub fn weight(&self) -> usize {
        let fields = self.form.fields.len() * (size_of::<Field>() + VALUE);
        self.held.capacity() + fields
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), FormFault> {
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            if let State::Part { name: None, .. } = self.state
                && self.matched == 0
                && byte != b'-'
            {
                let skipped = memchr(b'-', rest).unwrap_or(rest.len());
                self.skip(&rest[..skipped]);
                rest = &rest[skipped..];
                continue;
            }
            self.take(byte)?;
            self.form.len += 1;
            rest = after;
        }
        Ok(())
    }

    /// The end of the body.
    ///
    /// # Errors
    /// If the form does not end there.
    pub fn finish(self) -> Result<Form, FormFault> {
        match self.state {
            State::End(0 | 2) => Ok(self.form),
            _ => Err(self.fault(FormFaultKind::Ends)),
        }
    }

    /// Bytes of a part that is not governed, and in which no boundary can begin.
    fn skip(&mut self, bytes: &[u8]) {
        match *bytes {
            [.., one, two] => self.last = [one, two],
            [one] => self.last = [self.last[1], one],
            [] => {}
        }
        self.form.len += bytes.len();
    }

    fn take(&mut self, byte: u8) -> Result<(), FormFault> {
        match self.state {
            State::Start if byte == self.delimiter[self.matched] => {
                self.matched += 1;
                if self.matched == self.delimiter.len() {
                    self.matched = 0;
                    self.state = State::Behind;
                }
            }
            State::Behind if matches!(byte, b'\r' | b'-') => self.state = State::Second(byte),
            State::Second(b'\r') if byte == b'\n' => self.begin_head()?,
            State::Second(b'-') if byte == b'-' => self.state = State::End(0),
            State::Head => self.head(byte)?,
            State::Part { .. } => self.part(byte)?,
            State::End(0) if byte == b'\r' => self.state = State::End(1),
            State::End(1) if byte == b'\n' => self.state = State::End(2),
            State::Behind | State::Second(_) => return Err(self.fault(FormFaultKind::Boundary)),
            State::Start | State::End(_) => return Err(self.fault(FormFaultKind::Outside)),
        }
        Ok(())
    }

    fn begin_head(&mut self) -> Result<(), FormFault> {
        self.parts += 1;
        if self.parts > PARTS {
            return Err(self.fault(FormFaultKind::TooMuch("many parts")));
        }
        self.held.clear();
        self.state = State::Head;
        Ok(())
    }

    fn head(&mut self, byte: u8) -> Result<(), FormFault> {
        self.held.push(byte);
        if self.held.len() > HEAD {
            return Err(self.fault(FormFaultKind::TooMuch("large a head of a part")));
        }
        let Some(head) = self.held.strip_suffix(b"\r\n\r\n") else {
            return Ok(());
        };
        if memmem::find(head, &self.delimiter).is_some() {
            return Err(self.fault(FormFaultKind::Boundary));
        }
        let fault = |what| self.fault(FormFaultKind::Head(what));
        let Described {
            name,
            is_file,
            is_plain,
        } = part::described(head).map_err(fault)?;
        let governed = self.names.iter().position(|known| *known == name);
        let is_odd = match governed {
            None => self.names.iter().any(|known| part::resembles(&name, known)),
            Some(at) => is_file || self.form.fields.iter().any(|field| field.name == at),
        };
        if is_odd {
            return Err(self.fault(FormFaultKind::Ambiguous));
        }
        if governed.is_some() && !is_plain {
            return Err(self.fault(FormFaultKind::Value));
        }
        self.form.files += u64::from(is_file);
        self.held.clear();
        self.matched = 0;
        // The line end before it belongs to the head.
        self.last = [0; 2];
        self.state = State::Part {
            name: governed,
            is_file,
            from: self.form.len + 1,
        };
        Ok(())
    }

    fn part(&mut self, byte: u8) -> Result<(), FormFault> {
        let State::Part { name, .. } = self.state else {
            return Ok(());
        };
        if name.is_some() {
            self.held.push(byte);
            if self.held.len() > VALUE + self.delimiter.len() + 2 {
                return Err(self.fault(FormFaultKind::TooMuch("large a governed part")));
            }
        }
        while self.matched > 0 && byte != self.delimiter[self.matched] {
            self.matched = usize::from(self.shorter[self.matched - 1]);
            // What is before this match is a part of the boundary, and no line end.
            self.at_line = false;
        }
        if byte == self.delimiter[self.matched] {
            if self.matched == 0 {
                self.at_line = self.last == *b"\r\n";
            }
            self.matched += 1;
        }
        self.last = [self.last[1], byte];
        if self.matched == self.delimiter.len() {
            self.end_part()?;
        }
        Ok(())
    }

    /// The boundary stands here: it ends the part if it has a line of its own.
    fn end_part(&mut self) -> Result<(), FormFault> {
        let State::Part {
            name,
            is_file,
            from,
        } = self.state
        else {
            return Ok(());
        };
        if !self.at_line {
            return Err(self.fault(FormFaultKind::Boundary));
        }
        let to = (self.form.len + 1).saturating_sub(self.delimiter.len() + 2);
        if !is_file {
            let bytes = u64::try_from(to.saturating_sub(from)).unwrap_or(u64::MAX);
            self.form.text_bytes = self.form.text_bytes.saturating_add(bytes);
        }
        if let Some(name) = name {
            let length = to.saturating_sub(from);
            let value = self.held.get(..length).and_then(part::plain_text);
            let Some(value) = value else {
                return Err(self.fault(FormFaultKind::Value));
            };
            let value = value.into();
            self.form.fields.push(Field {
                name,
                value,
                at: from..to,
            });
        }
        self.matched = 0;
        self.state = State::Behind;
        Ok(())
    }

    fn fault(&self, kind: FormFaultKind) -> FormFault {
        FormFault {
            at: self.form.len,
            kind,
        }
    }
}

/// The delimiter has at most 72 bytes.
fn shorter(delimiter: &[u8]) -> Box<[u8]> {
    let mut table = vec![0_u8; delimiter.len()];
    let mut length = 0_usize;
    for at in 1..delimiter.len() {
        while length > 0 && delimiter[at] != delimiter[length] {
            length = usize::from(table[length - 1]);
        }
        if delimiter[at] == delimiter[length] {
            length += 1;
        }
        table[at] = u8::try_from(length).unwrap_or(0);
    }
    table.into()
}

pub mod fuzz;

#[cfg(test)]
mod tests;
