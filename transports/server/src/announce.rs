//! What is printed when the server is ready: where it is, and lines to paste.

use std::fmt::Write as _;
use std::path::Path;

use maxpay_adapters::sandbox::FIRST_STEPS;

use crate::demo::DemoApp;

/// What there is to say.
pub struct News<'a> {
    /// Where it listens.
    pub url: &'a str,
    /// Its data folder.
    pub data: &'a Path,
    /// The sealing key's file, when it was made just now.
    pub made_key: Option<&'a Path>,
    /// The demo app, when it was made just now.
    pub demo: Option<&'a DemoApp>,
    /// The operator's key, when there was none before.
    pub operator_key: OperatorKey<'a>,
}

/// What there is to say of the operator's key.
#[derive(Clone, Copy)]
pub enum OperatorKey<'a> {
    /// Nothing: it is known from an earlier start.
    Known,
    /// It was issued just now, for somebody who tries the server.
    Shown(&'a str),
    /// It is not said here: what a server prints under a settings file is kept in logs, which others read.
    Elsewhere,
}

/// What is said of a sealing key that was made just now at `path`.
pub fn made_key(path: &Path) -> String {
    let path = path.display();
    format!("The key that seals credentials was made: {path}\n  Back it up: losing it loses the credentials.\n")
}

/// The text.
pub fn text(news: &News<'_>) -> String {
    let News { url, data, .. } = news;
    let mut text = format!("MaxPay is ready at {url}, its data is in {}.\n", data.display());
    if let Some(path) = news.made_key {
        text.push_str(&made_key(path));
    }
    match news.operator_key {
        OperatorKey::Known => {}
        OperatorKey::Shown(key) => {
            let _ = write!(text, "Operator key, shown this once (more by `maxpay operator-key`):\n  {key}\n");
        }
        OperatorKey::Elsewhere => {
            text.push_str("Operator key: `maxpay operator-key` issues one while this server is stopped.\n");
        }
    }
    match news.demo {
        Some(demo) => text.push_str(&demo_text(url, demo)),
        None => text.push_str("API description: /openapi.json. Stop with Ctrl-C.\n"),
    }
    text
}

fn demo_text(url: &str, demo: &DemoApp) -> String {
    let DemoApp { app_id, client_key, api_key, master_key, session_token } = demo;
    let (scanned, known) = FIRST_STEPS;
    let auth = format!("-H 'Authorization: Bearer {api_key}' -H 'Content-Type: application/json'");
    let master = format!("-H 'Authorization: Bearer {master_key}' -H 'Content-Type: application/json'");
    let original = format!(
        "-H 'X-ML-AppId: {app_id}' -H 'X-ML-Session-Token: {session_token}' -H 'Content-Type: application/json'"
    );
    format!(
        r#"
Demo app, test mode; its keys are shown this once:
  app id         {app_id}
  client key     {client_key}
  API key        {api_key}
  master key     {master_key}
  session token  {session_token}

Subscribe a webhook (with a receiver of yours on port 9000):
  curl -s {url}/v1/subscriptions {master} \
    -d '{{"target":{{"type":"url","url":"http://127.0.0.1:9000/hook"}}}}'

Create a payment, and keep its id:
  ID=$(curl -s {url}/v1/transactions {auth} \
    -d '{{"bill_num":"order-1","channel":"{scanned}","amount":{{"amount_minor":1999,"currency":"CNY"}},"subject":"A toy"}}' \
    | grep -o '"id":"[0-9a-f]*"' | head -n 1 | cut -d '"' -f 4); echo $ID

Let the simulated payer pay it:
  curl -s -X POST {url}/sandbox/transactions/$ID/pay {auth}

Read it:
  curl -s {url}/v1/transactions/$ID {auth}

The same as MaxLeap's clients do it:
  curl -s {url}/2.0/maxpay/bill {original} \
    -d '{{"billNum":"order-2","channel":"{known}","totalFee":1,"subject":"A toy"}}'
  curl -s {url}/2.0/maxpay/records {original} -d '{{"billNum":"order-1"}}'

API description: {url}/openapi.json. Stop with Ctrl-C.
"#
    )
}
