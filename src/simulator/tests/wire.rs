//! Faults of the wire, byte for byte; usage told too seldom, too late or too often; rules and transcripts.

use super::*;

/// What comes back until the connection closes, as bytes; the request does not ask for the close.
async fn raw(simulator: &Arc<Simulator>, request: &str) -> (Vec<u8>, bool) {
    let (mut client, server) = duplex(1 << 20);
    let talk = async {
        client.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let closed = timeout(Duration::from_millis(300), client.read_to_end(&mut answer)).await;
        drop(client);
        (answer, closed.is_ok())
    };
    let served = serve_connection(TokioIo::new(server), Arc::clone(simulator));
    let (got, ()) = tokio::join!(talk, async { drop(served.await) });
    got
}

fn kept(headers: &str, body: &Value) -> String {
    post("/v1/chat/completions", &format!("{KEY}{headers}"), body)
        .replace("connection: close\r\n", "")
}

/// A fault's bytes, and whether the connection was closed behind them.
async fn fault(word: &str, body: &Value) -> (String, bool) {
    let header = format!("x-sim-fault: {word}\r\n");
    let (bytes, closed) = raw(&simulator(), &kept(&header, body)).await;
    (String::from_utf8_lossy(&bytes).into_owned(), closed)
}

fn length(answer: &str) -> usize {
    got(answer)
        .header("content-length")
        .unwrap()
        .parse()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn faults_of_the_wire_are_what_they_say() {
    let plain = chat("gpt-sim");
    let stream = streamed(chat("gpt-sim"));
    let whole = ask(&simulator(), "/v1/chat/completions", KEY, &plain)
        .await
        .body;
    let events = ask(&simulator(), "/v1/chat/completions", KEY, &stream)
        .await
        .body;
    let body = |answer: &str| {
        answer
            .split_once("\r\n\r\n")
            .map(|(_, body)| body.to_owned())
            .unwrap()
    };

    assert_eq!(fault("drop", &plain).await, (String::new(), true));
    let (head, closed) = fault("head", &plain).await;
    assert!(
        head.starts_with("HTTP/1.1 200 OK\r\n") && !head.contains("\r\n\r\n") && closed,
        "{head}"
    );
    for word in ["torn", "reset"] {
        let (torn, closed) = fault(word, &plain).await;
        assert!(
            whole.starts_with(&body(&torn)) && length(&torn) == whole.len() && closed,
            "{torn}"
        );
        let (torn, closed) = fault(word, &stream).await;
        assert!(
            !torn.ends_with("\n\n\r\n") && !torn.contains("[DONE]") && closed,
            "{torn}"
        );
    }
    let (half, closed) = fault("half", &plain).await;
    assert!(body(&half).len() == whole.len() / 2 && length(&half) == whole.len() / 2 && !closed);
    let (half, closed) = fault("half", &stream).await;
    assert!(
        half.ends_with("0\r\n\r\n") && !got(&half).body.ends_with("\n\n") && !closed,
        "{half}"
    );
    let (short, closed) = fault("short", &plain).await;
    assert!(body(&short) == whole && length(&short) == whole.len() - 7 && !closed);
    let (short, _) = fault("short", &stream).await;
    assert!(body(&short) == events && length(&short) == events.len() - 7);
    let (long, closed) = fault("long", &plain).await;
    assert!(body(&long) == whole && length(&long) == whole.len() + 7 && closed);
    for request in [&plain, &stream] {
        let (chunk, closed) = fault("chunk", request).await;
        assert!(chunk.contains("\r\nzz\r\n") && !closed, "{chunk}");
        let (garbage, closed) = fault("garbage", request).await;
        assert!(
            garbage.ends_with("this is no HTTP\r\n\r\n") && !closed,
            "{garbage}"
        );
        let (twice, closed) = fault("twice", request).await;
        assert!(
            twice.matches("HTTP/1.1 200 OK\r\n").count() == 2 && !closed,
            "{twice}"
        );
    }
    let (interim, closed) = fault("interim", &plain).await;
    assert!(
        interim.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n"),
        "{interim}"
    );
    assert!(interim.ends_with(&whole) && !closed);
    let (trickle, closed) = fault("trickle", &stream).await;
    assert!(got(&trickle).body == events && !closed);
    let (close, closed) = fault("close", &plain).await;
    assert!(body(&close) == whole && closed && got(&close).header("connection").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_connection_goes_on_behind_a_raw_answer() {
    let two = kept("x-sim-fault: interim\r\n", &chat("a"));
    let (mut client, server) = duplex(1 << 20);
    let talk = async {
        let mut heard = String::new();
        for _ in 0..3 {
            client.write_all(two.as_bytes()).await.unwrap();
            let mut bytes = Vec::new();
            while !String::from_utf8_lossy(&bytes).contains("fp_simulator\"}") {
                assert!(client.read_buf(&mut bytes).await.unwrap() > 0);
            }
            heard.push_str(&String::from_utf8_lossy(&bytes));
        }
        drop(client);
        heard
    };
    let served = serve_connection(TokioIo::new(server), simulator());
    let (heard, ()) = tokio::join!(talk, async { drop(served.await) });
    assert_eq!(heard.matches("HTTP/1.1 200 OK").count(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_early_answer_does_not_wait_for_the_body() {
    let header = format!("{KEY}x-sim-fault: early\r\ncontent-length: 1000\r\n");
    let request = format!("POST /v1/chat/completions HTTP/1.1\r\nhost: sim\r\n{header}\r\nsome");
    let (bytes, _) = raw(&simulator(), &request).await;
    let answer = String::from_utf8_lossy(&bytes).into_owned();
    assert!(answer.contains("\"model\":\"sim-early\""), "{answer}");
}

#[tokio::test]
async fn usage_is_told_as_often_as_asked() {
    let count = async |path: &str, headers: &str, request: Value, habit: &str, sign: &str| {
        let headers = format!("{headers}x-sim-usage: {habit}\r\n");
        let body = ask(&simulator(), path, &headers, &request).await.body;
        (body.matches(sign).count(), body)
    };
    let mut counted = streamed(chat("m"));
    counted["stream_options"] = json!({"include_usage": true});
    let respond = json!({"model": "m", "input": "Hello", "stream": true});
    for (habit, times) in [("missing", 0), ("late", 1), ("twice", 2)] {
        let path = "/v1/chat/completions";
        let (seen, body) = count(path, KEY, counted.clone(), habit, "\"usage\":{").await;
        assert_eq!(seen, times, "{body}");
        assert_eq!(body.ends_with("[DONE]\n\n"), habit != "late", "{body}");
        let path = "/v1/responses";
        assert_eq!(
            count(path, KEY, respond.clone(), habit, "\"usage\":{")
                .await
                .0,
            times
        );
        let path = "/v1/messages";
        let stop = count(
            path,
            CLAUDE,
            streamed(message("m")),
            habit,
            "\"output_tokens_details\"",
        )
        .await;
        assert_eq!(stop.0, times, "{}", stop.1);
        assert_eq!(stop.1.contains("\"input_tokens\""), habit != "missing");
        let plain = if habit == "late" { 1 } else { times };
        let path = "/v1/embeddings";
        let embedded = json!({"model": "m", "input": "hi", "dimensions": 2});
        assert_eq!(
            count(path, KEY, embedded, habit, "\"usage\":{").await.0,
            plain
        );
    }
}

fn ruled(rules: &str, seed: u64) -> Arc<Simulator> {
    let fetch = |name: &str| {
        match name {
        "two.http" => Ok(b"%% answer\nHTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\none\n%% wait 1s\n%% answer\nHTTP/1.1 418 no\r\ncontent-length: 3\r\n\r\ntwo\n%% close\n".to_vec()),
        _ => Err("no such file".to_owned()),
    }
    };
    let rules = Rules::parse(rules, fetch).unwrap().seeded(seed);
    Arc::new(Simulator::with_rules(Script::default(), rules))
}

#[tokio::test(start_paused = true)]
async fn rules_choose_by_path_model_and_turn() {
    let simulator = ruled(
        "# comment\npath=/v1/mess* nth=2 -> fault-529\nmodel=gpt-*-slow -> slow-2s+fault-503\nevery=3 -> fault-429\n* -> chunks-2",
        0,
    );
    let status = async |path: &str, headers: &str, request: Value| {
        ask(&simulator, path, headers, &request).await.status
    };
    let chats = async |model: &str| status("/v1/chat/completions", KEY, chat(model)).await;
    assert_eq!(status("/v1/messages", CLAUDE, message("m")).await, 200);
    assert_eq!(status("/v1/messages", CLAUDE, message("m")).await, 529);
    let begun = Instant::now();
    assert_eq!(chats("gpt-5-slow").await, 503);
    assert_eq!(begun.elapsed(), Duration::from_secs(2));
    // The third that comes to this rule; the first was a message.
    assert_eq!((chats("gpt-5").await, chats("gpt-5").await), (200, 429));
    assert_eq!(
        status("/v1/messages", CLAUDE, message("m")).await,
        200,
        "only the second"
    );
}

#[tokio::test(start_paused = true)]
async fn a_transcript_is_replayed_as_it_stands() {
    let simulator = ruled("path=/v1/models -> replay two.http", 0);
    let get = "GET /v1/models HTTP/1.1\r\nhost: sim\r\n\r\n";
    assert_eq!(
        raw(&simulator, get).await,
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\none".to_vec(),
            false
        )
    );
    assert_eq!(
        raw(&simulator, get).await,
        (
            b"HTTP/1.1 418 no\r\ncontent-length: 3\r\n\r\ntwo".to_vec(),
            true
        )
    );
    assert!(
        raw(&simulator, get).await.0.ends_with(b"one"),
        "it starts over"
    );
}

#[tokio::test(start_paused = true)]
async fn draws_follow_the_seed() {
    let outcomes = async |seed: u64| {
        let simulator = ruled("chance=50% -> fault-any\n* -> fault-503", seed);
        let mut all = Vec::new();
        for _ in 0..40 {
            all.push(raw(&simulator, &kept("", &chat("m"))).await);
        }
        all
    };
    let one = outcomes(1).await;
    assert_eq!(one, outcomes(1).await);
    assert_ne!(one, outcomes(2).await);
    let failed = one
        .iter()
        .filter(|(bytes, _)| bytes.starts_with(b"HTTP/1.1 503"))
        .count();
    assert!((8..=32).contains(&failed), "{failed}");
}

#[test]
fn bad_rules_say_which_line() {
    for (text, line, hint) in [
        ("* -> pace-5ms\nfault-cut", 2, "CONDITION"),
        ("nth=0 -> fault-cut", 1, "`nth=0` is no condition"),
        ("chance=101% -> fault-cut", 1, "`chance=101%`"),
        ("method=GET -> fault-cut", 1, "`path=`"),
        ("* -> fault-nonsense", 1, "`fault-nonsense`"),
        ("* -> replay x.http", 1, "no such file"),
        ("* -> replay bad.http", 1, "`%% sing` is nothing"),
    ] {
        let fetch = |name: &str| match name {
            "bad.http" => Ok(b"HTTP/1.1 200 OK\n%% sing\n".to_vec()),
            _ => Err("no such file".to_owned()),
        };
        let told = Rules::parse(text, fetch).unwrap_err().to_string();
        assert!(
            told.starts_with(&format!("line {line}: ")) && told.contains(hint),
            "{told}"
        );
    }
}
