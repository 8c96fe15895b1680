//! Notices of v2: payments are signed, refunds are sealed and not signed, and both are repeated until they are
//! acknowledged in XML (wiki/doc/api/jsapi.php?chapter=9_7 and 9_16).

use aes::Aes256;
use aes::cipher::{BlockEncrypt, KeyInit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use maxpay_engine::secrets::Secret;
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

use crate::parts::beijing;
use crate::parts::xml;
use crate::simulator::Notice;
use crate::wechat::v2::signature::{Fields, sign, value};

use super::super::Simulator;
use super::super::rows::{Order, QueuedNotice, Refund};
use super::calls::{ACCOUNT, status};
use super::pairs;

const BLOCK: usize = 16;

/// What a notice will say.
#[derive(Serialize, Deserialize)]
pub(super) struct Content {
    pub open: Fields,
    /// Under the digest of the key; empty: nothing is sealed, and everything signed.
    pub sealed: Fields,
}

/// Of a payment.
pub(in crate::wechat::simulator) fn of_payment(order: &Order, index: usize) -> String {
    let mut open = pairs(&[
        ("return_code", "SUCCESS"),
        ("result_code", "SUCCESS"),
        ("appid", &order.appid),
        ("mch_id", &order.mchid),
    ]);
    open.extend(payment(order, index));
    text(&Content { open, sealed: Vec::new() })
}

/// Of a refund's end.
pub(in crate::wechat::simulator) fn of_refund(refund: &Refund) -> String {
    let open = pairs(&[("return_code", "SUCCESS"), ("appid", &refund.appid), ("mch_id", &refund.mchid)]);
    let done_at = refund.done_at.filter(|_| refund.is_done()).map(beijing::spaced);
    let (total, amount) = (refund.total.to_string(), refund.amount.to_string());
    let sealed = pairs(&[
        ("out_refund_no", &refund.number),
        ("out_trade_no", &refund.order),
        ("refund_account", ACCOUNT),
        ("refund_fee", &amount),
        ("refund_id", &refund.id),
        ("refund_recv_accout", "支付用户零钱"),
        ("refund_request_source", "API"),
        ("refund_status", status(refund.state)),
        ("settlement_refund_fee", &amount),
        ("settlement_total_fee", &total),
        ("success_time", &done_at.unwrap_or_default()),
        ("total_fee", &total),
        ("transaction_id", &refund.transaction_id),
    ]);
    text(&Content { open, sealed })
}

pub(super) fn text(content: &Content) -> String {
    serde_json::to_string(content).expect("names and values are texts")
}

/// A payment as an answer or a notice tells of it.
pub(super) fn payment(order: &Order, index: usize) -> Fields {
    let Some(paid) = order.payments.get(index) else { return Vec::new() };
    let amount = paid.amount.to_string();
    pairs(&[
        ("openid", "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"),
        ("is_subscribe", "N"),
        ("trade_type", order.trade_type()),
        ("bank_type", "OTHERS"),
        ("total_fee", &amount),
        ("fee_type", "CNY"),
        ("cash_fee", &amount),
        ("cash_fee_type", "CNY"),
        ("transaction_id", &paid.transaction_id),
        ("out_trade_no", &order.number),
        ("time_end", &beijing::packed(paid.at)),
    ])
}

impl Simulator {
    /// The notice as it leaves now. `None`: the merchant is not known.
    pub(in crate::wechat::simulator) fn written_v2(&self, queued: &QueuedNotice, sign_type: &str) -> Option<Notice> {
        let merchant = self.merchant_v2(&queued.mchid)?;
        let stranger = Secret::from_text(&self.random(32));
        let key = if queued.forged { &stranger } else { merchant.api_keys.first()? };
        let Content { open: mut fields, sealed } = serde_json::from_str(&queued.content).ok()?;
        fields.push(("nonce_str".to_owned(), self.random(32)));
        fields.push(if sealed.is_empty() {
            ("sign".to_owned(), sign(&fields, sign_type, key))
        } else {
            ("req_info".to_owned(), seal(&xml::written("root", &sealed), key))
        });
        let headers = vec![("content-type".to_owned(), "text/xml".to_owned())];
        Some(Notice { url: queued.url.clone(), headers, body: Bytes::from(xml::written("xml", &fields)) })
    }
}

/// AES-256 block by block under the lower-case MD5 of the key, padded as PKCS#7.
fn seal(text: &str, key: &Secret) -> String {
    let key = Secret::from_text(&hex::encode(Md5::digest(key.expose())));
    let cipher = Aes256::new_from_slice(key.expose()).expect("a digest of 32 digits");
    let mut bytes = text.as_bytes().to_vec();
    let padding = BLOCK - bytes.len() % BLOCK;
    bytes.extend(std::iter::repeat_n(u8::try_from(padding).expect("at most a block"), padding));
    for block in bytes.chunks_exact_mut(BLOCK) {
        cipher.encrypt_block(block.into());
    }
    STANDARD.encode(bytes)
}

/// Whether an answer to a notice ends its repetition: XML that says so, and nothing else.
pub(in crate::wechat::simulator) fn is_acknowledged(status: u16, body: &[u8]) -> bool {
    let fields = xml::read(body, "xml").unwrap_or_default();
    status == 200 && value(&fields, "return_code") == Some("SUCCESS")
}
