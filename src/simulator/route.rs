//! Which endpoint a request is for, and so in which provider's dialect it is answered. It must never look at a body.

use http::Method;
use http::request::Parts;

/// Whose shapes, headers and rules apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Dialect {
    OpenAi,
    Anthropic,
}

impl Dialect {
    /// The `anthropic-version` header decides where the path is both providers'.
    pub(super) fn of(head: &Parts) -> Self {
        let path = head.uri.path();
        if path.starts_with("/v1/messages") || head.headers.contains_key("anthropic-version") {
            Self::Anthropic
        } else {
            Self::OpenAi
        }
    }
}

/// The endpoints that exist here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Route {
    Chat,
    Responses,
    Completions,
    Embeddings,
    Moderations,
    Decisions,
    Images,
    Speech,
    Compact,
    InputTokens,
    ClientSecrets,
    Messages,
    CountTokens,
    Models,
    /// One model's card, by its (decoded) id.
    Model(String),
    /// The path exists, for another method.
    WrongMethod,
    Unknown,
}

impl Route {
    /// The model that answers when none is named; most endpoints have none.
    pub(super) const fn default_model(&self) -> Option<&'static str> {
        match self {
            Self::Moderations => Some("omni-moderation-latest"),
            Self::InputTokens => Some("gpt-sim"),
            _ => None,
        }
    }

    pub(super) fn of(head: &Parts) -> Self {
        let path = head.uri.path();
        let posted = match path {
            "/v1/chat/completions" => Some(Self::Chat),
            "/v1/responses" => Some(Self::Responses),
            "/v1/completions" => Some(Self::Completions),
            "/v1/embeddings" => Some(Self::Embeddings),
            "/v1/moderations" => Some(Self::Moderations),
            "/v1/decisions" => Some(Self::Decisions),
            "/v1/images/generations" => Some(Self::Images),
            "/v1/audio/speech" => Some(Self::Speech),
            "/v1/responses/compact" => Some(Self::Compact),
            "/v1/responses/input_tokens" => Some(Self::InputTokens),
            "/v1/realtime/client_secrets" => Some(Self::ClientSecrets),
            "/v1/messages" => Some(Self::Messages),
            "/v1/messages/count_tokens" => Some(Self::CountTokens),
            _ => None,
        };
        let got = match path.strip_prefix("/v1/models") {
            Some("") => Some(Self::Models),
            Some(id) => id
                .strip_prefix('/')
                .filter(|id| !id.is_empty())
                .map(|id| Self::Model(decoded(id))),
            None => None,
        };
        match (posted, got) {
            (Some(route), _) if head.method == Method::POST => route,
            (_, Some(route)) if head.method == Method::GET => route,
            (None, None) => Self::Unknown,
            _ => Self::WrongMethod,
        }
    }
}

/// Percent-decodes an id, as fine-tuned ones (`ft:gpt…`) are sent encoded; a broken escape stays as it is.
fn decoded(id: &str) -> String {
    let bytes = id.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escaped = if byte == b'%' {
            id.get(at + 1..at + 3)
                .and_then(|hex| u8::from_str_radix(hex, 16).ok())
        } else {
            None
        };
        out.push(escaped.unwrap_or(byte));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}
