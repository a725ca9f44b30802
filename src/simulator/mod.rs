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
mod reply;
mod route;
mod sample;
mod script;
mod seen;

#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use tokio::time::sleep;

use answer::{Act, Answer};
use body::Mark;
use known::Known;
use seen::Seen;

pub use body::{Cut, SimBody};
pub use script::{Coding, Credentials, Fault, Pace, Script, ScriptProblem};

/// The simulated provider: its script, and what it has seen. One per process, shared by its connections.
#[derive(Debug)]
pub struct Simulator {
    script: Script,
    seen: Seen,
    known: Known,
}

impl Simulator {
    /// A provider that follows `script` wherever a request does not ask for something else.
    #[must_use]
    pub fn new(script: Script) -> Self {
        Self {
            script,
            seen: Seen::default(),
            known: Known::default(),
        }
    }
}

/// Serves one connection until the peer or a scripted fault ends it. Nothing is returned: a connection that breaks
/// is an everyday event for a simulator that breaks them on purpose.
pub async fn serve_connection<I>(io: I, simulator: Arc<Simulator>)
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
{
    // The `date` header would be the only thing that differs between two equal answers: `answer.rs` sets a fixed one.
    let _ended = http1::Builder::new()
        .auto_date_header(false)
        .serve_connection(io, service(simulator))
        .await;
}

/// The provider as a hyper service, for callers that run the connection themselves.
#[must_use]
pub fn service(
    simulator: Arc<Simulator>,
) -> impl Service<Request<Incoming>, Response = Response<SimBody>, Error = Infallible, Future: Send>
+ Clone {
    service_fn(move |request| {
        let simulator = Arc::clone(&simulator);
        async move { Ok(respond(&simulator, request).await) }
    })
}

async fn respond<B>(simulator: &Simulator, request: Request<B>) -> Response<SimBody>
where
    B: Body<Data = Bytes> + Unpin,
{
    let (head, mut body) = request.into_parts();
    if head.uri.path().starts_with("/sim/") {
        return introspect(simulator, &head.method, head.uri.path());
    }
    let (act, bytes) = match body::take(&mut body).await {
        Ok(bytes) => (answer::decide(simulator, &head, &bytes), bytes),
        // A body that broke off or was too large is noted without its bytes.
        Err(complaint) => (
            Act::refused(simulator, &head, &Bytes::new(), &complaint),
            Bytes::new(),
        ),
    };
    let mark = simulator.seen.note(head, &bytes, act.answer.status);
    perform(act, mark).await
}

async fn perform(act: Act, mark: Mark) -> Response<SimBody> {
    let Act { answer, script } = act;
    let silent = match script.fault {
        Some(Fault::Hang) => true,
        Some(Fault::Stall) => !answer.is_stream(),
        Some(Fault::Cut | Fault::Event | Fault::Status(_)) | None => false,
    };
    // Made before the wait: a caller that hangs up during it must show on the mark.
    let response = answer.into_response(&script, mark);
    if silent {
        sleep(body::STALL).await;
    } else if !script.latency.is_zero() {
        sleep(script.latency).await;
    }
    response
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
