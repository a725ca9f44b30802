//! A simulated provider and a sidecar before it, each a process of its own, and what can be seen of them from outside.
//! Must never look inside: whatever holds here holds for the released program too.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::process::Child;

use crate::serve::{Served, outrigger};
use crate::stage::{Caller, sum, until};

/// The two processes.
pub(crate) struct Pair {
    pub(crate) sidecar: Served,
    pub(crate) provider: Provider,
}

/// A simulator in a process of its own.
pub(crate) struct Provider {
    pub(crate) at: SocketAddr,
    child: Child,
    _home: TempDir,
}

impl Pair {
    /// Starts both; `config` is given the simulator's address.
    pub(crate) async fn start(
        arguments: &[&str],
        config: impl FnOnce(SocketAddr) -> String,
    ) -> Self {
        let provider = Provider::start(arguments).await;
        let sidecar = Served::start(&config(provider.at)).await;
        Self { sidecar, provider }
    }

    /// Waits until no trip is open or waits, and no caller is connected.
    pub(crate) async fn at_rest(&self) {
        for name in [
            "outrigger_open_requests",
            "outrigger_queue_waiting",
            "outrigger_connections_open",
        ] {
            for _ in 0..2_000 {
                if sum(&self.metrics().await, name, "") == 0 {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
            let page = self.metrics().await;
            assert_eq!(sum(&page, name, ""), 0, "{name} at rest\n{page}");
        }
    }

    pub(crate) async fn metrics(&self) -> String {
        let (head, page) = self.sidecar.page("/metrics").await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        page
    }

    /// What the sidecar takes up now.
    pub(crate) async fn load(&self) -> Load {
        let page = self.metrics().await;
        Load {
            resident: sum(&page, "process_resident_memory_bytes", ""),
            descriptors: sum(&page, "process_open_fds", ""),
            tasks: sum(&page, "outrigger_tasks", ""),
        }
    }
}

impl Provider {
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        let home = TempDir::new().expect("a directory");
        let ready = home.path().join("ready");
        let child = outrigger(home.path())
            .args([
                "simulate",
                "--listen",
                "127.0.0.1:0",
                "--ready-file",
                "ready",
            ])
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program");
        until("the simulator", || ready.exists()).await;
        let text = std::fs::read_to_string(&ready).expect("a ready file");
        let at = text.trim().strip_prefix("simulator=").expect("its address");
        Self {
            at: at.parse().expect("an address"),
            child,
            _home: home,
        }
    }

    /// How many requests have come to it.
    pub(crate) async fn requests(&self) -> u64 {
        let mut caller = Caller::connect(self.at).await;
        caller
            .send(b"GET /sim/requests HTTP/1.1\r\nhost: sim\r\n\r\n")
            .await;
        let (_, body) = caller.answer().await;
        let seen: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        seen["total"].as_u64().expect("a total")
    }

    /// Its resident memory in bytes.
    pub(crate) fn resident(&self) -> u64 {
        let id = self.child.id().expect("a running child");
        resident(Path::new(&format!("/proc/{id}/status")))
    }
}

fn resident(status: &Path) -> u64 {
    let text = std::fs::read_to_string(status).expect("the kernel's word");
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kib.and_then(|kib| kib.parse::<u64>().ok()).expect("a size") * 1024
}

/// What a process takes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    /// Bytes.
    pub(crate) resident: u64,
    pub(crate) descriptors: u64,
    pub(crate) tasks: u64,
}
