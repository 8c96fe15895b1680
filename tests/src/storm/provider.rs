//! The provider outside of the server: the sandbox's simulator behind real HTTP, its payers, and the way of its
//! notifications. Its books are one of the ledgers that the engine is compared with. They live as long as this process,
//! which nobody kills.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use maxpay_adapters::sandbox::simulator::{LedgerRow, PayerCommand, Simulator, SimulatorParts};
use maxpay_adapters::simulator::{Ledger, Notice, NoticeReply, Served};
use maxpay_engine::channel::http::HttpReply;
use maxpay_engine::clock::System;
use maxpay_engine::secrets::{Sealer, SealingKey, Secret};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use super::errands::{Counts, Errands};
use super::plan::{self, Fate, Payer, Plan, index_of};
use crate::receiver::{Received, read_request};

/// The key under which the simulator seals. Not a secret.
const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
/// How often a notification is tried that nobody acknowledges, and how long apart.
const NOTICE_TRIES: u32 = 12;
const NOTICE_GAP: Duration = Duration::from_millis(250);

/// The provider.
pub struct Provider {
    address: SocketAddr,
    shared: Arc<Shared>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

struct Shared {
    seed: u64,
    simulator: Arc<Simulator>,
    counts: Arc<Counts>,
    known: Mutex<Known>,
    errands: Errands,
    courier: reqwest::Client,
}

/// What the provider's side has seen of payments.
#[derive(Default)]
struct Known {
    /// Number → payment, and which of the payment's orders it is.
    orders: BTreeMap<String, (u64, u64)>,
    orders_of: BTreeMap<u64, u64>,
    exchanges: BTreeMap<u64, u64>,
    notices: BTreeMap<u64, u64>,
}

impl Provider {
    /// Starts one on a free loopback port, with one merchant.
    pub async fn start(seed: u64, merchant: &str, secret: &str, counts: Arc<Counts>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free loopback port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let system = Arc::new(System::new());
        let parts = SimulatorParts {
            base_url: format!("http://{address}"),
            ledger: Ledger::memory(),
            clock: system.clone(),
            entropy: system,
            sealer: Arc::new(Sealer::new(&SealingKey::from_text(KEY).expect("a key"))),
        };
        let simulator = Simulator::open(parts).expect("a simulator in memory opens");
        simulator.enrol(merchant, Secret::from_text(secret), None).expect("a merchant can be enrolled");
        let courier = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build().expect("a client");
        let (known, errands) = (Mutex::default(), Errands::default());
        let shared = Arc::new(Shared { seed, simulator: Arc::clone(&simulator), counts, known, errands, courier });
        let weak = Arc::downgrade(&shared);
        simulator.set_sink(Arc::new(move |notice| {
            if let Some(shared) = weak.upgrade() {
                shared.send_off(notice);
            }
            // The way of a notification is chosen here, so the simulator need not repeat it.
            Box::pin(async { Ok(NoticeReply { status: 200, body: Bytes::from_static(b"success") }) })
        }));
        let serving = Arc::clone(&shared);
        let serve = tokio::spawn(async move {
            let connections = Errands::default();
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&serving);
                connections.run(async move {
                    // A server that is killed in the middle is what this is about.
                    let _ = shared.serve(stream).await;
                });
            }
        });
        let tick = tokio::spawn(simulator.run(std::future::pending()));
        Self { address, shared, tasks: vec![serve, tick] }
    }

    /// Its base address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its books.
    #[must_use]
    pub fn ledger(&self) -> Vec<LedgerRow> {
        self.shared.simulator.ledger().expect("a ledger in memory answers")
    }

    /// To which payment a number belongs.
    #[must_use]
    pub fn payment_of(&self, number: &str) -> Option<u64> {
        let known = self.shared.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.orders.get(number).map(|(index, _)| *index)
    }

    /// The merchant hands an order that was signed to the payer.
    pub fn hand_over(&self, plan: &Plan, number: &str, text: &str) {
        if self.shared.meet(plan.index, number) && self.shared.simulator.open_order(text).is_ok() {
            self.shared.send_payer(plan.index, number);
        }
    }

    /// The provider takes money for an order that has ended there: its own fault.
    pub fn take_late(&self, number: &str) {
        if self.shared.simulator.payer(number, PayerCommand::PayLate).is_ok() {
            self.shared.counts.add("paid late");
        }
    }

    /// Whether payers or notifications are under way.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.shared.errands.under_way() > 0
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Shared {
    /// Notes an order; whether it is a new one.
    fn meet(&self, index: u64, number: &str) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.orders.contains_key(number) {
            return false;
        }
        let count = known.orders_of.entry(index).or_default();
        let nth = *count;
        *count += 1;
        known.orders.insert(number.to_owned(), (index, nth));
        true
    }

    /// The payer of a new order comes, if there is one.
    fn send_payer(self: &Arc<Self>, index: u64, number: &str) {
        let plan = Plan::of(self.seed, index);
        let Payer::Does(command) = plan.payer else { return };
        let (shared, number) = (Arc::clone(self), number.to_owned());
        self.errands.run(async move {
            tokio::time::sleep(plan.payer_after).await;
            let done = shared.simulator.payer(&number, command).is_ok();
            shared.counts.add(if done { "payers who came" } else { "payers refused by the provider" });
        });
    }

    async fn serve(self: Arc<Self>, mut stream: TcpStream) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        let Some(request) = read_request(&mut stream, &mut bytes).await? else { return Ok(()) };
        let body = request.json();
        let number = body["number"].as_str().unwrap_or_default().to_owned();
        let subject = body["subject"].as_str().and_then(index_of);
        let index = subject.or_else(|| {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.orders.get(&number).map(|(index, _)| *index)
        });
        let fate = index.map_or(Fate::Straight, |index| Fate::of(self.seed, index, self.nth_exchange(index)));
        self.counts.add(if subject.is_some() {
            "creates at the provider"
        } else {
            "queries and closes at the provider"
        });
        match fate {
            Fate::LostBefore => {
                self.counts.add("requests lost before the provider");
                return Ok(());
            }
            Fate::Gateway => {
                self.counts.add("requests refused by a gateway");
                return stream.write_all(b"HTTP/1.1 502 No\r\nContent-Length: 2\r\n\r\nno").await;
            }
            Fate::Straight | Fate::Late(_) | Fate::LostAfter => {}
        }
        // Before it is executed: a notification may leave before the answer does.
        let new = subject.filter(|index| self.meet(*index, &number));
        let served = self.handle(&request);
        if let Some(index) = new {
            self.send_payer(index, &number);
        }
        if let Fate::Late(ms) = fate {
            self.counts.add("answers late");
            tokio::time::sleep(Duration::from_millis(ms)).await;
        }
        match served.reply() {
            Some(reply) if fate != Fate::LostAfter => write(&mut stream, &reply).await,
            Some(_) | None => {
                self.counts.add("answers lost");
                Ok(())
            }
        }
    }

    fn nth_exchange(&self, index: u64) -> u64 {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let count = known.exchanges.entry(index).or_default();
        *count += 1;
        *count - 1
    }

    fn handle(&self, request: &Received) -> Served {
        let mut words = request.line.split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        self.simulator.handle(method, target, &request.headers, &request.body)
    }

    /// A notification leaves, once, twice, late or never.
    fn send_off(self: &Arc<Self>, notice: Notice) {
        let body: serde_json::Value = serde_json::from_slice(&notice.body).unwrap_or_default();
        let number = body["number"].as_str().unwrap_or_default();
        let (index, nth) = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            let index = known.orders.get(number).map_or(u64::MAX, |(index, _)| *index);
            let count = known.notices.entry(index).or_default();
            *count += 1;
            (index, *count - 1)
        };
        let deliveries = plan::deliveries(self.seed, index, nth);
        self.counts.add(match deliveries.len() {
            0 => "notifications that never come",
            1 => "notifications sent once",
            _ => "notifications sent twice",
        });
        for wait in deliveries {
            let (shared, notice) = (Arc::clone(self), notice.clone());
            self.errands.run(async move {
                tokio::time::sleep(wait).await;
                shared.deliver(&notice).await;
            });
        }
    }

    /// Tries until the server acknowledges it; one that refuses it for good is told of the same each time.
    async fn deliver(&self, notice: &Notice) {
        for _ in 0..NOTICE_TRIES {
            let mut request = self.courier.post(&notice.url).body(notice.body.clone());
            for (name, value) in &notice.headers {
                request = request.header(name, value);
            }
            match request.send().await {
                Ok(reply) if reply.status() == 200 => return self.counts.add("notifications acknowledged"),
                Ok(_) => self.counts.add("notifications refused"),
                Err(_) => self.counts.add("notifications that met no server"),
            }
            tokio::time::sleep(NOTICE_GAP).await;
        }
        self.counts.add("notifications given up");
    }
}

async fn write(stream: &mut TcpStream, reply: &HttpReply) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} Answer\r\nContent-Length: {}\r\n", reply.status, reply.body.len());
    for (name, value) in &reply.headers {
        head += &[name.as_str(), ": ", value, "\r\n"].concat();
    }
    head += "Connection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&reply.body).await
}
