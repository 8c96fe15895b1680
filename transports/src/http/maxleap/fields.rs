//! The fields of an original request: a JSON object whose absent, null and empty fields are the same to its clients.

use std::collections::BTreeMap;

use maxpay_engine::model::BillNum;
use serde_json::Value;
use serde_json::value::RawValue;

use super::code::{Code, Refusal};

/// The fields that were given.
pub(super) struct Fields(BTreeMap<String, Box<RawValue>>);

impl Fields {
    /// Reads a body; of two fields of one name nobody knows which is meant, so that is none. An empty one, and PHP's empty array, are an object without fields.
    pub(super) fn read(body: &[u8]) -> Result<Self, Refusal> {
        if matches!(body.trim_ascii(), b"" | b"[]") {
            return Ok(Self(BTreeMap::new()));
        }
        let mut fields = crate::operations::fields(body).map_err(|error| {
            let place = format!("line {} column {}", error.line(), error.column());
            Refusal::new(Code::Param, format!("the body is not a JSON object, or names a field twice ({place})"))
        })?;
        fields.retain(|_, value| !matches!(value.get(), "null" | "\"\""));
        Ok(Self(fields))
    }

    /// The JSON text of a field, exactly as it came.
    pub(super) fn raw(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.get())
    }

    /// A text.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, Refusal> {
        match self.value(name)? {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(illegal(name, "is not a text")),
        }
    }

    /// An integer that is not below zero.
    pub(super) fn integer(&self, name: &str) -> Result<Option<u64>, Refusal> {
        match self.value(name)? {
            None => Ok(None),
            Some(value) => value.as_u64().map(Some).ok_or_else(|| illegal(name, "is not an integer of 0 or more")),
        }
    }

    /// A bill number; PHP sends one of digits alone as a number.
    pub(super) fn bill_num(&self, name: &str) -> Result<Option<BillNum>, Refusal> {
        let text = match self.value(name)? {
            None => return Ok(None),
            Some(Value::String(text)) => text,
            Some(Value::Number(number)) if number.is_u64() || number.is_i64() => number.to_string(),
            Some(_) => return Err(illegal(name, "is neither a text nor an integer")),
        };
        text.parse().map(Some).map_err(|why| illegal(name, format!("{why}")))
    }

    fn value(&self, name: &str) -> Result<Option<Value>, Refusal> {
        // What the syntax lets through may still be no value: a lone half of a surrogate pair, for one.
        self.raw(name).map(|raw| serde_json::from_str(raw).map_err(|_| illegal(name, "is not readable"))).transpose()
    }
}

/// A field that must be there.
pub(super) fn needed<T>(name: &str, value: Option<T>) -> Result<T, Refusal> {
    value.ok_or_else(|| Refusal::new(Code::Missing, format!("{name} is missing")))
}

/// A field that is not legal.
pub(super) fn illegal(name: &str, why: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::Param, format!("{name} {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_and_empty_are_not_given() {
        // iOS sends null for nil, Android "" for a channel it does not know.
        let fields = read(r#"{"channel":"","billNum":null,"status":"success"}"#);
        assert_eq!((fields.raw("channel"), fields.raw("billNum")), (None, None));
        assert_eq!(fields.text("status").expect("a text").as_deref(), Some("success"));
    }

    #[test]
    fn a_body_is_an_object() {
        // Nothing and PHP's empty array have no fields; anything else that is no object is code 5.
        for (body, good) in [
            ("", true),
            ("[]", true),
            (" [] ", true),
            ("{}", true),
            ("[1]", false),
            ("1", false),
            ("{", false),
            ("null", false),
            ("{\"a\":1}x", false),
            ("{\"a\":1,\"a\":2}", false),
        ] {
            assert_eq!(Fields::read(body.as_bytes()).is_ok(), good, "{body}");
        }
        assert!(Fields::read(b"{\"a\":\"\xff\"}").is_err());
    }

    #[test]
    fn escapes_of_php_are_read() {
        // PHP escapes slashes and everything that is not ASCII.
        let fields = read(r#"{"returnUrl":"http:\/\/www.maxwon.cn","subject":"\u6211"}"#);
        assert_eq!(fields.text("returnUrl").expect("a text").as_deref(), Some("http://www.maxwon.cn"));
        assert_eq!(fields.text("subject").expect("a text").as_deref(), Some("我"));
        assert!(read(r#"{"subject":"\ud800"}"#).text("subject").is_err());
    }

    #[test]
    fn bill_numbers_may_be_numbers() {
        // A JSON integer becomes its digits; a fraction or an object does not.
        for (value, wanted) in [
            ("112233", Some("112233")),
            ("\"00x98987\"", Some("00x98987")),
            ("1.5", None),
            ("{}", None),
            ("1e3", None),
            ("true", None),
        ] {
            let read = read(&format!(r#"{{"billNum":{value}}}"#)).bill_num("billNum");
            assert_eq!(read.ok().flatten().map(|bill| bill.to_string()).as_deref(), wanted, "{value}");
        }
    }

    fn read(text: &str) -> Fields {
        match Fields::read(text.as_bytes()) {
            Ok(fields) => fields,
            Err(refusal) => panic!("{}", refusal.body()),
        }
    }
}
