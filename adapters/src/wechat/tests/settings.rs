use super::*;

type Change = fn(&mut Map<String, Value>, &mut SecretSettings);

fn live() -> Map<String, Value> {
    json!({ "mchid": MCHID, "appid": APPID }).as_object().expect("an object").clone()
}

fn put(secrets: &mut SecretSettings, name: &str, value: &str) {
    secrets.0.insert(name.to_owned(), Secret::from_text(value));
}

#[test]
fn right_settings_name_an_identity() {
    // Merchant, app ids and host are the contract; keys are not.
    let adapter = WeChat::new();
    let now = Timestamp::from_millis(1_795_377_908_118);
    let check = |mode, settings: &Map<String, Value>, secrets: &SecretSettings| {
        adapter.validate(mode, settings, secrets, now).map_err(|errors| format!("{errors:?}"))
    };
    let identity = "1900000109 with wxd678efh567hg6787 at https://api.mch.weixin.qq.com";
    assert_eq!(check(Mode::Live, &live(), &secrets(&keys().merchant[0], false)), Ok(identity.to_owned()));
    assert_eq!(check(Mode::Live, &live(), &secrets(&keys().merchant[1], true)), Ok(identity.to_owned()));
    let mut by_serial = secrets(&keys().merchant[0], false);
    by_serial.0.remove("certificate");
    put(&mut by_serial, "certificate_serial", &keys().merchant[0].serial.to_ascii_lowercase());
    assert_eq!(check(Mode::Live, &live(), &by_serial), Ok(identity.to_owned()));
    let mut test = live();
    test.insert("base_url".to_owned(), "http://127.0.0.1:8090/".into());
    test.insert("appid_app".to_owned(), "wxaaaaaaaaaaaaaaaa".into());
    let identity = "1900000109 with wxd678efh567hg6787, wxaaaaaaaaaaaaaaaa at http://127.0.0.1:8090";
    assert_eq!(check(Mode::Test, &test, &by_serial), Ok(identity.to_owned()));
}

#[test]
fn each_mistake_names_its_field() {
    // One row for each thing that goes wrong when an account is saved: the field, and a word of what would be right.
    let table: [(&str, &str, Change); 25] = [
        ("mchid", "digits", |plain, _| drop(plain.remove("mchid"))),
        ("mchid", "digits", |plain, _| drop(plain.insert("mchid".into(), "19000001o9".into()))),
        ("appid", "wx and 16", |plain, _| drop(plain.remove("appid"))),
        ("appid", "wx and 16", |plain, _| drop(plain.insert("appid".into(), 7.into()))),
        ("appid_app", "wx and 16", |plain, _| drop(plain.insert("appid_app".into(), "".into()))),
        ("appid_mini", "wx and 16", |plain, _| drop(plain.insert("appid_mini".into(), "gh_1234567890abcd".into()))),
        ("base_url", "in live mode", |plain, _| drop(plain.insert("base_url".into(), "https://example.com".into()))),
        ("base_url", "in live mode", |plain, _| {
            plain.insert("base_url".into(), "http://api.mch.weixin.qq.com".into());
        }),
        ("base_url", "without query", |plain, _| drop(plain.insert("base_url".into(), "api.mch".into()))),
        ("color", "no setting", |plain, _| drop(plain.insert("color".into(), "red".into()))),
        ("private_key", "is needed", |_, secret| drop(secret.0.remove("private_key"))),
        ("private_key", "not base64", |_, secret| put(secret, "private_key", "hunter2!")),
        ("private_key", "is a public key", |_, secret| put(secret, "private_key", keys().merchant[0].public_pem())),
        ("private_key", "is a certificate", |_, secret| {
            put(secret, "private_key", keys().merchant[0].certificate_pem());
        }),
        ("certificate", "is needed, or", |_, secret| drop(secret.0.remove("certificate"))),
        ("certificate", "does not belong", |_, secret| {
            put(secret, "certificate", keys().merchant[1].certificate_pem());
        }),
        ("certificate", "is merchant 1900000109's", |plain, _| {
            plain.insert("mchid".into(), "1900000110".into());
        }),
        ("certificate", "no certificate", |_, secret| put(secret, "certificate", "hunter2!")),
        ("certificate_serial", "hexadecimal", |_, secret| put(secret, "certificate_serial", "hunter2!")),
        ("certificate_serial", "leave one", |_, secret| put(secret, "certificate_serial", "5157F09EFDC096DE")),
        ("api_v3_key", "exactly 32", |_, secret| put(secret, "api_v3_key", "hunter2")),
        ("api_v3_key", "is needed", |_, secret| drop(secret.0.remove("api_v3_key"))),
        ("wechatpay_public_key_id", "is needed with", |_, secret| drop(secret.0.remove("wechatpay_public_key_id"))),
        ("wechatpay_public_key", "merchant's own", |_, secret| {
            put(secret, "wechatpay_public_key", keys().merchant[0].public_pem());
        }),
        ("wechatpay_public_key_id", "PUB_KEY_ID_", |_, secret| put(secret, "wechatpay_public_key_id", "0112345678")),
    ];
    let adapter = WeChat::new();
    for (field, word, change) in table {
        let (mut plain, mut secret) = (live(), secrets(&keys().merchant[0], true));
        change(&mut plain, &mut secret);
        let now = Timestamp::from_millis(1_795_377_908_118);
        let errors = adapter.validate(Mode::Live, &plain, &secret, now).expect_err(field);
        let [error] = &errors[..] else { panic!("{field}: {errors:?}") };
        assert_eq!(error.field, field, "{errors:?}");
        assert!(error.why.contains(word) && !error.why.contains("hunter2"), "{error}");
    }
}

#[test]
fn a_certificate_has_its_time() {
    // Not before, not after.
    let adapter = WeChat::new();
    for (now, word) in [("2019-12-31T23:59:59Z", "is valid from"), ("2045-01-02T00:00:00Z", "expired at")] {
        let now = now.parse().expect("a moment");
        let errors = adapter.validate(Mode::Live, &live(), &secrets(&keys().merchant[0], false), now);
        let errors = errors.expect_err(word);
        assert!(errors.len() == 1 && errors[0].field == "certificate" && errors[0].why.contains(word), "{errors:?}");
    }
}

#[test]
fn test_mode_wants_a_simulator() {
    // WeChat Pay has no test environment: a test account at its real hosts would move money.
    let adapter = WeChat::new();
    let now = Timestamp::from_millis(1_795_377_908_118);
    let errors = adapter.validate(Mode::Test, &live(), &secrets(&keys().merchant[0], false), now);
    let errors = errors.expect_err("refused");
    assert!(errors.len() == 1 && errors[0].field == "base_url" && errors[0].why.contains("simulator"), "{errors:?}");
}
