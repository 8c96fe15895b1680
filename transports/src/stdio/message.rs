//! The messages of JSON-RPC 2.0 (specification of 2013-01-04), as far as one line holds one message.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A request or, without an id, a notification.
#[derive(Debug)]
pub(crate) struct Request {
    /// Text, number or null; `None`: no answer is wanted.
    pub id: Option<Value>,
    /// Name of the operation.
    pub method: String,
    /// Always an object; absent parameters are an empty one.
    pub params: serde_json::Map<String, Value>,
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
/// The error to answer, and the id if one could be read.
pub(crate) fn read(line: &[u8]) -> Result<Request, (Value, RpcError)> {
    #[derive(Deserialize)]
    struct Wire {
        jsonrpc: Option<Value>,
        // An id of null is an id; only an absent one makes a notification.
        #[serde(default, deserialize_with = "present")]
        id: Option<Value>,
        method: Option<Value>,
        params: Option<Value>,
    }
    let value: Value = serde_json::from_slice(line)
        .map_err(|error| (Value::Null, RpcError::new(codes::PARSE, format!("the line is no JSON: {error}"))))?;
    let invalid = |id: Option<&Value>, why: &str| {
        (id.cloned().unwrap_or(Value::Null), RpcError::new(codes::INVALID_REQUEST, why))
    };
    if value.is_array() {
        return Err(invalid(None, "batches are not taken: send one message a line"));
    }
    if !value.is_object() {
        return Err(invalid(None, "a request is a JSON object"));
    }
    let wire: Wire = serde_json::from_value(value)
        .map_err(|error| (Value::Null, RpcError::new(codes::INVALID_REQUEST, error.to_string())))?;
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
    let params = match wire.params {
        None | Some(Value::Null) => serde_json::Map::new(),
        Some(Value::Object(params)) => params,
        Some(_) => {
            let error = RpcError::new(codes::INVALID_PARAMS, "params: must be an object with named members");
            return Err((wire.id.unwrap_or(Value::Null), error));
        }
    };
    Ok(Request { id: wire.id, method, params })
}

/// Writes an answer as one line, without its end.
pub(crate) fn write(id: &Value, result: Result<Value, RpcError>) -> String {
    let answer = match result {
        Ok(result) => serde_json::json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(error) => serde_json::json!({ "jsonrpc": "2.0", "id": id, "error": error }),
    };
    answer.to_string()
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
            let (given, error) = read(line.as_bytes()).expect_err(line);
            assert_eq!((error.code, given), (code, id), "{line}");
        }
    }

    #[test]
    fn a_request_without_id_wants_no_answer_but_one_with_null_does() {
        // Section 4: an absent id makes a notification.
        let absent = read(br#"{"jsonrpc":"2.0","method":"x"}"#).expect("a notification");
        let null = read(br#"{"jsonrpc":"2.0","id":null,"method":"x","params":{"a":1}}"#).expect("a request");
        assert_eq!(absent.id, None);
        assert_eq!(null.id, Some(Value::Null));
        assert_eq!(null.params["a"], 1);
    }
}
