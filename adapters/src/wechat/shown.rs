//! What the original API shows of a code's payer actions: its answer fields, in order.

use maxpay_engine::model::{ChannelCode, NamedAction, PayerAction};

/// See [`maxpay_engine::channel::Adapter::shown`].
pub(crate) fn shown(code: &ChannelCode, actions: &[NamedAction]) -> Vec<(String, String)> {
    let mine = actions.iter().filter(|named| named.name == code.as_str());
    mine.flat_map(|named| match &named.action {
        PayerAction::Prepay { parameters } => parameters.clone(),
        PayerAction::QrText { text } => vec![("codeUrl".to_owned(), text.clone())],
        PayerAction::Redirect { url } => vec![("mwebUrl".to_owned(), url.clone())],
        // No code of this channel has one of these.
        PayerAction::AppOrder { .. } | PayerAction::Form { .. } | PayerAction::WalletSession { .. } => Vec::new(),
    })
    .collect()
}
