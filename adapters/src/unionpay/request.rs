//! From a call to the signed request that asks it, or to the form that the payer's browser posts.

use maxpay_engine::channel::http::HttpRequest;
use maxpay_engine::channel::{Answer, Call, Context, Original, Outcome, Prepared, RefundIntent, Subject};
use maxpay_engine::model::{ChannelCode, Currency, Intent, NamedAction, PayerAction};

use crate::parts::{beijing, form};

use super::account::{self, MERCHANT_ID};
use super::codes::{APP, WEB};
use super::message::{CNY, Message, RSA};

pub(super) const FRONT: &str = "/gateway/api/frontTransReq.do";
pub(super) const BACK: &str = "/gateway/api/backTransReq.do";
pub(super) const APP_ORDER: &str = "/gateway/api/appTransReq.do";
pub(super) const QUERY: &str = "/gateway/api/queryTrans.do";

pub(super) const VERSION: &str = "5.1.0";
/// `txnType` of a query, a payment, a void and a refund.
pub(super) const TYPE_QUERY: &str = "00";
pub(super) const TYPE_PAYMENT: &str = "01";
pub(super) const TYPE_VOID: &str = "31";
pub(super) const TYPE_REFUND: &str = "04";

/// Longest `orderDesc`, in bytes.
const DESCRIPTION_MAX: usize = 32;

/// See [`maxpay_engine::channel::Adapter::prepare`].
pub(super) fn prepare(call: &Call, context: &Context<'_>) -> Prepared {
    match call {
        Call::Create { code, intent, .. } => match code.as_str() {
            APP => built(context, |subject| Ok(payment(APP, intent, subject, context)?)).send(APP_ORDER, context),
            WEB => built(context, |subject| Ok(payment(WEB, intent, subject, context)?)).form(context),
            _ => Prepared::Unsupported,
        },
        Call::Query { .. } | Call::QueryRefund { .. } => {
            built(context, |subject| Ok(query(subject))).send(QUERY, context)
        }
        Call::Void { code, refund } => {
            built(context, |subject| back(TYPE_VOID, code, refund, subject, context)).send(BACK, context)
        }
        Call::Refund { code, refund } => {
            built(context, |subject| back(TYPE_REFUND, code, refund, subject, context)).send(BACK, context)
        }
        // An order ends at its payTimeout: there is nothing to ask for earlier.
        Call::Close { .. } | Call::Maintain | Call::PayerSession { .. } | Call::Authorize { .. } => {
            Prepared::Unsupported
        }
    }
}

/// A message that is signed, or why it cannot be.
struct Built(Result<Message, String>);

type Pairs = Vec<(&'static str, String)>;

fn built(context: &Context<'_>, values: impl FnOnce(Subject<'_>) -> Result<Pairs, String>) -> Built {
    let sign = || {
        let subject = context.subject.ok_or("a call needs a number")?;
        let signer = account::signer(&context.account).ok_or("the account's pfx does not open")?;
        let common = [
            ("version", VERSION.to_owned()),
            ("encoding", "UTF-8".to_owned()),
            ("certId", signer.cert_id.clone()),
            ("signMethod", RSA.to_owned()),
            ("accessType", "0".to_owned()),
            ("merId", context.account.text(MERCHANT_ID).to_owned()),
            ("orderId", subject.number.to_owned()),
            ("txnTime", beijing::packed(subject.numbered_at)),
        ];
        let all = common.into_iter().chain(values(subject)?);
        Ok(Message::of(all.map(|(name, value)| (name.to_owned(), value))).signed(&signer.key))
    };
    Built(sign())
}

impl Built {
    fn send(self, path: &str, context: &Context<'_>) -> Prepared {
        let Some(url) = account::address(&context.account, path) else {
            return not_executed("the account's gateway is no address");
        };
        match self.0 {
            Ok(message) => {
                let kind = "application/x-www-form-urlencoded;charset=UTF-8";
                Prepared::Send(HttpRequest::post(url, kind, message.form()))
            }
            Err(why) => not_executed(&why),
        }
    }

    fn form(self, context: &Context<'_>) -> Prepared {
        let Some(url) = account::address(&context.account, FRONT) else {
            return not_executed("the account's gateway is no address");
        };
        let message = match self.0 {
            Ok(message) => message,
            Err(why) => return not_executed(&why),
        };
        let action = PayerAction::Form { html: form::page(url.as_str(), &message.pairs()) };
        Prepared::Done(Answer {
            number: Some(message.field("orderId").to_owned()),
            owners: vec![(MERCHANT_ID, message.field("merId").to_owned())],
            provider_time: None,
            outcome: Outcome::AwaitingPayer(vec![NamedAction { name: WEB.to_owned(), action, usable_until: None }]),
        })
    }
}

fn payment(code: &str, intent: &Intent, subject: Subject<'_>, context: &Context<'_>) -> Result<Pairs, &'static str> {
    check_number(subject.number)?;
    if intent.amount.currency() != Currency::CNY {
        return Err("this channel takes CNY only");
    }
    if code == WEB && intent.return_url.is_none() {
        return Err("return_url is needed: the cashier sends the payer's browser there");
    }
    let mut values = kind(TYPE_PAYMENT, "01", code);
    values.extend([
        ("txnAmt", intent.amount.minor().to_string()),
        ("currencyCode", CNY.to_owned()),
        ("backUrl", context.account.notify_url.to_owned()),
        ("frontUrl", intent.return_url.clone().unwrap_or_default()),
        // Absolute: after it the cashier takes no payment.
        ("payTimeout", beijing::packed(intent.expires_at)),
        ("orderDesc", described(&intent.subject)),
    ]);
    Ok(values)
}

fn query(_subject: Subject<'_>) -> Pairs {
    vec![("txnType", TYPE_QUERY.to_owned()), ("txnSubType", "00".to_owned()), ("bizType", "000000".to_owned())]
}

/// A void or a refund: an order of its own, about the payment that `origQryId` names.
fn back(
    txn_type: &str,
    code: &ChannelCode,
    refund: &RefundIntent,
    subject: Subject<'_>,
    context: &Context<'_>,
) -> Result<Pairs, String> {
    check_number(subject.number)?;
    let original = context.original.ok_or("a refund needs its payment")?;
    check_amount(txn_type, refund, original)?;
    let mut values = kind(txn_type, "00", code.as_str());
    values.extend([
        ("txnAmt", refund.amount.minor().to_string()),
        ("currencyCode", CNY.to_owned()),
        ("backUrl", context.account.notify_url.to_owned()),
        ("origQryId", original.trade_number.to_owned()),
    ]);
    Ok(values)
}

fn check_amount(txn_type: &str, refund: &RefundIntent, original: Original<'_>) -> Result<(), String> {
    if refund.amount.currency() != Currency::CNY {
        return Err("this channel takes CNY only".to_owned());
    }
    if txn_type == TYPE_VOID && refund.amount != original.total {
        return Err("a void is of the whole payment".to_owned());
    }
    if original.trade_number.is_empty() { Err("the payment has no queryId".to_owned()) } else { Ok(()) }
}

/// What kind of transaction it is, and over which product.
fn kind(txn_type: &str, sub_type: &str, code: &str) -> Pairs {
    let channel_type = if code == APP { "08" } else { "07" };
    vec![
        ("txnType", txn_type.to_owned()),
        ("txnSubType", sub_type.to_owned()),
        ("bizType", "000201".to_owned()),
        ("channelType", channel_type.to_owned()),
    ]
}

/// orderId is 8 to 40 letters and digits, and neither `-` nor `_`.
fn check_number(number: &str) -> Result<(), &'static str> {
    let fits = (8..=40).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if fits { Ok(()) } else { Err("an orderId is 8 to 40 letters and digits") }
}

/// What the payer reads, cut to what fits, on one line.
fn described(subject: &str) -> String {
    let mut text = String::new();
    for letter in subject.chars().map(|letter| if letter.is_control() { ' ' } else { letter }) {
        if text.len() + letter.len_utf8() > DESCRIPTION_MAX {
            break;
        }
        text.push(letter);
    }
    text.trim().to_owned()
}

fn not_executed(why: &str) -> Prepared {
    Prepared::Done(Answer::bare(Outcome::NotExecuted(why.to_owned())))
}
