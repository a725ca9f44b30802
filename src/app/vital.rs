//! The tasks that a sidecar cannot be without: its listeners, and what keeps its pool. One that ends, by a panic or
//! because its socket broke, would leave a process that lives and does not hear; so the end is told, and the process
//! goes too, for a supervisor to start anew. Must never restart one itself: what broke it is still there.

use tokio::sync::mpsc;

/// Goes along with one such task; dropped when it ends, however it ends.
pub(super) struct Vital {
    name: &'static str,
    ended: mpsc::Sender<&'static str>,
}

impl Vital {
    /// The sign of life of the task with that name.
    pub(super) fn new(name: &'static str, ended: &mpsc::Sender<&'static str>) -> Self {
        let ended = ended.clone();
        Self { name, ended }
    }

    /// The same task, under watch.
    pub(super) async fn watch(self, task: impl Future<Output = ()>) {
        task.await;
        drop(self);
    }
}

impl Drop for Vital {
    fn drop(&mut self) {
        // Full: others have ended, and one is enough. Closed: the process ends anyway.
        let _ = self.ended.try_send(self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::{Vital, mpsc};
    use crate::host;

    #[tokio::test]
    async fn an_end_is_heard_of_however_it_comes() {
        let (ended, mut ends) = mpsc::channel(4);
        let vital = |name| Vital::new(name, &ended);
        let lasting = host::spawn("lasting", vital("lasting").watch(std::future::pending()));
        let returned = host::spawn("returns", vital("returns").watch(async {}));
        assert!(returned.await.is_ok());
        assert_eq!(ends.recv().await, Some("returns"));
        let panics = async { assert_eq!(1, 2, "on purpose") };
        let panicked = host::spawn("panics", vital("panics").watch(panics));
        assert!(panicked.await.is_err());
        assert_eq!(ends.recv().await, Some("panics"));
        assert!(ends.try_recv().is_err());
        lasting.abort();
        assert_eq!(ends.recv().await, Some("lasting"));
    }
}
