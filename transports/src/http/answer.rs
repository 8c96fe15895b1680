//! An answer, before it becomes the framework's.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use bytes::Bytes;

use super::inbound::Inbound;
use crate::operations::{Problem, Reply};

const JSON: &str = "application/json";

/// An answer, before it becomes the framework's.
pub(super) struct Answer {
    pub(super) status: u16,
    /// Empty: none, or among `headers`.
    pub(super) content_type: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
    /// For the access log: the stable code of what went wrong.
    pub(super) code: Option<String>,
    /// Whether the connection ends without a byte of it.
    pub(super) is_cut: bool,
}

impl Answer {
    pub(super) fn new(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            content_type: content_type.to_owned(),
            headers: Vec::new(),
            body: body.into(),
            code: None,
            is_cut: false,
        }
    }

    /// No answer: the connection ends without a byte.
    pub(super) fn cut() -> Self {
        Self { is_cut: true, ..Self::new(502, "", Bytes::new()) }
    }

    pub(super) fn json(status: u16, body: impl Into<Bytes>) -> Self {
        Self::new(status, JSON, body)
    }

    pub(super) fn text(status: u16, body: impl Into<Bytes>) -> Self {
        Self::new(status, "text/plain; charset=utf-8", body)
    }

    pub(super) fn problem(problem: &Problem) -> Self {
        let body = serde_json::to_vec(problem).unwrap_or_default();
        let mut answer = Self::new(problem.status, "application/problem+json", body);
        answer.code = Some(problem.code.to_owned());
        if let Some(seconds) = problem.retry_after_seconds {
            answer = answer.with("retry-after", seconds.to_string());
        }
        answer
    }

    pub(super) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Becomes the framework's, which holds what was not read of the request.
    pub(super) fn send(self, inbound: &Inbound, payload: web::Payload) -> HttpResponse<Held> {
        if self.is_cut {
            inbound.cut();
        }
        HttpResponse::from(self).map_body(|_, body| Held { body, _payload: payload })
    }
}

/// An answer's body, and what was not read of the request's. As long as that is there, the framework closes the
/// connection behind the answer; a chunked body that nobody holds it would read on for ever.
pub(super) struct Held {
    body: BoxBody,
    _payload: web::Payload,
}

impl MessageBody for Held {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        let answer = Self::json(reply.status, reply.body.get().to_owned());
        match reply.location {
            Some(location) => answer.with("location", location),
            None => answer,
        }
    }
}

impl From<Answer> for HttpResponse {
    fn from(answer: Answer) -> Self {
        let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = HttpResponse::build(status);
        if !answer.content_type.is_empty() {
            response.insert_header(("content-type", answer.content_type));
        }
        // Lengths are the framework's.
        for (name, value) in answer.headers {
            if !name.eq_ignore_ascii_case("content-length") && !name.eq_ignore_ascii_case("transfer-encoding") {
                response.append_header((name, value));
            }
        }
        response.body(answer.body)
    }
}
