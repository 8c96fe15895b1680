//! Why an operation was not done, as every face shows it: RFC 9457's members and a stable `code`.

use maxpay_engine::Error;
use maxpay_engine::channel::FieldError;
use maxpay_engine::model::TransactionId;
use serde::Serialize;
use utoipa::ToSchema;

/// A problem (RFC 9457). Its `code` never changes its meaning; texts are for people. As JSON it is a [`ProblemView`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(into = "ProblemView")]
pub struct Problem {
    /// HTTP status.
    pub status: u16,
    /// For programs.
    pub code: &'static str,
    /// What happened this time, for people.
    pub detail: String,
    /// Which fields are wrong.
    pub errors: Vec<FieldProblem>,
    /// The transaction that stands in the way.
    pub transaction_id: Option<TransactionId>,
    /// After how many seconds to try again; the `Retry-After` header over HTTP.
    pub retry_after_seconds: Option<u32>,
}

/// A problem as JSON: RFC 9457's members and ours.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemView {
    /// `urn:maxpay:problem:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// What kind of problem it is, for people.
    #[schema(value_type = String)]
    pub title: &'static str,
    /// HTTP status.
    pub status: u16,
    /// For programs: never changes its meaning.
    #[schema(value_type = String)]
    pub code: &'static str,
    /// What happened this time, for people.
    pub detail: String,
    /// Which fields are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<FieldProblem>,
    /// The transaction that stands in the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub transaction_id: Option<TransactionId>,
    /// After how many seconds to try again; the `Retry-After` header over HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u32>,
}

impl From<Problem> for ProblemView {
    fn from(problem: Problem) -> Self {
        Self {
            kind: format!("urn:maxpay:problem:{}", problem.code),
            title: title(problem.code),
            status: problem.status,
            code: problem.code,
            detail: problem.detail,
            errors: problem.errors,
            transaction_id: problem.transaction_id,
            retry_after_seconds: problem.retry_after_seconds,
        }
    }
}

/// One field that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldProblem {
    /// Its name, with dots for what lies inside.
    pub field: String,
    /// What is wrong with it, and what would be right. Never its value.
    pub why: String,
}

impl Problem {
    /// A problem of that status and code.
    #[must_use]
    pub fn new(status: u16, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            errors: Vec::new(),
            transaction_id: None,
            retry_after_seconds: None,
        }
    }

    /// One field is wrong: 422.
    #[must_use]
    pub fn field(field: impl Into<String>, why: impl Into<String>) -> Self {
        Self::fields(vec![FieldProblem { field: field.into(), why: why.into() }])
    }

    /// Fields are wrong: 422.
    #[must_use]
    pub fn fields(errors: Vec<FieldProblem>) -> Self {
        let detail = errors.iter().map(|error| format!("{}: {}", error.field, error.why)).collect::<Vec<_>>();
        Self { errors, ..Self::new(422, "invalid_request", detail.join("; ")) }
    }

    /// The request cannot be read at all, or a cursor is not one of ours: 400.
    #[must_use]
    pub fn malformed(field: &str, why: impl Into<String>) -> Self {
        let why = why.into();
        let errors = vec![FieldProblem { field: field.to_owned(), why: why.clone() }];
        Self { errors, ..Self::new(400, "malformed_request", why) }
    }

    /// A defect of ours: 500. The detail says nothing of it; the log does.
    #[must_use]
    pub fn internal(what: &str) -> Self {
        tracing::error!(what, "an operation failed by a defect");
        Self::new(500, "internal", "something went wrong here; nothing is claimed about what was done")
    }

    fn after(mut self, seconds: u32) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let (code, detail) = (error.code(), error.to_string());
        match error {
            Error::NotFound(_) => Self::new(404, code, detail),
            Error::Invalid { fields } => Self::fields(fields.into_iter().map(FieldProblem::from).collect()),
            Error::NoAccount(_)
            | Error::CertificateUnusable(_)
            | Error::TokenRefused(_)
            | Error::IdempotencyMismatch => Self::new(422, code, detail),
            Error::UnknownChannel(_) => Self {
                errors: vec![FieldProblem { field: "channel".to_owned(), why: detail.clone() }],
                ..Self::new(422, code, detail)
            },
            Error::BillNumberConflict(id) => Self { transaction_id: Some(id), ..Self::new(409, code, detail) },
            Error::AccountPaused(..)
            | Error::IdempotencyInProgress
            | Error::TokenUsed
            | Error::Conflict(_)
            | Error::Unsupported
            | Error::LimitReached(_) => Self::new(409, code, detail),
            Error::Busy => Self::new(503, code, detail).after(1),
            Error::ShuttingDown => Self::new(503, code, detail).after(5),
            Error::SetAside => Self::new(503, code, detail).after(60),
            Error::StoreUnavailable(_) | Error::OutcomeUnknown => Self::new(503, code, detail).after(10),
            Error::Internal(what) => Self::internal(&what),
            _ => Self::internal(&detail),
        }
    }
}

impl From<FieldError> for FieldProblem {
    fn from(error: FieldError) -> Self {
        Self { field: error.field, why: error.why }
    }
}

/// Collects every wrong field of a request, so that a caller learns of all at once.
#[derive(Debug, Default)]
pub(crate) struct Fields(Vec<FieldProblem>);

impl Fields {
    /// The value, or a note that it is wrong.
    pub(crate) fn take<T, E: std::fmt::Display>(&mut self, field: &str, value: Result<T, E>) -> Option<T> {
        value.map_err(|why| self.wrong(field, why.to_string())).ok()
    }

    /// Notes that a field is wrong.
    pub(crate) fn wrong(&mut self, field: &str, why: impl Into<String>) {
        self.0.push(FieldProblem { field: field.to_owned(), why: why.into() });
    }

    /// Fails with all that was noted.
    pub(crate) fn check(&mut self) -> Result<(), Problem> {
        if self.0.is_empty() { Ok(()) } else { Err(self.problem()) }
    }

    /// All that was noted.
    pub(crate) fn problem(&mut self) -> Problem {
        Problem::fields(std::mem::take(&mut self.0))
    }
}

fn title(code: &str) -> &'static str {
    match code {
        "not_found" => "Not found",
        "invalid_request" => "A field is wrong",
        "malformed_request" => "The request cannot be read",
        "channel_not_configured" => "The channel has no account",
        "certificate_unusable" => "The account's signing material cannot be used",
        "unknown_channel" => "No such channel",
        "account_paused" => "The account is paused",
        "bill_number_conflict" => "The bill number is taken",
        "idempotency_mismatch" => "The idempotency key came with another body",
        "idempotency_in_progress" => "The first request with this idempotency key is under way",
        "token_used" => "The token was used before",
        "token_refused" => "The token is refused",
        "conflict" => "The state of the object does not allow it",
        "unsupported" => "The channel cannot do this",
        "limit_reached" => "A limit is reached",
        "busy" => "Too much is under way",
        "shutting_down" => "The server is stopping",
        "set_aside" => "The record waits for an operator",
        "store_unavailable" => "The store cannot answer",
        "outcome_unknown" => "It is not known whether it was done",
        "unauthenticated" => "No valid credential",
        "forbidden" => "The credential may not do this",
        "unknown_operation" => "No such operation",
        "method_not_allowed" => "The path does not take this method",
        "too_large" => "The body is too large",
        "headers_too_large" => "The headers are too large",
        "unsupported_media_type" => "The body is not JSON",
        "too_slow" => "The request took too long to arrive",
        "rate_limited" => "Too many requests",
        "insecure" => "The connection is not secure",
        _ => "Something went wrong",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_engine_error_has_its_status() {
        // Each refusal of the engine becomes the status and code that design.md section 5 names, and says when to come
        // back where coming back helps.
        let id = "66f0a1b2c3d4e5f607182930".parse().expect("an id");
        for (error, status, retry) in [
            (Error::NotFound("transaction"), 404, false),
            (Error::field("amount", "is zero"), 422, false),
            (Error::NoAccount("ali_app".to_owned()), 422, false),
            (Error::CertificateUnusable("account x".to_owned()), 422, false),
            (Error::UnknownChannel("x".to_owned()), 422, false),
            (Error::AccountPaused("a".to_owned(), "b".to_owned()), 409, false),
            (Error::BillNumberConflict(id), 409, false),
            (Error::IdempotencyMismatch, 422, false),
            (Error::IdempotencyInProgress, 409, false),
            (Error::TokenUsed, 409, false),
            (Error::Conflict("no".to_owned()), 409, false),
            (Error::Busy, 503, true),
            (Error::ShuttingDown, 503, true),
            (Error::StoreUnavailable("disk".to_owned()), 503, true),
            (Error::OutcomeUnknown, 503, true),
            (Error::Internal("secret detail".to_owned()), 500, false),
        ] {
            let code = error.code();
            let problem = Problem::from(error);
            assert_eq!((problem.status, problem.code), (status, code));
            assert_eq!(problem.retry_after_seconds.is_some(), retry, "{code}");
            assert!(!problem.detail.contains("secret detail"));
            assert!(code == "internal" || title(code) != "Something went wrong", "{code}");
        }
    }
}
