//! Deliveries: read, and send again.

use crate::model::{Delivery, DeliveryTry, SubscriptionId, TransactionId};

/// Which deliveries of a list. Every filter that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// To this subscription.
    pub subscription_id: Option<SubscriptionId>,
    /// Of this transaction.
    pub transaction_id: Option<TransactionId>,
    /// `due`, `held`, `delivered`, `exhausted` or `cancelled`.
    pub state: Option<String>,
}

/// What a resend came to.
#[derive(Debug, Clone)]
pub struct ResendOutcome {
    /// The delivery after it.
    pub delivery: Delivery,
    /// The try itself.
    pub attempt: DeliveryTry,
}
