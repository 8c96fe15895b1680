//! The simulated Alipay by its own rules, and the adapter's exam against it.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use futures_util::FutureExt;
use maxpay_engine::channel::http::{HttpClient, SendLimits};
use maxpay_engine::channel::{
    AccountView, Adapter, Answer, Call, Context, Interpreted, Original, OriginalApi, Outcome, Prepared, RefundIntent,
    RefundKind, SecretSettings, Step, Subject,
};
use maxpay_engine::clock::{SeededEntropy, VirtualClock};
use maxpay_engine::model::{
    AccountId, ChannelCode, Currency, Intent, Mode, Money, NamedAction, PayerAction, PayerInputs, RawId, Timestamp,
};
use maxpay_engine::secrets::Secret;
use serde_json::{Map, Value};

use super::trade::TradeState;
use super::{AlipayCandidate, AlipayClient, IN_PROCESS, KeyMode, Keys, PayerCommand, Simulator, SimulatorParts};
use crate::alipay::Alipay;
use crate::conformance::examine;
use crate::parts::canonical::read_query;
use crate::simulator::{Ledger, Notice, NoticeReply};

const APP: &str = "2021000000000007";
const SELLER: &str = "2088000000000007";
const NUMBER: &str = "66f0a1b2c3d4e5f607182930";

#[test]
fn the_adapter_passes_the_exam() {
    // Every case of every code holds, with public keys, and with certificates that are fetched when they are not known.
    for mode in [KeyMode::PublicKey, KeyMode::Certificates] {
        examine(&AlipayCandidate(mode)).assert_passed();
    }
}

fn keys() -> Arc<Keys> {
    static KEYS: OnceLock<Arc<Keys>> = OnceLock::new();
    Arc::clone(KEYS.get_or_init(|| Arc::new(Keys::generate(KeyMode::PublicKey, &[(APP, SELLER)]))))
}

/// A merchant's side and Alipay's side on one virtual clock.
struct World {
    adapter: Alipay,
    simulator: Arc<Simulator>,
    clock: VirtualClock,
    settings: Map<String, Value>,
    secrets: Vec<SecretSettings>,
    entropy: SeededEntropy,
    /// Notices that arrived, and how many of the next ones are not acknowledged.
    inbox: Arc<Mutex<(Vec<Notice>, usize)>>,
}

impl World {
    fn new() -> Self {
        Self::on(Ledger::memory())
    }

    fn on(ledger: Ledger) -> Self {
        let clock = VirtualClock::at(Timestamp::from_millis(1_795_377_908_118));
        let parts =
            SimulatorParts { gateway: IN_PROCESS.to_owned(), ledger, clock: Arc::new(clock.clone()), keys: keys() };
        let simulator = Simulator::open(parts);
        let inbox = Arc::new(Mutex::new((Vec::new(), 0_usize)));
        let arrived = Arc::clone(&inbox);
        simulator.set_sink(Arc::new(move |notice| {
            let mut inbox = arrived.lock().expect("no test panics in it");
            inbox.0.push(notice);
            let refused = inbox.1 > 0;
            inbox.1 = inbox.1.saturating_sub(1);
            let body: &[u8] = if refused { b"SUCCESS" } else { b"success" };
            std::future::ready(Ok(NoticeReply { status: 200, body: body.into() })).boxed()
        }));
        let all = keys().settings(APP, IN_PROCESS, 0);
        let (mut settings, mut secrets) = (Map::new(), SecretSettings::default());
        for (name, value) in all {
            if ["app_id", "seller_id", "gateway"].contains(&name.as_str()) {
                settings.insert(name, value);
            } else {
                secrets.0.insert(name, Secret::from_text(value.as_str().expect("text")));
            }
        }
        Self {
            adapter: Alipay::new(),
            simulator,
            clock,
            settings,
            secrets: vec![secrets],
            entropy: SeededEntropy::new(7),
            inbox,
        }
    }

    fn now(&self) -> Timestamp {
        maxpay_engine::clock::Clock::now(&self.clock).wall
    }

    fn look<T>(&self, number: &str, with: impl FnOnce(&Context<'_>) -> T) -> T {
        let account = AccountView {
            id: AccountId(RawId([7; 12])),
            mode: Mode::Test,
            settings: &self.settings,
            secrets: &self.secrets,
            notify_url: "https://pay.example.com/notify/alipay/1",
        };
        let trade_number = self.simulator.trades().ok().and_then(|trades| trades.first().map(|it| it.trade_no.clone()));
        let trade_number = trade_number.unwrap_or_default();
        let original =
            Original { number: NUMBER, numbered_at: self.now(), trade_number: &trade_number, total: cny(1000) };
        with(&Context {
            now: self.now(),
            entropy: &self.entropy,
            account,
            material: &[],
            subject: Some(Subject { number, numbered_at: self.now() }),
            original: Some(original),
        })
    }

    fn prepare(&self, call: &Call, number: &str) -> Prepared {
        self.look(number, |context| self.adapter.prepare(call, context))
    }

    fn ask(&self, call: &Call, number: &str) -> Answer {
        let request = match self.prepare(call, number) {
            Prepared::Send(request) => request,
            Prepared::Done(answer) => return answer,
            Prepared::NeedMaterial(_) | Prepared::Unsupported => panic!("it is not asked"),
        };
        let client = AlipayClient::new(Arc::clone(&self.simulator), None);
        let limits = SendLimits { deadline: Duration::from_secs(10), body_max: 65_536 };
        let reply = client.send(request, limits).now_or_never().expect("in memory").expect("an answer");
        match self.look(number, |context| self.adapter.interpret(call, Step(0), &reply, context)) {
            Interpreted::Done(answer) => answer,
            Interpreted::Next { .. } | Interpreted::Learned(_) | Interpreted::NeedMaterial(_) => panic!("no answer"),
        }
    }

    fn told(&self, call: &Call) -> &'static str {
        self.ask(call, NUMBER).outcome.name()
    }

    fn play(&self, command: PayerCommand) {
        self.simulator.payer(APP, NUMBER, command).expect("it is allowed");
    }

    /// The order text of a locally signed code.
    fn text(&self, name: &str) -> String {
        let Outcome::AwaitingPayer(actions) = self.ask(&create(name, self.now()), NUMBER).outcome else {
            panic!("no action")
        };
        let NamedAction { action, .. } = actions.into_iter().next().expect("one action");
        match action {
            PayerAction::AppOrder { order: text } | PayerAction::Redirect { url: text } => text,
            PayerAction::Prepay { .. }
            | PayerAction::Form { .. }
            | PayerAction::QrText { .. }
            | PayerAction::WalletSession { .. } => panic!("another action"),
        }
    }

    fn opened(name: &str) -> Self {
        let world = Self::new();
        assert_eq!(world.simulator.open_order(&world.text(name)).expect("it opens"), NUMBER);
        world
    }

    fn paid(name: &str) -> Self {
        let world = Self::opened(name);
        world.play(PayerCommand::Pay);
        world
    }

    /// Sends what is due, and gives the notices' fields.
    fn notices(&self) -> Vec<Vec<(String, String)>> {
        self.simulator.tick().now_or_never().expect("no notice waits").expect("the ledger answers");
        let notices = std::mem::take(&mut self.inbox.lock().expect("no test panics in it").0);
        notices.iter().map(|notice| read_query(std::str::from_utf8(&notice.body).expect("a form"))).collect()
    }
}

fn cny(minor: u64) -> Money {
    Money::new(minor, Currency::CNY).expect("in range")
}

fn code(name: &str) -> ChannelCode {
    name.parse().expect("a code")
}

fn create(name: &str, now: Timestamp) -> Call {
    let intent = Intent {
        amount: cny(1000),
        subject: "茶".to_owned(),
        return_url: Some("https://shop.example.com/done".to_owned()),
        show_url: None,
        payer: PayerInputs::default(),
        expires_at: now.after(Duration::from_hours(2)),
        token: None,
    };
    Call::Create { code: code(name), intent, original_api: OriginalApi::No }
}

fn query() -> Call {
    Call::Query { code: code("ali_app") }
}

fn close() -> Call {
    Call::Close { code: code("ali_app") }
}

fn refund(minor: u64) -> Call {
    Call::Refund { code: code("ali_app"), refund: RefundIntent { amount: cny(minor), reason: None } }
}

fn refund_query() -> Call {
    let refund = RefundIntent { amount: cny(1), reason: None };
    Call::QueryRefund { code: code("ali_app"), kind: RefundKind::Refund, refund }
}

fn field<'p>(pairs: &'p [(String, String)], name: &str) -> &'p str {
    pairs.iter().find(|(have, _)| have == name).map_or("", |(_, value)| value)
}

#[test]
fn a_trade_is_known_once_the_payer_opened_it() {
    // Signed or given out as a code it is nothing yet; then it waits, and its time ends it.
    let world = World::new();
    let text = world.text("ali_app");
    assert_eq!((world.told(&query()), world.told(&close())), ("not_found", "not_found"));
    world.simulator.open_order(&text).expect("it opens");
    world.simulator.open_order(&text).expect("again changes nothing");
    assert_eq!(world.told(&query()), "unpaid");
    world.clock.advance(Duration::from_hours(3));
    assert_eq!(world.told(&query()), "closed");
    assert!(world.simulator.payer(APP, NUMBER, PayerCommand::Pay).is_err(), "its time is over");
    let world = World::new();
    let asked = create("ali_qrcode", world.now());
    assert_eq!(world.told(&asked), "awaiting_payer");
    assert_eq!(world.told(&asked), "awaiting_payer", "the same again gives another code");
    assert_eq!(world.told(&query()), "not_found");
    world.play(PayerCommand::Scan);
    assert_eq!(world.told(&query()), "unpaid");
    let other = create("ali_qrcode", world.now().after(Duration::from_mins(1)));
    assert_eq!(world.ask(&other, NUMBER).outcome, Outcome::Unknown("40004 ACQ.CONTEXT_INCONSISTENT".to_owned()));
}

#[test]
fn a_changed_order_does_not_open() {
    // Whatever the payer's device changes, the signature tells.
    let world = World::new();
    let text = world.text("ali_web");
    for (from, to) in [("10.00", "0.01"), (APP, "2021000000000008"), ("RSA2", "RSA"), ("page.pay", "wap.pay")] {
        assert!(text.contains(from));
        assert!(world.simulator.open_order(&text.replacen(from, to, 1)).is_err(), "{from}");
    }
}

#[test]
fn a_close_may_come_too_late() {
    // The payer pays in the moment before it: it is not taken, and the query tells of the payment.
    let world = World::opened("ali_app");
    world.play(PayerCommand::PayBeforeClose);
    assert_eq!(world.told(&close()), "declined");
    assert_eq!(world.told(&query()), "succeeded");
    let world = World::opened("ali_app");
    assert_eq!((world.told(&close()), world.told(&query())), ("closed", "closed"));
}

#[test]
fn a_code_ends_and_a_paid_trade_is_finished() {
    // A code is scanned for two hours, and each create gives another one; a year after its payment nothing goes back.
    let world = World::new();
    let asked = create("ali_qrcode", world.now().after(Duration::from_hours(20)));
    let codes = |world: &World| world.simulator.trades().expect("books")[0].codes(world.now()).count();
    assert_eq!(world.told(&asked), "awaiting_payer");
    world.clock.advance(Duration::from_mins(119));
    assert_eq!((codes(&world), world.told(&asked), codes(&world)), (1, "awaiting_payer", 2));
    world.clock.advance(Duration::from_mins(1));
    assert_eq!(codes(&world), 1, "the first one has ended");
    let world = World::paid("ali_app");
    world.clock.advance(Duration::from_hours(365 * 24));
    assert_eq!(world.ask(&refund(400), &format!("{NUMBER}r001")).outcome.name(), "succeeded");
    world.clock.advance(Duration::from_secs(1));
    let late = world.ask(&refund(400), &format!("{NUMBER}r002")).outcome;
    assert_eq!(late, Outcome::Declined("40004 ACQ.TRADE_HAS_FINISHED".to_owned()));
    assert_eq!(world.simulator.trades().expect("books")[0].status(), "TRADE_FINISHED");
}

#[test]
fn refunds_by_number_and_amount() {
    // The same again moves nothing, another amount is discordant, more than is left is refused, all of it closes.
    let world = World::paid("ali_app");
    let (first, second) = (format!("{NUMBER}r001"), format!("{NUMBER}r002"));
    assert_eq!(world.ask(&refund_query(), &first).outcome, Outcome::NotFound);
    assert_eq!(world.ask(&refund(400), &first).outcome.name(), "succeeded");
    assert_eq!(world.ask(&refund(400), &first).outcome.name(), "processing");
    assert_eq!(world.ask(&refund(500), &first).outcome.name(), "unknown");
    assert_eq!(world.ask(&refund(601), &second).outcome.name(), "declined");
    world.play(PayerCommand::Poor(true));
    assert_eq!(world.ask(&refund(600), &second).outcome.name(), "held");
    world.play(PayerCommand::Poor(false));
    world.play(PayerCommand::QuietRefund);
    assert_eq!(world.ask(&refund(600), &second).outcome.name(), "processing", "done, and answered with N");
    let Outcome::Succeeded(paid) = world.ask(&refund_query(), &second).outcome else { panic!("not done") };
    assert_eq!(paid.amount, cny(600));
    assert_eq!(world.told(&query()), "paid_then_returned", "closed by its refunds");
    assert_eq!(world.simulator.trades().expect("books")[0].state, TradeState::Closed);
}

#[test]
fn what_is_told_and_by_which_product() {
    // Refunds go to the payment's address with the sum so far; only phones are told of a close.
    let world = World::paid("ali_app");
    let told = world.notices();
    assert_eq!((told.len(), field(&told[0], "trade_status"), field(&told[0], "refund_fee")), (1, "TRADE_SUCCESS", ""));
    for (back, status, sum) in [(300, "TRADE_SUCCESS", "3.00"), (700, "TRADE_CLOSED", "10.00")] {
        world.ask(&refund(back), &format!("{NUMBER}r{back}"));
        let told = world.notices();
        assert_eq!((field(&told[0], "trade_status"), field(&told[0], "refund_fee")), (status, sum));
        assert_eq!(field(&told[0], "out_biz_no"), format!("{NUMBER}r{back}"));
    }
    for (name, count) in [("ali_app", 1), ("ali_wap", 1), ("ali_web", 0)] {
        let world = World::opened(name);
        world.told(&close());
        let told = world.notices();
        assert_eq!(told.len(), count, "{name}");
        assert!(told.iter().all(|told| field(told, "trade_status") == "TRADE_CLOSED"));
    }
}

#[test]
fn notices_are_repeated_until_they_are_acknowledged() {
    // Exactly "success" ends it; without it there are eight in about 25 hours.
    let world = World::paid("ali_app");
    world.inbox.lock().expect("no test panics in it").1 = usize::MAX;
    let mut count = 0;
    for _ in 0..200 {
        count += world.notices().len();
        world.clock.advance(Duration::from_mins(10));
    }
    assert_eq!(count, 8);
    let world = World::paid("ali_app");
    world.inbox.lock().expect("no test panics in it").1 = 1;
    assert_eq!(world.notices().len(), 1);
    assert!(world.notices().is_empty());
    world.clock.advance(Duration::from_mins(4));
    assert_eq!(world.notices().len(), 1);
    assert_eq!(world.simulator.next_due().expect("the ledger answers"), None);
}

#[test]
fn the_books_outlive_the_process() {
    // Opened again on its file, Alipay knows what it knew.
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("alipay.redb");
    let world = World::on(Ledger::open(&path).expect("a ledger"));
    world.simulator.open_order(&world.text("ali_app")).expect("it opens");
    world.play(PayerCommand::Pay);
    world.simulator.rotate().expect("the ledger answers");
    let before = world.simulator.trades().expect("books");
    drop(world);
    let world = World::on(Ledger::open(&path).expect("the ledger again"));
    assert_eq!(world.simulator.trades().expect("books"), before);
    assert_eq!(world.simulator.rotations().expect("the ledger answers"), 1);
    assert_eq!(world.notices().len(), 1, "what was due is due still");
}
