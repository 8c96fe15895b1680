//! The bodies of the original API.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;
use std::time::Duration;

use maxpay_adapters::sandbox::Sandbox;
use maxpay_engine::api::{CreateTransaction, RecordsQuery};
use maxpay_engine::channel::Adapter;
use maxpay_engine::model::{ChannelCode, Timestamp};
use maxpay_transports::http::maxleap;
use serde_json::{Map, Value, json};

/// What it takes for a channel: those of the sandbox.
static SANDBOX: LazyLock<Sandbox> = LazyLock::new(Sandbox::new);

/// First byte: `b`, and the body of a bill follows; else one of records.
pub fn check(bytes: &[u8]) {
    let Some((first, body)) = bytes.split_first() else { return };
    if *first == b'b' {
        match bill(body) {
            Ok(request) => bill_holds(&request),
            Err(answer) => refusal_holds(&answer),
        }
    } else {
        match records(body) {
            Ok(query) => records_hold(&query),
            Err(answer) => refusal_holds(&answer),
        }
    }
}

fn bill(body: &[u8]) -> Result<CreateTransaction, String> {
    let manifest_of = |code: &ChannelCode| SANDBOX.manifest().code(code).cloned();
    maxleap::read_bill(body, IpAddr::V4(Ipv4Addr::LOCALHOST), Duration::from_secs(10), manifest_of)
}

fn records(body: &[u8]) -> Result<RecordsQuery, String> {
    let codes = |name: &str| {
        let known = SANDBOX.manifest().codes.iter();
        known
            .filter(|known| known.code.as_str() == name || known.group == name)
            .map(|known| known.code.clone())
            .collect()
    };
    maxleap::read_records(body, codes)
}

/// A refusal is a JSON object with a code of the original's table and a text.
fn refusal_holds(answer: &str) {
    let answer: Value = serde_json::from_str(answer).unwrap_or_else(|why| panic!("{why}: {answer}"));
    let code = answer["code"].as_u64();
    assert!(code.is_some_and(|code| (1..=7).contains(&code) || code == 14), "{answer}");
    assert!(answer["err"].as_str().is_some_and(|err| !err.is_empty() && err.len() < 1000), "{answer}");
}

/// A bill that is taken moves an amount above zero, and is the same bill when it is written down again.
fn bill_holds(request: &CreateTransaction) {
    assert!(!request.amount.is_zero(), "{request:?}");
    let text = |text: &Option<String>| text.clone().map(Value::from);
    let fields = [
        ("billNum", Some(json!(request.bill_num.as_str()))),
        ("billTimeout", request.timeout.map(|timeout| json!(timeout.as_secs()))),
        ("channel", Some(json!(request.channel.as_str()))),
        ("clientIp", text(&request.payer.client_ip)),
        ("extras", request.extras.as_deref().map(|_| Value::Null)),
        ("h5Type", text(&request.payer.h5_type)),
        ("openid", text(&request.payer.openid)),
        ("qrPayMode", request.payer.qr_mode.map(Value::from)),
        ("returnUrl", text(&request.return_url)),
        ("showUrl", text(&request.show_url)),
        ("subject", Some(json!(request.subject))),
        ("totalFee", Some(json!(request.amount.minor()))),
    ];
    let written = fields.iter().filter_map(|(name, value)| {
        // Extras are the merchant's own text: they are kept as they came, spaces and spellings included.
        let value = if *name == "extras" { request.extras.clone()? } else { value.as_ref()?.to_string() };
        Some(format!("{}:{value}", json!(name)))
    });
    let body = format!("{{{}}}", written.collect::<Vec<_>>().join(","));
    assert_eq!(bill(body.as_bytes()).as_ref(), Ok(request), "{body}");
}

/// A query that is taken asks within the bounds, and is the same query when it is written down again.
fn records_hold(query: &RecordsQuery) {
    assert!(query.skip <= 10_000 && (1..=1000).contains(&query.limit), "{query:?}");
    let filter = &query.filter;
    let millis = |moment: Option<Timestamp>| moment.map(|moment| json!(moment.millis()));
    let fields = [
        ("billNum", filter.bill_num.as_ref().map(|number| json!(number.as_str()))),
        ("endTime", millis(filter.created_to)),
        ("limit", Some(json!(query.limit))),
        ("order", Some(json!(if query.newest_first { "-createdTime" } else { "createdTime" }))),
        ("skip", Some(json!(query.skip))),
        ("startTime", millis(filter.created_from)),
        ("status", filter.status.clone().map(Value::from)),
    ];
    let fields: Map<String, Value> =
        fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    let body = Value::Object(fields).to_string();
    let mut again = records(body.as_bytes()).unwrap_or_else(|answer| panic!("{answer}: {body}"));
    // Which channels were meant was told by a name that the query does not keep.
    again.filter.channels.clone_from(&filter.channels);
    assert_eq!(again, *query, "{body}");
    assert!(filter.channels.as_ref().is_none_or(|channels| !channels.is_empty()), "{query:?}");
}
