//! The simulated provider as the exam sees it.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use maxpay_engine::channel::http::HttpClient;
use maxpay_engine::channel::{Acknowledgement, Adapter, RawNotification};
use maxpay_engine::clock::Entropy;
use maxpay_engine::model::{Money, NamedAction, PayerAction, Timestamp};
use maxpay_engine::secrets::{Sealer, SealingKey, Secret};
use serde_json::{Map, Value, json};

use crate::conformance::{
    About, BookOrder, BookPayment, BookRefund, BookState, Candidate, Card, Feature, Lack, Merchant, Play, Provider,
    Seal, Stage, rotated, rotations,
};
use crate::parts::digest::sha256;
use crate::sandbox::Sandbox;
use crate::simulator::FaultPlan;

use super::super::codes;
use super::super::notify::ACKNOWLEDGED;
use super::super::wire::{self, AnswerBody, SIGNATURE_HEADER, Signed};
use super::books::Books;
use super::order::{LedgerRow, OrderState};
use super::{IN_PROCESS, PayerCommand, SandboxClient, Simulator, SimulatorParts};

const FIRST: &str = "2088000000000001";
const OTHER: &str = "2088000000000002";

/// The sandbox, for the exam.
#[derive(Debug, Clone, Copy, Default)]
pub struct SandboxCandidate;

impl Candidate for SandboxCandidate {
    fn name(&self) -> String {
        codes::ADAPTER.to_owned()
    }

    fn adapter(&self) -> Arc<dyn Adapter> {
        Arc::new(Sandbox::new())
    }

    fn lacks(&self) -> Vec<Lack> {
        let lack = |feature, why| Lack { feature, code: None, why };
        vec![
            lack(Feature::Probes, "the provider sends no probes"),
            lack(Feature::TokenAmount, "a token of the sandbox says what its card does, and no amount"),
        ]
    }

    fn open(&self, stage: Stage) -> Result<Arc<dyn Provider>, String> {
        let key = SealingKey::from_text(&"42".repeat(32)).map_err(|why| why.to_string())?;
        let simulator = Simulator::open(SimulatorParts {
            base_url: IN_PROCESS.to_owned(),
            ledger: stage.ledger,
            clock: stage.clock,
            entropy: Arc::clone(&stage.entropy),
            sealer: Arc::new(Sealer::new(&key)),
        });
        let simulator = simulator.map_err(|why| why.to_string())?;
        let examined = Examined { simulator, entropy: stage.entropy };
        for merchant in [Merchant::First, Merchant::Other] {
            examined.enrol(merchant).map_err(|why| why.to_string())?;
        }
        Ok(Arc::new(examined))
    }
}

struct Examined {
    simulator: Arc<Simulator>,
    /// For tokens.
    entropy: Arc<dyn Entropy>,
}

impl Examined {
    fn enrol(&self, merchant: Merchant) -> Result<(), super::EnrolError> {
        let secret = |name| Secret::from_text(&secret(merchant, name, self.rotations(merchant)));
        self.simulator.enrol(merchant_id(merchant), secret("secret"), Some(secret("notify")))
    }

    /// Only the first merchant's keys are changed.
    fn rotations(&self, merchant: Merchant) -> u32 {
        if merchant == Merchant::First { rotations(&self.simulator.ledger) } else { 0 }
    }

    fn told(&self, number: &str) -> Option<(AnswerBody, bool)> {
        let _visit = self.simulator.enter();
        let mut books = Books::open(&self.simulator.ledger, self.simulator.now());
        let order = books.order(number, FIRST).ok()??;
        Some((order.told(0), !order.payments.is_empty()))
    }

    fn sealed(&self, body: &[u8], key: &Secret) -> RawNotification {
        let signature = wire::sign(key, Signed::Notice, self.simulator.now(), body);
        let headers =
            vec![("Content-Type".to_owned(), "application/json".to_owned()), (SIGNATURE_HEADER.to_owned(), signature)];
        RawNotification { headers, query: String::new(), body: Bytes::copy_from_slice(body) }
    }
}

impl Provider for Examined {
    fn settings(&self, merchant: Merchant) -> Map<String, Value> {
        let rotations = self.rotations(merchant);
        let settings = json!({
            "merchant_id": merchant_id(merchant),
            "base_url": IN_PROCESS,
            "secret": secret(merchant, "secret", rotations),
            "notify_secret": secret(merchant, "notify", rotations),
        });
        settings.as_object().cloned().unwrap_or_default()
    }

    fn client(&self) -> Arc<dyn HttpClient> {
        Arc::new(SandboxClient::new(Arc::clone(&self.simulator), None))
    }

    fn faults(&self) -> &FaultPlan {
        self.simulator.faults()
    }

    fn play(&self, number: &str, play: Play<'_>) -> Result<(), String> {
        let command = match play {
            Play::Open(action) => return self.open(number, action),
            Play::Pay => PayerCommand::Pay,
            Play::PayOther(money) => PayerCommand::PayOther(money.minor()),
            Play::Decline => PayerCommand::Decline,
            Play::PayLate => PayerCommand::PayLate,
            Play::Return => PayerCommand::Refund,
            Play::Hold | Play::Release | Play::Strand => return Err("no merchant refunds here".to_owned()),
        };
        self.simulator.payer(number, command).map(drop).map_err(|why| why.to_string())
    }

    fn token(&self, _amount: Money, card: Card) -> Option<Secret> {
        let card = match card {
            Card::Approve => "approve",
            Card::Decline => "decline",
            Card::Undecided => "processing",
        };
        let mut transaction_id = [0; 32];
        self.entropy.fill(&mut transaction_id);
        let token = json!({ "version": "SANDBOX_v1", "transaction_id": hex::encode(transaction_id), "card": card });
        Some(Secret::from_text(&token.to_string()))
    }

    fn notice(&self, about: About<'_>, seal: Seal) -> Option<RawNotification> {
        let (number, unmapped) = match about {
            About::Order(number) => (number, false),
            About::Unmapped(number) => (number, true),
            About::Refund(_) => return None,
        };
        let (mut body, is_paid) = self.told(number)?;
        let key = match seal {
            Seal::Genuine | Seal::OtherMerchant => self.simulator.merchants.notify_secret(FIRST)?,
            Seal::Stranger => Secret::from_text("a key that is not the provider's"),
            Seal::Probe => return None,
        };
        if !is_paid && seal == Seal::Stranger {
            body = self.lie(number)?;
        } else if !is_paid && !unmapped {
            return None;
        }
        if seal == Seal::OtherMerchant {
            OTHER.clone_into(&mut body.merchant_id);
        }
        let mut body = serde_json::to_value(&body).ok()?;
        if unmapped {
            body["state"] = "seized_by_a_court".into();
        }
        Some(self.sealed(body.to_string().as_bytes(), &key))
    }

    fn is_acknowledged(&self, answer: &Acknowledgement) -> bool {
        answer.status == 200 && answer.body.as_ref() == ACKNOWLEDGED
    }

    fn rotate(&self) -> Option<Map<String, Value>> {
        rotated(&self.simulator.ledger)?;
        self.enrol(Merchant::First).ok()?;
        Some(self.settings(Merchant::First))
    }

    fn tick(&self) {
        // Without a sink nothing is waited for, so it is ready at once.
        let ticked = self.simulator.tick(self.simulator.now()).now_or_never();
        if let Some(Err(error)) = ticked {
            tracing::error!(%error, "the simulated provider cannot use its books");
        }
    }

    fn falls_due(&self) -> Option<Timestamp> {
        self.simulator.next_due().ok().flatten()
    }

    fn books(&self) -> Vec<BookOrder> {
        self.simulator.ledger().unwrap_or_default().into_iter().map(book).collect()
    }
}

impl Examined {
    fn open(&self, number: &str, action: &NamedAction) -> Result<(), String> {
        let text = match &action.action {
            PayerAction::AppOrder { order } if order.contains('=') => order,
            PayerAction::Redirect { url } if url.starts_with(IN_PROCESS) => url,
            PayerAction::Form { html } => html,
            PayerAction::Redirect { url } => return self.open_address(number, url),
            // The other actions are handles that the provider gave out: there is nothing to prove.
            PayerAction::AppOrder { .. }
            | PayerAction::Prepay { .. }
            | PayerAction::QrText { .. }
            | PayerAction::WalletSession { .. } => return Ok(()),
        };
        let opened = self.simulator.open_order(text).map_err(|why| why.to_string())?;
        if opened == number { Ok(()) } else { Err("the order is of another number".to_owned()) }
    }

    /// An older address opens the same order; whether it can still be paid by it is the provider's matter.
    fn open_address(&self, number: &str, url: &str) -> Result<(), String> {
        let _visit = self.simulator.enter();
        let mut books = Books::open(&self.simulator.ledger, self.simulator.now());
        let order = books.order(number, FIRST).ok().flatten().ok_or("there is no such order")?;
        let is_its = url.split_once("&at=").is_some_and(|(its, _)| order.h5_link().starts_with(its));
        if is_its { Ok(()) } else { Err("the address is another order's".to_owned()) }
    }

    /// The order as if it had been paid.
    fn lie(&self, number: &str) -> Option<AnswerBody> {
        let _visit = self.simulator.enter();
        let mut books = Books::open(&self.simulator.ledger, self.simulator.now());
        let mut order = books.order(number, FIRST).ok()??;
        order.pay(order.amount, self.simulator.now());
        Some(order.told(0))
    }
}

fn merchant_id(merchant: Merchant) -> &'static str {
    match merchant {
        Merchant::First => FIRST,
        Merchant::Other => OTHER,
    }
}

fn secret(merchant: Merchant, name: &str, rotations: u32) -> String {
    hex::encode(sha256(format!("{} {name} {rotations}", merchant_id(merchant)).as_bytes()))
}

fn book(row: LedgerRow) -> BookOrder {
    let returned =
        (!row.returned.is_zero()).then_some(BookRefund { number: None, amount: row.returned, is_done: true });
    let state = match row.state {
        OrderState::Open => BookState::Open,
        OrderState::Processing => BookState::Processing,
        OrderState::Paid => BookState::Paid,
        OrderState::Closed => BookState::Closed,
        OrderState::Declined => BookState::Declined,
    };
    let payment = |paid: super::LedgerPayment| BookPayment { trade_number: paid.trade_number, amount: paid.amount };
    BookOrder {
        merchant: if row.merchant_id == FIRST { Merchant::First } else { Merchant::Other },
        number: row.number,
        state,
        amount: row.amount,
        expires_at: Some(row.expires_at),
        payments: row.payments.into_iter().map(payment).collect(),
        refunds: returned.into_iter().collect(),
    }
}
