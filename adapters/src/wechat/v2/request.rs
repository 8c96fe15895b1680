//! From a call to the signed request that asks it.

use maxpay_engine::channel::http::{ClientIdentity, HttpRequest};
use maxpay_engine::channel::{Answer, Call, Context, Outcome, Prepared, RefundIntent, RefundKind};
use maxpay_engine::model::{ChannelCode, Currency, Intent};
use serde_json::json;

use super::super::account::{APPID, MCHID, address, appid};
use crate::parts::beijing;
use crate::parts::xml;

use super::account;
use super::signature::{Fields, sign};

/// Longest reason of a refund, in bytes of UTF-8.
const REASON_BYTES_MAX: usize = 80;
/// Where the payer's address does not matter and is not known.
const NO_ADDRESS: &str = "127.0.0.1";

/// See [`maxpay_engine::channel::Adapter::prepare`].
pub(super) fn prepare(call: &Call, context: &Context<'_>) -> Prepared {
    let number = context.subject.map(|subject| subject.number).unwrap_or_default();
    let asked = match call {
        Call::Maintain
        | Call::Void { .. }
        | Call::QueryRefund { kind: RefundKind::Void, .. }
        | Call::PayerSession { .. }
        | Call::Authorize { .. } => return Prepared::Unsupported,
        _ if number.is_empty() => Err("a call needs a number"),
        Call::Create { code, intent, .. } => {
            order(code, intent, number, context).map(|fields| ("/pay/unifiedorder", code, fields, None))
        }
        Call::Query { code } => Ok(("/pay/orderquery", code, pairs([("out_trade_no", number)]), None)),
        Call::Close { code } => Ok(("/pay/closeorder", code, pairs([("out_trade_no", number)]), None)),
        Call::Refund { code, refund } => {
            refund_fields(refund, number, context).map(|(fields, own)| ("/secapi/pay/refund", code, fields, Some(own)))
        }
        Call::QueryRefund { code, kind: RefundKind::Refund, .. } => {
            Ok(("/pay/refundquery", code, pairs([("out_refund_no", number)]), None))
        }
    };
    match asked {
        Ok((path, code, fields, identity)) => post(path, code, fields, identity, context),
        Err(why) => not_executed(why),
    }
}

fn not_executed(why: &str) -> Prepared {
    Prepared::Done(Answer::bare(Outcome::NotExecuted(why.to_owned())))
}

fn pairs<const N: usize>(fields: [(&str, &str); N]) -> Fields {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn order(code: &ChannelCode, intent: &Intent, number: &str, context: &Context<'_>) -> Result<Fields, &'static str> {
    if intent.amount.currency() != Currency::CNY {
        return Err("this channel takes CNY only");
    }
    let trade_type = match code.as_str() {
        "wx_app" => "APP",
        "wx_native" => "NATIVE",
        "wx_jsapi" | "wx_mini" => "JSAPI",
        "wx_h5" => "MWEB",
        _ => return Err("WeChat Pay has no such channel"),
    };
    let mut fields = pairs([
        ("body", &intent.subject),
        ("out_trade_no", number),
        ("total_fee", &intent.amount.minor().to_string()),
        ("fee_type", "CNY"),
        ("spbill_create_ip", intent.payer.client_ip.as_deref().unwrap_or(NO_ADDRESS)),
        ("time_expire", &beijing::packed(intent.expires_at)),
        ("notify_url", context.account.notify_url),
        ("trade_type", trade_type),
    ]);
    match trade_type {
        "NATIVE" => fields.push(("product_id".to_owned(), number.to_owned())),
        "JSAPI" => {
            let openid = intent.payer.openid.clone().ok_or("this channel needs the payer's openid")?;
            fields.push(("openid".to_owned(), openid));
        }
        "MWEB" => {
            intent.payer.client_ip.as_ref().ok_or("this channel needs the payer's client_ip")?;
            let kind = intent.payer.h5_type.as_ref().ok_or("this channel needs the page's h5_type")?;
            let scene = json!({ "h5_info": { "type": kind } });
            fields.push(("scene_info".to_owned(), scene.to_string()));
        }
        _ => {}
    }
    Ok(fields)
}

fn refund_fields(
    refund: &RefundIntent,
    number: &str,
    context: &Context<'_>,
) -> Result<(Fields, ClientIdentity), &'static str> {
    let original = context.original.ok_or("a refund needs its payment")?;
    if refund.amount.currency() != Currency::CNY || original.total.currency() != Currency::CNY {
        return Err("this channel takes CNY only");
    }
    let identity = account::client_identity(context);
    let identity = identity.ok_or("refunds need the account's certificate and private_key")?;
    let mut fields = pairs([
        ("transaction_id", original.trade_number),
        ("out_refund_no", number),
        ("total_fee", &original.total.minor().to_string()),
        ("refund_fee", &refund.amount.minor().to_string()),
        ("refund_fee_type", "CNY"),
        ("notify_url", context.account.notify_url),
    ]);
    if let Some(reason) = &refund.reason {
        let mut end = reason.len().min(REASON_BYTES_MAX);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        fields.push(("refund_desc".to_owned(), reason[..end].to_owned()));
    }
    Ok((fields, identity))
}

fn post(
    path: &str,
    code: &ChannelCode,
    mut fields: Fields,
    identity: Option<ClientIdentity>,
    context: &Context<'_>,
) -> Prepared {
    let (Some(key), Some(url)) = (account::signing_key(context), address(context, path)) else {
        return not_executed("the account's api_key or base_url cannot be read");
    };
    let kind = account::sign_type(context);
    fields.extend(pairs([
        (APPID, appid(code, context).1),
        ("mch_id", context.account.text(MCHID)),
        ("nonce_str", &nonce(context)),
        ("sign_type", kind),
    ]));
    let signature = sign(&fields, kind, key);
    fields.push(("sign".to_owned(), signature));
    let request = HttpRequest::post(url, "text/xml; charset=utf-8", xml::written("xml", &fields));
    Prepared::Send(HttpRequest { identity, ..request })
}

/// 32 hexadecimal digits.
pub(super) fn nonce(context: &Context<'_>) -> String {
    let mut bytes = [0; 16];
    context.entropy.fill(&mut bytes);
    hex::encode(bytes)
}
