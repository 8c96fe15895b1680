use super::*;
use crate::sandbox::simulator::{OrderState, PayerError};
use crate::simulator::{How, Rule, When};

#[tokio::test]
async fn a_create_is_idempotent() {
    // The same create again gets the same action and no second order; other words under the number are refused.
    let world = World::new();
    for code in ["ali_qrcode", "wx_native", "wx_h5"] {
        let world = World::new();
        let first = world.create(code, 1).await;
        assert_eq!(world.create(code, 1).await.outcome, first.outcome, "{code}");
        let other = world.create(code, 2).await.outcome;
        assert!(matches!(other, Outcome::Unknown(_)), "{code}: {other:?}");
        assert_eq!(world.simulator.ledger().expect("the books").len(), 1);
    }
    world.create("unipay_app", 1).await;
    assert_eq!(world.create("unipay_app", 1).await.outcome, Outcome::Unpaid, "the serial is given once");
    world.pay(PayerCommand::Pay);
    assert!(matches!(world.create("unipay_app", 1).await.outcome, Outcome::Succeeded(_)), "paid is paid");
}

#[tokio::test]
async fn an_order_lives_and_ends() {
    // Every code: what query and close answer before, while and after it is open.
    for code in CODES {
        if code == "apple_pay" {
            continue;
        }
        let world = World::new();
        assert_eq!(world.query(code).await, Outcome::NotFound, "{code}: before");
        world.create(code, 1).await;
        assert_eq!(world.query(code).await, Outcome::Unpaid, "{code}: open");
        if code != "unipay_web" {
            assert_eq!(world.close(code).await, Outcome::Closed, "{code}: close");
            assert_eq!(world.close(code).await, Outcome::Closed, "{code}: close again");
            assert_eq!(world.query(code).await, Outcome::Closed, "{code}: closed");
            assert!(matches!(world.simulator.payer(NUMBER, PayerCommand::Pay), Err(PayerError::State("closed"))));
        }
        let world = World::new();
        world.create(code, 1).await;
        world.pay(PayerCommand::Pay);
        let Outcome::Succeeded(paid) = world.query(code).await else { panic!("{code} is paid") };
        assert_eq!((paid.amount.minor(), paid.trade_number.len()), (1, 28), "{code}");
        if code != "unipay_web" {
            assert!(matches!(world.close(code).await, Outcome::Succeeded(_)), "{code}: paid wins over close");
        }
    }
}

#[tokio::test]
async fn what_expired_cannot_be_paid() {
    // After its expiry an order is closed, and one without a close stays unpaid for ever; neither takes money.
    for (code, after) in [("wx_native", Outcome::Closed), ("ali_app", Outcome::Closed), ("unipay_web", Outcome::Unpaid)]
    {
        let world = World::new();
        world.create(code, 1).await;
        world.clock.advance(Duration::from_hours(2));
        assert_eq!(world.query(code).await, after, "{code}");
        assert!(world.simulator.payer(NUMBER, PayerCommand::Pay).is_err(), "{code}");
        world.pay(PayerCommand::PayLate);
        assert!(matches!(world.query(code).await, Outcome::Succeeded(_)), "{code}: unless the provider errs");
    }
    let world = World::new();
    let call = creation("wx_native", 1, "CNY");
    world.clock.advance(Duration::from_hours(2));
    assert!(matches!(world.call(&call).await.outcome, Outcome::Declined(_)), "too late to create");
}

#[tokio::test]
async fn an_unopened_order_is_not_known() {
    // A locally signed order is at the provider only once the payer opens it.
    let world = World::new();
    let Outcome::AwaitingPayer(actions) = world.call(&creation("ali_app", 1, "CNY")).await.outcome else {
        panic!("it awaits its payer")
    };
    assert_eq!(world.close("ali_app").await, Outcome::NotFound);
    assert!(matches!(world.simulator.payer(NUMBER, PayerCommand::Pay), Err(PayerError::UnknownNumber(_))));
    let report = world.simulator.payer_with(NUMBER, Some(text_of(&actions[0])), PayerCommand::Pay).expect("paid");
    assert_eq!(report.row.expect("a row").state, OrderState::Paid);
    assert!(matches!(world.query("ali_app").await, Outcome::Succeeded(_)));
}

#[tokio::test]
async fn a_wallet_is_charged_by_token() {
    // Session, then one charge a token: approved, declined, undecided for five seconds, or used before.
    let world = World::new();
    let Outcome::AwaitingPayer(actions) = world.create("apple_pay", 1).await.outcome else { panic!("it awaits") };
    assert!(matches!(actions[0].action, PayerAction::WalletSession { session: None }));
    assert_eq!(world.query("apple_pay").await, Outcome::NotFound);
    let session =
        |url: Option<&str>| Call::PayerSession { code: channel("apple_pay"), validation_url: url.map(str::to_owned) };
    for url in [None, Some("http://sandbox.invalid/session")] {
        let Outcome::AwaitingPayer(actions) = world.call(&session(url)).await.outcome else { panic!("a session") };
        let shown = world.adapter.shown(&channel("apple_pay"), NUMBER, &actions);
        assert!(shown[0].0 == "merchantSession" && shown[0].1.contains(MERCHANT), "{shown:?}");
    }
    for url in ["http://evil.example/", "http://sandbox.invalid.evil.example/"] {
        assert!(matches!(world.call(&session(Some(url))).await.outcome, Outcome::NotExecuted(_)), "{url}");
    }
    assert!(matches!(world.charge(1, &token('a', "approve")).await, Outcome::Succeeded(_)));
    assert!(matches!(world.charge(1, &token('a', "approve")).await, Outcome::Succeeded(_)), "the same charge again");
    let world = World::new();
    assert!(matches!(world.charge(1, &token('b', "decline")).await, Outcome::Declined(_)));
    assert!(matches!(world.query("apple_pay").await, Outcome::Declined(_)));
    let world = World::new();
    assert_eq!(world.charge(1, &token('c', "processing")).await, Outcome::Processing);
    assert_eq!(world.close("apple_pay").await, Outcome::Processing, "a charge under way is not closed");
    assert_eq!(names(&world.pass(Duration::from_secs(5)).await), ["succeeded"]);
}

#[tokio::test]
async fn a_token_is_charged_once() {
    // The provider refuses a token under a second number, whatever the engine did.
    let world = World::new();
    assert!(matches!(world.charge(1, &token('a', "approve")).await, Outcome::Succeeded(_)));
    let call = Call::Authorize {
        code: channel("apple_pay"),
        intent: intent(1, "CNY"),
        token: Secret::from_text(&token('a', "approve")),
    };
    let mut context = world.context();
    context.subject = Some(Subject { number: "66f0a1b2c3d4e5f60718293001", numbered_at: context.now });
    let Prepared::Send(request) = world.adapter.prepare(&call, &context) else { panic!("it is sent") };
    let reply = world.carry(request).await.expect("an answer");
    assert!(matches!(world.read(&call, &reply).outcome, Outcome::Declined(_)));
}

#[tokio::test]
async fn faults_strike_before_or_after_the_execution() {
    // What is seen of a create under each fault, and whether it was executed.
    let late = How::Late(Duration::from_secs(11));
    let (before, after) = (When::BeforeExecution, When::AfterExecution);
    let table = [
        (before, How::NotSent, "not_executed", false),
        (before, How::Busy, "not_executed", false),
        (before, How::Lost, "unknown", false),
        (before, How::Status(502), "unknown", false),
        (before, How::Garbage, "unknown", false),
        (after, How::Lost, "unknown", true),
        (after, How::Status(400), "unknown", true),
        (after, How::Status(500), "unknown", true),
        (after, How::Garbage, "unknown", true),
        (after, How::Unsigned, "unknown", true),
        (after, How::Forged, "unknown", true),
        (after, How::Duplicated, "awaiting_payer", true),
        (after, late, "unknown", true),
    ];
    for (when, how, seen, executed) in table {
        let world = World::new();
        assert!(world.simulator.faults().add(Rule { call: None, number: None, when, how, times: 1 }));
        let call = creation("wx_native", 1, "CNY");
        let clock = world.clock.clone();
        let (answer, ()) = tokio::join!(world.call(&call), async { clock.advance(Duration::from_secs(11)) });
        assert_eq!(answer.outcome.name(), seen, "{when:?} {how:?}");
        let rows = world.simulator.ledger().expect("the books");
        assert_eq!(rows.len(), usize::from(executed), "{when:?} {how:?}");
        assert_eq!(world.create("wx_native", 1).await.outcome.name(), "awaiting_payer", "{when:?} {how:?}: again");
    }
}

#[tokio::test]
async fn the_books_survive_a_crash_between_execution_and_reply() {
    // What was executed before the process went is there when the file is opened again: orders, payments, keys, notices.
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("provider.redb");
    let rows = {
        let world = World::on_file(&path);
        let request = world.request(&creation("wx_native", 990_001, "CNY"));
        // Executed; the answer is dropped with the process.
        drop(world.simulator.handle("POST", "/v1/orders", &request.headers, &request.body));
        world.simulator.ledger().expect("the books")
    };
    assert_eq!(rows[0].payments.len(), 1);
    let text = std::fs::read(&path).expect("the file");
    assert!(!text.windows(7).any(|window| window == b"hunter2"), "keys are sealed in the ledger");
    let world = World::on_file(&path);
    assert_eq!(world.simulator.ledger().expect("the books"), rows);
    let Outcome::Succeeded(paid) = world.query("wx_native").await else { panic!("it is paid") };
    assert_eq!(paid.trade_number, rows[0].payments[0].trade_number);
    assert_eq!(names(&world.pass(Duration::ZERO).await), ["succeeded"], "the notice leaves after the crash");
    assert!(matches!(world.create("wx_native", 990_001).await.outcome, Outcome::Succeeded(_)));
    assert_eq!(world.simulator.ledger().expect("the books"), rows, "a repetition pays nothing");
}

#[test]
fn the_door_knows_its_paths() {
    // Another path, another method and a body without end are refused, and nothing is read of them.
    let world = World::new();
    let status = |method: &str, target: &str, body: &[u8]| {
        world.simulator.handle(method, target, &[], body).reply().map(|reply| reply.status)
    };
    assert_eq!(status("POST", "/v1/nothing", b""), Some(404));
    assert_eq!(status("GET", "/v1/orders", b""), Some(405));
    assert_eq!(status("POST", "/v1/orders", &vec![b' '; 300_000]), Some(413));
    assert_eq!(status("POST", "/v1/orders", b"\xff\xfe"), Some(401));
    assert_eq!(status("GET", "/gateway.do?sign=1", b""), Some(400));
}

#[tokio::test]
async fn other_addresses_go_elsewhere() {
    // A request for another address is not sent from here, whatever it looks like.
    let world = World::new();
    for url in ["http://sandbox.invalid.example/v1/orders", "https://sandbox.invalid/v1/orders"] {
        let request = HttpRequest::get(url.parse().expect("an address"));
        assert!(matches!(world.carry(request).await, Err(SendFailure::NotSent(_))), "{url}");
    }
}
