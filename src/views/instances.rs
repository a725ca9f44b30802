//! The journals of the instances that are asked together. Must never believe that they know the same tenants by the same
//! numbers: only names join them.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::entry::Entry;
use super::error::ViewError;
use crate::journal::{Kind, Line, Mark, Reader, Wanted};
use crate::units::{TenantId, Wall};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Query {
    /// Whose records; `None` for everybody's.
    pub tenant: Option<TenantId>,
    /// Not before this time.
    pub since: Wall,
    /// Before this time.
    pub until: Wall,
}

impl Query {
    /// Checkpoints say nothing that a view shows. The tenant is the reader's to find.
    fn means(&self, line: &Line<'_>) -> bool {
        let head = &line.frame.head;
        head.kind != Kind::Checkpoint && head.wall >= self.since && head.wall < self.until
    }
}

impl Default for Query {
    fn default() -> Self {
        Self {
            tenant: None,
            since: Wall(0),
            until: Wall(u64::MAX),
        }
    }
}

/// Journals, each where it was read up to.
pub struct Instances {
    all: Vec<Instance>,
    /// Whether whoever reads has read for long enough.
    is_over: Option<Box<dyn Fn() -> bool + Send>>,
    gave_up: bool,
}

/// It is asked once for so many records.
const LOOK_UP: u32 = 256;

struct Instance {
    directory: PathBuf,
    read_to: Mark,
}

impl Instances {
    /// Those of these state directories.
    ///
    /// # Errors
    /// One has no journal, it cannot be read, or two have the same.
    pub fn open(states: &[PathBuf]) -> Result<Self, ViewError> {
        let open = |state: &PathBuf| {
            Ok(Instance {
                directory: find(state)?,
                read_to: Mark::default(),
            })
        };
        let all: Vec<Instance> = states.iter().map(open).collect::<Result<_, _>>()?;
        // A copy says nothing new, and would be added up once more.
        let mut known = BTreeMap::new();
        for instance in &all {
            let Some(journal) = Reader::open(&instance.directory).journal() else {
                continue;
            };
            if let Some(other) = known.insert(journal.0, instance.directory.clone()) {
                return Err(ViewError::Twice(other, instance.directory.clone()));
            }
        }
        Ok(Self {
            all,
            is_over: None,
            gave_up: false,
        })
    }

    /// From that place on, which [`Instances::read_to`] has said of the one journal there is.
    #[must_use]
    pub fn after(mut self, mark: Mark) -> Self {
        for instance in &mut self.all {
            instance.read_to = mark;
        }
        self
    }

    /// Until that says so.
    #[must_use]
    pub fn until(mut self, is_over: Box<dyn Fn() -> bool + Send>) -> Self {
        self.is_over = Some(is_over);
        self
    }

    /// Up to where the last one was read.
    pub fn read_to(&self) -> Option<Mark> {
        self.all.last().map(|instance| instance.read_to)
    }

    /// Whether there was more than there was time for.
    pub const fn gave_up(&self) -> bool {
        self.gave_up
    }

    /// Goes through the records, instance by instance, each in the order of its files, from where the last call came to.
    /// Checkpoints are left out: they say nothing that a view shows.
    pub fn each(&mut self, query: &Query, visit: &mut dyn FnMut(&Entry) -> ControlFlow<()>) {
        let mut seen = 0;
        for instance in &mut self.all {
            let mut stopped = false;
            let wanted = Wanted {
                tenant: query.tenant.clone(),
                from: instance.read_to,
                since: query.since,
                last: None,
            };
            // Opened anew each time: names may have come.
            let reader = Reader::open(&instance.directory);
            instance.read_to = reader.read(&wanted, &mut |line| {
                if !query.means(line) {
                    return ControlFlow::Continue(());
                }
                seen += 1;
                let looks = seen % LOOK_UP == 1;
                if looks && self.is_over.as_ref().is_some_and(|is_over| is_over()) {
                    (self.gave_up, stopped) = (true, true);
                    return ControlFlow::Break(());
                }
                let flow = visit(&Entry::of(line));
                stopped = flow.is_break();
                flow
            });
            if stopped {
                return;
            }
        }
    }

    /// Goes through them from their beginning, and leaves where the last call came to as it was.
    pub(super) fn once_more(
        &mut self,
        query: &Query,
        visit: &mut dyn FnMut(&Entry) -> ControlFlow<()>,
    ) {
        let before: Vec<Mark> = self.all.iter().map(|instance| instance.read_to).collect();
        for instance in &mut self.all {
            instance.read_to = Mark::default();
        }
        self.each(query, visit);
        for (instance, mark) in self.all.iter_mut().zip(before) {
            instance.read_to = mark;
        }
    }

    /// The latest records of all instances, in the order of their times. What is older is not read.
    pub fn newest(&mut self, query: &Query, most: usize) -> Vec<Entry> {
        let mut kept: Vec<Entry> = Vec::new();
        for instance in &mut self.all {
            let reader = Reader::open(&instance.directory);
            let mut latest: VecDeque<Entry> = VecDeque::new();
            for (turn, segment) in reader.segments().into_iter().rev().enumerate() {
                if turn > 0 && latest.len() >= most {
                    break;
                }
                if self.is_over.as_ref().is_some_and(|is_over| is_over()) {
                    self.gave_up = true;
                    break;
                }
                let (found, read_to) = tail_of(&reader, query, segment, most - latest.len());
                for entry in found.into_iter().rev() {
                    latest.push_front(entry);
                }
                if turn == 0 {
                    instance.read_to = read_to;
                }
            }
            kept.extend(latest);
        }
        // A stable sort: what an instance wrote in one millisecond stays in its order.
        kept.sort_by_key(|entry| entry.wall);
        kept.split_off(kept.len().saturating_sub(most))
    }
}

/// The latest records of one segment, and where to go on behind them.
fn tail_of(reader: &Reader, query: &Query, segment: u64, most: usize) -> (VecDeque<Entry>, Mark) {
    let mut latest: VecDeque<Entry> = VecDeque::new();
    let wanted = Wanted {
        tenant: query.tenant.clone(),
        from: Mark { segment, offset: 0 },
        since: query.since,
        last: Some(segment),
    };
    let read_to = reader.read(&wanted, &mut |line| {
        if query.means(line) {
            if latest.len() >= most {
                latest.pop_front();
            }
            latest.push_back(Entry::of(line));
        }
        ControlFlow::Continue(())
    });
    (latest, read_to)
}

/// The journal of a state directory.
pub(super) fn find(state: &Path) -> Result<PathBuf, ViewError> {
    let directory = state.join("journal");
    match std::fs::read_dir(&directory) {
        Ok(_) => Ok(directory),
        Err(why) if why.kind() == io::ErrorKind::NotFound => Err(ViewError::None(directory)),
        Err(why) => Err(ViewError::Unreadable(directory, why)),
    }
}
