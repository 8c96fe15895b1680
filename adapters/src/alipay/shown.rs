//! What the original API shows of a code's payer actions: its answer fields, in order.

use maxpay_engine::model::{ChannelCode, NamedAction, PayerAction};

use super::codes::SIGNED_HERE;

/// See [`maxpay_engine::channel::Adapter::shown`].
pub(super) fn shown(code: &ChannelCode, actions: &[NamedAction]) -> Vec<(String, String)> {
    let together = SIGNED_HERE.contains(&code.as_str());
    let ours = actions
        .iter()
        .filter(|named| named.name == code.as_str() || (together && SIGNED_HERE.contains(&named.name.as_str())));
    ours.filter_map(|named| match &named.action {
        PayerAction::AppOrder { order } => Some((named.name.clone(), order.clone())),
        PayerAction::Redirect { url } => Some((named.name.clone(), url.clone())),
        PayerAction::QrText { text } => Some(("codeUrl".to_owned(), text.clone())),
        PayerAction::Prepay { .. } | PayerAction::Form { .. } | PayerAction::WalletSession { .. } => None,
    })
    .collect()
}
