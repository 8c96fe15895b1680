//! The messages of JSON-RPC 2.0 (specification of 2013-01-04), as far as one line holds one message.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::operations::Params;

/// A request or, without an id, a notification.
pub(crate) struct Request {
    /// Text, number or null; `None`: no answer is wanted.
    pub id: Option<Value>,
    /// Name of the operation.
    pub method: String,
    /// Always an object; absent parameters are an empty one.
    pub params: Params,
}

/// Why a line is not answered with a result.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RpcError {
    /// One of [`codes`].
    pub code: i32,
    /// For people.
    pub message: String,
    /// The problem as `/v1` would tell it (RFC 9457).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

/// The codes: five of the specification (section 5.1), and ours in the range it leaves to servers.
pub(crate) mod codes {
    /// The line is no JSON.
    pub const PARSE: i32 = -32_700;
    /// The line is JSON, but no request.
    pub const INVALID_REQUEST: i32 = -32_600;
    /// There is no such operation here.
    pub const METHOD_NOT_FOUND: i32 = -32_601;
    /// The parameters are wrong; `data.errors` says which.
    pub const INVALID_PARAMS: i32 = -32_602;
    /// A defect of ours.
    pub const INTERNAL: i32 = -32_603;
    /// The operation was refused or not done; `data.code` says why.
    pub const REFUSED: i32 = -32_000;
    /// No session was opened, or its key is not known.
    pub const UNAUTHENTICATED: i32 = -32_001;
    /// The key has not the right.
    pub const FORBIDDEN: i32 = -32_002;
    /// Too much is under way, or the store cannot answer: try again.
    pub const BUSY: i32 = -32_003;
    /// There is no such object in the key's app and mode.
    pub const NOT_FOUND: i32 = -32_004;
    /// The object's state, a bill number or an idempotency key stands against it.
    pub const CONFLICT: i32 = -32_009;
}

impl RpcError {
    /// An error without data.
    pub fn new(code: i32, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }
}

/// Reads one line.
///
/// # Errors
/// The error and the id to answer it under; no id: it was a notification, which is never answered.
pub(crate) fn read(line: &[u8]) -> Result<Request, (Option<Value>, RpcError)> {
    let no_json = |why: String| (Some(Value::Null), RpcError::new(codes::PARSE, format!("the line is no JSON: {why}")));
    let line: &RawValue = serde_json::from_slice(line).map_err(|error| no_json(error.to_string()))?;
    let invalid = |id: Option<&Value>, why: &str| {
        (Some(id.cloned().unwrap_or(Value::Null)), RpcError::new(codes::INVALID_REQUEST, why))
    };
    if line.get().starts_with('[') {
        return Err(invalid(None, "batches are not taken: send one message a line"));
    }
    let wire: Wire = serde_json::from_str(line.get())
        .map_err(|_| invalid(None, "a request is a JSON object that names no member twice"))?;
    let id = wire.id.as_ref();
    if id.is_some_and(|id| !(id.is_string() || id.is_number() || id.is_null())) {
        return Err(invalid(None, "id: must be a text, a number or null"));
    }
    if wire.jsonrpc.as_ref().and_then(Value::as_str) != Some("2.0") {
        return Err(invalid(id, "jsonrpc: must be \"2.0\""));
    }
    let Some(Value::String(method)) = wire.method else {
        return Err(invalid(id, "method: must be a text"));
    };
    // As they were written, so that numbers and a merchant's own JSON stay what they are.
    let Some(params) = read_params(wire.params) else {
        let error = RpcError::new(codes::INVALID_PARAMS, "params: must be an object that names no member twice");
        return Err((wire.id, error));
    };
    Ok(Request { id: wire.id, method, params })
}

fn read_params(params: Option<&RawValue>) -> Option<Params> {
    match params.map(RawValue::get) {
        None | Some("null") => Some(Params::none()),
        Some(text) => Params::from_json(text.as_bytes()).ok(),
    }
}

#[derive(Deserialize)]
struct Wire<'a> {
    jsonrpc: Option<Value>,
    // An id of null is an id; only an absent one makes a notification.
    #[serde(default, deserialize_with = "present")]
    id: Option<Value>,
    method: Option<Value>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

/// Writes an answer as one line, without its end.
pub(crate) fn write(id: &Value, result: Result<&RawValue, &RpcError>) -> String {
    let (name, told) = match result {
        Ok(result) => ("result", result.get().to_owned()),
        Err(error) => ("error", serde_json::json!(error).to_string()),
    };
    format!(r#"{{"jsonrpc":"2.0","id":{id},"{name}":{told}}}"#)
}

fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_no_requests_say_why() {
        // Each line is answered with the specification's code, and with its id where it has one.
        let table = [
            ("{", codes::PARSE, Value::Null),
            ("\u{feff}{}", codes::PARSE, Value::Null),
            ("[]", codes::INVALID_REQUEST, Value::Null),
            ("1", codes::INVALID_REQUEST, Value::Null),
            (r#"{"id":7,"method":"x"}"#, codes::INVALID_REQUEST, 7.into()),
            (r#"{"jsonrpc":"1.0","id":7,"method":"x"}"#, codes::INVALID_REQUEST, 7.into()),
            (r#"{"jsonrpc":"2.0","id":"a"}"#, codes::INVALID_REQUEST, "a".into()),
            (r#"{"jsonrpc":"2.0","id":{},"method":"x"}"#, codes::INVALID_REQUEST, Value::Null),
            (r#"{"jsonrpc":"2.0","id":1,"method":"x","params":[1]}"#, codes::INVALID_PARAMS, 1.into()),
        ];
        for (line, code, id) in table {
            let Err((given, error)) = read(line.as_bytes()) else { panic!("{line} is no request") };
            assert_eq!((error.code, given), (code, Some(id)), "{line}");
        }
        let notification = read(br#"{"jsonrpc":"2.0","method":"x","params":[1]}"#);
        assert!(matches!(notification, Err((None, _))), "a notification is never answered");
    }

    #[test]
    fn a_request_without_id_wants_no_answer_but_one_with_null_does() {
        // Section 4: an absent id makes a notification.
        let id = |line: &str| read(line.as_bytes()).map(|request| request.id).map_err(|(_, error)| error.message);
        assert_eq!(id(r#"{"jsonrpc":"2.0","method":"x"}"#), Ok(None));
        assert_eq!(id(r#"{"jsonrpc":"2.0","id":null,"method":"x","params":{"a":1}}"#), Ok(Some(Value::Null)));
    }
}
