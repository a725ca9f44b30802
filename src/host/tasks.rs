//! Tasks, threads and runtimes, each with a name. The only place that starts any. Must never start one unnamed: what
//! lives on unseen is what a sidecar leaks.

use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use super::{Error, priority};

pub use tokio::runtime::Runtime;
pub use tokio::task::{AbortHandle, JoinError, JoinHandle};

#[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
/// Starts a task on the current runtime and counts it under `name` until it ends, however it ends.
pub fn spawn<F>(name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    tokio::spawn(Named {
        future,
        _alive: Alive::enter(name),
    })
}

/// As [`spawn`], for whoever may be dropped outside of a runtime, or with it: then the future is dropped too, unpolled.
pub fn spawn_if_running<F>(name: &'static str, future: F) -> Option<JoinHandle<F::Output>>
where
    F: Future<Output: Send> + Send + 'static,
{
    let runtime = tokio::runtime::Handle::try_current().ok()?;
    Some(runtime.spawn(Named {
        future,
        _alive: Alive::enter(name),
    }))
}

#[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
/// Starts work that blocks its thread, on the pool of [`runtime`], and counts it under `name` until it ends. Nothing can
/// call it off: whoever starts it bounds how often.
pub fn blocking<T: Send + 'static>(
    name: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    let alive = Alive::enter(name);
    tokio::task::spawn_blocking(move || {
        let _alive = alive;
        work()
    })
}

/// Starts a thread; the name shows in `ps -L` and is cut to 15 bytes there.
pub fn thread<T: Send + 'static>(
    name: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<std::thread::JoinHandle<T>, Error> {
    let alive = Alive::enter(name);
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            let _alive = alive;
            work()
        })
        .map_err(|source| Error::new("start thread", name, source))
}

/// What work aside gives; it fails if the work panicked.
pub type Answer<T> = oneshot::Receiver<T>;

/// Starts work on a thread of its own that gives way to all others, inside the current runtime. Like [`blocking`], nothing
/// can call it off.
///
/// # Errors
/// If the system gives no thread.
pub fn aside<T: Send + 'static>(
    name: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<Answer<T>, Error> {
    let (answer, asked) = oneshot::channel();
    let runtime = tokio::runtime::Handle::current();
    thread(name, move || {
        priority::give_way();
        let _inside = runtime.enter();
        // Nobody may be left who wants to know.
        let _ = answer.send(work());
    })?;
    Ok(asked)
}

/// The runtime of the data plane: `workers` threads (see [`default_workers`]), and a small pool for name resolution.
/// End it with `shutdown_timeout` or `shutdown_background`: dropping it waits for a resolver that may hang.
pub fn runtime(workers: NonZeroUsize) -> Result<Runtime, Error> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers.get())
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_name("outrigger-work")
        .enable_all()
        .build()
        .map_err(|source| Error::new("start runtime", "outrigger-work", source))
}

/// The runtime of a side plane (telemetry, admin): one thread, the caller's own.
pub fn small_runtime() -> Result<Runtime, Error> {
    tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(1)
        .enable_all()
        .build()
        .map_err(|source| Error::new("start runtime", "small", source))
}

/// As many workers as cores, but at most four: a sidecar shares the machine with the agent it serves.
pub fn default_workers() -> NonZeroUsize {
    const MOST: NonZeroUsize = NonZeroUsize::MIN.saturating_add(3);
    std::thread::available_parallelism()
        .unwrap_or(NonZeroUsize::MIN)
        .min(MOST)
}

/// The tasks and threads alive now, by name, in the order the names were first used.
pub fn alive() -> Vec<(&'static str, u64)> {
    let named = NAMES.iter().filter_map(|slot| {
        slot.name
            .get()
            .map(|name| (*name, slot.alive.load(Ordering::Relaxed)))
    });
    let rest = OVERFLOW.alive.load(Ordering::Relaxed);
    named
        .chain((rest > 0).then_some(("unlisted", rest)))
        .collect()
}

/// Threads that wait for getaddrinfo(3), at most. They are started when needed and end after ten idle seconds.
const BLOCKING_THREADS: usize = 16;

/// A future with its name. A struct instead of an async block, because that would hold the future twice.
struct Named<F> {
    future: F,
    _alive: Alive,
}

impl<F: Future> Future for Named<F> {
    type Output = F::Output;

    #[expect(
        unsafe_code,
        reason = "pin projection; the crates that generate it are not worth one struct"
    )]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: `future` is pinned whenever `self` is: it is never moved out of nor handed out unpinned, `Named` has
        // no `Drop` of its own and no `Unpin` beyond the automatic one, and `_alive` is not touched here.
        let future = unsafe { self.map_unchecked_mut(|named| &mut named.future) };
        future.poll(context)
    }
}

/// What a task of this future occupies.
#[cfg(test)]
pub(super) fn named_size<F: Future>(future: F) -> usize {
    size_of_val(&Named {
        future,
        _alive: Alive::enter("test-size"),
    })
}

/// One life counted; dropping it takes the count back.
struct Alive(&'static Slot);

impl Alive {
    fn enter(name: &'static str) -> Self {
        let slot = NAMES
            .iter()
            .find(|slot| *slot.name.get_or_init(|| name) == name)
            .unwrap_or(&OVERFLOW);
        slot.alive.fetch_add(1, Ordering::Relaxed);
        Self(slot)
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Slot {
    name: OnceLock<&'static str>,
    alive: AtomicU64,
}

impl Slot {
    const fn new() -> Self {
        Self {
            name: OnceLock::new(),
            alive: AtomicU64::new(0),
        }
    }
}

/// Static, as the threads and runtimes of a process are: `spawn` works wherever a runtime does. The names are literals
/// in the code, so the table is as good as unbounded at this size; past it they share one count.
static NAMES: [Slot; 32] = [const { Slot::new() }; 32];
static OVERFLOW: Slot = Slot::new();
