//! The configuration changes while streams run: none is cut or changed, no counter goes back, every request sees exactly one
//! generation, and a bad file changes nothing and is seen.

mod dances;
mod refusals;
mod restart;
mod revoked;
mod same;
mod secrets;
mod show;

use std::path::{Path, PathBuf};

use outrigger::app::{Outcome, Source};
use outrigger::limits::Dimension;
use tempfile::TempDir;

use crate::serve::Served;
use crate::stage::{
    Caller, END, PLAIN, Peer, STREAM, Stage, Talk, Upstream, WHOLE, chat, chunk, config, field,
    hash_of, json, post, within,
};

const PATH: &str = "/openai/v1/chat/completions";

/// A sidecar whose configuration is a file.
struct Filed {
    stage: Stage,
    directory: TempDir,
}

impl Filed {
    async fn open(added: &str) -> Self {
        let upstream = Upstream::bind().await;
        let directory = TempDir::new().expect("a directory");
        let file = directory.path().join("outrigger.toml");
        std::fs::write(&file, config(upstream.at, added)).expect("a file");
        Self {
            stage: Stage::with(upstream, Source::File(file)),
            directory,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes the configuration with this added.
    fn write(&self, added: &str) {
        let text = config(self.stage.upstream.at, added);
        std::fs::write(self.path("outrigger.toml"), text).expect("a file");
    }

    fn generation(&self) -> u64 {
        self.stage.sidecar.ground.live.take().generation()
    }

    fn published(&self) -> u64 {
        match self.stage.sidecar.reloader.reload() {
            Outcome::Published(snapshot) => snapshot.generation(),
            other => panic!("not published: {other:?}"),
        }
    }

    fn polled(&self) -> u64 {
        match self.stage.sidecar.reloader.poll() {
            Outcome::Published(snapshot) => snapshot.generation(),
            other => panic!("not published: {other:?}"),
        }
    }

    fn rejected(&self) -> String {
        match self.stage.sidecar.reloader.reload() {
            Outcome::Rejected(problems) => problems,
            other => panic!("not rejected: {other:?}"),
        }
    }
}

async fn stream(stage: &Stage, talk: &Talk) -> (Caller, Peer) {
    let mut caller = stage.caller().await;
    caller.send(&post(talk.path, talk.question)).await;
    let mut peer = stage.upstream.accept().await;
    peer.request().await;
    peer.send(STREAM).await;
    (caller, peer)
}

/// One plain call; gives the head of its answer.
async fn call(stage: &Stage, question: &str) -> String {
    let mut caller = stage.caller().await;
    caller.send(&post(PATH, question)).await;
    let mut peer = stage.upstream.accept().await;
    peer.request().await;
    peer.send(&json(WHOLE)).await;
    peer.close_after().await;
    caller.answer().await.0
}

/// A call that is refused.
async fn refused(stage: &Stage) -> String {
    let mut caller = stage.caller().await;
    caller.send(&post(PATH, PLAIN)).await;
    caller.answer().await.0
}

#[tokio::test]
async fn streams_live_through_good_and_bad_reloads_and_end_under_the_generation_they_began_under() {
    let mut filed = Filed::open("limits.tokens = \"1M/h\"").await;
    let talk = chat();
    // What the first stream says is what it would say without any reload.
    let (mut caller, mut peer) = stream(&filed.stage, &talk).await;
    let mut streams = Vec::new();
    let mut generation = 1;
    for (step, event) in talk.events.iter().enumerate() {
        peer.send(&chunk(event)).await;
        streams.push((generation, stream(&filed.stage, &talk).await));
        if step % 2 == 0 {
            filed.write(&format!(
                "limits.tokens = \"1M/h\"\nlimits.streams = {}",
                100 + step
            ));
            let next = filed.published();
            assert!(next > generation);
            generation = next;
        } else {
            filed.write("limits.tokens = \"many\"");
            assert!(filed.rejected().contains("limits.tokens"));
            assert_eq!(filed.generation(), generation, "a bad file changes nothing");
            let rejected = filed
                .stage
                .sidecar
                .ground
                .live
                .rejected()
                .expect("it is kept");
            assert!(rejected.problems.contains("limits.tokens"));
            assert_eq!(
                filed
                    .stage
                    .metric("outrigger_config_last_reload_successful", ""),
                0
            );
        }
        assert_eq!(
            filed.stage.metric("outrigger_config_generation", ""),
            generation
        );
    }
    peer.send(END).await;
    let got = caller.sees("0\r\n\r\n").await;
    for event in &talk.events {
        let hidden = event.contains("\"usage\"");
        assert_eq!(got.contains(event.as_str()), !hidden, "{event} in {got}");
    }
    let begun: Vec<u64> = std::iter::once(1)
        .chain(streams.iter().map(|(begun, _)| *begun))
        .collect();
    for (_, (mut caller, mut peer)) in streams {
        for event in &talk.events {
            peer.send(&chunk(event)).await;
        }
        peer.send(END).await;
        caller.sees("0\r\n\r\n").await;
    }
    filed.stage.ended(begun.len()).await;
    let lines = filed.stage.lines();
    assert!(
        lines.iter().all(|line| line["ending"] == "complete"),
        "{lines:?}"
    );
    let told: Vec<u64> = lines
        .iter()
        .map(|line| line["generation"].as_u64().expect("a number"))
        .collect();
    assert_eq!(told, begun);
    drop(lines);
    // The one who looks frees them, not the trip that ends last.
    assert!(matches!(
        filed.stage.sidecar.reloader.poll(),
        Outcome::Unchanged
    ));
    assert_eq!(
        filed.stage.metric("outrigger_snapshots_alive", ""),
        1,
        "old generations are let go"
    );
}

#[tokio::test]
async fn a_reload_forgets_nothing_that_was_spent_or_counted() {
    let mut filed = Filed::open("limits.tokens = \"100k/h\"\nlimits.requests = \"5/h\"").await;
    let head = call(&filed.stage, PLAIN).await;
    assert_eq!(field(&head, "x-ratelimit-remaining-requests"), Some("4"));
    let line = filed.stage.record().await;
    let used = line["input_tokens"].as_u64().expect("a number")
        + line["output_tokens"].as_u64().expect("a number");
    assert_eq!(filed.stage.left(Dimension::Tokens), 100_000 - used);

    for added in [
        "limits.tokens = \"500k/h\"\nlimits.requests = \"5/h\"",
        "limits.requests = \"5/h\"",
        "limits.tokens = \"100k/h\"\nlimits.requests = \"5/h\"",
    ] {
        filed.write(added);
        filed.published();
    }
    assert_eq!(
        filed.stage.left(Dimension::Tokens),
        100_000 - used,
        "a bigger bucket is no gift, nor is a pause"
    );
    assert_eq!(filed.stage.left(Dimension::Requests), 4);
    assert_eq!(filed.stage.metric("outrigger_requests_total", "acme"), 1);
    let head = call(&filed.stage, PLAIN).await;
    assert_eq!(field(&head, "x-ratelimit-remaining-requests"), Some("3"));
    filed.stage.record().await;
    assert_eq!(filed.stage.metric("outrigger_requests_total", "acme"), 2);
}

#[tokio::test]
async fn a_tenant_that_was_taken_out_and_put_back_has_spent_what_it_spent() {
    let mut filed = Filed::open("limits.requests = \"2/h\"").await;
    call(&filed.stage, PLAIN).await;
    call(&filed.stage, PLAIN).await;
    let head = refused(&filed.stage).await;
    assert!(head.starts_with("HTTP/1.1 429 "), "{head}");
    filed.stage.ended(3).await;

    let without = config(filed.stage.upstream.at, "").replace("acme", "other");
    std::fs::write(filed.path("outrigger.toml"), without).expect("a file");
    filed.published();
    call(&filed.stage, PLAIN).await;
    filed.write("limits.requests = \"2/h\"");
    filed.published();
    let head = refused(&filed.stage).await;
    assert!(head.starts_with("HTTP/1.1 429 "), "{head}");
    filed.stage.ended(5).await;
    let tenants: Vec<_> = filed
        .stage
        .lines()
        .into_iter()
        .map(|line| line["tenant"].clone())
        .collect();
    assert_eq!(tenants, ["acme", "acme", "acme", "other", "acme"]);
    assert_eq!(filed.stage.metric("outrigger_refusals_total", "acme"), 2);
}

#[tokio::test]
async fn a_request_is_held_to_the_policy_it_began_under() {
    let mut filed = Filed::open("policy = \"only\"\n[policies.only]\nmodels.allow = [\"m\"]").await;
    // Its head has come and its snapshot is taken; its body is still on the way when the rules change.
    let mut caller = filed.stage.caller().await;
    let request = post(PATH, PLAIN);
    caller.send(&request[..request.len() - 5]).await;
    let open = &filed.stage.sidecar.ground.shutdown;
    crate::stage::until("the trip to begin", || open.open() == 1).await;
    filed.write("policy = \"only\"\n[policies.only]\nmodels.deny = [\"m\"]");
    assert_eq!(filed.published(), 2);
    let head = refused(&filed.stage).await;
    assert!(head.starts_with("HTTP/1.1 403 "), "{head}");

    caller.send(&request[request.len() - 5..]).await;
    let mut peer = filed.stage.upstream.accept().await;
    peer.request().await;
    peer.send(&json(WHOLE)).await;
    assert!(caller.answer().await.0.starts_with("HTTP/1.1 200 "));
    filed.stage.ended(2).await;
    let told: Vec<_> = filed
        .stage
        .lines()
        .into_iter()
        .map(|line| {
            (
                line["generation"].as_u64().expect("a number"),
                line["ending"].clone(),
            )
        })
        .collect();
    assert_eq!(told, [(2, "refused".into()), (1, "complete".into())]);
}

#[tokio::test]
async fn a_slot_limit_that_shrinks_or_grows_counts_the_streams_that_run() {
    let filed = Filed::open("limits.streams = 2\nlimits.queue = 0").await;
    let talk = chat();
    let (mut first, mut peer) = stream(&filed.stage, &talk).await;
    filed.write("limits.streams = 1\nlimits.queue = 0");
    filed.published();
    assert!(refused(&filed.stage).await.starts_with("HTTP/1.1 429 "));
    filed.write("limits.streams = 2\nlimits.queue = 0");
    filed.published();
    assert!(call(&filed.stage, PLAIN).await.starts_with("HTTP/1.1 200 "));
    peer.send(&chunk(&talk.events[0])).await;
    peer.send(END).await;
    first.sees("0\r\n\r\n").await;
    filed.stage.ended(3).await;
}

#[tokio::test]
async fn files_of_tenants_come_and_go() {
    let filed = Filed::open("").await;
    let keyed =
        |tenant: &str, key: &str| format!("[tenants.{tenant}]\nkeys = [\"{}\"]\n", hash_of(key));
    let main = config(
        filed.stage.upstream.at,
        &keyed("acme", "key-a").replace("[tenants.acme]\n", ""),
    )
    .replace("tenant = \"acme\"", "accept = [\"key\"]");
    std::fs::write(filed.path("outrigger.toml"), main).expect("a file");
    assert_eq!(filed.polled(), 2);
    let status = |stage: &Stage, key: &'static str| {
        let at = stage.sidecar.proxy[0];
        async move {
            let mut caller = Caller::connect(at).await;
            let request = format!(
                "GET /openai/v1/nothing HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n\r\n"
            );
            caller.send(request.as_bytes()).await;
            caller.answer().await.0[9..12].to_owned()
        }
    };
    // Known tenants are refused the endpoint, unknown ones at the door.
    assert_eq!(status(&filed.stage, "key-a").await, "403");
    assert_eq!(status(&filed.stage, "key-b").await, "401");

    std::fs::create_dir(filed.path("tenants.d")).expect("a directory");
    std::fs::write(filed.path("tenants.d/b.toml"), keyed("b", "key-b")).expect("a file");
    assert_eq!(filed.polled(), 3);
    assert_eq!(status(&filed.stage, "key-b").await, "403");
    assert!(matches!(
        filed.stage.sidecar.reloader.poll(),
        Outcome::Unchanged
    ));

    // A second owner of a key is a mistake, and changes nothing.
    std::fs::write(filed.path("tenants.d/c.toml"), keyed("c", "key-b")).expect("a file");
    assert!(matches!(
        filed.stage.sidecar.reloader.poll(),
        Outcome::Rejected(_)
    ));
    assert_eq!(filed.generation(), 3);
    std::fs::remove_file(filed.path("tenants.d/c.toml")).expect("a file");
    assert!(!matches!(
        filed.stage.sidecar.reloader.poll(),
        Outcome::Rejected(_)
    ));
    assert_eq!(status(&filed.stage, "key-b").await, "403");
    assert!(
        filed.stage.sidecar.ground.live.rejected().is_none(),
        "the files are good again"
    );

    std::fs::remove_file(filed.path("tenants.d/b.toml")).expect("a file");
    filed.polled();
    assert_eq!(status(&filed.stage, "key-b").await, "401");
    assert_eq!(status(&filed.stage, "key-a").await, "403");
}

/// Puts `text` at `path` as editors and deployment tools do: whole, under another name, and then moved over.
fn move_over(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).expect("a file");
    std::fs::rename(&beside, path).expect("a rename");
}

#[tokio::test]
async fn a_file_moved_over_and_a_swapped_link_are_seen_by_the_poll() {
    let upstream = Upstream::bind().await;
    let text = |streams: u32| config(upstream.at, &format!("limits.streams = {streams}"));
    let directory = TempDir::new().expect("a directory");
    // A mounted volume of Kubernetes: `outrigger.toml` -> `..data/outrigger.toml`, `..data` -> a directory per version.
    let path = |name: &str| directory.path().join(name);
    for (version, streams) in [("..one", 1), ("..two", 2)] {
        std::fs::create_dir(path(version)).expect("a directory");
        std::fs::write(path(version).join("outrigger.toml"), text(streams)).expect("a file");
    }
    std::os::unix::fs::symlink("..one", path("..data")).expect("a link");
    std::os::unix::fs::symlink("..data/outrigger.toml", path("outrigger.toml")).expect("a link");
    let texts = [text(3), text(4)];
    let filed = Filed {
        stage: Stage::with(upstream, Source::File(path("outrigger.toml"))),
        directory,
    };
    let streams = |filed: &Filed| filed.stage.left(Dimension::Streams);
    assert_eq!(streams(&filed), 1);
    assert!(matches!(
        filed.stage.sidecar.reloader.poll(),
        Outcome::Unchanged
    ));

    std::os::unix::fs::symlink("..two", filed.path("..data_tmp")).expect("a link");
    std::fs::rename(filed.path("..data_tmp"), filed.path("..data")).expect("a rename");
    assert_eq!(filed.polled(), 2);
    assert_eq!(streams(&filed), 2);

    move_over(&filed.path("..two/outrigger.toml"), &texts[0]);
    assert_eq!(filed.polled(), 3);
    assert_eq!(streams(&filed), 3);
    move_over(&filed.path("outrigger.toml"), &texts[1]);
    assert_eq!(filed.polled(), 4);
    assert_eq!(streams(&filed), 4);

    // A file that is gone for a moment is a bad file.
    std::fs::rename(filed.path("outrigger.toml"), filed.path("away")).expect("a rename");
    assert!(matches!(
        filed.stage.sidecar.reloader.poll(),
        Outcome::Rejected(_)
    ));
    assert_eq!(streams(&filed), 4);
    std::fs::rename(filed.path("away"), filed.path("outrigger.toml")).expect("a rename");
    assert!(!matches!(
        filed.stage.sidecar.reloader.poll(),
        Outcome::Rejected(_)
    ));
    assert!(filed.stage.sidecar.ground.live.rejected().is_none());
}

#[tokio::test]
async fn a_serving_process_looks_by_itself() {
    let upstream = Upstream::bind().await;
    let text = |streams: u32| {
        config(
            upstream.at,
            &format!("limits.streams = {streams}\n[reload]\npoll = \"10ms\""),
        )
        .replace("telemetry = \"off\"", "telemetry = \"127.0.0.1:0\"")
    };
    let served = Served::start(&text(1)).await;
    let generation = |number: u32| format!("\noutrigger_config_generation {number}\n");
    assert!(served.page("/metrics").await.1.contains(&generation(1)));
    move_over(&served.home.path().join("outrigger.toml"), &text(2));
    within("the next generation", async {
        while !served.page("/metrics").await.1.contains(&generation(2)) {}
    })
    .await;
}
