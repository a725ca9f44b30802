//! What is read at the start only is reported by its key and waits; everything else of the same file holds at once.

use serde_json::{Value, json};

use crate::serve::Served;
use crate::stage::Upstream;

fn text(upstream: &Upstream, port: u16, streams: u32, queue: u32) -> String {
    format!(
        "[listen]\nproxy = \"127.0.0.1:{port}\"\ntelemetry = \"127.0.0.1:0\"\n[reload]\npoll = \"off\"\nwatch = \"off\"\n\
         [log]\nqueue = {queue}\n[upstreams.openai]\ndialect = \"openai\"\nurl = \"http://{}\"\n\
         [tenants.acme]\nlimits.streams = {streams}\n",
        upstream.at
    )
}

async fn reload(served: &Served) -> Value {
    let output = served.ctl("reload").await;
    serde_json::from_slice(&output.stdout).expect("a document")
}

#[tokio::test]
async fn keys_of_the_start_wait_for_a_restart_and_are_named_everywhere() {
    let upstream = Upstream::bind().await;
    let served = Served::start(&text(&upstream, 0, 1, 100)).await;
    let file = served.home.path().join("outrigger.toml");
    std::fs::write(&file, text(&upstream, 9, 2, 200)).expect("a file");
    let answer = reload(&served).await;
    assert_eq!(answer["result"], "published");
    assert_eq!(
        answer["needs_restart"],
        json!(["listen.proxy", "log.queue"])
    );
    let page = served
        .shows(&[
            "outrigger_config_restart_pending{key=\"listen.proxy\"} 1",
            "outrigger_config_restart_pending{key=\"log.queue\"} 1",
            "outrigger_config_generation 2",
        ])
        .await;
    assert!(
        page.contains("outrigger_config_info{generation=\"2\",sha256=\""),
        "{page}"
    );
    let health = served.page("/healthz").await;
    assert!(health.0.starts_with("HTTP/1.1 200 "));
    assert_eq!(
        health.1,
        "ok\nrestart needed for: listen.proxy, log.queue\n"
    );
    for verb in ["health", "config"] {
        let output = served.ctl(verb).await;
        let state: Value = serde_json::from_slice(&output.stdout).expect("a document");
        assert_eq!(state["needs_restart"], json!(["listen.proxy", "log.queue"]));
        assert_eq!(state["watch"], "off");
    }

    // Asked again, it still waits; a bad file does not hide it; what is taken back waits no more.
    assert_eq!(
        reload(&served).await["needs_restart"],
        answer["needs_restart"]
    );
    std::fs::write(&file, "listen = 1").expect("a file");
    assert_eq!(reload(&served).await["result"], "rejected");
    assert_eq!(
        served.page("/healthz").await.1,
        "ok\nrestart needed for: listen.proxy, log.queue\nthe last configuration was rejected; generation 2 runs on\n"
    );
    std::fs::write(&file, text(&upstream, 0, 2, 100)).expect("a file");
    assert_eq!(reload(&served).await["needs_restart"], json!([]));
    let page = served.page("/metrics").await.1;
    assert!(!page.contains("outrigger_config_restart_pending"), "{page}");
    assert_eq!(served.page("/healthz").await.1, "ok\n");
}
