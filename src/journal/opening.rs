//! Opening a journal, handing out its books, closing it. Must never be opened twice on one directory.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use super::book::{Book, Bookmark, Record, length};
use super::error::JournalError;
use super::format::{Held, Kind, SegmentHead, TenantNumber};
use super::health::{BookHealth, Health};
use super::keys::{Keyring, Slot, random_boot, random_number};
use super::line::{OWN_ROOM, Shared, Wish};
use super::open::{OpenEntry, room_for};
use super::own::Own;
use super::pen::{Pen, Reach};
use super::places::Places;
use super::recover::{Ground, Recovery, recover, recovered};
use super::settings::{Settings, Terms};
use super::ship::Shipping;
use super::writer::Writer;
use crate::host::durable::Lock;
use crate::host::files::private_dir;
use crate::host::thread;
use crate::units::{Clock, TenantId};

/// The journal of one sidecar. Dropping it closes it.
pub struct Journal {
    pub(super) shared: Arc<Shared>,
    threads: Mutex<Vec<std::thread::JoinHandle<()>>>,
    /// Held until it is closed.
    lock: Mutex<Option<Lock>>,
}

impl Journal {
    /// Opens the journal of a directory, makes it where there is none, and settles what a crash left open. Blocks.
    ///
    /// # Errors
    /// It is in use, its keys cannot be read, or there is no room to begin.
    pub fn open(
        directory: &Path,
        settings: Settings,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, Recovery), JournalError> {
        let places = Places::new(directory);
        private_dir(places.directory())?;
        private_dir(&places.segments())?;
        let lock = Lock::take(&places.lock())?;
        let (keyring, slots, new_keys) = Keyring::open(directory)?;
        let mut recovery = Recovery::default();
        let ground = recover(&places, &keyring, &mut recovery)?;
        recovery.fresh = ground.sums.tenants.is_empty();
        if new_keys && !recovery.fresh {
            recovery.alarms.push(super::Alarm::KeysLost);
        }
        recovery.tenants = recovered(&ground.sums, &names(&slots));
        recovery.newest = ground.sums.newest;
        let start = Start {
            places,
            slots,
            ground,
        };
        let shared = start.shared(settings, clock, keyring)?;
        let rolled_back = recovery
            .alarms
            .iter()
            .any(|alarm| matches!(alarm, super::Alarm::RolledBack { .. }));
        shared.rolled_back.store(rolled_back, Ordering::Release);
        let writer = start.writer(&shared, &recovery)?;
        let mut threads = vec![thread("journal", move || writer.run())?];
        if shared.shipping.is_some() {
            let shared = Arc::clone(&shared);
            let ship = move || {
                if let Some(shipping) = &shared.shipping {
                    shipping.run();
                }
            };
            threads.push(thread("journal-ship", ship)?);
        }
        let journal = Self {
            shared,
            threads: Mutex::new(threads),
            lock: Mutex::new(Some(lock)),
        };
        Ok((journal, recovery))
    }

    /// A tenant's book, made when it is first asked for.
    ///
    /// # Errors
    /// The journal knows as many tenants as it may, or a cipher failed.
    pub fn book(&self, tenant: &TenantId, terms: Terms) -> Result<Arc<Book>, JournalError> {
        let shared = &self.shared;
        let mut books = shared.books.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(book) = books.get(tenant) {
            book.set_terms(terms);
            return Ok(Arc::clone(book));
        }
        if books.len() >= shared.settings.tenants {
            return Err(JournalError::Tenants);
        }
        let number = TenantNumber(random_number()?);
        let wall = shared.clock.wall();
        let mut keyring = shared.keyring();
        let (slot, bytes) = keyring.admit(tenant, number, 1, wall)?;
        let mark = Bookmark {
            number,
            seq: 0,
            chain: keyring.journal.genesis(number),
            kept: 0,
            wall,
        };
        drop(keyring);
        shared.introduce(slot.place, bytes);
        let book = Book::new(shared, tenant.clone(), terms, Some(slot), &mark);
        books.insert(tenant.clone(), Arc::clone(&book));
        Ok(book)
    }

    /// Each tenant's part that `wanted` asks for, in order of their names.
    pub fn books(&self, wanted: impl Fn(&TenantId) -> bool) -> Vec<(TenantId, BookHealth)> {
        let mut books: Vec<_> = {
            let books = self
                .shared
                .books
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            books
                .values()
                .filter(|book| wanted(book.id()))
                .map(Arc::clone)
                .collect()
        };
        books.sort_unstable_by(|left, right| left.id().cmp(right.id()));
        let health = |book: Arc<Book>| (book.id().clone(), book.health());
        books.into_iter().map(health).collect()
    }

    /// Forgets the key of everything a tenant's records say so far; what is in the clear stays, and all chains with it. What
    /// the tenant does from now on has another key. The record of that says `why`. False if there is no such tenant. Blocks
    /// until the disk has forgotten.
    ///
    /// # Errors
    /// The disk would not; then the key may still be there, and it can be tried again.
    pub fn erase(&self, tenant: &TenantId, why: &[u8]) -> Result<bool, JournalError> {
        let shared = &self.shared;
        let known = {
            let books = shared.books.lock().unwrap_or_else(PoisonError::into_inner);
            books.get(tenant).map(Arc::clone)
        };
        let Some(book) = known else { return Ok(false) };
        let (number, place) = {
            let mut pages = book.pages();
            let mut keyring = shared.keyring();
            let from = pages.last().0 + 1;
            let wall = shared.clock.wall();
            let (slot, bytes) = keyring.admit(tenant, pages.number, from, wall)?;
            shared.introduce(slot.place, bytes);
            drop(keyring);
            let place = slot.place;
            pages.set_slot(Some(slot));
            (pages.number, place)
        };
        // The record says that payloads before it are gone on purpose.
        let told = book.record(Kind::Erase, super::Flags::default(), Record::of(why));
        drop(told);
        shared.wish(Wish::SYNC);
        let keyring = shared.keyring();
        // What the writer has not written yet must not be written later, over what was forgotten.
        let newcomers = shared.newcomers();
        keyring
            .introduce(&newcomers)
            .and_then(|()| keyring.sync_table())
            .map_err(|source| crate::host::Error::new("write", "keys", source))?;
        shared.introduced(newcomers.len());
        keyring.forget(number, place)?;
        Ok(true)
    }

    /// How the journal is.
    pub fn health(&self) -> Health {
        self.shared.health()
    }

    /// The files were older than what was signed, as an earlier start has found: strict work waits until somebody has
    /// acknowledged that.
    pub fn distrust(&self) {
        self.shared.rolled_back.store(true, Ordering::Release);
    }

    /// Somebody knows that the files were older than what was signed; strict work goes on.
    pub fn acknowledge(&self) {
        self.shared.rolled_back.store(false, Ordering::Release);
    }

    /// Finishes the segment that is written to, soon.
    pub fn turn(&self) {
        self.shared.wish(Wish::TURN);
    }

    /// Takes nothing more, writes what is queued, signs and seals it. Blocks. Ends that come later are not written: the next
    /// start settles their intents at what they held.
    pub fn close(&self) {
        let threads = {
            let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *threads)
        };
        if threads.is_empty() {
            return;
        }
        self.shared.wish(Wish::CLOSE);
        for thread in threads {
            _ = thread.join();
            // The writer is the first; what it sealed last is copied by the second.
            if let Some(shipping) = &self.shared.shipping {
                shipping.close();
            }
        }
        drop(
            self.lock
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.close();
        // Each book holds what all share, its files among it: in a circle, they would never be closed.
        let shared = &self.shared;
        let books =
            std::mem::take(&mut *shared.books.lock().unwrap_or_else(PoisonError::into_inner));
        shared.pen().let_go();
        while shared.next().is_some() {}
        drop(books);
    }
}

/// What a start works with.
struct Start {
    places: Places,
    slots: Vec<Slot>,
    ground: Ground,
}

impl Start {
    /// The first file, and what all books share.
    fn shared(
        &self,
        settings: Settings,
        clock: Arc<dyn Clock>,
        keyring: Keyring,
    ) -> Result<Arc<Shared>, JournalError> {
        let boot = random_boot()?;
        let head = SegmentHead {
            number: self.ground.next_segment,
            journal: keyring.journal,
            boot,
            wall: clock.wall(),
        };
        let accounts = self.ground.sums.tenants.values();
        let owed: u64 = accounts
            .flat_map(|account| account.open.values())
            .map(|held| room_for(held.windows.len(), 0))
            .sum();
        let room = owed + settings.step_bytes + OWN_ROOM;
        let path = self.places.segment(head.number);
        let pen = Pen::begin(&path, head, room, clock.boot())?;
        let shipping = settings
            .ship
            .as_ref()
            .map(|target| Shipping::new(&self.places, target, keyring.journal));
        if let Some(shipping) = &shipping {
            let kept = self.ground.shelf.kept.iter();
            kept.filter(|kept| kept.sealed)
                .for_each(|kept| shipping.add(kept.number));
        }
        let shared = Shared::new(settings, clock, boot, keyring, pen, shipping);
        Ok(Arc::new(shared))
    }

    /// The books of all known tenants, an end for everything that a crash left open, and the writer's thread.
    fn writer(self, shared: &Arc<Shared>, recovery: &Recovery) -> Result<Writer, JournalError> {
        let Self {
            places,
            slots,
            mut ground,
        } = self;
        let journal = shared.keyring().journal;
        let own = ground.sums.tenants.remove(&TenantNumber::JOURNAL);
        let (seq, chain) = match own {
            Some(account) if account.last_seq > 0 => (account.last_seq, account.chain),
            _ => (0, journal.genesis(TenantNumber::JOURNAL)),
        };
        let mut own = Own::new(
            seq,
            chain,
            recovery.newest,
            ground.point,
            ground.point_digest,
        );
        {
            let payload = boot_payload(shared, recovery);
            let mut pen = shared.pen();
            own.write(shared, &mut pen, Kind::Boot, payload.as_bytes())
                .map_err(|source| crate::host::Error::new("write", "segment", source))?;
        }
        let mut live: HashMap<TenantNumber, Slot> = slots
            .into_iter()
            .filter(|slot| slot.known.is_some())
            .map(|slot| (slot.number, slot))
            .collect();
        for (number, account) in ground.sums.tenants.drain() {
            let mark = Bookmark {
                number,
                seq: account.last_seq,
                chain: account.chain,
                kept: account.bytes,
                wall: recovery.newest,
            };
            let book = known_book(shared, live.remove(&number), &mark);
            for (seq, held) in &account.open {
                end_unknown(&book, *seq, held);
            }
        }
        for (number, slot) in live {
            let mark = Bookmark {
                number,
                seq: 0,
                chain: journal.genesis(number),
                kept: 0,
                wall: recovery.newest,
            };
            known_book(shared, Some(slot), &mark);
        }
        shared.pen().write_out(shared, Reach::Writer);
        let mut writer = Writer::new(shared, places, own, ground.shelf);
        writer.checkpoint();
        Ok(writer)
    }
}

/// A book of a tenant that has one. Without a key it has no name, and only ends what was open.
fn known_book(shared: &Arc<Shared>, slot: Option<Slot>, mark: &Bookmark) -> Arc<Book> {
    let name = slot.as_ref().and_then(name_of).map(|(_, name)| name);
    let Some(name) = name else {
        return Book::new(shared, TenantId::nobody(), Terms::default(), None, mark);
    };
    let book = Book::new(shared, name.clone(), Terms::default(), slot, mark);
    let mut books = shared.books.lock().unwrap_or_else(PoisonError::into_inner);
    books.insert(name, Arc::clone(&book));
    book
}

/// Settles an intent at what it held.
fn end_unknown(book: &Arc<Book>, seq: u64, held: &Held) {
    let room = room_for(held.windows.len(), 0);
    // The file was given this room, and nothing else is written yet.
    _ = book.shared.promise(room);
    let record = Record {
        whole: held.whole,
        windows: &held.windows,
        payload: b"",
    };
    drop(OpenEntry::new(book, seq, room, record));
}

fn name_of(slot: &Slot) -> Option<(TenantNumber, TenantId)> {
    let known = slot.known.as_ref()?;
    Some((slot.number, known.name.clone()))
}

fn boot_payload(shared: &Shared, recovery: &Recovery) -> String {
    let mut boot = String::new();
    super::format::checkpoint::hex(&shared.boot.0, &mut boot);
    let unknown: u64 = recovery.tenants.iter().map(|tenant| tenant.unknown).sum();
    format!(
        r#"{{"boot":"{boot}","version":"{}","torn":{},"alarms":{},"unknown":{unknown}}}"#,
        env!("CARGO_PKG_VERSION"),
        length(recovery.torn.len()),
        length(recovery.alarms.len()),
    )
}

/// All tenants' names by their numbers.
pub(super) fn names(slots: &[Slot]) -> BTreeMap<TenantNumber, TenantId> {
    slots.iter().filter_map(name_of).collect()
}
