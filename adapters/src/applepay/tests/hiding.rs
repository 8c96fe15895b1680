//! Nothing of a card or a key is ever shown.

use std::fmt::Write;

use maxpay_engine::channel::{Adapter, Prepared};

use super::{MERCHANT, World, charging, money};
use crate::applepay::simulator::{CARDS, CRYPTOGRAM_HEAD, Flaw, TokenWish};

#[tokio::test]
async fn no_card_and_no_key_is_shown() {
    // In errors, requests, answers, the adapter's and the simulator's own text: no account number, cryptogram, token or
    // secret, whole or flawed.
    let world = World::new();
    let flaws = [Flaw::Tag, Flaw::Content, Flaw::Currency, Flaw::Amount, Flaw::CardExpired, Flaw::Signature];
    let mut said = format!("{:?} {:?}", world.adapter, world.simulator);
    for flaw in flaws.into_iter().map(Some).chain([None]) {
        let token = world.token(&TokenWish { flaw, ..TokenWish::of(money(100)) });
        write!(said, "{:?}", world.verify(&token)).expect("a string takes any text");
        match world.adapter.prepare(&charging(&token), &world.context()) {
            Prepared::Send(request) => {
                write!(said, "{request:?} {request:#?}").expect("a string takes any text");
                let reply = world.carry(request).await.expect("an answer");
                said.push_str(&String::from_utf8_lossy(&reply.body));
                write!(said, "{reply:?} {:?}", world.read(&charging(&token), &reply)).expect("a string takes any text");
            }
            Prepared::Done(answer) => write!(said, "{answer:?}").expect("a string takes any text"),
            Prepared::NeedMaterial(_) | Prepared::Unsupported => panic!("it is charged or refused"),
        }
    }
    write!(said, "{:?}", world.simulator.ledger().expect("books")).expect("a string takes any text");
    let secret = |name: &str| world.secrets[0].named(name).and_then(|secret| secret.expose_text()).expect("a text");
    let acquirer = secret("acquirer_secret").to_owned();
    let key_lines = [secret("processing"), secret("merchant_identity")].join("\n");
    let hidden = CARDS.iter().map(|(_, number)| *number).chain([CRYPTOGRAM_HEAD, "491231", acquirer.as_str()]);
    let hidden = hidden.chain(key_lines.lines().filter(|line| line.len() > 32 && !line.contains("-----")));
    for marker in hidden {
        assert!(!said.contains(marker), "something hidden is shown");
    }
    assert!(said.contains("another amount"), "something was said");
    assert!(world.simulator.settings(MERCHANT).is_ok());
}
