//! Who is connected: every client connection with the handle that ends it. When few places are left, idle connections
//! of whoever has most are closed, so that nobody's idle ones lock everybody else out.
//! Must never end a connection on which a trip is under way.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::gate::Gate;
use crate::host::AbortHandle;
use crate::trip::Door;

/// The connections, oldest first.
#[derive(Default)]
pub(super) struct Crowd {
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    guests: BTreeMap<u64, Guest>,
    next: u64,
}

struct Guest {
    door: Arc<Door>,
    gate: Arc<Gate>,
    /// Comes once the task is there.
    task: Option<AbortHandle>,
}

/// How many connections somebody has.
#[derive(Clone, Copy, Default)]
struct Group {
    all: usize,
    idle: usize,
}

impl Crowd {
    /// A connection is there; gives the number under which it leaves.
    pub(super) fn enter(&self, door: &Arc<Door>, gate: &Arc<Gate>) -> u64 {
        let mut inside = self.lock();
        let number = inside.next;
        inside.next += 1;
        let guest = Guest {
            door: Arc::clone(door),
            gate: Arc::clone(gate),
            task: None,
        };
        inside.guests.insert(number, guest);
        number
    }

    /// What ends it. It may be over already.
    pub(super) fn ends_by(&self, number: u64, task: AbortHandle) {
        if let Some(guest) = self.lock().guests.get_mut(&number) {
            guest.task = Some(task);
        }
    }

    pub(super) fn leave(&self, number: u64) {
        let gone = self.lock().guests.remove(&number);
        drop(gone);
    }

    /// Closes up to so many idle connections of whoever has most, the oldest first; says how many. Those that have
    /// sent no request yet are one group, as if they were somebody's. Where a gate is named, only its own count.
    pub(super) fn make_room(&self, wanted: usize, gate: Option<&Arc<Gate>>) -> usize {
        self.lock().make_room(wanted, gate)
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    fn make_room(&self, wanted: usize, gate: Option<&Arc<Gate>>) -> usize {
        let Some(greediest) = self.greediest(gate) else {
            return 0;
        };
        let theirs = self.of(gate).filter(|guest| {
            guest.task.is_some() && !guest.door.is_busy() && guest.door.owner() == greediest
        });
        let mut made = 0;
        for guest in theirs.take(wanted) {
            // A request may have come this moment; then it stays.
            if guest.door.make_leave()
                && let Some(task) = &guest.task
            {
                task.abort();
                made += 1;
            }
        }
        made
    }

    /// Who has most connections, among those who have an idle one.
    fn greediest(&self, gate: Option<&Arc<Gate>>) -> Option<usize> {
        let mut groups: HashMap<usize, Group> = HashMap::new();
        for guest in self.of(gate) {
            let group = groups.entry(guest.door.owner()).or_default();
            group.all += 1;
            group.idle += usize::from(guest.task.is_some() && !guest.door.is_busy());
        }
        let idle = groups.into_iter().filter(|(_, group)| group.idle > 0);
        idle.max_by_key(|(_, group)| group.all)
            .map(|(owner, _)| owner)
    }

    /// Those who came in by that gate, or all.
    fn of(&self, gate: Option<&Arc<Gate>>) -> impl Iterator<Item = &Guest> {
        let came = move |guest: &&Guest| gate.is_none_or(|gate| Arc::ptr_eq(gate, &guest.gate));
        self.guests.values().filter(came)
    }
}
