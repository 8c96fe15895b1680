//! The body of a webhook.
//!
//! `payment.succeeded` and test sends carry the twelve keys of the original service, so that receivers written for it
//! read them. Every other kind of event has another shape, so that none of those receivers takes it for a payment.

use bytes::Bytes;
use md5::{Digest, Md5};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::model::{AppId, Event, EventData, EventId, EventKind, Mode, Timestamp, TransactionId};
use crate::secrets::Secret;

/// An event cannot be written as a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// Its extras are not JSON.
    #[error("the extras of the event are not JSON")]
    Extras,
    /// Its shape carries the original's sign, and the app has no master key.
    #[error("the app has no master key to sign with")]
    NoMasterKey,
}

/// Whether the body that tells of such an event carries the original's sign, which needs a master key.
#[must_use]
pub fn is_signed(kind: EventKind) -> bool {
    kind == EventKind::PaymentSucceeded
}

/// The body that tells of `event`, signed at `now` where its shape carries a sign.
///
/// `master_key` is the app's, of the event's mode, where it has one. Each try has a body of its own: `timestamp` and `sign` are fresh.
pub fn body(event: &Event, master_key: Option<&Secret>, now: Timestamp) -> Result<Bytes, PayloadError> {
    if is_signed(event.kind) {
        write(&original(event, master_key.ok_or(PayloadError::NoMasterKey)?, now)?)
    } else {
        write(&native(event)?)
    }
}

/// The sign of the original service: MD5 of app id, master key and timestamp, as 32 lower case digits. It does not
/// cover the body.
#[must_use]
pub fn sign(app_id: AppId, master_key: &Secret, now: Timestamp) -> String {
    let mut md5 = Md5::new();
    md5.update(app_id.to_string());
    md5.update(master_key.expose());
    md5.update(now.millis().to_string());
    hex::encode(md5.finalize())
}

/// The event of a test send, as the original console made it: one fen by `ali_app`, paid now.
#[must_use]
pub fn test_event(app_id: AppId, mode: Mode, id: EventId, transaction_id: TransactionId, now: Timestamp) -> Event {
    let data = EventData {
        bill_num: now.millis().to_string(),
        channel: "ali_app".into(),
        amount_minor: 1,
        currency: "CNY".into(),
        created_at: Timestamp::from_millis(0),
        ended_at: Some(now),
        extras: Some(r#"{"type":"shopping"}"#.into()),
        status: "succeeded".into(),
        trade_number: None,
        paid_minor: 1,
        refunded_minor: 0,
        moved_minor: None,
        moved_currency: None,
        duplicate_of: None,
        reason: None,
    };
    Event { id, app_id, mode, kind: EventKind::PaymentSucceeded, transaction_id, created_at: now, data }
}

/// Twelve keys in alphabetical order: protocol of the original service, section 4.3.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Original<'a> {
    appid: AppId,
    bill_num: &'a str,
    channel: &'a str,
    created_time: u64,
    currency: &'a str,
    end_time: u64,
    extras: &'a RawValue,
    id: TransactionId,
    sign: String,
    status: &'static str,
    timestamp: u64,
    total_fee: u64,
}

#[derive(Serialize)]
struct Native<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: EventId,
    created_at: Timestamp,
    data: NativeData<'a>,
}

/// The transaction as it was when the event happened. Absent values are absent, not null.
#[derive(Serialize)]
struct NativeData<'a> {
    app_id: AppId,
    mode: Mode,
    transaction_id: TransactionId,
    bill_num: &'a str,
    channel: &'a str,
    status: &'a str,
    amount_minor: u64,
    currency: &'a str,
    paid_minor: u64,
    refunded_minor: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    moved_minor: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    moved_currency: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trade_number: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duplicate_of: Option<TransactionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extras: Option<&'a RawValue>,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Timestamp>,
}

fn original<'a>(event: &'a Event, master_key: &Secret, now: Timestamp) -> Result<Original<'a>, PayloadError> {
    let data = &event.data;
    Ok(Original {
        appid: event.app_id,
        bill_num: &data.bill_num,
        channel: &data.channel,
        created_time: data.created_at.millis(),
        currency: data.moved_currency.as_deref().unwrap_or(&data.currency),
        end_time: data.ended_at.unwrap_or(event.created_at).millis(),
        // The key is always there, also for a bill without extras.
        extras: raw(data.extras.as_deref().unwrap_or("{}"))?,
        id: event.transaction_id,
        sign: sign(event.app_id, master_key, now),
        status: "success",
        timestamp: now.millis(),
        // What was paid, where an operator accepted another amount than was asked for.
        total_fee: data.moved_minor.unwrap_or(data.amount_minor),
    })
}

fn native(event: &Event) -> Result<Native<'_>, PayloadError> {
    let data = &event.data;
    let data = NativeData {
        app_id: event.app_id,
        mode: event.mode,
        transaction_id: event.transaction_id,
        bill_num: &data.bill_num,
        channel: &data.channel,
        status: &data.status,
        amount_minor: data.amount_minor,
        currency: &data.currency,
        paid_minor: data.paid_minor,
        refunded_minor: data.refunded_minor,
        moved_minor: data.moved_minor,
        moved_currency: data.moved_currency.as_deref(),
        trade_number: data.trade_number.as_deref(),
        duplicate_of: data.duplicate_of,
        reason: data.reason.as_deref(),
        extras: data.extras.as_deref().map(raw).transpose()?,
        created_at: data.created_at,
        ended_at: data.ended_at,
    };
    Ok(Native { kind: event.kind.name(), id: event.id, created_at: event.created_at, data })
}

/// Extras are embedded as they were sent: numbers keep their digits and objects their order.
fn raw(extras: &str) -> Result<&RawValue, PayloadError> {
    serde_json::from_str(extras).map_err(|_| PayloadError::Extras)
}

fn write(body: &impl Serialize) -> Result<Bytes, PayloadError> {
    serde_json::to_vec(body).map(Bytes::from).map_err(|_| PayloadError::Extras)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RawId;

    fn text(event: &Event) -> String {
        let (key, now) = (Secret::from_text("masterkey"), Timestamp::from_millis(1_453_970_183_003));
        let body = body(event, Some(&key), now).expect("JSON");
        String::from_utf8(body.to_vec()).expect("JSON is UTF-8")
    }

    fn event() -> Event {
        let now = Timestamp::from_millis(1_453_970_183_001);
        let (id, transaction) = (EventId(RawId([1; 12])), TransactionId(RawId([2; 12])));
        test_event(AppId(RawId([3; 12])), Mode::Live, id, transaction, now)
    }

    #[test]
    fn a_test_send_has_the_original_bytes() {
        // Twelve keys in alphabetical order, with the original console's values. The sign was computed by md5sum.
        assert_eq!(
            text(&event()),
            concat!(
                r#"{"appid":"030303030303030303030303","billNum":"1453970183001","channel":"ali_app","createdTime":0,"#,
                r#""currency":"CNY","endTime":1453970183001,"extras":{"type":"shopping"},"#,
                r#""id":"020202020202020202020202","sign":"78e0e74ed11fda4129ffb1fa6883de22","#,
                r#""status":"success","timestamp":1453970183003,"totalFee":1}"#
            )
        );
    }

    #[test]
    fn extras_stand_as_they_were_sent() {
        // Order, white space, big numbers and escapes inside extras are the merchant's; none at all is an empty object.
        let table = [
            (
                Some(r#"{"b":1, "a":[12345678901234567890.10,"\u4e2d"]}"#),
                r#"{"b":1, "a":[12345678901234567890.10,"\u4e2d"]}"#,
            ),
            (Some("[]"), "[]"),
            (Some(r#""text""#), r#""text""#),
            (None, "{}"),
        ];
        for (extras, expected) in table {
            let mut event = event();
            event.data.extras = extras.map(str::to_owned);
            let text = text(&event);
            assert!(text.contains(&format!(r#""extras":{expected},"id""#)), "{text}");
        }
        let mut event = event();
        event.data.extras = Some("{".into());
        let key = Secret::from_text("k");
        assert_eq!(body(&event, Some(&key), event.created_at), Err(PayloadError::Extras));
    }

    #[test]
    fn other_events_are_not_taken_for_payments() {
        // No other kind carries a key by which an original receiver knows a payment, and each tells its kind.
        for kind in EventKind::ALL.into_iter().filter(|kind| *kind != EventKind::PaymentSucceeded) {
            let mut event = event();
            event.kind = kind;
            event.data.duplicate_of = Some(TransactionId(RawId([9; 12])));
            event.data.reason = Some("because".into());
            let value: serde_json::Value = serde_json::from_str(&text(&event)).expect("JSON");
            let keys: Vec<&String> = value.as_object().expect("an object").keys().collect();
            assert_eq!(keys, ["created_at", "data", "id", "type"], "{kind:?}");
            assert_eq!(value["type"], kind.name());
            assert_eq!(value["id"], "010101010101010101010101");
            assert_eq!(value["data"]["transaction_id"], "020202020202020202020202");
            assert_eq!(value["data"]["duplicate_of"], "090909090909090909090909");
            assert_eq!(value["data"]["ended_at"], "2016-01-28T08:36:23.001Z");
            assert_eq!(value["data"].get("moved_minor"), None);
            assert_eq!(value["data"].get("moved_currency"), None);
        }
    }

    #[test]
    fn a_payment_of_another_amount_tells_what_was_paid() {
        // 100 CNY were asked for, something else was paid and accepted: both shapes tell the money that moved.
        let mut event = event();
        event.data.amount_minor = 100;
        for (moved, currency, fee) in
            [(None, "CNY", 100), (Some((60, "CNY")), "CNY", 60), (Some((70, "USD")), "USD", 70)]
        {
            event.data.moved_minor = moved.map(|(minor, _)| minor);
            event.data.moved_currency = moved.map(|(_, currency)| currency.to_owned());
            event.kind = EventKind::PaymentSucceeded;
            let value: serde_json::Value = serde_json::from_str(&text(&event)).expect("JSON");
            assert_eq!((value["totalFee"].as_u64(), value["currency"].as_str()), (Some(fee), Some(currency)));
            event.kind = EventKind::PaymentSucceededLate;
            let value: serde_json::Value = serde_json::from_str(&text(&event)).expect("JSON");
            assert_eq!(
                (value["data"]["amount_minor"].as_u64(), value["data"]["currency"].as_str()),
                (Some(100), Some("CNY"))
            );
            assert_eq!(value["data"]["moved_minor"].as_u64(), moved.map(|(minor, _)| minor));
            assert_eq!(value["data"]["moved_currency"].as_str(), moved.map(|(_, currency)| currency));
        }
    }
}
