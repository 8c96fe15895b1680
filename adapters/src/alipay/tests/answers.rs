//! Whose an answer is: signatures, and every way to spoil one.

use super::super::signed::Envelope;
use super::*;

fn paid() -> String {
    let object = format!(
        r#"{{"code":"10000","msg":"Success","out_trade_no":"{NUMBER}","trade_no":"{TRADE}","total_amount":"88.88","trade_status":"TRADE_SUCCESS","url":"https:\/\/a\/b","name":"支付"}}"#
    );
    signed_by(&keys().alipay.1, "alipay_trade_query_response", &object, None)
}

#[test]
fn one_changed_byte_of_what_is_signed_is_refused() {
    // Every byte of the object, of the root's name and of the signature: nothing then proves anything.
    let world = World::new();
    let body = paid().into_bytes();
    assert_eq!(world.answer(&query(), &body).outcome.name(), "succeeded");
    for at in 0..body.len() {
        for change in [1_u8, 0x20] {
            let mut spoilt = body.clone();
            spoilt[at] ^= change;
            let outcome = world.answer(&query(), &spoilt).outcome;
            assert_eq!(outcome.name(), "unknown", "byte {at} of {}", String::from_utf8_lossy(&spoilt));
        }
    }
    for end in [0, 1, body.len() / 2, body.len() - 1] {
        assert_eq!(world.answer(&query(), &body[..end]).outcome.name(), "unknown", "cut at {end}");
    }
}

#[test]
fn a_published_answer_holds() {
    // Alipay's sandbox answered so, by a method that is not asked here: what is found in it is what was signed. It says
    // nothing of its time, so it holds for ever; changed in any byte of object or signature it does not.
    const METHOD: &str = "alipay.open.file.upload";
    let body = include_bytes!("../../../vectors/alipay/answer.json");
    let key = PublicKey::read(include_bytes!("../../../vectors/alipay/answer-key.pem")).expect("a key");
    let holds = |body: &[u8]| {
        let envelope = Envelope::read(body, METHOD)?;
        Some(key.verifies_sha256_base64(envelope.object.as_bytes(), &envelope.sign?))
    };
    assert_eq!(holds(body), Some(true));
    for at in 0..body.len() {
        let mut changed = body.to_vec();
        changed[at] ^= 1;
        assert_ne!(holds(&changed), Some(true), "byte {at}");
    }
}

#[test]
fn what_is_not_signed_by_alipay_proves_nothing() {
    // No signature, another's, the application's own, one over the same text written another way, one of a status
    // outside 2xx.
    let world = World::new();
    let body = paid();
    let object = &body[body.find(":{").expect("an object") + 1..=body.find('}').expect("its end")];
    let plain = object.replace("\\/", "/");
    let sign = keys().alipay.1.sign_sha256_base64(plain.as_bytes());
    let table = [
        ("unsigned", format!(r#"{{"alipay_trade_query_response":{object}}}"#)),
        ("empty", format!(r#"{{"alipay_trade_query_response":{object},"sign":""}}"#)),
        ("a stranger's", signed_by(&keys().next.1, "alipay_trade_query_response", object, None)),
        ("our own", signed_by(&keys().app.1, "alipay_trade_query_response", object, None)),
        ("of other bytes", format!(r#"{{"alipay_trade_query_response":{object},"sign":"{sign}"}}"#)),
        ("of another method", signed_by(&keys().alipay.1, "alipay_trade_close_response", object, None)),
        ("twice", body.replacen('{', &format!(r#"{{"alipay_trade_query_response":{object},"#), 1)),
        ("HTML", "<html>502</html>".to_owned()),
        ("nothing", String::new()),
    ];
    for (name, body) in table {
        assert_eq!(world.answer(&query(), body.as_bytes()).outcome.name(), "unknown", "{name}");
    }
    for status in [199, 302, 400, 401, 429, 500, 502] {
        let Interpreted::Done(answer) = world.interpret(&query(), status, body.as_bytes()) else { panic!("no answer") };
        assert_eq!(answer.outcome.name(), "unknown", "status {status}");
    }
}

#[test]
fn keys_of_every_revision_verify() {
    // Yesterday's key still does, whichever is newest; nothing signs with it.
    let mut world = World::new();
    let next = Secret::from_bytes(keys().next.1.public_der().to_vec());
    world.secrets.insert(0, secrets(&[("private_key", keys().app.0.clone()), ("alipay_public_key", next)]));
    assert_eq!(world.answer(&query(), paid().as_bytes()).outcome.name(), "succeeded");
    let object = json!({ "code": "40004", "sub_code": "ACQ.TRADE_NOT_EXIST", "out_trade_no": NUMBER }).to_string();
    let body = signed_by(&keys().next.1, "alipay_trade_query_response", &object, None);
    assert_eq!(world.answer(&query(), body.as_bytes()).outcome, Outcome::NotFound);
}

#[test]
fn nothing_secret_shows() {
    // Neither the key nor what was answered stands in any reason or Debug.
    let world = World::new();
    let key = String::from_utf8_lossy(keys().app.0.expose()).into_owned();
    for body in [paid(), paid().replace("Success", "hunter2"), "hunter2".to_owned()] {
        let shown = format!("{:?}", world.answer(&query(), body.as_bytes()));
        assert!(!shown.contains("hunter2") && !shown.contains(&key), "{shown}");
    }
    let object = json!({ "code": "hunter2 hunter2", "sub_code": "<script>\u{202e}" });
    let answer = world.answer(&query(), told(&query(), &object).as_bytes());
    assert_eq!(answer.outcome, Outcome::Unknown("hunter2hunter2 script".to_owned()), "plain letters only");
}
