//! Gzip (RFC 1952) without compressing: stored blocks only (RFC 1951 §3.2.4), so that readers of compressed answers
//! can be tried without a compressor in the house. It must never be taken for one: its output is the longer.

use bytes::Bytes;

/// Magic, deflate, no flags, no time, no hints, unknown system.
const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
/// What one stored block can hold.
const BLOCK: usize = 0xffff;

/// One gzip member over all `parts`, with a part of its own for each of them, so that a stream stays one.
pub(super) fn wrapped(parts: &[Bytes]) -> Vec<Bytes> {
    let mut check = Crc(u32::MAX);
    let mut length = 0_u32;
    let mut out = Vec::with_capacity(parts.len());
    for (number, part) in parts.iter().enumerate() {
        let mut text = if number == 0 {
            HEAD.to_vec()
        } else {
            Vec::new()
        };
        for piece in part.chunks(BLOCK) {
            stored(piece, false, &mut text);
        }
        check.add(part);
        length = length.wrapping_add(u32::try_from(part.len() & 0xffff_ffff).unwrap_or(0));
        if number + 1 == parts.len() {
            stored(&[], true, &mut text);
            text.extend_from_slice(&check.sum().to_le_bytes());
            text.extend_from_slice(&length.to_le_bytes());
        }
        out.push(Bytes::from(text));
    }
    out
}

fn stored(piece: &[u8], last: bool, out: &mut Vec<u8>) {
    let length = u16::try_from(piece.len()).unwrap_or(u16::MAX);
    out.push(u8::from(last));
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&(!length).to_le_bytes());
    out.extend_from_slice(piece);
}

/// The checksum of RFC 1952 §8, bit by bit: it is not used where speed matters.
struct Crc(u32);

impl Crc {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 ^= u32::from(*byte);
            for _ in 0..8 {
                let carry = self.0 & 1;
                self.0 = (self.0 >> 1) ^ (0xedb8_8320 * carry);
            }
        }
    }

    fn sum(&self) -> u32 {
        !self.0
    }
}
