//! OpenSSL's command line against UnionPay's dialect: it verifies what we sign, makes what we verify, and reads the
//! simulator's archives and certificates as we read its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maxpay_adapters::parts::canonical::{query as form, read_query};
use maxpay_adapters::parts::form::read_page;
use maxpay_adapters::parts::pkcs12::{Archive, ArchiveError};
use maxpay_adapters::simulator::Ledger;
use maxpay_adapters::unionpay::UnionPay;
use maxpay_adapters::unionpay::simulator::{Authority, IN_PROCESS, Simulator, SimulatorParts, WrongSigner};
use maxpay_engine::channel::http::HttpReply;
use maxpay_engine::channel::{Call, Outcome};
use maxpay_engine::clock::System;
use maxpay_engine::model::PayerAction;
use maxpay_engine::secrets::Secret;
use serde_json::json;

use super::openssl::OpenSsl;
use super::stage::{self, NUMBER, Stage};

const MERCHANT: &str = "777290058110048";
const SERIAL: &str = "69903319369";
const PASSWORD: &str = "000000";
const UNIONPAY: &str = "/C=CN/O=CFCA TEST OCA1/OU=CUP/CN=041@8310000000083040@中国银联股份有限公司@00016495";

type Fields = BTreeMap<String, String>;

/// A merchant and UnionPay, whose keys, certificates and archive OpenSSL made.
fn meet() -> (OpenSsl, Stage<UnionPay>) {
    let openssl = OpenSsl::new();
    openssl.certify("root", "/C=CN/O=CFCA TEST CS CA", "1", None, true);
    openssl.certify("middle", "/C=CN/O=CFCA TEST OCA1", "2", Some("root"), true);
    openssl.certify("unionpay", UNIONPAY, "69678957876", Some("middle"), false);
    openssl.certify(
        "merchant",
        &format!("/C=CN/CN=041@Z2026-1-1@{MERCHANT}:SIGN@00000001"),
        SERIAL,
        Some("middle"),
        false,
    );
    openssl.must(&format!("pkcs12 -export -legacy -inkey merchant.key -in merchant.pem -certfile middle.pem -passout pass:{PASSWORD} -out merchant.pfx"));
    let settings = json!({
        "merchant_id": MERCHANT, "gateway": IN_PROCESS,
        "certificates": openssl.text("root.pem") + &openssl.text("middle.pem"),
        "pfx": STANDARD.encode(openssl.read("merchant.pfx")), "pfx_password": PASSWORD,
    });
    let mut stage = Stage::new(UnionPay::new(), settings.as_object().expect("an object"));
    "782611251200000000018".clone_into(&mut stage.trade_number);
    (openssl, stage)
}

/// Whether OpenSSL verifies the fields' signature under the certificate in that file.
fn holds(openssl: &OpenSsl, fields: &Fields, certificate: &str) -> bool {
    digest(openssl, fields);
    openssl.write("signature", STANDARD.decode(&fields["signature"]).expect("base64"));
    openssl.write("public.pem", openssl.must(&format!("x509 -in {certificate} -noout -pubkey")));
    openssl.run("dgst -sha256 -verify public.pem -signature signature digest").is_ok()
}

/// Writes what is signed of the fields to the file `digest`: their own digest, as text.
fn digest(openssl: &OpenSsl, fields: &Fields) {
    let signed = fields.iter().filter(|(name, value)| *name != "signature" && !value.is_empty());
    let text: Vec<_> = signed.map(|(name, value)| format!("{name}={value}")).collect();
    openssl.write("text", text.join("&"));
    let printed = openssl.must("dgst -sha256 -r text");
    openssl.write("digest", &printed[..64]);
}

/// The fields with the signature of that key and its certificate.
fn signed(openssl: &OpenSsl, fields: &Fields, name: &str) -> Fields {
    let mut fields = fields.clone();
    let certificate = openssl.text(&format!("{name}.pem"));
    fields.insert("signPubKeyCert".to_owned(), certificate.trim_end().replace('\n', "\r\n"));
    digest(openssl, &fields);
    openssl.must(&format!("dgst -sha256 -sign {name}.key -out signature digest"));
    fields.insert("signature".to_owned(), STANDARD.encode(openssl.read("signature")));
    fields
}

fn pairs(fields: &Fields) -> Vec<(String, String)> {
    fields.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// An answer as it goes over the wire: not url-encoded.
fn answer(fields: &Fields) -> HttpReply {
    let body: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
    HttpReply { status: 200, headers: Vec::new(), body: body.join("&").into() }
}

#[test]
fn openssl_verifies_what_we_sign() {
    // The digest as text is what is signed, under the key of the archive; certId is its serial number in decimal.
    let (openssl, stage) = meet();
    let mut all: Vec<Fields> = Vec::new();
    let web = stage.signed_here(&stage.create("unipay_web"));
    let PayerAction::Form { html } = &web[0].action else { panic!("{web:?}") };
    all.push(read_page(html).expect("a page").into_iter().collect());
    let calls = [stage.create("unipay_app"), stage::query("unipay_app"), stage::void("unipay_app")];
    for call in calls.iter().chain(&stage::refunds("unipay_app")) {
        let body = stage.request(call).body;
        all.push(read_query(std::str::from_utf8(&body).expect("a form")).into_iter().collect());
    }
    let types: Vec<_> = all.iter().map(|fields| fields["txnType"].as_str()).collect();
    assert_eq!(types, ["01", "01", "00", "31", "04", "00"]);
    for fields in all {
        assert_eq!((fields["certId"].as_str(), fields["version"].as_str()), (SERIAL, "5.1.0"));
        assert!(holds(&openssl, &fields, "merchant.pem"), "{fields:?}");
        assert!(!holds(&openssl, &fields, "unionpay.pem"));
        let mut changed = fields.clone();
        changed.entry("txnTime".to_owned()).and_modify(|time| time.replace_range(13.., "x"));
        assert!(!holds(&openssl, &changed, "merchant.pem"), "{fields:?}");
    }
}

/// A payment's query as it is answered, and its notice.
fn paid(stage: &Stage<UnionPay>, call: &Call) -> [Fields; 2] {
    let body = stage.request(call).body;
    let asked: Fields = read_query(std::str::from_utf8(&body).expect("a form")).into_iter().collect();
    let common = [
        ("version", "5.1.0"),
        ("encoding", "UTF-8"),
        ("signMethod", "01"),
        ("txnType", "01"),
        ("txnSubType", "01"),
        ("bizType", "000201"),
        ("accessType", "0"),
        ("merId", MERCHANT),
        ("orderId", NUMBER),
        ("txnTime", &asked["txnTime"]),
        ("txnAmt", "1000"),
        ("currencyCode", "156"),
        ("queryId", "782611251200000000018"),
        ("settleAmt", "1000"),
        ("settleCurrencyCode", "156"),
        ("settleDate", "1125"),
        ("traceNo", "000001"),
        ("traceTime", "1125120000"),
        ("respCode", "00"),
        ("respMsg", "成功[0000000]"),
        ("reserved", "{a=1&b=2}"),
    ];
    let of = |more: &[(&str, &str)]| -> Fields {
        common.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    [of(&[("origRespCode", "00"), ("origRespMsg", "成功[0000000]")]), of(&[("accNo", "6216***********0018")])]
}

#[test]
fn we_verify_what_openssl_signs() {
    // An answer and a notice prove what they say; with any byte changed, under a merchant's certificate of the same
    // authority, or under a stranger's, they prove nothing.
    let (openssl, stage) = meet();
    let call = stage::query("unipay_app");
    let [answered, told] = paid(&stage, &call);
    let right = answer(&signed(&openssl, &answered, "unionpay"));
    let outcome = stage.outcome(&call, &right);
    assert!(matches!(&outcome, Outcome::Succeeded(paid) if paid.amount == stage::yuan(1000)), "{outcome:?}");
    for at in 0..right.body.len() {
        let mut body = right.body.to_vec();
        body[at] ^= 1;
        let outcome = stage.outcome(&call, &HttpReply { body: body.into(), ..right.clone() });
        assert!(matches!(outcome, Outcome::Unknown(_)), "byte {at}: {outcome:?}");
    }
    let notice = signed(&openssl, &told, "unionpay");
    let proved = stage.told(Vec::new(), form(&pairs(&notice)).as_bytes());
    assert!(matches!(&proved, Ok(Outcome::Succeeded(paid)) if paid.amount == stage::yuan(1000)), "{proved:?}");
    for name in notice.keys() {
        let mut changed = notice.clone();
        changed.entry(name.clone()).and_modify(|value| value.insert(0, '1'));
        let refused = stage.told(Vec::new(), form(&pairs(&changed)).as_bytes());
        assert!(refused.is_err(), "{name}: {refused:?}");
    }
    openssl.certify("stranger", UNIONPAY, "69678957876", None, false);
    for name in ["merchant", "stranger"] {
        let forged = answer(&signed(&openssl, &answered, name));
        assert!(matches!(stage.outcome(&call, &forged), Outcome::Unknown(_)), "{name}");
        let refused = stage.told(Vec::new(), form(&pairs(&signed(&openssl, &told, name))).as_bytes());
        assert!(refused.is_err(), "{name}: {refused:?}");
    }
}

#[test]
fn archives_that_openssl_makes_open() {
    // Old ciphers and new ones, with and without a check value, under any password; another password opens none.
    let openssl = OpenSsl::new();
    openssl.certify("root", "/C=CN/O=CFCA TEST CS CA", "1", None, true);
    openssl.certify("merchant", "/C=CN/CN=merchant", SERIAL, Some("root"), false);
    let modulus = openssl.must("rsa -in merchant.key -noout -modulus");
    let table = [
        "-legacy",
        "-legacy -descert",
        "-legacy -certpbe NONE -keypbe PBE-SHA1-3DES",
        "-certpbe AES-256-CBC -keypbe AES-256-CBC",
        "-certpbe AES-128-CBC -keypbe AES-192-CBC -macalg sha512",
        "-certpbe NONE -keypbe NONE",
        "-noiter -nomaciter",
        "-nomac",
        "-iter 5000 -macalg sha384",
    ];
    for how in table {
        for password in ["000000", "pässword密", ""] {
            let words =
                format!("pkcs12 -export {how} -inkey merchant.key -in merchant.pem -certfile root.pem -out made.p12");
            openssl.run_with(&words, &["-passout", &format!("pass:{password}")]).expect(how);
            let bytes = openssl.read("made.p12");
            let archive = Archive::open(&bytes, &Secret::from_text(password));
            let archive = archive.unwrap_or_else(|error| panic!("{how}, password {password:?}: {error}"));
            assert_eq!((archive.certificate.serial_decimal().as_str(), archive.others.len()), (SERIAL, 1), "{how}");
            openssl.write("read.der", archive.key.expose());
            assert_eq!(openssl.must("rsa -inform DER -in read.der -noout -modulus"), modulus, "{how}");
            if !how.contains("-nomac") || how.contains("-nomaciter") {
                let other = Archive::open(&bytes, &Secret::from_text("000001")).err();
                assert_eq!(other, Some(ArchiveError::Password), "{how}, password {password:?}");
            }
        }
    }
}

/// A simulator with one merchant, and the merchant's side of it.
fn simulated(openssl: &OpenSsl) -> (Arc<Simulator>, Stage<UnionPay>) {
    let authority = Arc::new(Authority::generate().expect("keys"));
    let made = authority.issue_merchant(MERCHANT, 69_903_319_369, &Secret::from_text(PASSWORD)).expect("a key");
    let certificates = authority.certificates().to_owned();
    let (root, middle) = certificates.split_at(certificates[1..].find("-----BEGIN").expect("two") + 1);
    openssl.write("root.pem", root);
    openssl.write("middle.pem", middle);
    openssl.write("merchant.pem", &made.certificate);
    let pfx = made.pfx.expose_text().expect("base64").to_owned();
    openssl.write("merchant.pfx", STANDARD.decode(&pfx).expect("base64"));
    let parts = SimulatorParts {
        base_url: IN_PROCESS.to_owned(),
        ledger: Ledger::memory(),
        clock: Arc::new(System::new()),
        authority,
    };
    let simulator = Simulator::open(parts);
    simulator.enrol(MERCHANT, &made.certificate).expect("enrolled");
    let settings = json!({ "merchant_id": MERCHANT, "gateway": IN_PROCESS, "certificates": certificates,
        "pfx": pfx, "pfx_password": PASSWORD });
    (simulator, Stage::new(UnionPay::new(), settings.as_object().expect("an object")))
}

#[test]
fn openssl_reads_what_the_simulator_makes() {
    // A merchant's archive opens under its password alone and holds the certificate's key; answers hold under
    // certificates that lead to the root. A merchant's own does too: its name alone gives a forgery away.
    let openssl = OpenSsl::new();
    let (simulator, stage) = simulated(&openssl);
    openssl.must(&format!("pkcs12 -in merchant.pfx -passin pass:{PASSWORD} -nodes -nocerts -out read.key"));
    openssl.must(&format!("pkcs12 -in merchant.pfx -passin pass:{PASSWORD} -clcerts -nokeys -out read.pem"));
    assert!(openssl.run("pkcs12 -in merchant.pfx -passin pass:000001 -nodes -out read.none").is_err());
    let modulus = openssl.must("x509 -in merchant.pem -noout -modulus");
    assert_eq!(openssl.must("rsa -in read.key -noout -modulus"), modulus);
    assert_eq!(openssl.must("x509 -in read.pem -noout -modulus"), modulus);
    assert!(openssl.run("verify -CAfile root.pem -untrusted middle.pem merchant.pem").is_ok());
    let call = stage.create("unipay_app");
    let table = [
        (None, true, true),
        (Some(WrongSigner::Stranger), false, false),
        (Some(WrongSigner::Merchant), true, false),
        (Some(WrongSigner::Expired), false, false),
    ];
    for (signer, leads, believed) in table {
        simulator.sign_as(signer);
        let request = stage.request(&call);
        let reply = simulator.handle("POST", request.url.path(), &request.body).reply().expect("an answer");
        let text = std::str::from_utf8(&reply.body).expect("text");
        let fields: Fields = text
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        openssl.write("signer.pem", &fields["signPubKeyCert"]);
        assert!(holds(&openssl, &fields, "signer.pem"), "{signer:?}");
        let verified = openssl.run("verify -CAfile root.pem -untrusted middle.pem signer.pem");
        assert_eq!(verified.is_ok(), leads, "{signer:?}: {verified:?}");
        let outcome = stage.outcome(&call, &reply);
        // A second send of one number is a duplicate, which proves that the first arrived.
        let proved = matches!(outcome, Outcome::AwaitingPayer(_) | Outcome::Unpaid);
        assert_eq!(proved, believed, "{signer:?}: {outcome:?}");
    }
}
