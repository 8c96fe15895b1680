//! From a reply's bytes to what it proves.

use maxpay_engine::channel::http::HttpReply;
use maxpay_engine::channel::{Answer, Call, Context, Outcome, Paid, RefundIntent};
use maxpay_engine::model::{ChannelCode, Currency, Intent, Money, NamedAction, PayerAction};

use super::super::account::{MCHID, appid};
use super::super::codes::action_life;
use super::super::reply::{traded, with_return};
use super::super::wire::{PaidAmount, TransactionBody};
use crate::parts::beijing;
use crate::parts::xml;

use super::account;
use super::codes;
use super::request::nonce;
use super::signature::{Fields, holds, sign, value};

/// See [`maxpay_engine::channel::Adapter::interpret`].
pub(super) fn read(call: &Call, reply: &HttpReply, context: &Context<'_>) -> Answer {
    if reply.status != 200 {
        return unknown(&format!("status {}", reply.status));
    }
    let Ok(fields) = xml::read(&reply.body, "xml") else { return unknown("the answer cannot be read") };
    match holds(&fields, account::keys(context)) {
        Some(true) => {}
        Some(false) => return unknown("the signature is wrong"),
        None => return Answer::bare(unsigned(&fields)),
    }
    match (value(&fields, "return_code"), value(&fields, "result_code")) {
        (Some("SUCCESS"), Some("SUCCESS")) => {}
        (Some("SUCCESS"), Some("FAIL")) => {
            let (code, why) = (value(&fields, "err_code"), value(&fields, "err_code_des"));
            let outcome = codes::refused(call.kind(), code.unwrap_or("no code"), why.unwrap_or_default());
            return Answer { owners: owners(&fields, call, context), ..Answer::bare(outcome) };
        }
        _ => return unknown("the signed answer is neither a success nor a refusal"),
    }
    let owners = owners(&fields, call, context);
    let named = |name: &str| value(&fields, name).map(str::to_owned);
    let (number, outcome) = match call {
        Call::Create { code, intent, .. } => (None, created(code, intent, &fields, context)),
        Call::Query { .. } => (
            named("out_trade_no"),
            order(&fields, None)
                .map_or_else(|| Outcome::Unknown("the signed answer lacks a field".to_owned()), |body| traded(&body)),
        ),
        Call::Close { .. } => (None, closed(&fields)),
        // Accepted; what comes of it is told by the query.
        Call::Refund { refund, .. } => (named("out_refund_no"), accepted(&fields, refund, context)),
        Call::QueryRefund { refund, .. } => refunded(&fields, refund, context),
        Call::Void { .. } | Call::Maintain | Call::PayerSession { .. } | Call::Authorize { .. } => {
            (None, Outcome::Unknown("this channel has no such operation".to_owned()))
        }
    };
    Answer { number, owners, provider_time: None, outcome }
}

fn unknown(why: &str) -> Answer {
    Answer::bare(Outcome::Unknown(why.to_owned()))
}

/// A request that is refused at the door gets an answer without a signature: only one about ours counts.
fn unsigned(fields: &Fields) -> Outcome {
    let message = value(fields, "return_msg").unwrap_or_default();
    if value(fields, "return_code") == Some("FAIL") && message.contains("签名") {
        return Outcome::AccountRefused("WeChat Pay refuses the request's signature".to_owned());
    }
    Outcome::Unknown("the answer is not signed".to_owned())
}

fn owners(fields: &Fields, call: &Call, context: &Context<'_>) -> Vec<(&'static str, String)> {
    let code = match call {
        Call::Create { code, .. }
        | Call::Query { code }
        | Call::Close { code }
        | Call::Void { code, .. }
        | Call::Refund { code, .. }
        | Call::QueryRefund { code, .. }
        | Call::PayerSession { code, .. }
        | Call::Authorize { code, .. } => code,
        Call::Maintain => return Vec::new(),
    };
    let merchant = value(fields, "mch_id").map(|mchid| (MCHID, mchid.to_owned()));
    let app = value(fields, "appid").map(|id| (appid(code, context).0, id.to_owned()));
    merchant.into_iter().chain(app).collect()
}

/// An order's fields in the words of v3. `None`: one is missing. Also read from notifications, which name no `state`.
pub(super) fn order(fields: &Fields, state: Option<&str>) -> Option<TransactionBody> {
    let named = |name: &str| value(fields, name).map(str::to_owned);
    let paid_at = value(fields, "time_end").and_then(beijing::read_packed);
    Some(TransactionBody {
        appid: named("appid")?,
        mchid: named("mch_id")?,
        out_trade_no: named("out_trade_no")?,
        transaction_id: named("transaction_id"),
        trade_type: named("trade_type"),
        trade_state: named("trade_state").or(state.map(str::to_owned))?,
        trade_state_desc: None,
        success_time: paid_at.map(|at| at.to_string()),
        amount: value(fields, "total_fee").and_then(|fee| fee.parse().ok()).map(|total| PaidAmount {
            total: Some(total),
            payer_total: None,
            currency: named("fee_type"),
        }),
    })
}

fn created(code: &ChannelCode, intent: &Intent, fields: &Fields, context: &Context<'_>) -> Outcome {
    let named = |name: &str| value(fields, name).map(str::to_owned);
    let prepay = |name: &str| PayerAction::Prepay { parameters: vec![("prepayid".to_owned(), name.to_owned())] };
    let actions = match code.as_str() {
        "wx_app" | "wx_jsapi" | "wx_mini" => named("prepay_id")
            .and_then(|prepay| parameters(code, &prepay, context))
            .map(|parameters| vec![PayerAction::Prepay { parameters }]),
        "wx_native" => named("code_url").map(|text| {
            let id = named("prepay_id").map(|id| prepay(&id));
            [PayerAction::QrText { text }].into_iter().chain(id).collect()
        }),
        "wx_h5" => named("mweb_url").map(|url| vec![PayerAction::Redirect { url: with_return(url, intent) }]),
        _ => None,
    };
    let Some(actions) = actions else {
        return Outcome::Unknown("the answer lacks what the payer needs".to_owned());
    };
    let usable_until = Some(context.now.after(action_life(code)));
    let named = actions.into_iter().map(|action| NamedAction { name: code.to_string(), action, usable_until });
    Outcome::AwaitingPayer(named.collect())
}

/// What a phone or a page hands to WeChat, signed by the order's own type (wiki/doc/api/app/app.php?chapter=8_3).
fn parameters(code: &ChannelCode, prepay: &str, context: &Context<'_>) -> Option<Fields> {
    let key = account::signing_key(context)?;
    let (_, appid) = appid(code, context);
    let (nonce, timestamp) = (nonce(context), context.now.seconds().to_string());
    let is_app = code.as_str() == "wx_app";
    let kind = account::sign_type(context);
    let mut fields: Fields = if is_app {
        vec![
            ("appid", appid.to_owned()),
            ("partnerid", context.account.text(MCHID).to_owned()),
            ("prepayid", prepay.to_owned()),
            ("package", "Sign=WXPay".to_owned()),
            ("noncestr", nonce),
            ("timestamp", timestamp),
        ]
    } else {
        vec![
            ("appId", appid.to_owned()),
            ("timeStamp", timestamp),
            ("nonceStr", nonce),
            ("package", format!("prepay_id={prepay}")),
            ("signType", kind.to_owned()),
        ]
    }
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    let signature = sign(&fields, kind, key);
    fields.push((if is_app { "sign" } else { "paySign" }.to_owned(), signature));
    Some(fields)
}

/// A close's answer names no order: it counts on its own request's connection. All others name something besides.
fn closed(fields: &Fields) -> Outcome {
    const OF_OTHERS: [&str; 5] = ["trade_type", "prepay_id", "trade_state", "transaction_id", "refund_id"];
    if OF_OTHERS.iter().any(|name| value(fields, name).is_some()) {
        return Outcome::Unknown("the answer is not one to a close".to_owned());
    }
    Outcome::Closed
}

/// Whether the fields speak of the payment that is refunded.
fn is_of(fields: &Fields, context: &Context<'_>) -> bool {
    context.original.is_some_and(|original| {
        value(fields, "transaction_id") == Some(original.trade_number)
            && value(fields, "out_trade_no") == Some(original.number)
            && value(fields, "total_fee") == Some(&original.total.minor().to_string())
    })
}

fn accepted(fields: &Fields, refund: &RefundIntent, context: &Context<'_>) -> Outcome {
    if is_of(fields, context) && value(fields, "refund_fee") == Some(&refund.amount.minor().to_string()) {
        Outcome::Processing
    } else {
        Outcome::Unknown("the answer speaks of another payment or another amount".to_owned())
    }
}

/// The refunds of an answer are numbered from 0; ours is the one of our number.
fn refunded(fields: &Fields, refund: &RefundIntent, context: &Context<'_>) -> (Option<String>, Outcome) {
    let number = context.subject.map(|subject| subject.number).unwrap_or_default();
    let numbered = |at: u8| value(fields, &format!("out_refund_no_{at}")) == Some(number);
    let Some(at) = (0..50).find(|at| numbered(*at)) else {
        return (None, Outcome::Unknown("the answer does not name the refund".to_owned()));
    };
    let of = |name: &str| value(fields, &format!("{name}_{at}"));
    let same = of("refund_fee") == Some(&refund.amount.minor().to_string());
    let outcome = match of("refund_status") {
        _ if !(same && is_of(fields, context)) => {
            Outcome::Unknown("the answer speaks of another payment or another amount".to_owned())
        }
        Some("SUCCESS") => match (of("refund_id"), Money::new(refund.amount.minor(), Currency::CNY)) {
            (Some(id), Ok(amount)) => Outcome::Succeeded(Paid {
                trade_number: id.to_owned(),
                amount,
                paid_at: of("refund_success_time").and_then(beijing::read_spaced),
            }),
            _ => Outcome::Unknown("SUCCESS without the refund's id".to_owned()),
        },
        Some("PROCESSING") => Outcome::Processing,
        // The payer's account does not take it: a person must find another way.
        Some("CHANGE") => Outcome::Held("CHANGE: the payer's account does not take it".to_owned()),
        Some("REFUNDCLOSE") => Outcome::Closed,
        Some(_) | None => Outcome::Unknown("the refund's state is in no document".to_owned()),
    };
    (Some(number.to_owned()), outcome)
}
