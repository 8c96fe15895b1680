//! What falls due at the provider, and how its notices leave: kept until acknowledged or given up.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, Either, join_all, select};
use maxpay_engine::model::Timestamp;
use maxpay_engine::secrets::Secret;

use crate::simulator::{LedgerError, Notice, NotificationSink, due_at, retry_after, run};

use super::super::notify::ACKNOWLEDGED;
use super::super::wire::{self, SIGNATURE_HEADER, Signed};
use super::Simulator;
use super::books::{Books, Telling};
use super::order::{Due, OrderState, QueuedNotice};
use super::payer::give_back;

/// Things done in one tick at most; the rest is due still.
const TICK_MAX: usize = 64;
/// How long an acknowledgement may take, by the simulator's clock.
const ACKNOWLEDGE_LIMIT: Duration = Duration::from_secs(10);

impl Simulator {
    /// Does what has fallen due by `now`, in the order it fell due, at most 64 things: payments that were put off, and
    /// notices, sent all at once and kept for another try unless they are acknowledged (status 200, body `success`).
    /// Returns how much was done; 0: nothing is due, or there are only notices and no sink.
    ///
    /// Two ticks at a time may send a notice twice, as providers do.
    ///
    /// # Errors
    /// The ledger does not answer. Nothing is lost: it is due still.
    pub async fn tick(&self, now: Timestamp) -> Result<usize, LedgerError> {
        let sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut notices = Vec::new();
        let mut done = 0;
        // Without a sink, notices that wait must not hide the payments behind them.
        let limit = if sink.is_some() { TICK_MAX } else { usize::MAX };
        for (key, due) in self.due(now, limit)? {
            match due {
                Due::Pay { merchant_id, number, again } => {
                    self.pay_later(key, &merchant_id, &number, again, now)?;
                    done += 1;
                }
                Due::Return { merchant_id, number } => {
                    self.return_later(key, &merchant_id, &number, now)?;
                    done += 1;
                }
                Due::Notice(notice) => notices.push((key, notice)),
            }
        }
        let Some(sink) = sink else { return Ok(done) };
        done += notices.len();
        let answers = join_all(notices.into_iter().map(|(key, notice)| self.tell(&sink, key, notice, now))).await;
        answers.into_iter().collect::<Result<(), _>>()?;
        Ok(done)
    }

    /// When something falls due next; `None`: nothing waits.
    ///
    /// # Errors
    /// The ledger does not answer.
    pub fn next_due(&self) -> Result<Option<Timestamp>, LedgerError> {
        let first = self.ledger.rows::<Due>("due/", 1)?.pop();
        Ok(first.and_then(|(key, _)| due_at(&key)))
    }

    /// Ticks by the simulator's clock until `stop` completes; a tick that has begun is finished.
    pub async fn run(self: Arc<Self>, stop: impl Future<Output = ()> + Send) {
        run(self.as_ref(), &self.bell, stop).await;
    }

    fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<(String, Due)>, LedgerError> {
        let mut rows = self.ledger.rows::<Due>("due/", limit)?;
        rows.retain(|(key, _)| due_at(key).is_some_and(|at| at <= now));
        Ok(rows)
    }

    fn pay_later(
        &self,
        key: String,
        merchant: &str,
        number: &str,
        again: bool,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let _visit = self.enter();
        let mut books = Books::open(&self.ledger, now);
        books.done(key);
        if let Some(mut order) = books.order(number, merchant)? {
            let payable = match order.state {
                OrderState::Open | OrderState::Processing => !order.is_expired(now),
                OrderState::Paid => again,
                OrderState::Closed | OrderState::Declined => false,
            };
            if payable {
                let amount = order.amount;
                books.pay(&mut order, amount, Telling::Once)?;
            }
        }
        self.leave(books)
    }

    fn return_later(&self, key: String, merchant: &str, number: &str, now: Timestamp) -> Result<(), LedgerError> {
        let _visit = self.enter();
        let mut books = Books::open(&self.ledger, now);
        books.done(key);
        if let Some(mut order) = books.order(number, merchant)? {
            // Refused only if somebody gave it back meanwhile: then there is nothing left to do.
            if let Err(super::PayerError::Ledger(error)) = give_back(&mut books, &mut order) {
                return Err(error);
            }
        }
        self.leave(books)
    }

    async fn tell(
        &self,
        sink: &NotificationSink,
        key: String,
        mut queued: Box<QueuedNotice>,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let acknowledged = match self.sealed(&queued) {
            Some(notice) => {
                let late = self.clock.sleep(ACKNOWLEDGE_LIMIT);
                match select(sink(notice), late).await {
                    Either::Left((Ok(reply), _)) => reply.status == 200 && reply.body.as_ref() == ACKNOWLEDGED,
                    Either::Left((Err(reason), _)) => {
                        tracing::debug!(%reason, number = queued.body.number, "a sandbox notice did not arrive");
                        false
                    }
                    Either::Right(_) => false,
                }
            }
            None => false,
        };
        let _visit = self.enter();
        let mut books = Books::open(&self.ledger, now);
        books.done(key);
        queued.tries += 1;
        // A forger does not repeat himself.
        let again = if acknowledged || queued.forged { None } else { retry_after(queued.tries) };
        if let Some(wait) = again {
            books.queue(wait, &Due::Notice(queued))?;
        }
        self.leave(books)
    }

    /// The notice as it leaves now. `None`: the merchant has no key, so nothing can be signed for it.
    fn sealed(&self, queued: &QueuedNotice) -> Option<Notice> {
        let stranger = Secret::from_text("a key that is not the provider's");
        let key = if queued.forged { stranger } else { self.merchants.notify_secret(&queued.merchant_id)? };
        let body = serde_json::to_vec(&queued.body).expect("answers are structs of texts and numbers");
        let signature = wire::sign(&key, Signed::Notice, self.now(), &body);
        let headers =
            vec![("content-type".to_owned(), "application/json".to_owned()), (SIGNATURE_HEADER.to_owned(), signature)];
        Some(Notice { url: queued.url.clone(), headers, body: Bytes::from(body) })
    }
}

impl crate::simulator::Due for Simulator {
    fn tick(&self) -> BoxFuture<'_, Result<usize, LedgerError>> {
        Box::pin(Self::tick(self, self.now()))
    }

    fn next_due(&self) -> Result<Option<Timestamp>, LedgerError> {
        Self::next_due(self)
    }
}
