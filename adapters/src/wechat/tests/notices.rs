use super::*;
use crate::parts::rsa::PublicKey;
use crate::parts::x509::Certificate;
use crate::wechat::sealed;
use crate::wechat::signature::{Proof, SERIAL, SIGNATURE, proof};
use crate::wechat::wire::SealedText;
use maxpay_engine::channel::FactSubject;

type Change = fn(&mut RawNotification);
type Breaking = fn(&mut SealedText);

/// A world in which an order was paid, and the notice that tells of it.
async fn paid() -> (World, RawNotification) {
    let world = World::new();
    world.create("wx_native", 100).await;
    world.pay(PayerCommand::Pay);
    while world.simulator.tick(world.now()).await.expect("the books are open") > 0 {}
    let raw = world.arrived().remove(0);
    (world, raw)
}

#[tokio::test]
async fn a_payment_is_told_with_its_owners() {
    // The fact names the order, whose it is, how much, and when it was signed; it is acknowledged with 200.
    let (world, raw) = paid().await;
    let Notified::Verified { facts, ack, refusal } = world.notified(&raw) else { panic!("verified") };
    let [fact] = &facts[..] else { panic!("one fact") };
    assert_eq!(fact.subject, FactSubject::Attempt(NUMBER.to_owned()));
    assert_eq!(fact.owners, [("mchid", MCHID.to_owned()), ("appid", APPID.to_owned())]);
    assert_eq!(fact.provider_time.map(Timestamp::seconds), Some(world.now().seconds()));
    assert!(matches!(&fact.outcome, Outcome::Succeeded(paid) if paid.amount == yuan(100)));
    assert_eq!((ack.status, refusal.status), (200, 503));
    assert_eq!(refusal.body, br#"{"code":"FAIL","message":"not now"}"#.as_slice());
}

#[tokio::test]
async fn what_does_not_prove_itself_changes_nothing() {
    // Tampered, unsigned, under another key, or a probe: refused with the exact failure answer.
    let changes: [(&str, Change); 6] = [
        ("body", |raw| raw.body = String::from_utf8_lossy(&raw.body).replace("SUCCESS", "SUCCESs").into()),
        ("no signature", |raw| raw.headers.retain(|(name, _)| name != SIGNATURE)),
        ("half a signature", |raw| {
            set(raw, SIGNATURE, |value| value.truncate(100));
        }),
        ("a probe", |raw| set(raw, SIGNATURE, |value| value.insert_str(0, "WECHATPAY/SIGNTEST/"))),
        ("no serial number", |raw| raw.headers.retain(|(name, _)| name != SERIAL)),
        ("the merchant's own key", |raw| {
            set(raw, SERIAL, |value| keys().merchant[0].serial.clone_into(value));
        }),
    ];
    for (what, change) in changes {
        let (world, mut raw) = paid().await;
        change(&mut raw);
        let Notified::Unverified { refusal, .. } = world.notified(&raw) else { panic!("{what}") };
        assert_eq!(refusal.status, 401, "{what}");
        assert_eq!(refusal.content_type, "application/json");
        assert_eq!(refusal.body, br#"{"code":"FAIL","message":"not verified"}"#.as_slice(), "{what}");
    }
    let (world, raw) = paid().await;
    world.clock.advance(Duration::from_secs(301));
    assert_eq!(names(&[world.notified(&raw)]), ["unverified"], "replayed too late");
}

#[tokio::test]
async fn forged_and_probing_notices_are_refused() {
    // What the simulated provider, or somebody in its place, sends to see whether signatures are checked.
    let world = World::new();
    world.create("wx_native", 100).await;
    world.pay(PayerCommand::NotifyForged);
    world.pay(PayerCommand::Probe);
    assert_eq!(names(&world.pass(Duration::from_secs(1)).await), ["unverified", "unverified"]);
}

#[tokio::test]
async fn notices_come_late_twice_and_until_acknowledged() {
    // A notice that is not acknowledged is repeated, signed anew each time.
    let world = World::new();
    world.create("wx_native", 100).await;
    world.pay(PayerCommand::NotifyTwice);
    assert_eq!(names(&world.pass(Duration::from_secs(2)).await), ["succeeded"; 2]);
    world.inbox.lock().expect("no panic").1 = 2;
    world.pay(PayerCommand::NotifyTwice);
    let notified = world.pass(Duration::from_mins(1)).await;
    assert_eq!(notified.len(), 4, "two that are repeated once");
}

#[tokio::test]
async fn a_new_certificate_is_fetched_for_a_notice_once() {
    // An unknown serial number asks for the list; one that the list lacks does not ask again and again.
    let (world, _) = paid().await;
    world.simulator.rotate(keys().platform[1].clone());
    world.pay(PayerCommand::NotifyTwice);
    // Its first repetition.
    world.clock.advance(Duration::from_secs(15));
    while world.simulator.tick(world.now()).await.expect("the books are open") > 0 {}
    let raw = world.arrived().remove(0);
    let Notified::NeedMaterial(request) = world.notified(&raw) else { panic!("the certificate is missing") };
    assert_eq!(world.learn(request).await, None);
    assert_eq!(names(&[world.notified(&raw)]), ["succeeded"]);
    let mut strange = raw.clone();
    set(&mut strange, SERIAL, |value| "5157F09EFDC096DE15EBE81A47057A7232F1B8E1".clone_into(value));
    assert_eq!(names(&[world.notified(&strange)]), ["unverified"], "the list is fresh");
    set(&mut strange, SERIAL, |value| "no serial number!".clone_into(value));
    world.clock.advance(Duration::from_secs(31));
    assert_eq!(names(&[world.notified(&strange)]), ["unverified"]);
}

#[tokio::test]
async fn the_content_opens_under_the_newest_or_an_older_key() {
    // The APIv3 key of every revision is tried; without the right one the notice is refused, so that it is repeated.
    let (mut world, raw) = paid().await;
    let mut newer = secrets(&keys().merchant[0], false);
    newer.0.insert("api_v3_key".to_owned(), Secret::from_text(&"b".repeat(32)));
    world.secrets.insert(0, newer);
    assert_eq!(names(&[world.notified(&raw)]), ["succeeded"]);
    world.secrets.truncate(1);
    assert_eq!(names(&[world.notified(&raw)]), ["unverified"]);
}

#[tokio::test]
async fn what_a_verified_notice_says() {
    // One row for each event and state: what is not known is a hint to look, never a fact.
    let (world, _) = paid().await;
    let order = |state: &str| {
        format!(
            r#"{{"appid":"{APPID}","mchid":"{MCHID}","out_trade_no":"{NUMBER}","trade_state":"{state}",
                "transaction_id":"42","amount":{{"total":100,"payer_total":90,"currency":"CNY"}}}}"#
        )
    };
    let refund = |state: &str| {
        format!(
            r#"{{"mchid":"{MCHID}","out_trade_no":"{NUMBER}","transaction_id":"42","out_refund_no":"{REFUND}",
                "refund_id":"50","refund_status":"{state}","success_time":"2018-06-08T10:34:56+08:00",
                "amount":{{"total":100,"refund":30,"payer_total":100,"payer_refund":30}}}}"#
        )
    };
    let table = [
        ("TRANSACTION.SUCCESS", order("SUCCESS"), "succeeded"),
        ("TRANSACTION.SUCCESS", order("REFUND"), "paid_then_returned"),
        ("TRANSACTION.SUCCESS", order("SOMETHING_NEW"), "hint"),
        ("TRANSACTION.SUCCESS", order("CLOSED").replace(r#""transaction_id":"42","#, ""), "hint"),
        ("TRANSACTION.SUCCESS", order("NOTPAY"), "hint"),
        ("TRANSACTION.SUCCESS", "{}".to_owned(), "unverified"),
        ("TRANSACTION.SEIZED", order("SUCCESS"), "hint"),
        ("TRANSACTION.SEIZED", "[]".to_owned(), "unverified"),
        ("REFUND.SUCCESS", refund("SUCCESS"), "succeeded"),
        ("REFUND.ABNORMAL", refund("ABNORMAL"), "held"),
        ("REFUND.CLOSED", refund("CLOSED"), "closed"),
        ("REFUND.CLOSED", refund("SUCCESS"), "unverified"),
        ("REFUND.SUCCESS", "{}".to_owned(), "unverified"),
    ];
    for (event, content, wanted) in table {
        let sealed = world.simulator.sealed(content.as_bytes(), "transaction", &merchant()).expect("a key");
        let body = json!({
            "id": "EV-2018022511223320873", "create_time": "2015-05-20T13:29:35+08:00", "event_type": event,
            "resource_type": "encrypt-resource", "summary": "x", "resource": sealed,
        })
        .to_string();
        let key = &keys().platform[0];
        let headers = signed_headers(&world, key, &key.serial, &body);
        let notified = world.notified(&RawNotification { headers, query: String::new(), body: body.into() });
        if let Notified::Verified { facts, .. } = &notified
            && event.starts_with("REFUND")
        {
            assert_eq!(facts[0].subject, FactSubject::Refund(REFUND.to_owned()));
            assert_eq!(facts[0].owners, [("mchid", MCHID.to_owned())]);
        }
        assert_eq!(names(&[notified]), [wanted], "{event} {content}");
    }
}

#[test]
fn a_published_notice_verifies_at_its_time_and_not_today() {
    // A notice that WeChat Pay's own SDK tests with (vectors/wechat): its signature held in 2021 for those five minutes.
    const SIGNATURE_THEN: &str = "tJHIiIS9eB2hAYstmAmbbD3ZE5LiIm/Ug5tuL4fC0YOFRWIHV39UFIZXC0e9Wl6lBu6sKvkqDkzpqzBsVHyXFl\
        bYZTOQrVdG4b6LfTnK4mikv9++ixJMd3vTf2yCqvBkh98zs3Ds5zsYQakzbcwhmw4fMJs4nPLws28H0UW9FjDR//rxELLwXvV1VEA1IBLX70\
        xptjL8hrfUjEE8kkry6yNJTHZRU8CAc7qHli2Ng1V1qb9ARbK8A3ThmFmPQvRGrapI/jS2laKKgYUmfdEdkNO6B2Cke5e8VTxY406ArAmQ90\
        GAihDwIcb16TQMnzCMBoutnwZKNiKRACrFmtxw2Q==";
    let body = include_bytes!("../../../vectors/wechat/notice.json");
    let platform =
        Certificate::read_one(include_bytes!("../../../vectors/wechat/platform.pem")).expect("a certificate");
    assert_eq!(platform.serial_hex(), "D7CE59D1F522D701");
    let header = |name: &str| match name {
        SIGNATURE => Some(SIGNATURE_THEN),
        SERIAL => Some("D7CE59D1F522D701"),
        "wechatpay-nonce" => Some("EcZ9Cmy4Xyx1i6RlJQzLcCyEqDa26NBz"),
        "wechatpay-timestamp" => Some("1624523846"),
        _ => None,
    };
    let keys = |serial: &str| {
        let key = PublicKey::read(platform.public_key()).expect("an RSA key");
        if serial == "D7CE59D1F522D701" { vec![key] } else { Vec::new() }
    };
    let then = Timestamp::from_millis(1_624_523_846_000);
    let table = [
        (then, &body[..], Proof::Holds(then)),
        (then.after(Duration::from_mins(5)), &body[..], Proof::Holds(then)),
        (then.before(Duration::from_mins(5)), &body[..], Proof::Holds(then)),
        (then, &body[..body.len() - 1], Proof::Broken("the signature is wrong")),
    ];
    for (now, body, wanted) in table {
        assert_eq!(proof(header, body, now, keys), wanted);
    }
    for now in [then.after(Duration::from_secs(301)), Timestamp::from_millis(1_795_377_908_118)] {
        assert!(matches!(proof(header, body, now, keys), Proof::Broken(why) if why.contains("five minutes")));
    }
}

#[test]
fn sealed_texts_open_only_as_they_were_sealed() {
    // What OpenSSL sealed (through Node.js) opens; any change of text, nonce, associated data, key or algorithm does not.
    let key = Secret::from_text("0123456789abcdefghijklmnopqrstuv");
    let sealed = sealed::seal("Hello, 微信".as_bytes(), "transaction", "fdasflkja484", &key).expect("a key");
    assert_eq!(sealed.ciphertext, "opIz/wdBMyb5YgopbkhEZm3T/0fKexDCEPWEAxQ=");
    assert_eq!(sealed::open(&sealed, &key).expect("it opens").expose(), "Hello, 微信".as_bytes());
    let changes: [(&str, Breaking); 5] = [
        ("text", |sealed| sealed.ciphertext.replace_range(0..1, "p")),
        ("nonce", |sealed| "fdasflkja485".clone_into(&mut sealed.nonce)),
        ("short nonce", |sealed| "fdasflkja48".clone_into(&mut sealed.nonce)),
        ("associated data", |sealed| sealed.associated_data = None),
        ("algorithm", |sealed| "AEAD_SM4_GCM".clone_into(&mut sealed.algorithm)),
    ];
    for (what, change) in changes {
        let mut broken = sealed.clone();
        change(&mut broken);
        assert!(sealed::open(&broken, &key).is_none(), "{what}");
    }
    assert!(sealed::open(&sealed, &Secret::from_text(&"b".repeat(32))).is_none());
    assert!(sealed::open(&sealed, &Secret::from_text("short")).is_none());
}

fn set(raw: &mut RawNotification, name: &str, change: impl FnOnce(&mut String)) {
    let found = raw.headers.iter_mut().find(|(key, _)| key == name);
    change(&mut found.expect("it is there").1);
}
