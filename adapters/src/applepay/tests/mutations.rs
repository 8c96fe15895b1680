//! Bytes that nobody meant: no panic, nothing taken that is not the same token.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maxpay_engine::clock::{Entropy, SeededEntropy};
use maxpay_engine::secrets::Secret;
use serde_json::Value;

use super::{World, money};
use crate::applepay::ber;
use crate::applepay::simulator::TokenWish;

/// Bytes changed, cut, doubled or put in, as the seed says.
fn mutated(bytes: &[u8], entropy: &SeededEntropy) -> Vec<u8> {
    let mut random = [0; 12];
    entropy.fill(&mut random);
    let at = |high: u8, low: u8| (usize::from(high) * 256 + usize::from(low)) % bytes.len().max(1);
    let (from, to) = (at(random[0], random[1]), at(random[2], random[3]));
    let (from, to) = (from.min(to), from.max(to));
    let mut changed = bytes.to_vec();
    match random[4] % 6 {
        0 => changed.truncate(from),
        1 => drop(changed.drain(from..to)),
        2 => drop(changed.splice(from..from, bytes[from..to].to_vec())),
        3 => changed[from] = [0x00, 0x80, 0x30, 0xff][usize::from(random[5] % 4)],
        4 => changed.insert(from, random[6]),
        _ => changed[from] ^= 1 << (random[5] % 8),
    }
    changed
}

#[test]
fn changed_signatures_are_refused_or_change_nothing() {
    // Whatever is done to the signature's bytes, what is taken is the token that Apple signed.
    let world = World::new();
    let token = world.token(&TokenWish::of(money(100)));
    let genuine = world.verify(&token).expect("a token").once_key;
    let json: Value = serde_json::from_slice(token.expose()).expect("JSON");
    let signature = json["paymentData"]["signature"].as_str().expect("a text").to_owned();
    let signature = STANDARD.decode(signature).expect("base64");
    let entropy = SeededEntropy::new(4);
    let mut overlooked = 0;
    for _ in 0..3000 {
        let mut changed = json.clone();
        changed["paymentData"]["signature"] = STANDARD.encode(mutated(&signature, &entropy)).into();
        if let Ok(verified) = world.verify(&Secret::from_text(&changed.to_string())) {
            assert_eq!(verified.once_key, genuine);
            overlooked += 1;
        }
    }
    assert!(overlooked < 300, "{overlooked} changes were overlooked: far more than there are bytes that nobody signs");
}

#[test]
fn changed_tokens_are_refused_or_the_same() {
    // The same of the whole text; what is said about it shows nothing of it.
    let world = World::new();
    let token = world.token(&TokenWish::of(money(100)));
    let genuine = world.verify(&token).expect("a token").once_key;
    let entropy = SeededEntropy::new(5);
    for _ in 0..3000 {
        let changed = mutated(token.expose(), &entropy);
        match world.verify(&Secret::from_bytes(changed)) {
            Ok(verified) => assert_eq!(verified.once_key, genuine),
            Err(why) => assert!(!why.contains(&genuine[..16]) && why.len() < 600, "{why}"),
        }
    }
}

#[test]
fn what_is_rewritten_stays() {
    // DER made of any bytes is itself when it is read again, and never longer than twice what it was.
    let world = World::new();
    let token = world.token(&TokenWish::of(money(100)));
    let json: Value = serde_json::from_slice(token.expose()).expect("JSON");
    let signature = json["paymentData"]["signature"].as_str().expect("a text").to_owned();
    let mut bytes = STANDARD.decode(signature).expect("base64");
    let entropy = SeededEntropy::new(6);
    for _ in 0..5000 {
        let changed = mutated(&bytes, &entropy);
        if let Ok(der) = ber::to_der(&changed) {
            assert_eq!(ber::to_der(&der), Ok(der.clone()));
            assert!(der.len() <= 2 * changed.len());
            bytes = changed;
        }
    }
}
