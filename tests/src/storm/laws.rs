//! What must hold whatever was killed when, judged by ledgers that are kept outside the engine: the provider's books, the
//! merchants' record of what they were told, and what the webhook receivers took.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use maxpay_adapters::sandbox::simulator::{LedgerRow, OrderState};
use serde::Deserialize;

use super::book::{Book, Entry};
use super::subscribers::Taken;

/// A law.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Law {
    /// No acknowledged payment is lost.
    NothingLost,
    /// No transaction, and on `/v1` no bill number, is open or paid under two numbers; on `/2.0` there is one number a
    /// bill call, and every second success is flagged.
    OneNumber,
    /// Every payment that was paid is reported so.
    PaidIsReported,
    /// No status without evidence.
    Evidence,
    /// Every success event reaches every subscription, always under the same webhook-id.
    Delivered,
    /// Nothing is stuck.
    NothingStuck,
    /// The server starts again.
    StartsAgain,
}

/// A law that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub law: Law,
    /// What was found.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.law, self.what)
    }
}

/// An amount as the API shows it.
#[derive(Debug, Clone, Deserialize)]
pub struct Amount {
    /// Minor units.
    pub amount_minor: u64,
}

/// A transaction as the API shows it, as far as it is judged.
#[derive(Debug, Clone, Deserialize)]
pub struct Shown {
    /// Its id.
    pub id: String,
    /// `native` or `original`.
    pub door: String,
    /// The bill number.
    pub bill_num: String,
    /// What is asked for.
    pub amount: Amount,
    /// Its status.
    pub status: String,
    /// What was paid.
    pub paid: Amount,
    /// Whether a person must look.
    pub needs_attention: bool,
    /// The first success of the bill number.
    pub duplicate_of: Option<String>,
    /// Its receipts.
    pub receipts: Vec<serde_json::Value>,
}

/// Everything that is judged together.
pub struct Found {
    /// Every transaction that the server lists.
    pub shown: BTreeMap<String, Shown>,
    /// The provider's books, read after that.
    pub ledger: Vec<LedgerRow>,
    /// What merchants were told.
    pub told: BTreeMap<String, Entry>,
    /// What each receiver took.
    pub taken: Vec<(&'static str, Taken)>,
}

/// The transaction that a number belongs to: its first 24 digits.
fn transaction_of(number: &str) -> &str {
    number.get(..24).unwrap_or(number)
}

fn is_live(row: &LedgerRow) -> bool {
    matches!(row.state, OrderState::Open | OrderState::Processing | OrderState::Paid)
}

/// Paid what was asked for.
fn is_paid(row: &LedgerRow) -> bool {
    row.payments.iter().any(|payment| payment.amount == row.amount)
}

/// Judges a transaction that a merchant was told of, as the server shows it now; `None`: it does not know it.
#[must_use]
pub fn judge_told(id: &str, told: &Entry, shown: Option<&Shown>) -> Option<Violation> {
    let lost = |what: String| Some(Violation { law: Law::NothingLost, what });
    let Some(shown) = shown else {
        return lost(format!("{id} of bill {} was acknowledged and is gone", told.bill_num));
    };
    if shown.bill_num != told.bill_num || shown.amount.amount_minor != told.amount {
        return lost(format!("{id} was acknowledged as bill {} and is {}", told.bill_num, shown.bill_num));
    }
    if told.told_paid && shown.status != "succeeded" {
        return lost(format!("{id} was told to be paid and is {}", shown.status));
    }
    None
}

/// Judges the provider's books alone: what may never be, not even for a moment.
#[must_use]
pub fn judge_numbers(
    ledger: &[LedgerRow],
    payment_of: impl Fn(&str) -> Option<u64>,
    native: impl Fn(u64) -> bool,
) -> Vec<Violation> {
    let mut of_transaction: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut of_bill: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
    for row in ledger.iter().filter(|row| is_live(row)) {
        of_transaction.entry(transaction_of(&row.number)).or_default().push(&row.number);
        if let Some(index) = payment_of(&row.number)
            && native(index)
        {
            of_bill.entry(index).or_default().push(&row.number);
        }
    }
    let twice = |what: String, numbers: &Vec<&str>| {
        (numbers.len() > 1).then(|| Violation {
            law: Law::OneNumber,
            what: format!("{what} is open or paid at the provider under {}", numbers.join(" and ")),
        })
    };
    let transactions = of_transaction.iter().filter_map(|(id, numbers)| twice(format!("transaction {id}"), numbers));
    let bills = of_bill.iter().filter_map(|(index, numbers)| twice(format!("bill n-{index}"), numbers));
    transactions.chain(bills).collect()
}

/// Judges everything, once it has had time to settle.
#[must_use]
pub fn judge(found: &Found, book: &Book) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (id, told) in &found.told {
        violations.extend(judge_told(id, told, found.shown.get(id)));
    }
    let mut books: BTreeMap<&str, Vec<&LedgerRow>> = BTreeMap::new();
    for row in &found.ledger {
        books.entry(transaction_of(&row.number)).or_default().push(row);
    }
    let none = Vec::new();
    for shown in found.shown.values() {
        judge_status(shown, books.get(shown.id.as_str()).unwrap_or(&none), &mut violations);
        judge_events(shown, &found.taken, &mut violations);
    }
    for id in books.keys().filter(|id| !found.shown.contains_key(**id)) {
        let what = format!("the provider holds an order of {id}, which the server does not know");
        violations.push(Violation { law: Law::NothingLost, what });
    }
    judge_bills(found, book, &mut violations);
    violations
}

fn judge_status(shown: &Shown, rows: &[&LedgerRow], violations: &mut Vec<Violation>) {
    let paid = rows.iter().any(|row| is_paid(row));
    let mut broken = |law, what: String| violations.push(Violation { law, what });
    let (id, status) = (&shown.id, shown.status.as_str());
    match status {
        "succeeded" if !paid => broken(Law::Evidence, format!("{id} succeeded, and the provider was not paid for it")),
        "succeeded" => {
            let booked: u64 = rows.iter().flat_map(|row| &row.payments).map(|payment| payment.amount.minor()).sum();
            if shown.paid.amount_minor < shown.amount.amount_minor || shown.paid.amount_minor > booked {
                let what = format!("{id} shows {} paid, the provider has {booked}", shown.paid.amount_minor);
                broken(Law::Evidence, what);
            }
        }
        _ if paid => broken(Law::PaidIsReported, format!("{id} is paid at the provider and {status} here")),
        "closed" | "failed" if rows.iter().any(|row| is_live(row)) => {
            broken(Law::Evidence, format!("{id} is {status}, and the provider holds it open"));
        }
        // Money of another amount waits for a person; a declined order is never *closed*, and is asked about again.
        "created" | "submitting" | "closing"
            if rows.iter().any(|row| row.state == OrderState::Declined || !row.payments.is_empty()) => {}
        "created" | "submitting" | "closing" => broken(Law::NothingStuck, format!("{id} stays {status}")),
        _ => {}
    }
}

fn judge_events(shown: &Shown, taken: &[(&'static str, Taken)], violations: &mut Vec<Violation>) {
    let mut ids: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, taken) in taken {
        let of = |event: &str| taken.get(&(shown.id.clone(), event.to_owned()));
        let mut missing = |event: &str| {
            let what = format!("{event} of {} did not reach the {name} receiver", shown.id);
            violations.push(Violation { law: Law::Delivered, what });
        };
        if shown.status == "succeeded" && of("payment.succeeded").or(of("payment.succeeded_late")).is_none() {
            missing("payment.succeeded");
        }
        if (shown.duplicate_of.is_some() || shown.receipts.len() > 1) && of("payment.duplicate").is_none() {
            missing("payment.duplicate");
        }
        for event in ["payment.succeeded", "payment.succeeded_late"] {
            ids.entry(event).or_default().extend(of(event).into_iter().flat_map(BTreeMap::keys).map(String::as_str));
        }
    }
    for (event, ids) in ids.iter().filter(|(_, ids)| ids.len() > 1) {
        let what = format!("{event} of {} came under {} webhook-ids", shown.id, ids.len());
        violations.push(Violation { law: Law::Delivered, what });
    }
}

/// `/2.0`: one number a bill call, and every success but the first is flagged.
fn judge_bills(found: &Found, book: &Book, violations: &mut Vec<Violation>) {
    let mut bills: BTreeMap<&str, Vec<&Shown>> = BTreeMap::new();
    for shown in found.shown.values() {
        bills.entry(&shown.bill_num).or_default().push(shown);
    }
    for (bill, all) in bills {
        let mut broken = |what: String| violations.push(Violation { law: Law::OneNumber, what });
        let calls = u64::try_from(all.len()).unwrap_or(u64::MAX);
        if all.iter().any(|shown| shown.door == "original") && calls > book.calls(bill) {
            broken(format!("bill {bill} was called {} times and has {calls} transactions", book.calls(bill)));
        }
        let paid: Vec<_> = all.iter().filter(|shown| shown.status == "succeeded").collect();
        let first = paid.iter().filter(|shown| shown.duplicate_of.is_none()).count();
        if !paid.is_empty() && first != 1 {
            broken(format!("bill {bill} was paid {} times, {first} of them unflagged", paid.len()));
        }
        if paid.iter().any(|shown| shown.duplicate_of.is_some() && !shown.needs_attention) {
            broken(format!("a second success of bill {bill} asks for nobody's attention"));
        }
    }
}

#[cfg(test)]
mod tests {
    use maxpay_adapters::sandbox::simulator::LedgerPayment;
    use maxpay_engine::model::{Currency, Money, Timestamp};

    use super::*;

    const ID: &str = "66f0a1b2c3d4e5f607182930";

    fn row(number: &str, state: OrderState, paid: &[u64]) -> LedgerRow {
        let money = |minor| Money::new(minor, Currency::CNY).expect("small");
        let at = Timestamp::from_millis(1);
        let payment = |minor: &u64| LedgerPayment { trade_number: minor.to_string(), amount: money(*minor), at };
        LedgerRow {
            number: number.to_owned(),
            merchant_id: "shop".to_owned(),
            channel: "wx_native".to_owned(),
            amount: money(100),
            state,
            payments: paid.iter().map(payment).collect(),
            returned: money(0),
            made_at: at,
            expires_at: at,
        }
    }

    fn shown(status: &str, paid: u64) -> Shown {
        Shown {
            id: ID.to_owned(),
            door: "native".to_owned(),
            bill_num: "n-1".to_owned(),
            amount: Amount { amount_minor: 100 },
            status: status.to_owned(),
            paid: Amount { amount_minor: paid },
            needs_attention: false,
            duplicate_of: None,
            receipts: Vec::new(),
        }
    }

    fn taken(ids: &[&str]) -> Taken {
        let ids = ids.iter().map(|id| ((*id).to_owned(), 1)).collect();
        BTreeMap::from([((ID.to_owned(), "payment.succeeded".to_owned()), ids)])
    }

    fn broken(shown: Option<Shown>, ledger: Vec<LedgerRow>, taken: Vec<(&'static str, Taken)>) -> Vec<Law> {
        let told = Entry { bill_num: "n-1".to_owned(), amount: 100, told_paid: false };
        let shown = shown.into_iter().map(|shown| (shown.id.clone(), shown)).collect();
        let found = Found { shown, ledger, told: BTreeMap::from([(ID.to_owned(), told)]), taken };
        judge(&found, &Book::default()).iter().map(|violation| violation.law).collect()
    }

    #[test]
    fn every_law_can_be_broken() {
        // What is right breaks none, and each way to be wrong breaks the law that it is against.
        let paid = || vec![row(ID, OrderState::Paid, &[100])];
        let both = |ids: &[&str]| vec![("well", taken(ids)), ("failing", taken(ids))];
        let none = Vec::<Law>::new();
        assert_eq!(broken(Some(shown("succeeded", 100)), paid(), both(&["e"])), none);
        assert_eq!(broken(Some(shown("awaiting_payer", 0)), vec![row(ID, OrderState::Open, &[])], Vec::new()), none);
        assert_eq!(broken(Some(shown("closed", 0)), vec![row(ID, OrderState::Closed, &[])], Vec::new()), none);
        let lost = [Law::NothingLost];
        assert_eq!(broken(None, Vec::new(), Vec::new()), lost);
        let evidence = [Law::Evidence];
        let open = || vec![row(ID, OrderState::Open, &[])];
        assert_eq!(broken(Some(shown("succeeded", 100)), open(), both(&["e"])), evidence);
        assert_eq!(broken(Some(shown("succeeded", 200)), paid(), both(&["e"])), evidence);
        assert_eq!(broken(Some(shown("failed", 0)), open(), Vec::new()), evidence);
        assert_eq!(broken(Some(shown("awaiting_payer", 0)), paid(), Vec::new()), [Law::PaidIsReported]);
        assert_eq!(broken(Some(shown("submitting", 0)), open(), Vec::new()), [Law::NothingStuck]);
        let one_only = vec![("well", taken(&["e"])), ("failing", Taken::new())];
        assert_eq!(broken(Some(shown("succeeded", 100)), paid(), one_only), [Law::Delivered]);
        assert_eq!(broken(Some(shown("succeeded", 100)), paid(), both(&["e", "f"])), [Law::Delivered]);
    }

    #[test]
    fn two_numbers_are_seen_at_once() {
        // Two live orders of one transaction, or of one bill number of `/v1`; one that ended does not count.
        let other = "76f0a1b2c3d4e5f607182930";
        let numbers = |second: &str, state| {
            let ledger = [row(ID, OrderState::Open, &[]), row(second, state, &[])];
            judge_numbers(&ledger, |_| Some(1), |_| true).len()
        };
        assert_eq!(numbers(&format!("{ID}01"), OrderState::Paid), 2, "the transaction, and its bill number");
        assert_eq!(numbers(other, OrderState::Open), 1, "the bill number");
        assert_eq!(numbers(other, OrderState::Closed), 0);
    }
}
