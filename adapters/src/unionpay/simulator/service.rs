//! UnionPay as a service that anybody can run: one merchant with its signing certificate.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use maxpay_engine::channel::Adapter;
use maxpay_engine::clock::Entropy;
use maxpay_engine::model::{Currency, Money, Timestamp};
use maxpay_engine::secrets::Secret;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::simulator::words::{self, Command, Word};
use crate::simulator::{
    Due, FaultPlan, LedgerError, NotificationSink, ORDERS_MAX, Offer, OrderRow, Service, ServiceError, ServiceParts,
    Simulation, newest_first,
};
use crate::unionpay::UnionPay;

use super::order::{Order, OrderState};
use super::{Authority, AuthorityError, EnrolError, PayerCommand, PayerError, Simulator, SimulatorParts};

/// UnionPay, to be opened as a service.
pub const SIMULATION: Simulation = Simulation { name: "unionpay", keys: &[], open };

const MERCHANT: &str = "777290058110101";
const SERIAL: u64 = 69_903_319_401;
const KEYS: &str = "keys";

/// What people can do.
const WORDS: [Word<PayerCommand>; 8] = [
    Word::just("open", PayerCommand::Open, "open the cashier"),
    Word::just("pay", PayerCommand::Pay, "pay what is asked"),
    Word::with("pay_other", "amount_minor", PayerCommand::PayOther, "pay so many fen instead"),
    Word::just("decline", PayerCommand::Decline, "the payer's bank declines; another try is possible"),
    Word::just("pay_late", PayerCommand::PayLate, "take money after the time-out: code 42, and it goes back"),
    Word::with("notify_late", "after_ms", PayerCommand::NotifyLate, "pay; the notice comes so many milliseconds later"),
    Word::just("notify_twice", PayerCommand::NotifyTwice, "pay; the notice comes twice"),
    Word::just("notify_never", PayerCommand::NotifyNever, "pay; no notice ever"),
];

#[derive(Serialize, Deserialize)]
struct KeptKeys {
    /// As the authority tells it.
    authority: String,
    /// PEM.
    certificate: String,
    /// The archive in base64, and its password.
    pfx: String,
    password: String,
}

impl KeptKeys {
    fn make(entropy: &dyn Entropy) -> Result<Self, ServiceError> {
        let mut bytes = [0; 8];
        entropy.fill(&mut bytes);
        let password = hex::encode(bytes);
        let make = || -> Result<_, AuthorityError> {
            let authority = Authority::generate()?;
            let merchant = authority.issue_merchant(MERCHANT, SERIAL, &Secret::from_text(&password))?;
            Ok((authority.to_secret(), merchant))
        };
        let (authority, merchant) = make().map_err(ServiceError::refused)?;
        let text = |secret: &Secret| secret.expose_text().unwrap_or_default().to_owned();
        Ok(Self { authority: text(&authority), certificate: merchant.certificate, pfx: text(&merchant.pfx), password })
    }
}

fn open(parts: ServiceParts) -> Result<Arc<dyn Service>, ServiceError> {
    let kept = parts.ledger.row_or(KEYS, || KeptKeys::make(parts.entropy.as_ref()))?;
    let authority = Authority::read(&Secret::from_text(&kept.authority)).map_err(|_| ServiceError::Keys)?;
    let simulator = Simulator::open(SimulatorParts {
        base_url: parts.base_url,
        ledger: parts.ledger,
        clock: parts.clock,
        authority: Arc::new(authority),
    });
    match simulator.enrol(MERCHANT, &kept.certificate) {
        Ok(()) => Ok(simulator),
        Err(EnrolError::Ledger(error)) => Err(error.into()),
        Err(EnrolError::Merchant | EnrolError::Certificate(_)) => Err(ServiceError::Keys),
    }
}

impl Due for Simulator {
    fn tick(&self) -> BoxFuture<'_, Result<usize, LedgerError>> {
        Box::pin(Self::tick(self, self.now()))
    }

    fn next_due(&self) -> Result<Option<Timestamp>, LedgerError> {
        Self::next_due(self)
    }
}

impl Service for Simulator {
    fn commands(&self) -> Vec<Command> {
        words::commands(&WORDS)
    }

    /// The page with the form, or the tn.
    fn bring(&self, text: &str) -> Result<String, ServiceError> {
        if text.contains('<') {
            return self.open_page(text).map_err(refusal);
        }
        let tn = text.trim();
        let found = self.newest()?.into_iter().find(|order| order.tn() == tn);
        let number = found.ok_or_else(|| ServiceError::refused("the tn is none of the newest orders'"))?.number;
        self.payer(&number, PayerCommand::Open).map_err(refusal)?;
        Ok(number)
    }

    fn play(&self, number: &str, command: &str) -> Result<(), ServiceError> {
        let command = words::read(&WORDS, command).map_err(ServiceError::refused)?;
        self.payer(number, command).map(drop).map_err(refusal)
    }

    fn orders(&self) -> Result<Vec<OrderRow>, LedgerError> {
        let all = self.books_newest()?;
        let (payments, backs): (Vec<_>, Vec<_>) = all.into_iter().partition(Order::is_payment);
        Ok(newest_first(payments.iter().map(|payment| row(payment, &backs, self.now())).collect()))
    }

    fn offers(&self) -> Result<Vec<Offer>, ServiceError> {
        let kept: KeptKeys = self.ledger.row(KEYS)?.ok_or(ServiceError::Keys)?;
        let all = json!({
            "merchant_id": MERCHANT,
            "gateway": self.base_url,
            "certificates": self.authority.certificates(),
            "pfx": kept.pfx,
            "pfx_password": kept.password,
        });
        let all = all.as_object().cloned().unwrap_or_default();
        Ok(vec![Offer::of(UnionPay::new().manifest(), "Simulated UnionPay", all)])
    }

    fn rotate(&self) -> Result<(), ServiceError> {
        Ok(Self::rotate(self)?)
    }

    fn faults(&self) -> &FaultPlan {
        Self::faults(self)
    }

    fn notify_by(&self, sink: NotificationSink) {
        self.set_sink(sink);
    }
}

impl Simulator {
    /// The newest payments, by their numbers.
    fn newest(&self) -> Result<Vec<Order>, LedgerError> {
        Ok(self.books_newest()?.into_iter().filter(Order::is_payment).collect())
    }

    /// The newest payments, voids and refunds, by their numbers.
    fn books_newest(&self) -> Result<Vec<Order>, LedgerError> {
        Ok(self.ledger.last_rows::<Order>("order/", ORDERS_MAX)?.into_iter().map(|(_, order)| order).collect())
    }
}

fn refusal(why: PayerError) -> ServiceError {
    match why {
        PayerError::Ledger(error) => error.into(),
        PayerError::UnknownNumber(_) | PayerError::Ambiguous(_) | PayerError::State | PayerError::Refused(_) => {
            ServiceError::refused(why)
        }
    }
}

fn row(payment: &Order, backs: &[Order], now: Timestamp) -> OrderRow {
    let money = |minor| Money::new(minor, Currency::CNY).unwrap_or_else(|_| Money::zero(Currency::CNY));
    let ours = |back: &&Order| back.original.as_deref() == Some(payment.query_id.as_str());
    let done = backs.iter().filter(ours).filter(|back| back.state == OrderState::Done);
    OrderRow {
        number: payment.number.clone(),
        kind: "payment".to_owned(),
        state: payment.code(now).map_or_else(|| "not opened".to_owned(), |code| format!("code {code}")),
        amount: money(payment.amount),
        paid: money(payment.paid.unwrap_or(0)),
        returned: money(done.map(|back| back.amount).sum()),
        made_at: payment.made_at,
    }
}
