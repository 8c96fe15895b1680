//! From a call to the signed request that asks it, or to the order that is signed here.

use maxpay_engine::channel::http::HttpRequest;
use maxpay_engine::channel::{Answer, Call, Context, OriginalApi, Outcome, Prepared, Subject, VerifiedToken};
use maxpay_engine::model::{ChannelCode, Currency, Intent, NamedAction, PayerAction};
use maxpay_engine::secrets::Secret;
use serde::Serialize;

use crate::parts::digest::sha256;

use super::account::{self, BASE_URL, MERCHANT_ID};
use super::codes::ALI_SIGNED;
use super::signed::SignedOrder;
use super::wire::{self, NumberBody, OrderBody, Signed, TokenBody};

/// See [`maxpay_engine::channel::Adapter::prepare`].
pub(super) fn prepare(call: &Call, context: &Context<'_>) -> Prepared {
    let Some(subject) = context.subject else {
        return match call {
            Call::Void { .. } | Call::Refund { .. } | Call::QueryRefund { .. } | Call::Maintain => {
                Prepared::Unsupported
            }
            Call::Create { .. }
            | Call::Query { .. }
            | Call::Close { .. }
            | Call::PayerSession { .. }
            | Call::Authorize { .. } => not_executed("a call needs a number"),
        };
    };
    match call {
        Call::Create { code, intent, original_api } => match code.as_str() {
            "ali_app" | "ali_web" | "ali_wap" | "unipay_web" => {
                sign_here(code, intent, *original_api, context, subject)
            }
            "apple_pay" => Prepared::Done(wallet_session()),
            _ => send(wire::CREATE, &order_body(code, intent, context, subject, None), context),
        },
        Call::Query { .. } => send(wire::QUERY, &number_body(context, subject), context),
        // The real form has no close either: it ends when it expires.
        Call::Close { code } if code.as_str() == "unipay_web" => Prepared::Unsupported,
        Call::Close { .. } => send(wire::CLOSE, &number_body(context, subject), context),
        Call::Void { .. } | Call::Refund { .. } | Call::QueryRefund { .. } | Call::Maintain => Prepared::Unsupported,
        Call::PayerSession { code, validation_url } => {
            if code.as_str() != "apple_pay" {
                return Prepared::Unsupported;
            }
            if validation_url.as_deref().is_some_and(|url| !is_ours(url, context)) {
                return Prepared::Done(Answer::bare(Outcome::NotExecuted(
                    "validation_url is not below the sandbox's base_url".to_owned(),
                )));
            }
            send(wire::SESSION, &number_body(context, subject), context)
        }
        Call::Authorize { code, intent, token } => {
            if code.as_str() != "apple_pay" {
                return Prepared::Unsupported;
            }
            let Some(token) = token.expose_text() else { return not_executed("the token is not text") };
            send(wire::CHARGE, &order_body(code, intent, context, subject, Some(token.to_owned())), context)
        }
    }
}

/// See [`maxpay_engine::channel::Adapter::verify_token`].
pub(super) fn verify_token(code: &ChannelCode, token: &Secret, context: &Context<'_>) -> Result<VerifiedToken, String> {
    if code.as_str() != "apple_pay" {
        return Err(format!("{code} takes no token"));
    }
    let read = TokenBody::read(token.expose())?;
    // Their numbers are made up, so that those of two merchants may be the same.
    let once_key = format!("{}/{}", context.account.text(MERCHANT_ID), read.transaction_id);
    Ok(VerifiedToken { once_key, digest: sha256(token.expose()) })
}

fn wallet_session() -> Answer {
    let action = PayerAction::WalletSession { session: None };
    Answer::bare(Outcome::AwaitingPayer(vec![NamedAction { name: "apple_pay".to_owned(), action, usable_until: None }]))
}

fn sign_here(
    code: &ChannelCode,
    intent: &Intent,
    original_api: OriginalApi,
    context: &Context<'_>,
    subject: Subject<'_>,
) -> Prepared {
    let Some(secret) = account::signing_key(context) else { return not_executed("the account has no secret") };
    let Some(base_url) = account::base_url(context.account.text(BASE_URL)) else {
        return not_executed("the account's base_url is no address");
    };
    if intent.amount.currency() != Currency::CNY {
        return not_executed("this channel takes CNY only");
    }
    let all: Vec<&'static str> = ALI_SIGNED.into_iter().chain(["unipay_web"]).collect();
    let together = original_api == OriginalApi::Yes && ALI_SIGNED.contains(&code.as_str());
    let asked = all.into_iter().filter(|name| *name == code.as_str() || (together && ALI_SIGNED.contains(name)));
    let actions = asked.map(|channel| {
        let order = SignedOrder {
            channel,
            merchant_id: context.account.text(MERCHANT_ID).to_owned(),
            number: subject.number.to_owned(),
            amount: intent.amount,
            subject: intent.subject.clone(),
            notify_url: context.account.notify_url.to_owned(),
            return_url: intent.return_url.clone(),
            show_url: intent.show_url.clone(),
            expires_at: intent.expires_at,
        };
        let text = order.text(secret, &base_url);
        let action = match channel {
            "ali_app" => PayerAction::AppOrder { order: text },
            "unipay_web" => PayerAction::Form { html: text },
            _ => PayerAction::Redirect { url: text },
        };
        NamedAction { name: channel.to_owned(), action, usable_until: None }
    });
    Prepared::Done(Answer {
        number: Some(subject.number.to_owned()),
        owners: vec![(MERCHANT_ID, context.account.text(MERCHANT_ID).to_owned())],
        provider_time: None,
        outcome: Outcome::AwaitingPayer(actions.collect()),
    })
}

fn order_body(
    code: &ChannelCode,
    intent: &Intent,
    context: &Context<'_>,
    subject: Subject<'_>,
    token: Option<String>,
) -> OrderBody {
    OrderBody {
        merchant_id: context.account.text(MERCHANT_ID).to_owned(),
        number: subject.number.to_owned(),
        numbered_at: subject.numbered_at,
        channel: code.to_string(),
        amount: intent.amount.minor(),
        currency: intent.amount.currency().to_string(),
        subject: intent.subject.clone(),
        notify_url: context.account.notify_url.to_owned(),
        expires_at: intent.expires_at,
        return_url: intent.return_url.clone(),
        show_url: intent.show_url.clone(),
        payer: intent.payer.clone(),
        token,
    }
}

fn number_body(context: &Context<'_>, subject: Subject<'_>) -> NumberBody {
    NumberBody { merchant_id: context.account.text(MERCHANT_ID).to_owned(), number: subject.number.to_owned() }
}

fn send(path: &str, body: &impl Serialize, context: &Context<'_>) -> Prepared {
    let Some(secret) = account::signing_key(context) else { return not_executed("the account has no secret") };
    let Some(url) = account::address(context, path) else {
        return not_executed("the account's base_url is no address");
    };
    let body = serde_json::to_vec(body).expect("bodies are structs of texts and numbers");
    let signature = wire::sign(secret, Signed::Request(path), context.now, &body);
    Prepared::Send(HttpRequest::post(url, "application/json", body).header(wire::SIGNATURE_HEADER, signature))
}

fn is_ours(url: &str, context: &Context<'_>) -> bool {
    account::base_url(context.account.text(BASE_URL))
        .is_some_and(|base| url == base || url.starts_with(&format!("{base}/")))
}

fn not_executed(why: &str) -> Prepared {
    Prepared::Done(Answer::bare(Outcome::NotExecuted(why.to_owned())))
}
