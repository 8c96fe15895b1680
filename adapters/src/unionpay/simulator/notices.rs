//! What falls due at UnionPay, and how its notices leave: as forms, until status 200 acknowledges them.

use std::sync::PoisonError;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, select};
use maxpay_engine::model::Timestamp;

use crate::simulator::{Changes, LedgerError, Notice, NotificationSink, due_at};

use super::super::message::Message;
use super::Simulator;
use super::authority::Signer;
use super::gateway::signed;
use super::order::{Due, Order, OrderState};

/// Things done in one tick at most; the rest is due still.
const TICK_MAX: usize = 64;
/// How long an acknowledgement may take.
const ACKNOWLEDGE_LIMIT: Duration = Duration::from_secs(10);
/// Minutes after the first, second … unacknowledged try (channels of the platform repeat up to five times).
const RETRY_MINUTES: [u64; 4] = [1, 2, 4, 5];

impl Simulator {
    /// Does what has fallen due by `now`, at most 64 things: voids and refunds that are decided, and notices, kept for
    /// another try unless they are acknowledged. Returns how much was done; notices wait while there is no sink.
    ///
    /// # Errors
    /// The ledger does not answer. Nothing is lost: it is due still.
    pub async fn tick(&self, now: Timestamp) -> Result<usize, LedgerError> {
        let sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut done = 0;
        // Without a sink, notices that wait must not hide what is behind them.
        let limit = if sink.is_some() { TICK_MAX } else { usize::MAX };
        for (row, due) in self.ledger.rows::<Due>("due/", limit)? {
            if due_at(&row).is_none_or(|at| at > now) {
                break;
            }
            match (due, &sink) {
                (Due::Settle { key }, _) => self.settle(row, &key, now)?,
                (Due::Notice { key, tries }, Some(sink)) => self.tell(sink, row, key, tries, now).await?,
                (Due::Notice { .. }, None) => continue,
            }
            done += 1;
        }
        Ok(done)
    }

    /// When something falls due next; `None`: nothing waits.
    ///
    /// # Errors
    /// The ledger does not answer.
    pub fn next_due(&self) -> Result<Option<Timestamp>, LedgerError> {
        Ok(self.ledger.rows::<Due>("due/", 1)?.pop().and_then(|(row, _)| due_at(&row)))
    }

    fn settle(&self, row: String, key: &str, now: Timestamp) -> Result<(), LedgerError> {
        let _visit = self.enter();
        let mut changes = Changes::default();
        changes.remove(row);
        if let Some(mut order) = self.ledger.row::<Order>(key)? {
            order.state = OrderState::Done;
            order.decided_at = Some(now);
            changes.put(key.to_owned(), &order);
            self.queue(&mut changes, now, &Due::Notice { key: key.to_owned(), tries: 0 })?;
        }
        self.ledger.commit(changes)
    }

    async fn tell(
        &self,
        sink: &NotificationSink,
        row: String,
        key: String,
        tries: usize,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let order = self.ledger.row::<Order>(&key)?;
        let acknowledged = match &order {
            Some(order) => {
                let notice = Notice {
                    url: order.notify_url.clone(),
                    headers: vec![("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())],
                    body: notice_of(order, self.signer(), now),
                };
                match select(sink(notice), self.clock.sleep(ACKNOWLEDGE_LIMIT)).await {
                    Either::Left((Ok(reply), _)) => reply.status == 200,
                    Either::Left((Err(_), _)) | Either::Right(((), _)) => false,
                }
            }
            None => true,
        };
        let _visit = self.enter();
        let mut changes = Changes::default();
        changes.remove(row);
        if let (false, Some(minutes)) = (acknowledged, RETRY_MINUTES.get(tries)) {
            let due = Due::Notice { key, tries: tries + 1 };
            self.queue(&mut changes, now.after(Duration::from_mins(*minutes)), &due)?;
        }
        self.ledger.commit(changes)
    }
}

/// The notice of an order, as a form.
pub(super) fn notice_of(order: &Order, signer: &Signer, now: Timestamp) -> Bytes {
    let mut pairs = order.told();
    pairs.extend([
        ("accessType", "0".to_owned()),
        ("merId", order.merchant_id.clone()),
        ("orderId", order.number.clone()),
        ("txnTime", order.txn_time.clone()),
        ("respCode", order.code(now).unwrap_or("34").to_owned()),
        ("respMsg", "success".to_owned()),
    ]);
    let message = Message::of(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)));
    Bytes::from(signed(message, signer).form())
}
