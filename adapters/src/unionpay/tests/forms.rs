//! What is sent and shown: the form that submits itself, the fields of requests, and nothing secret in either.

use maxpay_engine::channel::{Adapter, Call, Outcome, Prepared, RefundKind};
use maxpay_engine::channel::{Original, OriginalApi};
use maxpay_engine::model::{NamedAction, PayerAction};

use crate::parts::{canonical, form};

use super::{MERCHANT, NOTIFY_URL, NUMBER, World, code, create, fen, intent, refund};

fn signed_here(world: &World, subject: &str) -> NamedAction {
    let call = Call::Create { code: code("unipay_web"), intent: intent(subject), original_api: OriginalApi::Yes };
    let Prepared::Done(answer) = world.adapter.prepare(&call, &world.context(NUMBER, None)) else { panic!("sent") };
    assert_eq!(answer.number.as_deref(), Some(NUMBER));
    let Outcome::AwaitingPayer(mut actions) = answer.outcome else { panic!("{:?}", answer.outcome) };
    assert_eq!(actions.len(), 1);
    actions.pop().expect("one")
}

#[test]
fn nothing_breaks_out_of_the_form() {
    // A hostile subject stands for itself; the provider takes the form; the same frozen intent gives the same bytes.
    let world = World::new();
    for subject in ["\"><script>alert(1)</script>", "a&orderId=1&txnAmt=1", "支付'`{[&=+%20", "\u{0}\r\n\t", ""] {
        let action = signed_here(&world, subject);
        let PayerAction::Form { html } = &action.action else { panic!("{action:?}") };
        assert!(!html.contains("<script") && html.matches("<form").count() == 1, "{html}");
        assert_eq!(html.matches('<').count(), html.matches('>').count(), "{html}");
        assert_eq!(signed_here(&world, subject), action, "the same bytes");
        assert_eq!(
            world.adapter.shown(&code("unipay_web"), NUMBER, std::slice::from_ref(&action)),
            [("html".to_owned(), html.clone())]
        );
    }
    let action = signed_here(&world, "\"><script>alert(1)</script> and much more than fits");
    let PayerAction::Form { html } = &action.action else { panic!("{action:?}") };
    assert_eq!(world.simulator.open_page(html).expect("it opens"), NUMBER);
    let fields = form::read_page(html).expect("a form");
    let value = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let table = [
        ("version", "5.1.0"),
        ("txnType", "01"),
        ("txnSubType", "01"),
        ("bizType", "000201"),
        ("channelType", "07"),
        ("merId", MERCHANT),
        ("orderId", NUMBER),
        ("certId", "68759663125"),
        ("txnTime", "20261125120000"),
        ("payTimeout", "20261125140000"),
        ("txnAmt", "1999"),
        ("currencyCode", "156"),
        ("backUrl", NOTIFY_URL),
        ("frontUrl", "https://shop.example/thanks?a=1&b=2"),
        ("orderDesc", "\"><script>alert(1)</script> and"),
    ];
    for (name, wanted) in table {
        assert_eq!(value(name), Some(wanted), "{name}");
    }
}

#[tokio::test]
async fn requests_say_what_was_frozen() {
    // App, void, refund and query: address, kind and numbers; the app's answer is shown as its tn.
    let world = World::new();
    let original = Original { number: NUMBER, numbered_at: world.numbered_at, trade_number: "123", total: fen(1999) };
    let table = [
        (create("unipay_app"), "appTransReq.do", vec![("txnType", "01"), ("channelType", "08"), ("txnAmt", "1999")]),
        (super::query(), "queryTrans.do", vec![("txnType", "00"), ("bizType", "000000"), ("txnAmt", "")]),
        (
            refund(Some(RefundKind::Refund), 5),
            "backTransReq.do",
            vec![("txnType", "04"), ("txnAmt", "5"), ("origQryId", "123"), ("backUrl", NOTIFY_URL)],
        ),
        (refund(Some(RefundKind::Void), 1999), "backTransReq.do", vec![("txnType", "31"), ("origQryId", "123")]),
        (refund(None, 5), "queryTrans.do", vec![("txnType", "00"), ("origQryId", "")]),
    ];
    for (call, path, values) in table {
        let request = world.request(&call, NUMBER, Some(original));
        assert!(request.url.path().ends_with(path) && request.url.query().is_none(), "{}", request.url);
        let body = String::from_utf8(request.body.to_vec()).expect("a form");
        let fields = canonical::read_query(&body);
        let value = |name: &str| fields.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
        for (name, wanted) in values.into_iter().chain([("orderId", NUMBER), ("txnTime", "20261125120000")]) {
            assert_eq!(value(name), wanted, "{name}");
        }
        for secret in ["hunter2", "PRIVATE"] {
            assert!(!body.contains(secret) && !format!("{request:?}").contains(secret), "{body}");
        }
    }
    let Outcome::AwaitingPayer(actions) = world.ask(&create("unipay_app")).await else { panic!("no tn") };
    let PayerAction::AppOrder { order } = &actions[0].action else { panic!("{actions:?}") };
    assert_eq!(order.len(), 21);
    assert_eq!(world.adapter.shown(&code("unipay_app"), NUMBER, &actions), [("tn".to_owned(), order.clone())]);
}

#[test]
fn what_cannot_be_asked_is_not_sent() {
    // A void of a part, an order without a number or with one that does not fit, a close: nothing leaves.
    let world = World::new();
    let original = Original { number: NUMBER, numbered_at: world.numbered_at, trade_number: "123", total: fen(1999) };
    let table = [
        (refund(Some(RefundKind::Void), 1998), NUMBER, Some(original), "whole payment"),
        (refund(Some(RefundKind::Refund), 1), NUMBER, None, "needs its payment"),
        (create("unipay_app"), "short", None, "8 to 40"),
        (create("unipay_web"), "with-a-dash", None, "8 to 40"),
    ];
    for (call, number, original, why) in table {
        match world.adapter.prepare(&call, &world.context(number, original)) {
            Prepared::Done(answer) => {
                assert!(matches!(&answer.outcome, Outcome::NotExecuted(text) if text.contains(why)), "{answer:?}");
            }
            Prepared::Send(_) | Prepared::NeedMaterial(_) | Prepared::Unsupported => panic!("{why}"),
        }
    }
    let close = Call::Close { code: code("unipay_app") };
    assert!(matches!(world.adapter.prepare(&close, &world.context(NUMBER, None)), Prepared::Unsupported));
}
