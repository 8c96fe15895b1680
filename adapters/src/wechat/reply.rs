//! From a reply's bytes to what it proves.

use maxpay_engine::channel::http::HttpReply;
use maxpay_engine::channel::{Answer, Call, Context, Interpreted, Outcome, Paid, RefundIntent};
use maxpay_engine::model::{ChannelCode, Intent, Money, NamedAction, PayerAction, Timestamp};

use crate::parts::canonical::percent_encoded;

use super::account::{self, MCHID};
use super::certificates;
use super::codes::{self, Refusal};
use super::request::nonce;
use super::signature::{Proof, client_text, proof, sign};
use super::wire::{self, CreatedBody, PaidAmount, RefundedBody, RefusedBody, TransactionBody};

/// See [`maxpay_engine::channel::Adapter::interpret`].
pub(super) fn interpret(call: &Call, reply: &HttpReply, context: &Context<'_>) -> Interpreted {
    if matches!(call, Call::Maintain) {
        return certificates::learn(reply, context);
    }
    let find = |serial: &str| certificates::keys(serial, context);
    match proof(|name| reply.header(name), &reply.body, context.now, find) {
        Proof::Holds(at) => {
            let answer = Answer { provider_time: Some(at), ..verified(call, reply, at, context) };
            Interpreted::Done(answer)
        }
        Proof::Unsigned => unknown_or(unsigned(call, reply)),
        Proof::UnknownKey(serial) if certificates::is_downloadable(&serial) => match certificates::request(context) {
            Some(request) => Interpreted::NeedMaterial(request),
            None => unknown_or(None),
        },
        Proof::UnknownKey(_) => {
            let why = "the answer is signed with a public key of WeChat Pay's that the account does not have";
            Interpreted::Done(unknown(why))
        }
        Proof::Broken(why) => Interpreted::Done(unknown(why)),
    }
}

fn unknown(why: &str) -> Answer {
    Answer::bare(Outcome::Unknown(why.to_owned()))
}

fn unknown_or(proved: Option<Outcome>) -> Interpreted {
    let nothing = || Outcome::Unknown("the answer is not signed".to_owned());
    Interpreted::Done(Answer::bare(proved.unwrap_or_else(nothing)))
}

/// A request whose own signature is refused gets an answer without one (4012365334): the only one that counts.
fn unsigned(call: &Call, reply: &HttpReply) -> Option<Outcome> {
    if reply.status != 401 {
        return None;
    }
    let body = wire::read::<RefusedBody>(&reply.body)?;
    let refusal = Refusal { status: reply.status, code: &body.code, message: &body.message };
    Some(codes::refusal(call.kind(), &refusal))
}

fn verified(call: &Call, reply: &HttpReply, at: Timestamp, context: &Context<'_>) -> Answer {
    match (call, reply.status) {
        (Call::Create { code, intent, .. }, 200) => Answer::bare(created(code, intent, &reply.body, at, context)),
        (Call::Query { code }, 200) => match wire::read::<TransactionBody>(&reply.body) {
            Some(body) => Answer {
                number: Some(body.out_trade_no.clone()),
                owners: vec![(MCHID, body.mchid.clone()), (account::appid(code, context).0, body.appid.clone())],
                provider_time: None,
                outcome: traded(&body),
            },
            None => unknown("the signed answer cannot be read"),
        },
        // It echoes nothing: it counts as the answer on its own request's connection.
        (Call::Close { .. }, 204) => Answer::bare(Outcome::Closed),
        (Call::Refund { refund, .. } | Call::QueryRefund { refund, .. }, 200) => {
            match wire::read::<RefundedBody>(&reply.body) {
                Some(body) => Answer {
                    number: Some(body.out_refund_no.clone()),
                    owners: body.mchid.iter().map(|mchid| (MCHID, mchid.clone())).collect(),
                    provider_time: None,
                    outcome: refund_of(&body, refund, context),
                },
                None => unknown("the signed answer cannot be read"),
            }
        }
        // 202 is a close that was not done: the payer is paying.
        (Call::Close { .. }, 202) | (_, 400..) => match wire::read::<RefusedBody>(&reply.body) {
            Some(body) => {
                let refusal = Refusal { status: reply.status, code: &body.code, message: &body.message };
                Answer::bare(codes::refusal(call.kind(), &refusal))
            }
            None => unknown(&format!("status {} with a body that cannot be read", reply.status)),
        },
        _ => unknown(&format!("status {} answers no such call", reply.status)),
    }
}

/// What an order's own words prove. Also read from notifications.
pub(crate) fn traded(body: &TransactionBody) -> Outcome {
    let unreadable = || Outcome::Unknown(format!("{} without a readable payment", body.trade_state));
    match body.trade_state.as_str() {
        "SUCCESS" => paid(body).map_or_else(unreadable, Outcome::Succeeded),
        // At least one refund, of any state; the payment stands. How much went back is told by the refunds alone.
        "REFUND" => match paid(body) {
            Some(paid) => Outcome::PaidThenReturned {
                returned: Money::zero(paid.amount.currency()),
                paid,
                refunds: Vec::new(),
                by: "WeChat Pay says REFUND".to_owned(),
                is_final: false,
            },
            None => unreadable(),
        },
        "NOTPAY" => Outcome::Unpaid,
        "CLOSED" if body.transaction_id.is_none() && body.success_time.is_none() => Outcome::Closed,
        "CLOSED" => Outcome::Unknown("CLOSED, and yet it names a payment".to_owned()),
        "USERPAYING" | "ACCEPT" => Outcome::Processing,
        "PAYERROR" => Outcome::Declined("PAYERROR: the payment failed".to_owned()),
        // Only of barcode payments, which no code here makes.
        "REVOKED" => Outcome::Unknown("REVOKED, which no order of these channels becomes".to_owned()),
        other => Outcome::Unknown(format!("trade_state {} is in no document", clip(other))),
    }
}

fn paid(body: &TransactionBody) -> Option<Paid> {
    let PaidAmount { total, currency, .. } = body.amount.as_ref()?;
    let amount = Money::new((*total)?, currency.as_deref().unwrap_or("CNY").parse().ok()?).ok()?;
    let trade_number = body.transaction_id.clone().filter(|number| !number.is_empty())?;
    Some(Paid { trade_number, amount, paid_at: moment(body.success_time.as_deref()) })
}

fn moment(text: Option<&str>) -> Option<Timestamp> {
    text?.parse().ok()
}

fn clip(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(32).collect()
}

/// What a refund's answer proves: first, that it speaks of the refund that was asked for.
fn refund_of(body: &RefundedBody, refund: &RefundIntent, context: &Context<'_>) -> Outcome {
    let agrees = context.original.is_some_and(|original| {
        body.transaction_id == original.trade_number
            && body.out_trade_no == original.number
            && body.amount.total == original.total.minor()
    });
    if agrees && body.amount.refund == refund.amount.minor() {
        refunded(body)
    } else {
        Outcome::Unknown("the answer speaks of another payment or another amount".to_owned())
    }
}

/// What a refund's own words prove. Also read from notifications.
pub(super) fn refunded(body: &RefundedBody) -> Outcome {
    match body.status.as_str() {
        "SUCCESS" => {
            let currency = body.amount.currency.as_deref().unwrap_or("CNY").parse().ok();
            match currency.and_then(|currency| Money::new(body.amount.refund, currency).ok()) {
                Some(amount) => Outcome::Succeeded(Paid {
                    trade_number: body.refund_id.clone(),
                    amount,
                    paid_at: moment(body.success_time.as_deref()),
                }),
                None => Outcome::Unknown("SUCCESS without a readable amount".to_owned()),
            }
        }
        "PROCESSING" => Outcome::Processing,
        // The money lies with WeChat Pay until somebody finishes the refund on the merchant platform (4013071031).
        "ABNORMAL" => Outcome::Held("ABNORMAL: the payer's account does not take it".to_owned()),
        "CLOSED" => Outcome::Closed,
        other => Outcome::Unknown(format!("refund status {} is in no document", clip(other))),
    }
}

fn created(code: &ChannelCode, intent: &Intent, body: &[u8], at: Timestamp, context: &Context<'_>) -> Outcome {
    let lacks = || Outcome::Unknown("the answer lacks what the payer needs".to_owned());
    let Some(body) = wire::read::<CreatedBody>(body) else { return lacks() };
    let action = match code.as_str() {
        "wx_app" | "wx_jsapi" | "wx_mini" => {
            let parameters = body.prepay_id.and_then(|prepay| parameters(code, &prepay, context));
            parameters.map(|parameters| PayerAction::Prepay { parameters })
        }
        "wx_native" => body.code_url.map(|text| PayerAction::QrText { text }),
        "wx_h5" => body.h5_url.map(|url| PayerAction::Redirect { url: with_return(url, intent) }),
        _ => None,
    };
    let Some(action) = action else { return lacks() };
    let usable_until = Some(at.after(codes::action_life(code)));
    Outcome::AwaitingPayer(vec![NamedAction { name: code.to_string(), action, usable_until }])
}

/// The address to return to is told in the address itself (4012791834).
pub(crate) fn with_return(url: String, intent: &Intent) -> String {
    match &intent.return_url {
        Some(back) => format!("{url}&redirect_url={}", percent_encoded(back)),
        None => url,
    }
}

/// What a phone or a page hands to WeChat, signed.
fn parameters(code: &ChannelCode, prepay: &str, context: &Context<'_>) -> Option<Vec<(String, String)>> {
    let (key, _) = account::signing(context)?;
    let (_, appid) = account::appid(code, context);
    let (nonce, timestamp) = (nonce(context), context.now.seconds().to_string());
    let pairs = if code.as_str() == "wx_app" {
        let signature = sign(&key, client_text(appid, &timestamp, &nonce, prepay).as_bytes());
        vec![
            ("appid", appid.to_owned()),
            ("partnerid", context.account.text(MCHID).to_owned()),
            ("prepayid", prepay.to_owned()),
            ("package", "Sign=WXPay".to_owned()),
            ("noncestr", nonce),
            ("timestamp", timestamp),
            ("sign", signature),
        ]
    } else {
        let package = format!("prepay_id={prepay}");
        let signature = sign(&key, client_text(appid, &timestamp, &nonce, &package).as_bytes());
        vec![
            ("appId", appid.to_owned()),
            ("timeStamp", timestamp),
            ("nonceStr", nonce),
            ("package", package),
            ("signType", "RSA".to_owned()),
            ("paySign", signature),
        ]
    };
    Some(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}
