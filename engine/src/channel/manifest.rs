//! What an adapter can do, and what its provider's answers prove and when.

use std::time::Duration;

use crate::model::{ChannelCode, Currency};

/// What an adapter can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Name of the adapter, as in accounts and notify addresses: lower-case letters, digits and `-`.
    pub adapter: &'static str,
    /// Whether accounts of live mode are refused.
    pub test_mode_only: bool,
    /// The settings of an account.
    pub settings: Vec<SettingField>,
    /// The channels it serves.
    pub codes: Vec<CodeManifest>,
    /// The only hosts it may ever be sent to; empty: those in the account's settings.
    pub fixed_hosts: Vec<String>,
    /// Answers that come without a signature, each with the most it may prove.
    pub unsigned: Vec<UnsignedAnswer>,
    /// How old downloaded material may become before it is fetched anew, beside the next call of the account; `None`:
    /// only when it is missing. Accounts that have none need none.
    pub material_kept: Option<Duration>,
}

impl Manifest {
    /// The manifest of one code.
    #[must_use]
    pub fn code(&self, code: &ChannelCode) -> Option<&CodeManifest> {
        self.codes.iter().find(|manifest| manifest.code == *code)
    }
}

/// One setting of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingField {
    /// Its name in JSON.
    pub name: &'static str,
    /// Whether it is sealed and never shown again.
    pub secret: bool,
    /// Whether it must be there.
    pub needed: bool,
    /// What it is, for people.
    pub doc: &'static str,
}

/// An answer without a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsignedAnswer {
    /// Which answer, for people.
    pub answer: &'static str,
    /// The most it may prove, as an outcome's name.
    pub proves: &'static str,
}

/// One channel of an adapter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeManifest {
    /// The channel code.
    pub code: ChannelCode,
    /// The group the original API knows it by: records asked for the group show it.
    pub group: &'static str,
    /// Currencies it takes.
    pub currencies: Vec<Currency>,
    /// Smallest and largest amount in minor units, both inclusive.
    pub amount_minor: (u64, u64),
    /// What a create must know of the payer.
    pub needs: Vec<PayerInput>,
    /// Longest subject in bytes of UTF-8.
    pub subject_bytes_max: usize,
    /// Shortest and longest time from a create to its expiry, both inclusive.
    pub expiry: (Duration, Duration),
    /// Time from a create to its expiry when nobody says.
    pub expiry_default: Duration,
    /// No create leaves later than this before its expiry.
    pub min_life: Duration,
    /// How long after expiry the provider may still take money.
    pub grace: Duration,
    /// Whether a create may be sent again.
    pub recreate: Recreate,
    /// Whether a decline ends the attempt for good.
    pub decline_final: bool,
    /// How long a payer action works, where it ends before the order does.
    pub action_lifetime: Option<Duration>,
    /// Whether creates are signed here and nothing is sent.
    pub locally_signed: bool,
    /// Whether the payer's token is charged by *authorize*.
    pub authorize: bool,
    /// How a query is asked and believed.
    pub query: QueryRules,
    /// How a close is asked; `None`: the channel has no such operation.
    pub close: Option<CloseRules>,
    /// How money goes back; `None`: the channel has no such operation.
    pub refund: Option<RefundRules>,
    /// How a payment is voided; `None`: the channel has no such operation.
    pub void: Option<VoidRules>,
    /// How often a create that was not executed is tried in all (N of payments.md).
    pub not_executed_max: u32,
    /// How long one call may take, whole.
    pub call_deadline: Duration,
}

impl CodeManifest {
    /// The plainest channel, to be changed where a real one differs: a create that may be sent again and gives its payer
    /// action again, a query that knows an order after five seconds, a close, and nothing that goes back.
    #[must_use]
    pub fn plain(code: ChannelCode, group: &'static str, currencies: Vec<Currency>) -> Self {
        let waits = |seconds: &[u64]| seconds.iter().copied().map(Duration::from_secs).collect::<Vec<_>>();
        let schedule = waits(&[2, 5, 15, 60, 300, 900, 3_600, 21_600, 86_400]);
        Self {
            code,
            group,
            currencies,
            amount_minor: (1, 10_000_000_000),
            needs: Vec::new(),
            subject_bytes_max: 128,
            expiry: (Duration::from_mins(1), Duration::from_hours(24)),
            expiry_default: Duration::from_hours(2),
            min_life: Duration::from_secs(10),
            grace: Duration::from_secs(5),
            recreate: Recreate::ReturnsAction,
            decline_final: false,
            action_lifetime: None,
            locally_signed: false,
            authorize: false,
            query: QueryRules {
                truth_from: Duration::from_secs(5),
                truth_until: None,
                schedule: schedule.clone(),
                awaiting_schedule: waits(&[15, 60, 300]),
            },
            close: Some(CloseRules { schedule }),
            refund: None,
            void: None,
            not_executed_max: 3,
            call_deadline: Duration::from_secs(10),
        }
    }
}

/// What a create must know of the payer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayerInput {
    /// `openid`
    Openid,
    /// `client_ip`
    ClientIp,
    /// `h5_type`
    H5Type,
    /// `return_url`
    ReturnUrl,
}

/// Whether a create may be sent again (payments.md section 2 "Sending again").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recreate {
    /// Signed here: sign the frozen intent again.
    Resign,
    /// Sending the frozen call again gives the payer action again.
    ReturnsAction,
    /// A second send is refused once the first arrived.
    Refused,
    /// The create moves money itself: only query.
    Never,
}

/// How a query is asked and believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryRules {
    /// How long after the last send a *not found* begins to mean something.
    pub truth_from: Duration,
    /// How long after the create *not found* proves nothing again; `None`: never.
    pub truth_until: Option<Duration>,
    /// Waits between looks while the answer to a call of ours is missing; after the last: alarm, one look a day.
    pub schedule: Vec<Duration>,
    /// Waits between looks while only the payer is awaited; the last one repeats until expiry. Empty: do not ask.
    pub awaiting_schedule: Vec<Duration>,
}

/// How a close is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseRules {
    /// Waits between closes that settled nothing; after the last: alarm, one a day.
    pub schedule: Vec<Duration>,
}

/// How money goes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundRules {
    /// Whether a part of a payment can go back.
    pub partial: bool,
    /// Between two refunds of one payment at least.
    pub min_gap: Duration,
    /// So many refunds of one payment at most.
    pub count_max: u32,
    /// How long after the payment the channel takes refunds.
    pub window: Duration,
    /// How a query of a refund is asked and believed. Only the payer's schedule is left empty.
    pub query: QueryRules,
}

/// How a payment is voided: only on the day of the payment in the provider's time, before it is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VoidRules {
    /// The provider's time is so far ahead of UTC.
    pub utc_offset: Duration,
    /// It ends so long after that day's midnight.
    pub cut_off: Duration,
}
