//! The head of one part of a form (RFC 7578 §4): what it is called, and whether it is a file. Must never take a head that
//! another reader could understand differently.

/// What a head says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Described {
    pub(super) name: String,
    pub(super) is_file: bool,
    /// Whether it says that it is text in UTF-8, or nothing.
    pub(super) is_plain: bool,
}

/// Reads a head without its empty line.
pub(super) fn described(head: &[u8]) -> Result<Described, &'static str> {
    let text = std::str::from_utf8(head).map_err(|_| "is not UTF-8")?;
    let (mut disposition, mut kind, mut coding) = (None, None, None);
    for line in text.split("\r\n") {
        if line
            .bytes()
            .any(|byte| byte < b' ' && byte != b'\t' || byte == 0x7f)
        {
            return Err("has a line with control characters");
        }
        // No space before the colon, and no line that goes on: both begin a name here that nobody knows.
        let (name, value) = line.split_once(':').ok_or("has a line that is no header")?;
        let value = value.trim_matches([' ', '\t']);
        let slot = match name.to_ascii_lowercase().as_str() {
            "content-disposition" => &mut disposition,
            "content-type" => &mut kind,
            "content-transfer-encoding" => &mut coding,
            _ => return Err("has a header besides `content-disposition` and `content-type`"),
        };
        if slot.replace(value).is_some() {
            return Err("has a header twice");
        }
    }
    let as_is = |coding: &str| {
        ["binary", "8bit", "7bit"]
            .iter()
            .any(|known| coding.eq_ignore_ascii_case(known))
    };
    if coding.is_some_and(|coding| !as_is(coding)) {
        return Err("has a transfer encoding");
    }
    let kind = kind.map(str::to_ascii_lowercase).unwrap_or_default();
    if kind.starts_with("multipart/") {
        return Err("is a form of its own");
    }
    let (name, is_file) = disposition_of(disposition.ok_or("has no `content-disposition`")?)?;
    Ok(Described {
        name,
        is_file,
        is_plain: is_plain(&kind),
    })
}

fn is_plain(kind: &str) -> bool {
    let mut parts = kind.split(';').map(str::trim_ascii);
    let media = parts.next().unwrap_or_default();
    let utf8 = [
        "charset=utf-8",
        "charset=\"utf-8\"",
        "charset=utf8",
        "charset=us-ascii",
    ];
    matches!(media, "" | "text/plain") && parts.all(|parameter| utf8.contains(&parameter))
}

/// `form-data; name="…"; filename="…"`: the name, and whether there is a file name.
fn disposition_of(text: &str) -> Result<(String, bool), &'static str> {
    let rest = text
        .get(..9)
        .filter(|kind| kind.eq_ignore_ascii_case("form-data"));
    let mut rest = rest
        .and_then(|_| text.get(9..))
        .ok_or("is not `form-data`")?;
    let (mut name, mut is_file, mut is_extended) = (None, false, false);
    while !rest.is_empty() {
        let after = rest.trim_start_matches([' ', '\t']).strip_prefix(';');
        let after = after.ok_or("has a malformed `content-disposition`")?;
        let after = after.trim_start_matches([' ', '\t']);
        let (parameter, value, behind) = parameter(after)?;
        match parameter.to_ascii_lowercase().as_str() {
            "name" if name.is_none() => name = Some(value),
            "filename" if !is_file => is_file = true,
            "filename*" if !is_extended => is_extended = true,
            _ => return Err("has a parameter twice, or one that is neither `name` nor `filename`"),
        }
        rest = behind;
    }
    let name = name
        .filter(|name| is_name(name))
        .ok_or("has no plain `name`")?;
    Ok((name.to_owned(), is_file || is_extended))
}

/// A parameter's name, its value, and what is behind it. A quoted one has no backslash in it: some take it for an escape
/// and some do not.
fn parameter(text: &str) -> Result<(&str, &str, &str), &'static str> {
    let (name, rest) = text
        .split_once('=')
        .ok_or("has a parameter without a value")?;
    if let Some(quoted) = rest.strip_prefix('"') {
        let (value, behind) = quoted
            .split_once('"')
            .ok_or("has a quote that does not end")?;
        if value.contains('\\') {
            return Err("has a backslash in quotes, which not all read alike");
        }
        return Ok((name, value, behind));
    }
    let end = rest.find([';', ' ', '\t']).unwrap_or(rest.len());
    let (value, behind) = rest.split_at(end);
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&'*+-.^_`|~%".contains(&byte);
    if value.is_empty() || !value.bytes().all(token) {
        return Err("has a parameter that is neither a word nor in quotes");
    }
    Ok((name, value, behind))
}

/// Names that every reader takes as they stand, and not the one that sets a charset for all others (RFC 7578 §4.6).
fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"%&'+<>;=\"".contains(&byte);
    (1..=128).contains(&name.len())
        && name.bytes().all(plain)
        && !name.eq_ignore_ascii_case("_charset_")
}

/// Whether some reader could take that name for the governed one: in another case, or as an element or member of it.
pub(super) fn resembles(name: &str, governed: &str) -> bool {
    let base = name.split(['[', '.', ']']).next().unwrap_or_default();
    let squeezed = |text: &str| -> String {
        let letters = text.chars().filter(char::is_ascii_alphanumeric);
        letters.map(|letter| letter.to_ascii_lowercase()).collect()
    };
    squeezed(base) == squeezed(governed)
}

/// One line of text that nobody would trim.
pub(super) fn plain_text(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let good = text.trim() == text && !text.chars().any(char::is_control);
    good.then_some(text)
}
