//! What falls due at the provider, and how its notices leave: sealed, signed, and repeated until acknowledged.

use std::sync::PoisonError;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, join_all, select};
use maxpay_engine::model::Timestamp;

use crate::simulator::{LedgerError, Notice, NotificationSink, due_at, retry_after};

use super::super::request::rfc3339;
use super::super::signature::{PROBE, SIGNATURE};
use super::super::wire::{NoticeBody, Resource};
use super::Simulator;
use super::books::Books;
use super::rows::{Dialect, Due, QueuedNotice};
use super::v2;

/// Things done in one tick at most; the rest is due still.
const TICK_MAX: usize = 64;
/// How long an acknowledgement may take (4012791861).
const ACKNOWLEDGE_LIMIT: Duration = Duration::from_secs(5);

impl Simulator {
    /// Does what has fallen due by `now`, at most 64 things: refunds that are decided, and notices, sent all at once and
    /// kept for another try unless they are acknowledged (200 or 204; in v2 by its XML). Returns how much was done; 0:
    /// nothing is due, or there are only notices and no sink.
    ///
    /// # Errors
    /// The ledger does not answer. Nothing is lost: it is due still.
    pub async fn tick(&self, now: Timestamp) -> Result<usize, LedgerError> {
        let sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut notices = Vec::new();
        let mut done = 0;
        let limit = if sink.is_some() { TICK_MAX } else { usize::MAX };
        let mut rows = self.ledger.rows::<Due>("due/", limit)?;
        rows.retain(|(key, _)| due_at(key).is_some_and(|at| at <= now));
        for (key, due) in rows {
            match due {
                Due::Settle { key: refund } => {
                    self.settle(key, &refund, now)?;
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

    fn settle(&self, key: String, refund: &str, now: Timestamp) -> Result<(), LedgerError> {
        let _visit = self.enter();
        let mut books = Books::open(&self.ledger, now);
        books.done(key);
        if let Some(mut refund) = books.refund_at(refund)? {
            refund.state = refund.ends;
            refund.done_at = Some(now);
            books.put_refund(&refund);
            if !refund.notify_url.is_empty() {
                let notice = Box::new(Books::refund_notice(&refund));
                books.queue(Duration::ZERO, &Due::Notice(notice))?;
            }
        }
        books.commit()
    }

    async fn tell(
        &self,
        sink: &NotificationSink,
        key: String,
        mut queued: Box<QueuedNotice>,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let acknowledged = match self.written(&queued) {
            Some(notice) => {
                let late = self.clock.sleep(ACKNOWLEDGE_LIMIT);
                match select(sink(notice), late).await {
                    Either::Left((Ok(reply), _)) => match queued.dialect {
                        Dialect::V3 => matches!(reply.status, 200 | 204),
                        Dialect::V2 { .. } => v2::is_acknowledged(reply.status, &reply.body),
                    },
                    Either::Left((Err(reason), _)) => {
                        tracing::debug!(%reason, "a simulated notice did not arrive");
                        false
                    }
                    Either::Right(_) => false,
                }
            }
            None => false,
        };
        if acknowledged && queued.probe {
            tracing::warn!("a probe was acknowledged: signatures are not checked there");
        }
        let _visit = self.enter();
        let mut books = Books::open(&self.ledger, now);
        books.done(key);
        queued.tries += 1;
        // Neither a forger nor a probe is repeated.
        let once = queued.forged || queued.probe;
        let again = if acknowledged || once { None } else { retry_after(queued.tries) };
        if let Some(wait) = again {
            books.queue(wait, &Due::Notice(queued))?;
        }
        books.commit()
    }

    /// The notice as it leaves now. `None`: the merchant is not known, so nothing can be sealed for it.
    pub(super) fn written(&self, queued: &QueuedNotice) -> Option<Notice> {
        if let Dialect::V2 { sign_type } = &queued.dialect {
            return self.written_v2(queued, sign_type);
        }
        let merchant = self.merchant(&queued.mchid)?;
        let keys = self.keys();
        let body = NoticeBody {
            id: self.random(32),
            create_time: rfc3339(self.now()),
            event_type: queued.event.clone(),
            resource_type: "encrypt-resource".to_owned(),
            summary: "simulated".to_owned(),
            resource: Resource {
                original_type: queued.kind.clone(),
                sealed: self.sealed(queued.content.as_bytes(), &queued.kind, &merchant)?,
            },
        };
        let body = serde_json::to_vec(&body).expect("a struct of texts and numbers");
        let (serial, key) = if merchant.notices_by_public_key {
            (keys.public_key_id(), keys.newest_public())
        } else {
            (keys.newest().serial.clone(), keys.newest())
        };
        let stranger = merchant.api_keys.first();
        let key = if queued.forged { stranger.unwrap_or(key) } else { key };
        let mut headers = self.signed(&serial, key, &body);
        if let Some((_, signature)) = headers.iter_mut().find(|(name, _)| name == SIGNATURE).filter(|_| queued.probe) {
            *signature = format!("{PROBE}{signature}");
        }
        Some(Notice { url: queued.url.clone(), headers, body: Bytes::from(body) })
    }
}
