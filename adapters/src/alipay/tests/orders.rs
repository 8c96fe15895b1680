//! What is asked: the parameters of each call, signed.

use super::*;

fn pairs_of_request(request: &HttpRequest) -> Vec<(String, String)> {
    let mut pairs = canonical::read_query(request.url.query().unwrap_or_default());
    pairs.extend(canonical::read_query(std::str::from_utf8(&request.body).expect("a form")));
    pairs
}

fn biz(pairs: &[(String, String)]) -> Value {
    serde_json::from_str(value(pairs, "biz_content")).expect("JSON")
}

#[test]
fn orders_are_signed_here() {
    // Each of the three is its own method and product, says the frozen words and the absolute expiry, and verifies.
    let world = World::new();
    let table = [
        ("ali_app", "alipay.trade.app.pay", "QUICK_MSECURITY_PAY"),
        ("ali_web", "alipay.trade.page.pay", "FAST_INSTANT_TRADE_PAY"),
        ("ali_wap", "alipay.trade.wap.pay", "QUICK_WAP_WAY"),
    ];
    for (name, method, product) in table {
        let actions = actions(world.prepare(&create(name, OriginalApi::No)));
        assert_eq!(actions.len(), 1, "only the one that was asked");
        let pairs = pairs_of(&actions[0].action);
        assert!(is_signed(&pairs), "{name}");
        let biz = biz(&pairs);
        assert_eq!(value(&pairs, "method"), method);
        assert_eq!(biz["product_code"], product);
        assert_eq!(biz["out_trade_no"], NUMBER);
        assert_eq!(biz["total_amount"], "88.88");
        assert_eq!(biz["subject"], "茶 100%+ ＆ more");
        assert_eq!(biz["time_expire"], "2026-11-23 14:05:06");
        assert_eq!(biz.get("timeout_express"), None, "it would start anew at each opening");
        assert_eq!(value(&pairs, "app_id"), APP);
        assert_eq!(value(&pairs, "notify_url"), NOTIFY_URL);
        assert_eq!(value(&pairs, "timestamp"), "2026-11-23 12:05:06");
        assert_eq!(value(&pairs, "return_url").is_empty(), name == "ali_app");
        match &actions[0].action {
            PayerAction::AppOrder { order } => assert!(name == "ali_app" && order.starts_with("app_id=")),
            PayerAction::Redirect { url } => {
                assert!(url.starts_with("https://openapi-sandbox.dl.alipaydev.com/gateway.do?app_id="), "{url}");
            }
            PayerAction::Prepay { .. }
            | PayerAction::Form { .. }
            | PayerAction::QrText { .. }
            | PayerAction::WalletSession { .. } => panic!("another action"),
        }
        let again = super::actions(world.prepare(&create(name, OriginalApi::No)));
        assert_eq!(again, actions, "the same input gives the same bytes");
    }
}

#[test]
fn the_original_api_gets_all_three() {
    // Whichever was asked; a product that the contract lacks is left out.
    let mut world = World::new();
    let names = |world: &World, asked| -> Vec<(String, String)> {
        let actions = actions(world.prepare(&create(asked, OriginalApi::Yes)));
        world.adapter.shown(&code(asked), NUMBER, &actions)
    };
    for asked in ["ali_app", "ali_web", "ali_wap"] {
        let shown: Vec<_> = names(&world, asked).into_iter().map(|(name, _)| name).collect();
        assert_eq!(shown, ["ali_app", "ali_web", "ali_wap"]);
    }
    world.settings.insert("products".to_owned(), "app, wap".into());
    let shown: Vec<_> = names(&world, "ali_app").into_iter().map(|(name, _)| name).collect();
    assert_eq!(shown, ["ali_app", "ali_wap"]);
    let Prepared::Done(answer) = world.prepare(&create("ali_web", OriginalApi::Yes)) else { panic!("not refused") };
    assert_eq!(answer.outcome.name(), "not_executed", "a product that the contract lacks");
}

#[test]
fn a_live_account_asks_alipay() {
    // Whatever the gateway setting says.
    let mut world = World::new();
    world.mode = Mode::Live;
    world.settings.insert("gateway".to_owned(), "http://127.0.0.1:1/gateway.do".into());
    assert_eq!(world.sent(&query()).url.host_str(), Some("openapi.alipay.com"));
}

#[test]
fn every_call_is_a_signed_request() {
    // Method and content of each; the content stands in the body, all else in the address.
    let world = World::new();
    let table = [
        (
            create("ali_qrcode", OriginalApi::No),
            "alipay.trade.precreate",
            json!({
                "out_trade_no": NUMBER, "total_amount": "88.88", "subject": "茶 100%+ ＆ more",
                "time_expire": "2026-11-23 14:05:06",
            }),
        ),
        (query(), "alipay.trade.query", json!({ "out_trade_no": NUMBER })),
        (close(), "alipay.trade.close", json!({ "out_trade_no": NUMBER })),
        (
            refund(),
            "alipay.trade.refund",
            json!({
                "out_trade_no": NUMBER, "trade_no": TRADE, "out_request_no": REFUND_NUMBER,
                "refund_amount": "10.00", "refund_reason": "正常退款",
            }),
        ),
        (
            query_refund(),
            "alipay.trade.fastpay.refund.query",
            json!({
                "out_trade_no": NUMBER, "trade_no": TRADE, "out_request_no": REFUND_NUMBER,
                "query_options": ["gmt_refund_pay"],
            }),
        ),
    ];
    for (call, method, content) in table {
        let request = world.sent(&call);
        let pairs = pairs_of_request(&request);
        assert!(is_signed(&pairs), "{method}");
        assert_eq!(value(&pairs, "method"), method);
        assert_eq!(biz(&pairs), content);
        assert_eq!(value(&pairs, "notify_url").is_empty(), method != "alipay.trade.precreate");
        assert!(request.body.starts_with(b"biz_content=%7B"));
        assert_eq!(request.headers[0].1, "application/x-www-form-urlencoded;charset=utf-8");
        let shown = format!("{request:?}");
        assert!(!shown.contains("sign") && !shown.contains(NUMBER), "{shown}");
    }
}

#[test]
fn what_cannot_be_asked_is_not_executed() {
    // No key, no product, another currency: nothing leaves, and it says why.
    let mut world = World::new();
    let mut foreign = intent();
    foreign.amount = Money::new(100, "USD".parse().expect("a currency")).expect("in range");
    let foreign = Call::Create { code: code("ali_app"), intent: foreign, original_api: OriginalApi::No };
    let outcome = |world: &World, call: &Call| match world.prepare(call) {
        Prepared::Done(answer) => answer.outcome,
        Prepared::Send(_) | Prepared::NeedMaterial(_) | Prepared::Unsupported => panic!("it is asked"),
    };
    assert_eq!(outcome(&world, &foreign), Outcome::NotExecuted("Alipay takes CNY only".to_owned()));
    assert!(matches!(world.prepare(&Call::Maintain), Prepared::Unsupported));
    let void = Call::Void { code: code("ali_app"), refund: refund_intent() };
    assert!(matches!(world.prepare(&void), Prepared::Unsupported));
    world.secrets = vec![secrets(&[("private_key", Secret::from_text("hunter2"))])];
    let refused = outcome(&world, &query());
    assert_eq!(refused.name(), "not_executed");
    assert!(!format!("{refused:?}").contains("hunter2"));
}
