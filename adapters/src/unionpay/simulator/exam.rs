//! The simulated UnionPay as the exam sees it.

use std::sync::{Arc, OnceLock};

use futures_util::FutureExt;
use maxpay_engine::channel::http::HttpClient;
use maxpay_engine::channel::{Acknowledgement, Adapter, RawNotification};
use maxpay_engine::model::{Currency, Money, NamedAction, PayerAction, Timestamp};
use maxpay_engine::secrets::Secret;
use serde_json::{Map, Value, json};

use crate::conformance::{
    About, BookOrder, BookPayment, BookRefund, BookState, Candidate, Feature, Lack, Merchant, Play, Provider, Seal,
    Stage, rotated, rotations,
};
use crate::simulator::FaultPlan;
use crate::unionpay::UnionPay;

use super::authority::Signer;
use super::notices::notice_of;
use super::order::{Order, OrderState};
use super::{Authority, IN_PROCESS, MerchantKey, PayerCommand, Simulator, SimulatorClient, SimulatorParts};

const FIRST: &str = "777290058110048";
const OTHER: &str = "777290058110097";
const PASSWORD: &str = "000000-simulated";

/// UnionPay, for the exam.
#[derive(Debug, Clone, Copy, Default)]
pub struct UnionPayCandidate;

/// Keys of one process: making them takes a second, and the exam opens many providers.
struct Keys {
    authority: Arc<Authority>,
    /// The first merchant's, before and after a change, and the other's.
    merchants: [MerchantKey; 3],
}

static KEYS: OnceLock<Result<Keys, String>> = OnceLock::new();

fn keys() -> Result<&'static Keys, String> {
    let made = KEYS.get_or_init(|| {
        let make = || -> Result<Keys, super::AuthorityError> {
            let authority = Authority::generate()?;
            let password = Secret::from_text(PASSWORD);
            let merchants = [
                authority.issue_merchant(FIRST, 69_903_319_369, &password)?,
                authority.issue_merchant(FIRST, 69_903_319_370, &password)?,
                authority.issue_merchant(OTHER, 69_903_319_371, &password)?,
            ];
            Ok(Keys { authority: Arc::new(authority), merchants })
        };
        make().map_err(|error| error.to_string())
    });
    made.as_ref().map_err(Clone::clone)
}

impl Candidate for UnionPayCandidate {
    fn name(&self) -> String {
        crate::unionpay::ADAPTER.to_owned()
    }

    fn adapter(&self) -> Arc<dyn Adapter> {
        Arc::new(UnionPay::new())
    }

    fn lacks(&self) -> Vec<Lack> {
        let lack = |feature, why| Lack { feature, code: None, why };
        vec![
            lack(Feature::Return, "a refund is found only under its own number; its payment stays 00"),
            lack(Feature::Hold, "no response code says that a refund waits for the merchant's balance"),
            lack(Feature::Strand, "no response code says that a refund waits for a person"),
            lack(Feature::EarlyRefunds, "no document asks for time between two refunds"),
            lack(
                Feature::ManyRefunds,
                "a payment may be refunded many times (Form_6_4_Refund), and no number is named",
            ),
            lack(
                Feature::LateRefunds,
                "refunds are for payments of the last eleven months (Form_6_4_Refund), and no response code is named for \
                 older ones",
            ),
            lack(Feature::Probes, "UnionPay sends no probes"),
            lack(Feature::NoticeAge, "a notice carries the order's time, and none of its own"),
        ]
    }

    fn open(&self, stage: Stage) -> Result<Arc<dyn Provider>, String> {
        let keys = keys()?;
        let simulator = Simulator::open(SimulatorParts {
            base_url: IN_PROCESS.to_owned(),
            ledger: stage.ledger,
            clock: stage.clock,
            authority: Arc::clone(&keys.authority),
        });
        let enrol = |merchant, index: usize| {
            simulator.enrol(merchant, &keys.merchants[index].certificate).map_err(|error| error.to_string())
        };
        enrol(FIRST, 0)?;
        enrol(OTHER, 2)?;
        Ok(Arc::new(Examined { simulator, keys }))
    }
}

struct Examined {
    simulator: Arc<Simulator>,
    keys: &'static Keys,
}

impl Examined {
    fn order(&self, number: &str) -> Option<Order> {
        let _visit = self.simulator.enter();
        self.simulator.order(FIRST, number).ok().flatten()
    }

    fn sealed(&self, order: &Order, signer: &Signer) -> RawNotification {
        let headers = vec![("Content-Type".to_owned(), "application/x-www-form-urlencoded;charset=utf-8".to_owned())];
        let body = notice_of(order, signer, self.simulator.now());
        RawNotification { headers, query: String::new(), body }
    }

    fn open(&self, number: &str, action: &NamedAction) -> Result<(), String> {
        match &action.action {
            PayerAction::Form { html } => {
                let opened = self.simulator.open_page(html).map_err(|why| why.to_string())?;
                if opened == number { Ok(()) } else { Err("the form is of another number".to_owned()) }
            }
            PayerAction::AppOrder { order } => {
                let known = self.order(number).ok_or("there is no such order")?;
                if known.tn() != *order {
                    return Err("the tn is another order's".to_owned());
                }
                if known.opened {
                    return Ok(());
                }
                self.simulator.payer(number, PayerCommand::Open).map(drop).map_err(|why| why.to_string())
            }
            PayerAction::Redirect { .. }
            | PayerAction::Prepay { .. }
            | PayerAction::QrText { .. }
            | PayerAction::WalletSession { .. } => Err("UnionPay gives no such action".to_owned()),
        }
    }
}

impl Provider for Examined {
    fn settings(&self, merchant: Merchant) -> Map<String, Value> {
        let rotated = rotations(&self.simulator.ledger) > 0;
        let (merchant_id, index) = match merchant {
            Merchant::First => (FIRST, usize::from(rotated)),
            Merchant::Other => (OTHER, 2),
        };
        let settings = json!({
            "merchant_id": merchant_id,
            "gateway": IN_PROCESS,
            "certificates": self.keys.authority.certificates(),
            "pfx": self.keys.merchants[index].pfx.expose_text(),
            "pfx_password": PASSWORD,
        });
        settings.as_object().cloned().unwrap_or_default()
    }

    fn client(&self) -> Arc<dyn HttpClient> {
        Arc::new(SimulatorClient::new(Arc::clone(&self.simulator), None))
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
            Play::Hold | Play::Release | Play::Strand => return Err("no refund is held".to_owned()),
            Play::Return => return Err("a refund in the console does not show in its payment".to_owned()),
        };
        self.simulator.payer(number, command).map(drop).map_err(|why| why.to_string())
    }

    fn notice(&self, about: About<'_>, seal: Seal) -> Option<RawNotification> {
        let (number, unmapped, payment) = match about {
            About::Order(number) => (number, false, true),
            About::Unmapped(number) => (number, true, true),
            About::Refund(number) => (number, false, false),
        };
        let mut order = self.order(number).filter(|order| order.is_payment() == payment)?;
        if unmapped {
            "98".clone_into(&mut order.txn_type);
        }
        let authority = &self.keys.authority;
        match seal {
            Seal::Genuine if unmapped || order.state == OrderState::Done => {
                Some(self.sealed(&order, self.simulator.signer()))
            }
            Seal::Genuine | Seal::Probe => None,
            Seal::Stranger => {
                order.state = OrderState::Done;
                order.decided_at = Some(self.simulator.now());
                // A merchant's own certificate passes the chain: only its name gives this one away.
                Some(self.sealed(&order, &authority.merchant_type))
            }
            Seal::OtherMerchant => {
                OTHER.clone_into(&mut order.merchant_id);
                Some(self.sealed(&order, self.simulator.signer()))
            }
        }
    }

    fn is_acknowledged(&self, answer: &Acknowledgement) -> bool {
        answer.status == 200
    }

    fn rotate(&self) -> Option<Map<String, Value>> {
        self.simulator.rotate().ok()?;
        self.simulator.enrol(FIRST, &self.keys.merchants[1].certificate).ok()?;
        rotated(&self.simulator.ledger)?;
        Some(self.settings(Merchant::First))
    }

    fn tick(&self) {
        // Without a sink nothing is waited for, so it is ready at once.
        if let Some(Err(error)) = self.simulator.tick(self.simulator.now()).now_or_never() {
            tracing::error!(%error, "the simulated UnionPay cannot use its books");
        }
    }

    fn falls_due(&self) -> Option<Timestamp> {
        self.simulator.next_due().ok().flatten()
    }

    fn books(&self) -> Vec<BookOrder> {
        let all = self.simulator.books().unwrap_or_default();
        all.iter().filter(|order| order.is_payment()).map(|payment| book(payment, &all, self.simulator.now())).collect()
    }
}

fn book(payment: &Order, all: &[Order], now: maxpay_engine::model::Timestamp) -> BookOrder {
    let money = |minor| Money::new(minor, Currency::CNY).unwrap_or_else(|_| Money::zero(Currency::CNY));
    let state = match payment.state {
        OrderState::Done | OrderState::DoneTooLate => BookState::Paid,
        OrderState::Open | OrderState::Underway | OrderState::Failed if payment.is_expired(now) => BookState::Closed,
        OrderState::Open | OrderState::Underway | OrderState::Failed => BookState::Open,
    };
    let backs = all.iter().filter(|order| order.original.as_deref() == Some(payment.query_id.as_str()));
    BookOrder {
        number: payment.number.clone(),
        merchant: if payment.merchant_id == FIRST { Merchant::First } else { Merchant::Other },
        state,
        amount: money(payment.amount),
        expires_at: payment.expires_at,
        payments: payment
            .paid
            .map(|paid| BookPayment { trade_number: payment.query_id.clone(), amount: money(paid) })
            .into_iter()
            .collect(),
        refunds: backs
            .filter(|back| back.state != OrderState::Failed)
            .map(|back| BookRefund {
                number: Some(back.number.clone()),
                amount: money(back.amount),
                is_done: back.state == OrderState::Done,
            })
            .collect(),
    }
}
