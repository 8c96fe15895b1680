//! What sits the exam: an adapter, and the provider's side of its dialect to hold it against.
//!
//! The exam breaks the way between the two itself (nothing sent, answer lost, late, twice, cut, another status …), so a
//! simulator need not. It asks of the simulator only what nobody else can do: sign under a key, play the payer, show
//! its books.

use std::sync::Arc;

use maxpay_engine::channel::http::HttpClient;
use maxpay_engine::channel::{Acknowledgement, Adapter, RawNotification};
use maxpay_engine::clock::{Clock, Entropy};
use maxpay_engine::model::{ChannelCode, Money, NamedAction, Timestamp};
use maxpay_engine::secrets::Secret;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::simulator::{FaultPlan, Ledger};

/// An adapter with its provider's simulator, as it comes to the exam. One kind of account each: an adapter that takes
/// several kinds (two generations of keys, for instance) sits the exam once with each.
pub trait Candidate: Send + Sync {
    /// What the report calls it: the adapter's name, and the kind of account where there are several.
    fn name(&self) -> String;

    /// The adapter under exam.
    fn adapter(&self) -> Arc<dyn Adapter>;

    /// The codes that accounts of this kind serve; empty: all of the manifest's.
    fn codes(&self) -> Vec<ChannelCode> {
        Vec::new()
    }

    /// What the dialect does not have, each with the reason. What is not listed here is examined; what is listed and is
    /// there after all fails the exam. Operations are not listed here: the manifest says which of them exist.
    fn lacks(&self) -> Vec<Lack> {
        Vec::new()
    }

    /// Opens the provider with two merchants enrolled. Opened again on the books of another, it goes on where that one
    /// was: all that it knows lies in the ledger, keys that it was opened with apart; that they were changed lies there too.
    ///
    /// # Errors
    /// Why it cannot be opened, for people.
    fn open(&self, stage: Stage) -> Result<Arc<dyn Provider>, String>;
}

/// What a provider is opened with.
pub struct Stage {
    /// The time it lives in: the engine's, for the exam.
    pub clock: Arc<dyn Clock>,
    /// Its randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Its books: new ones, or those of a provider that was stopped.
    pub ledger: Ledger,
}

/// A provider's simulator, as the exam needs it. Everything it is told is durable in its ledger when a method returns.
pub trait Provider: Send + Sync {
    /// All settings of a merchant's account, secret ones too, by name, as an integrator would save them in test mode.
    /// The same at every call until [`Provider::rotate`].
    fn settings(&self, merchant: Merchant) -> Map<String, Value>;

    /// Carries requests to the provider, whatever hosts it has, in process. Requests for other hosts are *not sent*.
    fn client(&self) -> Arc<dyn HttpClient>;

    /// Faults that only the signer can make: the exam plans [`crate::simulator::How::Unsigned`],
    /// [`crate::simulator::How::Forged`] and [`crate::simulator::How::Busy`] here, for any call and number.
    fn faults(&self) -> &FaultPlan;

    /// Plays the payer, or the provider's console. What the provider would not let happen is refused with a reason and
    /// changes nothing; so is what [`Candidate::lacks`] lists.
    ///
    /// # Errors
    /// Why not, for people.
    fn play(&self, number: &str, play: Play<'_>) -> Result<(), String>;

    /// A token of the payer's for a charge of `amount`, each time another; with `card` the charge comes to that. Only
    /// for codes that are charged by *authorize*.
    fn token(&self, amount: Money, card: Card) -> Option<Secret> {
        let _ = (amount, card);
        None
    }

    /// The address a wallet says its session is to be had at, where the dialect has one.
    fn validation_url(&self) -> Option<String> {
        None
    }

    /// The notice that the provider would send now to the first merchant's notify address, signed now. `None`: there is
    /// nothing to tell (the number is not known, or nothing has happened to it), or the dialect lacks it.
    fn notice(&self, about: About<'_>, seal: Seal) -> Option<RawNotification>;

    /// Whether the provider takes this as an acknowledgement and does not repeat the notice.
    fn is_acknowledged(&self, answer: &Acknowledgement) -> bool;

    /// Signs with new keys from now on, and takes requests under both the old and the new. Gives the first merchant's
    /// settings that an integrator then saves; `None`: nothing has to be saved, the adapter finds the new keys itself;
    /// or the dialect lacks it.
    fn rotate(&self) -> Option<Map<String, Value>> {
        None
    }

    /// Does what has fallen due by its clock: refunds that settle later, payments that were put off. Called after each
    /// move of the clock.
    fn tick(&self) {}

    /// When the first thing that waits there is to be done: a notice that was not delivered, a refund that settles later.
    /// `None`: nothing waits, or the simulator does not say.
    fn falls_due(&self) -> Option<Timestamp> {
        None
    }

    /// Every order in its books, oldest first, both merchants'.
    fn books(&self) -> Vec<BookOrder>;

    /// Texts that must never be shown besides the account's secret settings: what is inside an encrypted token, for
    /// instance.
    fn never_shown(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Which of the two merchants that a provider knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Merchant {
    /// Whose account is under exam.
    First,
    /// Somebody else: another merchant id, app id or seller id, with keys of its own.
    Other,
}

impl Merchant {
    /// A name for its account, the same for ever: letters only.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Other => "other",
        }
    }
}

/// What happens to an order besides our own calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Play<'a> {
    /// The payer's device brings the payer action to the provider, which checks what there is to check: the signature of
    /// an order text, the client's signature of prepay parameters. A locally signed order is made by this; otherwise the
    /// books stay as they are. Again changes nothing.
    Open(&'a NamedAction),
    /// The payer pays what was asked.
    Pay,
    /// The payer pays this instead of what was asked.
    PayOther(Money),
    /// The payer's bank declines.
    Decline,
    /// Money is taken although the order has ended at the provider: the provider's own fault.
    PayLate,
    /// What was paid goes back wholly in the provider's console.
    Return,
    /// From now on the provider holds what is to go back of it: the merchant's balance is too small, for instance. It is
    /// not accepted, and the same again is executed after [`Play::Release`].
    Hold,
    /// What went against [`Play::Hold`] is over.
    Release,
    /// The next refund of it is accepted and then stuck until a person does something: the payer's account does not take
    /// it, for instance.
    Strand,
}

/// What a card behind a token does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Card {
    /// It pays.
    Approve,
    /// It declines.
    Decline,
    /// It is decided later; the charge is processing meanwhile.
    Undecided,
}

/// What a notice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About<'a> {
    /// The order of that number, as the books have it.
    Order(&'a str),
    /// The refund or void of that number.
    Refund(&'a str),
    /// The order of that number, with an event or a state that no document names.
    Unmapped(&'a str),
}

/// How a notice proves itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seal {
    /// As the provider's.
    Genuine,
    /// Well formed, under a key that is not the provider's. It says *paid* where the books do not.
    Stranger,
    /// The provider's own, for an order of the other merchant under the same number: it is that merchant's.
    OtherMerchant,
    /// The provider's own test of whether signatures are checked at all: deliberately wrong.
    Probe,
}

/// Something that a dialect does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// What.
    pub feature: Feature,
    /// Only for this code; `None`: for all.
    pub code: Option<ChannelCode>,
    /// Why, citing the provider's document. Shown in the report.
    pub why: &'static str,
}

/// What a dialect may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    /// [`Play::Decline`]: the provider does not tell of declined tries.
    Decline,
    /// [`Play::PayOther`].
    PayOther,
    /// [`Play::PayLate`].
    PayLate,
    /// [`Play::Return`].
    Return,
    /// [`Play::Hold`]: no answer says that a refund is held.
    Hold,
    /// [`Play::Strand`].
    Strand,
    /// [`About::Order`]: payments are not told of.
    PaymentNotices,
    /// [`About::Refund`]: refunds are not told of.
    RefundNotices,
    /// [`About::Unmapped`].
    UnmappedNotices,
    /// [`Seal::OtherMerchant`]: notices carry no owner because their key is one merchant's alone.
    OtherMerchantNotices,
    /// [`Seal::Probe`].
    Probes,
    /// Notices carry no time of their own, so that an old one cannot be told from a new one.
    NoticeAge,
    /// Answers to what is no query, or that nothing was found, echo neither number nor owner (all of them, or those the
    /// reason names): they count on their own request's connection.
    AnswerEcho,
    /// No answer says whose it is: the key that signs it is one merchant's alone.
    AnswerOwner,
    /// [`crate::simulator::How::Unsigned`]: answers are not signed at all, or the reason says which. Proof is then the
    /// connection alone.
    SignedAnswers,
    /// [`crate::simulator::How::Busy`]: no answer proves that nothing was executed.
    Busy,
    /// A refusal of refunds that come sooner than the manifest's `min_gap`. Where the provider names none, the claim is our
    /// own caution; so with the next two.
    EarlyRefunds,
    /// A refusal of more refunds of one payment than `count_max`.
    ManyRefunds,
    /// A refusal of refunds after the `window`.
    LateRefunds,
    /// [`Provider::rotate`].
    Rotation,
    /// Answers that an account with old keys can read, once they were changed: until the new ones are saved it has to ask
    /// again.
    OldKeys,
    /// [`Candidate::open`] on the books of another: the simulator keeps something elsewhere.
    Reopening,
    /// [`Provider::token`]: tokens do not say how much, so that one is as good as another.
    TokenAmount,
    /// The order's expiry cannot be seen in the books.
    Expiry,
}

/// An order as the provider's books have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookOrder {
    /// The merchant's number for it: one row for each order, so two rows of one number are two orders.
    pub number: String,
    /// Whose it is.
    pub merchant: Merchant,
    /// Where it stands now.
    pub state: BookState,
    /// What was asked for.
    pub amount: Money,
    /// After it nobody can pay; `None`: it never ends, or the dialect lacks it.
    pub expires_at: Option<Timestamp>,
    /// Every payment, oldest first.
    pub payments: Vec<BookPayment>,
    /// Every refund and void that the provider has accepted, oldest first, those of the console too.
    pub refunds: Vec<BookRefund>,
}

/// Where an order stands at the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BookState {
    /// It can be paid.
    Open,
    /// A charge that is not decided.
    Processing,
    /// It was paid, whatever went back since.
    Paid,
    /// It ended without money.
    Closed,
    /// It was refused for good.
    Declined,
}

impl BookState {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Processing => "processing",
            Self::Paid => "paid",
            Self::Closed => "closed",
            Self::Declined => "declined",
        }
    }
}

/// One payment in the provider's books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookPayment {
    /// The provider's number for it.
    pub trade_number: String,
    /// How much.
    pub amount: Money,
}

/// One refund or void in the provider's books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookRefund {
    /// The merchant's number for it; `None`: made in the console.
    pub number: Option<String>,
    /// How much.
    pub amount: Money,
    /// Whether the money went back. Otherwise it is under way or held.
    pub is_done: bool,
}
