//! Who is connected: every client connection with the handle that ends it. When few places are left, idle connections
//! of whoever has most are closed, so that nobody's idle ones lock everybody else out.
//! Must never end a connection on which a trip is under way.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

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
    /// When nobody could be made to leave, asking again at once is no use, and costs a look at everybody.
    again: Option<Instant>,
}

struct Guest {
    door: Arc<Door>,
    /// Comes once the task is there.
    task: Option<AbortHandle>,
}

/// How many connections somebody has.
#[derive(Clone, Copy, Default)]
struct Group {
    all: usize,
    idle: usize,
}

const REST: Duration = Duration::from_millis(10);

impl Crowd {
    /// A connection is there; gives the number under which it leaves.
    pub(super) fn enter(&self, door: &Arc<Door>) -> u64 {
        let mut inside = self.lock();
        let number = inside.next;
        inside.next += 1;
        let door = Arc::clone(door);
        inside.guests.insert(number, Guest { door, task: None });
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
    /// sent no request yet are one group, as if they were somebody's.
    pub(super) fn make_room(&self, wanted: usize) -> usize {
        let mut inside = self.lock();
        let now = Instant::now();
        if inside.again.is_some_and(|again| now < again) {
            return 0;
        }
        let made = inside.make_room(wanted);
        inside.again = (made == 0).then(|| now + REST);
        made
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    fn make_room(&self, wanted: usize) -> usize {
        let Some(greediest) = self.greediest() else {
            return 0;
        };
        let theirs = self.guests.values().filter(|guest| {
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
    fn greediest(&self) -> Option<usize> {
        let mut groups: HashMap<usize, Group> = HashMap::new();
        for guest in self.guests.values() {
            let group = groups.entry(guest.door.owner()).or_default();
            group.all += 1;
            group.idle += usize::from(guest.task.is_some() && !guest.door.is_busy());
        }
        let idle = groups.into_iter().filter(|(_, group)| group.idle > 0);
        idle.max_by_key(|(_, group)| group.all)
            .map(|(owner, _)| owner)
    }
}
