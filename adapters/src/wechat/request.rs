//! From a call to the signed request that asks it.

use maxpay_engine::channel::http::{HttpRequest, Method};
use maxpay_engine::channel::{Answer, Call, Context, Outcome, Prepared, RefundIntent, RefundKind};
use maxpay_engine::model::{ChannelCode, Currency, Intent, Timestamp};
use serde::Serialize;

use crate::parts::beijing;
use crate::parts::canonical::percent_encoded;

use super::account::{self, MCHID};
use super::certificates;
use super::signature::{authorization, request_text, sign};
use super::wire::{self, CloseBody, H5Info, OrderAmount, OrderBody, Payer, RefundAmount, RefundBody, SceneInfo};

/// Longest reason of a refund, in bytes of UTF-8 (4012791862).
const REASON_BYTES_MAX: usize = 80;

/// See [`maxpay_engine::channel::Adapter::prepare`].
pub(super) fn prepare(call: &Call, context: &Context<'_>) -> Prepared {
    let number = context.subject.map(|subject| subject.number).unwrap_or_default();
    let request = match call {
        Call::Maintain => get(wire::CERTIFICATES, context),
        Call::Void { .. }
        | Call::QueryRefund { kind: RefundKind::Void, .. }
        | Call::PayerSession { .. }
        | Call::Authorize { .. } => return Prepared::Unsupported,
        _ if number.is_empty() => return not_executed("a call needs a number"),
        // Without a key to verify the answer with, nothing is sent whose answer would have to be thrown away.
        _ if account::public_key_id(context).is_none() && !certificates::any_valid(context) => {
            return match certificates::request(context) {
                Some(request) => Prepared::NeedMaterial(request),
                None => not_executed(UNSIGNABLE),
            };
        }
        Call::Create { code, intent, .. } => match order(code, intent, number, context) {
            Ok((path, body)) => post(&format!("{}{path}", wire::TRANSACTIONS), &body, context),
            Err(why) => return not_executed(why),
        },
        Call::Query { .. } => {
            let mchid = percent_encoded(context.account.text(MCHID));
            get(&format!("{}{}?mchid={mchid}", wire::BY_NUMBER, percent_encoded(number)), context)
        }
        Call::Close { .. } => {
            let body = CloseBody { mchid: context.account.text(MCHID).to_owned() };
            post(&format!("{}{}/close", wire::BY_NUMBER, percent_encoded(number)), &body, context)
        }
        Call::Refund { refund, .. } => match refund_body(refund, number, context) {
            Some(body) => post(wire::REFUNDS, &body, context),
            None => return not_executed("a refund needs its payment, in CNY"),
        },
        Call::QueryRefund { kind: RefundKind::Refund, .. } => {
            get(&format!("{}/{}", wire::REFUNDS, percent_encoded(number)), context)
        }
    };
    request.map_or_else(|| not_executed(UNSIGNABLE), Prepared::Send)
}

const UNSIGNABLE: &str = "the account's private_key, certificate or base_url cannot be read";

fn not_executed(why: &str) -> Prepared {
    Prepared::Done(Answer::bare(Outcome::NotExecuted(why.to_owned())))
}

fn order(
    code: &ChannelCode,
    intent: &Intent,
    number: &str,
    context: &Context<'_>,
) -> Result<(&'static str, OrderBody), &'static str> {
    let mut body = OrderBody {
        appid: account::appid(code, context).1.to_owned(),
        mchid: context.account.text(MCHID).to_owned(),
        description: intent.subject.clone(),
        out_trade_no: number.to_owned(),
        time_expire: rfc3339(intent.expires_at),
        notify_url: context.account.notify_url.to_owned(),
        amount: OrderAmount { total: intent.amount.minor(), currency: intent.amount.currency().to_string() },
        payer: None,
        scene_info: None,
    };
    if intent.amount.currency() != Currency::CNY {
        return Err("this channel takes CNY only");
    }
    let path = match code.as_str() {
        "wx_app" => "app",
        "wx_native" => "native",
        "wx_jsapi" | "wx_mini" => {
            let openid = intent.payer.openid.clone().ok_or("this channel needs the payer's openid")?;
            body.payer = Some(Payer { openid });
            "jsapi"
        }
        "wx_h5" => {
            let payer_client_ip = intent.payer.client_ip.clone().ok_or("this channel needs the payer's client_ip")?;
            let kind = intent.payer.h5_type.clone().ok_or("this channel needs the page's h5_type")?;
            body.scene_info = Some(SceneInfo { payer_client_ip, h5_info: H5Info { kind } });
            "h5"
        }
        _ => return Err("WeChat Pay has no such channel"),
    };
    Ok((path, body))
}

fn refund_body(refund: &RefundIntent, number: &str, context: &Context<'_>) -> Option<RefundBody> {
    let original = context.original?;
    let currency = refund.amount.currency();
    (currency == Currency::CNY && original.total.currency() == currency).then(|| RefundBody {
        transaction_id: original.trade_number.to_owned(),
        out_refund_no: number.to_owned(),
        reason: refund.reason.as_deref().map(|reason| cut(reason, REASON_BYTES_MAX).to_owned()),
        notify_url: context.account.notify_url.to_owned(),
        amount: RefundAmount {
            refund: refund.amount.minor(),
            total: original.total.minor(),
            currency: currency.to_string(),
        },
    })
}

fn cut(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// `2026-11-22T16:15:30+08:00`, the one spelling that the documents show; milliseconds are cut off.
pub(super) fn rfc3339(moment: Timestamp) -> String {
    format!("{}+08:00", beijing::spaced(moment).replace(' ', "T"))
}

/// A signed GET. `target` is path and query. `None`: the account cannot sign, or has no address.
pub(super) fn get(target: &str, context: &Context<'_>) -> Option<HttpRequest> {
    signed(HttpRequest::get(account::address(context, target)?), context)
}

fn post(path: &str, body: &impl Serialize, context: &Context<'_>) -> Option<HttpRequest> {
    let body = serde_json::to_vec(body).expect("bodies are structs of texts and numbers");
    signed(HttpRequest::post(account::address(context, path)?, "application/json", body), context)
}

fn signed(request: HttpRequest, context: &Context<'_>) -> Option<HttpRequest> {
    let (key, serial) = account::signing(context)?;
    let target = match request.url.query() {
        Some(query) => format!("{}?{query}", request.url.path()),
        None => request.url.path().to_owned(),
    };
    let (seconds, nonce) = (context.now.seconds(), nonce(context));
    let method = if request.method == Method::GET { "GET" } else { "POST" };
    let signature = sign(&key, &request_text(method, &target, seconds, &nonce, &request.body));
    let value = authorization(context.account.text(MCHID), &serial, &nonce, seconds, &signature);
    let request = request
        .header("authorization", value)
        .header("accept", "application/json")
        .header("user-agent", concat!("MaxPay/", env!("CARGO_PKG_VERSION")));
    // It chooses the key that signs the answer; without it that is a platform certificate (4012365342).
    Some(match account::public_key_id(context) {
        Some(id) => request.header("wechatpay-serial", id),
        None => request,
    })
}

/// 32 hexadecimal digits.
pub(super) fn nonce(context: &Context<'_>) -> String {
    let mut bytes = [0; 16];
    context.entropy.fill(&mut bytes);
    hex::encode(bytes)
}
