//! Errors in the providers' own shapes. It must never answer with a status that the provider has no word for: a 418
//! asked of it is written as the class it belongs to.

use super::json::{Digest, Obj};
use super::route::Dialect;

/// Something to answer instead of what was asked for.
#[derive(Clone, Debug)]
pub(super) struct Complaint {
    pub(super) status: u16,
    code: Option<&'static str>,
    param: Option<&'static str>,
    message: String,
}

impl Complaint {
    pub(super) fn bad_request(message: &str) -> Self {
        Self {
            status: 400,
            code: None,
            param: None,
            message: message.to_owned(),
        }
    }

    pub(super) fn bad_json(dialect: Dialect) -> Self {
        Self::bad_request(match dialect {
            Dialect::OpenAi => "We could not parse the JSON body of your request.",
            Dialect::Anthropic => "The request body is not valid JSON: expected an object",
        })
    }

    pub(super) fn missing(dialect: Dialect, param: &'static str) -> Self {
        let message = match dialect {
            Dialect::OpenAi => format!("Missing required parameter: '{param}'."),
            Dialect::Anthropic => format!("{param}: Field required"),
        };
        Self {
            status: 400,
            code: Some("missing_required_parameter"),
            param: Some(param),
            message,
        }
    }

    pub(super) fn no_credential(dialect: Dialect) -> Self {
        let message = match dialect {
            Dialect::OpenAi => {
                "You didn't provide an API key. Send it in an Authorization header: `Authorization: Bearer KEY`."
            }
            Dialect::Anthropic => {
                "Authentication required: send an `Authorization: Bearer` or an `x-api-key` header"
            }
        };
        Self {
            status: 401,
            code: None,
            param: None,
            message: message.to_owned(),
        }
    }

    pub(super) fn wrong_credential(dialect: Dialect) -> Self {
        let message = match dialect {
            Dialect::OpenAi => "Incorrect API key provided.",
            Dialect::Anthropic => "invalid credential",
        };
        Self {
            status: 401,
            code: Some("invalid_api_key"),
            param: None,
            message: message.to_owned(),
        }
    }

    pub(super) fn no_model(dialect: Dialect, model: &str) -> Self {
        let message = match dialect {
            Dialect::OpenAi => {
                format!("The model `{model}` does not exist or you do not have access to it.")
            }
            Dialect::Anthropic => format!("model: {model}"),
        };
        Self {
            status: 404,
            code: Some("model_not_found"),
            param: None,
            message,
        }
    }

    pub(super) fn no_route(dialect: Dialect, method: &str, path: &str) -> Self {
        let message = match dialect {
            Dialect::OpenAi => format!("Invalid URL ({method} {path})"),
            Dialect::Anthropic => String::from("Not found"),
        };
        Self {
            status: 404,
            code: None,
            param: None,
            message,
        }
    }

    /// The error that a provider sends with this status of itself.
    pub(super) fn status(status: u16) -> Self {
        let (code, message) = match status {
            400 => (None, "The request could not be understood."),
            401 => (Some("invalid_api_key"), "Incorrect API key provided."),
            403 => (None, "You are not allowed to do this."),
            404 => (None, "Not found."),
            405 => (
                Some("method_not_supported"),
                "Not allowed to use this method on this endpoint.",
            ),
            413 => (None, "Request exceeds the maximum size."),
            429 => (
                Some("rate_limit_exceeded"),
                "Rate limit reached for requests. Please try again in 20ms.",
            ),
            529 => (None, "Overloaded"),
            503 => (
                None,
                "The engine is currently overloaded, please try again later.",
            ),
            500..=599 => (
                None,
                "The server had an error while processing your request. Sorry about that!",
            ),
            _ => (None, "The request was refused."),
        };
        Self {
            status,
            code,
            param: None,
            message: message.to_owned(),
        }
    }

    /// Whether the provider says when to come again.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self.status, 429 | 503 | 529)
    }

    /// The whole body.
    pub(super) fn written(&self, dialect: Dialect, digest: Digest) -> String {
        match dialect {
            Dialect::OpenAi => Obj::new().raw("error", &self.openai()).done(),
            Dialect::Anthropic => {
                let error = Obj::typed(self.anthropic_type()).str("message", &self.message);
                let error = error.done();
                Obj::typed("error")
                    .raw("error", &error)
                    .str("request_id", &digest.id("req_", 24))
                    .done()
            }
        }
    }

    /// The error event by which a stream that has begun ends badly.
    pub(super) fn event(&self, dialect: Dialect) -> String {
        match dialect {
            Dialect::OpenAi => format!(
                "data: {}\n\n",
                Obj::new().raw("error", &self.openai()).done()
            ),
            Dialect::Anthropic => {
                let error = Obj::typed(self.anthropic_type())
                    .str("message", &self.message)
                    .done();
                format!(
                    "event: error\ndata: {}\n\n",
                    Obj::typed("error").raw("error", &error).done()
                )
            }
        }
    }

    fn openai(&self) -> String {
        Obj::new()
            .str("message", &self.message)
            .str("type", self.openai_type())
            .maybe("param", self.param)
            .maybe("code", self.code)
            .done()
    }

    fn openai_type(&self) -> &'static str {
        match self.status {
            403 => "permission_error",
            429 => "requests",
            500.. => "server_error",
            _ => "invalid_request_error",
        }
    }

    fn anthropic_type(&self) -> &'static str {
        match self.status {
            401 => "authentication_error",
            402 => "billing_error",
            403 => "permission_error",
            404 => "not_found_error",
            409 => "conflict_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            504 => "timeout_error",
            529 => "overloaded_error",
            500.. => "api_error",
            _ => "invalid_request_error",
        }
    }
}
