//! Lantern's own side, for the exam: how it reads, verifies and signs.

use bytes::Bytes;
use maxpay_adapters::conformance::{Asked, Dialect, Found, Merchant, Moment, Order, Signed, SimpleCandidate};
use maxpay_engine::channel::http::{HttpReply, HttpRequest};
use maxpay_engine::channel::{Acknowledgement, RawNotification};
use maxpay_engine::model::{Money, NamedAction, PayerAction, Timestamp};
use maxpay_engine::secrets::Secret;
use serde_json::{Map, Value, json};

use super::{Lantern, PATHS, SIGNATURE, Told, path_of, sign, verify};

const BASE: &str = "https://lantern.invalid";

/// Lantern, for the exam.
#[must_use]
pub fn candidate() -> SimpleCandidate {
    SimpleCandidate::new::<Lantern, LanternDialect>("lantern")
}

#[derive(Default)]
struct LanternDialect;

fn secret(merchant: Merchant, rotation: u32) -> String {
    format!("the secret of {}, number {rotation}", merchant.name())
}

fn header(signed: Signed, key: &str, what: &str, now: Timestamp, body: &Value) -> Vec<(String, String)> {
    let key = Secret::from_text(if signed == Signed::Stranger { "a secret of nobody's" } else { key });
    let header = (SIGNATURE.to_owned(), sign(&key, what, now, body.to_string().as_bytes()));
    if signed == Signed::Not { Vec::new() } else { vec![header] }
}

fn told(order: &Order) -> Told {
    Told {
        shop: order.merchant.name().to_owned(),
        number: order.number.clone(),
        state: order.state.name().to_owned(),
        amount: order.amount_minor,
        currency: order.currency.clone(),
        trade: order.trade_number.clone(),
        code: Some(format!("lantern://pay/{}/{}", order.merchant.name(), order.number)),
    }
}

impl Dialect for LanternDialect {
    fn settings(&self, merchant: Merchant, rotations: u32) -> Map<String, Value> {
        let all = json!({ "shop": merchant.name(), "base_url": BASE, "secret": secret(merchant, rotations) });
        all.as_object().cloned().unwrap_or_default()
    }

    fn read(&self, request: &HttpRequest, moment: Moment) -> Result<Asked, Option<HttpReply>> {
        let path = request.url.as_str().strip_prefix(BASE).ok_or(None)?;
        let (kind, _) = PATHS.into_iter().find(|(_, known)| *known == path).ok_or(None)?;
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let merchant = if body["shop"] == Merchant::First.name() { Merchant::First } else { Merchant::Other };
        let header = request.headers.iter().find(|(name, _)| name == SIGNATURE).map_or("", |(_, value)| value);
        let holds = |rotation: &u32| {
            let key = Secret::from_text(&secret(merchant, *rotation));
            verify(&key, &format!("request {path}"), moment.now, header, &request.body).is_some()
        };
        let door = HttpReply { status: 401, headers: Vec::new(), body: Bytes::from_static(b"bad signature") };
        let rotation = (0..=moment.rotations).find(holds).ok_or(Some(door))?;
        let asked = body["amount"].as_u64().zip(body["currency"].as_str());
        let amount = asked.and_then(|(minor, currency)| Money::read(minor, currency).ok());
        let order = amount.zip(body["expires_at"].as_u64().map(Timestamp::from_millis));
        let number = body["number"].as_str().unwrap_or_default().to_owned();
        Ok(Asked { kind, merchant, rotation, number, order, content: request.body.to_vec() })
    }

    fn reply(&self, asked: &Asked, found: &Found, signed: Signed, moment: Moment) -> HttpReply {
        let (shop, number, state) = (asked.merchant.name(), &asked.number, found.name());
        let mut body = json!({ "shop": shop, "number": number, "state": state, "amount": 0, "currency": "" });
        if let Found::Order(order) = found {
            body = json!(told(order));
        }
        let what = format!("reply {} 200", path_of(asked.kind).unwrap_or_default());
        let headers = header(signed, &secret(asked.merchant, asked.rotation), &what, moment.now, &body);
        HttpReply { status: 200, headers, body: Bytes::from(body.to_string()) }
    }

    fn notice(&self, order: &Order, signed: Signed, unmapped: bool, moment: Moment) -> RawNotification {
        let state = if unmapped { "blown out" } else { order.state.name() };
        let body = json!(Told { state: state.to_owned(), ..told(order) });
        let headers = header(signed, &secret(Merchant::First, moment.rotations), "notice", moment.now, &body);
        RawNotification { headers, query: String::new(), body: Bytes::from(body.to_string()) }
    }

    fn is_acknowledged(&self, answer: &Acknowledgement) -> bool {
        answer.status == 200 && answer.body.as_ref() == b"lit"
    }

    fn opens(&self, order: &Order, action: &NamedAction) -> bool {
        told(order).code.map(|text| PayerAction::QrText { text }).as_ref() == Some(&action.action)
    }
}
