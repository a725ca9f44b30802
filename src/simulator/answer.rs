//! From a request to its answer: credentials, route, body, model, then the dialect's own writer. It must never wait
//! and never depend on anything but the request and the script, so that equal requests get equal answers; the last
//! plain ones are kept (`known.rs`) and not written anew.

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Response, StatusCode};
use serde_json::Value;

use super::Simulator;
use super::body::{Frames, Mark, SimBody};
use super::complaint::Complaint;
use super::gzip::wrapped;
use super::headers::dressed;
use super::json::{Digest, Obj};
use super::route::{Dialect, Route};
use super::script::{Coding, Credentials, Fault, Script};
use super::{anthropic, openai};

/// An answer, and how it is to be given.
pub(super) struct Act {
    pub(super) answer: Answer,
    pub(super) script: Script,
}

#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    headers: HeaderMap,
    frames: Frames,
    /// The error event that a stream would break off with.
    broken: Bytes,
}

/// What a dialect's writer makes of a request.
pub(super) enum Written {
    Plain(String),
    /// A file of sound.
    Sound(String),
    Stream {
        frames: Vec<String>,
        /// The error event in this stream's own shape.
        broken: String,
    },
}

/// A request whose body was understood.
pub(super) struct Asked<'a> {
    pub(super) json: &'a Value,
    pub(super) model: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) script: Script,
    pub(super) digest: Digest,
}

/// `script` is what the process, or a rule, would do if the request did not steer.
pub(super) fn decide(simulator: &Simulator, script: Script, head: &Parts, body: &Bytes) -> Act {
    attempt(simulator, script, head, body)
        .unwrap_or_else(|complaint| Act::refused(script, head, body, &complaint))
}

/// The model that a request names, if it can be read.
pub(super) fn model_of(body: &Bytes) -> Option<String> {
    let json: Value = serde_json::from_slice(body).ok()?;
    Some(json.get("model")?.as_str()?.to_owned())
}

impl Act {
    pub(super) fn refused(
        script: Script,
        head: &Parts,
        body: &Bytes,
        complaint: &Complaint,
    ) -> Self {
        Self {
            answer: Answer::refused(Dialect::of(head), Digest::of(body), complaint),
            script,
        }
    }
}

fn attempt(
    simulator: &Simulator,
    base: Script,
    head: &Parts,
    body: &Bytes,
) -> Result<Act, Complaint> {
    let dialect = Dialect::of(head);
    check_credential(base.credentials, head, dialect)?;
    let (model, answer) = match Route::of(head) {
        Route::Unknown => {
            let (method, path) = (head.method.as_str(), head.uri.path());
            return Err(Complaint::no_route(dialect, method, path));
        }
        Route::WrongMethod => return Err(Complaint::status(405)),
        Route::Models => (String::new(), models(head, dialect, None)?),
        Route::Model(id) => (String::new(), models(head, dialect, Some(&id))?),
        route @ (Route::Chat
        | Route::Responses
        | Route::Completions
        | Route::Embeddings
        | Route::Moderations
        | Route::Decisions
        | Route::Images
        | Route::Speech
        | Route::Compact
        | Route::InputTokens
        | Route::ClientSecrets
        | Route::Messages
        | Route::CountTokens) => written(simulator, base, head, route, body)?,
    };
    let mut script = base.steered(&model, &head.headers);
    if script.fault == Some(Fault::Any) {
        script.fault = Some(Fault::drawn(simulator.rules.draw()));
    }
    let wrong = match script.fault {
        Some(Fault::Status(status)) => Some(status),
        Some(Fault::Event) if !answer.is_stream() => Some(500),
        Some(_) | None => None,
    };
    let answer = match wrong {
        Some(status) => Answer::refused(dialect, Digest::of(body), &Complaint::status(status)),
        None if is_coded(&script, head) => answer.gzipped(),
        None => answer,
    };
    Ok(Act { answer, script })
}

/// The model asked for and its answer, from memory where that holds the same request. Headers that steer are not
/// part of what is remembered.
fn written(
    simulator: &Simulator,
    base: Script,
    head: &Parts,
    route: Route,
    body: &Bytes,
) -> Result<(String, Answer), Complaint> {
    let steers = |name: &HeaderName| name.as_str().starts_with("x-sim-");
    if base != simulator.script || head.headers.keys().any(steers) {
        return write(base, head, &route, body);
    }
    let key = (
        route,
        head.headers.get("anthropic-version").cloned(),
        body.clone(),
    );
    if let Some(known) = simulator.known.find(&key) {
        return Ok(known);
    }
    let fresh = write(base, head, &key.0, body)?;
    simulator.known.keep(key, &fresh);
    Ok(fresh)
}

/// The error event of a broken stream is not coded, so the rest of that stream is not either.
fn is_coded(script: &Script, head: &Parts) -> bool {
    let accepted = head
        .headers
        .get(ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok());
    script.coding == Coding::Gzip
        && script.fault != Some(Fault::Event)
        && accepted.is_some_and(|codings| codings.split(',').any(|coding| coding.trim() == "gzip"))
}

fn write(
    base: Script,
    head: &Parts,
    route: &Route,
    body: &Bytes,
) -> Result<(String, Answer), Complaint> {
    let dialect = Dialect::of(head);
    let json: Value = serde_json::from_slice(body).map_err(|_| Complaint::bad_json(dialect))?;
    if !json.is_object() {
        return Err(Complaint::bad_json(dialect));
    }
    let model = json
        .get("model")
        .or_else(|| json.pointer("/session/model"))
        .and_then(Value::as_str)
        .or_else(|| route.default_model())
        .ok_or_else(|| Complaint::missing(dialect, "model"))?;
    if model.starts_with("no-such-model") {
        return Err(Complaint::no_model(dialect, model));
    }
    let script = base.steered(model, &head.headers);
    let digest = Digest::of(body).salted(head.uri.path());
    let asked = Asked {
        json: &json,
        model,
        headers: &head.headers,
        script,
        digest,
    };
    let written = match route {
        Route::Messages => anthropic::messages(&asked)?,
        Route::CountTokens => anthropic::count_tokens(&asked)?,
        Route::Chat => openai::chat::answer(&asked)?,
        Route::Responses => openai::responses::answer(&asked)?,
        Route::Completions => openai::small::completion(&asked)?,
        Route::Embeddings => openai::small::embeddings(&asked)?,
        Route::Moderations => openai::small::moderation(&asked)?,
        Route::Decisions => openai::further::decision(&asked)?,
        Route::Images => openai::further::image(&asked)?,
        Route::Speech => openai::further::speech(&asked)?,
        Route::Compact => openai::further::compaction(&asked),
        Route::InputTokens => openai::further::input_tokens(&asked),
        Route::ClientSecrets => openai::further::client_secret(&asked),
        Route::Models | Route::Model(_) | Route::Unknown | Route::WrongMethod => {
            return Err(Complaint::status(404));
        }
    };
    Ok((model.to_owned(), Answer::new(dialect, digest, written)))
}

fn models(head: &Parts, dialect: Dialect, id: Option<&str>) -> Result<Answer, Complaint> {
    if let Some(id) = id.filter(|id| id.starts_with("no-such-model")) {
        return Err(Complaint::no_model(dialect, id));
    }
    let written = match dialect {
        Dialect::OpenAi => openai::small::models(id),
        Dialect::Anthropic => anthropic::models(id),
    };
    let digest = Digest::of(head.uri.path().as_bytes());
    Ok(Answer::new(dialect, digest, Written::Plain(written)))
}

/// A provider takes exactly one credential: OpenAI a bearer token, Anthropic that or an `x-api-key`.
fn check_credential(rule: Credentials, head: &Parts, dialect: Dialect) -> Result<(), Complaint> {
    let bearer = head
        .headers
        .get("authorization")
        .and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    let key = head
        .headers
        .get("x-api-key")
        .map(HeaderValue::as_bytes)
        .filter(|_| dialect == Dialect::Anthropic);
    match (bearer, key) {
        (Some(_), Some(_)) => Err(Complaint::bad_request(
            "only one of `authorization` and `x-api-key` may be sent",
        )),
        (Some(secret), None) | (None, Some(secret)) if secret == b"sim-invalid" => {
            Err(Complaint::wrong_credential(dialect))
        }
        (None, None) if rule == Credentials::Required => Err(Complaint::no_credential(dialect)),
        _ => Ok(()),
    }
}

impl Answer {
    fn new(dialect: Dialect, digest: Digest, written: Written) -> Self {
        let (frames, kind, broken) = match written {
            Written::Plain(text) => (
                Frames::Plain(Bytes::from(text)),
                "application/json",
                String::new(),
            ),
            Written::Sound(bytes) => (
                Frames::Plain(Bytes::from(bytes)),
                "audio/wav",
                String::new(),
            ),
            Written::Stream { frames, broken } => (
                Frames::Stream(frames.into_iter().map(Bytes::from).collect()),
                "text/event-stream; charset=utf-8",
                broken,
            ),
        };
        let headers = dressed(dialect, digest, HeaderValue::from_static(kind));
        Self {
            status: StatusCode::OK,
            headers,
            frames,
            broken: Bytes::from(broken),
        }
    }

    pub(super) fn refused(dialect: Dialect, digest: Digest, complaint: &Complaint) -> Self {
        let mut answer = Self::new(
            dialect,
            digest,
            Written::Plain(complaint.written(dialect, digest)),
        );
        answer.status =
            StatusCode::from_u16(complaint.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if complaint.is_passing() {
            answer
                .headers
                .insert("retry-after", HeaderValue::from_static("1"));
            answer
                .headers
                .insert("retry-after-ms", HeaderValue::from_static("20"));
        }
        answer
    }

    /// An answer of the simulator itself, in no provider's name.
    pub(super) fn json(status: StatusCode, body: String) -> Self {
        let headers =
            HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        Self {
            status,
            headers,
            frames: Frames::Plain(Bytes::from(body)),
            broken: Bytes::new(),
        }
    }

    fn gzipped(mut self) -> Self {
        self.frames = match &self.frames {
            Frames::Plain(bytes) => {
                Frames::Plain(wrapped(std::slice::from_ref(bytes)).concat().into())
            }
            Frames::Stream(frames) => Frames::Stream(wrapped(frames).into()),
        };
        self.headers
            .insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        self
    }

    pub(super) fn is_stream(&self) -> bool {
        matches!(self.frames, Frames::Stream(_))
    }

    pub(super) fn into_response(self, script: &Script, mark: Mark) -> Response<SimBody> {
        let mut response = Response::new(SimBody::new(self.frames, self.broken, script, mark));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

impl Answer {
    pub(super) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    pub(super) fn frames(&self) -> &Frames {
        &self.frames
    }

    /// Bytes of the whole body.
    pub(super) fn weight(&self) -> usize {
        match &self.frames {
            Frames::Plain(bytes) => bytes.len(),
            Frames::Stream(frames) => frames.iter().map(Bytes::len).sum(),
        }
    }
}

impl Written {
    /// A stream of the OpenAI kind, whose error event is like the body of an error.
    pub(super) fn openai_stream(frames: Vec<String>) -> Self {
        Self::Stream {
            frames,
            broken: Complaint::status(500).event(Dialect::OpenAi),
        }
    }

    /// A stream of named events.
    pub(super) fn anthropic_stream(frames: Vec<String>) -> Self {
        Self::Stream {
            frames,
            broken: Complaint::status(529).event(Dialect::Anthropic),
        }
    }
}

/// One server-sent event with a name, which is also its `type`.
pub(super) fn event(object: Obj, name: &str) -> String {
    format!("event: {name}\ndata: {}\n\n", object.done())
}
