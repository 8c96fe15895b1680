//! Accounts at the desk: the settings as the engine parts them, and what is read with another account's in hand.

use std::sync::PoisonError;

use maxpay_engine::channel::http::HttpReply;
use maxpay_engine::channel::{Adapter, Answer, Call, Interpreted, Outcome, PayerInput, SecretSettings, Step};
use maxpay_engine::model::PayerInputs;
use maxpay_engine::secrets::Secret;
use serde_json::{Map, Value};

use super::desk::{Desk, Order};
use super::ear::Ear;
use super::provider::Merchant;

/// An account's settings, parted as the engine parts them.
pub(super) struct Account {
    pub settings: Map<String, Value>,
    /// Newest first.
    pub secrets: Vec<SecretSettings>,
}

/// Settings as the engine parts them.
pub(super) fn parted(adapter: &dyn Adapter, all: &Map<String, Value>) -> Account {
    let is_secret = |name: &str| adapter.manifest().settings.iter().any(|field| field.secret && field.name == name);
    let mut account = Account { settings: Map::new(), secrets: Vec::new() };
    let mut secrets = SecretSettings::default();
    for (name, value) in all {
        match value.as_str().filter(|_| is_secret(name)) {
            Some(text) => drop(secrets.0.insert(name.clone(), Secret::from_text(text))),
            None => drop(account.settings.insert(name.clone(), value.clone())),
        }
    }
    account.secrets.push(secrets);
    account
}

pub(super) fn learn(ear: &Ear, adapter: &dyn Adapter, all: &Map<String, Value>) {
    for field in adapter.manifest().settings.iter().filter(|field| field.secret) {
        if let Some(text) = all.get(field.name).and_then(Value::as_str) {
            ear.learn(field.name, text);
        }
    }
}

impl Desk<'_> {
    /// The first merchant's secrets once more.
    pub fn provider_secrets(&self) -> Vec<SecretSettings> {
        parted(&*self.adapter, &self.provider.settings(Merchant::First)).secrets
    }

    /// Reads a reply for another account, without fetching anything.
    pub fn read_as(&self, call: &Call, order: &Order, reply: &HttpReply, account: &Account) -> Answer {
        let read = self.with_context(2, (Some(order), None), account, |context| {
            self.adapter.interpret(call, Step(0), reply, context)
        });
        match read {
            Interpreted::Done(answer) => answer,
            Interpreted::Next { .. } | Interpreted::Learned(_) | Interpreted::NeedMaterial(_) => {
                Answer::bare(Outcome::Unknown("it is not read to an end".to_owned()))
            }
        }
    }

    /// Whether a reply cannot be verified with what is at hand.
    pub fn needs_material(&self, call: &Call, order: &Order, reply: &HttpReply, account: &Account) -> bool {
        let read = self.with_context(2, (Some(order), None), account, |context| {
            self.adapter.interpret(call, Step(0), reply, context)
        });
        matches!(read, Interpreted::NeedMaterial(_))
    }

    /// Reads a reply with no key at hand: what it proves then, it proves unsigned.
    pub fn read_without_keys(&self, call: &Call, order: &Order, reply: &HttpReply) -> Outcome {
        let account = Account { settings: Map::new(), secrets: vec![SecretSettings::default()] };
        let material = std::mem::take(&mut *self.material.lock().unwrap_or_else(PoisonError::into_inner));
        let outcome = self.read_as(call, order, reply, &account).outcome;
        *self.material.lock().unwrap_or_else(PoisonError::into_inner) = material;
        outcome
    }
}

/// What the exam says of a payer, where it is needed.
pub(super) fn payer_inputs(needs: impl Fn(PayerInput) -> bool) -> PayerInputs {
    let given = |input, text: &str| needs(input).then(|| text.to_owned());
    PayerInputs {
        openid: given(PayerInput::Openid, "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"),
        client_ip: given(PayerInput::ClientIp, "203.0.113.7"),
        h5_type: given(PayerInput::H5Type, "Wap"),
        qr_mode: None,
    }
}
