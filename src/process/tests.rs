//! Every event as one line: its level, its target, its fields.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use super::*;
use crate::units::Wall;

#[test]
#[expect(clippy::too_many_lines, reason = "a flat table, one row per event")]
fn each_event_is_one_line_of_its_level() {
    let why = "too many open files (EMFILE)";
    let request_id = RequestId::v7(Wall(0), 0);
    let address = ListenAddress::Tcp(SocketAddr::from(([127, 0, 0, 1], 8470)));
    let path = ListenAddress::Unix(Path::new("/run/admin.sock"));
    let pause = Duration::from_millis(20);
    let cases = [
        (
            ProcessEvent::Started {
                version: "0.1.0",
                listeners: 3,
            },
            r#" INFO started version="0.1.0" listeners=3"#,
        ),
        (
            ProcessEvent::ListenerBound {
                role: "proxy",
                address,
            },
            r#" INFO listening role="proxy" address=127.0.0.1:8470"#,
        ),
        (
            ProcessEvent::ListenerBound {
                role: "admin",
                address: path,
            },
            r#" INFO listening role="admin" address=unix:/run/admin.sock"#,
        ),
        (
            ProcessEvent::ListenerFull {
                listener: "unix:/run/acme.sock",
                most: 200,
                refused: 7,
            },
            r#" WARN listener has as many connections as it may have; others are refused listener="unix:/run/acme.sock" most=200 refused=7"#,
        ),
        (
            ProcessEvent::ConfigLoaded {
                generation: 2,
                hash: "ab",
                tenants: 100,
                from: "outrigger.toml",
            },
            r#" INFO config loaded generation=2 hash="ab" tenants=100 from="outrigger.toml""#,
        ),
        (
            ProcessEvent::ConfigOdd {
                warnings: 1,
                text: "a",
            },
            r#" WARN config has warnings warnings=1 text="a""#,
        ),
        (
            ProcessEvent::ConfigRejected {
                problems: 1,
                text: "a\nb",
            },
            r#"ERROR config rejected; what ran before goes on problems=1 text="a\nb""#,
        ),
        (
            ProcessEvent::ReloadUnchanged { generation: 2 },
            " INFO config unchanged generation=2",
        ),
        (
            ProcessEvent::ReloadNeedsRestart {
                what: "listen.proxy",
            },
            r#" WARN a changed key is read at start only; restart to apply it what="listen.proxy""#,
        ),
        (
            ProcessEvent::AcceptBackoff {
                role: "proxy",
                pause,
                why: &why,
            },
            r#" WARN out of descriptors or memory; accepting rests role="proxy" pause_ms=20 why=too many open files (EMFILE)"#,
        ),
        (
            ProcessEvent::AcceptFailed {
                role: "proxy",
                why: &why,
            },
            r#"ERROR listener broken role="proxy" why=too many open files (EMFILE)"#,
        ),
        (
            ProcessEvent::DrainStarted { open: 4 },
            " INFO draining open=4",
        ),
        (ProcessEvent::DrainEnded { cut: 0 }, " INFO drained cut=0"),
        (
            ProcessEvent::DrainEnded { cut: 1 },
            " WARN drained; trips still open at the deadline were cut cut=1",
        ),
        (
            ProcessEvent::PanicCaught {
                place: "trip",
                request_id,
                at: "src/a.rs:1:2",
            },
            r#"ERROR panic caught; this is a bug of outrigger place="trip" request_id=00000000-0000-7000-8000-000000000000 at="src/a.rs:1:2""#,
        ),
        (
            ProcessEvent::Panicked {
                thread: "outrigger-work",
                at: "src/a.rs:1:2",
            },
            r#"ERROR panicked; this is a bug of outrigger thread="outrigger-work" at="src/a.rs:1:2""#,
        ),
        (
            ProcessEvent::TaskEnded {
                name: "proxy-listener",
            },
            r#"ERROR a task that must not end has ended; it comes back with a restart name="proxy-listener""#,
        ),
        (
            ProcessEvent::AdminCall {
                verb: AdminVerb::Reload,
                about: "",
                who: &"uid:7",
                role: "operate",
                outcome: AdminOutcome::Done,
            },
            r#" INFO admin call verb="reload" about="" who=uid:7 role="operate" outcome="done""#,
        ),
        (
            ProcessEvent::AdminCall {
                verb: AdminVerb::Suspend,
                about: "acme",
                who: &"token:ops",
                role: "read",
                outcome: AdminOutcome::Denied,
            },
            r#" WARN admin call verb="suspend" about="acme" who=token:ops role="read" outcome="denied""#,
        ),
        (
            ProcessEvent::HardeningIncomplete {
                what: "descriptors",
                why: &why,
            },
            r#" WARN hardening incomplete what="descriptors" why=too many open files (EMFILE)"#,
        ),
        (
            ProcessEvent::TrustRoots {
                source: "system",
                count: 140,
            },
            r#" INFO trust roots loaded source="system" count=140"#,
        ),
        (
            ProcessEvent::TrustRoots {
                source: "system",
                count: 0,
            },
            r#" WARN no trust roots; no upstream can be reached by TLS source="system" count=0"#,
        ),
    ];
    for (event, expected) in cases {
        let (level, rest) = expected.split_at(5);
        let target = match event {
            ProcessEvent::AdminCall { .. } => AUDIT,
            _ => TARGET,
        };
        assert_eq!(told(event), format!("{level} {target}:{rest}\n"));
    }
}

fn told(event: ProcessEvent<'_>) -> String {
    let sink = Sink::default();
    let writer = sink.clone();
    let subscriber = tracing_subscriber::fmt()
        .without_time()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, || tell(event));
    let bytes = sink.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
