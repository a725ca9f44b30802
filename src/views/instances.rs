//! The journals of the instances that are asked together. Must never believe that they know the same tenants by the same
//! numbers: only names join them.

use std::collections::VecDeque;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::entry::Entry;
use super::error::ViewError;
use crate::journal::{Kind, Mark, Reader, Wanted};
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
pub struct Instances(Vec<Instance>);

struct Instance {
    directory: PathBuf,
    read_to: Mark,
}

impl Instances {
    /// Those of these state directories.
    ///
    /// # Errors
    /// One has no journal, or it cannot be read.
    pub fn open(states: &[PathBuf]) -> Result<Self, ViewError> {
        let open = |state: &PathBuf| {
            Ok(Instance {
                directory: find(state)?,
                read_to: Mark::default(),
            })
        };
        states.iter().map(open).collect::<Result<_, _>>().map(Self)
    }

    /// Goes through the records, instance by instance, each in the order of its files, from where the last call came to.
    /// Checkpoints are left out: they say nothing that a view shows.
    pub fn each(&mut self, query: &Query, visit: &mut dyn FnMut(&Entry) -> ControlFlow<()>) {
        for instance in &mut self.0 {
            let mut stopped = false;
            let wanted = Wanted {
                tenant: query.tenant.clone(),
                from: instance.read_to,
                since: query.since,
            };
            // Opened anew each time: names may have come.
            let reader = Reader::open(&instance.directory);
            instance.read_to = reader.read(&wanted, &mut |line| {
                let at = line.frame.head.wall;
                if line.frame.head.kind == Kind::Checkpoint || at < query.since || at >= query.until
                {
                    return ControlFlow::Continue(());
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

    /// The latest records of all instances, in the order of their times.
    pub fn newest(&mut self, query: &Query, most: usize) -> Vec<Entry> {
        let mut kept: Vec<Entry> = Vec::new();
        let mut latest: VecDeque<Entry> = VecDeque::new();
        let mut last_journal = None;
        self.each(query, &mut |entry| {
            if last_journal.replace(entry.journal) != Some(entry.journal) {
                kept.extend(latest.drain(..));
            }
            if latest.len() >= most {
                latest.pop_front();
            }
            if most > 0 {
                latest.push_back(entry.clone());
            }
            ControlFlow::Continue(())
        });
        kept.extend(latest);
        // A stable sort: what an instance wrote in one millisecond stays in its order.
        kept.sort_by_key(|entry| entry.wall);
        kept.split_off(kept.len().saturating_sub(most))
    }
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
