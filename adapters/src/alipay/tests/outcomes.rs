//! Every code and sub-code, by call.

use super::*;

/// What a signed refusal comes to.
fn refusal(call: &Call, code: &str, sub_code: &str) -> Answer {
    let number = if matches!(call, Call::Maintain) { "" } else { NUMBER };
    let object = json!({ "code": code, "msg": "m", "sub_code": sub_code, "sub_msg": "s", "out_trade_no": number });
    World::new().answer(call, told(call, &object).as_bytes())
}

#[test]
fn refusals_by_call() {
    // One row a code: what it proves on create, query, close, refund and the query of a refund.
    let table = [
        ("20000", "isp.unknow-error", ["unknown"; 5]),
        ("20000", "aop.unknow-error", ["unknown"; 5]),
        ("10003", "", ["unknown"; 5]),
        ("20001", "aop.invalid-auth-token", ["account_refused"; 5]),
        ("40001", "isv.missing-app-id", ["account_refused"; 5]),
        ("40001", "isv.missing-signature", ["account_refused"; 5]),
        ("40001", "isv.missing-signature-key", ["account_refused"; 5]),
        ("40001", "isv.missing-method", ["not_executed", "unknown", "unknown", "not_executed", "unknown"]),
        ("40002", "isv.invalid-app-id", ["account_refused"; 5]),
        ("40002", "isv.invalid-signature", ["account_refused"; 5]),
        ("40002", "isv.invalid-signature-type", ["account_refused"; 5]),
        ("40002", "isv.invalid-timestamp", ["not_executed", "unknown", "unknown", "not_executed", "unknown"]),
        ("40002", "isv.invalid-parameter", ["not_executed", "unknown", "unknown", "not_executed", "unknown"]),
        ("40005", "isv.app-call-limited", ["not_executed", "unknown", "unknown", "not_executed", "unknown"]),
        ("40006", "isv.insufficient-isv-permissions", ["account_refused"; 5]),
        ("40006", "something-new", ["account_refused"; 5]),
        ("40004", "ACQ.SYSTEM_ERROR", ["unknown"; 5]),
        ("40004", "AQC.SYSTEM_ERROR", ["unknown"; 5]),
        ("40004", "ACQ.NEVER_HEARD_OF", ["unknown", "unknown", "declined", "unknown", "unknown"]),
        ("40004", "", ["unknown", "unknown", "declined", "unknown", "unknown"]),
        ("50000", "whatever", ["unknown"; 5]),
        ("", "", ["unknown"; 5]),
        ("40004", "ACQ.TRADE_NOT_EXIST", ["unknown", "not_found", "not_found", "declined", "unknown"]),
        ("40004", "AQC.TRADE_NOT_EXIST", ["unknown", "not_found", "not_found", "declined", "unknown"]),
        ("40004", "ACQ.INVALID_PARAMETER", ["declined", "unknown", "declined", "declined", "unknown"]),
        // The number stands for something already: only the query tells for what.
        ("40004", "ACQ.CONTEXT_INCONSISTENT", ["unknown", "unknown", "declined", "unknown", "unknown"]),
        ("40004", "ACQ.TRADE_HAS_SUCCESS", ["unknown", "unknown", "declined", "unknown", "unknown"]),
        ("40004", "ACQ.TRADE_HAS_CLOSE", ["unknown", "unknown", "declined", "declined", "unknown"]),
        // A close that is not taken says nothing of the order: it may have been paid meanwhile.
        ("40004", "ACQ.TRADE_STATUS_ERROR", ["unknown", "unknown", "declined", "declined", "unknown"]),
        ("40004", "ACQ.REASON_TRADE_STATUS_INVALID", ["unknown", "unknown", "declined", "declined", "unknown"]),
        ("40004", "ACQ.EXIST_FORBIDDEN_WORD", ["declined", "unknown", "declined", "unknown", "unknown"]),
        ("40004", "ACQ.ACCESS_FORBIDDEN", ["declined", "unknown", "declined", "unknown", "unknown"]),
        ("40004", "ACQ.PARTNER_ERROR", ["declined", "unknown", "declined", "unknown", "unknown"]),
        ("40004", "ACQ.TOTAL_FEE_EXCEED", ["declined", "unknown", "declined", "unknown", "unknown"]),
        ("40004", "ACQ.BUYER_SELLER_EQUAL", ["declined", "unknown", "declined", "unknown", "unknown"]),
        ("40004", "ACQ.TRADE_BUYER_NOT_MATCH", ["declined", "unknown", "declined", "unknown", "unknown"]),
        ("40004", "ACQ.BUYER_ENABLE_STATUS_FORBID", ["declined", "unknown", "declined", "unknown", "unknown"]),
        ("40004", "ACQ.SELLER_BALANCE_NOT_ENOUGH", ["unknown", "unknown", "declined", "held", "unknown"]),
        ("40004", "ACQ.DISCORDANT_REPEAT_REQUEST", ["unknown", "unknown", "declined", "unknown", "unknown"]),
        ("40004", "ACQ.REFUND_CHARGE_ERROR", ["unknown", "unknown", "declined", "unknown", "unknown"]),
        ("40004", "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL", ["unknown", "unknown", "declined", "declined", "unknown"]),
        ("40004", "ACQ.REFUND_FEE_ERROR", ["unknown", "unknown", "declined", "declined", "unknown"]),
        ("40004", "ACQ.REASON_TRADE_REFUND_FEE_ERR", ["unknown", "unknown", "declined", "declined", "unknown"]),
        ("40004", "ACQ.REASON_TRADE_BEEN_FREEZEN", ["unknown", "unknown", "declined", "declined", "unknown"]),
        ("40004", "ACQ.TRADE_HAS_FINISHED", ["unknown", "unknown", "declined", "declined", "unknown"]),
        ("40004", "ACQ.TRADE_NOT_ALLOW_REFUND", ["unknown", "unknown", "declined", "declined", "unknown"]),
        ("40004", "ACQ.NOT_ALLOW_PARTIAL_REFUND", ["unknown", "unknown", "declined", "declined", "unknown"]),
        ("40004", "ACQ.BUYER_ERROR", ["unknown", "unknown", "declined", "declined", "unknown"]),
        ("40004", "ACQ.BUYER_NOT_EXIST", ["unknown", "unknown", "declined", "declined", "unknown"]),
        ("40004", "ACQ.USER_NOT_MATCH_ERR", ["unknown", "unknown", "declined", "declined", "unknown"]),
    ];
    let calls = [create("ali_qrcode", OriginalApi::No), query(), close(), refund(), query_refund()];
    for (code, sub_code, wanted) in table {
        for (call, wanted) in calls.iter().zip(wanted) {
            let answer = refusal(call, code, sub_code);
            assert_eq!(answer.outcome.name(), wanted, "{code} {sub_code} on {:?}", call.kind());
            assert_eq!(answer.number.as_deref(), Some(number_of(call)), "{code} {sub_code} on {:?}", call.kind());
        }
    }
}

#[test]
fn the_same_without_a_signature() {
    // Only what the manifest lists counts: application, keys, permission. Anything else proves nothing.
    let table = [
        ("40002", "isv.invalid-app-id", "account_refused"),
        ("40002", "isv.invalid-signature", "account_refused"),
        ("40001", "isv.missing-signature-key", "account_refused"),
        ("40006", "isv.insufficient-isv-permissions", "account_refused"),
        ("40005", "isv.app-call-limited", "unknown"),
        ("40002", "isv.invalid-parameter", "unknown"),
        ("40004", "ACQ.TRADE_NOT_EXIST", "unknown"),
        ("40004", "ACQ.TRADE_NOT_ALLOW_REFUND", "unknown"),
        ("20000", "isp.unknow-error", "unknown"),
        ("10000", "", "unknown"),
    ];
    for call in [create("ali_qrcode", OriginalApi::No), query(), close(), refund(), query_refund()] {
        for (code, sub_code, wanted) in table {
            for root in ["error_response", root_of(&call)] {
                let object = json!({ "code": code, "sub_code": sub_code, "out_trade_no": NUMBER });
                let body = json!({ root: object }).to_string();
                assert_eq!(World::new().answer(&call, body.as_bytes()).outcome.name(), wanted, "{code} {sub_code}");
            }
        }
    }
}

/// A query's answer with these fields beside code, numbers and amount.
fn queried(fields: Value) -> Answer {
    let mut object = json!({ "code": "10000", "out_trade_no": NUMBER, "trade_no": TRADE, "total_amount": "88.88" });
    for (name, value) in fields.as_object().expect("an object") {
        object[name] = value.clone();
    }
    World::new().answer(&query(), told(&query(), &object).as_bytes())
}

#[test]
fn queries_by_status() {
    // Paid, unpaid, and the two meanings of TRADE_CLOSED, which any sign of a payment tells apart.
    let table = [
        (json!({ "trade_status": "WAIT_BUYER_PAY", "buyer_pay_amount": "0.00" }), "unpaid"),
        (json!({ "trade_status": "TRADE_SUCCESS", "send_pay_date": "2026-11-23 12:05:00" }), "succeeded"),
        (json!({ "trade_status": "TRADE_FINISHED" }), "succeeded"),
        (json!({ "trade_status": "TRADE_SUCCESS", "total_amount": "0.00" }), "unknown"),
        (json!({ "trade_status": "TRADE_SUCCESS", "total_amount": "88.888" }), "unknown"),
        (json!({ "trade_status": "TRADE_SUCCESS", "trade_no": "" }), "unknown"),
        (json!({ "trade_status": "TRADE_CLOSED" }), "closed"),
        (json!({ "trade_status": "TRADE_CLOSED", "buyer_pay_amount": "0.00", "receipt_amount": "0.00" }), "closed"),
        (json!({ "trade_status": "TRADE_CLOSED", "fund_bill_list": [] }), "closed"),
        (json!({ "trade_status": "TRADE_CLOSED", "send_pay_date": "2026-11-23 12:05:00" }), "paid_then_returned"),
        (json!({ "trade_status": "TRADE_CLOSED", "buyer_pay_amount": "88.88" }), "paid_then_returned"),
        (json!({ "trade_status": "TRADE_CLOSED", "receipt_amount": "?" }), "paid_then_returned"),
        (json!({ "trade_status": "TRADE_CLOSED", "fund_bill_list": [{ "amount": "88.88" }] }), "paid_then_returned"),
        (json!({ "trade_status": "TRADE_CLOSED", "buyer_pay_amount": "1.00", "total_amount": "" }), "unknown"),
        (json!({ "trade_status": "TRADE_PENDING" }), "unknown"),
        (json!({}), "unknown"),
    ];
    for (fields, wanted) in table {
        assert_eq!(queried(fields.clone()).outcome.name(), wanted, "{fields}");
    }
    let answer = queried(json!({ "trade_status": "TRADE_SUCCESS", "send_pay_date": "2026-11-23 12:05:00" }));
    let Outcome::Succeeded(paid) = answer.outcome else { panic!("not paid") };
    assert_eq!((paid.trade_number.as_str(), paid.amount), (TRADE, cny(8888)));
    assert_eq!(paid.paid_at, Some("2026-11-23T04:05:00Z".parse().expect("a moment")));
    let answer = queried(json!({ "trade_status": "TRADE_CLOSED", "buyer_pay_amount": "88.88" }));
    let Outcome::PaidThenReturned { paid, returned, is_final, .. } = answer.outcome else { panic!("not returned") };
    assert_eq!((paid.amount, returned, is_final), (cny(8888), cny(8888), true));
}

#[test]
fn amounts_as_alipay_writes_them() {
    // Two decimals, fewer, or a bare number; nothing else.
    let table = [
        (json!("88.88"), Some(8888)),
        (json!("0.01"), Some(1)),
        (json!("20"), Some(2000)),
        (json!("0.1"), Some(10)),
        (json!(88.5), Some(8850)),
        (json!("100000000.00"), Some(10_000_000_000)),
        (json!("1e2"), None),
        (json!("-1.00"), None),
        (json!(".5"), None),
        (json!("1."), None),
        (json!("1.000"), None),
        (json!("1,00"), None),
        (json!(null), None),
        (json!({ "a": 1 }), None),
        (json!("99999999999999999999.00"), None),
    ];
    for (text, wanted) in table {
        let answer = queried(json!({ "trade_status": "TRADE_SUCCESS", "total_amount": text.clone() }));
        let amount = if let Outcome::Succeeded(paid) = answer.outcome { Some(paid.amount) } else { None };
        assert_eq!(amount, wanted.map(cny), "{text}");
    }
}

#[test]
fn what_other_calls_are_answered() {
    // Created with a code, closed, refunded only where money moved in this call; the query of a refund by its number.
    let create = create("ali_qrcode", OriginalApi::No);
    let order = json!({ "code": "10000", "out_trade_no": NUMBER, "trade_no": TRADE });
    let with = |fields: Value| {
        let mut object = order.clone();
        for (name, value) in fields.as_object().expect("an object") {
            object[name] = value.clone();
        }
        object
    };
    let refunded = |status: &str, amount: &str, number: &str| {
        with(json!({ "refund_status": status, "refund_amount": amount, "out_request_no": number }))
    };
    let table = [
        (&create, with(json!({ "qr_code": "https://qr.alipay.com/bax01" })), "awaiting_payer"),
        (&create, with(json!({})), "unknown"),
        (&close(), with(json!({})), "closed"),
        (&refund(), with(json!({ "fund_change": "Y", "refund_fee": "10.00" })), "succeeded"),
        (&refund(), with(json!({ "fund_change": "Y", "refund_fee": "30.00" })), "succeeded"),
        (&refund(), with(json!({ "fund_change": "Y", "refund_fee": "9.99" })), "unknown"),
        (&refund(), with(json!({ "fund_change": "Y" })), "unknown"),
        (&refund(), with(json!({ "fund_change": "N", "refund_fee": "10.00" })), "processing"),
        (&refund(), with(json!({ "refund_fee": "10.00" })), "processing"),
        (&query_refund(), refunded("REFUND_SUCCESS", "10.00", REFUND_NUMBER), "succeeded"),
        (&query_refund(), refunded("REFUND_SUCCESS", "", REFUND_NUMBER), "unknown"),
        (&query_refund(), refunded("REFUND_SUCCESS", "10.00", ""), "unknown"),
        (&query_refund(), refunded("REFUND_PROCESSING", "10.00", REFUND_NUMBER), "unknown"),
        (&query_refund(), refunded("", "10.00", REFUND_NUMBER), "unknown"),
        (&query_refund(), with(json!({})), "not_found"),
        (&query_refund(), json!({ "code": "10000", "msg": "Success" }), "not_found"),
    ];
    let world = World::new();
    for (call, object, wanted) in table {
        let answer = world.answer(call, told(call, &object).as_bytes());
        assert_eq!(answer.outcome.name(), wanted, "{object}");
    }
    // The figure of a refund's answer is the sum of all: what this one moved is what it asked for.
    let object = with(json!({ "fund_change": "Y", "refund_fee": "30.00" }));
    let Outcome::Succeeded(paid) = world.answer(&refund(), told(&refund(), &object).as_bytes()).outcome else {
        panic!("not refunded")
    };
    assert_eq!((paid.trade_number.as_str(), paid.amount), (REFUND_NUMBER, cny(1000)));
    let object = with(json!({ "qr_code": "https://qr.alipay.com/bax01" }));
    let Outcome::AwaitingPayer(actions) = world.answer(&create, told(&create, &object).as_bytes()).outcome else {
        panic!("no code")
    };
    assert_eq!(actions[0].usable_until, Some(now().after(Duration::from_hours(2))));
    assert_eq!(
        world.adapter.shown(&code("ali_qrcode"), NUMBER, &actions),
        [("codeUrl".to_owned(), "https://qr.alipay.com/bax01".to_owned())]
    );
}

#[test]
fn an_answer_of_another_order_names_it() {
    // The engine compares: an old answer of another order verifies too, because nothing of the request is signed.
    let paid = |number: &str| {
        json!({ "code": "10000", "out_trade_no": number, "trade_no": TRADE, "total_amount": "88.88",
            "trade_status": "TRADE_SUCCESS", "fund_change": "Y", "refund_fee": "88.88" })
    };
    let world = World::new();
    for call in [query(), close(), refund(), query_refund()] {
        let answer = world.answer(&call, told(&call, &paid("another")).as_bytes());
        assert_eq!(answer.number.as_deref(), Some("another"), "{:?}", call.kind());
        let answer = world.answer(&call, told(&call, &paid("")).as_bytes());
        assert_eq!(answer.outcome.name(), "unknown", "{:?}", call.kind());
    }
    let other = json!({ "code": "10000", "out_trade_no": NUMBER, "out_request_no": "another",
        "refund_status": "REFUND_SUCCESS", "refund_amount": "10.00" });
    let answer = world.answer(&query_refund(), told(&query_refund(), &other).as_bytes());
    assert_eq!(answer.number.as_deref(), Some("another"));
    assert_eq!(answer.outcome.name(), "unknown");
    let other = json!({ "code": "10000", "out_trade_no": NUMBER, "trade_no": "another", "fund_change": "Y",
        "refund_fee": "10.00" });
    assert_eq!(world.answer(&refund(), told(&refund(), &other).as_bytes()).number.as_deref(), Some("another"));
}
