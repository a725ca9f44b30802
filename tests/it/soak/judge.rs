//! What a call must have come to, by what the provider was told to do. Must never excuse a record by what another says.

use outrigger::simulator::Fault;
use serde_json::Value;

use super::call::{Call, Kind, Manner};
use super::hear::{End, Heard};

/// Whether the call went to a connection that the provider closed at that moment. Nobody can know whether it was acted on,
/// so it must not be sent again, and whatever was asked of the provider did not happen.
pub(super) fn met_a_closing_connection(call: &Call, heard: &Heard, record: Option<&Value>) -> bool {
    let closes = matches!(call.fault, Some((_, Fault::Drop | Fault::Head)));
    let said = String::from_utf8_lossy(&heard.body);
    !closes
        && heard.status() == 502
        && said.contains("closed the connection before it answered")
        && record.is_some_and(|record| record["ending"] == "upstream-failed")
}

/// Holds what was heard and what was written down against what was called; `record` is none if no id was heard.
pub(super) fn judge(call: &Call, heard: &Heard, record: Option<&Value>) -> Result<(), String> {
    let left = matches!(call.manner, Manner::Until(_) | Manner::Leaves);
    // A reset takes along whatever of its stream is not sent yet, the head of an answer included that broke right behind it.
    let reset = heard.end == End::Reset && call.fault.is_some();
    let Some(record) = record else {
        return if left || reset {
            Ok(())
        } else {
            Err("no answer at all".into())
        };
    };
    if record.is_null() {
        return Err("no record of this id".into());
    }
    let word = |name: &str| record[name].as_str().unwrap_or("none").to_owned();
    if heard.end == End::Left {
        return if word("ending") == "broken" {
            Err("broken".into())
        } else {
            Ok(())
        };
    }
    if is_refusal(call, &word("code")) {
        let fine = word("ending") == "refused" && heard.status() == 429 && heard.end == End::Whole;
        return ensure(fine, "a refusal");
    }
    let fault = call.fault.map(|(_, fault)| fault);
    let failed = word("ending") == "upstream-failed";
    let complete = word("ending") == "complete" && heard.end == End::Whole;
    match fault {
        Some(Fault::Status(status)) => ensure(
            complete && heard.status() == status,
            "the provider's own error",
        ),
        Some(Fault::Event) if !call.stream => {
            ensure(complete && heard.status() == 500, "a plain 500")
        }
        Some(Fault::Event) => ensure(
            complete && word("provider_error") == "yes",
            "an error event",
        ),
        Some(Fault::Hang) => ensure(failed && heard.status() == 504, "a timeout"),
        Some(Fault::Stall) if !call.stream => ensure(failed && heard.status() == 504, "a timeout"),
        Some(Fault::Drop | Fault::Head) => ensure(failed && heard.status() == 502, "no answer"),
        Some(
            Fault::Stall | Fault::Cut | Fault::Torn | Fault::Reset | Fault::Long | Fault::Chunk,
        ) => ensure(failed && broken(call, heard), "a cut answer"),
        Some(Fault::Half) => ensure(complete, "half an answer").and_then(|()| {
            ensure(
                !word("usage").starts_with('r') || !generates(call),
                "no report in half an answer",
            )
        }),
        Some(Fault::Short) => ensure(complete, "a short answer"),
        Some(Fault::Early) if failed => Ok(()),
        Some(Fault::Early) => ensure(complete, "an early answer"),
        None
        | Some(Fault::Garbage | Fault::Twice | Fault::Trickle | Fault::Interim | Fault::Close) => {
            ensure(complete && heard.status() == 200, "a whole answer")?;
            content(call, heard)?;
            tally(call, record)
        }
        Some(Fault::Any) => Err("nobody asks for any".into()),
    }
}

fn ensure(fine: bool, what: &str) -> Result<(), String> {
    if fine {
        Ok(())
    } else {
        Err(format!("this should be {what}"))
    }
}

fn is_refusal(call: &Call, code: &str) -> bool {
    match call.tenant {
        2 | 3 => matches!(code, "rate-limited" | "queue-full" | "queue-timeout"),
        _ => false,
    }
}

fn generates(call: &Call) -> bool {
    matches!(call.kind, Kind::Chat | Kind::Responses | Kind::Messages)
}

/// Nobody may take it for whole: a stream says so in an event, another answer breaks off, or there was none yet.
fn broken(call: &Call, heard: &Heard) -> bool {
    match heard.end {
        End::Broken | End::Reset => true,
        End::Whole if heard.status() == 502 => true,
        End::Whole if call.stream => {
            let body = String::from_utf8_lossy(&heard.body);
            let last = body
                .trim_end()
                .rsplit("\n\n")
                .next()
                .unwrap_or_default()
                .to_owned();
            last.contains("\"cut\"")
        }
        End::Whole | End::Left => false,
    }
}

/// It is this call's answer and nobody else's, and it is all there.
fn content(call: &Call, heard: &Heard) -> Result<(), String> {
    let body = std::str::from_utf8(&heard.body).map_err(|_| "no text")?;
    if !generates(call) {
        let json: Value = serde_json::from_str(body).map_err(|_| "no JSON")?;
        let fine = match call.kind {
            Kind::Models => json["object"] == "list",
            Kind::Embeddings => json["data"][0]["object"] == "embedding",
            _ => json["input_tokens"].is_u64(),
        };
        return ensure(fine, "this endpoint's answer");
    }
    let text = if call.stream {
        streamed(call, body)?
    } else {
        plain(call, body)?
    };
    let wanted = format!("This is a simulated answer to: {}", call.said());
    ensure(text.starts_with(&wanted), "this call's answer")?;
    let hidden = call.kind == Kind::Chat && call.stream && !call.counted;
    ensure(
        !hidden || !body.contains("\"usage\":{"),
        "without the usage that the caller did not ask for",
    )
}

fn plain(call: &Call, body: &str) -> Result<String, String> {
    let json: Value = serde_json::from_str(body).map_err(|_| "no JSON")?;
    let at = match call.kind {
        Kind::Chat => "/choices/0/message/content",
        Kind::Responses => "/output/0/content/0/text",
        _ => "/content/0/text",
    };
    Ok(json
        .pointer(at)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned())
}

fn streamed(call: &Call, body: &str) -> Result<String, String> {
    let mut text = String::new();
    let mut ended = false;
    for data in body.lines().filter_map(|line| line.strip_prefix("data: ")) {
        if data == "[DONE]" {
            ended = true;
            continue;
        }
        let event: Value = serde_json::from_str(data).map_err(|_| format!("no JSON: {data}"))?;
        ended |= event["type"] == "response.completed" || event["type"] == "message_stop";
        let piece = match call.kind {
            Kind::Chat => &event["choices"][0]["delta"]["content"],
            Kind::Responses if event["type"] == "response.output_text.delta" => &event["delta"],
            Kind::Messages => &event["delta"]["text"],
            _ => &Value::Null,
        };
        text.push_str(piece.as_str().unwrap_or_default());
    }
    ensure(ended, "a stream to its last event")?;
    Ok(text)
}

/// The record says what the provider said, as far as it did.
fn tally(call: &Call, record: &Value) -> Result<(), String> {
    let (input, output) = call.tokens();
    if call.kind == Kind::Models {
        return Ok(());
    }
    let source = record["usage"].as_str().unwrap_or("none");
    let told = (
        record["input_tokens"].as_u64(),
        record["output_tokens"].as_u64(),
    );
    let exact = told == (Some(input), Some(output));
    match call.usage {
        _ if call.kind == Kind::CountTokens => Ok(()),
        "missing" => ensure(source == "estimated", "an estimate"),
        "late" if call.stream => ensure(
            source == "estimated" || exact,
            &format!("an estimate or {input}, {output}"),
        ),
        _ => ensure(
            source == "reported" && exact,
            &format!("{input}, {output}, as reported"),
        ),
    }
}
