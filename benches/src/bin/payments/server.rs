//! The role *server*: the program as it is shipped, in a folder of its own; and how the bench starts it and makes it ready
//! for payments.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use maxpay_benches::child::Child;
use maxpay_benches::wire::{Wire, request};
use maxpay_engine::clock::{Clock, System};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Failure;
use crate::provider::{MERCHANT, MERCHANT_KEY};

/// How long a start may take.
const START_LIMIT: Duration = Duration::from_secs(30);

/// What differs from a server that is started without a word.
pub const SETTINGS: &str = "\
listen = \"127.0.0.1:0\"
sandbox = true
webhook_allow_loopback_test = true
provider_allow_private = true
# One credential asks for everything here.
rate_per_second = 1000000
rate_burst = 1000000
";

/// A running server with its keys.
pub struct Server {
    /// The process.
    pub child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// The demo app's API key.
    pub api_key: String,
    master_key: String,
}

#[derive(Deserialize)]
struct Ready {
    url: String,
    api_key: String,
    master_key: String,
}

impl Server {
    /// Starts one in an empty folder.
    pub fn start(folder: &Path, clock: &System) -> Result<Self, Failure> {
        let (config, ready, log) = (folder.join("maxpay.toml"), folder.join("ready.json"), folder.join("log"));
        fs::write(&config, SETTINGS)?;
        let text = |path: &Path| path.display().to_string();
        let arguments = ["serve", "--config", &text(&config), "--data", &text(&folder.join("data"))];
        let mut arguments: Vec<String> = arguments.map(str::to_owned).to_vec();
        arguments.extend(["--ready-file".to_owned(), text(&ready)]);
        let mut child = Child::start("server", &arguments, Some(File::create(&log)?))?;
        let begun = clock.now().monotonic;
        let told = loop {
            if let Ok(told) = fs::read(&ready) {
                break told;
            }
            let waited = clock.now().monotonic.saturating_sub(begun);
            if child.has_ended() || waited > START_LIMIT {
                return Err(format!("the server is not ready:\n{}", fs::read_to_string(&log)?).into());
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let ready: Ready = serde_json::from_slice(&told)?;
        let address = ready.url.trim_start_matches("http://").trim_end_matches('/').parse()?;
        Ok(Self { child, address, api_key: ready.api_key, master_key: ready.master_key })
    }

    /// Has payments go through the provider at that address instead of the one inside, where there is one; and webhooks
    /// to that receiver.
    pub async fn prepare(&self, provider: Option<SocketAddr>, receiver: SocketAddr) -> Result<(), Failure> {
        let mut wire = Wire::connect(self.address).await?;
        if let Some(provider) = provider {
            let base_url = format!("http://{provider}");
            let settings = json!({ "merchant_id": MERCHANT, "base_url": base_url, "secret": MERCHANT_KEY });
            let account = json!({ "adapter": "sandbox", "priority": 10, "settings": settings });
            self.make(&mut wire, "/v1/accounts", &account).await?;
        }
        let subscription = json!({ "target": { "type": "url", "url": format!("http://{receiver}/hook") } });
        self.make(&mut wire, "/v1/subscriptions", &subscription).await
    }

    async fn make(&self, wire: &mut Wire, path: &str, body: &Value) -> Result<(), Failure> {
        let answer = wire.ask(&request("POST", path, &self.master_key, &body.to_string())).await?;
        if answer.status() == 201 {
            return Ok(());
        }
        Err(format!("POST {path}: {} {}", answer.status(), String::from_utf8_lossy(&answer.body)).into())
    }
}
