//! Apple, a payer's device and the sandbox acquirer as a service that anybody can run, with one merchant.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use maxpay_engine::channel::Adapter;
use maxpay_engine::model::{Currency, Money, Timestamp};
use maxpay_engine::secrets::Secret;

use crate::applepay::{ApplePay, Https};
use crate::simulator::words::{self, Command, Word};
use crate::simulator::{
    Due, FaultPlan, LedgerError, NotificationSink, ORDERS_MAX, Offer, OrderRow, Service, ServiceError, ServiceParts,
    Simulation, TokenAsked, Wallet, newest_first,
};

use super::books::{BackRow, ChargeRow, RowState};
use super::{PayerCard, PayerCommand, PayerError, Simulator, SimulatorError, SimulatorParts, TokenVersion, TokenWish};

/// Apple Pay, to be opened as a service.
pub const SIMULATION: Simulation = Simulation { name: "applepay", keys: &[], open };

const MERCHANT: &str = "merchant.simulated.shop";
const DOMAIN: &str = "shop.example.com";

/// What people can do to a charge.
const WORDS: [Word<PayerCommand>; 7] = [
    Word::just("approve", PayerCommand::Approve, "approve an undecided charge"),
    Word::with("approve_other", "amount_minor", PayerCommand::ApproveOther, "approve an undecided charge over so much"),
    Word::just("decline", PayerCommand::Decline, "decline an undecided charge"),
    Word::just("approve_late", PayerCommand::ApproveLate, "take money although it was declined: the acquirer's fault"),
    Word::just("hold", PayerCommand::Hold, "hold what is to go back: the merchant's balance is too small"),
    Word::just("release", PayerCommand::Release, "the merchant's balance is large enough again"),
    Word::just("refund", PayerCommand::Return, "give all of it back in the acquirer's console"),
];

/// What the cards in the device do.
const CARD_WORDS: [Word<PayerCard>; 4] = [
    Word::just("approve", PayerCard::Approve, "pays"),
    Word::just("decline", PayerCard::Decline, "declines"),
    Word::just("undecided", PayerCard::Undecided, "is decided later, here"),
    Word::just("answer_lost", PayerCard::AnswerLost, "pays, and the answer never arrives"),
];

fn open(parts: ServiceParts) -> Result<Arc<dyn Service>, ServiceError> {
    let simulator = Simulator::open(SimulatorParts {
        base_url: parts.base_url,
        ledger: parts.ledger,
        clock: parts.clock,
        entropy: parts.entropy,
    })?;
    simulator.enrol(MERCHANT, DOMAIN)?;
    simulator.give_sessions_to_anybody();
    Ok(simulator)
}

impl From<SimulatorError> for ServiceError {
    fn from(error: SimulatorError) -> Self {
        match error {
            SimulatorError::Ledger(error) => error.into(),
            SimulatorError::Damaged => Self::Keys,
            SimulatorError::Merchant | SimulatorError::UnknownMerchant(_) => Self::refused(error),
        }
    }
}

impl Due for Simulator {
    /// Nothing ever falls due: acquirers are asked, they do not tell.
    fn tick(&self) -> BoxFuture<'_, Result<usize, LedgerError>> {
        Box::pin(std::future::ready(Ok(0)))
    }

    fn next_due(&self) -> Result<Option<Timestamp>, LedgerError> {
        Ok(None)
    }
}

impl Service for Simulator {
    fn commands(&self) -> Vec<Command> {
        words::commands(&WORDS)
    }

    fn bring(&self, _text: &str) -> Result<String, ServiceError> {
        Err(ServiceError::refused(
            "nothing is brought here: the device makes a token, and the merchant authorizes with it",
        ))
    }

    fn play(&self, number: &str, command: &str) -> Result<(), ServiceError> {
        let command = words::read(&WORDS, command).map_err(ServiceError::refused)?;
        match self.payer(number, command) {
            Ok(()) => Ok(()),
            Err(PayerError::Ledger(error)) => Err(error.into()),
            Err(refused) => Err(ServiceError::refused(refused)),
        }
    }

    fn orders(&self) -> Result<Vec<OrderRow>, LedgerError> {
        let _visit = self.enter();
        let charges = self.ledger.last_rows::<ChargeRow>("charge/", ORDERS_MAX)?;
        let backs = self.ledger.last_rows::<BackRow>("back/", ORDERS_MAX)?;
        Ok(newest_first(charges.iter().map(|(_, charge)| row(charge, &backs)).collect()))
    }

    fn offers(&self) -> Result<Vec<Offer>, ServiceError> {
        let adapter = ApplePay::new(Https);
        Ok(vec![Offer::of(adapter.manifest(), "Simulated Apple Pay and acquirer", self.settings(MERCHANT)?)])
    }

    fn rotate(&self) -> Result<(), ServiceError> {
        Ok(Self::rotate(self, MERCHANT)?)
    }

    fn faults(&self) -> &FaultPlan {
        Self::faults(self)
    }

    /// There are no notices.
    fn notify_by(&self, _sink: NotificationSink) {}

    fn wallet(&self) -> Option<&dyn Wallet> {
        Some(self)
    }
}

impl Wallet for Simulator {
    fn cards(&self) -> Vec<Command> {
        words::commands(&CARD_WORDS)
    }

    fn token(&self, wish: &TokenAsked) -> Result<Secret, ServiceError> {
        let card = words::read(&CARD_WORDS, &wish.card).map_err(ServiceError::refused)?;
        let version = match wish.version.as_deref() {
            None | Some("EC_v1") => TokenVersion::Ec,
            Some("RSA_v1") => TokenVersion::Rsa,
            Some(_) => return Err(ServiceError::refused("version: EC_v1 or RSA_v1")),
        };
        let application_data = wish.application_data.clone();
        let wish = TokenWish { version, card, application_data, ..TokenWish::of(wish.amount) };
        Ok(Self::token(self, MERCHANT, &wish)?)
    }
}

fn row(charge: &ChargeRow, backs: &[(String, BackRow)]) -> OrderRow {
    let currency = charge.currency.parse().unwrap_or(Currency::CNY);
    let money = |minor| Money::new(minor, currency).unwrap_or_else(|_| Money::zero(currency));
    let ours = |back: &&BackRow| back.merchant_id == charge.merchant_id && back.charge_number == charge.number;
    let done = backs.iter().map(|(_, back)| back).filter(|back| back.state == RowState::Done).filter(ours);
    let given: u64 = done.map(|back| back.amount).sum();
    let state = match charge.state {
        RowState::Processing => "processing",
        RowState::Done => "done",
        RowState::Declined => "declined",
    };
    OrderRow {
        number: charge.number.clone(),
        kind: "charge".to_owned(),
        state: state.to_owned(),
        amount: money(charge.asked),
        paid: money(charge.payments.iter().map(|payment| payment.amount).sum()),
        returned: money(given.saturating_add(charge.returned.as_ref().map_or(0, |(_, amount)| *amount))),
        made_at: charge.made_at,
    }
}
