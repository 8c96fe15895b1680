//! One row for every operation: which object it is asked for, with what, and what its owner is answered.

use maxpay_engine::api::Right;
use serde_json::{Value, json};

use super::stage::{BILL, Place};

/// Which object stands in the path.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Object {
    /// None: it makes one, or lists those of the credential.
    None,
    Transaction,
    Subscription,
    Delivery,
    Account,
    App,
    /// A key of the app.
    Key,
    Alarm,
    /// A key of the operator's.
    OperatorKey,
    /// One that is not there, of a kind that only an operator sees.
    Absent,
}

/// One operation of the table.
pub struct Row {
    pub object: Object,
    pub body: fn(&Place) -> Value,
    /// What the first who may is answered.
    pub status: u16,
}

fn row(object: Object, status: u16, body: fn(&Place) -> Value) -> Row {
    Row { object, body, status }
}

fn nothing(_: &Place) -> Value {
    Value::Null
}

/// The row of an operation. A new operation gets one here.
pub fn of(operation: &str) -> Option<Row> {
    use Object::{Absent, Account, Alarm, App, Delivery, Key, Subscription, Transaction};
    let said = |_: &Place| json!({ "author": "ann", "reason": "asked" });
    let author = |_: &Place| json!({ "author": "ann" });
    let empty = |_: &Place| json!({});
    Some(match operation {
        "transactions.create" => row(Object::None, 201, |_| {
            json!({
                "bill_num": "made-here", "channel": "wx_native", "subject": "A toy",
                "amount": { "amount_minor": 100, "currency": "CNY" },
            })
        }),
        "transactions.get" | "transactions.timeline" | "ops.transaction" => row(Transaction, 200, nothing),
        "transactions.close" | "transactions.payer_session" => row(Transaction, 409, empty),
        "transactions.query" => row(Transaction, 200, empty),
        "transactions.authorize" => row(Transaction, 409, |_| json!({ "token": { "version": "SANDBOX_v1" } })),
        "transactions.list" | "subscriptions.list" | "deliveries.list" | "accounts.list" | "apps.list"
        | "ops.inbox" | "ops.set_aside" | "ops.alarms" | "ops.keys" => row(Object::None, 200, nothing),
        "subscriptions.create" => {
            row(Object::None, 201, |_| json!({ "target": { "type": "function", "name": "another" } }))
        }
        "subscriptions.get" | "subscriptions.delete" => row(Subscription, 200, nothing),
        "subscriptions.update" => row(Subscription, 200, |_| json!({ "description": "changed" })),
        "subscriptions.test" => row(Subscription, 409, empty),
        "deliveries.get" => row(Delivery, 200, nothing),
        "deliveries.resend" | "deliveries.resume" => row(Delivery, 409, nothing),
        "accounts.create" => row(Object::None, 201, |place| {
            let secret = "another secret, of this test";
            let merchant_id = format!("n-{}", place.keys.app_id);
            json!({
                "adapter": "sandbox",
                "settings": { "merchant_id": merchant_id, "base_url": "http://sandbox.invalid", "secret": secret },
            })
        }),
        "accounts.get" | "accounts.disable" => row(Account, 200, nothing),
        "accounts.update" => row(Account, 200, |_| json!({ "label": "changed" })),
        "apps.create" => row(Object::None, 201, |_| json!({ "name": "Another shop" })),
        "apps.get" | "keys.list" => row(App, 200, nothing),
        "apps.update" => row(App, 200, |_| json!({ "name": "Changed" })),
        "keys.issue" => row(App, 201, |_| json!({ "kind": "master", "mode": "live" })),
        "keys.revoke" => row(Key, 200, nothing),
        "ops.vouch" => row(
            Transaction,
            409,
            |place| json!({ "number": place.transaction, "outcome": "not_paid", "author": "ann", "reason": "asked" }),
        ),
        "ops.accept_mismatch" => {
            row(Transaction, 409, |_| json!({ "channel_trade_number": "none", "author": "ann", "reason": "asked" }))
        }
        "ops.accept_late" => row(Transaction, 409, said),
        "ops.resume_account" => row(Account, 200, author),
        "ops.apply_inbox" | "ops.retry_set_aside" => row(Absent, 404, nothing),
        "ops.discard_inbox" => row(Absent, 404, said),
        "ops.revoke_key" => row(Object::OperatorKey, 200, nothing),
        "ops.acknowledge_alarm" => row(Alarm, 200, author),
        _ => return None,
    })
}

/// The least right that an operation needs, as the design says it: it is not asked of the table.
pub fn least_right(operation: &str) -> Right {
    match operation {
        "transactions.create" | "transactions.list" => Right::Client,
        _ if operation.starts_with("transactions.") || operation.starts_with("deliveries.") => Right::Payments,
        _ if operation.starts_with("subscriptions.") || operation.starts_with("accounts.") => Right::App,
        _ => Right::Operator,
    }
}

/// Lists whose query names another's object: whoever may list is answered with nothing of it.
pub fn queries(place: &Place) -> Vec<String> {
    vec![
        format!("/v1/transactions?bill_num={BILL}"),
        "/v1/transactions?mode=live".to_owned(),
        "/v1/transactions?mode=test".to_owned(),
        format!("/v1/deliveries?subscription_id={}", place.subscription),
        format!("/v1/deliveries?transaction_id={}", place.transaction),
    ]
}
