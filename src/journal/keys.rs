//! The keys: one that signs, one that wraps, and a secret per tenant from which each month's key is made, forwards only.
//! Must never write a secret that is not wrapped, nor be able to make a key of a month before the one it keeps.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk};
use aws_lc_rs::rand;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use zeroize::Zeroizing;

use super::error::JournalError;
use super::format::checkpoint::{hex, unhex};
use super::format::crc::crc32c;
use super::format::{BootId, JournalId, Sealing, TAG_BYTES, TenantNumber};
use crate::host::durable;
use crate::host::files::read_capped;
use crate::units::{TenantId, Wall};

const MASTER: &str = "master.key";
const SIGNING: &str = "signing.key";
const PUBLIC: &str = "signing.pub";
const TABLE: &str = "keys";
const SECRET_BYTES: usize = 32;
const NAME_BYTES: usize = 128;

/// Secrets of tenants and the master key; wiped when dropped.
pub(super) type Secret = Zeroizing<[u8; SECRET_BYTES]>;

/// The keys that are the journal's own.
pub(super) struct Keyring {
    master: LessSafeKey,
    signing: Ed25519KeyPair,
    pub(super) public: [u8; 32],
    pub(super) journal: JournalId,
    table: File,
    slots: u64,
}

/// One line of the table: a tenant, and the secret of its records from `from_seq` on.
#[derive(Debug)]
pub(super) struct Slot {
    /// Where in the table.
    pub(super) place: u64,
    pub(super) number: TenantNumber,
    pub(super) from_seq: u64,
    /// The month whose key is made from the secret itself.
    month: u32,
    /// Absent: forgotten, or not to be unwrapped.
    pub(super) known: Option<Known>,
    pub(super) forgotten: bool,
}

/// What a slot hides.
#[derive(Debug)]
pub(super) struct Known {
    secret: Secret,
    pub(super) name: TenantId,
}

impl Keyring {
    /// Opens the keys of a directory; makes them where there are none, which is said.
    pub(super) fn open(directory: &Path) -> Result<(Self, Vec<Slot>, bool), JournalError> {
        let (master, fresh) = secret_file(&directory.join(MASTER))?;
        let (seed, _) = secret_file(&directory.join(SIGNING))?;
        let signing = Ed25519KeyPair::from_seed_unchecked(&*seed)
            .map_err(|_| JournalError::Keys("`signing.key` is no key"))?;
        let public: [u8; 32] = signing
            .public_key()
            .as_ref()
            .try_into()
            .map_err(|_| JournalError::Cipher)?;
        let mut text = String::new();
        hex(&public, &mut text);
        text.push('\n');
        let public_path = directory.join(PUBLIC);
        if read_capped(&public_path, 256).ok().as_deref() != Some(text.as_bytes()) {
            durable::write_durable(&public_path, text.as_bytes())?;
        }
        let master = wrapping(&master)?;
        let table_path = directory.join(TABLE);
        let bytes = durable::open_private(&table_path)
            .and_then(|_| read_capped(&table_path, TABLE_BYTES))?;
        let slots = read_table(&bytes, Some(&master));
        let keyring = Self {
            journal: JournalId::of(&public),
            slots: u64::try_from(bytes.len().div_ceil(SLOT_BYTES)).unwrap_or(u64::MAX),
            table: durable::open_private(&table_path)?,
            master,
            signing,
            public,
        };
        Ok((keyring, slots, fresh))
    }

    /// A new slot for a tenant, and the bytes to be written for it.
    pub(super) fn admit(
        &mut self,
        name: &TenantId,
        number: TenantNumber,
        from_seq: u64,
        wall: Wall,
    ) -> Result<(Slot, [u8; SLOT_BYTES]), JournalError> {
        let mut secret = Secret::new([0; SECRET_BYTES]);
        rand::fill(&mut *secret).map_err(|_| JournalError::Cipher)?;
        let mut slot = Slot {
            place: self.slots,
            number,
            from_seq,
            month: month_of(wall),
            known: None,
            forgotten: false,
        };
        let mut bytes = [0; SLOT_BYTES];
        slot.write_clear(LIVE, &mut bytes);
        let mut plain = Zeroizing::new([0_u8; SECRET_BYTES + 1 + NAME_BYTES]);
        let text = name.as_str().as_bytes();
        plain[..SECRET_BYTES].copy_from_slice(&*secret);
        plain[SECRET_BYTES] = u8::try_from(text.len()).unwrap_or(u8::MAX);
        if let Some(place) = plain.get_mut(SECRET_BYTES + 1..SECRET_BYTES + 1 + text.len()) {
            place.copy_from_slice(text);
        }
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).map_err(|_| JournalError::Cipher)?;
        let tag = self
            .master
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(&bytes[8..28]),
                &mut *plain,
            )
            .map_err(|_| JournalError::Cipher)?;
        bytes[28..40].copy_from_slice(&nonce);
        bytes[40..TAG_AT].copy_from_slice(&*plain);
        bytes[TAG_AT..TAG_AT + TAG_BYTES].copy_from_slice(tag.as_ref());
        sum(&mut bytes);
        self.slots += 1;
        slot.known = Some(Known {
            secret,
            name: name.clone(),
        });
        Ok((slot, bytes))
    }

    /// Writes new lines into the table.
    pub(super) fn introduce(&self, newcomers: &[(u64, [u8; SLOT_BYTES])]) -> std::io::Result<()> {
        for (place, bytes) in newcomers {
            self.table.write_all_at(bytes, place * SLOT_LENGTH)?;
        }
        Ok(())
    }

    /// Waits until the disk has them.
    pub(super) fn sync_table(&self) -> std::io::Result<()> {
        self.table.sync_data()
    }

    /// Overwrites what all slots of a tenant hide but the one at that place, and waits until the disk has that.
    pub(super) fn forget(&self, tenant: TenantNumber, but: u64) -> Result<(), JournalError> {
        let failed = |source| crate::host::Error::new("forget a key in", TABLE, source);
        let length = self.table.metadata().map_err(failed)?.len();
        let mut table = vec![0; usize::try_from(length.min(TABLE_BYTES)).unwrap_or(0)];
        self.table.read_exact_at(&mut table, 0).map_err(failed)?;
        for slot in read_table(&table, None) {
            if slot.number != tenant || slot.place == but || slot.forgotten {
                continue;
            }
            let mut bytes = [0; SLOT_BYTES];
            slot.write_clear(FORGOTTEN, &mut bytes);
            sum(&mut bytes);
            self.table
                .write_all_at(&bytes, slot.place * SLOT_LENGTH)
                .map_err(failed)?;
        }
        self.table.sync_data().map_err(failed)?;
        Ok(())
    }

    /// An Ed25519 signature.
    pub(super) fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        let signature = self.signing.sign(bytes);
        signature.as_ref().first_chunk().copied().unwrap_or([0; 64])
    }
}

impl Slot {
    fn write_clear(&self, state: u8, bytes: &mut [u8; SLOT_BYTES]) {
        bytes[4] = state;
        bytes[8..16].copy_from_slice(&self.number.0.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.from_seq.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.month.to_le_bytes());
    }

    /// The key of a month in one life of the process; `None` for a secret that is gone, and for months before its own.
    pub(super) fn month_key(&self, wall: Wall, boot: BootId) -> Option<MonthKey> {
        let known = self.known.as_ref()?;
        let steps = month_of(wall).checked_sub(self.month)?;
        let mut secret = known.secret.clone();
        for _ in 0..steps.min(MOST_STEPS) {
            secret = derive(&secret, &[b"outrigger journal: next month"])?;
        }
        let key = derive(&secret, &[b"outrigger journal: key of a start", &boot.0])?;
        let key = UnboundKey::new(&AES_256_GCM, &*key).ok()?;
        Some(MonthKey(LessSafeKey::new(key)))
    }
}

/// Seals and opens the records of one tenant, month and start.
#[derive(Debug)]
pub(super) struct MonthKey(LessSafeKey);

impl MonthKey {
    /// Opens a payload in place; `None` if it is not what was sealed.
    pub(super) fn open<'a>(
        &self,
        seq: u64,
        clear: &[u8],
        sealed: &'a mut [u8],
    ) -> Option<&'a [u8]> {
        self.0
            .open_in_place(nonce(seq), Aad::from(clear), sealed)
            .ok()
            .map(|opened| &*opened)
    }
}

impl Sealing for MonthKey {
    fn seal(&self, seq: u64, clear: &[u8], payload: &mut [u8]) -> Option<[u8; TAG_BYTES]> {
        // Sealing fails only for texts of gigabytes; a tag of zeros would be found by whoever opens it.
        let tag = self
            .0
            .seal_in_place_separate_tag(nonce(seq), Aad::from(clear), payload)
            .ok()?;
        tag.as_ref().first_chunk().copied()
    }
}

/// A number is sealed once under a key: numbers only rise, and each start has keys of its own.
fn nonce(seq: u64) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    nonce[..8].copy_from_slice(&seq.to_le_bytes());
    Nonce::assume_unique_for_key(nonce)
}

/// The keys as a reader sees them: the public one, and what can be unwrapped if the master key can be read.
pub(super) struct ReadKeys {
    pub(super) public: Option<[u8; 32]>,
    pub(super) slots: Vec<Slot>,
    /// Whether secrets could be unwrapped at all.
    pub(super) has_master: bool,
}

impl ReadKeys {
    /// Reads what is there; nothing is made.
    pub(super) fn read(directory: &Path) -> Self {
        let public = read_capped(&directory.join(PUBLIC), 256)
            .ok()
            .and_then(|text| unhex(std::str::from_utf8(&text).ok()?.trim_end()));
        let master = read_capped(&directory.join(MASTER), 32)
            .ok()
            .and_then(|bytes| wrapping(&Secret::new(bytes.try_into().ok()?)).ok());
        let table = read_capped(&directory.join(TABLE), TABLE_BYTES).unwrap_or_default();
        Self {
            public,
            slots: read_table(&table, master.as_ref()),
            has_master: master.is_some(),
        }
    }
}

/// Whether a signature is that of a public key.
pub(super) fn is_signed(public: &[u8; 32], bytes: &[u8], signature: &[u8; 64]) -> bool {
    UnparsedPublicKey::new(&ED25519, public)
        .verify(bytes, signature)
        .is_ok()
}

/// A random number that is not 0.
pub(super) fn random_number() -> Result<u64, JournalError> {
    let mut bytes = [0; 8];
    rand::fill(&mut bytes).map_err(|_| JournalError::Cipher)?;
    Ok(u64::from_le_bytes(bytes).max(1))
}

/// A life of the process.
pub(super) fn random_boot() -> Result<BootId, JournalError> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).map_err(|_| JournalError::Cipher)?;
    Ok(BootId(bytes))
}

pub(super) const SLOT_BYTES: usize = 256;
const SLOT_LENGTH: u64 = 256;
const TAG_AT: usize = 40 + SECRET_BYTES + 1 + NAME_BYTES;
/// A million slots.
const TABLE_BYTES: u64 = 256 << 20;
const LIVE: u8 = 1;
const FORGOTTEN: u8 = 2;
/// A hundred years; a clock that says more is wrong, and need not cost more.
const MOST_STEPS: u32 = 1_200;

fn sum(bytes: &mut [u8; SLOT_BYTES]) {
    let sum = crc32c(&bytes[4..]);
    bytes[..4].copy_from_slice(&sum.to_le_bytes());
}

/// The slots of a table. One that was torn while it was written is as if it were not there: no record uses it yet.
fn read_table(bytes: &[u8], master: Option<&LessSafeKey>) -> Vec<Slot> {
    let (slots, _) = bytes.as_chunks::<SLOT_BYTES>();
    let read = slots.iter().zip(0..).filter_map(|(bytes, place)| {
        let word = |at: usize| {
            let word = bytes.get(at..).and_then(|rest| rest.first_chunk());
            word.copied().map(u64::from_le_bytes)
        };
        let state = bytes[4];
        if u32::from_le_bytes(*bytes.first_chunk()?) != crc32c(&bytes[4..]) || state == 0 {
            return None;
        }
        Some(Slot {
            place,
            number: TenantNumber(word(8)?),
            from_seq: word(16)?,
            month: u32::try_from(word(24)? & u64::from(u32::MAX)).ok()?,
            known: master.and_then(|master| unwrap(bytes, master)),
            forgotten: state == FORGOTTEN,
        })
    });
    read.collect()
}

fn unwrap(bytes: &[u8; SLOT_BYTES], master: &LessSafeKey) -> Option<Known> {
    let nonce: [u8; NONCE_LEN] = bytes.get(28..40)?.try_into().ok()?;
    let mut sealed = Zeroizing::new(bytes.get(40..TAG_AT + TAG_BYTES)?.to_vec());
    let plain = master
        .open_in_place(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(&bytes[8..28]),
            &mut sealed,
        )
        .ok()?;
    let (secret, rest) = plain.split_first_chunk::<SECRET_BYTES>()?;
    let (length, name) = rest.split_first()?;
    let name = std::str::from_utf8(name.get(..usize::from(*length))?).ok()?;
    let reserved = [TenantId::nobody(), TenantId::sidecar()];
    let reserved = reserved.into_iter().find(|id| id.as_str() == name);
    let name = match reserved {
        Some(reserved) => reserved,
        None => name.parse().ok()?,
    };
    Some(Known {
        secret: Secret::new(*secret),
        name,
    })
}

/// The bytes of a secret file, made if it is not there.
fn secret_file(path: &Path) -> Result<(Secret, bool), JournalError> {
    if path.exists() {
        let bytes = Zeroizing::new(read_capped(path, 32)?);
        let secret = bytes
            .first_chunk()
            .ok_or(JournalError::Keys("a key file is too short"))?;
        return Ok((Secret::new(*secret), false));
    }
    let mut secret = Secret::new([0; SECRET_BYTES]);
    rand::fill(&mut *secret).map_err(|_| JournalError::Cipher)?;
    durable::write_durable(path, &*secret)?;
    Ok((secret, true))
}

fn wrapping(master: &Secret) -> Result<LessSafeKey, JournalError> {
    let key = derive(master, &[b"outrigger journal: wrapping"]).ok_or(JournalError::Cipher)?;
    let key = UnboundKey::new(&AES_256_GCM, &*key).map_err(|_| JournalError::Cipher)?;
    Ok(LessSafeKey::new(key))
}

fn derive(secret: &Secret, info: &[&[u8]]) -> Option<Secret> {
    struct Length;
    impl KeyType for Length {
        fn len(&self) -> usize {
            SECRET_BYTES
        }
    }
    let mut out = Secret::new([0; SECRET_BYTES]);
    Prk::new_less_safe(HKDF_SHA256, &**secret)
        .expand(info, Length)
        .ok()?
        .fill(&mut *out)
        .ok()?;
    Some(out)
}

/// Months since January 1970, in UTC.
pub(super) fn month_of(wall: Wall) -> u32 {
    // Years begin in March here, as in `Wall`, so that the leap day is the last of its year.
    let shifted = wall.0 / 86_400_000 + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let months = (era * 400 + year) * 12 + month_from_march + 2;
    u32::try_from(months.saturating_sub(1_970 * 12)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_those_of_the_calendar() {
        for (millis, month) in [
            (0, 0),
            (31 * 86_400_000 - 1, 0),
            (31 * 86_400_000, 1),
            (951_782_399_999, 30 * 12 + 1),
            (951_868_800_000, 30 * 12 + 2),
            (1_795_996_800_000, 56 * 12 + 10),
        ] {
            assert_eq!(month_of(Wall(millis)), month, "{millis}");
        }
    }

    #[test]
    fn keys_go_forwards_only_and_differ_by_tenant_month_and_start() {
        let directory = tempfile::tempdir().unwrap();
        let (mut keyring, slots, fresh) = Keyring::open(directory.path()).unwrap();
        assert!(fresh && slots.is_empty());
        let november = Wall(1_795_996_800_000);
        let december = Wall(november.0 + 30 * 86_400_000);
        let (acme, _) = keyring
            .admit(&"acme".parse().unwrap(), TenantNumber(1), 1, november)
            .unwrap();
        let (other, _) = keyring
            .admit(&"other".parse().unwrap(), TenantNumber(2), 1, november)
            .unwrap();
        let sealed = |slot: &Slot, wall, boot| {
            let mut text = *b"the same text";
            let key = slot.month_key(wall, BootId([boot; 16])).unwrap();
            let tag = key.seal(1, b"", &mut text).unwrap();
            (text, tag)
        };
        let first = sealed(&acme, november, 1);
        assert_eq!(first, sealed(&acme, november, 1));
        assert_ne!(first, sealed(&acme, december, 1));
        assert_ne!(first, sealed(&acme, november, 2));
        assert_ne!(first, sealed(&other, november, 1));
        let october = Wall(november.0 - 40 * 86_400_000);
        assert!(acme.month_key(october, BootId([1; 16])).is_none());
    }
}
