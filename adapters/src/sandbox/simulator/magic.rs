//! Amounts that choose what happens, for whoever has no simulator at hand but an API.
//!
//! The amount is in minor units, whatever the currency. It acts once, when the provider first learns of the order: at
//! the create or the charge, and for locally signed codes when the payer opens the order.
//!
//! | minor units | what happens |
//! |---|---|
//! | 990001 | paid at once |
//! | 990002 | paid 5 seconds later |
//! | 990003 | nobody pays (a charge stays undecided until it expires) |
//! | 990004 | declined |
//! | 990005 | paid, but the answer is an unsigned 500; the notification comes after 60 s |
//! | 990006 | paid, but the answer is garbage; the notification comes after 60 s |
//! | 990007 | paid twice, the second time 1 s later |
//! | 990008 | paid; the notification comes after 60 s |
//! | 990009 | paid; the notification comes twice |
//! | 990010 | not paid (a charge is declined); a forged notification says that it was |
//! | 990011 | paid; no notification ever |
//! | 990012 | executed, but the answer is lost (a charge is paid, an order stays open) |
//! | 990013 | paid; the notification names another merchant |
//! | 990014 | another amount is paid: one minor unit less |
//! | 990015 | paid, and 5 s later all of it is given back in the provider's console |
//!
//! Any other amount stays open until a payer command; a charge does what its token says.

use std::time::Duration;

/// What an amount chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Magic {
    /// 990001
    PayNow,
    /// 990002
    PayLater,
    /// 990003
    NeverPay,
    /// 990004
    Decline,
    /// 990005
    ErrorThenPaid,
    /// 990006
    GarbageThenPaid,
    /// 990007
    PayTwice,
    /// 990008
    NotifyLate,
    /// 990009
    NotifyTwice,
    /// 990010
    NotifyForged,
    /// 990011
    NotifyNever,
    /// 990012
    AnswerLost,
    /// 990013
    NotifyWrongOwner,
    /// 990014
    PayOtherAmount,
    /// 990015
    PaidThenReturned,
}

impl Magic {
    /// Every one, in the order of their amounts.
    pub const ALL: [Self; 15] = [
        Self::PayNow,
        Self::PayLater,
        Self::NeverPay,
        Self::Decline,
        Self::ErrorThenPaid,
        Self::GarbageThenPaid,
        Self::PayTwice,
        Self::NotifyLate,
        Self::NotifyTwice,
        Self::NotifyForged,
        Self::NotifyNever,
        Self::AnswerLost,
        Self::NotifyWrongOwner,
        Self::PayOtherAmount,
        Self::PaidThenReturned,
    ];

    /// How much later *paid later* and *given back* are.
    pub const LATER: Duration = Duration::from_secs(5);

    /// How late a late notification is.
    pub const NOTIFY_LATE: Duration = Duration::from_mins(1);

    /// What the amount chooses; `None`: nothing.
    #[must_use]
    pub fn of(amount_minor: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|magic| magic.amount_minor() == amount_minor)
    }

    /// The amount that chooses it.
    #[must_use]
    pub fn amount_minor(self) -> u64 {
        match self {
            Self::PayNow => 990_001,
            Self::PayLater => 990_002,
            Self::NeverPay => 990_003,
            Self::Decline => 990_004,
            Self::ErrorThenPaid => 990_005,
            Self::GarbageThenPaid => 990_006,
            Self::PayTwice => 990_007,
            Self::NotifyLate => 990_008,
            Self::NotifyTwice => 990_009,
            Self::NotifyForged => 990_010,
            Self::NotifyNever => 990_011,
            Self::AnswerLost => 990_012,
            Self::NotifyWrongOwner => 990_013,
            Self::PayOtherAmount => 990_014,
            Self::PaidThenReturned => 990_015,
        }
    }
}
