//! The sidecar as a service of systemd: what it tells the manager, and when; and the unit file that is shipped.
//! Must never need a manager that runs: the test is the manager.

mod handed;

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::serve::Served;
use crate::stage::until;

const CONFIG: &str = "[listen]\nproxy = \"127.0.0.1:0\"\ntelemetry = \"127.0.0.1:0\"\n[reload]\nwatch = \"off\"\npoll = \"off\"\n\
    [drain]\nidle = \"10ms\"\n[upstreams.openai]\ndialect = \"openai\"\nurl = \"http://127.0.0.1:9\"\n";

/// Hears what a service says.
struct Manager(UnixDatagram);

impl Manager {
    fn next(&self) -> String {
        let mut bytes = [0; 1024];
        let length = self.0.recv(&mut bytes).expect("a word from the service");
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    /// What it says but for signs of life.
    fn word(&self) -> String {
        loop {
            let word = self.next();
            if word != "WATCHDOG=1\n" {
                return word;
            }
        }
    }

    fn at(address: &SocketAddr) -> Self {
        let socket = UnixDatagram::bind_addr(address).expect("a socket");
        let patience = Some(Duration::from_secs(20));
        socket.set_read_timeout(patience).expect("a limit");
        Self(socket)
    }
}

#[tokio::test]
async fn the_manager_hears_of_start_reload_and_end() {
    let place = tempfile::TempDir::new().expect("a directory");
    let path = place.path().join("notify");
    let manager = Manager::at(&SocketAddr::from_pathname(&path).expect("an address"));
    let mut served = Served::start_with(CONFIG, &[("NOTIFY_SOCKET", &path)]).await;
    let ready = manager.word();
    assert_eq!(ready, "READY=1\nSTATUS=generation 1, 1 tenants\n");

    let file = served.home.path().join("outrigger.toml");
    std::fs::write(&file, format!("{CONFIG}[tenants.acme]\n")).expect("a file");
    served.signal(Signal::SIGHUP);
    let reloading = manager.word();
    assert!(
        reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="),
        "{reloading}"
    );
    assert_eq!(
        manager.word(),
        "READY=1\nSTATUS=generation 2, 1 tenants\n",
        "the same service again"
    );
    std::fs::write(&file, "listen = 7\n").expect("a file");
    assert_eq!(served.ctl("reload").await.status.code(), Some(1));
    assert!(manager.word().starts_with("RELOADING=1\n"));
    let rejected = manager.word();
    assert_eq!(
        rejected,
        "READY=1\nSTATUS=generation 2, 1 tenants; the last change was rejected\n"
    );

    served.signal(Signal::SIGTERM);
    assert_eq!(
        manager.word(),
        "STOPPING=1\nSTATUS=draining, 0 requests open\n"
    );
    assert_eq!(served.end().await.code(), Some(0));
}

/// Signs of life come while it lives, and stop when it stands still although nobody has ended it.
#[tokio::test]
async fn the_watchdog_is_fed_while_the_listeners_answer() {
    let name = format!("outrigger-test-watchdog-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(name.as_bytes()).expect("an address");
    let manager = Manager::at(&address);
    let name = format!("@{name}");
    let variables = [
        ("NOTIFY_SOCKET", Path::new(&name)),
        ("WATCHDOG_USEC", Path::new("300000")),
    ];
    let served = Served::start_with(CONFIG, &variables).await;
    assert!(manager.next().starts_with("READY=1\n"));
    for _ in 0..3 {
        assert_eq!(manager.next(), "WATCHDOG=1\n");
    }
    assert_eq!(served.ctl("health").await.status.code(), Some(0));
}

#[tokio::test]
async fn a_manager_that_cannot_be_told_anything_is_no_reason_to_end() {
    let odd = Path::new("vsock:2:1");
    let served = Served::start_with(CONFIG, &[("NOTIFY_SOCKET", odd)]).await;
    until("the warning", || {
        let told = |line: &serde_json::Value| line["message"] == "service manager unheard";
        served.lines().iter().any(told)
    })
    .await;
    assert_eq!(served.ctl("health").await.status.code(), Some(0));
}

/// The shipped unit, with the binary of this build in the place of the installed one.
fn unit() -> (tempfile::TempDir, std::path::PathBuf) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd/outrigger.service");
    let text = std::fs::read_to_string(path).expect("the unit");
    let place = tempfile::TempDir::new().expect("a directory");
    let unit = place.path().join("outrigger.service");
    let text = text.replace("/usr/bin/outrigger", env!("CARGO_BIN_EXE_outrigger"));
    std::fs::write(&unit, text).expect("a file");
    (place, unit)
}

/// Runs `systemd-analyze`, if it is there.
fn analyze(args: &[&str], unit: &Path) -> Option<std::process::Output> {
    let output = Command::new("systemd-analyze")
        .args(args)
        .arg(unit)
        .output();
    match output {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("skipped: there is no `systemd-analyze` here");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn systemd_understands_the_unit() {
    let (_place, unit) = unit();
    let args = ["verify", "--man=no", "--recursive-errors=no"];
    if let Some(output) = analyze(&args, &unit) {
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert!(!said.contains("outrigger.service:"), "{said}");
    }
}

/// The unit of the sockets beside that of the service, as it is installed; and the name in it is that of the example.
#[test]
fn systemd_understands_the_unit_of_the_sockets() {
    let (place, service) = unit();
    let text = include_str!("../../packaging/systemd/outrigger.socket");
    let unit = place.path().join("outrigger.socket");
    std::fs::write(&unit, text).expect("a file");
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("FileDescriptorName="));
    assert!(text.contains(&format!("listen.proxy = \"fd:{}\"", name.expect("a name"))));
    let default = outrigger::config::defaults::PROXY.0;
    assert!(
        text.contains(&format!("\nListenStream={default}\n")),
        "where agents are told to call"
    );
    let args = [
        "verify",
        "--man=no",
        "--recursive-errors=no",
        service.to_str().expect("text"),
    ];
    if let Some(output) = analyze(&args, &unit) {
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert!(!said.contains("outrigger.socket:"), "{said}");
    }
}

#[test]
fn the_unit_is_hardened() {
    let (_place, unit) = unit();
    // In tenths: what may be left open is an exposure of 2.0.
    let args = ["security", "--offline=true", "--threshold=20", "--no-pager"];
    if let Some(output) = analyze(&args, &unit) {
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}");
    }
}

/// What the unit promises about timing has to fit what the sidecar does.
#[test]
fn the_unit_fits_the_defaults() {
    let (_place, unit) = unit();
    let text = std::fs::read_to_string(unit).expect("the unit");
    let value = |name: &str| {
        let mut pairs = text.lines().filter_map(|line| line.split_once('='));
        let found = pairs.find(|(key, _)| *key == name);
        found.unwrap_or_else(|| panic!("no {name}")).1.to_owned()
    };
    let seconds = |name: &str| -> u64 {
        let text = value(name);
        let number = text.strip_suffix('s').expect("seconds");
        number.parse().expect("a number")
    };
    let drain = outrigger::config::defaults::DRAIN_TIMEOUT.as_secs();
    assert!(seconds("TimeoutStopSec") > drain, "it would be killed");
    assert_eq!(value("Type"), "notify");
    assert_eq!(value("RestartPreventExitStatus"), "64 78");
    for verb in ["ExecStart", "ExecStartPre", "ExecReload"] {
        let line = value(verb);
        let program = line.split(' ').next();
        assert_eq!(program, Some(env!("CARGO_BIN_EXE_outrigger")));
    }
}
