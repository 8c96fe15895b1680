//! The simulated Alipay as the exam sees it.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use maxpay_engine::channel::http::HttpClient;
use maxpay_engine::channel::{Acknowledgement, Adapter, RawNotification};
use maxpay_engine::model::{Currency, Money, NamedAction, PayerAction, Timestamp};
use serde_json::{Map, Value};

use crate::alipay::Alipay;
use crate::conformance::{
    About, BookOrder, BookPayment, BookRefund, BookState, Candidate, Feature, Lack, Merchant, Play, Provider, Seal,
    Stage,
};
use crate::simulator::FaultPlan;

use super::super::notify::ACKNOWLEDGED;
use super::notices::told;
use super::trade::{Trade, TradeState};
use super::{AlipayClient, IN_PROCESS, KeyMode, Keys, PayerCommand, Simulator, SimulatorParts};

const FIRST: (&str, &str) = ("2021000000000001", "2088000000000001");
const OTHER: (&str, &str) = ("2021000000000002", "2088000000000002");

/// Alipay, for the exam: once with public keys, once with certificates.
#[derive(Debug, Clone, Copy)]
pub struct AlipayCandidate(pub KeyMode);

impl AlipayCandidate {
    /// The keys of every stage, because making them takes a while.
    fn keys(self) -> Arc<Keys> {
        static KEYS: [OnceLock<Arc<Keys>>; 2] = [const { OnceLock::new() }; 2];
        let at = match self.0 {
            KeyMode::PublicKey => 0,
            KeyMode::Certificates => 1,
        };
        Arc::clone(KEYS[at].get_or_init(|| Arc::new(Keys::generate(self.0, &[FIRST, OTHER]))))
    }
}

impl Candidate for AlipayCandidate {
    fn name(&self) -> String {
        match self.0 {
            KeyMode::PublicKey => "alipay (public key)".to_owned(),
            KeyMode::Certificates => "alipay (certificates)".to_owned(),
        }
    }

    fn adapter(&self) -> Arc<dyn Adapter> {
        Arc::new(Alipay::new())
    }

    fn lacks(&self) -> Vec<Lack> {
        let lack = |feature, why| Lack { feature, code: None, why };
        vec![
            lack(Feature::Decline, "a payer whose card declines tries another in the cashier; no method tells of it"),
            lack(
                Feature::AnswerOwner,
                "answers name the order, and neither application nor seller: the key that signs is one application's",
            ),
            lack(Feature::AnswerEcho, "alipay.trade.refund answers with the trade, and not with the refund's number"),
            lack(Feature::Strand, "alipay.trade.refund names no refund that waits for somebody once it was accepted"),
            lack(
                Feature::EarlyRefunds,
                "alipay.trade.refund asks for 3 s between two refunds, and none of its codes is about one that comes sooner",
            ),
            lack(
                Feature::ManyRefunds,
                "that a trade has 99 refunds at most is told of an older interface (66/103689); no code of \
                 alipay.trade.refund is about it",
            ),
            lack(Feature::Probes, "Alipay sends no probes"),
            lack(
                Feature::NoticeAge,
                "the same notice is repeated for 25 hours; nothing in it says how old one may be (open/270/105902)",
            ),
        ]
    }

    fn open(&self, stage: Stage) -> Result<Arc<dyn Provider>, String> {
        let gateway = IN_PROCESS.to_owned();
        let parts = SimulatorParts { gateway, ledger: stage.ledger, clock: stage.clock, keys: self.keys() };
        Ok(Arc::new(Examined(Simulator::open(parts))))
    }
}

struct Examined(Arc<Simulator>);

impl Provider for Examined {
    fn settings(&self, merchant: Merchant) -> Map<String, Value> {
        let rotations = match (merchant, self.0.keys.mode()) {
            (Merchant::First, KeyMode::PublicKey) => self.0.rotations().unwrap_or(0),
            (Merchant::First, KeyMode::Certificates) | (Merchant::Other, _) => 0,
        };
        self.0.keys.settings(owner(merchant).0, IN_PROCESS, rotations)
    }

    fn client(&self) -> Arc<dyn HttpClient> {
        Arc::new(AlipayClient::new(Arc::clone(&self.0), None))
    }

    fn faults(&self) -> &FaultPlan {
        self.0.faults()
    }

    fn play(&self, number: &str, play: Play<'_>) -> Result<(), String> {
        let command = match play {
            Play::Open(action) => return self.open(number, action),
            Play::Pay => PayerCommand::Pay,
            Play::PayOther(money) => PayerCommand::PayOther(money.minor()),
            Play::Decline => return Err("nobody is told of a declined try".to_owned()),
            Play::PayLate => PayerCommand::PayLate,
            Play::Hold => PayerCommand::Poor(true),
            Play::Release => PayerCommand::Poor(false),
            Play::Strand => return Err("a refund is done or refused at once".to_owned()),
            Play::Return => {
                let trade = self.trade(number).ok_or("the order is not known")?;
                PayerCommand::Refund(trade.total_minor().saturating_sub(trade.returned_minor()))
            }
        };
        self.0.payer(FIRST.0, number, command).map(drop).map_err(|why| why.to_string())
    }

    fn notice(&self, about: About<'_>, seal: Seal) -> Option<RawNotification> {
        let (number, unmapped) = match about {
            About::Order(number) => (number, false),
            About::Unmapped(number) => (number, true),
            About::Refund(refund) => (refund.get(..refund.len().checked_sub(4)?)?, false),
        };
        let mut trade = self.trade(number)?;
        if trade.payment.is_none() && (unmapped || seal == Seal::Stranger) {
            let amount = trade.amount_minor;
            trade.pay(amount, self.0.now());
        }
        if seal == Seal::OtherMerchant {
            OTHER.0.clone_into(&mut trade.app_id);
            OTHER.1.clone_into(&mut trade.seller_id);
        }
        if matches!(about, About::Refund(_)) && trade.refunds.is_empty() || seal == Seal::Probe {
            return None;
        }
        let mut pairs = told(&trade)?;
        if unmapped {
            pairs.retain(|(name, _)| name != "trade_status");
            pairs.push(("trade_status".to_owned(), "SEIZED_BY_A_COURT".to_owned()));
        }
        let headers = vec![("Content-Type".to_owned(), "application/x-www-form-urlencoded".to_owned())];
        let body = Bytes::from(self.0.sealed(&pairs, seal == Seal::Stranger));
        Some(RawNotification { headers, query: String::new(), body })
    }

    fn is_acknowledged(&self, answer: &Acknowledgement) -> bool {
        answer.status == 200 && answer.body.as_ref() == ACKNOWLEDGED
    }

    fn rotate(&self) -> Option<Map<String, Value>> {
        self.0.rotate().ok()?;
        match self.0.keys.mode() {
            KeyMode::PublicKey => Some(self.settings(Merchant::First)),
            KeyMode::Certificates => None,
        }
    }

    fn falls_due(&self) -> Option<Timestamp> {
        self.0.next_due().ok().flatten()
    }

    fn books(&self) -> Vec<BookOrder> {
        let mut trades = self.0.trades().unwrap_or_default();
        trades.sort_by_key(|trade| trade.made_at);
        trades.into_iter().map(book).collect()
    }
}

impl Examined {
    fn trade(&self, number: &str) -> Option<Trade> {
        self.0.trade(FIRST.0, number).ok()?
    }

    fn open(&self, number: &str, action: &NamedAction) -> Result<(), String> {
        let text = match &action.action {
            PayerAction::AppOrder { order } => order,
            PayerAction::Redirect { url } => url,
            PayerAction::QrText { text } => {
                let trade = self.trade(number).ok_or("the order is not known")?;
                if !trade.codes(self.0.now()).any(|code| code == *text) {
                    return Err("the code is another order's, or older than two hours".to_owned());
                }
                return self.0.payer(FIRST.0, number, PayerCommand::Scan).map(drop).map_err(|why| why.to_string());
            }
            PayerAction::Form { .. } | PayerAction::Prepay { .. } | PayerAction::WalletSession { .. } => {
                return Err("Alipay has no such action".to_owned());
            }
        };
        let opened = self.0.open_order(text).map_err(|why| why.to_string())?;
        if opened == number { Ok(()) } else { Err("the order is of another number".to_owned()) }
    }
}

fn owner(merchant: Merchant) -> (&'static str, &'static str) {
    match merchant {
        Merchant::First => FIRST,
        Merchant::Other => OTHER,
    }
}

fn book(trade: Trade) -> BookOrder {
    let money = |minor| Money::new(minor, Currency::CNY).unwrap_or(Money::zero(Currency::CNY));
    let state = match trade.state {
        TradeState::Coded | TradeState::Wait => BookState::Open,
        TradeState::Success | TradeState::Finished => BookState::Paid,
        TradeState::Closed if trade.payment.is_some() => BookState::Paid,
        TradeState::Closed => BookState::Closed,
    };
    let payment = trade.payment.as_ref();
    let payment =
        payment.map(|paid| BookPayment { trade_number: trade.trade_no.clone(), amount: money(paid.amount_minor) });
    let refund = |row: &super::RefundRow| BookRefund {
        number: row.request_no.clone(),
        amount: money(row.amount_minor),
        is_done: true,
    };
    BookOrder {
        merchant: if trade.app_id == FIRST.0 { Merchant::First } else { Merchant::Other },
        state,
        amount: money(trade.amount_minor),
        expires_at: Some(trade.expires_at),
        payments: payment.into_iter().collect(),
        refunds: trade.refunds.iter().map(refund).collect(),
        number: trade.number,
    }
}
