//! The simulator as the exam sees it.

use std::sync::Arc;

use maxpay_engine::channel::http::HttpClient;
use maxpay_engine::channel::{Acknowledgement, Adapter, RawNotification};
use maxpay_engine::model::Money;
use maxpay_engine::secrets::Secret;
use serde_json::{Map, Value};

use crate::conformance::{
    About, BookOrder, BookPayment, BookRefund, BookState, Candidate, Card, Feature, Lack, Merchant, Play, Provider,
    Seal, Stage,
};
use crate::simulator::FaultPlan;

use super::super::{ADAPTER, ApplePay, Https};
use super::stock::stock;
use super::{
    CARDS, CRYPTOGRAM_HEAD, IN_PROCESS, LedgerRow, PayerCard, PayerCommand, RowState, Simulator, SimulatorClient,
    SimulatorParts, TokenWish, acquirer_merchant,
};

const FIRST: &str = "merchant.com.example.first";
const OTHER: &str = "merchant.com.example.other";

/// Apple Pay through the built-in acquirer, for the exam.
#[derive(Debug, Clone, Copy, Default)]
pub struct ApplePayCandidate;

impl Candidate for ApplePayCandidate {
    fn name(&self) -> String {
        ADAPTER.to_owned()
    }

    fn adapter(&self) -> Arc<dyn Adapter> {
        Arc::new(ApplePay::new(Https))
    }

    fn lacks(&self) -> Vec<Lack> {
        let silent = "neither Apple nor the built-in acquirer sends notifications";
        let lack = |feature, why| Lack { feature, code: None, why };
        vec![
            lack(Feature::PaymentNotices, silent),
            lack(Feature::RefundNotices, silent),
            lack(Feature::UnmappedNotices, silent),
            lack(Feature::OtherMerchantNotices, silent),
            lack(Feature::NoticeAge, silent),
            lack(Feature::Probes, silent),
            lack(Feature::Strand, "a refund that the acquirer accepts is done"),
        ]
    }

    fn open(&self, stage: Stage) -> Result<Arc<dyn Provider>, String> {
        let merchants = [(FIRST, "first.example.com"), (OTHER, "other.example.com")];
        stock(&stage.ledger, &merchants, stage.clock.now().wall).map_err(|why| why.to_string())?;
        let simulator = Simulator::open(SimulatorParts {
            base_url: IN_PROCESS.to_owned(),
            ledger: stage.ledger,
            clock: stage.clock,
            entropy: stage.entropy,
        });
        let simulator = simulator.map_err(|why| why.to_string())?;
        Ok(Arc::new(Examined { simulator }))
    }
}

struct Examined {
    simulator: Arc<Simulator>,
}

impl Provider for Examined {
    fn settings(&self, merchant: Merchant) -> Map<String, Value> {
        self.simulator.settings(merchant_id(merchant)).unwrap_or_default()
    }

    fn client(&self) -> Arc<dyn HttpClient> {
        Arc::new(SimulatorClient::new(Arc::clone(&self.simulator), None))
    }

    fn faults(&self) -> &FaultPlan {
        self.simulator.faults()
    }

    fn play(&self, number: &str, play: Play<'_>) -> Result<(), String> {
        let command = match play {
            // The payer's action is a wallet's session, which the wallet keeps to itself.
            Play::Open(_) => return Ok(()),
            Play::Pay => PayerCommand::Approve,
            Play::PayOther(money) => PayerCommand::ApproveOther(money.minor()),
            Play::Decline => PayerCommand::Decline,
            Play::PayLate => PayerCommand::ApproveLate,
            Play::Return => PayerCommand::Return,
            Play::Hold => PayerCommand::Hold,
            Play::Release => PayerCommand::Release,
            Play::Strand => return Err("what is accepted is done".to_owned()),
        };
        self.simulator.payer(number, command).map_err(|why| why.to_string())
    }

    fn token(&self, amount: Money, card: Card) -> Option<Secret> {
        let card = match card {
            Card::Approve => PayerCard::Approve,
            Card::Decline => PayerCard::Decline,
            Card::Undecided => PayerCard::Undecided,
        };
        self.simulator.token(FIRST, &TokenWish { card, ..TokenWish::of(amount) }).ok()
    }

    fn validation_url(&self) -> Option<String> {
        Some(format!("{IN_PROCESS}/paymentservices/startSession"))
    }

    fn notice(&self, _about: About<'_>, _seal: Seal) -> Option<RawNotification> {
        None
    }

    fn is_acknowledged(&self, _answer: &Acknowledgement) -> bool {
        false
    }

    fn rotate(&self) -> Option<Map<String, Value>> {
        self.simulator.rotate(FIRST).ok()?;
        Some(self.settings(Merchant::First))
    }

    fn books(&self) -> Vec<BookOrder> {
        self.simulator.ledger().unwrap_or_default().into_iter().map(book).collect()
    }

    fn never_shown(&self) -> Vec<String> {
        let numbers = CARDS.iter().map(|(_, number)| (*number).to_owned());
        numbers.chain([CRYPTOGRAM_HEAD.to_owned()]).collect()
    }
}

fn merchant_id(merchant: Merchant) -> &'static str {
    match merchant {
        Merchant::First => FIRST,
        Merchant::Other => OTHER,
    }
}

fn book(row: LedgerRow) -> BookOrder {
    let is_first = row.merchant_id == acquirer_merchant(FIRST);
    let state = match row.state {
        RowState::Processing => BookState::Processing,
        RowState::Done => BookState::Paid,
        RowState::Declined => BookState::Declined,
    };
    let payment = |paid: super::LedgerPayment| BookPayment { trade_number: paid.trade_number, amount: paid.amount };
    let refund =
        |back: super::LedgerRefund| BookRefund { number: back.number, amount: back.amount, is_done: back.is_done };
    BookOrder {
        number: row.number,
        merchant: if is_first { Merchant::First } else { Merchant::Other },
        state,
        amount: row.amount,
        expires_at: Some(row.expires_at),
        payments: row.payments.into_iter().map(payment).collect(),
        refunds: row.refunds.into_iter().map(refund).collect(),
    }
}
