//! The five calls of v2: what each wants, and what becomes of it (wiki/doc/api/jsapi.php?chapter=9_1 to 9_5).

use std::net::IpAddr;
use std::time::Duration;

use maxpay_engine::model::Timestamp;
use serde_json::Value;

use crate::parts::beijing;
use crate::parts::digest::sha256;
use crate::simulator::LedgerError;
use crate::wechat::v2::signature::Fields;

use super::super::Simulator;
use super::super::books::Books;
use super::super::provider::is_number;
use super::super::rows::{Dialect, Order, OrderState, Refund, RefundState};
use super::super::rules::{self, Unordered, Unrefunded, Wanted, WantedRefund};
use super::notices::payment;
use super::{Asked, Executed, MALFORMED, pairs};

/// An order must end at least so much later; otherwise it is refused, while v3 moves the end
/// (developers.weixin.qq.com/community/pay/doc/000006041802308a9d408c2906d800).
const LIFE_MIN: Duration = Duration::from_mins(5);
/// How long an order lives that names no end.
const LIFE: Duration = Duration::from_hours(7 * 24);
/// Where refunds come from.
pub(super) const ACCOUNT: &str = "REFUND_SOURCE_RECHARGE_FUNDS";
/// Refunds that are told at once when a payment's are asked for.
const LISTED_MAX: usize = 10;

/// Orders, or orders again.
pub(super) fn order(books: &mut Books<'_>, asked: &Asked) -> Result<Executed, LedgerError> {
    let of = |name| asked.value(name).unwrap_or_default();
    let (appid, number) = (of("appid"), of("out_trade_no"));
    if !asked.merchant.appids.iter().any(|bound| bound == appid) {
        return Ok(Executed::refused("APPID_MCHID_NOT_MATCH", "appid和mch_id不匹配"));
    }
    let kind = match of("trade_type") {
        "APP" => "app",
        "JSAPI" => "jsapi",
        "NATIVE" => "native",
        "MWEB" => "h5",
        _ => return Ok(Executed::Fail(MALFORMED)),
    };
    let lacking = ["body", "out_trade_no", "total_fee", "spbill_create_ip", "notify_url"];
    let of_kind = match kind {
        "jsapi" => Some("openid"),
        "native" => Some("product_id"),
        "h5" => Some("scene_info"),
        _ => None,
    };
    if lacking.into_iter().chain(of_kind).any(|name| asked.value(name).is_none()) {
        return Ok(Executed::refused("LACK_PARAMS", "缺少参数"));
    }
    let Some((amount, expires_at)) = well_formed(asked, kind, books.now) else {
        return Ok(Executed::Fail(MALFORMED));
    };
    if expires_at.since(books.now) < LIFE_MIN {
        return Ok(Executed::Fail("time_expire时间过短，刷卡至少1分钟，其他5分钟"));
    }
    let wanted = Wanted {
        mchid: &asked.merchant.mchid,
        appid,
        number,
        kind,
        amount,
        notify_url: of("notify_url"),
        expires_at,
        content: content(asked),
        dialect: dialect(asked),
    };
    let order = match rules::order(books, wanted)? {
        Ok(order) => order,
        Err(Unordered::Paid) => return Ok(Executed::refused("ORDERPAID", "该订单已支付")),
        Err(Unordered::Closed) => return Ok(Executed::refused("ORDERCLOSED", "该订单已关闭")),
        Err(Unordered::Other) => {
            let before = books.order(number, &asked.merchant.mchid)?;
            let elsewhere = before.is_some_and(|it| it.appid != appid || it.kind != kind || it.dialect == Dialect::V3);
            return Ok(if elsewhere {
                Executed::refused("OUT_TRADE_NO_USED", "商户订单号重复")
            } else {
                Executed::refused("INVALID_REQUEST", "201 商户订单号重复")
            });
        }
    };
    let (prepay, code_url, page) = (order.prepay_id(), order.code_url(), order.page());
    let made = [("trade_type", order.trade_type()), ("prepay_id", &prepay)];
    Ok(match kind {
        "native" => Executed::done([made[0], made[1], ("code_url", &code_url)]),
        "h5" => Executed::done([made[0], made[1], ("mweb_url", &page)]),
        _ => Executed::done(made),
    })
}

/// Amount and end of an order. `None`: something in it is not as it should be.
fn well_formed(asked: &Asked, kind: &str, now: Timestamp) -> Option<(u64, Timestamp)> {
    let of = |name| asked.value(name).unwrap_or_default();
    let address: IpAddr = of("spbill_create_ip").parse().ok()?;
    let url: url::Url = of("notify_url").parse().ok()?;
    let well = is_number(of("out_trade_no"))
        && of("body").len() <= 127
        && of("openid").len() <= 128
        && asked.value("fee_type").is_none_or(|currency| currency == "CNY")
        && matches!(url.scheme(), "http" | "https")
        && url.query().is_none()
        && (kind != "h5" || (is_scene(of("scene_info")) && !address.is_loopback()));
    let expires_at = match asked.value("time_expire") {
        Some(text) => beijing::read_packed(text)?,
        None => now.after(LIFE),
    };
    well.then_some((fen(of("total_fee"))?, expires_at))
}

/// Whether it says from which kind of page the payer comes.
fn is_scene(text: &str) -> bool {
    let scene: Option<Value> = serde_json::from_str(text).ok();
    let kind = scene.as_ref().and_then(|scene| scene["h5_info"]["type"].as_str());
    kind.is_some_and(|kind| ["Wap", "IOS", "iOS", "Android"].contains(&kind))
}

/// An amount: digits, more than nothing.
fn fen(text: &str) -> Option<u64> {
    text.parse().ok().filter(|fen: &u64| *fen > 0 && fen.to_string() == text)
}

/// Tells whether a request says the same as one before: everything does but what is new each time.
fn content(asked: &Asked) -> String {
    let mut said: Vec<_> =
        asked.fields.iter().filter(|(name, _)| !["nonce_str", "sign", "sign_type"].contains(&name.as_str())).collect();
    said.sort();
    hex::encode(sha256(format!("{said:?}").as_bytes()))
}

fn dialect(asked: &Asked) -> Dialect {
    Dialect::V2 { sign_type: asked.sign_type.clone() }
}

/// The order that is asked about. Of two numbers WeChat Pay's own counts.
fn order_of(books: &mut Books<'_>, asked: &Asked) -> Result<Option<Order>, LedgerError> {
    let mchid = &asked.merchant.mchid;
    match (asked.value("transaction_id"), asked.value("out_trade_no")) {
        (Some(id), _) => books.order_of(mchid, id),
        (None, Some(number)) => books.order(number, mchid),
        (None, None) => Ok(None),
    }
}

fn no_order() -> Executed {
    Executed::refused("ORDERNOTEXIST", "订单不存在")
}

pub(super) fn query(books: &mut Books<'_>, asked: &Asked) -> Result<Executed, LedgerError> {
    let Some(order) = order_of(books, asked)? else { return Ok(no_order()) };
    let state = order.trade_state(!books.refunds(&order)?.is_empty());
    let mut fields = pairs(&[("result_code", "SUCCESS"), ("trade_state", state), ("trade_state_desc", "simulated")]);
    fields.extend(match order.payments.first() {
        Some(_) => payment(&order, 0),
        None => pairs(&[("out_trade_no", &order.number), ("total_fee", &order.amount.to_string())]),
    });
    Ok(Executed::Signed(fields))
}

pub(super) fn close(books: &mut Books<'_>, asked: &Asked) -> Result<Executed, LedgerError> {
    let number = asked.value("out_trade_no").unwrap_or_default();
    let Some(mut order) = books.order(number, &asked.merchant.mchid)? else { return Ok(no_order()) };
    Ok(match order.state {
        OrderState::Paid => Executed::refused("ORDERPAID", "订单已支付"),
        OrderState::Closed => Executed::refused("ORDERCLOSED", "订单已关闭"),
        // No document has a word for it but this.
        OrderState::Paying => Executed::refused("SYSTEMERROR", "系统异常，请重新调用该API"),
        OrderState::NotPaid => {
            order.state = OrderState::Closed;
            books.put(&order);
            Executed::done([("result_msg", "OK")])
        }
    })
}

impl Simulator {
    pub(super) fn refund_v2(&self, books: &mut Books<'_>, asked: &Asked) -> Result<Executed, LedgerError> {
        let of = |name| asked.value(name).unwrap_or_default();
        let (Some(total), Some(amount)) = (fen(of("total_fee")), fen(of("refund_fee"))) else {
            return Ok(Executed::Fail(MALFORMED));
        };
        let is_currency = asked.value("refund_fee_type").is_none_or(|currency| currency == "CNY");
        if !is_refund_number(of("out_refund_no")) || !is_currency || of("refund_desc").len() > 80 {
            return Ok(Executed::Fail(MALFORMED));
        }
        if amount > total {
            return Ok(Executed::Fail("invalid refund_fee"));
        }
        let paid = order_of(books, asked)?.and_then(|order| order.payments.first().cloned());
        // A payment that came beside the first is named by WeChat Pay's own number alone.
        let first = paid.map(|paid| paid.transaction_id).unwrap_or_default();
        let wanted = WantedRefund {
            number: of("out_refund_no"),
            transaction_id: asked.value("transaction_id").unwrap_or(&first),
            total,
            amount,
            notify_url: of("notify_url"),
            content: content(asked),
            dialect: dialect(asked),
        };
        Ok(match self.refund(books, &asked.merchant.mchid, wanted)? {
            Ok(refund) => accepted(&refund),
            Err(Unrefunded::Other | Unrefunded::OtherTotal) => {
                Executed::refused("INVALID_REQUEST", "订单金额或退款金额与之前请求不一致，请核实后再试")
            }
            Err(Unrefunded::NoPayment) => no_order(),
            Err(Unrefunded::TooMuch { left: 0 }) => Executed::refused("ERROR", "订单已全额退款"),
            Err(Unrefunded::TooMuch { .. }) => Executed::refused("INVALID_REQUEST", "refund_fee大于可退金额"),
            Err(Unrefunded::TooLate) => Executed::refused("TRADE_OVERDUE", "订单已经超过退款期限"),
            Err(Unrefunded::TooOften) => Executed::refused("ERROR", "部分退款次数超过限制"),
            Err(Unrefunded::TooSoon) => Executed::refused("FREQUENCY_LIMITED", "频率限制"),
            Err(Unrefunded::NotEnough) => Executed::refused("NOTENOUGH", "基本账户余额不足，请充值后重新发起"),
            Err(Unrefunded::Busy) => Executed::refused("BIZERR_NEED_RETRY", "退款业务流程错误，需要商户触发重试来解决"),
        })
    }
}

fn is_refund_number(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'|' | b'*' | b'@'))
}

fn accepted(refund: &Refund) -> Executed {
    let (total, amount) = (refund.total.to_string(), refund.amount.to_string());
    Executed::done([
        ("transaction_id", &refund.transaction_id),
        ("out_trade_no", &refund.order),
        ("out_refund_no", &refund.number),
        ("refund_id", &refund.id),
        ("total_fee", &total),
        ("refund_fee", &amount),
        ("cash_fee", &total),
        ("cash_refund_fee", &amount),
        ("coupon_refund_fee", "0"),
        ("coupon_refund_count", "0"),
    ])
}

/// One refund by its own number, or a payment's from `offset` on.
pub(super) fn query_refund(books: &mut Books<'_>, asked: &Asked) -> Result<Executed, LedgerError> {
    let refunds = match asked.value("out_refund_no") {
        Some(number) => books.refund(&asked.merchant.mchid, number)?.into_iter().collect(),
        None => match order_of(books, asked)? {
            Some(order) => books.refunds(&order)?,
            None => Vec::new(),
        },
    };
    let Some(first) = refunds.first() else {
        return Ok(Executed::refused("REFUNDNOTEXIST", "退款订单查询失败"));
    };
    let offset = asked.value("offset").and_then(|offset| offset.parse().ok()).unwrap_or(0);
    let listed: Vec<_> = refunds.iter().skip(offset).take(LISTED_MAX).collect();
    let all: u64 = refunds.iter().map(|refund| refund.amount).sum();
    let mut fields = pairs(&[
        ("result_code", "SUCCESS"),
        ("transaction_id", &first.transaction_id),
        ("out_trade_no", &first.order),
        ("total_fee", &first.total.to_string()),
        ("cash_fee", &first.total.to_string()),
        ("refund_fee", &all.to_string()),
        ("total_refund_count", &refunds.len().to_string()),
        ("refund_count", &listed.len().to_string()),
    ]);
    for (at, refund) in listed.into_iter().enumerate() {
        fields.extend(told(refund).into_iter().map(|(name, value)| (format!("{name}_{at}"), value)));
    }
    Ok(Executed::Signed(fields))
}

/// A refund as a query tells of it, names without their place.
fn told(refund: &Refund) -> Fields {
    let done_at = refund.done_at.filter(|_| refund.is_done()).map(beijing::spaced);
    pairs(&[
        ("out_refund_no", &refund.number),
        ("refund_id", &refund.id),
        ("refund_channel", "ORIGINAL"),
        ("refund_account", ACCOUNT),
        ("refund_fee", &refund.amount.to_string()),
        ("refund_status", status(refund.state)),
        ("refund_recv_accout", "支付用户零钱"),
        ("refund_success_time", &done_at.unwrap_or_default()),
    ])
}

/// How a refund stands, in the words of v2.
pub(super) fn status(state: RefundState) -> &'static str {
    match state {
        RefundState::Processing => "PROCESSING",
        RefundState::Success => "SUCCESS",
        RefundState::Abnormal => "CHANGE",
        RefundState::Closed => "REFUNDCLOSE",
    }
}
