//! What Alipay's channels are and what its answers mean: the manifest, and every code and sub-code by call.
//!
//! Sub-codes are those of the documents of each method ("业务错误码") and of
//! <https://opendocs.alipay.com/common/02km9f> (gateway codes). The live list grows: one that is not here proves nothing.

use std::time::Duration;

use maxpay_engine::channel::{
    CloseRules, CodeManifest, Manifest, Outcome, PayerInput, QueryRules, Recreate, RefundRules, UnsignedAnswer,
};
use maxpay_engine::model::{CallKind, ChannelCode, Currency};

use super::account;

/// The adapter's name.
pub const ADAPTER: &str = "alipay";

/// The three codes whose texts the original API always shows together.
pub(super) const SIGNED_HERE: [&str; 3] = ["ali_app", "ali_web", "ali_wap"];

/// How long a code that was asked for can be scanned, whatever the order's expiry: `timeout_express` of
/// alipay.trade.precreate, note 1.
pub(super) const QR_LIFE: Duration = Duration::from_hours(2);

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// Builds the manifest.
pub(super) fn manifest() -> Manifest {
    let signed =
        |name| CodeManifest { recreate: Recreate::Resign, locally_signed: true, action_lifetime: None, ..code(name) };
    let on_a_page = |name| CodeManifest { needs: vec![PayerInput::ReturnUrl], ..signed(name) };
    Manifest {
        adapter: ADAPTER,
        test_mode_only: false,
        settings: account::settings(),
        codes: vec![signed("ali_app"), on_a_page("ali_web"), on_a_page("ali_wap"), code("ali_qrcode")],
        // A live account's is fixed by its validation; a test account may name a simulator's.
        material_kept: None,
        fixed_hosts: Vec::new(),
        unsigned: vec![UnsignedAnswer {
            answer: "code 40006, 20001, or 40001 and 40002 with a sub_code about app id, key or signature",
            proves: "account_refused",
        }],
    }
}

fn code(name: &str) -> CodeManifest {
    let schedule = vec![2 * SECOND, 5 * SECOND, 15 * SECOND, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 6 * HOUR, DAY];
    CodeManifest {
        code: name.parse::<ChannelCode>().expect("a channel code, written above"),
        group: "ali",
        currencies: vec![Currency::CNY],
        // `total_amount`: 0.01 to 100000000.00 yuan.
        amount_minor: (1, 10_000_000_000),
        needs: Vec::new(),
        subject_bytes_max: 256,
        // `timeout_express` of every create: 1m to 15d; a time_expire of less than that ahead is refused.
        expiry: (2 * MINUTE, 15 * DAY),
        expiry_default: 2 * HOUR,
        min_life: MINUTE,
        // A payer who is typing the password when the time comes.
        grace: MINUTE,
        recreate: Recreate::ReturnsAction,
        // A payer whose card declines tries another one in the same cashier.
        decline_final: false,
        action_lifetime: Some(QR_LIFE),
        locally_signed: false,
        authorize: false,
        query: QueryRules {
            truth_from: 10 * SECOND,
            truth_until: None,
            schedule: schedule.clone(),
            awaiting_schedule: vec![15 * SECOND, MINUTE, 5 * MINUTE],
        },
        close: Some(CloseRules { schedule: schedule.clone() }),
        refund: Some(RefundRules {
            partial: true,
            // alipay.trade.refund: refunds of one trade at least 3 s apart.
            min_gap: 3 * SECOND,
            // docs.open.alipay.com/66/103689: 99 refunds of a trade; later ones are not executed.
            count_max: 99,
            // Contracts say 3 to 12 months; a refund after the contract's is declined by TRADE_HAS_FINISHED.
            window: 365 * DAY,
            query: QueryRules {
                // alipay.trade.fastpay.refund.query, refund_status: ask 10 s after the refund or later.
                truth_from: 10 * SECOND,
                truth_until: None,
                schedule: [10 * SECOND, 15 * SECOND].into_iter().chain(schedule.into_iter().skip(3)).collect(),
                awaiting_schedule: Vec::new(),
            },
        }),
        void: None,
        not_executed_max: 3,
        call_deadline: 10 * SECOND,
    }
}

/// Refusals of the gateway that speak of the account: its application, keys or permissions.
const ACCOUNT: [&str; 18] = [
    "isv.invalid-app-id",
    "isv.missing-app-id",
    "isv.invalid-signature",
    "isv.missing-signature",
    "isv.invalid-signature-type",
    "isv.missing-signature-type",
    "isv.missing-signature-key",
    "isv.missing-signature-config",
    "isv.app-cert-sn-not-match",
    "isv.invalid-app-cert-sn",
    "isv.missing-app-cert-sn",
    "isv.missing-root-cert-sn",
    "isv.invalid-root-cert-sn",
    "isv.cert-expired",
    "isv.not-online-app",
    "isv.access-forbidden",
    "isv.insufficient-isv-permissions",
    "isv.insufficient-user-permissions",
];

/// What a refusal proves when nothing is signed: the most the manifest allows.
pub(super) fn unsigned(code: &str, sub_code: &str) -> Outcome {
    if speaks_of_the_account(code, sub_code) {
        Outcome::AccountRefused(told(code, sub_code))
    } else {
        Outcome::Unknown(format!("without a signature: {}", told(code, sub_code)))
    }
}

/// What a signed refusal proves.
pub(super) fn refused(call: CallKind, code: &str, sub_code: &str) -> Outcome {
    let why = told(code, sub_code);
    if speaks_of_the_account(code, sub_code) {
        return Outcome::AccountRefused(why);
    }
    match (code, call) {
        ("40004", _) => business(call, sub_code, why),
        // The gateway's own flow control, and requests it cannot read: stopped before any business.
        ("40005" | "40001" | "40002", CallKind::Create | CallKind::Refund) => Outcome::NotExecuted(why),
        _ => Outcome::Unknown(why),
    }
}

fn speaks_of_the_account(code: &str, sub_code: &str) -> bool {
    match code {
        "40006" | "20001" => true,
        "40001" | "40002" => ACCOUNT.contains(&sub_code),
        _ => false,
    }
}

fn told(code: &str, sub_code: &str) -> String {
    let plain = |text: &str| -> String {
        text.chars().filter(|letter| letter.is_ascii_alphanumeric() || "._-".contains(*letter)).take(64).collect()
    };
    format!("{} {}", plain(code), plain(sub_code))
}

fn business(call: CallKind, sub_code: &str, why: String) -> Outcome {
    // Both spellings of the prefix are met.
    let name = sub_code.strip_prefix("ACQ.").or(sub_code.strip_prefix("AQC.")).unwrap_or(sub_code);
    match call {
        CallKind::Create => match name {
            "EXIST_FORBIDDEN_WORD"
            | "ACCESS_FORBIDDEN"
            | "PARTNER_ERROR"
            | "TOTAL_FEE_EXCEED"
            | "BUYER_SELLER_EQUAL"
            | "TRADE_BUYER_NOT_MATCH"
            | "BUYER_ENABLE_STATUS_FORBID"
            | "INVALID_PARAMETER" => Outcome::Declined(why),
            // The number stands for an order with other words, or one that has ended: the query tells which.
            // CONTEXT_INCONSISTENT TRADE_HAS_SUCCESS TRADE_HAS_CLOSE SYSTEM_ERROR …
            _ => Outcome::Unknown(why),
        },
        CallKind::Query => match name {
            "TRADE_NOT_EXIST" => Outcome::NotFound,
            _ => Outcome::Unknown(why),
        },
        CallKind::Close => match name {
            "TRADE_NOT_EXIST" => Outcome::NotFound,
            "SYSTEM_ERROR" => Outcome::Unknown(why),
            // The close was not taken, and that says nothing of the order: it may have been paid meanwhile, so the
            // engine asks. TRADE_STATUS_ERROR TRADE_HAS_SUCCESS TRADE_HAS_CLOSE …
            _ => Outcome::Declined(why),
        },
        CallKind::Refund => match name {
            "REFUND_AMT_NOT_EQUAL_TOTAL"
            | "REFUND_FEE_ERROR"
            | "REASON_TRADE_REFUND_FEE_ERR"
            | "REASON_TRADE_BEEN_FREEZEN"
            | "TRADE_NOT_EXIST"
            | "TRADE_HAS_FINISHED"
            | "TRADE_HAS_CLOSE"
            | "TRADE_STATUS_ERROR"
            | "REASON_TRADE_STATUS_INVALID"
            | "TRADE_NOT_ALLOW_REFUND"
            | "NOT_ALLOW_PARTIAL_REFUND"
            | "BUYER_ERROR"
            | "BUYER_NOT_EXIST"
            | "USER_NOT_MATCH_ERR"
            | "INVALID_PARAMETER" => Outcome::Declined(why),
            // The same request succeeds once there is money: alipay.trade.refund, business codes.
            "SELLER_BALANCE_NOT_ENOUGH" => Outcome::Held(why),
            // DISCORDANT_REPEAT_REQUEST: the number was used with another amount. SYSTEM_ERROR REFUND_CHARGE_ERROR …
            _ => Outcome::Unknown(why),
        },
        CallKind::QueryRefund
        | CallKind::Void
        | CallKind::Maintain
        | CallKind::PayerSession
        | CallKind::Authorize
        | CallKind::Statement
        | CallKind::Notification => Outcome::Unknown(why),
    }
}
