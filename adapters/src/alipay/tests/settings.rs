//! Settings: what is refused when they are saved, and how it is told.

use super::*;

const LIVE_GATEWAY: &str = "https://openapi.alipay.com/gateway.do";

fn check(mode: Mode, settings: &Value, secrets: &SecretSettings) -> Result<String, Vec<(String, String)>> {
    let settings = settings.as_object().expect("an object");
    Alipay::new()
        .validate(mode, settings, secrets, now())
        .map_err(|errors| errors.into_iter().map(|error| (error.field, error.why)).collect())
}

fn public_key_mode() -> SecretSettings {
    World::new().secrets.remove(0)
}

#[test]
fn good_settings_name_their_contract() {
    // Application, seller and gateway; keys and products may change without its being another contract.
    let settings = json!({ "app_id": APP, "seller_id": SELLER });
    let live = check(Mode::Live, &settings, &public_key_mode()).expect("good");
    assert_eq!(live, "2021001161683774 of 2088831204659217 at https://openapi.alipay.com/gateway.do");
    assert_eq!(check(Mode::Live, &settings, &Papers::new().secrets()).expect("good"), live);
    let test = check(Mode::Test, &settings, &public_key_mode()).expect("good");
    assert!(test.ends_with("at https://openapi-sandbox.dl.alipaydev.com/gateway.do"));
    let settings = json!({ "app_id": APP, "seller_id": SELLER, "gateway": "http://127.0.0.1:9000/gateway.do",
        "products": "app,web" });
    let other = check(Mode::Test, &settings, &public_key_mode()).expect("good");
    assert!(other.ends_with("at http://127.0.0.1:9000/gateway.do"));
}

#[test]
fn wrong_settings_are_told_by_field() {
    // Each mistake alone, at the field that is wrong.
    let table = [
        (Mode::Test, json!({ "seller_id": SELLER }), "app_id"),
        (Mode::Test, json!({ "app_id": "wx0123456789abcd", "seller_id": SELLER }), "app_id"),
        (Mode::Test, json!({ "app_id": APP, "seller_id": APP }), "seller_id"),
        (Mode::Test, json!({ "app_id": APP, "seller_id": 2_088_831_204_659_217_u64 }), "seller_id"),
        (Mode::Test, json!({ "app_id": APP, "seller_id": SELLER, "gateway": "ftp://x" }), "gateway"),
        (Mode::Test, json!({ "app_id": APP, "seller_id": SELLER, "gateway": "https://x/?a=1" }), "gateway"),
        (Mode::Live, json!({ "app_id": APP, "seller_id": SELLER, "gateway": "https://x/" }), "gateway"),
        (Mode::Test, json!({ "app_id": APP, "seller_id": SELLER, "gateway": LIVE_GATEWAY }), "gateway"),
        (Mode::Test, json!({ "app_id": APP, "seller_id": SELLER, "products": "" }), "products"),
        (Mode::Test, json!({ "app_id": APP, "seller_id": SELLER, "products": "app,jsapi" }), "products"),
        (Mode::Test, json!({ "app_id": APP, "seller_id": SELLER, "appid": APP }), "appid"),
    ];
    for (mode, settings, field) in table {
        let errors = check(mode, &settings, &public_key_mode()).expect_err("wrong");
        assert_eq!(errors.len(), 1, "{settings}: {errors:?}");
        assert_eq!(errors[0].0, field, "{settings}");
    }
}

#[test]
fn wrong_keys_are_told_by_field() {
    // What merchants paste by mistake, each with what would be right.
    let papers = Papers::new();
    let text = |pem: String| Secret::from_text(&pem);
    let own = Secret::from_bytes(keys().app.1.public_der().to_vec());
    let old = {
        let says = Says {
            subject: "CN=Alipay Ltd-2088831204659217,OU=Alipay,C=CN",
            serial: 3,
            from: now().before(Duration::from_hours(48)),
            life: Duration::from_hours(24),
            authority: false,
        };
        text(papers.alipay_class.issue(says, &keys().alipay.1).pem())
    };
    let of_another_seller = {
        let subject = format!("CN=2088000000000000-{APP},C=CN");
        let says = Says {
            subject: &subject,
            serial: 9,
            from: now().before(Duration::from_hours(24)),
            life: Duration::from_hours(48),
            authority: false,
        };
        text(papers.alipay_class.issue(says, &keys().app.1).pem())
    };
    let changed = |mode: fn(&Papers) -> SecretSettings, name: &str, to: Option<Secret>| {
        let mut secrets = mode(&papers);
        match to {
            Some(secret) => secrets.0.insert(name.to_owned(), secret),
            None => secrets.0.remove(name),
        };
        secrets
    };
    let key_mode: fn(&Papers) -> SecretSettings = |_| public_key_mode();
    let cert_mode: fn(&Papers) -> SecretSettings = Papers::secrets;
    let hunter = || Some(Secret::from_text("hunter2!"));
    let alipay_public = || Some(Secret::from_bytes(keys().alipay.1.public_der().to_vec()));
    let table = [
        (changed(key_mode, "private_key", None), "private_key", "is needed"),
        (changed(key_mode, "private_key", hunter()), "private_key", "not base64"),
        (changed(key_mode, "private_key", alipay_public()), "private_key", "is a public key"),
        (changed(key_mode, "alipay_public_key", None), "alipay_public_key", "is needed"),
        (changed(key_mode, "alipay_public_key", hunter()), "alipay_public_key", "not base64"),
        (changed(key_mode, "alipay_public_key", Some(own)), "alipay_public_key", "the application's own"),
        (changed(key_mode, "alipay_public_key", Some(keys().app.0.clone())), "alipay_public_key", "is a private key"),
        (changed(key_mode, "secret_key", hunter()), "secret_key", "is no secret setting"),
        (changed(cert_mode, "alipay_public_key", alipay_public()), "alipay_public_key", "beside certificates"),
        (changed(cert_mode, "app_cert", None), "app_cert", "is needed"),
        (changed(cert_mode, "alipay_cert", None), "alipay_cert", "is needed"),
        (changed(cert_mode, "alipay_root_cert", None), "alipay_root_cert", "is needed"),
        (changed(cert_mode, "app_cert", hunter()), "app_cert", "certificate"),
        (changed(cert_mode, "alipay_cert", Some(old)), "alipay_cert", "is valid from"),
        (
            changed(cert_mode, "app_cert", Some(text(papers.app(APP, 5, &keys().next.1)))),
            "app_cert",
            "is for another key",
        ),
        (
            changed(cert_mode, "app_cert", Some(text(papers.app("2021009999999999", 5, &keys().app.1)))),
            "app_cert",
            "of application 2021009999999999",
        ),
        (changed(cert_mode, "app_cert", Some(of_another_seller)), "seller_id", "is not 2088000000000000"),
        (
            changed(cert_mode, "alipay_cert", Some(text(papers.app(APP, 5, &keys().app.1)))),
            "alipay_cert",
            "is an application's certificate",
        ),
    ];
    let settings = json!({ "app_id": APP, "seller_id": SELLER });
    for (secrets, field, why) in table {
        let errors = check(Mode::Test, &settings, &secrets).expect_err("wrong");
        assert_eq!(errors.len(), 1, "{field} {why}: {errors:?}");
        assert_eq!(errors[0].0, field, "{errors:?}");
        assert!(errors[0].1.contains(why), "{errors:?}");
        assert!(!format!("{errors:?}").contains("hunter2"));
    }
}

#[test]
fn the_manifest_names_every_setting() {
    // What is validated is what is described; keys and certificates are all sealed.
    let manifest = Alipay::new().manifest().clone();
    let sealed: Vec<_> = manifest.settings.iter().filter(|field| field.secret).map(|field| field.name).collect();
    assert_eq!(sealed, ["private_key", "alipay_public_key", "app_cert", "alipay_cert", "alipay_root_cert"]);
    assert_eq!(manifest.codes.len(), 4);
    assert!(!manifest.test_mode_only);
}
