//! What a request says, as a digest: tells a repeat of a bill number from another payment under it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::api::CreateTransaction;

/// Arrays and objects inside one another in `extras`: far below what any JSON reader takes, ours and the merchants', when
/// it stands inside a list or a webhook.
pub(super) const EXTRAS_DEPTH_MAX: usize = 64;

/// The business fields of a request, in the order of their names. An absent one is not written.
#[derive(Serialize)]
struct Content<'r> {
    amount: u64,
    channel: &'r str,
    currency: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    extras: Option<Box<RawValue>>,
    payer: Payer<'r>,
    #[serde(skip_serializing_if = "Option::is_none")]
    return_url: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    show_url: Option<&'r str>,
    subject: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u64>,
}

#[derive(Serialize)]
struct Payer<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    h5_type: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    openid: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    qr_mode: Option<u8>,
}

/// SHA-256 of the RFC 8785 form of the business fields as received: nulls dropped, before defaults, without the payer's
/// address.
///
/// Numbers inside `extras` stand as they were spelled, other than RFC 8785 has it: as doubles, two of many digits would be
/// one. The digest is compared with digests made here only.
pub(super) fn content_digest(request: &CreateTransaction) -> [u8; 32] {
    let currency = request.amount.currency();
    let content = Content {
        amount: request.amount.minor(),
        channel: request.channel.as_str(),
        currency: currency.code(),
        extras: request.extras.as_deref().and_then(canonical),
        payer: Payer {
            h5_type: request.payer.h5_type.as_deref(),
            openid: request.payer.openid.as_deref(),
            qr_mode: request.payer.qr_mode,
        },
        return_url: request.return_url.as_deref(),
        show_url: request.show_url.as_deref(),
        subject: &request.subject,
        timeout_ms: request.timeout.map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
    };
    Sha256::digest(serde_json::to_vec(&content).expect("texts and numbers are JSON")).into()
}

/// A JSON text in its canonical form; what is none, or lies too deep to be taken, counts as a text. `None`: it is null.
fn canonical(extras: &str) -> Option<Box<RawValue>> {
    let mut text = String::new();
    if !is_json_within(extras, EXTRAS_DEPTH_MAX) || write(extras.trim(), &mut text).is_err() {
        text = Value::from(extras).to_string();
    }
    let written = RawValue::from_string(text).expect("what was read as JSON is written as JSON");
    (written.get() != "null").then_some(written)
}

/// Members in the order of their names' UTF-16 code units, no white space. Of a name that stands twice the last counts.
fn write(raw: &str, text: &mut String) -> serde_json::Result<()> {
    match raw.bytes().next() {
        Some(b'{') => {
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(raw)?;
            let mut sorted: Vec<_> = members.into_iter().collect();
            sorted.sort_by(|(one, _), (other, _)| one.encode_utf16().cmp(other.encode_utf16()));
            text.push('{');
            for (index, (name, member)) in sorted.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                text.push_str(&Value::String(name).to_string());
                text.push(':');
                write(member.get(), text)?;
            }
            text.push('}');
        }
        Some(b'[') => {
            text.push('[');
            for (index, item) in serde_json::from_str::<Vec<&RawValue>>(raw)?.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write(item.get(), text)?;
            }
            text.push(']');
        }
        Some(b'"') => text.push_str(&Value::String(serde_json::from_str(raw)?).to_string()),
        // A number as it is spelled, or a word.
        Some(_) | None => text.push_str(raw),
    }
    Ok(())
}

/// Whether `text` is one JSON value whose arrays and objects lie at most `depth_max` inside one another.
pub(super) fn is_json_within(text: &str, depth_max: usize) -> bool {
    // Brackets first: what reads on may then go as deep as the text.
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => depth += 1,
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > depth_max {
            return false;
        }
    }
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::{Currency, Door, Money, PayerInputs};

    fn request() -> CreateTransaction {
        CreateTransaction {
            door: Door::Native,
            bill_num: "b-1".parse().expect("a bill number"),
            channel: "x_app".parse().expect("a code"),
            amount: Money::new(100, Currency::CNY).expect("small"),
            subject: "tea".to_owned(),
            extras: Some(r#"{"b":1,"a":[true,null]}"#.to_owned()),
            return_url: None,
            show_url: None,
            timeout: None,
            payer: PayerInputs::default(),
            wait: Duration::ZERO,
        }
    }

    #[test]
    fn what_is_not_content_does_not_count() {
        // The payer's address, the wait, the door and the spelling of extras are no content; everything else is.
        let same: [fn(&mut CreateTransaction); 4] = [
            |it| it.payer.client_ip = Some("10.0.0.1".to_owned()),
            |it| it.wait = Duration::from_secs(1),
            |it| it.door = Door::Original,
            |it| it.extras = Some(r#"{ "a": [true, null], "b": 1 }"#.to_owned()),
        ];
        let other: [fn(&mut CreateTransaction); 8] = [
            |it| it.amount = Money::new(101, Currency::CNY).expect("small"),
            |it| it.channel = "x_web".parse().expect("a code"),
            |it| it.subject = "coffee".to_owned(),
            |it| it.extras = None,
            |it| it.return_url = Some("https://example.com".to_owned()),
            |it| it.show_url = Some("https://example.com".to_owned()),
            |it| it.timeout = Some(Duration::from_mins(1)),
            |it| it.payer.openid = Some("o".to_owned()),
        ];
        let base = content_digest(&request());
        let digest = |change: &fn(&mut CreateTransaction)| {
            let mut request = request();
            change(&mut request);
            content_digest(&request)
        };
        assert!(same.iter().all(|change| digest(change) == base));
        let digests: Vec<_> = other.iter().map(digest).collect();
        assert!(!digests.contains(&base));
    }

    #[test]
    fn content_has_one_form() {
        // Names in order at every depth, no white space, absent and null fields left out.
        let full = CreateTransaction {
            return_url: Some("https://a.example/?q=\"1\"".to_owned()),
            show_url: Some("https://b.example".to_owned()),
            timeout: Some(Duration::from_mins(1)),
            payer: PayerInputs {
                openid: Some("o".to_owned()),
                client_ip: Some("10.0.0.1".to_owned()),
                h5_type: Some("Wap".to_owned()),
                qr_mode: Some(4),
            },
            ..request()
        };
        let rows = [
            (
                request(),
                r#"{"amount":100,"channel":"x_app","currency":"CNY","extras":{"a":[true,null],"b":1},"payer":{},"subject":"tea"}"#,
            ),
            (
                CreateTransaction {
                    extras: Some(
                        r#" {"o": 12345678901234567890123, "\u0061": {"c": [1.50, -0], "b": "é\n\u00e9"}} "#.to_owned(),
                    ),
                    ..request()
                },
                r#"{"amount":100,"channel":"x_app","currency":"CNY","extras":{"a":{"b":"é\né","c":[1.50,-0]},"o":12345678901234567890123},"payer":{},"subject":"tea"}"#,
            ),
            (
                CreateTransaction { extras: Some("[".repeat(65)), ..request() },
                &format!(
                    r#"{{"amount":100,"channel":"x_app","currency":"CNY","extras":"{}","payer":{{}},"subject":"tea"}}"#,
                    "[".repeat(65)
                ),
            ),
            (
                CreateTransaction { extras: Some("null".to_owned()), ..request() },
                r#"{"amount":100,"channel":"x_app","currency":"CNY","payer":{},"subject":"tea"}"#,
            ),
            (
                full,
                r#"{"amount":100,"channel":"x_app","currency":"CNY","extras":{"a":[true,null],"b":1},"payer":{"h5_type":"Wap","openid":"o","qr_mode":4},"return_url":"https://a.example/?q=\"1\"","show_url":"https://b.example","subject":"tea","timeout_ms":60000}"#,
            ),
        ];
        for (request, text) in rows {
            assert_eq!(content_digest(&request), <[u8; 32]>::from(Sha256::digest(text)), "{text}");
        }
    }

    #[test]
    fn depth_counts_brackets_and_not_texts() {
        // Up to so many levels it is taken; brackets inside texts are none; what is no JSON is refused whatever its depth.
        let nested = |levels: usize| format!("{}1{}", "[{\"a\":".repeat(levels / 2), "}]".repeat(levels / 2));
        for (text, taken) in [
            (nested(64), true),
            (nested(66), false),
            (nested(10_000), false),
            (format!("[{},{}]", nested(62), nested(62)), true),
            (format!(r#"["{}\"[["]"#, "[{".repeat(100)), true),
            (format!(r#"["\\",{}]"#, nested(64)), false),
            ("[1".to_owned(), false),
            ("]".to_owned(), false),
            (String::new(), false),
            ("1 2".to_owned(), false),
        ] {
            assert_eq!(is_json_within(&text, 64), taken, "{text:.40}");
        }
    }
}
