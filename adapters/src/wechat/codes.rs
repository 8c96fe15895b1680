//! What WeChat Pay serves and by which rules, and what each of its refusals proves.

use std::time::Duration;

use maxpay_engine::channel::{
    CloseRules, CodeManifest, Manifest, Outcome, PayerInput, QueryRules, Recreate, RefundRules, UnsignedAnswer,
};
use maxpay_engine::model::{CallKind, ChannelCode, Currency};

use super::account;

/// The adapter's name.
pub const ADAPTER: &str = "wechat";

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A `prepay_id` and a `code_url` live two hours, whatever the order's own time (4012791856, 4012791877).
const PREPAY_LIFE: Duration = Duration::from_hours(2);
/// An `h5_url` lives five minutes (4012791834).
const H5_LIFE: Duration = Duration::from_mins(5);

/// How old platform certificates become before they are fetched anew. A new one can be downloaded before WeChat Pay signs
/// with it; its own SDKs look every hour (Java) or every day (Go).
const MATERIAL_KEPT: Duration = Duration::from_hours(12);

/// Builds the manifest.
pub(super) fn manifest() -> Manifest {
    Manifest {
        adapter: ADAPTER,
        test_mode_only: false,
        settings: account::settings(),
        codes: codes(),
        material_kept: Some(MATERIAL_KEPT),
        // The address is a setting, held to WeChat Pay's two hosts in live mode.
        fixed_hosts: Vec::new(),
        unsigned: vec![
            UnsignedAnswer {
                answer: "401: the request's own signature was refused, so the provider signs nothing",
                proves: "account_refused",
            },
            UnsignedAnswer {
                answer: "401 about the request's timestamp: it is more than five minutes off",
                proves: "not_executed",
            },
        ],
    }
}

/// The five codes, as both dialects of WeChat Pay serve them.
pub(crate) fn codes() -> Vec<CodeManifest> {
    let needs = |inputs: &[PayerInput], code| CodeManifest { needs: inputs.to_vec(), ..code };
    vec![
        code("wx_app"),
        code("wx_native"),
        needs(&[PayerInput::Openid], code("wx_jsapi")),
        needs(&[PayerInput::Openid], code("wx_mini")),
        CodeManifest {
            action_lifetime: Some(H5_LIFE),
            ..needs(&[PayerInput::ClientIp, PayerInput::H5Type], code("wx_h5"))
        },
    ]
}

/// What the codes have in common.
fn code(name: &str) -> CodeManifest {
    let schedule = waits(&[2, 5, 15, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 6 * HOUR, DAY]);
    CodeManifest {
        code: name.parse().expect("a channel code, written above"),
        group: "wx",
        currencies: vec![Currency::CNY],
        amount_minor: (1, 10_000_000_000),
        needs: Vec::new(),
        subject_bytes_max: 127,
        // WeChat Pay closes an unpaid order by itself after seven days.
        expiry: (Duration::from_mins(2), Duration::from_hours(7 * 24)),
        expiry_default: Duration::from_hours(2),
        // A time_expire less than a minute ahead is silently moved to a minute after the order's arrival; seconds are
        // cut off, and the clocks may disagree a little.
        min_life: Duration::from_secs(90),
        // time_expire does not close the order: a payment that had begun was seen to end 12 seconds after it.
        grace: Duration::from_mins(1),
        recreate: Recreate::ReturnsAction,
        // A payer whose card was declined tries again; the order stays as it is (NOTPAY).
        decline_final: false,
        action_lifetime: Some(PREPAY_LIFE),
        locally_signed: false,
        authorize: false,
        query: QueryRules {
            truth_from: Duration::from_secs(30),
            truth_until: None,
            schedule: schedule.clone(),
            awaiting_schedule: waits(&[30, MINUTE, 3 * MINUTE, 10 * MINUTE, 30 * MINUTE]),
        },
        close: Some(CloseRules { schedule }),
        refund: Some(RefundRules {
            partial: true,
            min_gap: Duration::from_mins(1),
            count_max: 50,
            window: Duration::from_hours(365 * 24),
            query: QueryRules {
                truth_from: Duration::from_mins(1),
                truth_until: None,
                // As the document of the refund query advises, and then on: cards take days (4012791864).
                schedule: waits(&[
                    MINUTE,
                    MINUTE,
                    MINUTE,
                    MINUTE,
                    5 * MINUTE,
                    10 * MINUTE,
                    20 * MINUTE,
                    30 * MINUTE,
                    HOUR,
                    3 * HOUR,
                    6 * HOUR,
                    DAY,
                    DAY,
                    DAY,
                    DAY,
                    DAY,
                    DAY,
                    DAY,
                    DAY,
                    DAY,
                ]),
                awaiting_schedule: Vec::new(),
            },
        }),
        void: None,
        not_executed_max: 3,
        call_deadline: Duration::from_secs(10),
    }
}

fn waits(seconds: &[u64]) -> Vec<Duration> {
    seconds.iter().copied().map(Duration::from_secs).collect()
}

/// How long what the payer's device gets may be used.
pub(crate) fn action_life(code: &ChannelCode) -> Duration {
    if code.as_str() == "wx_h5" { H5_LIFE } else { PREPAY_LIFE }
}

/// A refusal, as it came: verified, or of the kind that needs no signature.
pub(super) struct Refusal<'r> {
    /// HTTP status, 202 or 4xx or 5xx.
    pub status: u16,
    /// `code`
    pub code: &'r str,
    /// `message`
    pub message: &'r str,
}

impl Refusal<'_> {
    fn text(&self) -> String {
        let message: String = self.message.chars().filter(|letter| !letter.is_control()).take(120).collect();
        format!("{} {}: {message}", self.status, self.code)
    }

    fn says(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.message.contains(word))
    }
}

/// What a refusal proves of the call it answers. A code that is not named here proves nothing.
pub(super) fn refusal(call: CallKind, refusal: &Refusal<'_>) -> Outcome {
    let text = refusal.text();
    // Our clock, or theirs, is wrong: that says nothing against the account.
    if refusal.status == 401 && refusal.says(&["timestamp", "时间戳"]) {
        return match call {
            CallKind::Create | CallKind::Refund => Outcome::NotExecuted(text),
            CallKind::Query
            | CallKind::Close
            | CallKind::QueryRefund
            | CallKind::Void
            | CallKind::Statement
            | CallKind::Maintain
            | CallKind::PayerSession
            | CallKind::Authorize
            | CallKind::Notification => Outcome::Unknown(text),
        };
    }
    if refusal.status == 401 {
        return Outcome::AccountRefused(text);
    }
    // SYSTEM_ERROR, BANK_ERROR and whatever a gateway in front says: it may have been executed.
    if refusal.status >= 500 {
        return Outcome::Unknown(text);
    }
    match (refusal.code, call) {
        ("SIGN_ERROR" | "MCH_NOT_EXISTS", _) => Outcome::AccountRefused(text),
        ("SYSTEM_ERROR" | "BANK_ERROR", _) => Outcome::Unknown(text),
        (_, CallKind::Create) => create_refused(refusal, text),
        (_, CallKind::Close) => close_refused(refusal, text),
        ("ORDER_NOT_EXIST" | "ORDERNOTEXIST", CallKind::Query) | ("RESOURCE_NOT_EXISTS", CallKind::QueryRefund) => {
            Outcome::NotFound
        }
        (_, CallKind::Refund) => refund_refused(refusal, text),
        (
            _,
            CallKind::Query
            | CallKind::QueryRefund
            | CallKind::Void
            | CallKind::Statement
            | CallKind::Maintain
            | CallKind::PayerSession
            | CallKind::Authorize
            | CallKind::Notification,
        ) => Outcome::Unknown(text),
    }
}

fn create_refused(refusal: &Refusal<'_>, text: String) -> Outcome {
    match refusal.code {
        // Turned away before anything was looked at: the same order may be sent again.
        "FREQUENCY_LIMITED" | "RATELIMIT_EXCEEDED" | "RATELIMIT_EXCEED" => Outcome::NotExecuted(text),
        // INVALID_REQUEST stands for much (error 268498689 of the troubleshooting table: already paid; 268498688: the
        // number arrived before with other parameters, which proves an open order).
        "INVALID_REQUEST" if refusal.says(&["已支付", "已关闭", "已失效", "处理中"]) => {
            Outcome::Unknown(text)
        }
        "INVALID_REQUEST" if refusal.says(&["重入", "不一致"]) => Outcome::Unpaid,
        "PARAM_ERROR"
        | "INVALID_REQUEST"
        | "APPID_MCHID_NOT_MATCH"
        | "NO_AUTH"
        | "NOAUTH"
        | "RULE_LIMIT"
        | "RULELIMIT"
        | "TRADE_ERROR"
        | "ACCOUNT_ERROR"
        | "REQUEST_BLOCKED"
        | "OPENID_MISMATCH"
        | "INVALID_APPID" => Outcome::Declined(text),
        // ORDERPAID, ORDER_CLOSED and OUT_TRADE_NO_USED too: the number arrived before, and something has become of it.
        _ => Outcome::Unknown(text),
    }
}

fn close_refused(refusal: &Refusal<'_>, text: String) -> Outcome {
    match refusal.code {
        "ORDER_CLOSED" | "ORDERCLOSED" => Outcome::Closed,
        "ORDER_NOT_EXIST" | "ORDERNOTEXIST" => Outcome::NotFound,
        // It is answered when a close races a payment.
        _ if refusal.status == 429 => Outcome::Unknown(text),
        // Never *closed*: the order may be paid, whatever the code (4012556398 names TRADE_ERROR and others beside
        // ORDERPAID), so that the engine asks at once.
        _ => Outcome::Declined(text),
    }
}

fn refund_refused(refusal: &Refusal<'_>, text: String) -> Outcome {
    match refusal.code {
        // The merchant's balance: fill it up, and repeat under the same number (4013071036).
        "NOT_ENOUGH" | "NOTENOUGH" => Outcome::Held(text),
        // Any 429 may stand for a refund that was accepted: ask under its number.
        _ if refusal.status == 429 => Outcome::Unknown(text),
        // INVALID_REQUEST stands for much, and its words may change (4012081709): these say that there is nothing left to
        // give back.
        "INVALID_REQUEST" if refusal.says(&["已全额退款", "可退金额", "累计退款金额"]) => {
            Outcome::Declined(text)
        }
        "PARAM_ERROR" | "NO_AUTH" | "RESOURCE_NOT_EXISTS" | "USER_ACCOUNT_ABNORMAL" => Outcome::Declined(text),
        _ => Outcome::Unknown(text),
    }
}
