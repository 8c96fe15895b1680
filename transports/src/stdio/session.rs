//! What a line is answered: by whom it is asked, and which operation it names.

use std::sync::{Mutex, PoisonError};

use maxpay_engine::Engine;
use maxpay_engine::api::{Credential, Principal, Unauthenticated};
use maxpay_engine::secrets::Secret;
use serde_json::Value;
use serde_json::value::RawValue;

use super::Line;
use super::message::{self, Request, RpcError, codes};
use crate::operations::{self, Params, Problem};

/// Opens a session: the line that names the key under which later lines ask.
const OPEN: &str = "session.open";

/// Operations of these groups are offered on the pipe.
const GROUPS: [&str; 3] = ["transactions.", "subscriptions.", "deliveries."];

/// What a line asks, or the error it is answered with and under which id. `None`: it is blank.
pub(crate) fn read(line: &Line) -> Option<Result<Request, (Option<Value>, RpcError)>> {
    match line {
        Line::Whole(line) if line.iter().all(u8::is_ascii_whitespace) => None,
        Line::Whole(line) => Some(message::read(line)),
        Line::TooLong => Some(Err((Some(Value::Null), RpcError::new(codes::INVALID_REQUEST, "the line is too long")))),
    }
}

/// Whether a request is the one that opens a session.
pub(crate) fn opens(request: &Request) -> bool {
    request.method == OPEN
}

/// One pipe's conversation.
pub(crate) struct Session {
    engine: Engine,
    principal: Mutex<Option<Principal>>,
}

impl Session {
    /// A conversation in which nobody has shown a key yet.
    pub fn new(engine: Engine) -> Self {
        Self { engine, principal: Mutex::new(None) }
    }

    /// Who has opened the session so far.
    pub fn principal(&self) -> Option<Principal> {
        *self.principal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer to a request of `principal`'s, if one is wanted.
    pub async fn answer(&self, request: Request, principal: Option<Principal>) -> Option<String> {
        let Request { id, method, params } = request;
        let result = self.call(principal, &method, params).await;
        id.map(|id| message::write(&id, result.as_deref()))
    }

    async fn call(
        &self,
        principal: Option<Principal>,
        method: &str,
        mut params: Params,
    ) -> Result<Box<RawValue>, RpcError> {
        if method == OPEN {
            return self.open(&params).await;
        }
        if !GROUPS.iter().any(|group| method.starts_with(group)) || operations::named(method).is_none() {
            return Err(RpcError::new(codes::METHOD_NOT_FOUND, format!("there is no operation {method}")));
        }
        let Some(principal) = principal else {
            return Err(RpcError::new(codes::UNAUTHENTICATED, "open a session first: session.open {\"key\": …}"));
        };
        let key = params.take_text("idempotency_key").map_err(|problem| refused(&problem))?;
        let reply = operations::call(&self.engine, &principal, method, params, key.as_deref()).await;
        reply.map(|reply| reply.body).map_err(|problem| refused(&problem))
    }

    async fn open(&self, params: &Params) -> Result<Box<RawValue>, RpcError> {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Open {
            key: String,
        }
        let Open { key } = params.read().map_err(|problem| refused(&problem))?;
        let credential = Credential::Bearer(Secret::from_bytes(key.into_bytes()));
        let known = self.engine.authenticate(credential).await;
        let principal = known.map_err(|error| match error {
            Unauthenticated::Unavailable => RpcError::new(codes::BUSY, error.to_string()),
            Unauthenticated::UnknownApp
            | Unauthenticated::SessionUnknown
            | Unauthenticated::SessionExpired
            | Unauthenticated::KeyMismatch
            | Unauthenticated::SignInvalid
            | Unauthenticated::Missing => RpcError::new(codes::UNAUTHENTICATED, error.to_string()),
        })?;
        *self.principal.lock().unwrap_or_else(PoisonError::into_inner) = Some(principal);
        let scope = principal.scope;
        let told = serde_json::json!({
            "app_id": scope.map(|scope| scope.app_id.to_string()),
            "mode": scope.map(|scope| scope.mode.to_string()),
        });
        serde_json::value::to_raw_value(&told).map_err(|why| RpcError::new(codes::INTERNAL, why.to_string()))
    }
}

/// A problem as JSON-RPC tells it: our code by what the caller can do about it, the whole problem as data.
fn refused(problem: &Problem) -> RpcError {
    let code = match problem.status {
        400 | 422 => codes::INVALID_PARAMS,
        401 => codes::UNAUTHENTICATED,
        403 => codes::FORBIDDEN,
        404 => codes::NOT_FOUND,
        409 => codes::CONFLICT,
        429 | 503 => codes::BUSY,
        500 => codes::INTERNAL,
        _ => codes::REFUSED,
    };
    RpcError { code, message: problem.detail.clone(), data: serde_json::to_value(problem).ok() }
}
