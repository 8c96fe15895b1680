//! Merchants: they start payments through both APIs, repeat what was not answered with the same content, close some, and
//! write down what they were told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use maxpay_engine::model::Door;
use serde_json::{Value, json};

use super::book::{Book, Entry};
use super::chance::Chance;
use super::errands::Counts;
use super::plan::{Merchant, Plan};
use super::provider::Provider;
use crate::client::Client;
use crate::raw;

/// How long a merchant waits before it repeats what was not answered.
const AGAIN: Duration = Duration::from_millis(40);
/// How often it repeats: about two minutes.
const TRIES: u32 = 3_000;
/// Between two payments of one merchant, in milliseconds.
const THINKS_MS: u64 = 160;

/// The keys of the storm's app.
#[derive(Debug, Clone)]
pub struct Keys {
    /// `X-ML-AppId`.
    pub app_id: String,
    /// API key.
    pub api: String,
    /// Master key.
    pub master: String,
}

/// All merchants.
pub struct Merchants {
    /// The seed.
    pub seed: u64,
    /// Speaks `/v1`.
    pub client: Client,
    /// Where the server is, also while it is not.
    pub server: std::net::SocketAddr,
    /// The app's keys.
    pub keys: Keys,
    /// What they were told.
    pub book: Arc<Book>,
    /// Where payers are.
    pub provider: Arc<Provider>,
    /// What is counted.
    pub counts: Arc<Counts>,
    /// The next payment.
    pub next: AtomicU64,
    /// Whether no payment shall be started now.
    pub paused: AtomicBool,
    /// Payments that are being started.
    pub under_way: AtomicU64,
}

impl Merchants {
    /// One merchant's day; it never ends by itself.
    pub async fn work(self: Arc<Self>) {
        loop {
            if self.paused.load(Ordering::SeqCst) {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
            self.under_way.fetch_add(1, Ordering::SeqCst);
            let index = self.next.fetch_add(1, Ordering::SeqCst);
            self.pay(&Plan::of(self.seed, index)).await;
            self.under_way.fetch_sub(1, Ordering::SeqCst);
            tokio::time::sleep(Chance::of(self.seed, "thinks", index).millis(0, THINKS_MS)).await;
        }
    }

    async fn pay(&self, plan: &Plan) {
        self.counts.add("payments started");
        let Some(id) = self.start(plan).await else { return };
        match plan.merchant {
            Merchant::Waits => {}
            Merchant::Closes(after) => {
                tokio::time::sleep(after).await;
                self.close(&id).await;
            }
            Merchant::ClosesAndIsPaidLate => {
                self.close(&id).await;
                self.provider.take_late(&id);
            }
            Merchant::BillsAgain => {
                self.counts.add("bill numbers used again on /2.0");
                self.start(plan).await;
            }
        }
    }

    /// Starts a payment and gives the id that was told.
    async fn start(&self, plan: &Plan) -> Option<String> {
        for nth in 0..TRIES {
            if nth > 0 {
                self.counts.add("creates repeated");
                tokio::time::sleep(AGAIN).await;
            }
            let answered = match plan.door {
                Door::Native => self.create(plan).await,
                Door::Original => self.bill(plan).await,
            };
            let Some(answer) = answered else { continue };
            let id = answer["id"].as_str().unwrap_or_default().to_owned();
            let (bill_num, amount) = (plan.bill_num(), plan.amount);
            let entry = Entry { bill_num, amount, told_paid: false };
            self.book.acknowledged(&id, entry);
            let [native, original] = super::ACKNOWLEDGED;
            self.counts.add(if plan.door == Door::Native { native } else { original });
            let action = &answer["payer"]["actions"][0]["action"]["order"];
            if let Some(text) = action.as_str().or(answer["ali_app"].as_str()) {
                self.provider.hand_over(plan, &id, text);
            }
            return Some(id);
        }
        self.counts.add("creates given up");
        None
    }

    async fn create(&self, plan: &Plan) -> Option<Value> {
        let body = json!({
            "bill_num": plan.bill_num(),
            "channel": plan.channel,
            "amount": { "amount_minor": plan.amount, "currency": "CNY" },
            "subject": plan.subject(),
            "timeout_seconds": plan.timeout_s,
            "wait_seconds": 2,
        });
        let key = plan.keyed.then(|| format!("key-{}", plan.index));
        let (status, answer) =
            self.client.ask_with("POST", "/v1/transactions", Some(&body), key.as_deref()).await.ok()?;
        match status {
            200..=202 if answer["id"].is_string() => Some(answer),
            429 | 500.. | 409 => {
                self.counts.add("creates refused for now");
                None
            }
            _ => {
                self.counts.add("creates refused");
                None
            }
        }
    }

    async fn bill(&self, plan: &Plan) -> Option<Value> {
        let body = json!({
            "billNum": plan.bill_num(),
            "channel": plan.channel,
            "totalFee": plan.amount,
            "subject": plan.subject(),
            "billTimeout": plan.timeout_s,
        });
        let headers = [
            ("X-ML-AppId", self.keys.app_id.as_str()),
            ("X-ML-APIKey", &self.keys.api),
            ("Content-Type", "application/json"),
        ];
        self.book.call(&plan.bill_num());
        let reply = raw::post(self.server, "/2.0/maxpay/bill", &headers, &body.to_string()).await.ok()?;
        let answer: Value = serde_json::from_slice(&reply.body).ok()?;
        if answer["code"] == 0 || answer["id"].is_string() {
            return Some(answer);
        }
        self.counts.add("creates refused for now");
        None
    }

    async fn close(&self, id: &str) {
        let path = format!("/v1/transactions/{id}/close");
        for _ in 0..TRIES {
            match self.client.ask("POST", &path, Some(&json!({ "wait_seconds": 1 }))).await {
                Ok((200 | 202, answer)) => {
                    self.counts.add("closes asked for");
                    if answer["status"] == "succeeded" {
                        self.book.told_paid(id);
                    }
                    return;
                }
                // It has ended: there is nothing to close.
                Ok((409, _)) => return self.counts.add("closes refused: it has ended"),
                Ok(_) | Err(_) => tokio::time::sleep(AGAIN).await,
            }
        }
    }
}
