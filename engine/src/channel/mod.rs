//! What an adapter is: the code that speaks one provider's dialect.
//!
//! An adapter is pure: bytes and records in, values out. It has no HTTP client, no clock, no randomness of its own and
//! no state between calls; the engine owns sending, limits, TLS, the comparison of owners and every status.

mod call;
pub mod http;
mod manifest;
mod outcome;
mod settings;

pub use call::{
    Call, Context, Original, OriginalApi, Prepared, RefundIntent, RefundKind, Step, Subject, VerifiedToken,
};
pub use manifest::{
    CloseRules, CodeManifest, Manifest, PayerInput, QueryRules, Recreate, RefundRules, SettingField, UnsignedAnswer,
    VoidRules,
};
pub use outcome::{Acknowledgement, Answer, Fact, FactSubject, Interpreted, Notified, Outcome, Paid, RawNotification};
pub use settings::{AccountView, FieldError, Material, SecretSettings};

use crate::model::{ChannelCode, Intent, Mode, NamedAction, Timestamp};
use crate::secrets::Secret;

/// One provider's dialect. Every method is a pure function of its arguments.
pub trait Adapter: Send + Sync + 'static {
    /// What it can do and what its provider's answers prove. The same at every call.
    fn manifest(&self) -> &Manifest;

    /// Checks an account's settings when they are saved, secrets included.
    ///
    /// `now` tells whether certificates among them have expired.
    ///
    /// Returns the *identity* they name: a text that stays the same while it is the same contract (merchant, app and
    /// seller ids, hosts). Settings of another identity are another account.
    ///
    /// # Errors
    /// Every field that is wrong, with why and what would be right.
    fn validate(
        &self,
        mode: Mode,
        settings: &serde_json::Map<String, serde_json::Value>,
        secrets: &SecretSettings,
        now: Timestamp,
    ) -> Result<String, Vec<FieldError>>;

    /// Turns a call into the request that asks it, or answers it without one.
    fn prepare(&self, call: &Call, context: &Context<'_>) -> Prepared;

    /// Reads the reply to the request of `step` of a call.
    fn interpret(&self, call: &Call, step: Step, reply: &http::HttpReply, context: &Context<'_>) -> Interpreted;

    /// Reads a notification that came to the account's address. [`Context::subject`] is empty here.
    fn notification(&self, raw: &RawNotification, context: &Context<'_>) -> Notified;

    /// Verifies a payer's token before a charge by it becomes an intent. Where the token itself says what the payer has
    /// agreed to, that is compared with `intent`, so that a token for another amount is refused before anything is
    /// written or sent.
    ///
    /// # Errors
    /// Why the token is refused, for people, without anything secret. The default refuses every token: most channels
    /// take none.
    fn verify_token(
        &self,
        code: &ChannelCode,
        intent: &Intent,
        token: &Secret,
        context: &Context<'_>,
    ) -> Result<VerifiedToken, String> {
        let _ = (intent, token, context);
        Err(format!("{code} takes no token"))
    }

    /// What the original API shows of these payer actions: the answer fields of `code`, in order.
    fn shown(&self, code: &ChannelCode, number: &str, actions: &[NamedAction]) -> Vec<(String, String)>;
}
