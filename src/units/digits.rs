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
pub fn decimal(value: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = value;
    while rest >= 10 {
        at -= 2;
        digits[at..at + 2].copy_from_slice(&pair(rest));
        rest /= 100;
    }
    if rest > 0 || value == 0 {
        at -= 1;
        digits[at] = pair(rest)[1];
    }
    out.extend_from_slice(&digits[at..]);
}

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
