//! Notices: what is told of a trade, to the payment's own address, until it is acknowledged or given up.

use std::sync::PoisonError;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, join_all, select};
use maxpay_engine::model::Timestamp;
use serde::{Deserialize, Serialize};

use crate::parts::beijing;
use crate::parts::digest::digits;
use crate::simulator::{Changes, LedgerError, Notice, NotificationSink, due_at, due_key};

use super::super::notify::ACKNOWLEDGED;
use super::super::signed::{notice_text, query_text};
use super::Simulator;
use super::trade::{Trade, TradeState, key, yuan};

/// Notices sent in one tick at most; the rest is due still.
const TICK_MAX: usize = 64;
/// How long an acknowledgement may take, by the simulator's clock.
const ACKNOWLEDGE_LIMIT: Duration = Duration::from_secs(10);
/// Minutes between the tries: 4m, 10m, 10m, 1h, 2h, 6h, 15h, about 25 hours in all.
const RETRY_MINUTES: [u64; 7] = [4, 10, 10, 60, 120, 360, 900];
const SEQUENCE: &str = "meta/sequence";

/// How a trade is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Telling {
    Once,
    Late(Duration),
    Twice,
    Never,
    Forged,
    WrongOwner,
    WrongAmount,
}

/// A notice that waits. It is signed when it leaves.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Queued {
    url: String,
    pairs: Vec<(String, String)>,
    forged: bool,
    tries: usize,
}

/// What a notice says of a trade: a refund is told as the payment again, with the sum of all refunds. `None`: this
/// state is not told of.
pub(super) fn told(trade: &Trade) -> Option<Vec<(String, String)>> {
    let on_a_phone = matches!(trade.method.as_str(), "alipay.trade.app.pay" | "alipay.trade.wap.pay");
    match trade.state {
        TradeState::Coded | TradeState::Wait => return None,
        // Pages and codes are told of payments only: opendocs.alipay.com/open/270/105902, "触发通知类型".
        TradeState::Closed if trade.refunds.is_empty() && !on_a_phone => return None,
        TradeState::Success | TradeState::Finished | TradeState::Closed => {}
    }
    let changes = format!("{}/{}/{:?}", trade.trade_no, trade.refunds.len(), trade.state);
    let mut pairs = vec![
        ("app_id", trade.app_id.clone()),
        ("auth_app_id", trade.app_id.clone()),
        ("buyer_id", "2088000000000000".to_owned()),
        ("charset", "utf-8".to_owned()),
        ("gmt_create", beijing::spaced(trade.made_at)),
        ("notify_id", digits(changes.as_bytes(), 32)),
        ("notify_type", "trade_status_sync".to_owned()),
        ("out_trade_no", trade.number.clone()),
        ("seller_id", trade.seller_id.clone()),
        ("subject", trade.subject.clone()),
        ("total_amount", yuan(trade.total_minor())),
        ("trade_no", trade.trade_no.clone()),
        ("trade_status", trade.status().to_owned()),
        ("version", "1.0".to_owned()),
    ];
    if let Some(payment) = &trade.payment {
        pairs.push(("gmt_payment", beijing::spaced(payment.at)));
        for name in ["buyer_pay_amount", "receipt_amount", "invoice_amount"] {
            pairs.push((name, yuan(payment.amount_minor)));
        }
    }
    if let Some(last) = trade.refunds.last() {
        pairs.push(("gmt_refund", format!("{}.000", beijing::spaced(last.at))));
        pairs.push(("refund_fee", yuan(trade.returned_minor())));
        pairs.push(("out_biz_no", last.request_no.clone().unwrap_or_else(|| trade.number.clone())));
    }
    Some(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

impl Simulator {
    /// Sends what has fallen due, at most 64 notices, and keeps what is not acknowledged (status 200 and exactly
    /// `success`) for another try. Returns how many were sent; 0 without a sink.
    ///
    /// # Errors
    /// The ledger does not answer. Nothing is lost: it is due still.
    pub async fn tick(&self) -> Result<usize, LedgerError> {
        let Some(sink) = self.sink.lock().unwrap_or_else(PoisonError::into_inner).clone() else { return Ok(0) };
        let now = self.now();
        let mut rows = self.ledger.rows::<Queued>("due/", TICK_MAX)?;
        rows.retain(|(key, _)| due_at(key).is_some_and(|at| at <= now));
        let count = rows.len();
        let sent = join_all(rows.into_iter().map(|(key, queued)| self.send(&sink, key, queued))).await;
        sent.into_iter().collect::<Result<(), _>>()?;
        Ok(count)
    }

    /// When something falls due next; `None`: nothing waits.
    ///
    /// # Errors
    /// The ledger does not answer.
    pub fn next_due(&self) -> Result<Option<Timestamp>, LedgerError> {
        let first = self.ledger.rows::<Queued>("due/", 1)?.pop();
        Ok(first.and_then(|(key, _)| due_at(&key)))
    }

    async fn send(&self, sink: &NotificationSink, row: String, mut queued: Queued) -> Result<(), LedgerError> {
        let body = self.sealed(&queued.pairs, queued.forged);
        let content_type = "application/x-www-form-urlencoded; charset=utf-8";
        let headers = vec![("content-type".to_owned(), content_type.to_owned())];
        let notice = Notice { url: queued.url.clone(), headers, body: Bytes::from(body) };
        let acknowledged = match select(sink(notice), self.clock.sleep(ACKNOWLEDGE_LIMIT)).await {
            Either::Left((Ok(reply), _)) => reply.status == 200 && reply.body.as_ref() == ACKNOWLEDGED,
            Either::Left((Err(_), _)) | Either::Right(_) => false,
        };
        let wait = RETRY_MINUTES.get(queued.tries).copied().map(Duration::from_mins);
        queued.tries += 1;
        let _visit = self.enter();
        let mut changes = Changes::default();
        changes.remove(row);
        // A forger does not repeat himself.
        if let Some(wait) = wait.filter(|_| !acknowledged && !queued.forged) {
            self.queue(&mut changes, 0, wait, &queued)?;
        }
        self.ledger.commit(changes)
    }

    /// The form, signed now.
    pub(super) fn sealed(&self, pairs: &[(String, String)], forged: bool) -> String {
        let mut pairs = pairs.to_vec();
        pairs.push(("notify_time".to_owned(), beijing::spaced(self.now())));
        let text = notice_text(&pairs, true);
        let (sign, number) = self.keys.sign(&text, self.rotations().unwrap_or(0), forged);
        let sign = match number {
            // In certificate mode the certificate's number is inside what is signed.
            Some(number) => {
                pairs.push(("alipay_cert_sn".to_owned(), number));
                self.keys.sign(&notice_text(&pairs, true), self.rotations().unwrap_or(0), forged).0
            }
            None => sign,
        };
        pairs.push(("sign_type".to_owned(), "RSA2".to_owned()));
        pairs.push(("sign".to_owned(), sign));
        query_text(&pairs)
    }

    /// Keeps the trade and queues its notice, in one commit.
    pub(super) fn put_and_tell(&self, trade: &Trade) -> Result<(), LedgerError> {
        let mut changes = Changes::default();
        changes.put(key(&trade.app_id, &trade.number), trade);
        self.queue_told(&mut changes, trade, Telling::Once)?;
        self.ledger.commit(changes)
    }

    /// Queues the notice of a trade.
    pub(super) fn tell(&self, trade: &Trade, telling: Telling) -> Result<(), LedgerError> {
        let mut changes = Changes::default();
        self.queue_told(&mut changes, trade, telling)?;
        self.ledger.commit(changes)
    }

    fn queue_told(&self, changes: &mut Changes, trade: &Trade, telling: Telling) -> Result<(), LedgerError> {
        let Some(mut pairs) = told(trade).filter(|_| !trade.notify_url.is_empty()) else { return Ok(()) };
        let mut set = |name: &str, to: String| {
            pairs.iter_mut().filter(|(have, _)| have == name).for_each(|(_, value)| value.clone_from(&to));
        };
        let (wait, twice) = match telling {
            Telling::Never => return Ok(()),
            Telling::Once | Telling::Forged => (Duration::ZERO, false),
            Telling::Late(wait) => (wait, false),
            Telling::Twice => (Duration::ZERO, true),
            Telling::WrongOwner => {
                set("seller_id", "2088999999999999".to_owned());
                (Duration::ZERO, false)
            }
            Telling::WrongAmount => {
                set("total_amount", yuan(trade.total_minor() + 1));
                (Duration::ZERO, false)
            }
        };
        let queued = Queued { url: trade.notify_url.clone(), pairs, forged: telling == Telling::Forged, tries: 0 };
        self.queue(changes, 0, wait, &queued)?;
        if twice {
            self.queue(changes, 1, wait.saturating_add(Duration::from_secs(1)), &queued)?;
        }
        Ok(())
    }

    fn queue(&self, changes: &mut Changes, after: u64, wait: Duration, queued: &Queued) -> Result<(), LedgerError> {
        let sequence = self.ledger.row::<u64>(SEQUENCE)?.unwrap_or(0) + after;
        changes.put(due_key(self.now().after(wait), sequence), queued);
        changes.put(SEQUENCE.to_owned(), &(sequence + 1));
        Ok(())
    }
}
