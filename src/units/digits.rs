//! Decimal digits, written as they are needed dozens of times in every trip. Must never allocate.

/// The two digits of each number below a hundred.
static PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut at = 0_u8;
    while at < 100 {
        pairs[at as usize] = [b'0' + at / 10, b'0' + at % 10];
        at += 1;
    }
    pairs
};

/// The two digits of a number below a hundred; of a larger one, its last two.
#[inline]
pub fn pair(value: u64) -> [u8; 2] {
    // The remainder is below a hundred, so the first way is taken.
    let place = usize::try_from(value % 100).unwrap_or_default();
    PAIRS.get(place).copied().unwrap_or(*b"00")
}

/// Appends a number.
#[inline]
pub fn decimal(value: u64, out: &mut Vec<u8>) {
    let count = value.checked_ilog10().map_or(1, |log| log as usize + 1);
    let mut digits = [0; MOST_DIGITS];
    let mut at = count;
    let mut rest = value;
    while at >= 2 {
        at -= 2;
        digits[at..at + 2].copy_from_slice(&pair(rest));
        rest /= 100;
    }
    if at == 1 {
        digits[0] = pair(rest)[1];
    }
    // A length that is known is copied in place, and what is too much is forgotten.
    let end = out.len() + count;
    out.extend_from_slice(&digits);
    out.truncate(end);
}

/// `u64::MAX` has as many.
const MOST_DIGITS: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_they_are() {
        for place in 0..20 {
            let power = 10_u64.pow(place);
            for value in [
                power - 1,
                power,
                power + 1,
                power.saturating_mul(7),
                u64::MAX - power,
            ] {
                let mut out = b"=".to_vec();
                decimal(value, &mut out);
                assert_eq!(out, format!("={value}").into_bytes());
            }
        }
        assert_eq!((pair(7), pair(1_234)), (*b"07", *b"34"));
    }
}
