//! Names to addresses, by getaddrinfo(3), so that the machine's own rules (hosts file, search domains, ndots) hold. It
//! blocks a thread for as long as it likes and cannot be called off: so there is one lookup per name at a time, few of
//! them at once, and whoever waits may leave. Must never hand out an address for longer than it was good for.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use crate::host::error::reason;
use crate::host::tasks;

/// How long an answer is used. getaddrinfo does not tell what the name's owner wants; this is what cluster name servers
/// say, and short enough for names that move.
const KEPT: Duration = Duration::from_secs(30);

/// Names known or asked for, at most. The oldest known one makes room.
const MOST_NAMES: usize = 256;

/// Lookups at once, at most: a resolver that hangs takes this many threads and leaves the others.
const AT_ONCE: usize = 8;

/// More addresses than this are not tried: the time is better spent on a few.
const MOST_ADDRESSES: usize = 8;

/// What a lookup came to: addresses in the order of the system's preference, or the resolver's text.
type Found = Result<Arc<[IpAddr]>, Arc<str>>;

/// The lookup itself; it blocks.
type Lookup = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// A resolver that remembers for a little while.
pub(super) struct Resolver {
    lookup: Arc<Lookup>,
    names: Mutex<HashMap<Box<str>, Name>>,
    seats: Semaphore,
}

/// What is known of a name.
enum Name {
    Known { at: Instant, found: Arc<[IpAddr]> },
    Asked(watch::Receiver<Option<Found>>),
}

/// Addresses, and whether they were looked up just now.
pub(super) struct Resolved {
    pub(super) addresses: Arc<[IpAddr]>,
    pub(super) is_fresh: bool,
}

impl Resolver {
    /// The system's.
    pub(super) fn system() -> Arc<Self> {
        Self::over(Arc::new(|name: &str| {
            let found = (name, 0).to_socket_addrs()?;
            Ok(found.map(|address| address.ip()).collect())
        }))
    }

    fn over(lookup: Arc<Lookup>) -> Arc<Self> {
        Arc::new(Self {
            lookup,
            names: Mutex::default(),
            seats: Semaphore::new(AT_ONCE),
        })
    }

    /// The addresses of a name; at least one.
    ///
    /// # Errors
    /// What the resolver says, or that too many names are asked for.
    pub(super) async fn resolve(self: &Arc<Self>, name: &str) -> Result<Resolved, Arc<str>> {
        let mut asked = match self.look(name)? {
            Name::Known { found, .. } => {
                return Ok(Resolved {
                    addresses: found,
                    is_fresh: false,
                });
            }
            Name::Asked(asked) => asked,
        };
        let found = match asked.wait_for(Option::is_some).await {
            Ok(found) => found.clone(),
            // The runtime that looked has ended.
            Err(_) => None,
        };
        let addresses = found.unwrap_or_else(|| Err("the lookup was given up".into()))?;
        Ok(Resolved {
            addresses,
            is_fresh: true,
        })
    }

    /// Nobody answers at what is known of a name: the next to ask looks it up again.
    pub(super) fn forget(&self, name: &str) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(names.get(name), Some(Name::Known { .. })) {
            names.remove(name);
        }
    }

    /// What is known, or the lookup under way, which is begun if there is none.
    fn look(self: &Arc<Self>, name: &str) -> Result<Name, Arc<str>> {
        let now = Instant::now();
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        match names.get(name) {
            Some(Name::Known { at, found }) if now < *at + KEPT => {
                return Ok(Name::Known {
                    at: *at,
                    found: Arc::clone(found),
                });
            }
            Some(Name::Asked(asked)) => return Ok(Name::Asked(asked.clone())),
            Some(Name::Known { .. }) => {}
            None if names.len() < MOST_NAMES => {}
            None => make_room(&mut names)?,
        }
        let (tell, asked) = watch::channel(None);
        names.insert(name.into(), Name::Asked(asked.clone()));
        drop(names);
        let flight = Flight {
            resolver: Arc::clone(self),
            name: name.into(),
        };
        tasks::spawn("name-lookup", flight.fly(tell));
        Ok(Name::Asked(asked))
    }
}

/// Forgets the oldest known name.
fn make_room(names: &mut HashMap<Box<str>, Name>) -> Result<(), Arc<str>> {
    let known = names.iter().filter_map(|(name, known)| match known {
        Name::Known { at, .. } => Some((*at, name.clone())),
        Name::Asked(_) => None,
    });
    let Some((_, oldest)) = known.min() else {
        return Err("too many names are being looked up".into());
    };
    names.remove(&oldest);
    Ok(())
}

/// One lookup under way; when it is dropped, it is no longer.
struct Flight {
    resolver: Arc<Resolver>,
    name: Box<str>,
}

impl Flight {
    async fn fly(self, tell: watch::Sender<Option<Found>>) {
        // Never closed.
        let seat = self.resolver.seats.acquire().await;
        let (lookup, name) = (Arc::clone(&self.resolver.lookup), self.name.clone());
        let looked = tasks::blocking("getaddrinfo", move || lookup(&name)).await;
        drop(seat);
        let found = looked
            .map_err(|_| "the lookup failed".into())
            .and_then(settle);
        if let Ok(found) = &found {
            let known = Name::Known {
                at: Instant::now(),
                found: Arc::clone(found),
            };
            let names = &self.resolver.names;
            let mut names = names.lock().unwrap_or_else(PoisonError::into_inner);
            names.insert(self.name.clone(), known);
        }
        // A failure is not remembered: the next to ask asks again. It is taken out before it is told.
        drop(self);
        tell.send_replace(Some(found));
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let names = &self.resolver.names;
        let mut names = names.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(names.get(&self.name), Some(Name::Asked(_))) {
            names.remove(&self.name);
        }
    }
}

/// The addresses to try, each once.
fn settle(looked: io::Result<Vec<IpAddr>>) -> Found {
    let all = looked.map_err(|error| Arc::from(resolver_reason(&error)))?;
    let mut found: Vec<IpAddr> = Vec::new();
    for address in all {
        if found.len() < MOST_ADDRESSES && !found.contains(&address) {
            found.push(address);
        }
    }
    if found.is_empty() {
        return Err("it has no address".into());
    }
    Ok(found.into())
}

/// The standard library puts a sentence of its own before getaddrinfo's.
fn resolver_reason(error: &io::Error) -> String {
    let text = reason(error);
    text.strip_prefix("failed to lookup address information: ")
        .unwrap_or(&text)
        .to_lowercase()
}

#[cfg(test)]
mod tests;
