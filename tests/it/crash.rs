//! The server is ended by force in the middle of one payment, at every step and at every named point of a commit, and
//! started again; then the merchant's view, the provider's ledger and the receiver's log must agree.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use maxpay_adapters::sandbox::simulator::{IN_PROCESS, LedgerRow, Simulator, SimulatorParts};
use maxpay_adapters::simulator::Ledger;
use maxpay_engine::clock::System;
use maxpay_engine::secrets::{Sealer, SealingKey};
use maxpay_tests::client::{Client, payment};
use maxpay_tests::receiver::Receiver;
use maxpay_tests::server::{DemoKeys, Server, Start};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(40);
const AMOUNT: u64 = 1999;

/// What the payment of one bill number goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Created,
    Paid,
    Succeeded,
    Delivered,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_after_every_step_of_a_payment() {
    // SIGKILL after each step that a merchant can see: one payment, one money, at least one webhook, all three agree.
    let world = World::new().await;
    for killed_after in [Step::Created, Step::Paid, Step::Succeeded, Step::Delivered] {
        let bill = format!("after-{killed_after:?}");
        world.pay_through(&bill, |_| None, Some(killed_after)).await;
    }
    world.compare().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_every_named_point_of_a_commit() {
    // The process ends inside a commit, at each of its points, the first few times it is passed.
    let world = World::new().await;
    let commit_path = ["BatchTaken", "BeforeJournalCommit", "AfterJournalCommit", "AfterOverlay", "BeforeReply"];
    let behind = ["BeforeCheckpointCommit", "AfterCheckpointCommit", "BeforeCut", "AfterCut"];
    let points = commit_path.iter().flat_map(|point| (1..=4).map(move |nth| format!("{point}:{nth}")));
    let points = points.chain(behind.iter().map(|point| format!("{point}:1")));
    for point in points {
        let bill = point.replace(':', "-");
        world.pay_through(&bill, |start| (start == 0).then(|| point.clone()), None).await;
    }
    world.compare().await;
}

/// One data folder, one receiver, and what was acknowledged to the merchant.
struct World {
    folder: tempfile::TempDir,
    keys: DemoKeys,
    receiver: Receiver,
    bills: std::sync::Mutex<Vec<(String, String)>>,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let receiver = Receiver::well().await;
        let server = start(folder.path(), None).run().await;
        let keys = server.demo.clone().expect("the first start makes a demo app");
        let target = json!({ "target": { "type": "url", "url": receiver.url() } });
        Client::new(server.address, &keys.master_key).expect(201, "POST", "/v1/subscriptions", Some(&target)).await;
        server.kill();
        Self { folder, keys, receiver, bills: std::sync::Mutex::new(Vec::new()) }
    }

    /// Takes one payment from nothing to its webhook, whatever happens to the server on the way. `crash_at` names the
    /// point at which the nth start of it shall end.
    async fn pay_through(&self, bill: &str, crash_at: impl Fn(usize) -> Option<String>, kill_after: Option<Step>) {
        let mut starts = 0;
        let mut server = self.start(&crash_at, &mut starts).await;
        let mut kill_after = kill_after;
        for step in [Step::Created, Step::Paid, Step::Succeeded, Step::Delivered] {
            while !self.take(&server, bill, step).await {
                // The server ended in the middle; whatever it answered before stands.
                assert!(starts < 5, "{bill}: {step:?} is not reached");
                // It holds its folder until the system has seen its end.
                server.kill();
                server = self.start(&crash_at, &mut starts).await;
            }
            if kill_after == Some(step) {
                kill_after = None;
                server.kill();
                server = self.start(|_| None, &mut starts).await;
            }
        }
        server.kill();
    }

    /// Starts the server until it is ready: a named point may end it while it starts, too.
    async fn start(&self, crash_at: impl Fn(usize) -> Option<String>, starts: &mut usize) -> Server {
        loop {
            let crash_at = crash_at(*starts);
            *starts += 1;
            match start(self.folder.path(), crash_at.clone()).try_run().await {
                Ok(server) => return server,
                Err(ended) => assert!(crash_at.is_some(), "{ended}"),
            }
        }
    }

    /// Takes one step; `false`: the server is gone.
    async fn take(&self, server: &Server, bill: &str, step: Step) -> bool {
        let client = Client::new(server.address, &self.keys.api_key);
        let path = |rest: &str| format!("/v1/transactions{rest}");
        match step {
            Step::Created => {
                let body = payment(bill, "wx_native", AMOUNT);
                let Ok((status, answer)) = client.ask("POST", &path(""), Some(&body)).await else { return false };
                if !matches!(status, 200..=202) {
                    return gone_or(server, &format!("{bill}: created: {status} {answer}")).await;
                }
                let id = answer["id"].as_str().expect("a transaction has an id").to_owned();
                self.bills.lock().expect("held shortly").push((bill.to_owned(), id));
                true
            }
            Step::Paid => {
                let Some(id) = self.await_payer(&client, bill).await else { return false };
                let Ok((status, answer)) =
                    client.ask("POST", &format!("/sandbox/transactions/{id}/pay"), Some(&json!({}))).await
                else {
                    return false;
                };
                // A repeat after a lost answer finds the order paid, which is as good.
                matches!(status, 200 | 409) || gone_or(server, &format!("{bill}: paid: {status} {answer}")).await
            }
            Step::Succeeded => self.reaches(&client, bill, "succeeded").await,
            Step::Delivered => {
                let id = self.id(bill);
                let arrived = async {
                    while !self.receiver.log().iter().any(|request| request.json()["id"] == id.as_str()) {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                        if client.ask("GET", "/livez", None).await.is_err() {
                            return false;
                        }
                    }
                    true
                };
                tokio::time::timeout(LIMIT, arrived).await.unwrap_or_else(|_| panic!("{bill}: no webhook came"))
            }
        }
    }

    fn id(&self, bill: &str) -> String {
        let bills = self.bills.lock().expect("held shortly");
        bills.iter().find(|(known, _)| known == bill).expect("it was created").1.clone()
    }

    async fn await_payer(&self, client: &Client, bill: &str) -> Option<String> {
        let id = self.id(bill);
        let reached = async {
            loop {
                let (_, body) = client.ask("GET", &format!("/v1/transactions/{id}"), None).await.ok()?;
                if body["status"] != "submitting" {
                    return Some(());
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(LIMIT, reached).await.unwrap_or_else(|_| panic!("{bill}: stays submitting"))?;
        Some(id)
    }

    async fn reaches(&self, client: &Client, bill: &str, status: &str) -> bool {
        let id = self.id(bill);
        let mut last = Value::Null;
        let reached = async {
            loop {
                let Ok((_, body)) = client.ask("GET", &format!("/v1/transactions/{id}"), None).await else {
                    return false;
                };
                if body["status"] == status {
                    return true;
                }
                last = body;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(LIMIT, reached)
            .await
            .unwrap_or_else(|_| panic!("{bill}: does not become {status}: {last}"))
    }

    /// The merchant's list, the provider's ledger and the receiver's log tell the same of every bill number.
    async fn compare(&self) {
        let server = self.start(|_| None, &mut 0).await;
        let client = Client::new(server.address, &self.keys.api_key);
        let bills = self.bills.lock().expect("held shortly").clone();
        let mut told = Vec::new();
        for (bill, id) in &bills {
            let page = client.expect(200, "GET", &format!("/v1/transactions?bill_num={bill}"), None).await;
            let items = page["items"].as_array().expect("a page has items").clone();
            assert_eq!(items.len(), 1, "{bill}: one transaction");
            assert_eq!(items[0]["id"], id.as_str(), "{bill}: the acknowledged one");
            assert_eq!(items[0]["status"], "succeeded", "{bill}");
            assert_eq!(items[0]["paid"]["amount_minor"], AMOUNT, "{bill}");
            told.push(id.clone());
        }
        server.kill();
        let ledger = provider_ledger(self.folder.path());
        for id in &told {
            let orders: Vec<_> = ledger.iter().filter(|row| row.number.starts_with(id.as_str())).collect();
            assert_eq!(orders.len(), 1, "{id}: one order at the provider");
            assert_eq!(orders[0].payments.len(), 1, "{id}: paid once");
            let webhooks = self.receiver.log();
            let of_it = webhooks.iter().filter(|request| request.json()["id"] == id.as_str());
            let ids: std::collections::BTreeSet<_> = of_it.map(|request| request.header("webhook-id")).collect();
            assert_eq!(ids.len(), 1, "{id}: every webhook of it tells the same event");
        }
        assert_eq!(ledger.len(), told.len(), "nothing at the provider that the merchant does not know");
    }
}

/// A server that is on its way down may refuse; one that is up may not.
async fn gone_or(server: &Server, what: &str) -> bool {
    tokio::time::sleep(Duration::from_millis(200)).await;
    let up = Client::new(server.address, "none").ask("GET", "/livez", None).await.is_ok();
    assert!(!up, "{what}");
    false
}

fn start(folder: &Path, crash_at: Option<String>) -> Start {
    let mut start = Start::new(env!("CARGO_BIN_EXE_maxpay-under-test"), &folder.join("data"));
    start.environment.extend(crash_at.map(|point| ("MAXPAY_CRASH_AT".to_owned(), point)));
    start
}

fn provider_ledger(folder: &Path) -> Vec<LedgerRow> {
    let data = folder.join("data");
    let key = SealingKey::from_file(&data.join("sealing.key")).expect("the server made a key");
    let system = Arc::new(System::new());
    let parts = SimulatorParts {
        base_url: IN_PROCESS.to_owned(),
        ledger: Ledger::open(&data.join("sandbox-ledger.redb")).expect("nobody else has it open"),
        clock: system.clone(),
        entropy: system,
        sealer: Arc::new(Sealer::new(&key)),
    };
    Simulator::open(parts).expect("it opens").ledger().expect("it reads")
}
