//! The telemetry door has one thread: who is slow there keeps nobody else waiting.

use outrigger::app::{Logging, Options, Sidecar, Source};
use outrigger::spine::{LogFormat, log};

use crate::stage::Caller;

#[tokio::test]
async fn a_slow_reader_of_telemetry_keeps_nobody_waiting() {
    let text = "[listen]\nproxy = \"127.0.0.1:0\"\ntelemetry = \"127.0.0.1:0\"\nadmin = \"off\"\n\
        [upstreams.openai]\ndialect = \"openai\"\nurl = \"http://127.0.0.1:9\"\n";
    let (queue, _writer) = log(10, LogFormat::Json);
    let sidecar = Sidecar::prepare(Options::new(Source::Text("test", text.to_owned())))
        .expect("a good configuration")
        .start(&Logging::over(queue))
        .expect("a sidecar");
    let at = sidecar.telemetry.expect("telemetry");
    let mut slow = Vec::new();
    for _ in 0..8 {
        // Half a head, and more pages than any buffer on the way takes, none of them read.
        let mut half = Caller::connect(at).await;
        half.send(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n")
            .await;
        let mut deaf = Caller::connect(at).await;
        deaf.send(&b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(200))
            .await;
        slow.push((half, deaf));
    }
    for path in ["/healthz", "/readyz", "/metrics"] {
        let mut probe = Caller::connect(at).await;
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        probe.send(request.as_bytes()).await;
        let (head, _) = probe.answer().await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{path}: {head}");
    }
    drop(slow);
}
