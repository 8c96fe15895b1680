//! Verification, step by step: what is whole is taken, and each thing that can be wrong is refused for what it is.

use std::time::Duration;

use maxpay_engine::channel::{Adapter, Outcome, Prepared};
use maxpay_engine::model::Mode;
use maxpay_engine::secrets::Secret;
use serde_json::Value;

use super::{ORDER, World, charging, money, parted};
use crate::applepay::simulator::{Flaw, TokenVersion, TokenWish};
use crate::parts::digest::sha256;

fn flawed(flaw: Flaw, version: TokenVersion) -> TokenWish {
    TokenWish { flaw: Some(flaw), version, ..TokenWish::of(money(100)) }
}

#[test]
fn a_whole_token_is_taken_in_both_versions() {
    // Its once-key is its transaction id, its digest that of the text; prepared, it leaves.
    let world = World::new();
    for version in [TokenVersion::Ec, TokenVersion::Rsa] {
        let token = world.token(&TokenWish { version, ..TokenWish::of(money(100)) });
        let verified = world.verify(&token).unwrap_or_else(|why| panic!("{version:?}: {why}"));
        let json: Value = serde_json::from_slice(token.expose()).expect("JSON");
        let id = json["paymentData"]["header"]["transactionId"].as_str().expect("a text");
        assert_eq!(verified.once_key, id);
        assert_eq!(verified.digest, sha256(token.expose()));
        assert!(matches!(world.adapter.prepare(&charging(&token), &world.context()), Prepared::Send(_)));
        // A phone hands over paymentData alone; letters of the id may be of either case.
        let bare = json["paymentData"].to_string().replace(id, &id.to_uppercase());
        assert_eq!(world.verify(&Secret::from_text(&bare)).expect("the same token").once_key, id);
    }
}

#[test]
fn each_broken_step_is_refused_for_what_it_is() {
    // One thing wrong at a time, everything else signed anew around it: the reason names the step; nothing leaves.
    let table = [
        (Flaw::PublicKeyHash, "a processing certificate that this account does not have"),
        (Flaw::LeafMarker, "marked as Apple Pay's leaf"),
        (Flaw::IntermediateMarker, "marked as intermediate"),
        (Flaw::OtherRoot, "do not lead to Apple's root"),
        (Flaw::DataChanged, "over something else than this token"),
        (Flaw::TransactionIdChanged, "over something else than this token"),
        (Flaw::Signature, "the signature is wrong"),
        (Flaw::Old, "more than five minutes from now"),
        (Flaw::Ahead, "more than five minutes from now"),
        (Flaw::Tag, "the token does not open"),
        (Flaw::Content, "content cannot be read"),
        (Flaw::Currency, "another currency than the payment"),
        (Flaw::Amount, "another amount than the payment"),
        (Flaw::CardExpired, "card has expired"),
        (Flaw::ApplicationData, "application data"),
    ];
    let world = World::new();
    for version in [TokenVersion::Ec, TokenVersion::Rsa] {
        for (flaw, wanted) in table {
            let token = world.token(&flawed(flaw, version));
            let why = world.verify(&token).expect_err("refused");
            assert!(why.contains(wanted), "{version:?} {flaw:?}: {why}");
            match world.adapter.prepare(&charging(&token), &world.context()) {
                Prepared::Done(answer) => assert_eq!(answer.outcome, Outcome::NotExecuted(why)),
                Prepared::Send(_) | Prepared::NeedMaterial(_) | Prepared::Unsupported => panic!("{flaw:?} left"),
            }
        }
    }
}

#[test]
fn a_token_grows_old() {
    // Five minutes either way to the second, and not a second more.
    let world = World::new();
    let token = world.token(&TokenWish::of(money(100)));
    world.clock.advance(Duration::from_secs(299));
    assert!(world.verify(&token).is_ok());
    world.clock.advance(Duration::from_secs(2));
    assert!(world.verify(&token).expect_err("old").contains("five minutes"));
}

#[test]
fn a_version_cannot_be_passed_off_as_the_other() {
    // The algorithm goes with the version: an EC token that says RSA_v1 has no key here that it names.
    let world = World::new();
    let text = |secret: &Secret| secret.expose_text().expect("text").to_owned();
    let token = text(&world.token(&TokenWish::of(money(100))));
    let renamed = token.replace("EC_v1", "RSA_v1").replace("ephemeralPublicKey", "wrappedKey");
    assert!(world.verify(&Secret::from_text(&renamed)).expect_err("refused").contains("processing certificate"));
}

#[test]
fn what_is_no_token_says_so() {
    // Unreadable, another version, a field that is no base64 or hex, or is not there.
    let world = World::new();
    let token = world.token(&TokenWish::of(money(100)));
    let json: Value = serde_json::from_slice(token.expose()).expect("JSON");
    let with = |path: &str, value: Value| {
        let mut json = json.clone();
        *json.pointer_mut(path).expect("a field") = value;
        Secret::from_text(&json.to_string())
    };
    let table = [
        (Secret::from_text(""), "no Apple Pay token"),
        (Secret::from_text("[]"), "no Apple Pay token"),
        (Secret::from_text("{\"paymentData\":{}}"), "no Apple Pay token"),
        (with("/paymentData/version", "EC_v2".into()), "neither EC_v1 nor RSA_v1"),
        (with("/paymentData/version", "RSA_v1".into()), "wrappedKey"),
        (with("/paymentData/data", "!".into()), "data cannot be read"),
        (with("/paymentData/data", "".into()), "over something else"),
        (with("/paymentData/signature", "?".into()), "signature cannot be read"),
        (with("/paymentData/signature", "MIA=".into()), "not BER"),
        (with("/paymentData/signature", "MAA=".into()), "not a CMS SignedData"),
        (with("/paymentData/header/transactionId", "xyz".into()), "transactionId"),
        (with("/paymentData/header/transactionId", "00".into()), "transactionId"),
        (with("/paymentData/header/ephemeralPublicKey", Value::Null), "ephemeralPublicKey"),
        (with("/paymentData/header/ephemeralPublicKey", "AAAA".into()), "over something else"),
    ];
    for (token, wanted) in table {
        let why = world.verify(&token).expect_err("refused");
        assert!(why.contains(wanted), "{wanted}: {why}");
    }
    let elsewhere = world.adapter.manifest.codes.len();
    assert_eq!(elsewhere, 1, "there is one code, and every other one takes no token");
}

#[test]
fn networks_and_application_data_are_as_agreed() {
    // A list of networks is compared without case; bound tokens name their transaction, and must where that is asked.
    let mut world = World::new();
    let token = world.token(&TokenWish::of(money(100)));
    let bound = world.token(&TokenWish { application_data: Some(ORDER.to_owned()), ..TokenWish::of(money(100)) });
    let elsewhere = world.token(&TokenWish {
        application_data: Some("66f0a1b2c3d4e5f607182931".to_owned()),
        ..TokenWish::of(money(100))
    });
    assert!(world.verify(&token).is_ok() && world.verify(&bound).is_ok());
    assert!(world.verify(&elsewhere).expect_err("another transaction's").contains("application data"));
    world.set("require_application_data", true);
    assert!(world.verify(&token).expect_err("not bound").contains("application data"));
    assert!(world.verify(&bound).is_ok());
    world.set("networks", serde_json::json!(["masterCard", "VISA"]));
    assert!(world.verify(&bound).is_ok());
    world.set("networks", serde_json::json!(["masterCard"]));
    assert!(world.verify(&bound).expect_err("another network").contains("network"));
    let json: Value = serde_json::from_slice(bound.expose()).expect("JSON");
    let bare = Secret::from_text(&json["paymentData"].to_string());
    assert!(world.verify(&bare).expect_err("no network").contains("network"));
}

#[test]
fn nothing_signed_passes_for_what_stands_beside_it() {
    // The signature is over the joined bytes: a bound token whose binding is moved into its transaction id would be
    // another token, and bound to nothing.
    let world = World::new();
    for version in [TokenVersion::Ec, TokenVersion::Rsa] {
        let wish = TokenWish { application_data: Some(ORDER.to_owned()), version, ..TokenWish::of(money(100)) };
        let mut token: Value = serde_json::from_slice(world.token(&wish).expose()).expect("JSON");
        let header = token["paymentData"]["header"].as_object_mut().expect("an object");
        let bound = header.remove("applicationData").expect("it is bound");
        let id = header["transactionId"].as_str().expect("a text").to_owned();
        header.insert("transactionId".to_owned(), format!("{id}{}", bound.as_str().expect("a text")).into());
        let why = world.verify(&Secret::from_text(&token.to_string())).expect_err("another token");
        assert!(why.contains("transactionId"), "{why}");
    }
}

#[test]
fn the_keys_of_every_revision_open_tokens() {
    // After a rotation both the old and the new certificate's tokens are taken; another merchant's never are.
    let mut world = World::new();
    let old = world.token(&TokenWish::of(money(100)));
    world.simulator.rotate(super::MERCHANT).expect("rotated");
    let new = world.token(&TokenWish::of(money(100)));
    assert!(world.verify(&new).expect_err("not known yet").contains("processing certificate"));
    let (_, secrets) = parted(&world.adapter, world.simulator.settings(super::MERCHANT).expect("enrolled"));
    world.secrets.insert(0, secrets);
    assert!(world.verify(&old).is_ok() && world.verify(&new).is_ok());
    let others = world.simulator.token(super::OTHER, &TokenWish::of(money(100))).expect("a token");
    assert!(world.verify(&others).is_err());
    let other = world.simulator.settings(super::OTHER).expect("enrolled");
    world.secrets.insert(0, parted(&world.adapter, other).1);
    assert!(world.verify(&others).is_err(), "a key of another merchant id opens nothing, wherever it stands");
}

#[test]
fn only_apples_root_counts_in_live_mode() {
    // Whatever the settings say: a simulator's token is refused, and its session server is never asked.
    let mut world = World::new();
    let token = world.token(&TokenWish::of(money(100)));
    world.mode = Mode::Live;
    assert!(world.verify(&token).expect_err("not Apple's").contains("do not lead to Apple's root"));
    world.mode = Mode::Test;
    world.settings.remove("test_root");
    assert!(world.verify(&token).expect_err("not Apple's").contains("do not lead to Apple's root"));
}
