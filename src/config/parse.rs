//! Texts to values: durations, sizes, rates, names, and in a room of their own addresses and URLs.
//! Pure. Must never quote the text in an error: it may have been filled in from a secret.

mod addresses;

use std::time::Duration;

use super::problem::OutCode;
use super::values::{
    AbsolutePath, Glob, KeyHash, Pem, Per, PolicyName, Rate, Region, TenantHeader,
};
use crate::units::UpstreamName;

pub(super) use addresses::{address, admin_address, caller, host, origin, proxy, url};

/// Why a text is not a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    /// The kind of problem.
    pub(super) code: OutCode,
    /// What was expected, as in "expected …".
    pub(super) expected: &'static str,
    /// What to write instead.
    pub(super) hint: &'static str,
}

pub(super) const fn flaw(expected: &'static str, hint: &'static str) -> Flaw {
    Flaw {
        code: OutCode::InvalidValue,
        expected,
        hint,
    }
}

const DURATION: Flaw = flaw(
    "a duration",
    "write a number and a unit: `250ms`, `30s`, `5m` or `2h`",
);
const SIZE: Flaw = flaw(
    "a size",
    "write a number and a unit: `1000B`, `64KiB`, `32MiB` or `1GiB`",
);
const RATE: Flaw = flaw(
    "a rate",
    "write an amount per `s`, `min` or `h`: `50/s`, `200k/min`, `1M/h`, `50/s burst 100`",
);
const PEM: Flaw = flaw(
    "certificates as PEM",
    "write `${file:/path}` with the path of a file that holds `-----BEGIN CERTIFICATE-----`",
);
const TENANT_HEADER: Flaw = flaw(
    "the name of a header that begins with `x-` and means nothing else",
    "write for example `x-tenant-id`",
);
const REGION: Flaw = flaw("a region", "use 1 to 64 of `[a-z0-9-]`");
const GLOB: Flaw = flaw(
    "a pattern",
    "use 1 to 256 visible ASCII characters; `*` stands for any text",
);
const MODEL: Flaw = flaw(
    "the name of a model",
    "use 1 to 256 visible ASCII characters, no `*`",
);
const KEY_HASH: Flaw = flaw(
    "`sha256:` and 64 hex digits",
    "`outrigger keys new` makes a key and prints its hash; the key itself never stands here",
);
const SECRET: Flaw = flaw(
    "a credential of visible ASCII characters",
    "check for spaces and line ends around it",
);

const fn unit_missing(flaw: Flaw) -> Flaw {
    Flaw {
        code: OutCode::UnitMissing,
        ..flaw
    }
}

/// What a bare number where a unit is needed is told.
pub(super) const DURATION_UNIT: Flaw = unit_missing(DURATION);
/// The same for sizes.
pub(super) const SIZE_UNIT: Flaw = unit_missing(SIZE);
/// The same for rates.
pub(super) const RATE_UNIT: Flaw = unit_missing(RATE);

/// `250ms`, `30s`, `5m`, `2h`: a whole number and one unit.
pub(super) fn duration(text: &str) -> Result<Duration, Flaw> {
    let (number, unit) = leading_number(text).ok_or(DURATION)?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "" => return Err(DURATION_UNIT),
        _ => return Err(DURATION),
    };
    number
        .checked_mul(millis)
        .map(Duration::from_millis)
        .ok_or(DURATION)
}

/// The shortest text of a duration of whole milliseconds.
pub(super) fn duration_text(span: Duration) -> String {
    let millis = span.as_millis();
    let (divisor, unit) = [(3_600_000, "h"), (60_000, "m"), (1000, "s")]
        .into_iter()
        .find(|&(divisor, _)| millis >= divisor && millis.is_multiple_of(divisor))
        .unwrap_or((1, "ms"));
    // Seconds are how people know the usual timeouts: 120 s stays `120s`.
    if unit == "m" {
        format!("{}s", millis / 1000)
    } else {
        format!("{}{unit}", millis / divisor)
    }
}

/// `1000B`, `64KiB`, `32MiB`, `1GiB`: binary multiples only, since two meanings of `MB` exist.
pub(super) fn size(text: &str) -> Result<u64, Flaw> {
    let (number, unit) = leading_number(text).ok_or(SIZE)?;
    let bytes = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "" => return Err(SIZE_UNIT),
        _ => return Err(SIZE),
    };
    number.checked_mul(bytes).ok_or(SIZE)
}

/// The shortest text of a size.
pub(super) fn size_text(bytes: u64) -> String {
    let (shift, unit) = [(30, "GiB"), (20, "MiB"), (10, "KiB")]
        .into_iter()
        .find(|&(shift, _)| bytes >= 1 << shift && bytes.trailing_zeros() >= shift)
        .unwrap_or((0, "B"));
    format!("{}{unit}", bytes >> shift)
}

/// `50/s`, `200k/min`, `1M/h`, `50/s burst 100`.
pub(super) fn rate(text: &str) -> Result<Rate, Flaw> {
    let (rate, burst) = match text.split_once(" burst ") {
        Some((rate, burst)) => (rate, Some(amount(burst.trim()).ok_or(RATE)?)),
        None => (text, None),
    };
    let Some((number, unit)) = rate.trim().split_once('/') else {
        return Err(if amount(text).is_some() {
            RATE_UNIT
        } else {
            RATE
        });
    };
    let per = match unit.trim() {
        "s" => Per::Second,
        "min" => Per::Minute,
        "h" | "hour" => Per::Hour,
        _ => return Err(RATE),
    };
    Ok(Rate {
        amount: amount(number.trim()).ok_or(RATE)?,
        per,
        burst,
    })
}

/// A whole number of at least 1, with `k` or `M`.
fn amount(text: &str) -> Option<u64> {
    let (number, suffix) = leading_number(text)?;
    let times = match suffix {
        "" => 1,
        "k" => 1000,
        "M" => 1_000_000,
        _ => return None,
    };
    number.checked_mul(times).filter(|&amount| amount > 0)
}

/// A whole number (`_` between digits allowed, as in TOML) and what follows it.
fn leading_number(text: &str) -> Option<(u64, &str)> {
    let end = text
        .find(|letter: char| !letter.is_ascii_digit() && letter != '_')
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    if digits.starts_with('_') || digits.ends_with('_') {
        return None;
    }
    Some((digits.replace('_', "").parse().ok()?, rest.trim_start()))
}

/// `x-[a-z0-9-]+`, written in any case (RFC 9110 §5.1); not one that carries a credential or steers a request.
pub(super) fn tenant_header(text: &str) -> Result<TenantHeader, Flaw> {
    const TAKEN: [&str; 8] = [
        "x-api-key",
        "x-goog-api-key",
        "x-idempotency-key",
        "x-http-method",
        "x-http-method-override",
        "x-method-override",
        "x-original-url",
        "x-rewrite-url",
    ];
    let name = text.to_ascii_lowercase();
    let letters = name
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    let taken =
        TAKEN.contains(&&*name) || name.starts_with("x-stainless-") || name.starts_with("x-b3-");
    if letters && !taken && name.starts_with("x-") && (3..=64).contains(&name.len()) {
        Ok(TenantHeader::new(&name))
    } else {
        Err(TENANT_HEADER)
    }
}

/// One certificate at least, by its first line; what is in it is for whoever uses it.
pub(super) fn pem(text: &str) -> Result<Pem, Flaw> {
    if text.contains("-----BEGIN CERTIFICATE-----") {
        Ok(Pem::new(text))
    } else {
        Err(PEM)
    }
}

/// `[a-z0-9-]{1,64}`.
pub(super) fn region(text: &str) -> Result<Region, Flaw> {
    let good = (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if good {
        Ok(Region::new(text))
    } else {
        Err(REGION)
    }
}

/// Visible ASCII, with `*`.
pub(super) fn glob(text: &str) -> Result<Glob, Flaw> {
    if visible(text, 256) {
        Ok(Glob::new(text))
    } else {
        Err(GLOB)
    }
}

/// Visible ASCII, without `*`.
pub(super) fn model(text: &str) -> Result<String, Flaw> {
    if visible(text, 256) && !text.contains('*') {
        Ok(text.to_owned())
    } else {
        Err(MODEL)
    }
}

/// A credential that can stand in a header.
pub(super) fn secret(text: &str) -> Result<(), Flaw> {
    if visible(text, 64 << 10) {
        Ok(())
    } else {
        Err(SECRET)
    }
}

/// `sha256:` and 64 hex digits.
pub(super) fn key_hash(text: &str) -> Result<KeyHash, Flaw> {
    let digits = text
        .strip_prefix("sha256:")
        .filter(|digits| digits.len() == 64)
        .ok_or(KEY_HASH)?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        let [high, low] = [hex(pair[0]), hex(pair[1])];
        *byte = high
            .zip(low)
            .map(|(high, low)| high << 4 | low)
            .ok_or(KEY_HASH)?;
    }
    Ok(KeyHash::new(bytes))
}

/// The name of a policy: the grammar of an upstream's name.
pub(super) fn policy_name(text: &str) -> Result<PolicyName, crate::units::IdError> {
    text.parse::<UpstreamName>()
        .map(|name| PolicyName::new(name.as_str()))
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

fn visible(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// `/var/lib/x`.
pub(super) fn absolute_path(text: &str) -> Result<AbsolutePath, Flaw> {
    const PATH: Flaw = flaw("an absolute path", "begin it with `/`");
    let good = text.starts_with('/') && !text.contains('\0');
    good.then(|| AbsolutePath::new(text)).ok_or(PATH)
}

#[cfg(test)]
mod tests;
