//! The kill storm: a server with real files and real HTTP is ended by force, again and again, at random moments and at
//! every named point of a commit, under a mixed load; and ledgers that are kept outside of it say whether anything went
//! wrong.
//!
//! What the seed chooses (`plan`) is the same in every run; when a random kill falls relative to what the server does
//! is the machine's doing, so a run that failed may need to be repeated more than once to fail again.

mod book;
mod chance;
mod errands;
mod laws;
mod merchants;
mod plan;
mod provider;
mod server;
mod subscribers;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use maxpay_engine::clock::{Clock, System};
use maxpay_engine::model::Door;
use serde_json::{Value, json};

use crate::client::Client;
use crate::server::Server;
use crate::under_test::Plant;

use book::Book;
use errands::Counts;
use laws::{Found, Shown, judge, judge_numbers, judge_told};
use merchants::{Keys, Merchants};
use plan::{Kill, Plan};
use provider::Provider;
use server::House;
use subscribers::Subscriber;

pub use laws::{Law, Violation};

/// The merchant's id at the provider, and the secret they share.
const MERCHANT: &str = "storm-merchant";
const SECRET: &str = "a secret of the storm and its provider";
/// What acknowledged payments are counted under, on `/v1` and on `/2.0`.
const ACKNOWLEDGED: [&str; 2] = ["acknowledged on /v1", "acknowledged on /2.0"];
/// How long things may take to settle while the server is left alone.
const SETTLE_LIMIT: Duration = Duration::from_secs(45);
/// Of a transaction's story so much is told.
const STORY_MAX: usize = 8_000;
/// Longer than this past due while the server is up is stuck.
const STUCK_MS: u64 = 10_000;

/// What to do.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The program under test.
    pub program: PathBuf,
    /// Its environment, beside what a storm sets.
    pub environment: Vec<(String, String)>,
    /// Where its files lie.
    pub folder: PathBuf,
    /// How often it is killed, at least.
    pub kills: u64,
    /// So many payments are acknowledged on each API before it ends; on a slow machine that takes more kills, at most
    /// three times as many.
    pub payments_min: u64,
    /// Kills between two times when the server is left alone and everything is judged.
    pub calm_every: u64,
    /// Merchants at once.
    pub merchants: u64,
    /// The seed.
    pub seed: u64,
    /// A planted fault.
    pub plant: Option<Plant>,
}

/// What came of it.
#[derive(Debug)]
pub struct Report {
    /// Kills until the end.
    pub kills: u64,
    /// How long it took.
    pub took: Duration,
    /// Everything that was counted.
    pub counts: BTreeMap<&'static str, u64>,
    /// Laws that did not hold; the storm ends at the first time some did not.
    pub violations: Vec<Violation>,
}

/// One storm.
struct Storm {
    settings: Settings,
    house: House,
    provider: Arc<Provider>,
    well: Subscriber,
    failing: Subscriber,
    merchants: Arc<Merchants>,
    counts: Arc<Counts>,
    book: Arc<Book>,
}

/// Runs a storm; `progress` hears a line now and then.
///
/// # Panics
/// When the world around the server cannot be made.
pub async fn run(settings: Settings, progress: impl Fn(&str)) -> Report {
    let clock = System::new();
    let begun = clock.now().monotonic;
    let storm = Storm::new(settings).await;
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..storm.settings.merchants {
        workers.spawn(Arc::clone(&storm.merchants).work());
    }
    let (mut kills, mut violations) = (0, Vec::new());
    let mut over = false;
    while !over && violations.is_empty() {
        violations = storm.kill_once(kills).await;
        kills += 1;
        over = storm.is_over(kills);
        if violations.is_empty() && (kills % storm.settings.calm_every == 0 || over) {
            violations = storm.calm().await;
            let started = storm.merchants.next.load(Ordering::SeqCst);
            let took = clock.now().monotonic.saturating_sub(begun).as_secs();
            progress(&format!("{kills} kills, {started} payments, {} violations, {took} s", violations.len()));
        }
    }
    workers.shutdown().await;
    let took = clock.now().monotonic.saturating_sub(begun);
    Report { kills, took, counts: storm.counts.all(), violations }
}

impl Storm {
    async fn new(settings: Settings) -> Self {
        let (counts, book) = (Arc::new(Counts::default()), Arc::new(Book::default()));
        let house = House::new(&settings.program, &settings.environment, &settings.folder, settings.plant);
        let provider = Arc::new(Provider::start(settings.seed, MERCHANT, SECRET, Arc::clone(&counts)).await);
        let well = Subscriber::start(settings.seed, false, Arc::clone(&counts)).await;
        let failing = Subscriber::start(settings.seed, true, Arc::clone(&counts)).await;
        let first = house.start(None).await.unwrap_or_else(|ended| panic!("{ended}"));
        let keys = prepare(&first, &provider, [&well, &failing]).await;
        house.end(first, &Kill::After(Duration::from_millis(700))).await;
        let merchants = Arc::new(Merchants {
            seed: settings.seed,
            client: Client::new(house.address, &keys.api),
            server: house.address,
            keys,
            book: Arc::clone(&book),
            provider: Arc::clone(&provider),
            counts: Arc::clone(&counts),
            next: 0.into(),
            paused: false.into(),
            under_way: 0.into(),
        });
        Self { settings, house, provider, well, failing, merchants, counts, book }
    }

    /// Whether it was killed often enough, and carried enough meanwhile.
    fn is_over(&self, kills: u64) -> bool {
        let counts = self.counts.all();
        let carried =
            ACKNOWLEDGED.iter().all(|name| counts.get(name).copied().unwrap_or(0) >= self.settings.payments_min);
        kills >= self.settings.kills && (carried || kills >= self.settings.kills.saturating_mul(3))
    }

    /// Starts the server, looks whether everything that was told before is there, and ends it by force.
    async fn kill_once(&self, nth: u64) -> Vec<Violation> {
        let kill = Kill::of(self.settings.seed, nth);
        let server = match self.house.start(Some(&kill)).await {
            Ok(server) => server,
            Err(_) if matches!(kill, Kill::At(..)) => {
                self.counts.add("kills at a point, while it started");
                return Vec::new();
            }
            Err(ended) => return vec![Violation { law: Law::StartsAgain, what: ended }],
        };
        let mut violations = self.look_for_fresh().await;
        violations.extend(self.judge_numbers());
        violations.extend(self.judge_due().await);
        let by_point = self.house.end(server, &kill).await;
        self.counts.add(match kill {
            Kill::After(_) => "kills at random moments",
            Kill::At(point, _) if by_point => point,
            Kill::At(..) => "kills where no point was passed",
        });
        violations
    }

    /// Looks for what merchants were told of since the last time. What cannot be read now is looked for the next time.
    async fn look_for_fresh(&self) -> Vec<Violation> {
        let mut violations = Vec::new();
        for id in self.book.take_fresh() {
            let Some(told) = self.book.entry(&id) else { continue };
            let shown = match self.merchants.client.ask("GET", &format!("/v1/transactions/{id}"), None).await {
                Ok((200, body)) => serde_json::from_value::<Shown>(body).ok(),
                Ok((404, _)) => None,
                Ok(_) | Err(_) => {
                    self.book.acknowledged(&id, told);
                    continue;
                }
            };
            self.counts.add("acknowledged payments looked for after a restart");
            violations.extend(judge_told(&id, &told, shown.as_ref()));
            if shown.is_some_and(|shown| shown.status == "succeeded") {
                self.book.told_paid(&id);
            }
        }
        violations
    }

    fn judge_numbers(&self) -> Vec<Violation> {
        let native = |index| Plan::of(self.settings.seed, index).door == Door::Native;
        judge_numbers(&self.provider.ledger(), |number| self.provider.payment_of(number), native)
    }

    /// Whether something has been due for long while the server was up.
    async fn judge_due(&self) -> Option<Violation> {
        let text = reqwest::get(format!("http://{}/metrics", self.house.address)).await.ok()?.text().await.ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("maxpay_due_oldest_milliseconds "))?;
        let due_at = self.house.now_ms().saturating_sub(line.parse().ok()?);
        let up_ms = self.house.up_since_ms(due_at);
        let what = format!("something has been due for {up_ms} ms while the server was up");
        (up_ms > STUCK_MS).then_some(Violation { law: Law::NothingStuck, what })
    }

    /// Leaves the server alone until everything has settled, and judges everything.
    async fn calm(&self) -> Vec<Violation> {
        self.merchants.paused.store(true, Ordering::SeqCst);
        let server = match self.house.start(None).await {
            Ok(server) => server,
            Err(ended) => return vec![Violation { law: Law::StartsAgain, what: ended }],
        };
        let mut violations = Vec::new();
        let settled = tokio::time::timeout(SETTLE_LIMIT, async {
            loop {
                // What may not be for a moment is not waited for.
                let numbers = self.judge_numbers();
                let busy = self.merchants.under_way.load(Ordering::SeqCst) > 0 || self.provider.is_busy();
                if !numbers.is_empty() {
                    violations = numbers;
                    return;
                }
                if !busy {
                    // Until it is judged again this is what was found, also when the time is up in the middle.
                    violations = self.judge_all().await;
                    if violations.is_empty() {
                        return;
                    }
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
        if settled.await.is_err() && violations.is_empty() {
            let merchants = self.merchants.under_way.load(Ordering::SeqCst);
            let what =
                format!("{merchants} merchants, or notifications, did not come to an end within {SETTLE_LIMIT:?}");
            violations.push(Violation { law: Law::NothingStuck, what });
        }
        self.counts.add("times everything was judged");
        for violation in violations.iter_mut().take(3) {
            violation.what += &self.story(&violation.what).await;
        }
        self.house.end(server, &Kill::After(Duration::ZERO)).await;
        self.merchants.paused.store(false, Ordering::SeqCst);
        violations
    }

    async fn judge_all(&self) -> Vec<Violation> {
        let told = self.book.entries();
        let Some(shown) = self.list().await else {
            let what = "the list of transactions cannot be read".to_owned();
            return vec![Violation { law: Law::NothingLost, what }];
        };
        let ledger = self.provider.ledger();
        let taken = vec![("well", self.well.taken()), ("failing", self.failing.taken())];
        let mut violations = judge(&Found { shown, ledger, told, taken }, &self.book);
        violations.extend(self.judge_due().await);
        violations
    }

    /// What became of the transaction that a text names: the server's own timeline.
    async fn story(&self, text: &str) -> String {
        let id = text.split(' ').find(|word| word.len() == 24 && word.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let Some(id) = id else { return String::new() };
        let path = format!("/v1/transactions/{id}");
        let shown = self.merchants.client.ask("GET", &path, None).await;
        let timeline = self.merchants.client.ask("GET", &format!("{path}/timeline?limit=100"), None).await;
        let (Ok((_, shown)), Ok((_, timeline))) = (shown, timeline) else { return String::new() };
        let rows = self.provider.ledger().into_iter().filter(|row| row.number.starts_with(id));
        let rows: Vec<_> = rows.map(|row| (row.number, row.state)).collect();
        let text = format!("\n  provider: {rows:?}\n  server: {shown}\n  timeline: {timeline}");
        text.chars().take(STORY_MAX).collect()
    }

    async fn list(&self) -> Option<BTreeMap<String, Shown>> {
        let (mut all, mut cursor) = (BTreeMap::new(), None::<String>);
        loop {
            let next = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
            let path = format!("/v1/transactions?limit=100&order=oldest_first{next}");
            let (200, page) = self.merchants.client.ask("GET", &path, None).await.ok()? else { return None };
            let items: Vec<Shown> = serde_json::from_value(page["items"].clone()).ok()?;
            all.extend(items.into_iter().map(|shown| (shown.id.clone(), shown)));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => return Some(all),
            }
        }
    }
}

/// Makes an app with an account at the provider and two subscriptions.
async fn prepare(server: &Server, provider: &Provider, receivers: [&Subscriber; 2]) -> Keys {
    let operator = Client::new(server.address, server.operator_key.as_deref().expect("the first start tells it"));
    let made = operator.expect(201, "POST", "/v1/apps", Some(&json!({ "name": "Storm" }))).await;
    let key = |kind: &str| {
        let issued = made["issued"].as_array().expect("keys were issued");
        let key = issued.iter().find(|key| key["kind"] == kind && key["mode"] == "test");
        key.and_then(|key| key["secret"].as_str()).expect("a key of that kind").to_owned()
    };
    let app_id = made["app"]["id"].as_str().expect("an id").to_owned();
    let keys = Keys { app_id, api: key("api"), master: key("master") };
    let master = Client::new(server.address, &keys.master);
    let settings = json!({ "merchant_id": MERCHANT, "base_url": provider.url(), "secret": SECRET });
    let account = json!({ "adapter": "sandbox", "label": "Storm", "settings": settings });
    master.expect(201, "POST", "/v1/accounts", Some(&account)).await;
    let events =
        ["payment.succeeded", "payment.succeeded_late", "payment.duplicate", "payment.closed", "payment.failed"];
    for receiver in receivers {
        let target: Value = json!({ "type": "url", "url": receiver.url() });
        let subscription = json!({ "target": target, "event_types": events });
        master.expect(201, "POST", "/v1/subscriptions", Some(&subscription)).await;
    }
    keys
}
