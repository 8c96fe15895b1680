//! Apple Pay: the merchant session for pages, the token from the payer's device, and the door to the acquirer that
//! charges it.
//!
//! A token is verified twice by the same steps: before the charge becomes an intent, and again when the charge is
//! prepared, so that nothing is charged that is not this token for this amount. Card data lives from the opening of the
//! token to the end of the request that carries it; it is never kept, logged or shown.
//!
//! What a dialect of an acquirer is, is told in [`Acquirer`]; [`Https`] is built in.

mod account;
mod acquirer;
mod ber;
mod card;
mod codes;
mod currencies;
mod identity;
mod notify;
mod opening;
mod reply;
mod request;
mod session;
mod signature;
#[cfg(feature = "simulator")]
pub mod simulator;
mod token;

#[cfg(all(test, feature = "simulator"))]
mod tests;

use std::fmt;

use maxpay_engine::channel::http::HttpReply;
use maxpay_engine::channel::{
    Adapter, Call, Context, FieldError, Interpreted, Manifest, Notified, Prepared, RawNotification, SecretSettings,
    Step, VerifiedToken,
};
use maxpay_engine::model::{ChannelCode, Intent, Mode, NamedAction, PayerAction, Timestamp};
use maxpay_engine::secrets::Secret;
use serde_json::{Map, Value};

use crate::parts::x509::Certificate;

pub use acquirer::{Acquirer, Asked, Https, Payment, PaymentForm, SIGNATURE_HEADER, SIGNATURE_WINDOW, Terms};
pub use card::{Card, Hidden, Proof, ProofKind};
pub use codes::ADAPTER;

/// Apple Root CA - G3, published at <https://www.apple.com/certificateauthority/>; this copy is the one in spreedly/gala,
/// lib/gala/resources. A test compares its SHA-256 fingerprint.
const APPLE_ROOT: &[u8] = include_bytes!("apple_root_ca_g3.pem");

/// The adapter of Apple Pay, with the acquirer that charges.
pub struct ApplePay {
    manifest: Manifest,
    acquirer: Box<dyn Acquirer>,
    root: Certificate,
}

impl ApplePay {
    /// The adapter, trusting Apple's root alone.
    ///
    /// In test mode, and never in live mode, an account may name another root (`test_root`): a simulator's.
    #[must_use]
    pub fn new(acquirer: impl Acquirer) -> Self {
        let root = Certificate::read_one(APPLE_ROOT).expect("the certificate beside this file");
        Self { manifest: codes::manifest(acquirer.terms(), false), acquirer: Box::new(acquirer), root }
    }

    /// The adapter, trusting another root than Apple's. It serves test mode only.
    #[must_use]
    pub fn trusting(acquirer: impl Acquirer, root: Certificate) -> Self {
        Self { manifest: codes::manifest(acquirer.terms(), true), acquirer: Box::new(acquirer), root }
    }
}

impl fmt::Debug for ApplePay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApplePay(root {})", self.root.subject())
    }
}

impl Adapter for ApplePay {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn validate(
        &self,
        mode: Mode,
        settings: &Map<String, Value>,
        secrets: &SecretSettings,
        now: Timestamp,
    ) -> Result<String, Vec<FieldError>> {
        let ours = account::validate(mode, settings, secrets, now);
        let theirs = self.acquirer.validate(mode, settings, secrets, now);
        let mut errors = self.unknown_names(settings, secrets);
        if self.manifest.test_mode_only && mode == Mode::Live {
            errors.push(wrong("mode", "this build trusts another root than Apple's: it serves test mode only"));
        }
        match (ours, theirs) {
            (Ok(merchant), Ok(acquirer)) if errors.is_empty() => Ok(format!("{merchant} through {acquirer}")),
            (ours, theirs) => {
                errors.extend(ours.err().into_iter().chain(theirs.err()).flatten());
                Err(errors)
            }
        }
    }

    fn prepare(&self, call: &Call, context: &Context<'_>) -> Prepared {
        request::prepare(self, call, context)
    }

    fn interpret(&self, call: &Call, step: Step, reply: &HttpReply, context: &Context<'_>) -> Interpreted {
        reply::interpret(self, call, step, reply, context)
    }

    fn notification(&self, raw: &RawNotification, context: &Context<'_>) -> Notified {
        notify::notification(self, raw, context)
    }

    fn verify_token(
        &self,
        code: &ChannelCode,
        intent: &Intent,
        token: &Secret,
        context: &Context<'_>,
    ) -> Result<VerifiedToken, String> {
        request::verify_token(self, code, intent, token, context)
    }

    fn shown(&self, code: &ChannelCode, _number: &str, actions: &[NamedAction]) -> Vec<(String, String)> {
        let ours = actions.iter().filter(|named| named.name == code.as_str());
        ours.filter_map(|named| match &named.action {
            PayerAction::WalletSession { session } => session.as_ref(),
            PayerAction::AppOrder { .. }
            | PayerAction::Prepay { .. }
            | PayerAction::Redirect { .. }
            | PayerAction::Form { .. }
            | PayerAction::QrText { .. } => None,
        })
        .map(|session| ("merchantSession".to_owned(), session.clone()))
        .collect()
    }
}

impl ApplePay {
    fn unknown_names(&self, settings: &Map<String, Value>, secrets: &SecretSettings) -> Vec<FieldError> {
        let known = |name: &str, secret| {
            self.manifest.settings.iter().any(|field| field.name == name && field.secret == secret)
        };
        let shown = settings.keys().filter(|name| !known(name, false));
        let sealed = secrets.0.keys().filter(|name| !known(name, true));
        shown
            .map(|name| wrong(name, "is no setting of this channel that is shown"))
            .chain(sealed.map(|name| wrong(name, "is no secret setting of this channel")))
            .collect()
    }
}

fn wrong(field: &str, why: &str) -> FieldError {
    FieldError { field: field.to_owned(), why: why.to_owned() }
}
