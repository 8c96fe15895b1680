//! Bodies of the dialect, as both sides write them. Fields that nobody here reads are left out.

use serde::{Deserialize, Serialize};

/// Paths below the base address.
pub(super) const TRANSACTIONS: &str = "/v3/pay/transactions/";
pub(super) const BY_NUMBER: &str = "/v3/pay/transactions/out-trade-no/";
pub(super) const REFUNDS: &str = "/v3/refund/domestic/refunds";
pub(super) const CERTIFICATES: &str = "/v3/certificates";

/// An order.
#[derive(Serialize, Deserialize)]
pub(super) struct OrderBody {
    pub appid: String,
    pub mchid: String,
    pub description: String,
    pub out_trade_no: String,
    pub time_expire: String,
    pub notify_url: String,
    pub amount: OrderAmount,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payer: Option<Payer>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scene_info: Option<SceneInfo>,
}

/// What an order asks for.
#[derive(Serialize, Deserialize)]
pub(super) struct OrderAmount {
    /// Fen.
    pub total: u64,
    pub currency: String,
}

/// Who pays.
#[derive(Serialize, Deserialize)]
pub(super) struct Payer {
    pub openid: String,
}

/// Where an H5 page is.
#[derive(Serialize, Deserialize)]
pub(super) struct SceneInfo {
    pub payer_client_ip: String,
    pub h5_info: H5Info,
}

/// What an H5 page is.
#[derive(Serialize, Deserialize)]
pub(super) struct H5Info {
    /// `Wap`, `iOS` or `Android`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// A close.
#[derive(Serialize, Deserialize)]
pub(super) struct CloseBody {
    pub mchid: String,
}

/// A refund.
#[derive(Serialize, Deserialize)]
pub(super) struct RefundBody {
    pub transaction_id: String,
    pub out_refund_no: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub notify_url: String,
    pub amount: RefundAmount,
}

/// What a refund asks for.
#[derive(Serialize, Deserialize)]
pub(super) struct RefundAmount {
    /// Fen that go back.
    pub refund: u64,
    /// Fen that were paid.
    pub total: u64,
    pub currency: String,
}

/// What a create answers: one of the three.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct CreatedBody {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepay_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub h5_url: Option<String>,
}

/// An order as a query or a notification tells of it.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct TransactionBody {
    pub appid: String,
    pub mchid: String,
    pub out_trade_no: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trade_type: Option<String>,
    pub trade_state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trade_state_desc: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success_time: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<PaidAmount>,
}

/// What was paid.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct PaidAmount {
    /// Fen of the order, coupons included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payer_total: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
}

/// A refund as answers (`status`) and notifications (`refund_status`) tell of it. Notifications name the merchant and
/// no currency (4012791865), answers the other way round.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct RefundedBody {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mchid: Option<String>,
    pub refund_id: String,
    pub out_refund_no: String,
    pub transaction_id: String,
    pub out_trade_no: String,
    #[serde(alias = "refund_status")]
    pub status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success_time: Option<String>,
    pub amount: RefundedAmount,
}

/// What went back.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct RefundedAmount {
    /// Fen of the order that went back, coupons included.
    pub refund: u64,
    /// Fen of the order.
    pub total: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
}

/// A refusal.
#[derive(Serialize, Deserialize)]
pub(super) struct RefusedBody {
    pub code: String,
    #[serde(default)]
    pub message: String,
}

/// The list of platform certificates.
#[derive(Serialize, Deserialize)]
pub(super) struct CertificatesBody {
    pub data: Vec<CertificateBody>,
}

/// One platform certificate.
#[derive(Serialize, Deserialize)]
pub(super) struct CertificateBody {
    pub serial_no: String,
    pub encrypt_certificate: SealedText,
}

/// Something under the APIv3 key.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct SealedText {
    pub algorithm: String,
    pub ciphertext: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub associated_data: Option<String>,
    pub nonce: String,
}

/// A notification.
#[derive(Serialize, Deserialize)]
pub(super) struct NoticeBody {
    pub id: String,
    pub create_time: String,
    pub event_type: String,
    pub resource_type: String,
    #[serde(default)]
    pub summary: String,
    pub resource: Resource,
}

/// What a notification is about.
#[derive(Serialize, Deserialize)]
pub(super) struct Resource {
    #[serde(default)]
    pub original_type: String,
    #[serde(flatten)]
    pub sealed: SealedText,
}

/// Reads a JSON object. `None`: it is none, or not of this shape; an array of its values, which serde would take for
/// one, is none.
pub(super) fn read<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Option<T> {
    if body.trim_ascii_start().starts_with(b"{") { serde_json::from_slice(body).ok() } else { None }
}
