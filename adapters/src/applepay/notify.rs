//! Notifications. Apple sends none; an acquirer may.

use maxpay_engine::channel::{Context, Notified, RawNotification};

use super::ApplePay;

/// See [`maxpay_engine::channel::Adapter::notification`].
pub(super) fn notification(adapter: &ApplePay, raw: &RawNotification, context: &Context<'_>) -> Notified {
    adapter.acquirer.notification(raw, context)
}
