//! Notifications: a published one, and every status.

use super::*;

use maxpay_engine::channel::{Fact, FactSubject};

/// A notification that Alipay sent, published with its key in the official package:
/// github.com/alipay/alipay-sdk-nodejs-all at 4.14.0, test/alipay.test.ts, "verify sign should delete sign_type".
const PUBLISHED: [(&str, &str); 24] = [
    ("gmt_create", "2019-08-15 15:56:22"),
    ("charset", "utf-8"),
    ("seller_email", "z97-yuquerevenue@service.aliyun.com"),
    ("subject", "语雀空间 500人规模"),
    ("buyer_id", "2088102534368455"),
    ("invoice_amount", "0.10"),
    ("notify_id", "2019081500222155624068450559358070"),
    ("fund_bill_list", r#"[{"amount":"0.10","fundChannel":"ALIPAYACCOUNT"}]"#),
    ("notify_type", "trade_status_sync"),
    ("trade_status", "TRADE_SUCCESS"),
    ("receipt_amount", "0.10"),
    ("buyer_pay_amount", "0.10"),
    ("app_id", "2019073166072302"),
    ("seller_id", "2088531891668739"),
    ("gmt_payment", "2019-08-15 15:56:24"),
    ("notify_time", "2019-08-15 15:56:25"),
    ("version", "1.0"),
    ("out_trade_no", "20190815155618536-564-57"),
    ("total_amount", "0.10"),
    ("trade_no", "2019081522001468450512505578"),
    ("auth_app_id", "2019073166072302"),
    ("buyer_logon_id", "xud***@126.com"),
    ("point_amount", "0.00"),
    ("sign_type", "RSA2"),
];
const PUBLISHED_SIGN: &str = "QfTb8tqE1BMhS5qAnXtvsF3/jBkEvu9q9en0pdbBUDDjvKycZhQb7h8GDs4FKfi049PynaNuatxSgLb/nLWZpXyyh0LEWdK2S6Ri7nPwrVgOs08zugLO20vOQz44y3ti2Ncm8/wZts1Fr2gZ7pShnVX3d1B50hbsXnObT1r/U8ONNQjWXd0HIul4TG+Q3fm3svmSvFEy0WnzuhcyHPX5Gm4ELNctL6Qd5YniGJFNcc7kopHYtI/XD9YCKCH6Ct02rzUs9i11C9CsadtZn+WhxF26Dqt9sGEFajkJ8cxUTLi8+VCpLHsgPE8P0y095uQcDdK0YjCh4x7wVSov+lrmOQ==";
const PUBLISHED_KEY: &str = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAqObrdC7hrgAVM98tK0nv3hSQRGGKT4lBsQjHiGjeYZjOPIPHR5knm2jnnz/YGIXIofVHkA/tAlBAd5DrY7YpvI4tP5EONLtZKC2ghBMx7McI2wRD0xiqzxOQr1FuhZGJ8/AUokBzJrzY+aGX2xcOrxFYRlFilvVLTXg4LWjR1tdPkO6+i7wQZAIVMClPkwVRZEbaERRHlKqTzv2gGv5rDU8gRoe1LeaN+6BlbTqHWkQcNCUNrA8C6l17XAXGKDsm/9TFWwO8EPHHHCaQdjtV5/FdcWIt+L8SR1ss7EXTjYDFtxcKVv9rEoY1lX8T4mX+GbXfZHraG5NCF1+XioL5JwIDAQAB";

fn published(change: Option<(&str, &str)>) -> String {
    let mut pairs: Vec<(String, String)> =
        PUBLISHED.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    pairs.push(("sign".to_owned(), PUBLISHED_SIGN.to_owned()));
    for (name, value) in &mut pairs {
        if change.is_some_and(|(changed, _)| changed == name) {
            *value = change.map(|(_, to)| to.to_owned()).unwrap_or_default();
        }
    }
    query_text(&pairs)
}

fn fact(notified: Notified) -> Fact {
    match notified {
        Notified::Verified { mut facts, ack, refusal } => {
            assert_eq!((ack.status, ack.body.as_ref()), (200, b"success".as_slice()));
            assert_ne!((refusal.status, refusal.body.as_ref()), (200, b"success".as_slice()));
            assert_eq!(facts.len(), 1);
            facts.remove(0)
        }
        Notified::Unverified { reason, .. } => panic!("unverified: {reason}"),
        Notified::Hint { .. } | Notified::NeedMaterial(_) => panic!("no fact"),
    }
}

#[test]
fn a_published_notification_verifies() {
    // As Alipay sent it in 2019; changed in any field, signed values or not, it is refused.
    let key = Secret::from_text(PUBLISHED_KEY);
    let world = World::with(secrets(&[("private_key", keys().app.0.clone()), ("alipay_public_key", key)]));
    let fact = fact(world.notified(&published(None)));
    assert_eq!(fact.subject, FactSubject::Attempt("20190815155618536-564-57".to_owned()));
    assert_eq!(fact.owners, [("app_id", "2019073166072302".to_owned()), ("seller_id", "2088531891668739".to_owned())]);
    let Outcome::Succeeded(paid) = fact.outcome else { panic!("not paid") };
    assert_eq!((paid.amount, paid.trade_number.as_str()), (cny(10), "2019081522001468450512505578"));
    assert_eq!(paid.paid_at, Some("2019-08-15T07:56:24Z".parse().expect("a moment")));
    assert_eq!(fact.provider_time, Some("2019-08-15T07:56:25Z".parse().expect("a moment")));
    for (name, _) in PUBLISHED {
        let body = published(Some((name, "0.11")));
        assert!(matches!(world.notified(&body), Notified::Unverified { .. }), "{name}");
    }
    assert!(matches!(World::new().notified(&published(None)), Notified::Unverified { .. }), "another account's key");
}

/// A notification of these fields, over the ones that all have.
fn of(fields: &[(&str, &str)]) -> String {
    let mut all = BTreeMap::from([
        ("app_id", APP),
        ("seller_id", SELLER),
        ("notify_type", "trade_status_sync"),
        ("notify_time", "2026-11-23 12:05:06"),
        ("out_trade_no", NUMBER),
        ("trade_no", TRADE),
        ("total_amount", "88.88"),
        ("trade_status", "TRADE_SUCCESS"),
        ("gmt_payment", "2026-11-23 12:05:00"),
        ("subject", "100%+ more=1"),
    ]);
    all.extend(fields.iter().copied());
    all.retain(|_, value| *value != "-");
    notice(&keys().alipay.1, &all.into_iter().collect::<Vec<_>>())
}

#[test]
fn a_signature_is_not_for_other_fields() {
    // The signed text of a notice that the order is closed is also that of one that it is paid, with the parts of its
    // subject as fields of their own: neither is believed, and both lead to a query.
    let subject = "x&total_amount=88.88&trade_no=1&trade_status=TRADE_SUCCESS&z=";
    let closed = of(&[("subject", subject), ("trade_status", "TRADE_CLOSED"), ("gmt_payment", "-")]);
    let sign = crate::parts::canonical::read_query(&closed)
        .into_iter()
        .find(|(name, _)| name == "sign")
        .expect("it is signed");
    let moved = [
        ("app_id", APP),
        ("notify_time", "2026-11-23 12:05:06"),
        ("notify_type", "trade_status_sync"),
        ("out_trade_no", NUMBER),
        ("seller_id", SELLER),
        ("subject", "x"),
        ("total_amount", "88.88"),
        ("trade_no", "1"),
        ("trade_status", "TRADE_SUCCESS"),
        ("z", &format!("&total_amount=88.88&trade_no={TRADE}&trade_status=TRADE_CLOSED")),
        ("sign_type", "RSA2"),
        ("sign", &sign.1),
    ];
    let moved = query_text(&moved.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let world = World::new();
    for body in [closed, moved] {
        assert!(matches!(world.notified(&body), Notified::Hint { number, .. } if number == NUMBER), "{body}");
    }
}

#[test]
fn statuses_and_what_they_prove() {
    // Refund fields tell the two meanings of a status apart; what is not known is looked at.
    let refunded = [("gmt_refund", "2026-11-23 12:05:05.123"), ("refund_fee", "30.00"), ("out_biz_no", REFUND_NUMBER)];
    let closed = ("trade_status", "TRADE_CLOSED");
    let unpaid = ("gmt_payment", "-");
    let table: [(&[(&str, &str)], &str); 18] = [
        (&[], "succeeded"),
        (&[("trade_status", "TRADE_FINISHED")], "succeeded"),
        (&[("refund_fee", "0.00")], "succeeded"),
        (&refunded, "paid_then_returned"),
        (&[refunded[0], refunded[1], ("trade_status", "TRADE_FINISHED")], "paid_then_returned"),
        (&[refunded[1]], "paid_then_returned"),
        (&[refunded[0]], "hint"),
        (&[closed, refunded[0], ("refund_fee", "88.88")], "paid_then_returned"),
        (&[closed, refunded[0]], "paid_then_returned"),
        (&[closed, unpaid], "closed"),
        (&[closed, unpaid, ("buyer_pay_amount", "0.00")], "closed"),
        (&[closed], "hint"),
        (&[closed, unpaid, ("receipt_amount", "88.88")], "hint"),
        (&[("trade_status", "WAIT_BUYER_PAY"), unpaid], "hint"),
        (&[("trade_status", "SEIZED_BY_A_COURT")], "hint"),
        (&[("total_amount", "a lot")], "hint"),
        (&[("notify_type", "servicemarket_order_notify")], "hint"),
        (&[("subject", "tea & cake")], "hint"),
    ];
    let world = World::new();
    for (fields, wanted) in table {
        let found = match world.notified(&of(fields)) {
            Notified::Verified { facts, .. } => facts[0].outcome.name(),
            Notified::Hint { number, .. } => {
                assert_eq!(number, NUMBER);
                "hint"
            }
            Notified::Unverified { reason, .. } => panic!("{fields:?}: {reason}"),
            Notified::NeedMaterial(_) => panic!("{fields:?}: material"),
        };
        assert_eq!(found, wanted, "{fields:?}");
    }
}

#[test]
fn a_sum_of_refunds_settles_no_single_one() {
    // The figure is the trade's; which refunds it is made of is asked.
    let fields = [("gmt_refund", "2026-11-23 12:05:05"), ("refund_fee", "30.00"), ("out_biz_no", REFUND_NUMBER)];
    let fact = fact(World::new().notified(&of(&fields)));
    let Outcome::PaidThenReturned { paid, returned, refunds, is_final, .. } = fact.outcome else { panic!("no return") };
    assert_eq!((paid.amount, returned, is_final), (cny(8888), cny(3000), true));
    assert!(refunds.is_empty());
    assert_eq!(fact.subject, FactSubject::Attempt(NUMBER.to_owned()));
}

#[test]
fn what_does_not_prove_itself_changes_nothing() {
    // Without signature, another's, SHA-1, fields twice, no form, no order.
    let world = World::new();
    let good = of(&[]);
    let table = [
        ("empty", String::new()),
        ("no signature", "out_trade_no=1&trade_status=TRADE_SUCCESS".to_owned()),
        ("a stranger's", notice(&keys().next.1, &[("out_trade_no", NUMBER), ("trade_status", "TRADE_SUCCESS")])),
        ("SHA-1", good.replace("sign_type=RSA2", "sign_type=RSA")),
        ("a field twice", format!("{good}&trade_status=TRADE_CLOSED")),
        ("a field more", format!("{good}&refund_fee=88.88")),
        ("no order", of(&[("out_trade_no", "-")])),
        ("long", format!("{good}&x={}", "x".repeat(70_000))),
    ];
    for (name, body) in table {
        let Notified::Unverified { refusal, .. } = world.notified(&body) else { panic!("{name} is believed") };
        assert_eq!((refusal.status, refusal.body.as_ref()), (400, b"fail".as_slice()), "{name}");
    }
}

#[test]
fn the_owner_is_told_for_comparison() {
    // Another application's or seller's notification names it; one that names none names nobody.
    let world = World::new();
    for (field, value, wanted) in [("app_id", "2021009999999999", "2021009999999999"), ("seller_id", "-", "")] {
        let fact = fact(world.notified(&of(&[(field, value)])));
        assert!(fact.owners.contains(&(field, wanted.to_owned())), "{:?}", fact.owners);
    }
}

#[test]
fn empty_values_and_certificates() {
    // Signed with or without its empty values it holds; under a number that is not known its certificate is fetched.
    let world = World::new();
    let fields = [
        ("app_id", APP),
        ("out_trade_no", NUMBER),
        ("notify_type", "trade_status_sync"),
        ("body", ""),
        ("trade_no", TRADE),
    ];
    let mut pairs: Vec<(String, String)> =
        fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let sign = keys().alipay.1.sign_sha256_base64(notice_text(&pairs, false).as_bytes());
    pairs.extend([("sign_type".to_owned(), "RSA2".to_owned()), ("sign".to_owned(), sign)]);
    assert!(matches!(world.notified(&query_text(&pairs)), Notified::Hint { .. }));
    assert!(matches!(world.notified(&notice(&keys().alipay.1, &fields)), Notified::Hint { .. }));
    let world = World::with(Papers::new().secrets());
    assert!(matches!(world.notified(&of(&[])), Notified::Verified { .. }), "it names no certificate: the saved one");
    let unknown = [("alipay_cert_sn", "687b59193f3f462dd5336e5abf83c5d8")];
    assert!(matches!(world.notified(&of(&unknown)), Notified::NeedMaterial(_)));
    let invented = [("alipay_cert_sn", "687b59193f3f462dd5336e5abf83c5d8,1")];
    assert!(matches!(world.notified(&of(&invented)), Notified::Unverified { .. }), "no certificate has that number");
}
