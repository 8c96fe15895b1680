//! How records look in JSON: statuses by their native names, times as RFC 3339, money as integers with a currency, and
//! nothing secret.

mod account;
mod app;
mod attempt;
mod delivery;
mod operators;
mod payer;
mod subscription;
mod timeline;
mod transaction;

pub use account::{AccountStateView, AccountView, RevisionView};
pub use app::{AppView, CreatedAppView, KeyView};
pub use attempt::{AttemptView, ReceiptView, ReturnView, SendView};
pub use delivery::{DeliveryView, ResendView, TryResultView, TryView};
pub use operators::{AlarmView, Done, InboxItemView, OperatorKeyView, SetAsideView};
pub use payer::{ActionView, NamedActionView, PayerView, SessionView};
pub use subscription::{ReceivedView, SentView, SubscriptionView, TargetView, TestSendView, WireHeader};
pub use timeline::{CauseView, TimelineEntryView};
pub use transaction::{CloseRequestView, InDoubtView, MoneyView, TransactionView};

use maxpay_engine::api::{Page, PageRequest};
use serde::Serialize;
use serde_json::value::RawValue;

use super::cursor;

/// One page of a list.
#[derive(Debug, Serialize)]
pub struct PageView<T> {
    /// The objects, in order.
    pub items: Vec<T>,
    /// What to send as `cursor` for the page that follows; `null`: this is the last one. A page may be short or empty
    /// and still have a next one.
    pub next_cursor: Option<String>,
}

impl<T> PageView<T> {
    /// The page of `list` that answers `request`.
    pub(crate) fn of<R>(list: &str, request: &PageRequest, page: &Page<R>, view: impl Fn(&R) -> T) -> Self {
        Self { items: page.items.iter().map(view).collect(), next_cursor: cursor::next(list, request, page.next) }
    }
}

/// JSON text as it was kept. `None` for text that is no JSON, which the engine lets in nowhere.
fn raw(text: &str) -> Option<Box<RawValue>> {
    RawValue::from_string(text.to_owned()).ok()
}
