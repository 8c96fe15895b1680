use super::*;
use crate::parts::form;

async fn shown(code: &str, original_api: OriginalApi) -> (Vec<(String, String)>, World) {
    let world = World::new();
    let call = Call::Create { code: channel(code), intent: intent(1, "CNY"), original_api };
    let Outcome::AwaitingPayer(actions) = world.call(&call).await.outcome else { panic!("{code} awaits its payer") };
    let fields = world.adapter.shown(&channel(code), NUMBER, &actions);
    (fields, world)
}

fn keys(fields: &[(String, String)]) -> Vec<&str> {
    fields.iter().map(|(key, _)| key.as_str()).collect()
}

fn field<'f>(fields: &'f [(String, String)], name: &str) -> &'f str {
    fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).expect(name)
}

#[tokio::test]
async fn every_code_answers_with_its_own_fields() {
    // The original API's answer fields per code (maxleap.md section 1.3, adapter.md section 3), and no others.
    let all_three = ["ali_app", "ali_web", "ali_wap"];
    let table: [(&str, &[&str]); 12] = [
        ("ali_app", &all_three),
        ("ali_web", &all_three),
        ("ali_wap", &all_three),
        ("ali_qrcode", &["codeUrl"]),
        ("wx_app", &["appid", "partnerid", "prepayid", "package", "noncestr", "timestamp", "sign"]),
        ("wx_native", &["prepayid", "codeUrl"]),
        ("wx_jsapi", &["appId", "timeStamp", "nonceStr", "package", "signType", "paySign"]),
        ("wx_mini", &["appId", "timeStamp", "nonceStr", "package", "signType", "paySign"]),
        ("wx_h5", &["mwebUrl"]),
        ("unipay_app", &["tn"]),
        ("unipay_web", &["html"]),
        ("apple_pay", &[]),
    ];
    for (code, fields) in table {
        let (shown, _) = shown(code, OriginalApi::Yes).await;
        assert_eq!(keys(&shown), fields, "{code}");
        assert!(shown.iter().all(|(_, value)| !value.is_empty()), "{code}: {shown:?}");
    }
}

#[tokio::test]
async fn the_native_api_signs_only_what_was_asked() {
    // Without the original API, one code gives its own text alone.
    for code in ["ali_app", "ali_web", "ali_wap"] {
        assert_eq!(keys(&shown(code, OriginalApi::No).await.0), [code]);
    }
}

#[tokio::test]
async fn the_app_order_has_the_recorded_shape() {
    // `key="value"` pairs joined by &, keys in alphabetical order, the amount in yuan, the sign URL-encoded.
    let (fields, world) = shown("ali_app", OriginalApi::Yes).await;
    let order = field(&fields, "ali_app");
    let names: Vec<_> = order.split("\"&").map(|pair| pair.split_once("=\"").expect("a pair").0).collect();
    assert_eq!(
        names,
        [
            "_input_charset",
            "it_b_pay",
            "notify_url",
            "out_trade_no",
            "partner",
            "payment_type",
            "return_url",
            "seller_id",
            "service",
            "sign",
            "sign_type",
            "subject",
            "total_fee"
        ]
    );
    for part in [
        "_input_charset=\"utf-8\"".to_owned(),
        format!("out_trade_no=\"{NUMBER}\""),
        format!("partner=\"{MERCHANT}\""),
        format!("notify_url=\"{NOTIFY_URL}\""),
        "payment_type=\"1\"".to_owned(),
        "service=\"mobile.securitypay.pay\"".to_owned(),
        "sign_type=\"RSA\"".to_owned(),
        "subject=\"it will be ok! '支付' & more\"".to_owned(),
        "total_fee=\"0.01\"".to_owned(),
    ] {
        assert!(order.contains(&part), "{part} in {order}");
    }
    let sign = order.split("&sign=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a sign");
    assert!(sign.ends_with("%3D") && !sign.contains(['+', '/', '=']), "{sign}");
    assert_eq!(world.simulator.open_order(order).expect("it opens"), NUMBER);
}

#[tokio::test]
async fn the_gateway_addresses_have_the_recorded_shape() {
    // Alphabetical keys, the service of the product, an MD5-shaped sign; all three texts are one order.
    let (fields, world) = shown("ali_web", OriginalApi::Yes).await;
    for (name, service) in
        [("ali_web", "create_direct_pay_by_user"), ("ali_wap", "alipay.wap.create.direct.pay.by.user")]
    {
        let url: url::Url = field(&fields, name).parse().expect("an address");
        assert_eq!(url.path(), "/gateway.do");
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let mut sorted = pairs.clone();
        sorted.sort();
        assert_eq!(pairs, sorted, "{name}");
        assert_eq!(field(&pairs, "service"), service);
        assert_eq!(field(&pairs, "sign_type"), "MD5");
        let sign = field(&pairs, "sign");
        assert!(sign.len() == 32 && sign.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')), "{sign}");
    }
    for name in ["ali_web", "ali_wap", "ali_app"] {
        assert_eq!(world.simulator.open_order(field(&fields, name)).expect(name), NUMBER);
    }
    assert_eq!(world.simulator.ledger().expect("the books").len(), 1);
}

#[tokio::test]
async fn the_phone_parameters_have_the_recorded_shape() {
    // Seven texts: a ten-digit timestamp, 32 hexadecimal digits of nonce, 32 upper-case ones of sign.
    let (fields, _) = shown("wx_app", OriginalApi::Yes).await;
    let hex = |text: &str, upper: bool| {
        text.len() == 32
            && text
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (if upper { b'A'..=b'F' } else { b'a'..=b'f' }).contains(&byte))
    };
    assert_eq!(field(&fields, "package"), "Sign=WXPay");
    assert_eq!(field(&fields, "partnerid"), MERCHANT);
    assert_eq!(field(&fields, "timestamp"), "1795377908");
    assert!(hex(field(&fields, "noncestr"), false) && hex(field(&fields, "sign"), true), "{fields:?}");
    assert!(field(&fields, "appid").len() == 18 && field(&fields, "appid").starts_with("wx"));
    let (fields, _) = shown("wx_jsapi", OriginalApi::No).await;
    assert!(field(&fields, "package").starts_with("prepay_id=wx") && hex(field(&fields, "paySign"), true));
    let (fields, _) = shown("wx_native", OriginalApi::Yes).await;
    assert!(field(&fields, "codeUrl").starts_with("weixin://wxpay/bizpayurl?pr="), "{fields:?}");
    let (fields, _) = shown("unipay_app", OriginalApi::Yes).await;
    let tn = field(&fields, "tn");
    assert!(tn.len() == 21 && tn.bytes().all(|byte| byte.is_ascii_digit()), "{tn}");
}

#[tokio::test]
async fn the_form_submits_itself_and_nothing_breaks_out() {
    // A whole page; a hostile subject or address stays inside its field, and the provider reads it back.
    let world = World::new();
    let mut intent = super::intent(1, "CNY");
    intent.subject = "\"><script>alert('1')</script>".to_owned();
    intent.return_url = Some("http://x/\"onload='y'&a=<b>".to_owned());
    let call = Call::Create { code: channel("unipay_web"), intent, original_api: OriginalApi::Yes };
    let Outcome::AwaitingPayer(actions) = world.call(&call).await.outcome else { panic!("it awaits its payer") };
    let html = text_of(&actions[0]);
    assert!(html.starts_with("<!DOCTYPE html>") && html.contains("document.forms[0].submit()"), "{html}");
    assert!(!html.contains("<script") && !html.contains("alert('"), "{html}");
    let fields = form::read_page(html).expect("our page");
    assert_eq!(field(&fields, "frontUrl"), "http://x/\"onload='y'&a=<b>");
    assert_eq!(field(&fields, "orderDesc"), "\"><script>alert('1')</script>");
    assert_eq!(world.simulator.open_order(html).expect("it opens"), NUMBER);
}

#[tokio::test]
async fn a_tampered_order_does_not_open() {
    // Every field of a locally signed order is under its signature.
    for code in ["ali_app", "ali_web", "unipay_web"] {
        let world = World::new();
        let Outcome::AwaitingPayer(actions) = world.call(&creation(code, 4711, "CNY")).await.outcome else {
            panic!("{code} awaits its payer")
        };
        let text = text_of(&actions[0]);
        for (from, to) in
            [("4711", "4710"), ("47.11", "47.10"), (NUMBER, "66f0a1b2c3d4e5f607182931"), (MERCHANT, "2088000000000002")]
        {
            if text.contains(from) {
                assert!(world.simulator.open_order(&text.replace(from, to)).is_err(), "{code}: {from}");
            }
        }
        for cut in [0, 1, text.len() / 2, text.len() - 1] {
            if text.is_char_boundary(cut) && code != "unipay_web" {
                assert!(world.simulator.open_order(&text[..cut]).is_err(), "{code}: {cut}");
            }
        }
        let twice = format!("{text}&total_fee=\"0.01\"");
        assert!(code != "ali_app" || world.simulator.open_order(&twice).is_err());
        assert!(world.simulator.ledger().expect("the books").is_empty());
        assert_eq!(world.simulator.open_order(text).expect("it opens"), NUMBER);
    }
}

#[tokio::test]
async fn a_browser_opens_orders_too() {
    // The gateway takes the address as it is, and the form as a browser posts it.
    let world = World::new();
    for code in ["ali_web", "unipay_web"] {
        let Outcome::AwaitingPayer(actions) = world.call(&creation(code, 1, "CNY")).await.outcome else {
            panic!("{code} awaits its payer")
        };
        let text = text_of(&actions[0]);
        let served = if code == "ali_web" {
            world.simulator.handle("GET", text.strip_prefix(IN_PROCESS).expect("ours"), &[], b"")
        } else {
            let body = crate::parts::canonical::query(&form::read_page(text).expect("our page"));
            world.simulator.handle("POST", "/mounted/here/form.do", &[], body.as_bytes())
        };
        let reply = served.reply().expect("an answer");
        // The second code says the same number with another content: it is another order's number.
        assert_eq!(reply.status, if code == "ali_web" { 200 } else { 400 }, "{code} {:?}", reply.body);
    }
}

#[test]
fn the_manifest_claims_what_the_adapter_does() {
    // Every code is there once, locally signed codes send nothing, and a close is unsupported only where it says so.
    let world = World::new();
    let manifest = world.adapter.manifest();
    assert!(manifest.test_mode_only);
    let codes: Vec<_> = manifest.codes.iter().map(|rules| rules.code.to_string()).collect();
    assert_eq!(codes, CODES);
    for rules in &manifest.codes {
        let create = world.adapter.prepare(&creation(rules.code.as_str(), 1, "CNY"), &world.context());
        assert_eq!(matches!(create, Prepared::Done(_)), rules.locally_signed, "{}", rules.code);
        let close = world.adapter.prepare(&Call::Close { code: rules.code.clone() }, &world.context());
        assert_eq!(matches!(close, Prepared::Unsupported), rules.close.is_none(), "{}", rules.code);
        assert!(rules.min_life < rules.expiry.0 && rules.expiry.0 <= rules.expiry_default);
        assert!(rules.expiry_default <= rules.expiry.1);
    }
}
