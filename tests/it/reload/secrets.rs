//! Secrets in files of their own: a new one is taken without a cut, and one that vanished takes nothing away.

use std::os::unix::fs::symlink;

use outrigger::app::{Outcome, Source};
use tempfile::TempDir;

use super::PATH;
use crate::serve::Served;
use crate::stage::{
    Caller, END, PLAIN, Peer, STREAM, Stage, Upstream, WHOLE, chat, chunk, config, field, json,
    post, until,
};

/// A volume of secrets, as Kubernetes mounts it: `key` -> `..data/key`, `..data` -> a directory per version.
fn rotate(volume: &std::path::Path, version: &str, key: &str) {
    let directory = volume.join(version);
    std::fs::create_dir_all(&directory).expect("a directory");
    std::fs::write(directory.join("key"), key).expect("a file");
    symlink(version, volume.join("..tmp")).expect("a link");
    std::fs::rename(volume.join("..tmp"), volume.join("..data")).expect("a rename");
    if !volume.join("key").is_symlink() {
        symlink("..data/key", volume.join("key")).expect("a link");
    }
}

fn keyed(upstream: &Upstream, home: &TempDir, listen: &str, added: &str) -> String {
    let key = home.path().join("secret/key");
    config(upstream.at, added)
        .replace("telemetry = \"off\"", listen)
        .replace(
            "dialect = \"openai\"\n",
            &format!(
                "dialect = \"openai\"\nkey = \"${{file:{}}}\"\n",
                key.display()
            ),
        )
}

/// The credential with which the next call arrives.
async fn arrives(at: std::net::SocketAddr, upstream: &Upstream) -> String {
    let mut caller = Caller::connect(at).await;
    caller.send(&post(PATH, PLAIN)).await;
    let mut peer = upstream.accept().await;
    let (head, _) = peer.request().await;
    peer.send(&json(WHOLE)).await;
    peer.close_after().await;
    caller.answer().await;
    field(&head, "authorization")
        .expect("a credential")
        .to_owned()
}

#[tokio::test]
async fn a_rotated_secret_is_taken_by_itself_and_cuts_nothing() {
    let home = TempDir::new().expect("a directory");
    rotate(&home.path().join("secret"), "..1", "sk-one\n");
    let upstream = Upstream::bind().await;
    let listen = "telemetry = \"127.0.0.1:0\"";
    let served = Served::start(&keyed(&upstream, &home, listen, "[reload]\npoll = \"off\"")).await;
    assert_eq!(arrives(served.proxy, &upstream).await, "Bearer sk-one");

    let talk = chat();
    let mut caller = Caller::connect(served.proxy).await;
    caller.send(&post(PATH, talk.question)).await;
    let mut peer: Peer = upstream.accept().await;
    peer.request().await;
    peer.send(STREAM).await;
    peer.send(&chunk(&talk.events[0])).await;
    caller.sees("piece-01").await;
    rotate(&home.path().join("secret"), "..2", "sk-two\n");
    served.shows(&["outrigger_config_generation 2"]).await;
    assert_eq!(arrives(served.proxy, &upstream).await, "Bearer sk-two");

    std::fs::remove_file(home.path().join("secret/..data")).expect("a link");
    served
        .shows(&[
            "outrigger_config_last_reload_successful 0",
            "outrigger_config_generation 2",
        ])
        .await;
    until("the reason in the log", || {
        served.lines().iter().any(|line| {
            let text = line["text"].as_str().unwrap_or_default();
            text.contains("secret/key`: it does not exist") && !text.contains("sk-two")
        })
    })
    .await;
    assert_eq!(arrives(served.proxy, &upstream).await, "Bearer sk-two");

    for event in &talk.events[1..] {
        peer.send(&chunk(event)).await;
    }
    peer.send(END).await;
    caller.sees("0\r\n\r\n").await;
    // It is back, and says what it said.
    rotate(&home.path().join("secret"), "..2", "sk-two\n");
    served
        .shows(&[
            "outrigger_config_last_reload_successful 1",
            "outrigger_config_generation 2",
        ])
        .await;
}

#[tokio::test]
async fn the_content_of_a_secret_counts_and_its_trailing_line_end_does_not() {
    let home = TempDir::new().expect("a directory");
    rotate(&home.path().join("secret"), "..1", "sk-one");
    let upstream = Upstream::bind().await;
    let text = keyed(&upstream, &home, "telemetry = \"off\"", "");
    let file = home.path().join("outrigger.toml");
    std::fs::write(&file, text).expect("a file");
    let stage = Stage::with(upstream, Source::File(file));
    let reloader = &stage.sidecar.reloader;
    rotate(&home.path().join("secret"), "..2", "sk-one\n");
    assert!(matches!(reloader.poll(), Outcome::Unchanged));
    rotate(&home.path().join("secret"), "..3", "sk-two");
    assert!(matches!(reloader.poll(), Outcome::Published(_)));
}
