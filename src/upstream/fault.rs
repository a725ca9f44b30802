//! What can go wrong between the sidecar and an upstream. Must never carry a tenant's content.

use std::error::Error as _;

use super::BodyFault;
use crate::units::Code;

/// Why no answer came.
#[derive(Debug)]
pub enum Fault {
    /// The name does not resolve.
    Resolve(String),
    /// Nobody accepts connections there.
    Connect(String),
    /// The time to connect ran out.
    ConnectTimeout,
    /// TLS failed: certificate, name or protocol.
    Tls(String),
    /// The answer's head did not come in time.
    FirstByteTimeout,
    /// The upstream said that it did not look at the request (RFC 9113 §8.7), twice or of one that cannot be repeated.
    Refused,
    /// Nothing answers any more on the connection over which the request went.
    Dead,
    /// The connection broke, or what came was not HTTP.
    Broken(&'static str),
    /// The caller's body broke off while it was being passed on.
    Caller(BodyFault),
}

impl Fault {
    /// The refusal code of this fault.
    pub fn code(&self) -> Code {
        match self {
            Self::Resolve(_) | Self::Connect(_) | Self::Refused => Code::UpstreamUnreachable,
            Self::ConnectTimeout | Self::FirstByteTimeout | Self::Dead => Code::UpstreamTimeout,
            Self::Tls(_) => Code::UpstreamTls,
            Self::Broken(_) => Code::UpstreamInvalid,
            Self::Caller(fault) => fault.code(),
        }
    }

    /// What to tell the caller.
    pub fn text(&self) -> String {
        match self {
            Self::Resolve(detail) => format!("the upstream's name does not resolve: {detail}"),
            Self::Connect(detail) => format!("the upstream cannot be reached: {detail}"),
            Self::ConnectTimeout => "the upstream did not accept a connection in time".to_owned(),
            Self::Tls(detail) => format!("TLS with the upstream failed: {detail}"),
            Self::FirstByteTimeout => "the upstream did not answer in time".to_owned(),
            Self::Refused => "the upstream refused to look at the request".to_owned(),
            Self::Dead => {
                "the upstream's connection died before the answer: no answer to a ping either"
                    .to_owned()
            }
            Self::Broken(what) => (*what).to_owned(),
            Self::Caller(fault) => fault.text().to_owned(),
        }
    }

    /// Reads what hyper says about a request that was (perhaps partly) sent.
    pub(super) fn of_send(error: &hyper::Error) -> Self {
        if let Some(fault) = error
            .source()
            .and_then(|source| source.downcast_ref::<BodyFault>())
        {
            return Self::Caller(*fault);
        }
        if error.is_parse() {
            return Self::Broken("the upstream answered with something that is not HTTP/1.1");
        }
        Self::Broken("the upstream closed the connection before it answered")
    }
}
