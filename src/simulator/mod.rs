//! The built-in model upstream: a deterministic stand-in for the model providers, speaking the OpenAI and Anthropic
//! dialects, streamed and not, with believable usage and with faults on request. The quickstart, the examples, the
//! tests and the load runs talk to it, so none of them needs a key or the network.
//!
//! It must never open a socket, start a task, read a clock or draw a random number: the caller brings the
//! connection, and the same request gets the same bytes. It knows no tenants. How a request steers it is told in
//! [`Script`]; what reached it can be read back at `/sim/requests` (see `seen.rs`).

mod answer;
mod anthropic;
mod body;
mod complaint;
mod gzip;
mod headers;
mod json;
mod known;
mod openai;
mod raw;
mod replay;
mod reply;
mod route;
mod rules;
mod sample;
mod script;
mod seen;

#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use tokio::time::sleep;

use answer::{Act, Answer};
use body::{Mark, SimBody};
use known::Known;
use raw::{End, Raw, Unfinished};
use rules::Choice;
use seen::Seen;

pub use rules::{RuleProblem, Rules};
pub use script::{Coding, Credentials, Fault, Pace, Script, ScriptProblem, Telling};

/// The simulated provider: its script, and what it has seen. One per process, shared by its connections.
#[derive(Debug)]
pub struct Simulator {
    script: Script,
    rules: Rules,
    seen: Seen,
    known: Known,
}

impl Simulator {
    /// A provider that follows `script` wherever a request does not ask for something else.
    #[must_use]
    pub fn new(script: Script) -> Self {
        Self::with_rules(script, Rules::default())
    }

    /// A provider that does what these rules say, and follows `script` where none holds.
    #[must_use]
    pub fn with_rules(script: Script, rules: Rules) -> Self {
        Self {
            script,
            rules,
            seen: Seen::default(),
            known: Known::default(),
        }
    }
}

/// Serves one connection until the peer or a scripted fault ends it. A connection that breaks is an everyday event for
/// a simulator that breaks them on purpose; the only thing returned is a connection that the caller has to reset.
pub async fn serve_connection<I>(mut io: I, simulator: Arc<Simulator>) -> Option<I>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
{
    loop {
        let (back, Override { raw, mark }) = serve_until_raw(io, &simulator).await?;
        io = back;
        let end = raw.end;
        if !raw::give(&mut io, raw, mark).await {
            return None;
        }
        match end {
            End::Keep => {}
            End::Reset => return Some(io),
            End::Close | End::Silence => return None,
        }
    }
}

/// An answer that the HTTP library is not to give.
struct Override {
    raw: Raw,
    mark: Unfinished,
}

impl Override {
    fn new(raw: Raw, mark: Mark) -> Self {
        let mark = Unfinished(mark);
        Self { raw, mark }
    }
}

/// Serves until the connection ends, or until an answer has to be given without the library, which then lets go of it.
/// What a peer has sent ahead of that answer is lost.
async fn serve_until_raw<I>(io: I, simulator: &Arc<Simulator>) -> Option<(I, Override)>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
{
    let raw: Arc<Mutex<Option<Override>>> = Arc::default();
    let service = service_fn(|request| {
        let (simulator, raw) = (Arc::clone(simulator), Arc::clone(&raw));
        async move {
            match respond(&simulator, request).await {
                Ok(response) => Ok::<_, Infallible>(response),
                Err(instead) => {
                    *raw.lock().unwrap_or_else(PoisonError::into_inner) = Some(instead);
                    pending().await
                }
            }
        }
    });
    // The `date` header would be the only thing that differs between two equal answers: `answer.rs` sets a fixed one.
    let mut connection = http1::Builder::new()
        .auto_date_header(false)
        .serve_connection(io, service);
    let instead = poll_fn(|cx| {
        let ended = Pin::new(&mut connection).poll(cx).is_ready();
        let instead = raw.lock().unwrap_or_else(PoisonError::into_inner).take();
        match instead {
            Some(instead) => Poll::Ready(Some(instead)),
            None if ended => Poll::Ready(None),
            None => Poll::Pending,
        }
    })
    .await?;
    Some((connection.into_parts().io, instead))
}

/// What a request comes to: an answer for the library to give, or one that it cannot.
async fn respond<B>(
    simulator: &Simulator,
    request: Request<B>,
) -> Result<Response<SimBody>, Override>
where
    B: Body<Data = Bytes> + Unpin,
{
    let (head, mut body) = request.into_parts();
    if head.uri.path().starts_with("/sim/") {
        return Ok(introspect(simulator, &head.method, head.uri.path()));
    }
    let rules = &simulator.rules;
    let chosen =
        (!rules.need_the_model()).then(|| rules.choose(simulator.script, head.uri.path(), ""));
    let taken = if is_early(chosen.as_ref(), &head) {
        Ok(Bytes::from_static(EARLY))
    } else {
        body::take(&mut body).await
    };
    // A body that broke off or was too large is noted without its bytes.
    let bytes = taken.as_ref().cloned().unwrap_or_default();
    let choice = chosen.unwrap_or_else(|| {
        let model = answer::model_of(&bytes).unwrap_or_default();
        rules.choose(simulator.script, head.uri.path(), &model)
    });
    let act = match (choice, taken) {
        (Choice::Replay(raw), _) => {
            let mark = simulator.seen.note(head, &bytes, StatusCode::OK);
            return Err(Override::new(raw, mark));
        }
        (Choice::Follow(script), Ok(bytes)) => answer::decide(simulator, script, &head, &bytes),
        (Choice::Follow(script), Err(complaint)) => Act::refused(script, &head, &bytes, &complaint),
    };
    let mark = simulator.seen.note(head, &bytes, act.answer.status);
    perform(act, mark).await
}

/// What stands for a body that is not read.
const EARLY: &[u8] = br#"{"model":"sim-early","max_tokens":64,"messages":[{"role":"user","content":"early"}],"input":"early","prompt":"early"}"#;

/// Whether the answer is to come before the body is read.
fn is_early(chosen: Option<&Choice>, head: &Parts) -> bool {
    match chosen {
        Some(Choice::Follow(script)) => {
            script.steered("", &head.headers).fault == Some(Fault::Early)
        }
        Some(Choice::Replay(_)) | None => false,
    }
}

async fn perform(act: Act, mark: Mark) -> Result<Response<SimBody>, Override> {
    let Act { answer, script } = act;
    if let Some(raw) = Raw::of(&answer, &script) {
        let instead = Override::new(raw, mark);
        if !script.latency.is_zero() {
            sleep(script.latency).await;
        }
        return Err(instead);
    }
    let silent = match script.fault {
        Some(Fault::Hang) => true,
        Some(Fault::Stall) => !answer.is_stream(),
        Some(_) | None => false,
    };
    // Made before the wait: a caller that hangs up during it must show on the mark.
    let response = answer.into_response(&script, mark);
    if silent {
        sleep(body::STALL).await;
    } else if !script.latency.is_zero() {
        sleep(script.latency).await;
    }
    Ok(response)
}

fn introspect(simulator: &Simulator, method: &Method, path: &str) -> Response<SimBody> {
    let answer = match (method, path) {
        (&Method::GET, "/sim/requests") => Answer::json(StatusCode::OK, simulator.seen.list()),
        (&Method::DELETE, "/sim/requests") => {
            simulator.seen.clear();
            Answer::json(StatusCode::OK, simulator.seen.list())
        }
        _ => Answer::json(
            StatusCode::NOT_FOUND,
            String::from(r#"{"error":"the simulator has `GET` and `DELETE /sim/requests`"}"#),
        ),
    };
    answer.into_response(&Script::default(), Mark::default())
}
