//! Notifications from providers.

use crate::channel::Acknowledgement;

/// What is answered to a notification, and whether it counted (for the access log).
#[derive(Debug, Clone)]
pub struct NotificationReply {
    /// Sent back byte for byte.
    pub acknowledgement: Acknowledgement,
    /// Whether it was taken.
    pub accepted: bool,
}
