//! What happens to a payment, to the answers on its way and to the server: chosen by the seed before it happens.

use std::time::Duration;

use maxpay_adapters::sandbox::simulator::{Magic, PayerCommand};
use maxpay_engine::model::Door;

use super::chance::Chance;

/// One payment.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its number in the storm.
    pub index: u64,
    /// Through which API the merchant starts it.
    pub door: Door,
    /// The channel code.
    pub channel: &'static str,
    /// What it costs.
    pub amount: u64,
    /// What the payer does.
    pub payer: Payer,
    /// How much later.
    pub payer_after: Duration,
    /// What the merchant does after its create was answered.
    pub merchant: Merchant,
    /// Until it expires.
    pub timeout_s: u64,
    /// Whether the merchant sends an idempotency key.
    pub keyed: bool,
}

/// What the payer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payer {
    /// This.
    Does(PayerCommand),
    /// Nothing beyond what the amount chooses.
    Nothing,
}

/// What the merchant does after its create was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merchant {
    /// Waits for the webhook.
    Waits,
    /// Closes it so much later.
    Closes(Duration),
    /// Closes it; then the provider takes money for it all the same.
    ClosesAndIsPaidLate,
    /// Starts another payment of the same bill number; only `/2.0` has this.
    BillsAgain,
}

impl Plan {
    /// The plan of payment `index`.
    #[must_use]
    pub fn of(seed: u64, index: u64) -> Self {
        let mut chance = Chance::of(seed, "payment", index);
        let door = chance.weighted(&[(6, Door::Native), (4, Door::Original)]);
        let channel = chance.weighted(&[(5, "wx_native"), (2, "ali_qrcode"), (2, "ali_app"), (1, "unipay_app")]);
        let short = Duration::from_millis(chance.below(400));
        let plain = 1_000 + index % 5_000;
        let magic = |magic: Magic| (Payer::Nothing, magic.amount_minor());
        let does = |command| (Payer::Does(command), plain);
        let (payer, amount) = match chance.below(100) {
            0..40 => does(PayerCommand::Pay),
            40..46 => does(PayerCommand::PayTwice),
            46..48 => does(PayerCommand::PayOther(plain + 1)),
            48..54 => does(PayerCommand::Decline),
            54..66 => (Payer::Nothing, plain),
            66..69 => does(PayerCommand::NotifyForged),
            69..73 => does(PayerCommand::NotifyNever),
            73..76 => does(PayerCommand::NotifyWrongOwner),
            76..81 => magic(Magic::PayNow),
            81..85 => magic(Magic::ErrorThenPaid),
            85..88 => magic(Magic::GarbageThenPaid),
            88..94 => magic(Magic::AnswerLost),
            94..97 => magic(Magic::PayTwice),
            _ => magic(Magic::NotifyNever),
        };
        let merchant = match chance.below(100) {
            0..70 => Merchant::Waits,
            70..85 => Merchant::Closes(short),
            85..90 if payer == Payer::Nothing && amount == plain => Merchant::ClosesAndIsPaidLate,
            _ if door == Door::Original => Merchant::BillsAgain,
            _ => Merchant::Waits,
        };
        // A create is sent again 9 s after it left at the earliest: half of them live to see it.
        let timeout_s = chance.weighted(&[(1, 4), (1, 16)]);
        Self {
            index,
            door,
            channel,
            amount,
            payer,
            payer_after: chance.millis(0, 600),
            merchant,
            timeout_s,
            keyed: chance.below(3) == 0,
        }
    }

    /// The bill number.
    #[must_use]
    pub fn bill_num(&self) -> String {
        match self.door {
            Door::Native => format!("n-{}", self.index),
            Door::Original => format!("o-{}", self.index),
        }
    }

    /// The subject, by which the provider's side knows the plan again.
    #[must_use]
    pub fn subject(&self) -> String {
        format!("Storm {}", self.index)
    }
}

/// The number of the plan that a subject names.
#[must_use]
pub fn index_of(subject: &str) -> Option<u64> {
    subject.strip_prefix("Storm ")?.parse().ok()
}

/// What becomes of a request to the provider and of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Nothing happens to them.
    Straight,
    /// The answer comes so many milliseconds later.
    Late(u64),
    /// The provider never hears of it.
    LostBefore,
    /// The answer is lost.
    LostAfter,
    /// A gateway answers 502 and passes nothing on.
    Gateway,
}

impl Fate {
    /// The fate of an exchange about payment `index`, the nth.
    #[must_use]
    pub fn of(seed: u64, index: u64, nth: u64) -> Self {
        let mut chance = Chance::of(seed, "exchange", index.wrapping_mul(1_000) + nth);
        let late = 20 + chance.below(500);
        let fates = [
            (67, Self::Straight),
            (14, Self::Late(late)),
            (5, Self::LostBefore),
            (10, Self::LostAfter),
            (4, Self::Gateway),
        ];
        chance.weighted(&fates)
    }
}

/// When notifications are delivered, each so long after it was made; none: never.
#[must_use]
pub fn deliveries(seed: u64, index: u64, nth: u64) -> Vec<Duration> {
    let mut chance = Chance::of(seed, "notice", index.wrapping_mul(1_000) + nth);
    let (soon, late) = (chance.millis(0, 30), chance.millis(200, 2_000));
    match chance.below(100) {
        0..60 => vec![soon],
        60..78 => vec![late],
        78..90 => vec![soon, late],
        _ => Vec::new(),
    }
}

/// How the server is ended, the nth time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kill {
    /// By SIGKILL, so long after it was ready.
    After(Duration),
    /// By itself, when it passes that point of a commit for the nth time.
    At(&'static str, u64),
}

/// The nine named points of a commit.
pub const POINTS: [&str; 9] = [
    "BatchTaken",
    "BeforeJournalCommit",
    "AfterJournalCommit",
    "AfterOverlay",
    "BeforeReply",
    "BeforeCheckpointCommit",
    "AfterCheckpointCommit",
    "BeforeCut",
    "AfterCut",
];

impl Kill {
    /// The nth kill: every other one at a point, the points in turn.
    #[must_use]
    pub fn of(seed: u64, nth: u64) -> Self {
        let mut chance = Chance::of(seed, "kill", nth);
        if nth.is_multiple_of(2) {
            return Self::After(chance.millis(5, 450));
        }
        let place = usize::try_from(nth / 2 % 9).expect("below nine");
        let passes = if place < 5 { 1 + chance.below(25) } else { 1 };
        Self::At(POINTS[place], passes)
    }
}
