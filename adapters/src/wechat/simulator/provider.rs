//! The requests of the dialect: who asks is proved, then order, query, close, refund and certificates are executed.

use std::time::Duration;

use bytes::Bytes;
use maxpay_engine::channel::http::HttpReply;
use maxpay_engine::model::Timestamp;

use crate::parts::digest::sha256;
use crate::simulator::{How, LedgerError, Served, When};

use super::super::wire::{self, CertificateBody, CertificatesBody, CloseBody, CreatedBody, OrderBody, RefundBody};
use super::asked::Asked;
use super::books::Books;
use super::door::{Executed, unsigned};
use super::keys::KeyPair;
use super::rows::{Due, Order, OrderState, Refund, RefundState};
use super::{Merchant, RefundPlan, Simulator};

/// Longest body of a request, in bytes.
const BODY_MAX: usize = 64 * 1024;
/// Between two refunds of one order.
const REFUND_GAP: Duration = Duration::from_mins(1);
const REFUNDS_MAX: usize = 50;
/// How long after a payment refunds are taken.
const REFUND_WINDOW: Duration = Duration::from_hours(365 * 24);
/// How long a refund is under way.
const REFUND_TAKES: Duration = Duration::from_secs(3);
/// A time_expire sooner than this is moved.
const LIFE_MIN: Duration = Duration::from_mins(1);

impl Simulator {
    /// Serves one request: `target` is the path with its query, as the client sent it or with the base address's own path
    /// taken off. Header names are compared without case. What was executed is durable when this returns.
    pub fn handle(&self, method: &str, target: &str, headers: &[(String, String)], body: &[u8]) -> Served {
        let Some(asked) = Asked::read(method, target) else {
            return plain(404, "there is nothing here");
        };
        if body.len() > BODY_MAX {
            return plain(413, "the request is too long");
        }
        let fault = self.faults.take(asked.call(), &asked.number(body));
        if let Some((When::BeforeExecution, how)) = fault {
            match how {
                How::NotSent => return Served::NotSent,
                How::Lost => return Served::Lost,
                How::Status(status) => return plain(status, "a gateway says no"),
                How::Garbage => return plain(200, "\u{1}\u{2}<<<not an answer"),
                How::Busy | How::Late(_) | How::Duplicated | How::Unsigned | How::Forged => {}
            }
        }
        let merchant = match self.at_the_door(method, target, headers, body) {
            Ok(merchant) => merchant,
            Err(why) => return Served::Reply(unsigned(&Executed::refuse(401, "SIGN_ERROR", why))),
        };
        let (serial, key) = self.answering(headers);
        if let Some((When::BeforeExecution, How::Busy)) = fault {
            let busy = Executed::refuse(429, "FREQUENCY_LIMITED", "频率限制");
            return Served::Reply(self.reply(&serial, &key, &busy));
        }
        let mut executed = self.execute(&asked, &merchant, body);
        if matches!(fault, Some((_, How::Duplicated))) {
            executed = self.execute(&asked, &merchant, body);
        }
        match executed {
            Ok(executed) => self.answer(&serial, &key, &executed, fault.map(|(_, how)| how)),
            Err(error) => {
                tracing::error!(%error, "the simulated provider cannot use its books");
                Served::Reply(self.reply(&serial, &key, &Executed::refuse(500, "SYSTEM_ERROR", "系统错误")))
            }
        }
    }

    fn answer(&self, serial: &str, key: &KeyPair, executed: &Executed, fault: Option<How>) -> Served {
        match fault {
            None | Some(How::Duplicated | How::NotSent | How::Busy) => Served::Reply(self.reply(serial, key, executed)),
            Some(How::Lost) => Served::Lost,
            Some(How::Late(wait)) => Served::Late(wait, self.reply(serial, key, executed)),
            Some(How::Status(status)) => plain(status, "a gateway says no"),
            Some(How::Garbage) => plain(200, "\u{1}\u{2}<<<not an answer"),
            Some(How::Unsigned) => Served::Reply(unsigned(executed)),
            Some(How::Forged) => {
                // The stranger signs with a merchant's key, under the provider's name.
                let merchants = self.merchants.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                let stranger = merchants.values().find_map(|merchant| merchant.api_keys.first().cloned());
                drop(merchants);
                Served::Reply(self.reply(serial, &stranger.unwrap_or_else(|| key.clone()), executed))
            }
        }
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
        let content = hex::encode(sha256(body));
        if let Some(before) = books.refund(&merchant.mchid, &asked.out_refund_no)? {
            return Ok(if before.content == content {
                Executed::json(200, &before.told())
            } else {
                invalid("退款单号已存在，参数与首次请求时不一致")
            });
        }
        let Some(mut order) = books.order_of(&merchant.mchid, &asked.transaction_id)? else {
            return Ok(Executed::refuse(404, "RESOURCE_NOT_EXISTS", "订单不存在"));
        };
        let Some(paid) = order.payments.iter().find(|paid| paid.transaction_id == asked.transaction_id).cloned() else {
            return Ok(Executed::refuse(404, "RESOURCE_NOT_EXISTS", "订单不存在"));
        };
        let refunds = books.refunds(&order)?;
        let of_it = refunds
            .iter()
            .filter(|refund| refund.transaction_id == asked.transaction_id && refund.state != RefundState::Closed);
        let before: u64 = of_it.map(|refund| refund.amount).sum();
        if !is_number(&asked.out_refund_no) || asked.amount.refund == 0 || asked.amount.currency != "CNY" {
            return Ok(Executed::refuse(400, "PARAM_ERROR", "参数错误"));
        }
        if asked.amount.total != paid.amount {
            return Ok(invalid("订单金额与原订单不符"));
        }
        if before.saturating_add(asked.amount.refund) > paid.amount {
            return Ok(invalid("申请退款金额大于订单可退金额"));
        }
        if books.now.since(paid.at) > REFUND_WINDOW || refunds.len() >= REFUNDS_MAX {
            return Ok(invalid("订单已超过可退款的期限或次数"));
        }
        if order.refunded_at.is_some_and(|at| books.now.since(at) < REFUND_GAP) {
            return Ok(Executed::refuse(429, "FREQUENCY_LIMITED", "同一笔订单多次退款的请求需相隔1分钟"));
        }
        let plan = self.refund_plans.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop_front();
        let ends = match plan {
            None | Some(RefundPlan::AcceptedAs429) => RefundState::Success,
            Some(RefundPlan::Ends(state)) => state,
            Some(RefundPlan::NotEnough) => {
                return Ok(Executed::refuse(403, "NOT_ENOUGH", "基本账户余额不足，请充值后重新发起"));
            }
            Some(RefundPlan::Refused429) => return Ok(Executed::refuse(429, "FREQUENCY_LIMITED", "频率限制")),
        };
        let refund = accept(
            books,
            &mut order,
            &asked.out_refund_no,
            &asked.notify_url,
            content,
            (paid.transaction_id, paid.amount, asked.amount.refund),
            ends,
        )?;
        Ok(match plan {
            Some(RefundPlan::AcceptedAs429) => Executed::refuse(429, "FREQUENCY_LIMITED", "频率限制"),
            None | Some(RefundPlan::Ends(_) | RefundPlan::NotEnough | RefundPlan::Refused429) => {
                Executed::json(200, &refund.told())
            }
        })
    }
}

/// Books a refund that is under way. `paid`: of which payment, of how much, and how much goes back.
pub(super) fn accept(
    books: &mut Books<'_>,
    order: &mut Order,
    number: &str,
    notify_url: &str,
    content: String,
    paid: (String, u64, u64),
    ends: RefundState,
) -> Result<Refund, LedgerError> {
    let (transaction_id, total, amount) = paid;
    let count = books.refunds(order)?.len();
    // In the order they were made, by key.
    let id = format!("5030{count:04}{}", crate::parts::digest::digits(order.handle().as_bytes(), 20));
    let refund = Refund {
        mchid: order.mchid.clone(),
        number: number.to_owned(),
        order: order.number.clone(),
        id,
        transaction_id,
        amount,
        total,
        notify_url: notify_url.to_owned(),
        content,
        state: RefundState::Processing,
        ends,
        made_at: books.now,
        done_at: None,
    };
    order.refunded_at = Some(books.now);
    books.put(order);
    books.put_refund(&refund);
    if ends != RefundState::Processing {
        books.queue(REFUND_TAKES, &Due::Settle { key: refund.key() })?;
    }
    Ok(refund)
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
    let content = hex::encode(sha256(&[kind.as_bytes(), b"\n", body].concat()));
    let mut order = match books.order(&asked.out_trade_no, &merchant.mchid)? {
        Some(before) if before.state == OrderState::Paid => return Ok(invalid("该订单已支付")),
        Some(before) if before.state == OrderState::Closed => {
            return Ok(Executed::refuse(400, "ORDER_CLOSED", "该订单已失效"));
        }
        Some(before) if before.content != content => return Ok(invalid("请求重入时，参数与首次请求时不一致")),
        Some(before) => before,
        None => Order {
            mchid: merchant.mchid.clone(),
            appid: asked.appid.clone(),
            number: asked.out_trade_no.clone(),
            kind: kind.to_owned(),
            amount: asked.amount.total,
            notify_url: asked.notify_url.clone(),
            made_at: books.now,
            // What is too soon is moved without a word.
            expires_at: expires_at.max(books.now.after(LIFE_MIN)),
            content,
            state: OrderState::NotPaid,
            payments: Vec::new(),
            ordered: 0,
            handle_at: books.now,
            refunded_at: None,
        },
    };
    order.ordered += 1;
    order.handle_at = books.now;
    books.put(&order);
    let handle = order.handle();
    let prepay = format!("wx{}", &handle[..34]);
    let created = match kind {
        "native" => CreatedBody {
            code_url: Some(format!("weixin://wxpay/bizpayurl?pr={}", &handle[..9])),
            ..CreatedBody::default()
        },
        "h5" => {
            let url = format!("https://wx.tenpay.com/cgi-bin/mmpayweb-bin/checkmweb?prepay_id={prepay}&package=1");
            CreatedBody { h5_url: Some(url), ..CreatedBody::default() }
        }
        _ => CreatedBody { prepay_id: Some(prepay), ..CreatedBody::default() },
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

fn is_number(text: &str) -> bool {
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

pub(super) fn plain(status: u16, text: &str) -> Served {
    let headers = vec![("content-type".to_owned(), "text/plain".to_owned())];
    Served::Reply(HttpReply { status, headers, body: Bytes::copy_from_slice(text.as_bytes()) })
}
