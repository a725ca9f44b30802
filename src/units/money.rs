//! Money: US dollars as integers, never as floats. Prices are in pico-dollars a unit, amounts in nano-dollars.
//! Must never round twice, nor let a sum wrap: sums saturate, and what saturates is larger than any budget.

use std::fmt;
use std::iter::Sum;
use std::ops::Add;

/// Pico-dollars (10⁻¹² USD): what one unit, say one token, costs. A price of $1 per million tokens is 1,000,000 a
/// token, so the six decimals of a price per million are exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PicoUsd(pub u64);

/// A sum of prices times amounts in pico-dollars, before the one rounding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PicoSum(pub u128);

/// Nano-dollars (10⁻⁹ USD): an amount that was held, spent or allowed. Up to 18 thousand million dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NanoUsd(pub u64);

impl PicoUsd {
    /// What so many units cost.
    pub fn times(self, units: u64) -> PicoSum {
        // Two 64-bit factors always fit.
        PicoSum(u128::from(self.0) * u128::from(units))
    }
}

impl PicoSum {
    /// In nano-dollars, rounded half to even: the only rounding an amount ever sees.
    pub fn round(self) -> NanoUsd {
        let (whole, rest) = (self.0 / PICO_PER_NANO, self.0 % PICO_PER_NANO);
        let up = rest > HALF_NANO || (rest == HALF_NANO && whole % 2 == 1);
        let rounded = whole.saturating_add(u128::from(up));
        NanoUsd(u64::try_from(rounded).unwrap_or(u64::MAX))
    }

    /// In nano-dollars, rounded up: what is held must be enough.
    pub fn round_up(self) -> NanoUsd {
        NanoUsd(u64::try_from(self.0.div_ceil(PICO_PER_NANO)).unwrap_or(u64::MAX))
    }
}

impl NanoUsd {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// One dollar.
    pub const DOLLAR: Self = Self(1_000_000_000);

    /// Reads a decimal number of dollars, exactly: digits, and up to nine more behind a point.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, AmountFault> {
        decimal(text, 9).map(Self)
    }

    /// The sum; saturates.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// What is left; never below nothing.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl PicoUsd {
    /// Reads a decimal number of dollars for a million units, exactly: digits, and up to six more behind a point.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse_per_million(text: &str) -> Result<Self, AmountFault> {
        decimal(text, 6).map(Self)
    }

    /// Reads a decimal number of dollars for one unit, exactly: digits, and up to twelve more behind a point.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse_each(text: &str) -> Result<Self, AmountFault> {
        decimal(text, 12).map(Self)
    }
}

/// One window of one budget, in a number that means the same in every process: the journal writes it in the clear, and
/// what was spent is found again by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WindowId {
    /// The budget: a digest of whose it is and what it is called.
    pub budget: u64,
    /// When the window began, in seconds of the Unix epoch.
    pub start: i64,
}

impl WindowId {
    /// The window of a budget (of a tenant, or of one `part` of it, as its `scope` says) that began then.
    pub fn of(budget: &str, scope: &str, part: &str, start: i64) -> Self {
        // FNV-1a: short, and the same for ever. Whoever makes two names of his own collide, shares his own budget.
        let fields = [budget, scope, part];
        let bytes = fields.iter().flat_map(|field| field.bytes().chain([0]));
        let budget = bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Self { budget, start }
    }
}

/// Why a text is no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AmountFault {
    /// Something else than digits around at most one point, or no digits.
    NotANumber,
    /// More digits behind the point than are exact; how many are.
    TooFine(u32),
    /// Larger than can be counted.
    TooLarge,
}

impl fmt::Display for AmountFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotANumber => f.write_str("an amount is digits, with a point at most"),
            Self::TooFine(digits) => {
                write!(f, "at most {digits} digits behind the point are exact")
            }
            Self::TooLarge => f.write_str("larger than can be counted"),
        }
    }
}

impl std::error::Error for AmountFault {}

impl Add for PicoSum {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sum for PicoSum {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::default(), Add::add)
    }
}

impl Sum for NanoUsd {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::ZERO, Self::plus)
    }
}

/// In dollars, with as many digits behind the point as it takes, and at least two.
impl fmt::Display for NanoUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dollars, nanos) = (self.0 / Self::DOLLAR.0, self.0 % Self::DOLLAR.0);
        let digits = format!("{nanos:09}");
        let shown = digits.trim_end_matches('0').len().max(2);
        write!(f, "{dollars}.{}", digits.get(..shown).unwrap_or(&digits))
    }
}

const PICO_PER_NANO: u128 = 1_000;
const HALF_NANO: u128 = 500;

/// A decimal text as an integer of its `places`-th decimal place.
fn decimal(text: &str, places: u32) -> Result<u64, AmountFault> {
    let (whole, behind) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if !is_number(whole) || !is_number(behind) {
        return Err(AmountFault::NotANumber);
    }
    let behind = behind.trim_end_matches('0');
    let missing = u32::try_from(behind.len())
        .ok()
        .and_then(|given| places.checked_sub(given))
        .ok_or(AmountFault::TooFine(places))?;
    let digits = whole.bytes().chain(behind.bytes());
    digits
        .map(|digit| u64::from(digit - b'0'))
        .chain((0..missing).map(|_| 0))
        .try_fold(0_u64, |sum, digit| sum.checked_mul(10)?.checked_add(digit))
        .ok_or(AmountFault::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_text_is_read_exactly_or_not_at_all() {
        assert_eq!(NanoUsd::parse("100"), Ok(NanoUsd(100_000_000_000)));
        assert_eq!(NanoUsd::parse("0.000000001"), Ok(NanoUsd(1)));
        assert_eq!(NanoUsd::parse("2.50"), Ok(NanoUsd(2_500_000_000)));
        assert_eq!(
            NanoUsd::parse("1.0000000000"),
            Ok(NanoUsd::DOLLAR),
            "zeros change nothing"
        );
        assert_eq!(NanoUsd::parse("1.0000000001"), Err(AmountFault::TooFine(9)));
        assert_eq!(
            NanoUsd::parse("18446744073.709551615"),
            Ok(NanoUsd(u64::MAX))
        );
        assert_eq!(
            NanoUsd::parse("18446744073.709551616"),
            Err(AmountFault::TooLarge)
        );
        assert_eq!(PicoUsd::parse_per_million("0.0375"), Ok(PicoUsd(37_500)));
        assert_eq!(PicoUsd::parse_each("0.01"), Ok(PicoUsd(10_000_000_000)));
        for wrong in [
            "", ".", "1.", ".5", "-1", "+1", "1e3", "1,5", "1.2.3", " 1", "1_000", "٣",
        ] {
            assert_eq!(
                NanoUsd::parse(wrong),
                Err(AmountFault::NotANumber),
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn an_amount_is_rounded_once_and_half_to_even() {
        let rounded = |pico| (PicoSum(pico).round().0, PicoSum(pico).round_up().0);
        assert_eq!(rounded(0), (0, 0));
        assert_eq!(rounded(499), (0, 1));
        assert_eq!(rounded(500), (0, 1));
        assert_eq!(rounded(501), (1, 1));
        assert_eq!(rounded(1_500), (2, 2));
        assert_eq!(rounded(2_500), (2, 3));
        assert_eq!(rounded(u128::MAX), (u64::MAX, u64::MAX));
        let parts = [PicoUsd(37_500).times(1_000), PicoUsd(1).times(1)];
        assert_eq!(parts.into_iter().sum::<PicoSum>(), PicoSum(37_500_001));
    }

    #[test]
    fn an_amount_reads_as_dollars() {
        let shown = |nanos| NanoUsd(nanos).to_string();
        assert_eq!(shown(0), "0.00");
        assert_eq!(shown(1), "0.000000001");
        assert_eq!(shown(24_910_000_000), "24.91");
        assert_eq!(shown(100_000_000_000), "100.00");
        assert_eq!(shown(1_234_500_000), "1.2345");
    }
}
