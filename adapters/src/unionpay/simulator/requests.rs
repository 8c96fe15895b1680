//! What proved requests do: orders of the app, forms at the cashier, queries, voids and refunds.

use std::time::Duration;

use maxpay_engine::model::Timestamp;

use crate::parts::beijing;
use crate::parts::form;
use crate::simulator::{Changes, LedgerError};

use super::super::message::Message;
use super::super::request::{APP_ORDER, BACK, QUERY, TYPE_PAYMENT, TYPE_REFUND, TYPE_VOID};
use super::Simulator;
use super::gateway::Said;
use super::order::{Due, Order, OrderState, content_of, order_key};
use super::payer::PayerError;

/// How long a void or a refund is under way.
const SETTLES_AFTER: Duration = Duration::from_secs(3);
/// The day of clearing ends at 23:00 in Beijing.
const AFTER_CUT: Duration = Duration::from_hours(1);

impl Simulator {
    pub(super) fn execute(&self, path: &str, message: &Message) -> Result<Said, LedgerError> {
        let _visit = self.enter();
        match (path, message.field("txnType")) {
            (QUERY, "00") => self.look(message),
            (APP_ORDER, TYPE_PAYMENT) => self.take_order(message),
            (BACK, TYPE_VOID | TYPE_REFUND) => self.give_back(message),
            _ => Ok(Said::code("10", "报文格式错误")),
        }
    }

    pub(super) fn order(&self, merchant_id: &str, number: &str) -> Result<Option<Order>, LedgerError> {
        self.ledger.row(&order_key(merchant_id, number))
    }

    fn look(&self, message: &Message) -> Result<Said, LedgerError> {
        let found = self.order(message.field("merId"), message.field("orderId"))?;
        // orderId and txnTime together name an order.
        let found = found.filter(|order| order.txn_time == message.field("txnTime"));
        let now = self.now();
        let Some((order, code)) = found.as_ref().and_then(|order| Some((order, order.code(now)?))) else {
            return Ok(Said::code("34", "查无此交易"));
        };
        let mut more = order.told();
        more.push(("origRespCode", code.to_owned()));
        more.push(("origRespMsg", format!("{}[{code}00000]", if code == "00" { "成功" } else { "交易" })));
        Ok(Said { code: "00", text: "成功", more })
    }

    fn take_order(&self, message: &Message) -> Result<Said, LedgerError> {
        if self.order(message.field("merId"), message.field("orderId"))?.is_some() {
            // Whatever it says: the number is taken. The tn is not given again.
            return Ok(Said::code("12", "重复交易"));
        }
        let order = match read_order(message, self.now()) {
            Ok(order) => order,
            Err(refused) => return Ok(refused),
        };
        let tn = order.tn();
        let mut changes = Changes::default();
        changes.put(order.key(), &order);
        self.ledger.commit(changes)?;
        Ok(Said { more: vec![("tn", tn)], ..Said::code("00", "成功") })
    }

    /// The payer's browser brings a form, or the phone's SDK a tn. Again changes nothing. Gives the number.
    pub(super) fn admit(&self, message: &Message) -> Result<String, PayerError> {
        if self.proved(message)?.is_some() || message.field("txnType") != TYPE_PAYMENT {
            return Err(PayerError::Refused("the form's signature is wrong, or its merchant is not known"));
        }
        let _visit = self.enter();
        let known = self.order(message.field("merId"), message.field("orderId"))?;
        let mut order = match known {
            Some(known) if known.content == content_of(message) => known,
            Some(_) => return Err(PayerError::Refused("the number stands for another order")),
            None => read_order(message, self.now()).map_err(|_| PayerError::Refused("the form cannot be taken"))?,
        };
        order.opened = true;
        let mut changes = Changes::default();
        changes.put(order.key(), &order);
        self.ledger.commit(changes)?;
        Ok(order.number)
    }

    /// The same for a whole page.
    ///
    /// # Errors
    /// It is no page of a form, or what it says is refused.
    pub fn open_page(&self, html: &str) -> Result<String, PayerError> {
        let pairs = form::read_page(html).ok_or(PayerError::Refused("there is no form"))?;
        self.admit(&Message::of(pairs))
    }

    fn give_back(&self, message: &Message) -> Result<Said, LedgerError> {
        let merchant_id = message.field("merId");
        if self.order(merchant_id, message.field("orderId"))?.is_some() {
            return Ok(Said::code("12", "重复交易"));
        }
        let Some(amount) = message.amount().map(|amount| amount.minor()).filter(|minor| *minor > 0) else {
            return Ok(Said::code("10", "报文格式错误"));
        };
        let all = self.ledger.rows::<Order>("order/", usize::MAX)?;
        let named = message.field("origQryId");
        let payment = all
            .iter()
            .map(|(_, order)| order)
            .find(|order| order.is_payment() && order.query_id == named && order.merchant_id == merchant_id);
        let Some(payment) = payment.filter(|payment| payment.state == OrderState::Done) else {
            return Ok(Said::code("35", "原交易不存在或状态不正确"));
        };
        let backs: Vec<_> = all
            .iter()
            .map(|(_, order)| order)
            .filter(|order| order.original.as_deref() == Some(named) && order.state != OrderState::Failed)
            .collect();
        let paid = payment.paid.unwrap_or(payment.amount);
        let left = paid.saturating_sub(backs.iter().map(|back| back.amount).sum());
        let void = message.field("txnType") == TYPE_VOID;
        if void && (!backs.is_empty() || !same_day(payment.decided_at, self.now())) {
            return Ok(Said::code("35", "原交易不存在或状态不正确"));
        }
        if amount > left || (void && amount != paid) {
            return Ok(Said::code("36", "与原交易信息不符"));
        }
        let order = Order::asked(message, amount, self.now());
        let mut changes = Changes::default();
        changes.put(order.key(), &order);
        self.queue(&mut changes, self.now().after(SETTLES_AFTER), &Due::Settle { key: order.key() })?;
        self.ledger.commit(changes)?;
        Ok(Said {
            more: vec![("queryId", order.query_id), ("origQryId", named.to_owned())],
            ..Said::code("00", "成功")
        })
    }
}

fn read_order(message: &Message, now: Timestamp) -> Result<Order, Said> {
    let number = message.field("orderId");
    let fits = (8..=40).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let times = beijing::read_packed(message.field("txnTime")).zip(beijing::read_packed(message.field("payTimeout")));
    let amount = message.amount().map(|amount| amount.minor()).filter(|minor| *minor > 0);
    match (amount, times) {
        (Some(amount), Some((_, ends_at))) if fits && message.has(&["backUrl"]) && now < ends_at => {
            Ok(Order::asked(message, amount, now))
        }
        (_, _) => Err(Said::code("10", "报文格式错误")),
    }
}

fn same_day(paid_at: Option<Timestamp>, now: Timestamp) -> bool {
    let day = |at: Timestamp| beijing::packed(at.after(AFTER_CUT))[..8].to_owned();
    paid_at.is_some_and(|paid_at| day(paid_at) == day(now))
}
