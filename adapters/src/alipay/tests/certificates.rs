//! Certificate mode: numbers, downloads, and whom to trust.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::super::certificates::{Leaf, Roots};
use super::*;

/// Published certificates of the official package: github.com/alipay/alipay-sdk-nodejs-all at 4.14.0, test/fixtures;
/// their numbers stand in test/antcertutil.test.ts.
const ROOTS: &[u8] = include_bytes!("../../../vectors/alipay/alipayRootCert.crt");
const ALIPAY: &[u8] = include_bytes!("../../../vectors/alipay/alipayCertPublicKey_RSA2.crt");
const APP_CERT: &[u8] = include_bytes!("../../../vectors/alipay/appCertPublicKey_2021001161683774.crt");

#[test]
fn published_certificates_have_their_numbers() {
    // Issuer and serial number as Alipay hashes them; of the four roots only the RSA ones count.
    let roots = Roots::read(ROOTS).expect("the bundle");
    assert_eq!(roots.certificates.len(), 4);
    assert_eq!(roots.number, "687b59193f3f462dd5336e5abf83c5d8_02941eef3187dddf3d3b83462e1dfcf6");
    let alipay = Leaf::read(ALIPAY).expect("Alipay's");
    assert_eq!(alipay.number, "7513daaaa48aa3ba2e4018d84402479c");
    assert_eq!(alipay.holder(), None);
    let app = Leaf::read(APP_CERT).expect("the application's");
    assert_eq!(app.number, "866efef280dec9137a87d047ac446315");
    assert_eq!(app.holder(), Some(("2088831204659217".to_owned(), "2021001161683774".to_owned())));
    assert!(!app.may_follow(&alipay), "a merchant's certificate stands for no one else");
}

fn not_exist() -> String {
    json!({ "code": "40004", "sub_code": "ACQ.TRADE_NOT_EXIST", "out_trade_no": NUMBER }).to_string()
}

fn number(pem: &str) -> String {
    Leaf::read(pem.as_bytes()).expect("a certificate").number.clone()
}

fn download(content: &[u8], key: &PrivateKey, number: &str) -> String {
    let object = json!({ "code": "10000", "msg": "Success", "alipay_cert_content": STANDARD.encode(content) });
    signed_by(key, root_of(&Call::Maintain), &object.to_string(), Some(number))
}

#[test]
fn requests_name_their_certificates() {
    // app_cert_sn and alipay_root_cert_sn, inside the signature.
    let papers = Papers::new();
    let world = World::with(papers.secrets());
    let pairs = canonical::read_query(world.sent(&query()).url.query().expect("a query"));
    assert_eq!(value(&pairs, "app_cert_sn"), number(&papers.app(APP, 100, &keys().app.1)));
    let roots = Roots::read(papers.root.certificate().pem().as_bytes()).expect("a root");
    assert_eq!(value(&pairs, "alipay_root_cert_sn"), roots.number);
}

#[test]
fn an_unknown_certificate_is_fetched_and_checked() {
    // A rotated certificate is asked for, leads to the root, and verifies the same answer again.
    let papers = Papers::new();
    let mut world = World::with(papers.secrets());
    let next = papers.alipay(201, &keys().next.1);
    let root = root_of(&query());
    let saved = number(&papers.alipay(200, &keys().alipay.1));
    let known = signed_by(&keys().alipay.1, root, &not_exist(), Some(&saved));
    assert_eq!(world.answer(&query(), known.as_bytes()).outcome, Outcome::NotFound);
    let held = signed_by(&keys().next.1, root, &not_exist(), Some(&number(&next)));
    let Interpreted::NeedMaterial(request) = world.interpret(&query(), 200, held.as_bytes()) else {
        panic!("not asked for")
    };
    let asked = canonical::read_query(std::str::from_utf8(&request.body).expect("a form"));
    assert_eq!(value(&asked, "biz_content"), json!({ "alipay_cert_sn": number(&next) }).to_string());
    let answer = download(next.as_bytes(), &keys().next.1, &number(&next));
    let Interpreted::Learned(material) = world.interpret(&Call::Maintain, 200, answer.as_bytes()) else {
        panic!("not learned")
    };
    world.material = material;
    assert_eq!(world.answer(&query(), held.as_bytes()).outcome, Outcome::NotFound);
    assert_eq!(world.answer(&query(), known.as_bytes()).outcome, Outcome::NotFound, "the old one still holds");
    let wrong = signed_by(&keys().alipay.1, root, &not_exist(), Some(&number(&next)));
    assert_eq!(world.answer(&query(), wrong.as_bytes()).outcome.name(), "unknown", "under the other's number");
}

#[test]
fn a_certificate_that_is_not_alipays_is_refused() {
    // Another root, a merchant's certificate of the same root, an expired one, one that does not hold its own answer.
    let papers = Papers::new();
    let strangers = {
        let says = Says {
            subject: "CN=Test Authority R1,OU=CA,O=Ant,C=CN",
            serial: 11,
            from: now().before(Duration::from_hours(24)),
            life: Duration::from_hours(24 * 365),
            authority: true,
        };
        let root = Authority::root(Arc::clone(&keys().next.1), says);
        let class = Says { subject: "CN=Test Authority Class 2 R1,OU=CA,O=Ant,C=CN", ..says };
        let alipay_class = root.below(Arc::clone(&keys().next.1), class);
        Papers { root, alipay_class, app_class: papers.app_class.clone() }
    };
    let expired = {
        let says = Says {
            subject: "CN=Alipay Ltd-2088831204659217,OU=Alipay,C=CN",
            serial: 9,
            from: now().before(Duration::from_hours(48)),
            life: Duration::from_hours(24),
            authority: false,
        };
        let leaf = papers.alipay_class.issue(says, &keys().next.1).pem();
        format!("{leaf}{}", papers.alipay_class.certificate().pem())
    };
    let good = papers.alipay(201, &keys().next.1);
    let table = [
        ("another root", strangers.alipay(201, &keys().next.1), &keys().next.1),
        ("a merchant's", papers.app("2021009999999999", 7, &keys().next.1), &keys().next.1),
        ("expired", expired, &keys().next.1),
        ("does not hold its answer", good.clone(), &keys().alipay.1),
        ("without its issuer", good[..good.len() / 2].to_owned(), &keys().next.1),
        ("no certificate", "hunter2".to_owned(), &keys().next.1),
    ];
    let world = World::with(papers.secrets());
    for (name, pem, key) in table {
        let number = Leaf::read(pem.as_bytes()).map_or_else(|_| "0".repeat(32), |leaf| leaf.number.clone());
        match world.interpret(&Call::Maintain, 200, download(pem.as_bytes(), key, &number).as_bytes()) {
            Interpreted::Done(answer) => {
                assert_eq!(answer.outcome.name(), "unknown", "{name}");
                assert!(!format!("{answer:?}").contains("hunter2"));
            }
            Interpreted::Learned(_) => panic!("{name} is trusted"),
            Interpreted::Next { .. } | Interpreted::NeedMaterial(_) => panic!("{name} leads on"),
        }
    }
    let refused = signed_by(&keys().alipay.1, root_of(&Call::Maintain), r#"{"code":"40004"}"#, None);
    assert!(matches!(world.interpret(&Call::Maintain, 200, refused.as_bytes()), Interpreted::Done(_)));
}

#[test]
fn a_number_that_is_none_is_not_asked_for() {
    // What stands in alipay_cert_sn goes into a request of ours only when it is written as a number.
    let world = World::with(Papers::new().secrets());
    for number in ["x", "../../etc", "687B59193F3F462DD5336E5ABF83C5D8", "687b59193f3f462dd5336e5abf83c5d8_0294"] {
        let body = signed_by(&keys().next.1, root_of(&query()), &not_exist(), Some(number));
        assert_eq!(world.answer(&query(), body.as_bytes()).outcome.name(), "unknown", "{number}");
    }
}
