//! Both sides' books compared: what an engine says of a payment, and what the provider's books have.

use maxpay_engine::channel::RawNotification;
use maxpay_engine::model::{CloseEvidence, Status, Transaction, TransactionId};

use crate::conformance::provider::{About, BookOrder, BookState, Seal};
use crate::conformance::report::Sheet;

use super::world::World;
use super::{Case, Errand, status_text};

/// A payment has come to an end, and both sides say the same of it.
pub(super) async fn agree(world: &World, case: &Case, sheet: &mut Sheet, crash: bool) -> Result<(), String> {
    let Some(id) = case.id else { return Ok(()) };
    world.hear(id).await;
    let record = world.transaction(id).await?;
    let rows = rows_of(world, &record);
    let wrong = wrong(world, case, &record, &rows);
    sheet.hold(case.text(crash), wrong.is_none(), || {
        let rows: Vec<_> = rows.iter().map(|row| format!("{:?} {}", row.state, row.number)).collect();
        let history = record.attempts.iter().filter_map(|attempt| attempt.last_outcome.as_ref());
        let last: Vec<_> = history.map(|outcome| outcome.text.clone()).collect();
        format!(
            "{}: the engine says {}, the books {rows:?}; last told: {last:?}",
            wrong.unwrap_or_default(),
            status_text(&record.status)
        )
    });
    Ok(())
}

fn rows_of(world: &World, record: &Transaction) -> Vec<BookOrder> {
    let numbers: Vec<_> = record.attempts.iter().map(|attempt| attempt.number.to_string()).collect();
    world.provider().books().into_iter().filter(|row| numbers.contains(&row.number)).collect()
}

fn wrong(world: &World, case: &Case, record: &Transaction, rows: &[BookOrder]) -> Option<String> {
    let paid: Vec<_> = rows.iter().flat_map(|row| &row.payments).collect();
    let succeeded = matches!(record.status, Status::Succeeded { .. });
    if !world.rules.authorize && (rows.len() > 1 || record.attempts.len() > 1) {
        return Some("one payment became two orders".to_owned());
    }
    if paid.len() > 1 {
        return Some("it was paid twice".to_owned());
    }
    if succeeded == paid.is_empty() {
        let text = if succeeded { "it is told as paid and was not" } else { "it was paid and is not told so" };
        return Some(text.to_owned());
    }
    if succeeded && record.receipts.iter().any(|receipt| !paid.iter().any(|it| it.trade_number == receipt.trade_number))
    {
        return Some("its receipt is not the payment".to_owned());
    }
    if case.is_paid && !succeeded {
        return Some("it should have been paid".to_owned());
    }
    if record.is_open() {
        return Some("it has come to no end".to_owned());
    }
    let now = world.now();
    let payable = |row: &&BookOrder| match row.state {
        BookState::Open | BookState::Processing => row.expires_at.is_none_or(|at| at > now),
        BookState::Paid | BookState::Closed | BookState::Declined => false,
    };
    if !succeeded && rows.iter().any(|row| payable(&row)) {
        return Some("it has ended and can still be paid".to_owned());
    }
    if matches!(&record.status, Status::Closed { evidence } if *evidence == CloseEvidence::Channel && rows.is_empty()) {
        return Some("it is closed by the channel, which has never heard of it".to_owned());
    }
    let closed = matches!(record.status, Status::Closed { .. } | Status::Failed { .. });
    let wanted = matches!(case.errand, Errand::Close | Errand::Nothing);
    (wanted && !closed).then(|| "it should have been closed".to_owned())
}

/// The provider has no order that no payment of ours knows.
pub(super) async fn nothing_else(world: &World, cases: &[Case], sheet: &mut Sheet, crash: bool) {
    let mut numbers = Vec::new();
    for id in cases.iter().filter_map(|case| case.id) {
        if let Ok(record) = world.transaction(id).await {
            numbers.extend(record.attempts.iter().map(|attempt| attempt.number.to_string()));
        }
    }
    let books = world.provider().books();
    let strange: Vec<_> = books.iter().map(|row| &row.number).filter(|number| !numbers.contains(number)).collect();
    let case = format!("no order is made under another number{}", if crash { ", by a crash either" } else { "" });
    sheet.hold(case, strange.is_empty(), || format!("{strange:?}"));
}

/// Notices that prove nothing change nothing, and are not acknowledged.
pub(super) async fn liars(world: &World, sheet: &mut Sheet, about: (TransactionId, &str)) -> Result<(), String> {
    let (id, number) = about;
    let before = world.transaction(id).await?;
    for seal in [Seal::Stranger, Seal::OtherMerchant, Seal::Probe] {
        let Some(raw) = world.provider().notice(About::Order(number), seal) else { continue };
        let reply = world.notify(raw).await;
        world.settle();
        let refused = !reply.accepted && !world.provider().is_acknowledged(&reply.acknowledgement);
        sheet.hold(format!("a notice sealed {seal:?} is not acknowledged by the engine"), refused, || {
            format!("answered {}", reply.acknowledgement.status)
        });
        let after = world.transaction(id).await?;
        let same = after.status == before.status && after.receipts == before.receipts;
        sheet.hold(format!("a notice sealed {seal:?} changes nothing"), same, || status_text(&after.status));
    }
    Ok(())
}

/// A genuine one is taken, and once only, also by an engine that was started anew.
pub(super) async fn taken_once(
    world: &mut World,
    sheet: &mut Sheet,
    id: TransactionId,
    notice: RawNotification,
) -> Result<(), String> {
    for time in ["first", "second", "third, after a crash"] {
        if time.starts_with("third") {
            world.restart()?;
        }
        let reply = world.notify(notice.clone()).await;
        world.settle();
        let taken = reply.accepted && world.provider().is_acknowledged(&reply.acknowledgement);
        sheet.hold(format!("a notice is acknowledged the {time} time"), taken, || {
            format!("answered {}", reply.acknowledgement.status)
        });
        let record = world.transaction(id).await?;
        let once = matches!(record.status, Status::Succeeded { .. }) && record.receipts.len() == 1;
        sheet.hold(format!("a notice is booked once, the {time} time"), once, || {
            format!("{}, {} receipts", status_text(&record.status), record.receipts.len())
        });
    }
    Ok(())
}

/// What proves itself and is about nothing we know is kept, and acknowledged.
pub(super) async fn homeless(world: &mut World, sheet: &mut Sheet, number: &str) -> Result<(), String> {
    world.begin_anew().await?;
    let notice = world.provider().notice(About::Order(number), Seal::Genuine).ok_or("a paid order is not told of")?;
    let reply = world.notify(notice).await;
    let taken = reply.accepted && world.provider().is_acknowledged(&reply.acknowledgement);
    sheet.hold("a verified notice without a home is acknowledged", taken, || {
        format!("answered {}", reply.acknowledgement.status)
    });
    let inbox = world.inbox().await;
    sheet.hold("a verified notice without a home is kept", inbox.contains(&number.to_owned()), || format!("{inbox:?}"));
    Ok(())
}
