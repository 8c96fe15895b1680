//! From a call to the request that asks it, and from a token to what the engine may know of it.

use std::borrow::Cow;

use maxpay_engine::channel::{Answer, Call, Context, Outcome, Prepared, VerifiedToken};
use maxpay_engine::model::{ChannelCode, Intent, NamedAction, PayerAction};
use maxpay_engine::secrets::Secret;

use crate::parts::digest::sha256;
use crate::parts::x509::Certificate;

use super::acquirer::{Asked, Payment, PaymentForm};
use super::codes::CODE;
use super::token::{Expected, Opened, Refused, Token};
use super::{ApplePay, account, session};

/// A transaction's id is the beginning of every number of it (payments.md section 1 "Numbers at the channel").
const ID_DIGITS: usize = 24;

/// See [`maxpay_engine::channel::Adapter::prepare`].
pub(super) fn prepare(adapter: &ApplePay, call: &Call, context: &Context<'_>) -> Prepared {
    match call {
        Call::Create { .. } => Prepared::Done(wallet_session()),
        Call::Close { .. } | Call::Maintain => Prepared::Unsupported,
        Call::PayerSession { validation_url, .. } => session::prepare(validation_url.as_deref(), context),
        Call::Authorize { intent, token, .. } => charge(adapter, intent, token, context),
        Call::Query { .. } | Call::Void { .. } | Call::Refund { .. } | Call::QueryRefund { .. } => match asked(call) {
            Some(asked) => adapter.acquirer.prepare(&asked, context),
            None => Prepared::Unsupported,
        },
    }
}

/// See [`maxpay_engine::channel::Adapter::verify_token`].
pub(super) fn verify_token(
    adapter: &ApplePay,
    code: &ChannelCode,
    intent: &Intent,
    token: &Secret,
    context: &Context<'_>,
) -> Result<VerifiedToken, String> {
    if code.as_str() != CODE {
        return Err(format!("{code} takes no token"));
    }
    let opened = open(adapter, intent, token, context).map_err(|why| why.to_string())?;
    Ok(VerifiedToken { once_key: opened.once_key, digest: sha256(token.expose()) })
}

/// What is asked of the acquirer; `None`: it is not asked this.
pub(super) fn asked(call: &Call) -> Option<Asked<'_>> {
    match call {
        Call::Authorize { intent, .. } => Some(Asked::Charge(intent)),
        Call::Query { .. } => Some(Asked::Query),
        Call::Void { refund, .. } => Some(Asked::Void(refund)),
        Call::Refund { refund, .. } => Some(Asked::Refund(refund)),
        Call::QueryRefund { kind, refund, .. } => Some(Asked::QueryRefund(*kind, refund)),
        Call::Create { .. } | Call::Close { .. } | Call::Maintain | Call::PayerSession { .. } => None,
    }
}

fn wallet_session() -> Answer {
    let action = PayerAction::WalletSession { session: None };
    Answer::bare(Outcome::AwaitingPayer(vec![NamedAction { name: CODE.to_owned(), action, usable_until: None }]))
}

fn charge(adapter: &ApplePay, intent: &Intent, token: &Secret, context: &Context<'_>) -> Prepared {
    match open(adapter, intent, token, context) {
        Ok(opened) => {
            let form =
                if account::sends_token(context) { PaymentForm::Token(token) } else { PaymentForm::Card(&opened.card) };
            let payment = Payment { network: opened.network.as_deref(), form };
            adapter.acquirer.charge(intent, &payment, context)
        }
        // Nothing has left, so nothing was charged: the payer may try again.
        Err(why) => Prepared::Done(Answer::bare(Outcome::NotExecuted(why.to_string()))),
    }
}

fn open(adapter: &ApplePay, intent: &Intent, token: &Secret, context: &Context<'_>) -> Result<Opened, Refused> {
    let root = account::test_root(context).map_or(Cow::Borrowed(&adapter.root), Cow::<Certificate>::Owned);
    let number = context.subject.map_or("", |subject| subject.number);
    let expected = Expected {
        openers: account::openers(context),
        merchant_id: context.account.text(account::MERCHANT_ID),
        root: &root,
        networks: account::taken_networks(context),
        must_be_bound: account::must_be_bound(context),
        transaction: number.get(..ID_DIGITS).unwrap_or(number),
    };
    Token::read(token.expose())?.verify(&expected, intent, context.now)
}
