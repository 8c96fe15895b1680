//! What v2 serves, and what each of its refusals proves.

use std::time::Duration;

use maxpay_engine::channel::{CodeManifest, Manifest, Outcome, UnsignedAnswer};
use maxpay_engine::model::CallKind;

use super::super::codes::codes;

use super::account;

/// The adapter's name.
pub const ADAPTER: &str = "wechat-v2";

/// Where v3 moves a time_expire that is too near, v2 refuses the order: from five minutes ahead on it is safe
/// (developers.weixin.qq.com/community/pay/doc/000006041802308a9d408c2906d800). Seconds are cut off, and the clocks may
/// disagree a little.
const LIFE_MIN: Duration = Duration::from_secs(330);
/// The shortest time to pay that is taken: enough to send an order twice.
const EXPIRY_MIN: Duration = Duration::from_mins(7);

/// Builds the manifest.
pub(super) fn manifest() -> Manifest {
    Manifest {
        adapter: ADAPTER,
        test_mode_only: false,
        settings: account::settings(),
        codes: codes()
            .into_iter()
            .map(|code| CodeManifest { expiry: (EXPIRY_MIN, code.expiry.1), min_life: LIFE_MIN, ..code })
            .collect(),
        material_kept: None,
        fixed_hosts: Vec::new(),
        unsigned: vec![
            UnsignedAnswer {
                answer: "return_code FAIL with a return_msg about the request's own signature",
                proves: "account_refused",
            },
            UnsignedAnswer {
                answer: "refund notices: they are sealed and not signed, and no more than a hint to look",
                proves: "unknown",
            },
        ],
    }
}

/// What a signed `err_code` proves of the call it answers. A code that is not named here proves nothing.
pub(super) fn refused(call: CallKind, code: &str, description: &str) -> Outcome {
    let description: String = description.chars().filter(|letter| !letter.is_control()).take(120).collect();
    let text = format!("{code}: {description}");
    let says = |words: &[&str]| words.iter().any(|word| description.contains(word));
    match (code, call) {
        ("SIGNERROR" | "MCHID_NOT_EXIST" | "APPID_NOT_EXIST", _) => Outcome::AccountRefused(text),
        ("FREQUENCY_LIMITED" | "FREQ_LIMIT" | "RATELIMIT_EXCEEDED", CallKind::Create) => Outcome::NotExecuted(text),
        // The number arrived before, with other words.
        ("INVALID_REQUEST", CallKind::Create) if says(&["订单号重复", "重入", "不一致"]) => Outcome::Unpaid,
        ("INVALID_REQUEST", CallKind::Create) if says(&["已支付", "已关闭", "已失效", "处理中"]) => {
            Outcome::Unknown(text)
        }
        ("ORDERNOTEXIST", CallKind::Query | CallKind::Close) | ("REFUNDNOTEXIST", CallKind::QueryRefund) => {
            Outcome::NotFound
        }
        ("ORDERCLOSED", CallKind::Close) => Outcome::Closed,
        ("NOTENOUGH", CallKind::Refund) => Outcome::Held(text),
        // ERROR and INVALID_REQUEST stand for much; these say that there is nothing left to give back
        // (developers.weixin.qq.com/community/develop/doc/000844bafe07601fcc88bc03b56800).
        ("ERROR" | "INVALID_REQUEST", CallKind::Refund) if says(&["已全额退款", "可退金额", "累计退款金额"]) => {
            Outcome::Declined(text)
        }
        (
            "NOAUTH"
            | "NO_AUTH"
            | "APPID_MCHID_NOT_MATCH"
            | "LACK_PARAMS"
            | "PARAM_ERROR"
            | "XML_FORMAT_ERROR"
            | "REQUIRE_POST_METHOD"
            | "POST_DATA_EMPTY"
            | "NOT_UTF8"
            | "INVALID_REQUEST"
            | "NOTENOUGH",
            CallKind::Create,
        )
        // Never *closed*: the engine asks at once.
        | ("ORDERPAID" | "USERPAYING", CallKind::Close)
        | (
            "TRADE_OVERDUE"
            | "USER_ACCOUNT_ABNORMAL"
            | "INVALID_TRANSACTIONID"
            | "PARAM_ERROR"
            | "ORDERNOTEXIST"
            | "NOAUTH"
            | "XML_FORMAT_ERROR"
            | "REQUIRE_POST_METHOD",
            CallKind::Refund,
        ) => Outcome::Declined(text),
        // SYSTEMERROR, BIZERR_NEED_RETRY, FREQUENCY_LIMITED of a refund, ORDERPAID of a create, ERROR, and all others.
        (
            _,
            CallKind::Create
            | CallKind::Query
            | CallKind::Close
            | CallKind::Void
            | CallKind::Refund
            | CallKind::QueryRefund
            | CallKind::Statement
            | CallKind::Maintain
            | CallKind::PayerSession
            | CallKind::Authorize
            | CallKind::Notification,
        ) => Outcome::Unknown(text),
    }
}
