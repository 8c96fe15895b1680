//! What every response code comes to, call by call.

use maxpay_engine::channel::{Call, Outcome, RefundIntent, RefundKind};

use super::super::message::Message;
use super::super::simulator::sign_answer;
use super::{MERCHANT, NUMBER, World, code, create, fen, keys, query, refund};

/// Every code that the table of the platform's appendix names, and some that it does not.
const CODES: [&str; 66] = [
    "00", "01", "02", "03", "04", "05", "06", "10", "11", "12", "13", "14", "30", "31", "32", "33", "34", "35", "36",
    "37", "38", "39", "40", "41", "42", "43", "44", "45", "46", "60", "61", "62", "63", "64", "65", "66", "67", "68",
    "69", "70", "71", "72", "73", "74", "75", "76", "77", "78", "79", "80", "81", "82", "83", "85", "88", "90", "95",
    "98", "99", "A6", "00A6", "0", "", "7", "ZZ", "100",
];
const DECLINED: &[&str] = &[
    "01", "10", "13", "14", "30", "32", "33", "36", "38", "40", "41", "43", "44", "60", "61", "62", "63", "64", "65",
    "66", "67", "68", "69", "71", "72", "73", "76", "77", "78", "79", "80", "81", "82", "98",
];

/// The outcome's name where it is one of these lists, else `unknown`.
fn expected<'l>(lists: &[(&'l str, &[&str])], code: &str) -> &'l str {
    lists.iter().find(|(_, codes)| codes.contains(&code)).map_or("unknown", |(name, _)| name)
}

fn answer(pairs: &[(&str, &str)]) -> maxpay_engine::channel::http::HttpReply {
    let common = [
        ("merId", MERCHANT),
        ("orderId", NUMBER),
        ("txnTime", "20261125120000"),
        ("queryId", "202611251200001234567"),
        ("txnAmt", "1999"),
        ("currencyCode", "156"),
        ("traceTime", "1125120101"),
        ("respMsg", "说明[0000000]"),
    ];
    let pairs = common.iter().chain(pairs).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    sign_answer(&keys().authority, Message::of(pairs))
}

fn check(call: &Call, name: &str, txn_type: &str, lists: &[(&str, &[&str])], more: &[(&str, &str)]) {
    let world = World::new();
    for code in CODES.into_iter().filter(|code| name != "respCode" || !code.is_empty()) {
        let mut pairs = vec![("txnType", txn_type), (name, code)];
        pairs.extend_from_slice(more);
        let answer = world.read(call, NUMBER, &answer(&pairs));
        assert_eq!(answer.outcome.name(), expected(lists, code), "{name} {code}: {:?}", answer.outcome);
        assert_eq!(answer.number.as_deref(), Some(NUMBER), "{code}");
        assert_eq!(answer.owners, [("merchant_id", MERCHANT.to_owned())], "{code}");
    }
}

#[test]
fn codes_of_an_order_of_the_app() {
    // A tn opens; a duplicate proves arrival; what was not taken is told apart from what is not known.
    let lists: [(&str, &[&str]); 5] = [
        ("awaiting_payer", &["00", "A6"]),
        ("unpaid", &["12"]),
        ("not_executed", &["02", "37", "39"]),
        ("account_refused", &["11", "31"]),
        ("declined", DECLINED),
    ];
    check(&create("unipay_app"), "respCode", "01", &lists, &[("tn", "512611251200001234567")]);
    // Without its tn an order that was taken is not open to anybody.
    let lists = [("unpaid", &["12"][..]), lists[2], lists[3], lists[4]];
    check(&create("unipay_app"), "respCode", "01", &lists, &[]);
}

#[test]
fn codes_of_voids_and_refunds() {
    // 00 means taken, never done; a frequency refusal is never a decline; a duplicate is asked about.
    let declined: Vec<&str> = DECLINED.iter().copied().chain(["34", "35", "45", "46"]).collect();
    let lists: [(&str, &[&str]); 4] = [
        ("processing", &["00", "A6", "05", "83"]),
        ("not_executed", &["02", "37", "39"]),
        ("account_refused", &["11", "31"]),
        ("declined", &declined),
    ];
    check(&refund(Some(RefundKind::Refund), 1999), "respCode", "04", &lists, &[]);
    check(&refund(Some(RefundKind::Void), 1999), "respCode", "31", &lists, &[]);
    // An answer about something else proves nothing.
    check(&refund(Some(RefundKind::Void), 1999), "respCode", "04", &[], &[]);
}

#[test]
fn codes_of_a_query() {
    // respCode is about the query alone: only 34 and refused accounts say anything without an origRespCode.
    let lists: [(&str, &[&str]); 2] = [("not_found", &["34"]), ("account_refused", &["11", "31"])];
    check(&query(), "respCode", "00", &lists, &[]);
    check(&refund(None, 1999), "respCode", "00", &lists, &[]);
}

#[test]
fn codes_of_what_a_query_finds() {
    // A payment: paid, paid too late and going back, not decided, refused. Nothing else settles it.
    let lists: [(&str, &[&str]); 5] = [
        ("succeeded", &["00", "A6"]),
        ("paid_then_returned", &["42"]),
        ("processing", &["03", "04", "05", "06", "83"]),
        ("unpaid", &["70"]),
        ("declined", DECLINED),
    ];
    check(&query(), "origRespCode", "01", &lists, &[("respCode", "00")]);
    // A refund and a void, under their own numbers.
    let declined: Vec<&str> = DECLINED.iter().copied().chain(["35", "45", "46"]).collect();
    let lists: [(&str, &[&str]); 3] = [lists[0], lists[2], ("declined", &declined)];
    check(&refund(None, 1999), "origRespCode", "04", &lists, &[("respCode", "00")]);
    let kind = RefundKind::Void;
    let void =
        Call::QueryRefund { code: code("unipay_web"), kind, refund: RefundIntent { amount: fen(1999), reason: None } };
    check(&void, "origRespCode", "31", &lists, &[("respCode", "00")]);
    // Found, and of another kind: nothing.
    check(&query(), "origRespCode", "04", &[], &[("respCode", "00")]);
    check(&void, "origRespCode", "04", &[], &[("respCode", "00")]);
}

#[test]
fn what_is_found_is_read_in_full() {
    // Number, amount and time of a payment; 42 is paid and goes back wholly, not finally.
    let world = World::new();
    let found = |code: &str| {
        let pairs = [("respCode", "00"), ("txnType", "01"), ("origRespCode", code)];
        world.read(&query(), NUMBER, &answer(&pairs)).outcome
    };
    let Outcome::Succeeded(paid) = found("00") else { panic!("{:?}", found("00")) };
    assert_eq!((paid.trade_number.as_str(), paid.amount), ("202611251200001234567", fen(1999)));
    assert_eq!(paid.paid_at, Some(super::at("2026-11-25T04:01:01Z")));
    let Outcome::PaidThenReturned { paid: late, returned, is_final, .. } = found("42") else { panic!("no return") };
    assert_eq!((late, returned, is_final), (paid, fen(1999), false));
    // What cannot be read is never taken for paid.
    for (name, value) in [
        ("txnAmt", ""),
        ("txnAmt", "19.99"),
        ("txnAmt", "-1"),
        ("txnAmt", "1234567890123"),
        ("currencyCode", "840"),
        ("queryId", ""),
    ] {
        let outcome = world.read(&query(), NUMBER, &with(name, value)).outcome;
        assert!(matches!(outcome, Outcome::Unknown(_)), "{name}={value}: {outcome:?}");
    }
}

/// The answer that says *paid*, with another value; empty: without it.
fn with(name: &str, value: &str) -> maxpay_engine::channel::http::HttpReply {
    let good = answer(&[("respCode", "00"), ("txnType", "01"), ("origRespCode", "00")]);
    let mut message = Message::read_answer(&good.body).expect("an answer");
    message.set(name, value);
    sign_answer(&keys().authority, Message::of(message.pairs()))
}

#[test]
fn another_order_proves_nothing() {
    // orderId and merId are compared by the engine; the time is part of the name and compared here.
    let world = World::new();
    let outcome = world.read(&query(), NUMBER, &with("txnTime", "20261125120001")).outcome;
    assert!(matches!(&outcome, Outcome::Unknown(why) if why.contains("another time")), "{outcome:?}");
    for name in ["orderId", "merId", "txnTime", "respCode"] {
        let outcome = world.read(&query(), NUMBER, &with(name, "")).outcome;
        assert!(matches!(&outcome, Outcome::Unknown(_)), "{name}: {outcome:?}");
    }
    // These are compared by the engine.
    let other = world.read(&query(), NUMBER, &with("orderId", "6743a1b2c3d4e5f601020305"));
    assert_eq!(other.number.as_deref(), Some("6743a1b2c3d4e5f601020305"));
    let other = world.read(&query(), NUMBER, &with("merId", "777290058110097"));
    assert_eq!(other.owners, [("merchant_id", "777290058110097".to_owned())]);
}
