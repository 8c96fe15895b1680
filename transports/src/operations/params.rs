//! What an operation is asked with: one JSON object, wherever its fields came from (path, query, body, or a line of
//! JSON-RPC), read into typed requests with errors that name the field and never its value.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::Problem;

/// Fields by name, each as the JSON text it came as: so that numbers and merchants' extras stay exactly as written.
///
/// It has no `Debug`, because fields hold secrets.
#[derive(Default, Clone)]
pub struct Params(BTreeMap<String, Box<RawValue>>);

impl Params {
    /// No fields.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads a JSON object; blank text is an object without fields.
    ///
    /// # Errors
    /// `malformed_request` when the text is not one JSON object, or names a field twice.
    pub fn from_json(text: &[u8]) -> Result<Self, Problem> {
        let text = std::str::from_utf8(text).map_err(|_| Problem::malformed("body", "the body is not UTF-8"))?;
        if text.trim().is_empty() {
            return Ok(Self::none());
        }
        fields(text.as_bytes()).map(Self).map_err(|error| unreadable(&error))
    }

    /// Adds a field.
    ///
    /// # Errors
    /// 422 when the field is there already.
    pub fn put(&mut self, name: &str, value: &Value) -> Result<(), Problem> {
        let raw = serde_json::value::to_raw_value(value).map_err(|error| Problem::internal(&error.to_string()))?;
        match self.0.insert(name.to_owned(), raw) {
            None => Ok(()),
            Some(_) => Err(Problem::field(name, "is given twice, or belongs into the path alone")),
        }
    }

    /// Takes out a field that is a text and reads it.
    ///
    /// # Errors
    /// 422 when it is missing, no text, or does not read.
    pub(crate) fn take<T: FromStr<Err: Display>>(&mut self, name: &str) -> Result<T, Problem> {
        let raw = self.0.remove(name).ok_or_else(|| Problem::field(name, "is missing"))?;
        let text: String = serde_json::from_str(raw.get()).map_err(|_| Problem::field(name, "is not a text"))?;
        text.parse().map_err(|why: T::Err| Problem::field(name, why.to_string()))
    }

    /// Takes out a field that is a text. `None`: it is not there, or null.
    ///
    /// # Errors
    /// 422 when it is something else.
    pub(crate) fn take_text(&mut self, name: &str) -> Result<Option<String>, Problem> {
        let Some(raw) = self.0.remove(name) else { return Ok(None) };
        serde_json::from_str(raw.get()).map_err(|_| Problem::field(name, "is not a text"))
    }

    /// Takes out the id of the object that is asked about. One that is no id names no object: 404.
    pub(crate) fn id<T: FromStr<Err: Display>>(&mut self, name: &str, object: &str) -> Result<T, Problem> {
        let raw = self.0.remove(name).ok_or_else(|| Problem::field(name, "is missing"))?;
        let text: String = serde_json::from_str(raw.get()).map_err(|_| Problem::field(name, "is not a text"))?;
        text.parse().map_err(|_| Problem::new(404, "not_found", format!("there is no such {object}")))
    }

    /// Reads all fields that are left.
    ///
    /// # Errors
    /// 422 naming the field.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let text = serde_json::to_string(&self.0).map_err(|error| Problem::internal(&error.to_string()))?;
        let mut reader = serde_json::Deserializer::from_str(&text);
        serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let path = error.path().to_string();
            let message = error.into_inner().to_string();
            let (field, why) = explain(&path, &message);
            Problem::field(field, why)
        })
    }

    /// SHA-256 of the fields, whatever their order and white space. Tells a repeat from another request. Numbers count as
    /// they are spelled: read as doubles, two of many digits would be one.
    pub(crate) fn digest(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        for (name, raw) in &self.0 {
            absorb_text(name, &mut hasher);
            // What lies deeper than a reader goes counts as it was written.
            let reads = serde_json::from_str::<Value>(raw.get()).is_ok();
            if !reads || absorb(raw.get(), &mut hasher).is_err() {
                hasher.update(raw.get());
            }
        }
        hasher.finalize().into()
    }
}

/// No field beside the parameters of the path.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// Writes a value so that equal values, and only those, give equal bytes. It lies no deeper than a reader goes.
fn absorb(raw: &str, hasher: &mut Sha256) -> serde_json::Result<()> {
    match raw.bytes().next() {
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(raw)?;
            hasher.update(format!("[{}\n", items.len()));
            items.into_iter().try_for_each(|item| absorb(item.get(), hasher))
        }
        Some(b'{') => {
            let fields: BTreeMap<String, &RawValue> = serde_json::from_str(raw)?;
            hasher.update(format!("{{{}\n", fields.len()));
            fields.into_iter().try_for_each(|(name, value)| {
                absorb_text(&name, hasher);
                absorb(value.get(), hasher)
            })
        }
        Some(b'"') => {
            absorb_text(&serde_json::from_str::<String>(raw)?, hasher);
            Ok(())
        }
        Some(_) | None => {
            hasher.update(raw);
            hasher.update(b"\n");
            Ok(())
        }
    }
}

fn absorb_text(text: &str, hasher: &mut Sha256) {
    hasher.update(Value::from(text).to_string());
    hasher.update(b"\n");
}

/// The fields of exactly one JSON object, each there once.
pub(crate) fn fields(text: &[u8]) -> serde_json::Result<BTreeMap<String, Box<RawValue>>> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let fields = reader.deserialize_map(Fields)?;
    reader.end().map(|()| fields)
}

fn unreadable(error: &serde_json::Error) -> Problem {
    // serde_json says what it met by its kind and place; of a value only its type is of use here.
    let place = format!("line {} column {}", error.line(), error.column());
    match error.classify() {
        serde_json::error::Category::Data => {
            Problem::malformed("body", format!("the body is not a JSON object, or names a field twice ({place})"))
        }
        serde_json::error::Category::Io | serde_json::error::Category::Syntax | serde_json::error::Category::Eof => {
            Problem::malformed("body", format!("the body is not JSON ({place})"))
        }
    }
}

/// Makes a field and a reason out of what serde says, without the value it quotes.
fn explain(path: &str, message: &str) -> (String, String) {
    let message = message.rsplit_once(" at line ").map_or(message, |(said, _)| said);
    let path = if path == "." { "" } else { path };
    for (opening, why) in [
        ("missing field `", "is missing"),
        ("unknown field `", "is not known"),
        ("duplicate field `", "is given twice"),
    ] {
        if let Some((name, rest)) = message.strip_prefix(opening).and_then(|rest| rest.split_once('`')) {
            let why = match rest.strip_prefix(", expected ") {
                Some(expected) => format!("{why}; known are {}", expected.trim_start_matches("one of ")),
                None => why.to_owned(),
            };
            return (within(path, name), why);
        }
    }
    let why = match message.split_once(", expected ") {
        // As JSON calls them.
        Some((_, "a map")) => "is not an object".to_owned(),
        Some((_, "a sequence")) => "is not an array".to_owned(),
        Some((_, "variant identifier")) => "is not a string".to_owned(),
        Some((_, "u8")) => "is not a whole number from 0 to 255".to_owned(),
        Some((_, "u32" | "u64")) => "is not a whole number of 0 or more, or is too large".to_owned(),
        Some((_, expected)) => format!("is not {expected}"),
        None => message.to_owned(),
    };
    (if path.is_empty() { "params".to_owned() } else { path.to_owned() }, why)
}

fn within(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        path if path == name || path.ends_with(&format!(".{name}")) => path.to_owned(),
        path => format!("{path}.{name}"),
    }
}

/// Reads an object's fields and refuses one that comes twice.
struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = BTreeMap<String, Box<RawValue>>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
            if fields.insert(name, value).is_some() {
                return Err(serde::de::Error::custom("a field comes twice"));
            }
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Example {
        #[expect(dead_code, reason = "only how it is refused matters")]
        name: String,
        inner: Option<Inner>,
        raw: Option<Box<RawValue>>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only how it is refused matters")]
        count: u32,
    }

    #[test]
    fn an_error_names_the_field_and_not_its_value() {
        // Whatever is wrong, the problem says where, and quotes nothing that a caller sent as a value.
        for (text, field) in [
            ("{}", "name"),
            (r#"{"name":1234567}"#, "name"),
            (r#"{"name":"a","other":"1234567"}"#, "other"),
            (r#"{"name":"a","inner":{}}"#, "inner.count"),
            (r#"{"name":"a","inner":{"count":"1234567"}}"#, "inner.count"),
            (r#"{"name":"a","inner":{"count":1,"more":1234567}}"#, "inner.more"),
            (r#"{"name":"a","inner":{"count":-1234567}}"#, "inner.count"),
        ] {
            let problem = read(text).expect_err(text);
            assert_eq!((problem.status, problem.errors[0].field.as_str()), (422, field), "{text}: {problem:?}");
            assert!(!problem.detail.contains("1234567"), "{problem:?}");
        }
    }

    #[test]
    fn what_is_no_object_is_malformed() {
        // A body that is not exactly one JSON object, each field once, is refused as a whole.
        for text in ["[]", "1", "{", r#"{"a":1}{"#, r#"{"a":1,"a":2}"#, "\u{feff}{}", "{'a':1}"] {
            let problem = Params::from_json(text.as_bytes()).err().expect(text);
            assert_eq!(problem.status, 400, "{text}");
        }
        assert_eq!(Params::from_json(b"\xff{}").err().map(|problem| problem.status), Some(400));
        assert!(Params::from_json(b"  ").is_ok());
    }

    #[test]
    fn raw_values_stay_as_they_came() {
        // A number that no float can hold comes through untouched.
        let text = r#"{"name":"a","raw":{"b":12345678901234567890.10,"a":"\u6211"}}"#;
        let example = read(text).expect("reads");
        assert_eq!(example.raw.expect("given").get(), r#"{"b":12345678901234567890.10,"a":"\u6211"}"#);
        assert!(example.inner.is_none());
    }

    #[test]
    fn the_digest_sees_content_only() {
        // Order and white space do not matter; values, names and nesting do.
        let digest = |text: &str| Params::from_json(text.as_bytes()).map(|params| params.digest()).ok();
        let base = digest(r#"{"a":{"x":1,"y":[1,2]},"b":"c"}"#);
        assert_eq!(base, digest(r#" { "b":"c", "a": {"y":[1, 2],"x":1} }"#));
        for other in
            [r#"{"a":{"x":1,"y":[2,1]},"b":"c"}"#, r#"{"a":{"x":1,"y":[1,2]},"b":"d"}"#, r#"{"a":{"x":1},"b":"c"}"#]
        {
            assert_ne!(base, digest(other), "{other}");
        }
        assert_ne!(digest(r#"{"o":12345678901234567890123}"#), digest(r#"{"o":12345678901234567890124}"#));
        let deep = |inside: &str| format!(r#"{{"a":{}{inside}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
        assert_ne!(digest(&deep("1")), digest(&deep("2")));
    }

    fn read(text: &str) -> Result<Example, Problem> {
        Params::from_json(text.as_bytes())?.read()
    }
}
