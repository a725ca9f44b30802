//! Transcripts of both providers and of servers that differ, read whole and in every small piece.

use proptest::prelude::*;

use super::{AnswerFacts, Meter};
use crate::units::{Counted, Dialect, Endpoint, Usage};

const CHAT: &str = concat!(
    r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-5.6-mini-2026-07-01","service_tier":"default","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null,"obfuscation":"aBcDeF"}"#,
    "\n\n",
    r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-5.6-mini-2026-07-01","choices":[{"index":0,"delta":{"content":"Hello \"usage\":{}"},"finish_reason":null}],"usage":null,"obfuscation":"aB"}"#,
    "\n\n",
    r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-5.6-mini-2026-07-01","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}"#,
    "\n\n",
    r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-5.6-mini-2026-07-01","choices":[],"usage":{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,"prompt_tokens_details":{"cached_tokens":64,"cache_write_tokens":8},"completion_tokens_details":{"reasoning_tokens":5}}}"#,
    "\n\n",
    "data: [DONE]\n\n",
);

const RESPONSES: &str = concat!(
    "event: response.created\n",
    r#"data: {"type":"response.created","sequence_number":0,"response":{"id":"resp_1","object":"response","status":"in_progress","model":"gpt-5.6","service_tier":"auto","output":[],"usage":null}}"#,
    "\n\n",
    "event: response.output_text.delta\n",
    r#"data: {"type":"response.output_text.delta","sequence_number":1,"item_id":"msg_1","delta":"Hello","logprobs":[],"obfuscation":"xyz"}"#,
    "\n\n",
    "event: response.output_text.done\n",
    r#"data: {"type":"response.output_text.done","sequence_number":2,"text":"Hello"}"#,
    "\n\n",
    "event: response.completed\n",
    r#"data: {"type":"response.completed","sequence_number":3,"response":{"id":"resp_1","model":"gpt-5.6-2026-07-01","service_tier":"priority","output":[{"type":"message","content":[{"type":"output_text","text":"Hello","usage":{"input_tokens":9}}]}],"usage":{"input_tokens":30,"input_tokens_details":{"cached_tokens":10,"cache_write_tokens":4},"output_tokens":7,"output_tokens_details":{"reasoning_tokens":3},"total_tokens":37}}}"#,
    "\n\n",
);

const MESSAGES: &str = concat!(
    "event: message_start\n",
    r#"data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-haiku-5-5","content":[],"stop_reason":null,"usage":{"input_tokens":25,"cache_creation_input_tokens":100,"cache_read_input_tokens":400,"output_tokens":1,"service_tier":"standard"}}}"#,
    "\n\n",
    "event: ping\ndata: {\"type\": \"ping\"}\n\n",
    "event: content_block_start\n",
    r#"data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
    "\n\n",
    "event: content_block_delta\n",
    r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello there"}}"#,
    "\n\n",
    "event: content_block_delta\n",
    r#"data: {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"a\":"}}"#,
    "\n\n",
    "event: message_delta\n",
    r#"data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"input_tokens":30,"cache_read_input_tokens":null,"output_tokens":15,"output_tokens_details":{"thinking_tokens":2}}}"#,
    "\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Read {
    usage: Counted<Usage>,
    model: Option<String>,
    tier: Option<String>,
    id: Option<String>,
    output_bytes: u64,
    finished: bool,
    error: bool,
    events: u64,
    unreadable: u64,
}

fn read(mut meter: Meter, pieces: &[&[u8]]) -> Read {
    for piece in pieces {
        meter.push(piece);
    }
    let usage = meter.usage(1000);
    let AnswerFacts {
        model,
        service_tier,
        id,
        output_bytes,
        finished,
        error,
        events,
        unreadable,
        ..
    } = meter.facts();
    let owned = |text: Option<&str>| text.map(str::to_owned);
    Read {
        usage,
        model: owned(model),
        tier: owned(service_tier),
        id: owned(id),
        output_bytes,
        finished,
        error,
        events,
        unreadable,
    }
}

fn sse(dialect: Dialect, endpoint: Endpoint, stream: &str) -> Read {
    let whole = read(Meter::sse(dialect, endpoint), &[stream.as_bytes()]);
    for size in [1, 7, 64] {
        let pieces: Vec<_> = stream.as_bytes().chunks(size).collect();
        assert_eq!(
            read(Meter::sse(dialect, endpoint), &pieces),
            whole,
            "in pieces of {size}"
        );
    }
    whole
}

fn json(dialect: Dialect, endpoint: Endpoint, document: &str) -> Read {
    let whole = read(Meter::json(dialect, endpoint), &[document.as_bytes()]);
    let pieces: Vec<_> = document.as_bytes().chunks(1).collect();
    assert_eq!(read(Meter::json(dialect, endpoint), &pieces), whole);
    whole
}

fn chat(stream: &str) -> Read {
    sse(Dialect::OpenAi, Endpoint::ChatCompletions, stream)
}

fn messages(stream: &str) -> Read {
    sse(Dialect::Anthropic, Endpoint::Messages, stream)
}

#[test]
fn a_chat_stream() {
    let read = chat(CHAT);
    let usage = Usage {
        input: 100,
        cache_read: 64,
        cache_write: 8,
        output: 20,
        reasoning: 5,
        ..Usage::default()
    };
    assert_eq!(read.usage, Counted::Reported(usage));
    assert_eq!(read.model.as_deref(), Some("gpt-5.6-mini-2026-07-01"));
    assert_eq!(read.tier.as_deref(), Some("default"));
    assert_eq!(read.id.as_deref(), Some("chatcmpl-1"));
    assert_eq!(read.output_bytes, r#"Hello \"usage\":{}"#.len() as u64);
    assert!(read.finished && !read.error);
    assert_eq!((read.events, read.unreadable), (5, 0));
}

#[test]
fn a_chat_stream_that_breaks_off_is_estimated() {
    let before_usage = CHAT.find(r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-5.6-mini-2026-07-01","choices":[],"#).expect("the usage chunk");
    let read = chat(&CHAT[..before_usage]);
    assert_eq!(
        read.usage,
        Counted::Estimated(Usage {
            input: 1000,
            output: 5,
            ..Usage::default()
        })
    );
    assert!(!read.finished);
    // The usage chunk is the last word, with or without `[DONE]`.
    let read = chat(CHAT.strip_suffix("data: [DONE]\n\n").expect("the end"));
    assert!(matches!(read.usage, Counted::Reported(usage) if usage.output == 20));
    // Nothing came at all.
    assert_eq!(
        chat("").usage,
        Counted::Estimated(Usage {
            input: 1000,
            ..Usage::default()
        })
    );
    // `[DONE]` without usage reports nothing.
    assert!(matches!(
        chat("data: {\"choices\":[]}\n\ndata: [DONE]\n\n").usage,
        Counted::Estimated(_)
    ));
}

#[test]
fn servers_that_differ() {
    // Cumulative usage on every chunk: the last counts, and a cut is an estimate.
    let chunk = |output: u64, finish: &str| {
        format!(
            "data: {{\"choices\":[{{\"delta\":{{\"content\":\"x\"}},\"finish_reason\":{finish}}}],\"usage\": {{\"prompt_tokens\":10,\"completion_tokens\":{output},\"total_tokens\":{}}}}}\n\n",
            10 + output
        )
    };
    let cut = chat(&(chunk(1, "null") + &chunk(2, "null")));
    assert_eq!(
        cut.usage,
        Counted::Estimated(Usage {
            input: 10,
            output: 2,
            ..Usage::default()
        })
    );
    // Usage in a chunk with choices that says why the output ended.
    let whole = chat(&(chunk(1, "null") + &chunk(2, "\"stop\"")));
    assert_eq!(
        whole.usage,
        Counted::Reported(Usage {
            input: 10,
            output: 2,
            ..Usage::default()
        })
    );
    // Reasoning counted beside the output, given away by the total.
    let beside = chat(
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":5,\"total_tokens\":22,\"completion_tokens_details\":{\"reasoning_tokens\":7}}}\n\n",
    );
    assert_eq!(
        beside.usage,
        Counted::Reported(Usage {
            input: 10,
            output: 12,
            reasoning: 7,
            ..Usage::default()
        })
    );
    // Groq's own place, comments, no space after the colon, carriage returns.
    let groq = chat(
        ": hi\r\n\r\ndata:{\"id\":\"1\"}\r\n\r\ndata:{\"choices\":[],\"x_groq\":{\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}}\r\n\r\ndata:[DONE]\r\n\r\n",
    );
    assert_eq!(
        groq.usage,
        Counted::Reported(Usage {
            input: 3,
            output: 4,
            ..Usage::default()
        })
    );
    // The input reported first: not the last word once text follows, unless the stream ends as it should.
    let early = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":0}}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"12345678\"}}]}\n\n";
    let early_usage = Usage {
        input: 10,
        output: 2,
        ..Usage::default()
    };
    assert_eq!(chat(early).usage, Counted::Estimated(early_usage));
    // Azure's first chunk.
    let azure = chat(
        "data: {\"id\":\"\",\"model\":\"\",\"choices\":[],\"prompt_filter_results\":[{\"prompt_index\":0}]}\n\n",
    );
    assert!(matches!(azure.usage, Counted::Estimated(_)));
    assert_eq!((azure.model, azure.id), (None, None));
}

#[test]
fn a_responses_stream() {
    let read = sse(Dialect::OpenAi, Endpoint::Responses, RESPONSES);
    let usage = Usage {
        input: 30,
        cache_read: 10,
        cache_write: 4,
        output: 7,
        reasoning: 3,
        ..Usage::default()
    };
    assert_eq!(read.usage, Counted::Reported(usage));
    assert_eq!(read.model.as_deref(), Some("gpt-5.6-2026-07-01"));
    assert_eq!(read.tier.as_deref(), Some("priority"));
    assert_eq!(read.id.as_deref(), Some("resp_1"));
    assert_eq!(
        (read.output_bytes, read.events, read.finished),
        (5, 4, true)
    );
    // Without names, the type tells.
    let unnamed: Vec<_> = RESPONSES
        .lines()
        .filter(|line| !line.starts_with("event:"))
        .collect();
    let unnamed = unnamed.join("\n") + "\n";
    let read = sse(Dialect::OpenAi, Endpoint::Responses, &unnamed);
    assert_eq!(read.usage, Counted::Reported(usage));
    assert!(read.finished && read.output_bytes >= 5);
}

#[test]
fn responses_that_end_badly() {
    let head = &RESPONSES[..RESPONSES
        .find("event: response.completed")
        .expect("the end")];
    let responses = |end: &str| {
        sse(
            Dialect::OpenAi,
            Endpoint::Responses,
            &format!("{head}{end}"),
        )
    };
    let incomplete = responses(
        "event: response.incomplete\ndata: {\"response\":{\"usage\":{\"input_tokens\":1,\"output_tokens\":2}}}\n\n",
    );
    assert_eq!(
        incomplete.usage,
        Counted::Reported(Usage {
            input: 1,
            output: 2,
            ..Usage::default()
        })
    );
    assert!(incomplete.finished && !incomplete.error);
    let failed = responses(
        "event: response.failed\ndata: {\"response\":{\"error\":{\"code\":\"server_error\"},\"usage\":null}}\n\n",
    );
    assert_eq!(
        failed.usage,
        Counted::Estimated(Usage {
            input: 1000,
            output: 2,
            ..Usage::default()
        })
    );
    assert!(failed.finished && failed.error);
    let error = responses("event: error\ndata: {\"type\":\"error\",\"code\":\"x\"}\n\n");
    assert!(!error.finished && error.error);
    let cut = responses(
        "event: response.completed\ndata: {\"response\":{\"usage\":{\"input_tokens\":1,\"out",
    );
    assert!(matches!(cut.usage, Counted::Estimated(usage) if usage.input == 1000));
}

#[test]
fn a_terminal_event_of_megabytes_is_read_as_it_comes() {
    let text = "lorem ipsum ".repeat(400_000);
    let stream = format!(
        "event: response.completed\ndata: {{\"response\":{{\"output\":[{{\"text\":\"{text}\"}}],\"usage\":{{\"input_tokens\":1,\"output_tokens\":2}}}}}}\n\n"
    );
    let mut meter = Meter::sse(Dialect::OpenAi, Endpoint::Responses);
    stream
        .as_bytes()
        .chunks(16 << 10)
        .for_each(|piece| meter.push(piece));
    assert_eq!(
        meter.usage(0),
        Counted::Reported(Usage {
            input: 1,
            output: 2,
            ..Usage::default()
        })
    );
}

#[test]
fn a_messages_stream() {
    let read = messages(MESSAGES);
    let usage = Usage {
        input: 530,
        cache_read: 400,
        cache_write: 100,
        output: 15,
        reasoning: 2,
        ..Usage::default()
    };
    assert_eq!(read.usage, Counted::Reported(usage));
    assert_eq!(read.model.as_deref(), Some("claude-haiku-5-5"));
    assert_eq!(read.tier.as_deref(), Some("standard"));
    assert_eq!(
        read.output_bytes,
        ("Hello there".len() + r#"{\"a\":"#.len()) as u64
    );
    assert!(read.finished && !read.error);
    assert_eq!(read.events, 7);
}

#[test]
fn a_messages_stream_that_breaks_off_keeps_what_is_certain() {
    let cut = messages(&MESSAGES[..MESSAGES.find("event: message_delta").expect("the end")]);
    let certain = Usage {
        input: 525,
        cache_read: 400,
        cache_write: 100,
        output: 5,
        reasoning: 0,
        ..Usage::default()
    };
    assert_eq!(cut.usage, Counted::Estimated(certain));
    // The placeholder is not settled on, even if the stream says that it stopped.
    let start = &MESSAGES[..MESSAGES.find("event: ping").expect("ping")];
    let stopped = messages(&format!("{start}event: message_stop\ndata: {{}}\n\n"));
    assert!(matches!(stopped.usage, Counted::Estimated(usage) if usage.input == 525));
    let error = messages(&format!(
        "{start}event: error\ndata: {{\"type\":\"error\",\"error\":{{\"type\":\"overloaded_error\"}}}}\n\n"
    ));
    assert!(error.error && !error.finished);
}

#[test]
fn documents() {
    let chat = json(
        Dialect::OpenAi,
        Endpoint::ChatCompletions,
        "\n\n{\"id\":\"chatcmpl-1\",\"model\":\"m\",\"choices\":[{\"message\":{\"content\":\"Hello\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2,\"total_tokens\":7}}\n",
    );
    assert_eq!(
        chat.usage,
        Counted::Reported(Usage {
            input: 5,
            output: 2,
            ..Usage::default()
        })
    );
    assert!(chat.finished);
    let responses = json(
        Dialect::OpenAi,
        Endpoint::Responses,
        r#"{"id":"resp_1","error":null,"model":"m","usage":{"input_tokens":5,"output_tokens":2}}"#,
    );
    assert_eq!(
        responses.usage,
        Counted::Reported(Usage {
            input: 5,
            output: 2,
            ..Usage::default()
        })
    );
    assert!(!responses.error);
    let embeddings = json(
        Dialect::OpenAi,
        Endpoint::Embeddings,
        r#"{"object":"list","data":[{"embedding":[0.1,-2e-3]}],"model":"m","usage":{"prompt_tokens":8,"total_tokens":8}}"#,
    );
    assert_eq!(
        embeddings.usage,
        Counted::Reported(Usage {
            input: 8,
            ..Usage::default()
        })
    );
    let total_only = json(
        Dialect::OpenAi,
        Endpoint::Embeddings,
        r#"{"usage":{"total_tokens":8}}"#,
    );
    assert_eq!(
        total_only.usage,
        Counted::Reported(Usage {
            input: 8,
            ..Usage::default()
        })
    );
    let messages = json(
        Dialect::Anthropic,
        Endpoint::Messages,
        r#"{"id":"msg_1","type":"message","model":"c","content":[{"type":"text","text":"hi"}],"usage":{"input_tokens":3,"cache_creation_input_tokens":null,"cache_read_input_tokens":7,"output_tokens":2}}"#,
    );
    assert_eq!(
        messages.usage,
        Counted::Reported(Usage {
            input: 10,
            cache_read: 7,
            output: 2,
            ..Usage::default()
        })
    );
    let count = json(
        Dialect::Anthropic,
        Endpoint::CountTokens,
        r#"{"input_tokens":300}"#,
    );
    assert_eq!(count.usage, Counted::Reported(Usage::default()));
}

#[test]
fn documents_that_say_less() {
    let chat = |document| json(Dialect::OpenAi, Endpoint::ChatCompletions, document);
    let error = chat(
        r#"{"error":{"message":"no","type":"invalid_request_error","param":null,"code":null}}"#,
    );
    assert_eq!(error.usage, Counted::Estimated(Usage::default()));
    assert!(error.error && error.finished);
    let silent = chat(r#"{"id":"1","choices":[{"message":{"content":"12345678901234567890"}}]}"#);
    assert!(
        matches!(silent.usage, Counted::Estimated(usage) if usage.input == 1000 && usage.output >= 5)
    );
    let cut = chat(r#"{"id":"1","usage":{"prompt_tokens":5,"completion_tokens":2},"choices":["#);
    assert!(matches!(cut.usage, Counted::Estimated(usage) if usage.input == 1000));
    let broken = chat("<html>");
    assert_eq!((broken.unreadable, broken.finished), (1, false));
}

proptest! {
    #[test]
    fn any_split_reads_the_same(cuts in proptest::collection::vec(0..2000_usize, 0..6), which in 0..3_usize) {
        let (dialect, endpoint, stream) = [
            (Dialect::OpenAi, Endpoint::ChatCompletions, CHAT),
            (Dialect::OpenAi, Endpoint::Responses, RESPONSES),
            (Dialect::Anthropic, Endpoint::Messages, MESSAGES),
        ][which];
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut % stream.len()).chain([0, stream.len()]).collect();
        cuts.sort_unstable();
        let pieces: Vec<_> = cuts.windows(2).map(|pair| &stream.as_bytes()[pair[0]..pair[1]]).collect();
        prop_assert_eq!(
            read(Meter::sse(dialect, endpoint), &pieces),
            read(Meter::sse(dialect, endpoint), &[stream.as_bytes()])
        );
    }

    #[test]
    fn hostile_bytes_change_no_split(bytes in "(data: |event: (message_delta|response.failed|x.delta)|\n|\r|\\{\"usage\":\\{\"input_tokens\":[0-9]{1,30}\\}\\}|[\\[\\]{}\",:a-z]){0,30}") {
        for (dialect, endpoint) in [(Dialect::OpenAi, Endpoint::ChatCompletions), (Dialect::OpenAi, Endpoint::Responses), (Dialect::Anthropic, Endpoint::Messages)] {
            let _ = sse(dialect, endpoint, &bytes);
        }
    }
}
