//! Answers over HTTP/2 whose callers have left, read to their ends or given up, on a connection that others share.

use super::*;

async fn draining(more: &str) -> Stage {
    let upstream = Upstream::bind().await;
    let says = format!("[policies.standard]\nhang_up = \"drain\"\n{more}\n");
    let text = config(upstream.at, "").replace("[policies.standard]\n", &says);
    Stage::with(upstream, Source::Text("test", text))
}

#[tokio::test]
async fn who_leaves_is_charged_what_is_reported_over_http2_too() {
    for talk in [chat(), responses(), messages()] {
        let mut stage = draining("").await;
        let ground = std::sync::Arc::clone(&stage.sidecar.ground);
        let mut peer = None;
        for count in 0..=talk.events.len() + 1 {
            let mut caller = ask(&stage, talk.path, talk.question).await;
            let peer = match &mut peer {
                Some(peer) => peer,
                none => none.insert(Frames::accept(&stage.upstream).await),
            };
            let stream = peer.asked().await;
            // The first leaves before the head.
            if count > 0 {
                peer.events(stream).await;
                for event in &talk.events[..count - 1] {
                    peer.data(stream, 0, event).await;
                }
                caller.sees("\r\n\r\n").await;
            }
            drop(caller);
            until("the call to go on alone", || {
                ground.shutdown.tails().open() == 1
            })
            .await;
            if count == 0 {
                peer.events(stream).await;
            }
            for event in &talk.events[count.saturating_sub(1)..] {
                peer.data(stream, 0, event).await;
            }
            peer.data(stream, END_STREAM, "").await;
            let line = stage.record().await;
            let members = [
                ("ending", "caller-gone"),
                ("hang_up", "drained"),
                ("usage", "reported"),
            ];
            assert_members(&line, &members);
            assert_eq!(
                (&line["input_tokens"], &line["output_tokens"]),
                (&11.into(), &9.into()),
                "{line}"
            );
            until("the task to end", || ground.shutdown.tails().open() == 0).await;
        }
        assert_eq!(stage.metric("outrigger_upstream_connections_open", ""), 1);
    }
}

#[tokio::test]
async fn what_is_not_over_in_time_is_reset_and_its_connection_stays() {
    let mut stage = draining("drain_for = \"30ms\"").await;
    let talk = chat();
    let mut kept = None;
    for begun in [false, true] {
        let mut leaving = ask(&stage, talk.path, talk.question).await;
        let peer = match &mut kept {
            Some(peer) => peer,
            none => none.insert(Frames::accept(&stage.upstream).await),
        };
        let stream = peer.asked().await;
        if begun {
            peer.events(stream).await;
            peer.data(stream, 0, &talk.events[0]).await;
            leaving.sees("piece-01").await;
        }
        drop(leaving);
        let reset = peer.sees(RST_STREAM).await;
        assert_eq!((reset.stream, reset.code()), (stream, CANCEL));
        let members = [("hang_up", "timed-out"), ("usage", "estimated")];
        assert_members(&stage.record().await, &members);
    }
    let mut staying = ask_plain(&stage).await;
    let peer = kept.as_mut().expect("a connection");
    let stream = peer.asked().await;
    peer.json(stream, WHOLE).await;
    is_whole(&mut staying).await;
}

/// The HTTP library drops an answer when its declared length has left. The upstream may say later that it is over.
#[tokio::test]
async fn an_answer_whose_length_has_come_is_whole_whatever_follows() {
    for policy in ["cancel", "drain"] {
        let upstream = Upstream::bind().await;
        let says = format!("[policies.standard]\nhang_up = \"{policy}\"\n");
        let text = config(upstream.at, "").replace("[policies.standard]\n", &says);
        let mut stage = Stage::with(upstream, Source::Text("test", text));
        let mut caller = ask_plain(&stage).await;
        let mut peer = Frames::accept(&stage.upstream).await;
        let stream = peer.asked().await;
        let length = WHOLE.len().to_string();
        let fields = [
            (":status", "200"),
            ("content-type", "application/json"),
            ("content-length", &length),
        ];
        peer.head(stream, 0, &fields).await;
        peer.data(stream, 0, WHOLE).await;
        is_whole(&mut caller).await;
        let line = stage.record().await;
        assert_members(&line, &[("ending", "complete"), ("usage", "reported")]);
        // Nobody waits for more of that stream; both connections serve on.
        assert_eq!(peer.sees(RST_STREAM).await.stream, stream);
        peer.data(stream, END_STREAM, "").await;
        caller.send(&request_of("key-acme", PATH, PLAIN)).await;
        let stream = peer.asked().await;
        peer.json(stream, WHOLE).await;
        is_whole(&mut caller).await;
        let line = stage.record().await;
        assert_members(&line, &[("ending", "complete"), ("usage", "reported")]);
    }
}
