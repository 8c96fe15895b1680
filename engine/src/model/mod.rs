//! The nouns: records and the values in them. Pure data; which state follows which is told by [`crate::machine`].

mod account;
mod alarm;
mod app;
mod attempt;
mod bill;
mod channel_code;
mod decoding;
mod delivery;
mod event;
mod ids;
mod inbox;
mod mode;
mod money;
mod payer;
mod receipt;
mod sealed;
mod subscription;
mod time;
mod transaction;
mod transition;

pub use account::{Account, AccountState, Revision};
pub use alarm::{Alarm, AlarmKind};
pub use app::{App, IssuedKey, KeyKind, KeyOwner, LatePolicy, OperatorCredential};
pub use attempt::{Attempt, AttemptEnd, CallKind, Hint, Intent, LastOutcome, Send, SendState};
pub use bill::{Bill, BillNum, BillNumError};
pub use channel_code::{ChannelCode, ChannelCodeError};
pub use delivery::{Delivery, DeliveryState, DeliveryTry, TryResult};
pub use event::{Event, EventData, EventKind};
pub use ids::{
    AccountId, AlarmId, AppId, AttemptNumber, DeliveryId, EventId, IdError, InboxId, KeyId, RawId, RefundId,
    SubscriptionId, TransactionId,
};
pub use inbox::InboxItem;
pub use mode::{Mode, ModeError};
pub use money::{AMOUNT_MINOR_MAX, Currency, Money, MoneyError};
pub use payer::{NamedAction, PayerAction, PayerInputs};
pub use receipt::{ExternalReturn, Receipt, ReceiptState};
pub use sealed::Sealed;
pub use subscription::{DeliveryMode, Header, Subscription, SubscriptionState, Target};
pub use time::{Timestamp, TimestampError};
pub use transaction::{
    Attention, CloseEvidence, CloseRequest, Door, Fallback, InDoubt, PayerStep, Requester, Status, Submission,
    Transaction,
};
pub use transition::{Cause, Transition};
