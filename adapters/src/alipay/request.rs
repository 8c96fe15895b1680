//! From a call to the signed request that asks it, or to the order that is signed here.

use maxpay_engine::channel::http::HttpRequest;
use maxpay_engine::channel::{Answer, Call, Context, OriginalApi, Outcome, Prepared, Subject};
use maxpay_engine::model::{ChannelCode, Currency, Intent, NamedAction, PayerAction};
use serde_json::{Value, json};

use crate::parts::beijing;

use super::account::{self, APP_ID, SELLER_ID, Signer};
use super::codes::SIGNED_HERE;
use super::signed::{query_text, request_text};

pub(super) const PRECREATE: &str = "alipay.trade.precreate";
pub(super) const QUERY: &str = "alipay.trade.query";
pub(super) const CLOSE: &str = "alipay.trade.close";
pub(super) const REFUND: &str = "alipay.trade.refund";
pub(super) const REFUND_QUERY: &str = "alipay.trade.fastpay.refund.query";
pub(super) const CERTIFICATE: &str = "alipay.open.app.alipaycert.download";

/// Longest reason of a refund, in characters (`refund_reason`).
const REASON_MAX: usize = 256;

/// The method that a call is asked by. `None`: it is asked by none.
pub(super) fn method(call: &Call) -> Option<&'static str> {
    match call {
        Call::Create { .. } => Some(PRECREATE),
        Call::Query { .. } => Some(QUERY),
        Call::Close { .. } => Some(CLOSE),
        Call::Refund { .. } => Some(REFUND),
        Call::QueryRefund { .. } => Some(REFUND_QUERY),
        Call::Maintain => Some(CERTIFICATE),
        Call::Void { .. } | Call::PayerSession { .. } | Call::Authorize { .. } => None,
    }
}

/// See [`maxpay_engine::channel::Adapter::prepare`].
pub(super) fn prepare(call: &Call, context: &Context<'_>) -> Prepared {
    match call {
        // Certificates are asked for when an answer names one that is not known, and not before.
        Call::Void { .. } | Call::PayerSession { .. } | Call::Authorize { .. } | Call::Maintain => {
            return Prepared::Unsupported;
        }
        Call::Create { .. }
        | Call::Query { .. }
        | Call::Close { .. }
        | Call::Refund { .. }
        | Call::QueryRefund { .. } => {}
    }
    ask(call, context).unwrap_or_else(|why| Prepared::Done(Answer::bare(Outcome::NotExecuted(why))))
}

fn ask(call: &Call, context: &Context<'_>) -> Result<Prepared, String> {
    let subject = context.subject.ok_or("a call needs a number")?;
    let original = || context.original.ok_or("a refund needs its payment");
    let biz = match call {
        Call::Create { code, intent, original_api } => {
            if intent.amount.currency() != Currency::CNY {
                return Err("Alipay takes CNY only".to_owned());
            }
            if !account::has_product(context, code.as_str()) {
                return Err(format!("the account's products do not include {code}"));
            }
            if SIGNED_HERE.contains(&code.as_str()) {
                return sign_here(code, intent, *original_api, context, subject);
            }
            order(intent, subject)
        }
        Call::Query { .. } | Call::Close { .. } => json!({ "out_trade_no": subject.number }),
        Call::Refund { refund, .. } => {
            let reason: Option<String> =
                refund.reason.as_ref().map(|reason| printable(reason).chars().take(REASON_MAX).collect());
            let mut biz = json!({
                "out_trade_no": original()?.number,
                "trade_no": original()?.trade_number,
                "out_request_no": subject.number,
                "refund_amount": refund.amount.major(),
            });
            if let Some(reason) = reason.filter(|reason| !reason.trim().is_empty()) {
                biz["refund_reason"] = reason.into();
            }
            biz
        }
        Call::QueryRefund { .. } => json!({
            "out_trade_no": original()?.number,
            "trade_no": original()?.trade_number,
            "out_request_no": subject.number,
            "query_options": ["gmt_refund_pay"],
        }),
        Call::Void { .. } | Call::Maintain | Call::PayerSession { .. } | Call::Authorize { .. } => {
            return Ok(Prepared::Unsupported);
        }
    };
    let method = method(call).ok_or("there is no such method")?;
    let mut more = Vec::new();
    if method == PRECREATE {
        more.push(("notify_url", context.account.notify_url.to_owned()));
    }
    post(method, &biz, more, context).map(Prepared::Send)
}

/// Asks for the certificate of that number. `None`: the account cannot ask.
pub(super) fn certificate(number: &str, context: &Context<'_>) -> Option<HttpRequest> {
    post(CERTIFICATE, &json!({ "alipay_cert_sn": number }), Vec::new(), context).ok()
}

fn post(
    method: &str,
    biz: &Value,
    more: Vec<(&'static str, String)>,
    context: &Context<'_>,
) -> Result<HttpRequest, String> {
    let mut url = account::address(context).ok_or("the account's gateway is no address")?;
    let mut pairs = signed(method, biz, more, &account::signer(context)?, context);
    // As the official SDKs do it: the gateway must know the charset before it reads the body.
    let body: Vec<_> = pairs.extract_if(.., |(name, _)| name == "biz_content").collect();
    url.set_query(Some(&query_text(&pairs)));
    Ok(HttpRequest::post(url, "application/x-www-form-urlencoded;charset=utf-8", query_text(&body)))
}

/// All parameters of a request with its signature.
fn signed(
    method: &str,
    biz: &Value,
    more: Vec<(&'static str, String)>,
    signer: &Signer,
    context: &Context<'_>,
) -> Vec<(String, String)> {
    let mut pairs = vec![
        ("app_id", context.account.text(APP_ID).to_owned()),
        ("biz_content", biz.to_string()),
        ("charset", "utf-8".to_owned()),
        ("format", "JSON".to_owned()),
        ("method", method.to_owned()),
        ("sign_type", "RSA2".to_owned()),
        ("timestamp", beijing::spaced(context.now)),
        ("version", "1.0".to_owned()),
    ];
    if let Some((app, root)) = &signer.certificates {
        pairs.push(("app_cert_sn", app.clone()));
        pairs.push(("alipay_root_cert_sn", root.clone()));
    }
    pairs.extend(more);
    let mut pairs: Vec<(String, String)> = pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    let sign = signer.key.sign_sha256_base64(request_text(&pairs).as_bytes());
    pairs.push(("sign".to_owned(), sign));
    pairs
}

fn order(intent: &Intent, subject: Subject<'_>) -> Value {
    json!({
        "out_trade_no": subject.number,
        "total_amount": intent.amount.major(),
        "subject": subject_of(&intent.subject),
        // Absolute: timeout_express starts anew whenever the cashier is opened.
        "time_expire": beijing::spaced(intent.expires_at),
    })
}

fn sign_here(
    code: &ChannelCode,
    intent: &Intent,
    original_api: OriginalApi,
    context: &Context<'_>,
    subject: Subject<'_>,
) -> Result<Prepared, String> {
    let signer = account::signer(context)?;
    let gateway = account::address(context).ok_or("the account's gateway is no address")?;
    // The original API shows all three; a product that the contract lacks is left out.
    let together = |name: &str| original_api == OriginalApi::Yes && account::has_product(context, name);
    let asked = SIGNED_HERE.into_iter().filter(|name| *name == code.as_str() || together(name));
    let actions = asked.map(|name| {
        let mut biz = order(intent, subject);
        let (method, product) = match name {
            "ali_app" => ("alipay.trade.app.pay", "QUICK_MSECURITY_PAY"),
            "ali_web" => ("alipay.trade.page.pay", "FAST_INSTANT_TRADE_PAY"),
            _ => ("alipay.trade.wap.pay", "QUICK_WAP_WAY"),
        };
        biz["product_code"] = product.into();
        let mut more = vec![("notify_url", context.account.notify_url.to_owned())];
        if name != "ali_app" {
            more.extend(intent.return_url.iter().map(|url| ("return_url", url.clone())));
        }
        match name {
            "ali_web" => {
                if let Some(mode) = intent.payer.qr_mode {
                    biz["qr_pay_mode"] = mode.to_string().into();
                }
            }
            "ali_wap" => {
                // Where a payer who gives up goes to.
                if let Some(url) = intent.show_url.as_ref().or(intent.return_url.as_ref()) {
                    biz["quit_url"] = url.clone().into();
                }
            }
            _ => {}
        }
        let text = query_text(&signed(method, &biz, more, &signer, context));
        let action = if name == "ali_app" {
            PayerAction::AppOrder { order: text }
        } else {
            PayerAction::Redirect { url: format!("{gateway}?{text}") }
        };
        NamedAction { name: name.to_owned(), action, usable_until: None }
    });
    Ok(Prepared::Done(Answer {
        number: Some(subject.number.to_owned()),
        owners: [APP_ID, SELLER_ID].map(|name| (name, context.account.text(name).to_owned())).into(),
        provider_time: None,
        outcome: Outcome::AwaitingPayer(actions.collect()),
    }))
}

/// The documents forbid `/`, `=` and `&` (alipay.trade.app.pay, subject), and the last would make the notices ambiguous
/// that repeat it: the wide forms stand for them.
fn subject_of(text: &str) -> String {
    printable(text).replace('/', "／").replace('=', "＝").replace('&', "＆")
}

/// Control characters become blanks, as they would on a screen.
fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}
