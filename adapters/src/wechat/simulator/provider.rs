//! The requests of the dialect: who asks is proved, then order, query, close, refund and certificates are executed.

use maxpay_engine::model::Timestamp;

use crate::parts::digest::sha256;
use crate::simulator::{LedgerError, Served};

use super::super::wire::{self, CertificateBody, CertificatesBody, CloseBody, CreatedBody, OrderBody, RefundBody};
use super::asked::Asked;
use super::books::Books;
use super::door::{Executed, unsigned};
use super::faulted::{self, Hand};
use super::rows::{Dialect, OrderState};
use super::rules::{self, Unordered, Unrefunded, Wanted, WantedRefund};
use super::{Merchant, Simulator};

/// Longest body of a request, in bytes.
const BODY_MAX: usize = 64 * 1024;

impl Simulator {
    /// Serves one request, of v3 or of v2: `target` is the path with its query, as the client sent it or with the base
    /// address's own path taken off; `identity` the certificate the client proved itself with in the TLS handshake, DER.
    /// Header names are compared without case. What was executed is durable when this returns.
    pub fn handle(
        &self,
        method: &str,
        target: &str,
        headers: &[(String, String)],
        body: &[u8],
        identity: Option<&[u8]>,
    ) -> Served {
        if target.contains("/v3/") {
            self.handle_v3(method, target, headers, body)
        } else {
            self.handle_v2(method, target, body, identity)
        }
    }

    fn handle_v3(&self, method: &str, target: &str, headers: &[(String, String)], body: &[u8]) -> Served {
        let Some(asked) = Asked::read(method, target) else {
            return faulted::plain(404, "there is nothing here");
        };
        if body.len() > BODY_MAX {
            return faulted::plain(413, "the request is too long");
        }
        let fault = self.faults.take(asked.call(), &asked.number(body));
        if let Some(served) = faulted::on_the_way_in(fault) {
            return served;
        }
        let merchant = match self.at_the_door(method, target, headers, body) {
            Ok(merchant) => merchant,
            Err(why) => return Served::Reply(unsigned(&Executed::refuse(401, "SIGN_ERROR", why))),
        };
        let (serial, key) = self.answering(headers);
        let busy = || Executed::refuse(429, "FREQUENCY_LIMITED", "频率限制");
        let executed = faulted::executed(fault, busy, || self.execute(&asked, &merchant, body));
        let executed = executed.unwrap_or_else(|error| {
            tracing::error!(%error, "the simulated provider cannot use its books");
            Executed::refuse(500, "SYSTEM_ERROR", "系统错误")
        });
        faulted::on_the_way_out(fault, |hand| match hand {
            Hand::Own => self.reply(&serial, &key, &executed),
            Hand::Nobody => unsigned(&executed),
            // The stranger signs with a merchant's key, under the provider's name.
            Hand::Stranger => {
                let merchants = self.merchants.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                let stranger = merchants.values().find_map(|merchant| merchant.api_keys.first().cloned());
                drop(merchants);
                self.reply(&serial, &stranger.unwrap_or_else(|| key.clone()), &executed)
            }
        })
    }

    fn execute(&self, asked: &Asked<'_>, merchant: &Merchant, body: &[u8]) -> Result<Executed, LedgerError> {
        let _visit = self.enter();
        let mut books = Books::open(&self.ledger, self.now());
        let unreadable = || Executed::refuse(400, "PARAM_ERROR", "参数错误");
        let executed = match asked {
            Asked::Certificates => self.certificates(merchant),
            Asked::Order(kind) => match wire::read::<OrderBody>(body) {
                Some(order) => take_order(&mut books, kind, merchant, &order, body)?,
                None => unreadable(),
            },
            Asked::Query { mchid, .. } if *mchid != merchant.mchid => mismatch(),
            Asked::Query { number, .. } => match books.order(number, &merchant.mchid)? {
                Some(order) => {
                    let refunded = !books.refunds(&order)?.is_empty();
                    Executed::json(200, &order.told(0, refunded))
                }
                None => no_order(),
            },
            Asked::Close { number } => match wire::read::<CloseBody>(body) {
                Some(asked) if asked.mchid != merchant.mchid => mismatch(),
                Some(_) => close(&mut books, number, merchant)?,
                None => unreadable(),
            },
            Asked::Refund => match wire::read::<RefundBody>(body) {
                Some(refund) => self.take_refund(&mut books, merchant, &refund, body)?,
                None => unreadable(),
            },
            Asked::QueryRefund { number } => match books.refund(&merchant.mchid, number)? {
                Some(refund) => Executed::json(200, &refund.told()),
                None => Executed::refuse(404, "RESOURCE_NOT_EXISTS", "退款单不存在"),
            },
        };
        books.commit()?;
        Ok(executed)
    }

    fn certificates(&self, merchant: &Merchant) -> Executed {
        if !merchant.certificates {
            return Executed::refuse(404, "RESOURCE_NOT_EXISTS", "无可用的平台证书");
        }
        let keys = self.keys();
        let listed = keys.platform.iter().rev().take(2).filter_map(|key| {
            let sealed = self.sealed(key.certificate_pem().as_bytes(), "certificate", merchant)?;
            Some(CertificateBody { serial_no: key.serial.clone(), encrypt_certificate: sealed })
        });
        Executed::json(200, &CertificatesBody { data: listed.collect() })
    }

    fn take_refund(
        &self,
        books: &mut Books<'_>,
        merchant: &Merchant,
        asked: &RefundBody,
        body: &[u8],
    ) -> Result<Executed, LedgerError> {
        if !is_number(&asked.out_refund_no) || asked.amount.refund == 0 || asked.amount.currency != "CNY" {
            return Ok(Executed::refuse(400, "PARAM_ERROR", "参数错误"));
        }
        let wanted = WantedRefund {
            number: &asked.out_refund_no,
            transaction_id: &asked.transaction_id,
            total: asked.amount.total,
            amount: asked.amount.refund,
            notify_url: &asked.notify_url,
            content: hex::encode(sha256(body)),
            dialect: Dialect::V3,
        };
        Ok(match self.refund(books, &merchant.mchid, wanted)? {
            Ok(refund) => Executed::json(200, &refund.told()),
            Err(Unrefunded::Other) => invalid("退款单号已存在，参数与首次请求时不一致"),
            Err(Unrefunded::NoPayment) => Executed::refuse(404, "RESOURCE_NOT_EXISTS", "订单不存在"),
            Err(Unrefunded::OtherTotal) => invalid("订单金额与原订单不符"),
            Err(Unrefunded::TooMuch { .. }) => invalid("申请退款金额大于订单可退金额"),
            Err(Unrefunded::TooLate | Unrefunded::TooOften) => invalid("订单已超过可退款的期限或次数"),
            Err(Unrefunded::TooSoon) => {
                Executed::refuse(429, "FREQUENCY_LIMITED", "同一笔订单多次退款的请求需相隔1分钟")
            }
            Err(Unrefunded::NotEnough) => Executed::refuse(403, "NOT_ENOUGH", "基本账户余额不足，请充值后重新发起"),
            Err(Unrefunded::Busy) => Executed::refuse(429, "FREQUENCY_LIMITED", "频率限制"),
        })
    }
}

fn take_order(
    books: &mut Books<'_>,
    kind: &str,
    merchant: &Merchant,
    asked: &OrderBody,
    body: &[u8],
) -> Result<Executed, LedgerError> {
    if asked.mchid != merchant.mchid {
        return Ok(mismatch());
    }
    if !merchant.appids.contains(&asked.appid) {
        return Ok(Executed::refuse(400, "APPID_MCHID_NOT_MATCH", "appid和mch_id不匹配"));
    }
    let Some(expires_at) = expiry(asked, kind) else {
        return Ok(Executed::refuse(400, "PARAM_ERROR", "参数错误"));
    };
    let wanted = Wanted {
        mchid: &merchant.mchid,
        appid: &asked.appid,
        number: &asked.out_trade_no,
        kind,
        amount: asked.amount.total,
        notify_url: &asked.notify_url,
        expires_at,
        content: hex::encode(sha256(&[kind.as_bytes(), b"\n", body].concat())),
        dialect: Dialect::V3,
    };
    let order = match rules::order(books, wanted)? {
        Ok(order) => order,
        Err(Unordered::Paid) => return Ok(invalid("该订单已支付")),
        Err(Unordered::Closed) => return Ok(Executed::refuse(400, "ORDER_CLOSED", "该订单已失效")),
        Err(Unordered::Other) => return Ok(invalid("请求重入时，参数与首次请求时不一致")),
    };
    let created = match kind {
        "native" => CreatedBody { code_url: Some(order.code_url()), ..CreatedBody::default() },
        "h5" => CreatedBody { h5_url: Some(order.page()), ..CreatedBody::default() },
        _ => CreatedBody { prepay_id: Some(order.prepay_id()), ..CreatedBody::default() },
    };
    Ok(Executed::json(200, &created))
}

/// When the order expires. `None`: something in the order is not as it should be.
fn expiry(asked: &OrderBody, kind: &str) -> Option<Timestamp> {
    let openid = asked.payer.as_ref().is_some_and(|payer| (1..=128).contains(&payer.openid.len()));
    let scene = asked.scene_info.as_ref().is_some_and(|scene| {
        scene.payer_client_ip.parse::<std::net::IpAddr>().is_ok_and(|ip| !ip.is_loopback())
            && ["Wap", "iOS", "Android"].contains(&scene.h5_info.kind.as_str())
    });
    let url: Option<url::Url> = asked.notify_url.parse().ok();
    let notified = url.is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.query().is_none());
    let well = is_number(&asked.out_trade_no)
        && (1..=127).contains(&asked.description.len())
        && asked.amount.total > 0
        && asked.amount.currency == "CNY"
        && notified
        && (kind != "jsapi" || openid)
        && (kind != "h5" || scene);
    let shaped = asked.time_expire.len() == 25 && asked.time_expire.ends_with("+08:00");
    asked.time_expire.parse().ok().filter(|_| well && shaped)
}

fn close(books: &mut Books<'_>, number: &str, merchant: &Merchant) -> Result<Executed, LedgerError> {
    let Some(mut order) = books.order(number, &merchant.mchid)? else { return Ok(no_order()) };
    Ok(match order.state {
        OrderState::Paid => Executed::refuse(400, "ORDER_PAID", "订单已支付"),
        OrderState::Paying => Executed::refuse(202, "USERPAYING", "用户支付中，需要输入密码"),
        // It may be asked again.
        OrderState::NotPaid | OrderState::Closed => {
            order.state = OrderState::Closed;
            books.put(&order);
            Executed { status: 204, body: Vec::new() }
        }
    })
}

pub(super) fn is_number(text: &str) -> bool {
    (6..=32).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'|' | b'*'))
}

fn no_order() -> Executed {
    Executed::refuse(404, "ORDER_NOT_EXIST", "订单不存在")
}

fn mismatch() -> Executed {
    Executed::refuse(400, "PARAM_ERROR", "http header中的mchid与post payload中的mchid不匹配")
}

fn invalid(message: &str) -> Executed {
    Executed::refuse(400, "INVALID_REQUEST", message)
}
