//! The part about refunds and voids whose way is broken: what an adapter makes of each fault, and that one that knows
//! nothing of what was before finds out what became of it, and sends the same again without giving twice.

use maxpay_engine::channel::{Outcome, RefundKind};

use super::desk::{Desk, shortly};
use super::fault::Fault;
use super::refunds::{call, numbered, payment, question, refunds_of, settled};
use super::report::Sheet;

pub(super) async fn examine(desk: &Desk<'_>, sheet: &mut Sheet) {
    let kinds = [
        ("refund", RefundKind::Refund, desk.rules.refund.is_some()),
        ("void", RefundKind::Void, desk.rules.void.is_some()),
    ];
    let code = desk.code();
    let faults = || Fault::ALL.into_iter().filter(|fault| fault.exists(desk.candidate, &code));
    let mut index = 150;
    for (name, kind, _) in kinds.into_iter().filter(|(_, _, exists)| *exists) {
        for fault in faults() {
            index += 2;
            let case = format!("{name} × {}, then all is forgotten", fault.name());
            let found = backs(desk, index, kind, fault).await;
            sheet.hold(case, found.is_ok(), || found.err().unwrap_or_default());
            let case = format!("query of a {name} × {}", fault.name());
            let found = looks(desk, index + 1, kind, fault).await;
            sheet.hold(case, found.is_ok(), || found.err().unwrap_or_default());
        }
    }
}

/// A void or a refund whose call is struck.
async fn backs(desk: &Desk<'_>, index: u16, kind: RefundKind, fault: Fault) -> Result<(), String> {
    let payment = payment(desk, index).await?;
    let (refund, amount) = (numbered(desk, &payment, 1), payment.order.intent.amount);
    let asked = call(desk, kind, amount);
    let told = desk.ask_struck(&asked, &refund, Some(payment.original()), fault).await?;
    let rows = refunds_of(desk, &payment);
    let safe = match &told {
        Outcome::Unknown(_) => true,
        Outcome::NotExecuted(_) => rows.is_empty(),
        Outcome::Processing => rows.len() == 1,
        Outcome::Succeeded(back) => rows.len() == 1 && rows[0].is_done && back.amount == amount,
        Outcome::AwaitingPayer(_)
        | Outcome::Declined(_)
        | Outcome::Closed
        | Outcome::NotFound
        | Outcome::Unpaid
        | Outcome::AccountRefused(_)
        | Outcome::Held(_)
        | Outcome::PaidThenReturned { .. } => false,
    };
    if !safe {
        return Err(format!("it is told as {}; the books have {rows:?}", shortly(&told)));
    }
    let desk = &desk.renewed();
    desk.pass(desk.rules.refund.as_ref().map_or(desk.rules.query.truth_from, |rules| rules.query.truth_from));
    let found = desk.ask_about(&question(desk, kind, amount), &refund, Some(payment.original())).await.outcome;
    let true_to_the_books = match &found {
        Outcome::Succeeded(back) => !rows.is_empty() && back.amount == amount,
        Outcome::Processing => !rows.is_empty(),
        Outcome::NotFound => rows.is_empty(),
        Outcome::Unknown(_)
        | Outcome::AwaitingPayer(_)
        | Outcome::Declined(_)
        | Outcome::Closed
        | Outcome::Unpaid
        | Outcome::NotExecuted(_)
        | Outcome::AccountRefused(_)
        | Outcome::Held(_)
        | Outcome::PaidThenReturned { .. } => false,
    };
    if !true_to_the_books {
        return Err(format!("a query says {}; the books had {rows:?}", shortly(&found)));
    }
    let again = desk.ask_about(&asked, &refund, Some(payment.original())).await.outcome;
    let told = settled(desk, kind, amount, &refund, &payment).await;
    let rows = refunds_of(desk, &payment);
    let once = rows.len() == 1 && rows[0].is_done && rows[0].amount == amount;
    if !once || !matches!(&told, Outcome::Succeeded(back) if back.amount == amount) {
        let (again, told) = (shortly(&again), shortly(&told));
        return Err(format!("sent again it came to {again}, then to {told}; the books have {rows:?}"));
    }
    Ok(())
}

/// The query of a void or a refund that is done is struck.
async fn looks(desk: &Desk<'_>, index: u16, kind: RefundKind, fault: Fault) -> Result<(), String> {
    let payment = payment(desk, index).await?;
    let (refund, amount) = (numbered(desk, &payment, 1), payment.order.intent.amount);
    desk.ask_about(&call(desk, kind, amount), &refund, Some(payment.original())).await;
    let before = settled(desk, kind, amount, &refund, &payment).await;
    let asked = question(desk, kind, amount);
    let told = desk.ask_struck(&asked, &refund, Some(payment.original()), fault).await?;
    let safe = told == before || matches!(told, Outcome::Unknown(_) | Outcome::NotExecuted(_));
    if !safe {
        return Err(format!("{} is told as {}", shortly(&before), shortly(&told)));
    }
    let after = desk.ask_about(&asked, &refund, Some(payment.original())).await.outcome;
    if after != before || !matches!(after, Outcome::Succeeded(_)) {
        return Err(format!("{} became {}", shortly(&before), shortly(&after)));
    }
    Ok(())
}
