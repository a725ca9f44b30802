//! The bytes of request bodies that are held while they are looked at: one ceiling for the process, a share of it that
//! is each tenant's own, and the rest lent to whoever has more. One lock over three counters, taken only for bodies
//! that are not small.
//! Must never let the sum pass the ceiling, nor let what one tenant borrows reach into another's share.
//!
//! The rule: a tenant first uses its share. What it needs beyond, it borrows from the rest, as long as it then has
//! borrowed no more than is left to be borrowed. So one greedy tenant gets half of the rest, two get a third each, and
//! whoever comes next finds some; nothing has to be taken away from anybody for it.

use super::account::Account;
use super::sync::Mutex;
use std::sync::Arc;

/// The buffers of the whole process.
#[derive(Debug)]
pub struct Buffers {
    ceiling: u64,
    pool: Mutex<Pool>,
}

#[derive(Debug)]
struct Pool {
    /// How many tenants have a share.
    tenants: u64,
    held: u64,
    borrowed: u64,
}

/// What one tenant has of them. Read and written under the pool's lock only.
#[derive(Debug)]
pub(super) struct Shelf {
    buffers: Arc<Buffers>,
    tenant: Mutex<Stock>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Stock {
    own: u64,
    borrowed: u64,
}

/// Why there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// Not now; others give some back as their requests go on.
    Now,
    /// Not even if nobody else had anything; the most bytes there can be.
    Ever(u64),
}

/// The share of everybody together is one part in so many of the ceiling.
const SHARED_OUT: u64 = 4;

impl Buffers {
    /// So many bytes at most, for one tenant until [`Buffers::share_among`] says otherwise.
    pub fn new(ceiling: u64) -> Arc<Self> {
        Arc::new(Self {
            ceiling,
            pool: Mutex::new(Pool {
                tenants: 1,
                held: 0,
                borrowed: 0,
            }),
        })
    }

    /// So many tenants have a share from now on. Who holds more than the new one keeps it until it is given back; the
    /// ceiling holds all the while.
    pub fn share_among(&self, tenants: usize) {
        let tenants = u64::try_from(tenants).unwrap_or(u64::MAX);
        self.pool.lock().tenants = tenants.max(1);
    }

    /// The most bytes there may be.
    pub fn ceiling(&self) -> u64 {
        self.ceiling
    }

    /// The bytes held now.
    pub fn held(&self) -> u64 {
        self.pool.lock().held
    }

    /// The share of each of so many tenants, and what is left to be lent. One tenant has it all.
    fn divide(&self, tenants: u64) -> (u64, u64) {
        if tenants <= 1 {
            return (self.ceiling, 0);
        }
        let share = (self.ceiling / SHARED_OUT)
            .checked_div(tenants)
            .unwrap_or(0);
        (
            share,
            self.ceiling.saturating_sub(share.saturating_mul(tenants)),
        )
    }

    /// What of `bytes` would be the tenant's own and what borrowed, for a request that then has `all`.
    fn split(&self, pool: &Pool, stock: Stock, bytes: u64, all: u64) -> Result<Stock, Full> {
        let (share, lendable) = self.divide(pool.tenants);
        let most = share.saturating_add(lendable / 2);
        if all > most {
            return Err(Full::Ever(most));
        }
        let own = bytes.min(share.saturating_sub(stock.own));
        let borrowed = bytes.saturating_sub(own);
        if pool.held.saturating_add(bytes) > self.ceiling {
            return Err(Full::Now);
        }
        if borrowed > 0 {
            let left = lendable
                .checked_sub(pool.borrowed)
                .and_then(|left| left.checked_sub(borrowed))
                .ok_or(Full::Now)?;
            if stock.borrowed.saturating_add(borrowed) > left {
                return Err(Full::Now);
            }
        }
        Ok(Stock { own, borrowed })
    }
}

impl Shelf {
    pub(super) fn new(buffers: Arc<Buffers>) -> Self {
        let tenant = Mutex::new(Stock::default());
        Self { buffers, tenant }
    }

    pub(super) fn fits(&self, bytes: u64) -> Result<(), Full> {
        let pool = self.buffers.pool.lock();
        let stock = *self.tenant.lock();
        self.buffers.split(&pool, stock, bytes, bytes).map(|_| ())
    }

    fn take(&self, bytes: u64, all: u64) -> Result<(), Full> {
        let mut pool = self.buffers.pool.lock();
        let mut stock = self.tenant.lock();
        let taken = self.buffers.split(&pool, *stock, bytes, all)?;
        // Nothing saturates: `split` has seen that the sums are below the ceiling.
        stock.own = stock.own.saturating_add(taken.own);
        stock.borrowed = stock.borrowed.saturating_add(taken.borrowed);
        pool.held = pool.held.saturating_add(bytes);
        pool.borrowed = pool.borrowed.saturating_add(taken.borrowed);
        Ok(())
    }

    /// What was borrowed goes back first.
    fn give_back(&self, bytes: u64) {
        let mut pool = self.buffers.pool.lock();
        let mut stock = self.tenant.lock();
        let borrowed = bytes.min(stock.borrowed);
        stock.borrowed = stock.borrowed.saturating_sub(borrowed);
        stock.own = stock.own.saturating_sub(bytes.saturating_sub(borrowed));
        pool.held = pool.held.saturating_sub(bytes);
        pool.borrowed = pool.borrowed.saturating_sub(borrowed);
    }

    pub(super) fn held(&self) -> u64 {
        let stock = *self.tenant.lock();
        stock.own.saturating_add(stock.borrowed)
    }
}

/// What one request holds. Dropped, all of it goes back.
#[derive(Debug)]
#[must_use = "a dropped lease gives the bytes back"]
pub struct Lease {
    account: Arc<Account>,
    bytes: u64,
}

impl Lease {
    pub(super) fn empty(account: Arc<Account>) -> Self {
        Self { account, bytes: 0 }
    }

    /// Grows to so many bytes, or stays as it is.
    pub fn grow_to(&mut self, bytes: u64) -> Result<(), Full> {
        let more = bytes.saturating_sub(self.bytes);
        if more > 0 {
            self.account.shelf.take(more, bytes)?;
            self.bytes = bytes;
        }
        Ok(())
    }

    /// How many bytes it is good for.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.account.shelf.give_back(self.bytes);
        }
    }
}
