//! HTTP/2 to upstreams: one tenant's calls share a connection, every end of a stream is seen for what it is, and nothing
//! that may have been acted on is sent twice. Must never need a second sidecar: the upstream is what is odd here.

pub(crate) mod frames;
mod left;
mod whole;

use outrigger::app::Source;
use serde_json::Value;

use crate::stage::{
    Caller, PLAIN, Stage, Talk, Upstream, WHOLE, chat, hash_of, messages, post, responses, until,
    within,
};
use frames::*;

const PATH: &str = "/openai/v1/chat/completions";

fn config(at: std::net::SocketAddr, added: &str) -> String {
    let upstream = |name: &str| {
        format!(
            "[upstreams.{name}]\ndialect = \"{name}\"\nurl = \"http://{at}\"\nhttp = \"2\"\nkey = \"sk\"\n{added}\n"
        )
    };
    format!(
        "[listen]\nproxy = \"127.0.0.1:0\"\ntelemetry = \"off\"\nadmin = \"off\"\n{}{}\
         [identity]\naccept = [\"key\"]\n\
         [policies.standard]\nendpoints.allow = [\"files\"]\nreferences = \"allow\"\n\
         [tenants.acme]\nkeys = [\"{}\"]\n[tenants.other]\nkeys = [\"{}\"]\n",
        upstream("openai"),
        upstream("anthropic"),
        hash_of("key-acme"),
        hash_of("key-other"),
    )
}

async fn stage_with(added: &str) -> Stage {
    let upstream = Upstream::bind().await;
    let text = config(upstream.at, added);
    Stage::with(upstream, Source::Text("test", text))
}

async fn stage() -> Stage {
    stage_with("").await
}

fn request_of(key: &str, path: &str, question: &str) -> Vec<u8> {
    let request = String::from_utf8(post(path, question)).expect("a text");
    let keyed = format!("\r\nx-api-key: {key}\r\n\r\n");
    request.replacen("\r\n\r\n", &keyed, 1).into_bytes()
}

/// Somebody of `acme` asks.
async fn ask(stage: &Stage, path: &str, question: &str) -> Caller {
    let mut caller = stage.caller().await;
    caller.send(&request_of("key-acme", path, question)).await;
    caller
}

async fn ask_plain(stage: &Stage) -> Caller {
    ask(stage, PATH, PLAIN).await
}

fn assert_members(line: &Value, members: &[(&str, &str)]) {
    for (name, value) in members {
        assert_eq!(line[name].as_str(), Some(*value), "`{name}` of {line}");
    }
}

async fn is_whole(caller: &mut Caller) {
    let (head, body) = caller.answer().await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(body, WHOLE);
}

#[tokio::test]
async fn calls_of_a_tenant_share_a_connection_and_those_of_two_never_do() {
    let mut stage = stage().await;
    let mut first = ask_plain(&stage).await;
    let mut peer = Frames::accept(&stage.upstream).await;
    let one = peer.asked().await;
    let mut second = ask_plain(&stage).await;
    let two = peer.asked().await;
    assert_eq!((one, two), (1, 3));
    let mut other = stage.caller().await;
    other.send(&request_of("key-other", PATH, PLAIN)).await;
    let mut apart = Frames::accept(&stage.upstream).await;
    let three = apart.asked().await;
    // The later is answered first.
    peer.json(two, WHOLE).await;
    is_whole(&mut second).await;
    peer.json(one, WHOLE).await;
    is_whole(&mut first).await;
    apart.json(three, WHOLE).await;
    is_whole(&mut other).await;
    stage.ended(3).await;
    for line in stage.lines() {
        assert_members(&line, &[("ending", "complete"), ("usage", "reported")]);
    }
    stage.hung_up().await;
    assert_eq!(stage.metric("outrigger_upstream_connections_idle", ""), 2);
    assert_eq!(
        stage.metric("outrigger_upstream_connects_total", "result=\"ok\""),
        2
    );
    // And the next call comes over the same.
    let mut third = ask_plain(&stage).await;
    let stream = peer.asked().await;
    peer.json(stream, WHOLE).await;
    is_whole(&mut third).await;
    stage.upstream.unused().await;
}

#[tokio::test]
async fn a_connection_takes_as_many_as_the_upstream_allows() {
    let stage = stage().await;
    let one = [(MAX_CONCURRENT_STREAMS, 1)];
    let mut first = ask_plain(&stage).await;
    let mut peer = Frames::accept_with(&stage.upstream, &one).await;
    let stream = peer.asked().await;
    let mut second = ask_plain(&stage).await;
    let mut more = Frames::accept_with(&stage.upstream, &one).await;
    let other = more.asked().await;
    peer.json(stream, WHOLE).await;
    is_whole(&mut first).await;
    until("the seat to be free", || {
        stage.metric("outrigger_upstream_connections_idle", "") == 1
    })
    .await;
    let mut third = ask_plain(&stage).await;
    let stream = peer.asked().await;
    more.json(other, WHOLE).await;
    peer.json(stream, WHOLE).await;
    is_whole(&mut second).await;
    is_whole(&mut third).await;
    stage.upstream.unused().await;
}

#[tokio::test]
async fn those_who_come_at_once_wait_for_one_connection() {
    let stage = stage().await;
    let mut callers = Vec::new();
    for _ in 0..10 {
        callers.push(ask_plain(&stage).await);
    }
    let mut peer = Frames::accept(&stage.upstream).await;
    for caller in &mut callers {
        let stream = peer.asked().await;
        // Whoever is answered: they all asked the same.
        peer.json(stream, WHOLE).await;
        let _ = caller;
    }
    for caller in &mut callers {
        is_whole(caller).await;
    }
    stage.upstream.unused().await;
}

#[tokio::test]
async fn idle_connections_go_after_their_time_and_over_the_cap() {
    let upstream = Upstream::bind().await;
    let text = config(upstream.at, "idle = \"5s\"") + "[pool]\nidle_connections = 1\n";
    let stage = Stage::with(upstream, Source::Text("test", text));
    let mut peers = Vec::new();
    for key in ["key-acme", "key-other"] {
        let mut caller = stage.caller().await;
        caller.send(&request_of(key, PATH, PLAIN)).await;
        let mut peer = Frames::accept(&stage.upstream).await;
        let stream = peer.asked().await;
        peer.json(stream, WHOLE).await;
        is_whole(&mut caller).await;
        stage.at_rest().await;
        peers.push(peer);
    }
    // One of the two had to go.
    let open = || stage.metric("outrigger_upstream_connections_open", "");
    until("the one too many to close", || open() == 1).await;
    assert_eq!(stage.metric("outrigger_upstream_connections_idle", ""), 1);
    stage.clock.advance(std::time::Duration::from_secs(6));
    stage.sidecar.ground.dialer.pool().sweep();
    for peer in peers {
        peer.gone().await;
    }
    until("the last to close", || open() == 0).await;
    assert_eq!(stage.metric("outrigger_upstream_connections_idle", ""), 0);
}

#[tokio::test]
async fn an_upstream_that_says_goodbye_finishes_and_gets_nothing_new() {
    let mut stage = stage().await;
    let talk = chat();
    let mut first = ask(&stage, talk.path, talk.question).await;
    let mut peer = Frames::accept(&stage.upstream).await;
    let stream = peer.asked().await;
    peer.events(stream).await;
    peer.data(stream, 0, &talk.events[0]).await;
    first.sees("piece-01").await;
    let mut late = ask_plain(&stage).await;
    let above = peer.asked().await;
    assert!(above > stream);
    // The later one was not looked at: it goes out again, over another connection.
    peer.go_away(stream, NO_ERROR).await;
    let mut fresh = Frames::accept(&stage.upstream).await;
    let again = fresh.asked().await;
    fresh.json(again, WHOLE).await;
    is_whole(&mut late).await;
    for event in &talk.events[1..] {
        peer.data(stream, 0, event).await;
    }
    peer.data(stream, END_STREAM, "").await;
    first.sees("[DONE]").await;
    peer.gone().await;
    stage.ended(2).await;
    for line in stage.lines() {
        assert_members(&line, &[("ending", "complete"), ("usage", "reported")]);
    }
}

#[tokio::test]
async fn what_an_upstream_looked_at_is_never_sent_again() {
    let mut stage = stage().await;
    // It says goodbye naming the stream as one that it works on, and goes; or it just goes.
    for code in [Some(NO_ERROR), Some(INTERNAL_ERROR), None] {
        let mut caller = ask_plain(&stage).await;
        let mut peer = Frames::accept(&stage.upstream).await;
        let stream = peer.asked().await;
        if let Some(code) = code {
            peer.go_away(stream, code).await;
        }
        drop(peer);
        let (head, body) = caller.answer().await;
        assert!(head.starts_with("HTTP/1.1 502 "), "{code:?}: {head}");
        assert!(body.contains("closed the connection before"), "{body}");
        let line = stage.record().await;
        let members = [
            ("ending", "upstream-failed"),
            ("code", "upstream-invalid"),
            ("usage", "estimated"),
        ];
        assert_members(&line, &members);
        stage.upstream.unused().await;
    }
}

#[tokio::test]
async fn a_refused_stream_goes_out_once_more_over_another_connection() {
    let mut stage = stage().await;
    let mut caller = ask_plain(&stage).await;
    let mut peer = Frames::accept(&stage.upstream).await;
    let stream = peer.asked().await;
    peer.reset(stream, REFUSED_STREAM).await;
    let mut fresh = Frames::accept(&stage.upstream).await;
    let again = fresh.asked().await;
    fresh.json(again, WHOLE).await;
    is_whole(&mut caller).await;
    assert_members(&stage.record().await, &[("ending", "complete")]);

    // Twice is an answer.
    let mut caller = ask_plain(&stage).await;
    let stream = peer.asked().await;
    peer.reset(stream, REFUSED_STREAM).await;
    let again = fresh.asked().await;
    fresh.reset(again, REFUSED_STREAM).await;
    let (head, body) = caller.answer().await;
    assert!(head.starts_with("HTTP/1.1 502 "), "{head}");
    assert!(
        head.contains("outrigger-code: upstream-unreachable"),
        "{head}"
    );
    assert!(head.contains("x-should-retry: true"), "{head}");
    assert!(body.contains("refused to look at the request"), "{body}");
    stage.upstream.unused().await;
}

#[tokio::test]
async fn a_stream_that_is_reset_before_its_answer_says_why() {
    let mut stage = stage().await;
    for (code, word) in [
        (NO_ERROR, "(NO_ERROR)"),
        (INTERNAL_ERROR, "(INTERNAL_ERROR)"),
        (CANCEL, "(CANCEL)"),
        (HTTP_1_1_REQUIRED, "hint: set `http = "),
        (99, "the upstream reset the request before it answered"),
    ] {
        let mut caller = ask_plain(&stage).await;
        let mut peer = Frames::accept(&stage.upstream).await;
        let stream = peer.asked().await;
        peer.reset(stream, code).await;
        let (head, body) = caller.answer().await;
        assert!(head.contains("outrigger-code: upstream-invalid"), "{head}");
        let text: Value = serde_json::from_str(&body).expect("JSON");
        let text = text["error"]["message"].as_str().expect("a message");
        assert!(text.contains(word), "{text}");
        let line = stage.record().await;
        assert_members(
            &line,
            &[("ending", "upstream-failed"), ("ended_in", "forward")],
        );
        // The connection is as good as before; a fresh one makes the next case plain.
        peer.go_away(stream, NO_ERROR).await;
        peer.gone().await;
    }
}

#[tokio::test]
async fn half_an_answer_is_never_taken_for_a_whole_one() {
    for talk in [chat(), responses(), messages()] {
        let mut stage = stage().await;
        for end in [Some(NO_ERROR), Some(CANCEL), Some(INTERNAL_ERROR), None] {
            let mut caller = ask(&stage, talk.path, talk.question).await;
            let mut peer = Frames::accept(&stage.upstream).await;
            let stream = peer.asked().await;
            peer.events(stream).await;
            for event in &talk.events[..3] {
                peer.data(stream, 0, event).await;
            }
            caller.sees("piece-02").await;
            match end {
                Some(code) => {
                    peer.reset(stream, code).await;
                    caller.sees("\"cut\"").await;
                    peer.go_away(stream, NO_ERROR).await;
                    peer.gone().await;
                }
                None => drop(peer),
            }
            caller.sees("\"cut\"").await;
            let line = stage.record().await;
            let members = [
                ("ending", "upstream-failed"),
                ("ended_in", "meter"),
                ("code", "cut"),
                ("cause", "upstream-invalid"),
            ];
            assert_members(&line, &members);
        }
    }
}

#[tokio::test]
async fn an_upstream_that_dies_at_any_byte_is_seen_to() {
    let talk = messages();
    let mut stage = stage().await;
    let whole = stream_of(1, &talk.events[..2]);
    // All but the empty frame at the end.
    let head = stream_of(1, &[]).len() - 9;
    for end in (0..whole.len()).step_by(5) {
        let mut caller = ask(&stage, talk.path, talk.question).await;
        let mut peer = Frames::accept(&stage.upstream).await;
        assert_eq!(peer.asked().await, 1);
        peer.bytes(&whole[..end]).await;
        drop(peer);
        caller.finish().await;
        let got = String::from_utf8_lossy(&caller.got()).into_owned();
        let line = stage.record().await;
        assert_members(&line, &[("ending", "upstream-failed")]);
        if end < head {
            assert!(got.contains("outrigger-code: upstream-invalid"), "{got}");
        } else {
            assert!(got.contains("\"cut\""), "{end}: {got}");
        }
    }
}

/// Many calls that end in every way there is, on few connections: each is recorded once, and every seat is given back.
#[tokio::test]
async fn a_crowd_of_every_kind_leaves_nothing_behind() {
    const CALLS: usize = 200;
    let mut stage = stage().await;
    let upstream = stage.take_upstream().await;
    outrigger::host::spawn("test-upstream", async move {
        loop {
            let stream = upstream.accept_any().await.into_stream();
            outrigger::host::spawn("test-upstream", play(stream));
        }
    });
    let talk = chat();
    let mut crowd = Vec::new();
    for number in 0..CALLS {
        let question = talk
            .question
            .replace("twelve bytes", &format!("kind {}", number % 5));
        let mut caller = ask(&stage, talk.path, &question).await;
        match number % 7 {
            // In the middle of anything, or before it began.
            3 => crowd.push(outrigger::host::spawn("test-caller", async move {
                tokio::time::sleep(std::time::Duration::from_micros(number as u64 * 40)).await;
                drop(caller);
            })),
            5 => crowd.push(outrigger::host::spawn("test-caller", async move {
                caller.sees("\r\n\r\n").await;
            })),
            _ => crowd.push(outrigger::host::spawn("test-caller", async move {
                // A refusal, or the end of a stream.
                if caller.sees("\r\n\r\n").await.starts_with("HTTP/1.1 200 ") {
                    caller.sees("0\r\n\r\n").await;
                }
            })),
        }
    }
    for caller in crowd {
        within("a caller", caller)
            .await
            .expect("what it waited for");
    }
    until("all callers to be gone", || {
        stage.metric("outrigger_connections_open", "") == 0
    })
    .await;
    stage.at_rest().await;
    let lines = stage.lines();
    let trips = stage.metric("outrigger_requests_total", "");
    assert_eq!(
        u64::try_from(lines.len()),
        Ok(trips),
        "each is recorded once"
    );
    assert!(lines.len() > CALLS * 9 / 10, "{}", lines.len());
    for ending in ["complete", "upstream-failed", "caller-gone"] {
        assert!(
            lines.iter().any(|line| line["ending"] == ending),
            "{ending}"
        );
    }
    stage.hung_up().await;
    assert!(stage.metric("outrigger_upstream_connections_open", "") <= 4);
}

/// Answers by what is asked: wholly, with a reset before or in the answer, in a trickle, or with a goodbye.
async fn play(stream: tokio::net::TcpStream) {
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(60);
    // Whoever dialled may have hung up meanwhile.
    let Ok(mut connection) = builder.handshake::<_, bytes::Bytes>(stream).await else {
        return;
    };
    let mut answered = 0;
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let mut body = request.into_body();
        outrigger::host::spawn("test-upstream", async move {
            let mut asked = Vec::new();
            while let Some(Ok(piece)) = body.data().await {
                asked.extend_from_slice(&piece);
            }
            let kind = |word: &str| crate::stage::find(&asked, word.as_bytes()).is_some();
            if kind("kind 1") {
                respond.send_reset(h2::Reason::INTERNAL_ERROR);
                return;
            }
            let head = http::Response::builder().header("content-type", "text/event-stream");
            let head = head.body(()).expect("a head");
            let Ok(mut stream) = respond.send_response(head, false) else {
                return;
            };
            for event in &chat().events {
                if kind("kind 3") {
                    tokio::time::sleep(std::time::Duration::from_millis(3)).await;
                }
                if stream.send_data(event.clone().into(), false).is_err() {
                    return;
                }
                if kind("kind 2") {
                    stream.send_reset(h2::Reason::CANCEL);
                    return;
                }
            }
            let _ = stream.send_data(bytes::Bytes::new(), true);
        });
        answered += 1;
        if answered == 50 {
            connection.graceful_shutdown();
        }
    }
}

#[tokio::test]
async fn a_length_that_is_not_kept_breaks_the_answer_off() {
    let mut stage = stage().await;
    let fields = [
        (":status", "200"),
        ("content-type", "application/json"),
        ("content-length", "9"),
    ];
    for (body, flags) in [("{\"a\":12345}", 0), ("{\"a\":1}", END_STREAM)] {
        let mut caller = ask_plain(&stage).await;
        let mut peer = Frames::accept(&stage.upstream).await;
        let stream = peer.asked().await;
        peer.head(stream, 0, &fields).await;
        peer.data(stream, flags, body).await;
        caller.finish().await;
        let got = String::from_utf8_lossy(&caller.got()).into_owned();
        let body = got.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        assert!(body.len() < 9, "{got}");
        let line = stage.record().await;
        assert_members(
            &line,
            &[("ending", "upstream-failed"), ("cause", "upstream-invalid")],
        );
    }
}

#[tokio::test]
async fn a_caller_that_hangs_up_cancels_its_stream_and_no_other() {
    let mut stage = stage().await;
    let talk = chat();
    let mut staying = ask(&stage, talk.path, talk.question).await;
    let mut peer = Frames::accept(&stage.upstream).await;
    let stays = peer.asked().await;
    peer.events(stays).await;
    // Once before the answer, once in the middle of it.
    for begun in [false, true] {
        let mut leaving = ask(&stage, talk.path, talk.question).await;
        let leaves = peer.asked().await;
        if begun {
            peer.events(leaves).await;
            peer.data(leaves, 0, &talk.events[0]).await;
            leaving.sees("piece-01").await;
        }
        drop(leaving);
        let reset = peer.sees(RST_STREAM).await;
        assert_eq!((reset.stream, reset.code()), (leaves, CANCEL));
    }
    for event in &talk.events {
        peer.data(stays, 0, event).await;
    }
    peer.data(stays, END_STREAM, "").await;
    staying.sees("[DONE]").await;
    stage.ended(3).await;
    let lines = stage.lines();
    assert_members(
        &lines[0],
        &[("ending", "caller-gone"), ("ended_in", "forward")],
    );
    assert_members(
        &lines[1],
        &[("ending", "caller-gone"), ("ended_in", "meter")],
    );
    assert_members(&lines[2], &[("ending", "complete")]);
    stage.hung_up().await;
}

/// Sends events until the stream's window is used up and stays so, as its caller does not read.
async fn fill(peer: &mut Frames, stream: u32, event: &str) {
    let piece = event.repeat(16_000 / event.len());
    let mut window = 128 * 1024;
    loop {
        while window >= piece.len() {
            peer.data(stream, 0, &piece).await;
            window -= piece.len();
        }
        let patience = std::time::Duration::from_millis(100);
        match tokio::time::timeout(patience, peer.sees_room(stream)).await {
            Ok(more) => window += more,
            Err(_) => return,
        }
    }
}

#[tokio::test]
async fn a_caller_that_does_not_read_stalls_nobody_else() {
    let stage = stage().await;
    let Talk {
        path,
        question,
        events,
    } = chat();
    let mut slow = Vec::new();
    let mut peer = None;
    for _ in 0..3 {
        slow.push(ask(&stage, path, question).await);
        if peer.is_none() {
            peer = Some(Frames::accept(&stage.upstream).await);
        }
        let peer = peer.as_mut().expect("a connection");
        let stream = peer.asked().await;
        peer.events(stream).await;
        fill(peer, stream, &events[1]).await;
    }
    let peer = peer.as_mut().expect("a connection");
    assert!(slow.len() == 3, "nobody has read anything");
    let mut quick = ask_plain(&stage).await;
    let stream = peer.asked().await;
    peer.json(stream, WHOLE).await;
    is_whole(&mut quick).await;
    stage.upstream.unused().await;
}
