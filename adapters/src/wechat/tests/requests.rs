use super::*;
use crate::wechat::shown;
use crate::wechat::signature::{client_text, request_text};

type Change = fn(&mut HttpRequest);

#[tokio::test]
async fn every_code_is_ordered_and_opens_its_order() {
    // The provider takes what is signed, and the payer's device gets the shape of its code with the right lifetime.
    for code in CODES {
        let world = World::new();
        let answer = world.create(code, 1).await;
        let Outcome::AwaitingPayer(actions) = &answer.outcome else { panic!("{code}: {answer:?}") };
        let [action] = &actions[..] else { panic!("{code}: one action") };
        let lifetime =
            action.usable_until.expect("it ends").since(Timestamp::from_millis(world.now().seconds() * 1000));
        assert_eq!(lifetime, Duration::from_mins(if code == "wx_h5" { 5 } else { 120 }), "{code}");
        let fields: Vec<_> = shown::shown(&channel(code), actions).into_iter().map(|(name, _)| name).collect();
        let wanted: &[&str] = match code {
            "wx_app" => &["appid", "partnerid", "prepayid", "package", "noncestr", "timestamp", "sign"],
            "wx_native" => &["codeUrl"],
            "wx_h5" => &["mwebUrl"],
            _ => &["appId", "timeStamp", "nonceStr", "package", "signType", "paySign"],
        };
        assert_eq!(fields, wanted, "{code}");
        assert_eq!(answer.provider_time.map(Timestamp::seconds), Some(world.now().seconds()));
        assert!(matches!(world.query().await, Outcome::Unpaid), "{code}");
    }
}

#[tokio::test]
async fn client_parameters_are_signed_per_kind() {
    // An app signs the bare prepay id, pages and mini programs `prepay_id=…`; the merchant's key signed both.
    for code in ["wx_app", "wx_jsapi", "wx_mini"] {
        let world = World::new();
        let Outcome::AwaitingPayer(actions) = world.create(code, 1).await.outcome else { panic!("{code}") };
        let PayerAction::Prepay { parameters } = &actions[0].action else { panic!("{code}") };
        let value = |at: usize| parameters[at].1.as_str();
        let (text, signature) = if code == "wx_app" {
            assert!(value(2).starts_with("wx") && value(3) == "Sign=WXPay" && value(1) == MCHID);
            (format!("{}\n{}\n{}\n{}\n", value(0), value(5), value(4), value(2)), value(6))
        } else {
            assert!(value(3).starts_with("prepay_id=wx") && value(4) == "RSA");
            (format!("{}\n{}\n{}\n{}\n", value(0), value(1), value(2), value(3)), value(5))
        };
        assert!(keys().merchant[0].public.verifies_sha256_base64(text.as_bytes(), signature), "{code}");
    }
}

#[test]
fn the_signed_texts_are_the_documents_own() {
    // The examples of 4012365342 and 4012365338: five lines of a request, four of client parameters, each ended.
    let body = br#"{"appid":"wxd678efh567hg6787"}"#;
    let text =
        request_text("POST", "/v3/pay/transactions/jsapi", 1_554_208_460, "593BEC0C930BF1AFEB40B4A08C8FB242", body);
    assert_eq!(
        String::from_utf8(text).expect("text"),
        "POST\n/v3/pay/transactions/jsapi\n1554208460\n593BEC0C930BF1AFEB40B4A08C8FB242\n\
         {\"appid\":\"wxd678efh567hg6787\"}\n"
    );
    let text = request_text("GET", "/v3/certificates", 1_554_208_460, "593BEC0C930BF1AFEB40B4A08C8FB242", b"");
    assert!(text.ends_with(b"B242\n\n"), "a GET ends with an empty line");
    let prepay = "prepay_id=wx201410272009395522657a690389285100";
    assert_eq!(
        client_text("wx2421b1c4370ec43b", "1554208460", "593BEC0C930BF1AFEB40B4A08C8FB242", prepay),
        "wx2421b1c4370ec43b\n1554208460\n593BEC0C930BF1AFEB40B4A08C8FB242\n\
         prepay_id=wx201410272009395522657a690389285100\n"
    );
}

#[tokio::test]
async fn an_order_says_what_was_frozen() {
    // Amount, number, absolute expiry in whole seconds of Beijing time, the payer, and where to tell of it.
    let world = World::with_public_key();
    let body =
        |code: &str| -> Value { serde_json::from_slice(&world.request(&creation(code, 1999)).body).expect("JSON") };
    assert_eq!(
        body("wx_jsapi"),
        json!({
            "appid": APPID, "mchid": MCHID, "description": "it will be ok! \"支付\" & more", "out_trade_no": NUMBER,
            "time_expire": "2026-11-23T06:05:08+08:00", "notify_url": NOTIFY_URL,
            "amount": { "total": 1999, "currency": "CNY" }, "payer": { "openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o" },
        })
    );
    let scene = json!({ "payer_client_ip": "14.23.150.211", "h5_info": { "type": "Wap" } });
    assert_eq!(body("wx_h5")["scene_info"], scene);
    assert_eq!(body("wx_native").get("payer"), None);
    let request = world.request(&query());
    assert_eq!(request.url.as_str(), format!("{IN_PROCESS}/v3/pay/transactions/out-trade-no/{NUMBER}?mchid={MCHID}"));
    let serial = request.headers.iter().find(|(name, _)| name == "wechatpay-serial").map(|(_, value)| value.as_str());
    assert!(serial.is_some_and(|serial| serial.starts_with("PUB_KEY_ID_")), "the answer's key is asked for");
    let first = world.request(&creation("wx_native", 1)).body;
    world.clock.advance(Duration::from_secs(30));
    assert_eq!(first, world.request(&creation("wx_native", 1)).body, "the same words however often");
}

#[tokio::test]
async fn codes_have_app_ids_of_their_own() {
    // A code is ordered under its own app id where there is one, and answers are compared with that.
    let mut world = World::new();
    let mini = "wxaaaaaaaaaaaaaaaa";
    world.settings.insert("appid_mini".to_owned(), mini.into());
    world.simulator.enrol(Merchant { appids: vec![APPID.to_owned(), mini.to_owned()], ..merchant() });
    let answer = world.create("wx_mini", 1).await;
    assert!(matches!(answer.outcome, Outcome::AwaitingPayer(_)), "{answer:?}");
    let told = world.call(&Call::Query { code: channel("wx_mini") }).await;
    assert_eq!(told.owners, [("mchid", MCHID.to_owned()), ("appid_mini", mini.to_owned())]);
    assert_eq!(told.number.as_deref(), Some(NUMBER));
    world.pay(PayerCommand::Pay);
    let notified = world.pass(Duration::from_secs(1)).await;
    let Notified::Verified { facts, .. } = &notified[0] else { panic!("verified") };
    assert_eq!(facts[0].owners, [("mchid", MCHID.to_owned()), ("appid_mini", mini.to_owned())]);
    world.settings.remove("appid_mini");
    let raw = world.call(&Call::Query { code: channel("wx_mini") }).await;
    assert_eq!(raw.owners[1], ("appid", mini.to_owned()), "which disagrees with the account's");
}

#[tokio::test]
async fn what_cannot_be_asked_is_not_executed() {
    // A missing input, another currency or a key that cannot be read: nothing leaves.
    let mut world = World::with_public_key();
    let mut without = intent(1);
    without.payer = PayerInputs::default();
    let create =
        |code: &str, intent: Intent| Call::Create { code: channel(code), intent, original_api: OriginalApi::Yes };
    let dollars = Intent { amount: Money::new(1, "USD".parse().expect("a currency")).expect("in range"), ..intent(1) };
    for call in [
        create("wx_jsapi", without.clone()),
        create("wx_mini", without.clone()),
        create("wx_h5", without),
        create("wx_native", dollars),
        create("ali_app", intent(1)),
        refund(1),
    ] {
        let outcome = world.call(&call).await.outcome;
        assert!(matches!(outcome, Outcome::NotExecuted(_)), "{outcome:?}");
    }
    world.secrets[0].0.insert("private_key".to_owned(), Secret::from_text("hunter2"));
    let outcome = world.query().await;
    assert!(matches!(&outcome, Outcome::NotExecuted(why) if !why.contains("hunter2")), "{outcome:?}");
    for call in [
        Call::PayerSession { code: channel("wx_app"), validation_url: None },
        Call::Authorize { code: channel("wx_app"), intent: intent(1), token: Secret::from_text("{}") },
    ] {
        let prepared = world.about(&call, |context| world.adapter.prepare(&call, context));
        assert!(matches!(prepared, Prepared::Unsupported));
    }
}

#[tokio::test]
async fn a_tampered_request_executes_nothing() {
    // Any change of method, path, body or header of a request is refused at the door, and the books stay empty.
    let changes: [(&str, Change); 7] = [
        ("body", |request| {
            let text = String::from_utf8(request.body.to_vec()).expect("JSON").replace("\"total\":1,", "\"total\":2,");
            request.body = text.into();
        }),
        ("path", |request| request.url.set_path("/v3/pay/transactions/app")),
        ("signature", |request| request.headers[1].1 = request.headers[1].1.replace("signature=\"", "signature=\"A")),
        ("merchant", |request| request.headers[1].1 = request.headers[1].1.replace(MCHID, "1900000110")),
        ("serial", |request| request.headers[1].1 = request.headers[1].1.replace("serial_no=\"", "serial_no=\"00")),
        ("time", |request| request.headers[1].1 = request.headers[1].1.replace("timestamp=\"17", "timestamp=\"16")),
        ("no signature", |request| request.headers.retain(|(name, _)| name != "authorization")),
    ];
    for (what, change) in changes {
        let world = World::with_public_key();
        let call = creation("wx_native", 1);
        let mut request = world.request(&call);
        change(&mut request);
        let reply = world.carry(request).await.expect("an answer");
        assert_eq!(reply.status, 401, "{what}");
        let outcome = world.read(&call, &reply).await.outcome;
        // A wrong clock is not the account's fault.
        let wanted = if what == "time" { "not_executed" } else { "account_refused" };
        assert_eq!(outcome.name(), wanted, "{what}: {outcome:?}");
        assert!(world.simulator.ledger().expect("the books").is_empty(), "{what}");
    }
}

#[test]
fn nothing_secret_shows() {
    // No Debug of a request, a context's parts or an error shows a key.
    let world = World::with_public_key();
    let request = world.request(&creation("wx_native", 1));
    let shown = format!("{request:?} {:?} {:?}", world.adapter, world.simulator);
    for secret in [API_V3_KEY, "PRIVATE", "signature=", "MII"] {
        assert!(!shown.contains(secret), "{secret}: {shown}");
    }
}

#[test]
fn the_manifest_claims_what_the_adapter_does() {
    // Five codes, each ordered, closed and refunded, none voided; bounds that fit each other.
    let world = World::new();
    let manifest = world.adapter.manifest();
    let codes: Vec<_> = manifest.codes.iter().map(|rules| rules.code.to_string()).collect();
    assert_eq!(codes, CODES);
    for rules in &manifest.codes {
        assert!(rules.close.is_some() && rules.refund.is_some() && rules.void.is_none() && !rules.locally_signed);
        assert!(rules.min_life >= Duration::from_mins(1) && rules.min_life < rules.expiry.0);
        assert!(rules.expiry.0 <= rules.expiry_default && rules.expiry_default <= rules.expiry.1);
    }
}
