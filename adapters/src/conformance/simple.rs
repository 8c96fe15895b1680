//! Books for the plainest kind of provider: orders that are created, queried, closed and paid. Whoever writes a channel
//! of that kind writes its [`Dialect`], and has a provider for the exam.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use maxpay_engine::channel::http::{HttpClient, HttpReply, HttpRequest, SendFailure, SendLimits};
use maxpay_engine::channel::{Acknowledgement, Adapter, RawNotification};
use maxpay_engine::model::{CallKind, Money, NamedAction, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::parts::digest::{digits, sha256};
use crate::simulator::{Changes, FaultPlan, How, When};

use super::provider::{
    About, BookOrder, BookPayment, BookState, Candidate, Feature, Lack, Merchant, Play, Provider, Seal, Stage,
};
use super::rotations::{rotated, rotations};

/// How a simple provider reads and writes. Keys follow from the merchant and the number of rotations.
pub trait Dialect: Send + Sync + 'static {
    /// As [`Provider::settings`], after so many rotations of the merchant's keys.
    fn settings(&self, merchant: Merchant, rotations: u32) -> Map<String, Value>;

    /// Reads a request, and verifies it as the provider does: under the keys of every rotation so far.
    ///
    /// # Errors
    /// What is answered to a request that is refused at the door; `None`: there is no such address, nothing arrives.
    fn read(&self, request: &HttpRequest, moment: Moment) -> Result<Asked, Option<HttpReply>>;

    /// Writes the answer to what was asked.
    fn reply(&self, asked: &Asked, found: &Found, signed: Signed, moment: Moment) -> HttpReply;

    /// Writes the notice about an order, signed with the first merchant's newest key. `unmapped`: with a state that no
    /// document names.
    fn notice(&self, order: &Order, signed: Signed, unmapped: bool, moment: Moment) -> RawNotification;

    /// As [`Provider::is_acknowledged`].
    fn is_acknowledged(&self, answer: &Acknowledgement) -> bool;

    /// Whether the payer action is the one that the provider gave out for that order.
    fn opens(&self, order: &Order, action: &NamedAction) -> bool;
}

/// What a provider knows of the moment.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The time now.
    pub now: Timestamp,
    /// How often the keys were changed so far.
    pub rotations: u32,
}

/// What a request asks.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Create, query or close.
    pub kind: CallKind,
    /// Who asks.
    pub merchant: Merchant,
    /// Under the key of which rotation: the answer is signed with the same.
    pub rotation: u32,
    /// About which number.
    pub number: String,
    /// Of a create: the amount, and when the order ends.
    pub order: Option<(Money, Timestamp)>,
    /// Everything a create says, in any form: the same words are the same order, others are a conflict.
    pub content: Vec<u8>,
}

/// What a request finds.
#[derive(Debug, Clone)]
pub enum Found {
    /// The order, as it is after it.
    Order(Order),
    /// No order of that number.
    Nothing,
    /// The number stands for another order.
    Conflict,
    /// Nothing was looked for: too much is to be done.
    Busy,
}

impl Found {
    /// Its name: an order's state, or `unknown`, `conflict` or `busy`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Order(order) => order.state.name(),
            Self::Nothing => "unknown",
            Self::Conflict => "conflict",
            Self::Busy => "busy",
        }
    }
}

/// How an answer is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    /// As the provider's.
    Own,
    /// Under a key that is not the provider's.
    Stranger,
    /// Not at all.
    Not,
}

/// An order in the books.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Order {
    /// Whose it is.
    pub merchant: Merchant,
    /// The merchant's number for it.
    pub number: String,
    /// Minor units.
    pub amount_minor: u64,
    /// ISO code.
    pub currency: String,
    /// Where it stands.
    pub state: BookState,
    /// The provider's number for the payment; it is there once it is paid.
    pub trade_number: Option<String>,
    /// After it nobody can pay.
    pub expires_at: Timestamp,
    content: [u8; 32],
}

impl Order {
    fn key(merchant: Merchant, number: &str) -> String {
        format!("order/{number}/{merchant:?}")
    }

    fn pay(&mut self) {
        self.state = BookState::Paid;
        self.trade_number = Some(digits(format!("{:?} {}", self.merchant, self.number).as_bytes(), 20));
    }

    fn book(self) -> Option<BookOrder> {
        let amount = Money::read(self.amount_minor, &self.currency).ok()?;
        Some(BookOrder {
            number: self.number,
            merchant: self.merchant,
            state: self.state,
            amount,
            expires_at: Some(self.expires_at),
            payments: self.trade_number.into_iter().map(|trade_number| BookPayment { trade_number, amount }).collect(),
            refunds: Vec::new(),
        })
    }
}

/// What sits the exam with a simple provider. What such a provider cannot play, its dialect lacks.
pub struct SimpleCandidate {
    name: &'static str,
    adapter: fn() -> Arc<dyn Adapter>,
    open: fn(Stage) -> Arc<dyn Provider>,
}

impl SimpleCandidate {
    /// A candidate of that name, with the adapter and the provider's dialect that are made by `default`.
    #[must_use]
    pub fn new<A: Adapter + Default, D: Dialect + Default>(name: &'static str) -> Self {
        Self { name, adapter: || Arc::new(A::default()), open: |stage| SimpleProvider::open(D::default(), stage) }
    }
}

impl Candidate for SimpleCandidate {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn adapter(&self) -> Arc<dyn Adapter> {
        (self.adapter)()
    }

    fn lacks(&self) -> Vec<Lack> {
        let lack = |feature, why| Lack { feature, code: None, why };
        vec![
            lack(Feature::Decline, "a payer who is declined tries again, and nobody is told"),
            lack(Feature::PayOther, "the payer cannot choose the amount"),
            lack(Feature::Return, "the provider's console gives nothing back"),
            lack(Feature::Probes, "the provider sends no probes"),
        ]
    }

    fn open(&self, stage: Stage) -> Result<Arc<dyn Provider>, String> {
        Ok((self.open)(stage))
    }
}

/// A provider of the plainest kind. It plays [`Play::Open`], [`Play::Pay`] and [`Play::PayLate`]; its candidate lacks the
/// others.
pub struct SimpleProvider<D>(Arc<Books<D>>);

struct Books<D> {
    dialect: D,
    stage: Stage,
    faults: FaultPlan,
}

impl<D: Dialect> SimpleProvider<D> {
    /// Opens it on the stage's books.
    #[must_use]
    pub fn open(dialect: D, stage: Stage) -> Arc<dyn Provider> {
        Arc::new(Self(Arc::new(Books { dialect, stage, faults: FaultPlan::default() })))
    }
}

impl<D: Dialect> Books<D> {
    fn moment(&self) -> Moment {
        Moment { now: self.stage.clock.now().wall, rotations: rotations(&self.stage.ledger) }
    }

    /// The order as of now: one whose time is over is closed.
    fn order(&self, merchant: Merchant, number: &str) -> Option<Order> {
        let mut order: Order = self.stage.ledger.row(&Order::key(merchant, number)).ok()??;
        if order.state == BookState::Open && self.moment().now >= order.expires_at {
            order.state = BookState::Closed;
        }
        Some(order)
    }

    fn put(&self, order: &Order) -> Result<(), String> {
        let mut changes = Changes::default();
        changes.put(Order::key(order.merchant, &order.number), order);
        self.stage.ledger.commit(changes).map_err(|why| why.to_string())
    }

    fn execute(&self, asked: &Asked) -> Result<Found, String> {
        let content = sha256(&asked.content);
        Ok(match (asked.kind, self.order(asked.merchant, &asked.number), asked.order) {
            (CallKind::Create, Some(order), _) if order.content != content => Found::Conflict,
            (CallKind::Create, None, Some((amount, expires_at))) => {
                let order = Order {
                    merchant: asked.merchant,
                    number: asked.number.clone(),
                    amount_minor: amount.minor(),
                    currency: amount.currency().to_string(),
                    state: BookState::Open,
                    trade_number: None,
                    expires_at,
                    content,
                };
                self.put(&order)?;
                Found::Order(order)
            }
            (CallKind::Close, Some(mut order), _) if order.state == BookState::Open => {
                order.state = BookState::Closed;
                self.put(&order)?;
                Found::Order(order)
            }
            (_, Some(order), _) => Found::Order(order),
            (_, None, _) => Found::Nothing,
        })
    }

    fn serve(&self, request: &HttpRequest) -> Result<HttpReply, SendFailure> {
        let asked = match self.dialect.read(request, self.moment()) {
            Ok(asked) => asked,
            Err(Some(refusal)) => return Ok(refusal),
            Err(None) => return Err(SendFailure::NotSent("there is nothing at this address".to_owned())),
        };
        let fault = self.faults.take(asked.kind, &asked.number);
        let found = match fault {
            Some((When::BeforeExecution, _)) => Found::Busy,
            Some((When::AfterExecution, _)) | None => self.execute(&asked).map_err(SendFailure::Unknown)?,
        };
        let signed = match fault {
            Some((_, How::Unsigned)) => Signed::Not,
            Some((_, How::Forged)) => Signed::Stranger,
            Some(_) | None => Signed::Own,
        };
        Ok(self.dialect.reply(&asked, &found, signed, self.moment()))
    }
}

impl<D: Dialect> HttpClient for SimpleProvider<D> {
    fn send(&self, request: HttpRequest, _: SendLimits) -> BoxFuture<'static, Result<HttpReply, SendFailure>> {
        Box::pin(std::future::ready(self.0.serve(&request)))
    }
}

impl<D: Dialect> Provider for SimpleProvider<D> {
    fn settings(&self, merchant: Merchant) -> Map<String, Value> {
        let rotations = if merchant == Merchant::First { self.0.moment().rotations } else { 0 };
        self.0.dialect.settings(merchant, rotations)
    }

    fn client(&self) -> Arc<dyn HttpClient> {
        Arc::new(Self(Arc::clone(&self.0)))
    }

    fn faults(&self) -> &FaultPlan {
        &self.0.faults
    }

    fn play(&self, number: &str, play: Play<'_>) -> Result<(), String> {
        let mut order = self.0.order(Merchant::First, number).ok_or("there is no such order")?;
        match play {
            Play::Open(action) if self.0.dialect.opens(&order, action) => Ok(()),
            Play::Open(_) => Err("it is of another order".to_owned()),
            Play::Pay if order.state != BookState::Open => Err(format!("the order is {:?}", order.state)),
            Play::Pay | Play::PayLate => {
                order.pay();
                self.0.put(&order)
            }
            Play::PayOther(_) | Play::Decline | Play::Return | Play::Hold | Play::Release | Play::Strand => {
                Err("a simple provider knows no such thing".to_owned())
            }
        }
    }

    fn notice(&self, about: About<'_>, seal: Seal) -> Option<RawNotification> {
        let (number, unmapped) = match about {
            About::Order(number) => (number, false),
            About::Unmapped(number) => (number, true),
            About::Refund(_) => return None,
        };
        let mut order = self.0.order(Merchant::First, number)?;
        let mut signed = Signed::Own;
        match seal {
            Seal::Genuine => {}
            Seal::Stranger => {
                signed = Signed::Stranger;
                order.pay();
            }
            Seal::OtherMerchant => order.merchant = Merchant::Other,
            Seal::Probe => return None,
        }
        let is_told = unmapped || order.state == BookState::Paid;
        is_told.then(|| self.0.dialect.notice(&order, signed, unmapped, self.0.moment()))
    }

    fn is_acknowledged(&self, answer: &Acknowledgement) -> bool {
        self.0.dialect.is_acknowledged(answer)
    }

    fn rotate(&self) -> Option<Map<String, Value>> {
        rotated(&self.0.stage.ledger)?;
        Some(self.settings(Merchant::First))
    }

    fn books(&self) -> Vec<BookOrder> {
        let rows = self.0.stage.ledger.rows::<Order>("order/", usize::MAX).unwrap_or_default();
        let orders = rows.into_iter().filter_map(|(_, row)| self.0.order(row.merchant, &row.number));
        orders.filter_map(Order::book).collect()
    }
}
