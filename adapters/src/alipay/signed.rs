//! The texts that are signed: of a request, of an answer, of a notification.

use crate::parts::canonical;

/// Deepest nesting of an answer.
const DEPTH_MAX: usize = 32;

/// What is signed of a request: every value that is not empty, as it is, by name in ASCII order. `sign_type` is in it.
pub(super) fn request_text(pairs: &[(String, String)]) -> String {
    joined(pairs.iter().filter(|(name, value)| name != "sign" && !value.is_empty()))
}

/// What is signed of a notification: without `sign_type`, other than of a request. `with_empty` keeps empty values:
/// SDKs differ, and real notifications carry none.
pub(super) fn notice_text(pairs: &[(String, String)], with_empty: bool) -> String {
    let signed = |name: &str| name != "sign" && name != "sign_type";
    joined(pairs.iter().filter(|(name, value)| signed(name) && (with_empty || !value.is_empty())))
}

fn joined<'p>(pairs: impl Iterator<Item = &'p (String, String)>) -> String {
    let mut sorted: Vec<_> = pairs.collect();
    sorted.sort();
    let mut text = String::new();
    for (name, value) in sorted {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        text.push_str(value);
    }
    text
}

/// The pairs as a query or form, in the order of their names.
pub(super) fn query_text(pairs: &[(String, String)]) -> String {
    canonical::signing_text(pairs)
}

/// An answer, taken apart without being understood: what is signed is a part of it as it was sent, because spacing and
/// `\/` would not survive being written again.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Envelope<'r> {
    /// The object under the method's name, or under `error_response`.
    pub object: &'r str,
    /// Whether it stood under `error_response`.
    pub is_error: bool,
    /// Base64.
    pub sign: Option<String>,
    /// The number of the certificate that it is signed under.
    pub certificate: Option<String>,
}

impl<'r> Envelope<'r> {
    /// Takes the answer to `method` apart. `None`: it is not JSON of that shape, or a name stands in it twice.
    pub fn read(body: &'r [u8], method: &str) -> Option<Self> {
        let fields = fields(std::str::from_utf8(body).ok()?)?;
        let named = |name: &str| fields.iter().find(|(have, _)| have == name).map(|(_, value)| *value);
        let root = format!("{}_response", method.replace('.', "_"));
        let (object, is_error) = match (named(&root), named("error_response")) {
            (Some(object), None) => (object, false),
            (None, Some(object)) => (object, true),
            (Some(_), Some(_)) | (None, None) => return None,
        };
        // Anything else would be an encrypted answer, which nobody asked for.
        if !object.starts_with('{') {
            return None;
        }
        let text = |name| match named(name) {
            Some(value) => serde_json::from_str::<String>(value).ok().map(Some),
            None => Some(None),
        };
        let present = |text: Option<String>| text.filter(|text| !text.is_empty());
        Some(Self { object, is_error, sign: present(text("sign")?), certificate: present(text("alipay_cert_sn")?) })
    }
}

/// Names and raw values of an object, in order. `None`: it is none, something stands behind it, or a name twice in it.
fn fields(text: &str) -> Option<Vec<(String, &str)>> {
    let mut rest = text.trim_start_matches(SPACE).strip_prefix('{')?.trim_start_matches(SPACE);
    let mut found: Vec<(String, &str)> = Vec::new();
    if let Some(end) = rest.strip_prefix('}') {
        return end.trim_start_matches(SPACE).is_empty().then_some(found);
    }
    loop {
        let (name, after) = rest.split_at(string_end(rest)?);
        let name: String = serde_json::from_str(name).ok()?;
        let after = after.trim_start_matches(SPACE).strip_prefix(':')?.trim_start_matches(SPACE);
        let (value, after) = after.split_at(value_end(after)?);
        if found.iter().any(|(known, _)| *known == name) {
            return None;
        }
        found.push((name, value));
        let after = after.trim_start_matches(SPACE);
        if let Some(end) = after.strip_prefix('}') {
            return end.trim_start_matches(SPACE).is_empty().then_some(found);
        }
        rest = after.strip_prefix(',')?.trim_start_matches(SPACE);
    }
}

const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// Where the string literal ends that `text` begins with.
fn string_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'"' if at == 0 => {}
            _ if at == 0 => return None,
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Where the value ends that `text` begins with. What is inside an object is not looked at, strings apart.
fn value_end(text: &str) -> Option<usize> {
    match text.bytes().next()? {
        b'"' => string_end(text),
        b'{' | b'[' => {
            let (mut at, mut depth) = (0, 0_usize);
            while at < text.len() {
                match text.as_bytes()[at] {
                    b'"' => at += string_end(&text[at..])? - 1,
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth -= 1,
                    _ => {}
                }
                at += 1;
                if depth == 0 {
                    return Some(at);
                }
                if depth > DEPTH_MAX {
                    return None;
                }
            }
            None
        }
        _ => text.find([',', '}', ']', ' ', '\t', '\r', '\n']).filter(|end| *end > 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METHOD: &str = "alipay.trade.query";

    #[test]
    fn what_is_signed_is_found_as_it_was_sent() {
        // Braces and quotes in strings, spacing and escapes stay as they are, wherever the object stands.
        let table = [
            (r#"{"alipay_trade_query_response":{"code":"10000"},"sign":"a"}"#, r#"{"code":"10000"}"#),
            (r#"{"sign":"a","alipay_trade_query_response":{"a":"}{\"\\"}}"#, r#"{"a":"}{\"\\"}"#),
            (
                "{ \"alipay_trade_query_response\" : { \"a\" : [ {}, 1 ] } ,\n\"sign\":\"a\" }\n",
                "{ \"a\" : [ {}, 1 ] }",
            ),
            (r#"{"alipay_trade_query_response":{"u":"https:\/\/a\/b"},"sign":"a"}"#, r#"{"u":"https:\/\/a\/b"}"#),
            (r#"{"alipay_trade_query_response":{"s":"支付"},"sign":"a","x":null,"y":-1}"#, r#"{"s":"支付"}"#),
        ];
        for (body, object) in table {
            let read = Envelope::read(body.as_bytes(), METHOD).expect(body);
            assert_eq!((read.object, read.is_error, read.sign.as_deref()), (object, false, Some("a")), "{body}");
        }
        let error = br#"{"error_response":{"code":"40002"}}"#;
        let read = Envelope::read(error, METHOD).expect("an error");
        assert_eq!(read, Envelope { object: r#"{"code":"40002"}"#, is_error: true, sign: None, certificate: None });
    }

    #[test]
    fn an_answer_of_two_meanings_is_none() {
        // A second root, a second signature, something behind the end, another method: nothing can be trusted.
        for body in [
            r#"{"alipay_trade_query_response":{"a":"1"},"sign":"a","alipay_trade_query_response":{"a":"2"}}"#,
            r#"{"alipay_trade_query_response":{"a":"1"},"alipay\u005ftrade_query_response":{"a":"2"},"sign":"a"}"#,
            r#"{"alipay_trade_query_response":{"a":"1"},"sign":"a","sign":"b"}"#,
            r#"{"alipay_trade_query_response":{"a":"1"},"error_response":{"a":"2"},"sign":"a"}"#,
            r#"{"alipay_trade_query_response":{"a":"1"},"sign":"a"}{"alipay_trade_query_response":{"a":"2"}}"#,
            r#"{"alipay_trade_close_response":{"a":"1"},"sign":"a"}"#,
            r#"{"alipay_trade_query_response":"c2VjcmV0","sign":"a"}"#,
            r#"{"alipay_trade_query_response":{"a":"1"},"sign":1}"#,
            r#"{"alipay_trade_query_response":{"a":"1"},"sign":"a""#,
            r#"{"alipay_trade_query_response":{"a":"1","sign":"a"}"#,
            r#"{"alipay_trade_query_response":{"a":"1},"sign":"a"}"#,
            r#"[{"alipay_trade_query_response":{"a":"1"}}]"#,
            "{}",
            "",
            "<html>",
        ] {
            assert_eq!(Envelope::read(body.as_bytes(), METHOD), None, "{body}");
        }
        let deep = format!(r#"{{"alipay_trade_query_response":{}"#, "{\"a\":".repeat(100_000));
        assert_eq!(Envelope::read(deep.as_bytes(), METHOD), None);
    }

    #[test]
    fn texts_to_be_signed() {
        // Raw values in ASCII order; a request keeps sign_type, a notification does not.
        let pairs: Vec<(String, String)> =
            [("sign_type", "RSA2"), ("b", "1&2=3"), ("sign", "x"), ("a", "100%+ 支付"), ("e", "")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into();
        assert_eq!(request_text(&pairs), "a=100%+ 支付&b=1&2=3&sign_type=RSA2");
        assert_eq!(notice_text(&pairs, true), "a=100%+ 支付&b=1&2=3&e=");
        assert_eq!(notice_text(&pairs, false), "a=100%+ 支付&b=1&2=3");
        assert!(query_text(&pairs).starts_with("a=100%25%2B%20%E6%94%AF"));
    }
}
