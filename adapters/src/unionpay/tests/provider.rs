//! The adapter and the simulated UnionPay together.

use std::time::Duration;

use maxpay_engine::channel::{Call, FactSubject, Notified, Original, Outcome, RawNotification, RefundKind};

use maxpay_engine::secrets::Secret;

use super::super::simulator::{Authority, OrderState, PayerCommand, PayerError, WrongSigner};
use super::{NOTIFY_URL, NUMBER, World, create, fen, query, refund};
use crate::parts::x509::{Certificate, check_chain};
use crate::simulator::{How, NoticeReply, Rule, When};

#[cfg(feature = "conformance")]
#[test]
fn it_passes_the_exam() {
    // Every claim of the manifest holds against the books.
    let report = crate::conformance::examine(&super::super::simulator::UnionPayCandidate);
    report.assert_passed();
}

#[tokio::test]
async fn an_order_of_the_app_from_tn_to_refund() {
    // 34 until the payer comes, 05 while they are there, then 00; a duplicate proves arrival; refunds under their own key.
    let world = World::new();
    assert_eq!(world.ask(&query()).await, Outcome::NotFound);
    assert!(matches!(world.ask(&create("unipay_app")).await, Outcome::AwaitingPayer(_)));
    assert_eq!(world.ask(&create("unipay_app")).await, Outcome::Unpaid);
    assert_eq!(world.ask(&query()).await, Outcome::NotFound);
    world.simulator.payer(NUMBER, PayerCommand::Open).expect("open");
    assert_eq!(world.ask(&query()).await, Outcome::Processing);
    world.simulator.payer(NUMBER, PayerCommand::Decline).expect("declined");
    assert!(matches!(world.ask(&query()).await, Outcome::Declined(why) if why.starts_with("64")));
    world.simulator.payer(NUMBER, PayerCommand::Pay).expect("paid");
    let Outcome::Succeeded(paid) = world.ask(&query()).await else { panic!("not paid") };
    assert_eq!(paid.amount, fen(1999));
    let original =
        Original { number: NUMBER, numbered_at: world.numbered_at, trade_number: &paid.trade_number, total: fen(1999) };
    let back = async |call: &Call, number: &str| {
        let request = world.request(call, number, Some(original));
        world.read(call, number, &world.send(request).await).outcome
    };
    let first = format!("{NUMBER}r001");
    assert_eq!(back(&refund(None, 500), &first).await, Outcome::NotFound);
    assert_eq!(back(&refund(Some(RefundKind::Refund), 500), &first).await, Outcome::Processing);
    assert!(matches!(back(&refund(Some(RefundKind::Refund), 500), &first).await, Outcome::Unknown(_)));
    assert_eq!(back(&refund(None, 500), &first).await, Outcome::Processing);
    world.clock.advance(Duration::from_secs(3));
    world.simulator.tick(world.context("", None).now).await.expect("a tick");
    let Outcome::Succeeded(returned) = back(&refund(None, 500), &first).await else { panic!("not returned") };
    assert_eq!(returned.amount, fen(500));
    assert!(returned.trade_number != paid.trade_number);
    // Not after a refund, and not more than is left.
    let second = format!("{NUMBER}r002");
    assert!(matches!(back(&refund(Some(RefundKind::Void), 1999), &second).await, Outcome::Declined(_)));
    assert!(matches!(back(&refund(Some(RefundKind::Refund), 1500), &second).await, Outcome::Declined(_)));
    assert!(matches!(world.ask(&query()).await, Outcome::Succeeded(_)), "the payment stays as it was");
}

#[test]
fn an_authority_is_kept_over_a_restart() {
    // The same certificates, and what it issues afterwards leads to them; another text is none.
    let kept = super::keys().authority.to_secret();
    let again = Authority::read(&kept).expect("the same authority");
    assert_eq!(again.certificates(), super::keys().authority.certificates());
    let merchant = again.issue_merchant("777290058110097", 7, &Secret::from_text("x")).expect("randomness");
    let read = |pem: &str| Certificate::read_all(pem.as_bytes()).expect("certificates");
    let (chain, leaf) = (read(again.certificates()), read(&merchant.certificate));
    assert!(check_chain(&leaf[0], &chain[1..], &chain[..1], super::at("2026-11-25T00:00:00Z")).is_ok());
    assert!(Authority::read(&Secret::from_text("{}")).is_err());
    assert!(!format!("{again:?}{merchant:?}").contains("PRIVATE"));
}

#[tokio::test]
async fn a_void_ends_with_its_day() {
    // At 23:00 in Beijing the clearing day is over: what was paid before it is refunded, not voided.
    for (wait, voided) in [(Duration::from_hours(10), true), (Duration::from_hours(11), false)] {
        let world = World::new();
        let call = create("unipay_app");
        world.ask(&call).await;
        world.simulator.payer(NUMBER, PayerCommand::Pay).expect("paid");
        let Outcome::Succeeded(paid) = world.ask(&query()).await else { panic!("not paid") };
        world.clock.advance(wait);
        let total = paid.amount;
        let trade_number = paid.trade_number.as_str();
        let original = Original { number: NUMBER, numbered_at: world.numbered_at, trade_number, total };
        let call = refund(Some(RefundKind::Void), 1999);
        let request = world.request(&call, &format!("{NUMBER}r001"), Some(original));
        let outcome = world.read(&call, NUMBER, &world.send(request).await).outcome;
        assert_eq!(outcome == Outcome::Processing, voided, "{wait:?}: {outcome:?}");
    }
}

#[tokio::test]
async fn money_after_the_time_out_goes_back() {
    // 42: paid and returned; before the time-out it cannot happen, after it nothing else can.
    let world = World::new();
    world.ask(&create("unipay_app")).await;
    assert!(matches!(world.simulator.payer(NUMBER, PayerCommand::PayLate), Err(PayerError::State)));
    world.clock.advance(Duration::from_hours(2));
    assert!(matches!(world.simulator.payer(NUMBER, PayerCommand::Pay), Err(PayerError::State)));
    assert_eq!(world.ask(&query()).await, Outcome::NotFound);
    world.simulator.payer(NUMBER, PayerCommand::PayLate).expect("too late");
    let Outcome::PaidThenReturned { paid, returned, is_final, .. } = world.ask(&query()).await else { panic!("no 42") };
    assert_eq!((paid.amount, returned, is_final), (fen(1999), fen(1999), false));
}

#[tokio::test]
async fn whoever_else_signs_is_not_believed() {
    // Another root, a merchant of the same authority, an expired certificate, no signature: unknown, whatever is said.
    let world = World::new();
    world.ask(&create("unipay_app")).await;
    world.simulator.payer(NUMBER, PayerCommand::Pay).expect("paid");
    for (wrong, why) in [
        (WrongSigner::Stranger, "not signed by"),
        (WrongSigner::Merchant, "another one's"),
        (WrongSigner::Expired, "valid from 2010"),
    ] {
        world.simulator.sign_as(Some(wrong));
        let outcome = world.ask(&query()).await;
        assert!(matches!(&outcome, Outcome::Unknown(text) if text.contains(why)), "{wrong:?}: {outcome:?}");
    }
    world.simulator.sign_as(None);
    for how in [How::Unsigned, How::Forged, How::Garbage, How::Status(502)] {
        let rule = Rule { call: None, number: None, when: When::AfterExecution, how, times: 1 };
        assert!(world.simulator.faults().add(rule));
        let outcome = world.ask(&query()).await;
        assert!(matches!(outcome, Outcome::Unknown(_)), "{how:?}: {outcome:?}");
    }
    assert!(matches!(world.ask(&query()).await, Outcome::Succeeded(_)));
}

#[tokio::test]
async fn certificates_of_every_revision_verify() {
    // UnionPay signs below another authority from now on: payments of before are heard of, once it is saved, by answers
    // under either; with only somebody else's nothing is.
    let other = Authority::generate().expect("randomness");
    let mut world = World::new();
    world.ask(&create("unipay_app")).await;
    world.simulator.payer(NUMBER, PayerCommand::Pay).expect("paid");
    let (saved, other) = (super::secrets, || super::secrets_with(other.certificates()));
    for (secrets, believed) in
        [(vec![saved()], true), (vec![other(), saved()], true), (vec![saved(), other()], true), (vec![other()], false)]
    {
        world.secrets = secrets;
        assert_eq!(matches!(world.ask(&query()).await, Outcome::Succeeded(_)), believed);
    }
}

#[tokio::test]
async fn our_signature_is_checked_as_strictly() {
    // A changed request, another certId, an unknown merchant: refused, signed, and executed nowhere.
    let world = World::new();
    let call = create("unipay_app");
    let good = world.request(&call, NUMBER, None);
    let text = String::from_utf8(good.body.to_vec()).expect("a form");
    for (from, to) in [
        ("txnAmt=1999", "txnAmt=1"),
        ("certId=68759663125", "certId=68759663126"),
        ("merId=777290058110048", "merId=777290058110049"),
        ("signature=", "signature=A"),
        ("version=5.1.0", "version=5.0.0"),
    ] {
        let request = maxpay_engine::channel::http::HttpRequest { body: text.replace(from, to).into(), ..good.clone() };
        let outcome = world.read(&call, NUMBER, &world.send(request).await).outcome;
        let refused = matches!(outcome, Outcome::AccountRefused(_) | Outcome::Declined(_) | Outcome::Unknown(_));
        assert!(refused, "{to}: {outcome:?}");
    }
    assert!(world.simulator.books().expect("books").is_empty());
}

#[tokio::test]
async fn notices_tell_of_payments_and_refunds() {
    // On success, to the address of the order, again until they are acknowledged; each about its own number.
    let world = World::new();
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let keep = std::sync::Arc::clone(&seen);
    world.simulator.set_sink(std::sync::Arc::new(move |notice| {
        let mut seen = keep.lock().expect("nobody panicked");
        seen.push(notice);
        let status = if seen.len() == 1 { 500 } else { 200 };
        Box::pin(async move { Ok(NoticeReply { status, body: bytes::Bytes::new() }) })
    }));
    world.ask(&create("unipay_app")).await;
    world.simulator.payer(NUMBER, PayerCommand::Pay).expect("paid");
    let now = || world.context("", None).now;
    assert_eq!(world.simulator.tick(now()).await.expect("a tick"), 1);
    assert_eq!(world.simulator.tick(now()).await.expect("a tick"), 0);
    world.clock.advance(Duration::from_mins(1));
    assert_eq!(world.simulator.tick(now()).await.expect("a tick"), 1);
    let Outcome::Succeeded(paid) = world.ask(&query()).await else { panic!("not paid") };
    let trade_number = paid.trade_number.as_str();
    let original = Original { number: NUMBER, numbered_at: world.numbered_at, trade_number, total: paid.amount };
    let number = format!("{NUMBER}r001");
    world.send(world.request(&refund(Some(RefundKind::Refund), 5), &number, Some(original))).await;
    world.clock.advance(Duration::from_secs(3));
    while world.simulator.tick(now()).await.expect("a tick") > 0 {}
    let notices = seen.lock().expect("nobody panicked").clone();
    assert_eq!(notices.len(), 3);
    let subjects =
        [FactSubject::Attempt(NUMBER.to_owned()), FactSubject::Attempt(NUMBER.to_owned()), FactSubject::Refund(number)];
    for (notice, subject) in notices.into_iter().zip(subjects) {
        assert_eq!(notice.url, NOTIFY_URL);
        let raw = RawNotification { headers: notice.headers, query: String::new(), body: notice.body };
        let Notified::Verified { facts, .. } = world.notified(&raw) else { panic!("not verified") };
        assert_eq!((&facts[0].subject, facts[0].numbered_at), (&subject, Some(world.numbered_at)));
        assert!(matches!(facts[0].outcome, Outcome::Succeeded(_)));
    }
    let states: Vec<_> = world.simulator.books().expect("books").iter().map(|order| order.state).collect();
    assert_eq!(states, [OrderState::Done, OrderState::Done]);
}
