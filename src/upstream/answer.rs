//! The body of an upstream's answer, whatever protocol it came over. Must never end like a whole one unless the
//! upstream said that it is whole.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::http2::Running;
use crate::units::Code;

/// An answer on the wire.
pub struct AnswerBody(Wire);

enum Wire {
    Http1(Incoming),
    Http2(Box<Running>),
}

/// Why an answer ended before it was whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerFault {
    /// The connection ended, or what came was no longer HTTP/1.1.
    BrokenOff,
    /// The upstream gave this answer up (`RST_STREAM`), and kept the connection.
    Reset,
    /// What came is against the rules of HTTP/2: another length than declared, a frame that may not stand there.
    Malformed,
    /// The connection is dead: nothing answers there any more.
    Dead,
}

impl AnswerFault {
    /// The cause, for the record.
    pub const fn code(self) -> Code {
        match self {
            Self::BrokenOff | Self::Reset | Self::Malformed => Code::UpstreamInvalid,
            Self::Dead => Code::UpstreamTimeout,
        }
    }

    /// What to say.
    pub const fn text(self) -> &'static str {
        match self {
            Self::BrokenOff => "the upstream broke off its answer",
            Self::Reset => "the upstream reset its answer",
            Self::Malformed => "the upstream's answer broke the rules of HTTP/2",
            Self::Dead => "the upstream's connection died in the middle of its answer",
        }
    }
}

impl std::fmt::Display for AnswerFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for AnswerFault {}

impl AnswerBody {
    pub(super) fn http1(response: Response<Incoming>) -> Response<Self> {
        response.map(|body| Self(Wire::Http1(body)))
    }

    pub(super) fn http2(response: Response<Running>) -> Response<Self> {
        response.map(|body| Self(Wire::Http2(Box::new(body))))
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = AnswerFault;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerFault>>> {
        match &mut self.get_mut().0 {
            Wire::Http1(body) => Pin::new(body)
                .poll_frame(cx)
                .map(|next| next.map(|frame| frame.map_err(|_| AnswerFault::BrokenOff))),
            Wire::Http2(body) => body
                .poll_piece(cx)
                .map(|next| next.map(|piece| piece.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Wire::Http1(body) => body.is_end_stream(),
            Wire::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Wire::Http1(body) => body.size_hint(),
            // Where the length is known it stands in the head.
            Wire::Http2(_) => SizeHint::default(),
        }
    }
}
