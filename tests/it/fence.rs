//! A disk that refuses a commit, for each file and each way to refuse, seen over HTTP: nothing is called failed that
//! may have happened, readiness says so, and after reopening nothing acknowledged is lost.

use std::sync::Arc;
use std::time::Duration;

use maxpay_engine::clock::System;
use maxpay_engine::store::redb::{RedbOptions, RedbStore};
use maxpay_tests::client::{Client, payment};
use maxpay_tests::disk::{Disk, Refusal};
use maxpay_tests::world::World;
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(20);
const TRANSACTIONS: &str = "/v1/transactions";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusing_disk_fences_and_reopening_loses_nothing() {
    for file in ["journal.redb", "tables.redb"] {
        for refusal in [Refusal::Write, Refusal::Sync] {
            one_refusal(file, refusal).await;
        }
    }
}

async fn one_refusal(file: &'static str, refusal: Refusal) {
    let what = format!("{file} {refusal:?}");
    let folder = tempfile::tempdir().expect("a folder");
    let disk = Arc::new(Disk::new(folder.path()));
    let system = Arc::new(System::new());
    let mut options = RedbOptions::new(system.clone(), system);
    options.files = Some(disk.clone());
    let store = RedbStore::open(folder.path(), options).expect("the store opens");
    let world = World::on(store.clone()).await;
    let client = Client::new(world.address, &world.keys.api);
    let before = client.expect(201, "POST", TRANSACTIONS, Some(&payment("before", "wx_native", 100))).await;
    // Nothing of it is in memory any more.
    store.checkpoint().unwrap_or_else(|error| panic!("{what}: {error}"));
    disk.refuse(file, refusal);
    let (acknowledged, refused) = until_refused(&client, &what).await;
    let ready = client.ask("GET", "/readyz", None).await.expect("an answer").0;
    assert_eq!(ready, 503, "{what}");
    // Reads go on if the journal failed; if the tables did, what is not in memory may be unavailable.
    let path = format!("{TRANSACTIONS}/{}", text(&before["id"]));
    for reopened in [false, true] {
        let (status, read) = client.ask("GET", &path, None).await.expect("an answer");
        let what = format!("{what}, reopened: {reopened}");
        match status {
            200 => assert_eq!(read["id"], before["id"], "{what}"),
            _ => {
                assert_eq!((file, status, &read["code"]), ("tables.redb", 503, &"store_unavailable".into()), "{what}");
            }
        }
        let opened = world.engine.reopen().await.is_ok();
        assert!(!opened || file == "tables.redb", "{what}: it opened on a refusing disk");
    }
    disk.heal();
    world.engine.reopen().await.unwrap_or_else(|error| panic!("{what}: {error}"));
    client.until_status("/readyz", 200, LIMIT).await;
    client.expect(200, "GET", &path, None).await;
    // What had no answer is asked again under its number: one transaction, whether the first was durable or not.
    for bill in acknowledged.iter().chain(&refused) {
        let body = payment(bill, "wx_native", 100);
        let (status, _) = client.ask("POST", TRANSACTIONS, Some(&body)).await.expect("an answer");
        assert!(matches!(status, 200..=202), "{what}: {bill}: {status}");
        let page = client.expect(200, "GET", &format!("{TRANSACTIONS}?bill_num={bill}"), None).await;
        assert_eq!(page["items"].as_array().map(Vec::len), Some(1), "{what}: {bill}");
    }
    world.end().await;
}

/// Makes payments until one is refused. Gives those that were acknowledged, and the one that was not.
async fn until_refused(client: &Client, what: &str) -> (Vec<String>, Vec<String>) {
    let mut acknowledged = Vec::new();
    let refused = async {
        for number in 0.. {
            let bill = format!("b-{number}");
            let body = payment(&bill, "wx_native", 100);
            let (status, answer) = client.ask("POST", TRANSACTIONS, Some(&body)).await.expect("an answer");
            match status {
                201 | 202 => acknowledged.push(bill),
                _ => {
                    let code = text(&answer["code"]);
                    let known = ["outcome_unknown", "store_unavailable", "busy"].contains(&code);
                    assert!(status == 503 && known, "{what}: {status} {answer}");
                    return bill;
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        unreachable!("the loop has no end of its own")
    };
    let refused = tokio::time::timeout(LIMIT, refused).await.unwrap_or_else(|_| panic!("{what}: nothing was refused"));
    (acknowledged, vec![refused])
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}
