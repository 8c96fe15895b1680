//! What the original API shows of a code's payer actions: its answer fields, in order.

use maxpay_engine::model::{ChannelCode, NamedAction, PayerAction};

use super::codes::ALI_SIGNED;

/// See [`maxpay_engine::channel::Adapter::shown`].
pub(super) fn shown(code: &ChannelCode, actions: &[NamedAction]) -> Vec<(String, String)> {
    let together = ALI_SIGNED.contains(&code.as_str());
    let mut fields: Vec<(String, String)> = actions
        .iter()
        .filter(|named| named.name == code.as_str() || (together && ALI_SIGNED.contains(&named.name.as_str())))
        .flat_map(|named| match &named.action {
            PayerAction::AppOrder { order } if together => vec![(named.name.clone(), order.clone())],
            PayerAction::Redirect { url } if together => vec![(named.name.clone(), url.clone())],
            PayerAction::AppOrder { order } => vec![("tn".to_owned(), order.clone())],
            PayerAction::Redirect { url } => vec![("mwebUrl".to_owned(), url.clone())],
            PayerAction::Prepay { parameters } => parameters.clone(),
            PayerAction::Form { html } => vec![("html".to_owned(), html.clone())],
            PayerAction::QrText { text } => vec![("codeUrl".to_owned(), text.clone())],
            PayerAction::WalletSession { session } => {
                session.iter().map(|session| ("merchantSession".to_owned(), session.clone())).collect()
            }
        })
        .collect();
    // The recorded answer has the prepay id in front of the address to draw.
    if code.as_str() == "wx_native" {
        fields.sort_by_key(|(name, _)| name != "prepayid");
    }
    fields
}
