//! What was done and what it cost, from the journal's files, for whoever may ask. Reading them is work for a thread of its own
//! that gives way to all others, one at a time, with an end in sight. Must never lock the journal, nor give anybody a record
//! that is not within its scope.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{HeaderName, HeaderValue, Response, StatusCode};
use tokio::sync::Semaphore;

use super::Problem;
use crate::edge::page::{JSON, LINES, Page, page};
use crate::host;
use crate::journal::Mark;
use crate::trip::Ground;
use crate::units::{AdminOutcome, Clock, TenantId};
use crate::views::{self, By, Costs, Instances, Query, Revenues, Validity, ViewError};

/// The journal's files, and the right to read them, which one caller has at a time.
#[derive(Clone)]
pub struct Archive {
    state: PathBuf,
    turn: Arc<Semaphore>,
}

/// What is looked for.
#[derive(Clone, Debug)]
pub(super) enum Look {
    /// Sums.
    Costs {
        /// Of which records.
        query: Query,
        /// Told apart by what.
        by: Vec<By>,
    },
    /// Records.
    Audit {
        /// Which.
        query: Query,
        /// From where on; without it the latest.
        after: Option<Mark>,
        /// So many at most.
        most: usize,
    },
    /// Whether anybody changed them.
    Verify,
}

/// Records in one answer, unless fewer are asked for, and at most.
pub(super) const USUAL: usize = 100;
pub(super) const MOST: usize = 1_000;
/// Bytes of records in one answer.
const MOST_BYTES: usize = 4 << 20;
/// Rows of costs in one answer; the others are one.
const MOST_ROWS: usize = 1_000;
/// How long one may read. Who asked has gone after a minute.
const LONGEST: Duration = Duration::from_secs(20);

/// Where the next answer goes on.
const NEXT: HeaderName = HeaderName::from_static("outrigger-next");

const NONE: Problem = Problem(
    StatusCode::NOT_FOUND,
    AdminOutcome::Unknown,
    "nothing is recorded here; hint: `[journal]` in the configuration",
);
const TAKEN: Problem = Problem(
    StatusCode::SERVICE_UNAVAILABLE,
    AdminOutcome::Busy,
    "somebody reads the journal already, try again soon",
);
const TOO_MUCH: Problem = Problem(
    StatusCode::SERVICE_UNAVAILABLE,
    AdminOutcome::Failed,
    "that is more than can be read at once; ask for less with `since`, or use `outrigger costs` and `audit` on the files",
);
const UNREADABLE: Problem = Problem(
    StatusCode::INTERNAL_SERVER_ERROR,
    AdminOutcome::Failed,
    "the journal's files cannot be read",
);

const NO_SUCH: Problem = Problem(
    StatusCode::NOT_FOUND,
    AdminOutcome::Unknown,
    "the journal has nothing of such a tenant",
);
const NOT_FORGOTTEN: Problem = Problem(
    StatusCode::INTERNAL_SERVER_ERROR,
    AdminOutcome::Failed,
    "the disk would not forget the key, which may still be there; try again",
);

/// An answer, before it is a page.
struct Found {
    text: String,
    next: Option<Mark>,
}

impl Archive {
    /// Of a state directory.
    pub fn new(state: PathBuf) -> Self {
        Self {
            state,
            turn: Arc::new(Semaphore::new(1)),
        }
    }
}

/// Looks, and answers. Margins are for those who see all tenants.
pub(super) async fn look(
    ground: &Arc<Ground>,
    archive: &Archive,
    look: Look,
    sees_all: bool,
) -> (AdminOutcome, Response<Page>) {
    if ground.journal.is_none() {
        return NONE.page();
    }
    let Ok(turn) = Arc::clone(&archive.turn).try_acquire_owned() else {
        return TAKEN.page();
    };
    let revenues = sees_all.then(|| revenues(ground));
    let waits = Waits::default();
    let work = Work {
        state: archive.state.clone(),
        clock: Arc::clone(&ground.clock),
        revenues,
        gone: Arc::clone(&waits.0),
    };
    let reads = host::tasks::aside("admin-archive", move || {
        let found = work.find(look);
        drop(turn);
        found
    });
    let Ok(reads) = reads else {
        return TAKEN.page();
    };
    match reads.await {
        Ok(Ok(found)) => shown(found),
        Ok(Err(problem)) => problem.page(),
        Err(_) => UNREADABLE.page(),
    }
}

/// Forgets the key of what a tenant's records say so far; the record of that names who asked.
pub(super) async fn erase(
    ground: &Arc<Ground>,
    archive: &Archive,
    tenant: TenantId,
    by: String,
) -> (AdminOutcome, Response<Page>) {
    if ground.journal.is_none() {
        return NONE.page();
    }
    let Ok(turn) = Arc::clone(&archive.turn).try_acquire_owned() else {
        return TAKEN.page();
    };
    let its = Arc::clone(ground);
    let id = tenant.clone();
    let erased = host::tasks::aside("admin-erase", move || {
        let why =
            serde_json::json!({"tenant": id.as_str(), "action": "erase", "by": by}).to_string();
        let journal = its.journal.as_ref();
        let erased = journal.map(|recorder| recorder.journal().erase(&id, why.as_bytes()));
        drop(turn);
        erased
    });
    let Ok(erased) = erased else {
        return TAKEN.page();
    };
    match erased.await {
        Ok(Some(Ok(true))) => {
            let document = serde_json::json!({"tenant": tenant.as_str(), "erased": true});
            let page = page(StatusCode::OK, JSON, document.to_string());
            (AdminOutcome::Done, page)
        }
        Ok(Some(Ok(false)) | None) => NO_SUCH.page(),
        Ok(Some(Err(_))) | Err(_) => NOT_FORGOTTEN.page(),
    }
}

fn shown(found: Found) -> (AdminOutcome, Response<Page>) {
    let mut response = page(StatusCode::OK, LINES, found.text);
    let next = found
        .next
        .map(|Mark { segment, offset }| format!("{segment}-{offset}"));
    if let Some(next) = next.and_then(|next| HeaderValue::try_from(next).ok()) {
        response.headers_mut().insert(NEXT, next);
    }
    (AdminOutcome::Done, response)
}

fn revenues(ground: &Ground) -> Revenues {
    let snapshot = ground.live.take();
    let tenants = snapshot.tenants();
    let revenues = tenants.filter_map(|tenant| Some((tenant.id().clone(), tenant.revenue()?)));
    revenues.collect()
}

/// Says when nobody waits any more.
#[derive(Default)]
struct Waits(Arc<AtomicBool>);

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Work {
    state: PathBuf,
    clock: Arc<dyn Clock>,
    /// None where no margin is to be seen.
    revenues: Option<Revenues>,
    gone: Arc<AtomicBool>,
}

impl Work {
    fn find(self, look: Look) -> Result<Found, Problem> {
        match look {
            Look::Costs { query, by } => self.costs(&query, &by),
            Look::Audit { query, after, most } => self.audit(&query, after, most),
            Look::Verify => self.verify(),
        }
    }

    fn instances(&self, after: Option<Mark>) -> Result<Instances, Problem> {
        let states = std::slice::from_ref(&self.state);
        let instances = Instances::open(states).map_err(problem)?;
        let (clock, gone) = (Arc::clone(&self.clock), Arc::clone(&self.gone));
        let began = clock.boot();
        let is_over = move || gone.load(Ordering::Relaxed) || clock.boot().since(began) > LONGEST;
        Ok(instances
            .after(after.unwrap_or_default())
            .until(Box::new(is_over)))
    }

    fn costs(self, query: &Query, by: &[By]) -> Result<Found, Problem> {
        let mut instances = self.instances(None)?;
        let mut costs = Costs::sum_within(&mut instances, query, by, MOST_ROWS);
        if instances.gave_up() {
            return Err(TOO_MUCH);
        }
        if let (Some(revenues), [By::Tenant]) = (&self.revenues, by) {
            costs.compare(revenues, query, self.clock.wall());
        }
        let mut text = costs.documents().join("\n");
        text.push('\n');
        Ok(Found { text, next: None })
    }

    fn audit(self, query: &Query, after: Option<Mark>, most: usize) -> Result<Found, Problem> {
        let mut instances = self.instances(after)?;
        let mut lines = Vec::new();
        let mut bytes = 0;
        if after.is_some() {
            instances.each(query, &mut |entry| {
                let line = views::json(entry).to_string();
                bytes += line.len() + 1;
                lines.push(line);
                if lines.len() < most && bytes < MOST_BYTES {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            });
        } else {
            for entry in instances.newest(query, most).iter().rev() {
                let line = views::json(entry).to_string();
                bytes += line.len() + 1;
                if bytes > MOST_BYTES {
                    break;
                }
                lines.push(line);
            }
            lines.reverse();
        }
        if instances.gave_up() && after.is_none() {
            return Err(TOO_MUCH);
        }
        let text = lines.iter().flat_map(|line| [line, "\n"]).collect();
        let next = instances.read_to();
        Ok(Found { text, next })
    }

    fn verify(self) -> Result<Found, Problem> {
        let gone = || self.gone.load(Ordering::Relaxed);
        let proof = views::prove_until(&self.state, &gone).map_err(problem)?;
        // Nobody hears that.
        let proof = proof.ok_or(TOO_MUCH)?;
        let document = serde_json::json!({
            "validity": match proof.validity {
                Validity::Valid => "valid",
                Validity::CannotTell => "cannot-tell",
                Validity::Invalid => "invalid",
            },
            "findings": proof.findings,
            "summary": proof.summary,
        });
        let text = format!("{document}\n");
        Ok(Found { text, next: None })
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed to `map_err`")]
fn problem(why: ViewError) -> Problem {
    match why {
        ViewError::None(_) => NONE,
        ViewError::Unreadable(..) | ViewError::Twice(..) => UNREADABLE,
    }
}
