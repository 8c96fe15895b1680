//! From a reply's bytes to what it proves.

use std::time::Duration;

use maxpay_engine::channel::http::HttpReply;
use maxpay_engine::channel::{Answer, Call, Context, Interpreted, Outcome, Paid};
use maxpay_engine::model::{ChannelCode, Money, NamedAction, PayerAction};

use crate::parts::canonical;
use crate::parts::digest::hmac_sha256;

use super::account::{self, MERCHANT_ID};
use super::wire::{self, AnswerBody, DoorBody, DoorError, Refused, Signed, WireState};

/// How long a wallet session may be used.
const SESSION_LIFE: Duration = Duration::from_mins(5);

/// See [`maxpay_engine::channel::Adapter::interpret`].
pub(super) fn interpret(call: &Call, reply: &HttpReply, context: &Context<'_>) -> Interpreted {
    Interpreted::Done(read(call, reply, context))
}

fn read(call: &Call, reply: &HttpReply, context: &Context<'_>) -> Answer {
    let path = match call {
        Call::Create { .. } => wire::CREATE,
        Call::Query { .. } => wire::QUERY,
        Call::Close { .. } => wire::CLOSE,
        Call::PayerSession { .. } => wire::SESSION,
        Call::Authorize { .. } => wire::CHARGE,
        Call::Void { .. } | Call::Refund { .. } | Call::QueryRefund { .. } | Call::Maintain => {
            return unknown("the sandbox has no such operation");
        }
    };
    let header = reply.header(wire::SIGNATURE_HEADER);
    let signed = Signed::Reply(path, reply.status);
    let keys = account::reply_keys(context);
    let (signed_at, _) = match wire::verify(keys, signed, header, context.now, &reply.body) {
        Ok(held) => held,
        Err(Refused::Missing) => return Answer::bare(unsigned(reply)),
        Err(refused) => return unknown(&refused.to_string()),
    };
    let Some(body) = AnswerBody::read(&reply.body) else {
        return unknown("the signed answer cannot be read");
    };
    Answer {
        outcome: outcome(call, &body, context),
        number: Some(body.number),
        owners: vec![(MERCHANT_ID, body.merchant_id)],
        provider_time: Some(signed_at),
    }
}

fn unknown(why: &str) -> Answer {
    Answer::bare(Outcome::Unknown(why.to_owned()))
}

/// The door refuses without a signature where it cannot know under which key to sign.
fn unsigned(reply: &HttpReply) -> Outcome {
    let door = if reply.status == 401 { serde_json::from_slice::<DoorBody>(&reply.body).ok() } else { None };
    match door.map(|body| body.error) {
        Some(DoorError::UnknownMerchant) => {
            Outcome::AccountRefused("the sandbox does not know the merchant".to_owned())
        }
        Some(DoorError::BadSignature) => Outcome::AccountRefused("the sandbox refuses the signature".to_owned()),
        Some(DoorError::StaleSignature) => Outcome::NotExecuted("the sandbox's clock disagrees with ours".to_owned()),
        None => Outcome::Unknown(format!("status {} without a signature", reply.status)),
    }
}

fn outcome(call: &Call, body: &AnswerBody, context: &Context<'_>) -> Outcome {
    let reason = || body.reason.clone().unwrap_or_else(|| "no reason given".to_owned());
    match (body.state, call) {
        (WireState::Open, Call::Create { code, intent, .. }) => match echoed(body) {
            Some(amount) if amount == intent.amount => match actions(code, body, context) {
                Some(actions) => Outcome::AwaitingPayer(actions),
                None => Outcome::Unknown("the answer lacks what the payer needs".to_owned()),
            },
            Some(_) | None => Outcome::Unknown("the answer names another amount".to_owned()),
        },
        // A duplicate proves that the create arrived before; the serial was given once.
        (WireState::Open, Call::Query { .. } | Call::Close { .. }) | (WireState::Duplicate, Call::Create { .. }) => {
            Outcome::Unpaid
        }
        (WireState::Session, Call::PayerSession { code, .. }) => session(code, body, context),
        (WireState::Paid, Call::Create { .. } | Call::Query { .. } | Call::Close { .. } | Call::Authorize { .. }) => {
            paid(body)
        }
        (WireState::Closed, Call::Create { .. } | Call::Query { .. } | Call::Close { .. } | Call::Authorize { .. }) => {
            // An answer with any sign of a payment is not this one.
            if body.payment.is_none() && body.returned.is_none() {
                Outcome::Closed
            } else {
                Outcome::Unknown("the answer says closed and names a payment".to_owned())
            }
        }
        (WireState::Declined | WireState::Invalid, Call::Create { .. } | Call::Authorize { .. }) => {
            Outcome::Declined(reason())
        }
        (WireState::Declined, Call::Query { .. } | Call::Close { .. }) => Outcome::Declined(reason()),
        (WireState::Processing, Call::Query { .. } | Call::Close { .. } | Call::Authorize { .. }) => {
            Outcome::Processing
        }
        (WireState::NotFound, Call::Query { .. } | Call::Close { .. }) => Outcome::NotFound,
        (WireState::Busy, _) => Outcome::NotExecuted(reason()),
        (
            state @ (WireState::Open
            | WireState::Duplicate
            | WireState::Paid
            | WireState::Closed
            | WireState::Declined
            | WireState::Processing
            | WireState::NotFound
            | WireState::Conflict
            | WireState::Invalid
            | WireState::Session),
            _,
        ) => Outcome::Unknown(format!("{state:?} answers no such call: {}", reason())),
    }
}

/// What a *paid* body proves. Also read from notifications.
pub(super) fn paid(body: &AnswerBody) -> Outcome {
    let unreadable = || Outcome::Unknown("the answer says paid and names no readable payment".to_owned());
    let Some(payment) = &body.payment else { return unreadable() };
    let Ok(amount) = Money::read(payment.amount, &payment.currency) else { return unreadable() };
    let paid = Paid { trade_number: payment.trade_number.clone(), amount, paid_at: Some(payment.paid_at) };
    let Some(returned) = &body.returned else { return Outcome::Succeeded(paid) };
    let Ok(back) = Money::read(returned.amount, &payment.currency) else { return unreadable() };
    Outcome::PaidThenReturned {
        paid,
        returned: back,
        refunds: vec![(Some(returned.refund_number.clone()), Some(back))],
        by: returned.by.clone(),
        is_final: true,
    }
}

fn echoed(body: &AnswerBody) -> Option<Money> {
    Money::read(body.amount?, body.currency.as_deref()?).ok()
}

fn session(code: &ChannelCode, body: &AnswerBody, context: &Context<'_>) -> Outcome {
    let Some(session) = body.handle.clone() else {
        return Outcome::Unknown("the answer lacks the wallet session".to_owned());
    };
    Outcome::AwaitingPayer(vec![NamedAction {
        name: code.to_string(),
        action: PayerAction::WalletSession { session: Some(session) },
        usable_until: Some(context.now.after(SESSION_LIFE)),
    }])
}

/// What the payer's device needs, in the shape of the real channel.
fn actions(code: &ChannelCode, body: &AnswerBody, context: &Context<'_>) -> Option<Vec<NamedAction>> {
    let handle = || body.handle.clone();
    let link = || body.link.clone();
    let merchant = context.account.text(MERCHANT_ID);
    let mut usable_until = None;
    let actions = match code.as_str() {
        "ali_qrcode" => vec![PayerAction::QrText { text: link()? }],
        "wx_app" => vec![PayerAction::Prepay { parameters: app_parameters(&handle()?, merchant, context)? }],
        "wx_native" => vec![
            PayerAction::QrText { text: link()? },
            PayerAction::Prepay { parameters: vec![("prepayid".to_owned(), handle()?)] },
        ],
        "wx_jsapi" | "wx_mini" => {
            vec![PayerAction::Prepay { parameters: page_parameters(&handle()?, merchant, context)? }]
        }
        "wx_h5" => {
            usable_until = Some(context.now.after(Duration::from_mins(5)));
            vec![PayerAction::Redirect { url: link()? }]
        }
        "unipay_app" => vec![PayerAction::AppOrder { order: handle()? }],
        _ => return None,
    };
    Some(actions.into_iter().map(|action| NamedAction { name: code.to_string(), action, usable_until }).collect())
}

/// The seven values of the WeChat app look-alike, signed for the phone SDK.
fn app_parameters(prepay: &str, merchant: &str, context: &Context<'_>) -> Option<Vec<(String, String)>> {
    let parameters = [
        ("appid", account::app_id(merchant)),
        ("partnerid", merchant.to_owned()),
        ("prepayid", prepay.to_owned()),
        ("package", "Sign=WXPay".to_owned()),
        ("noncestr", nonce(context)),
        ("timestamp", format!("{:010}", context.now.seconds())),
    ];
    signed(&parameters, "sign", context)
}

/// The six values of the WeChat page look-alikes, signed for the page.
fn page_parameters(prepay: &str, merchant: &str, context: &Context<'_>) -> Option<Vec<(String, String)>> {
    let parameters = [
        ("appId", account::app_id(merchant)),
        ("timeStamp", format!("{:010}", context.now.seconds())),
        ("nonceStr", nonce(context)),
        ("package", format!("prepay_id={prepay}")),
        ("signType", "MD5".to_owned()),
    ];
    signed(&parameters, "paySign", context)
}

fn nonce(context: &Context<'_>) -> String {
    let mut bytes = [0; 16];
    context.entropy.fill(&mut bytes);
    hex::encode(bytes)
}

fn signed(parameters: &[(&str, String)], name: &str, context: &Context<'_>) -> Option<Vec<(String, String)>> {
    let mut pairs: Vec<_> = parameters.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    let text = format!("prepay\n{}", canonical::signing_text(&pairs));
    let mac = hmac_sha256(account::signing_key(context)?, text.as_bytes());
    pairs.push((name.to_owned(), hex::encode_upper(&mac[..16])));
    Some(pairs)
}
