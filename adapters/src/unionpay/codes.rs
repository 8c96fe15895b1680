//! What UnionPay serves, and what its response codes mean.
//!
//! The codes are those of *全渠道平台接入接口规范 第5部分 附录*, section 应答码; the same table stands in several public
//! integrations. Three of the sixties and seventies are no refusals although their neighbours are: 70, 74 and 75.

use std::time::Duration;

use maxpay_engine::channel::{CodeManifest, Manifest, PayerInput, QueryRules, Recreate, RefundRules, VoidRules};
use maxpay_engine::model::{ChannelCode, Currency};

use super::account;

/// The adapter's name.
pub const ADAPTER: &str = "unionpay";
/// The code of the phone's SDK.
pub(super) const APP: &str = "unipay_app";
/// The code of the browser's form.
pub(super) const WEB: &str = "unipay_web";

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// What a response code says, of whatever it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// 00, A6 (a success with a defect, which is settled).
    Done,
    /// 42: charged after the payment's time-out; it is returned.
    DoneTooLate,
    /// 05, 83: taken, not decided.
    Underway,
    /// 70: the payer's bank waits for the payer.
    PayerIsAsked,
    /// 12: an order of that number and time is there.
    Duplicate,
    /// 34.
    NotFound,
    /// 02, 37, 39: the system is closed, or too much was asked, or not now. Nothing was done.
    NotNow,
    /// 11, 31: the signature or the merchant itself is refused.
    Account,
    /// Refused for good.
    Refused,
    /// 35, 45, 46: the original is not in a state for this (any more).
    OriginalState,
    /// Anything else: 03, 04, 06, 74, 75, 99 and what no document names. It may have been done.
    Unclear,
}

/// What a response code says.
pub(super) fn class(code: &str) -> Class {
    match code {
        "00" | "A6" => Class::Done,
        "42" => Class::DoneTooLate,
        "05" | "83" => Class::Underway,
        "70" => Class::PayerIsAsked,
        "12" => Class::Duplicate,
        "34" => Class::NotFound,
        "02" | "37" | "39" => Class::NotNow,
        "11" | "31" => Class::Account,
        "35" | "45" | "46" => Class::OriginalState,
        "01" | "10" | "13" | "14" | "30" | "32" | "33" | "36" | "38" | "40" | "41" | "43" | "44" | "60" | "61"
        | "62" | "63" | "64" | "65" | "66" | "67" | "68" | "69" | "71" | "72" | "73" | "76" | "77" | "78" | "79"
        | "80" | "81" | "82" | "98" => Class::Refused,
        _ => Class::Unclear,
    }
}

/// Builds the manifest.
pub(super) fn manifest() -> Manifest {
    Manifest {
        adapter: ADAPTER,
        test_mode_only: false,
        settings: account::settings(),
        codes: vec![
            CodeManifest { recreate: Recreate::Refused, ..code(APP) },
            CodeManifest {
                recreate: Recreate::Resign,
                locally_signed: true,
                needs: vec![PayerInput::ReturnUrl],
                ..code(WEB)
            },
        ],
        material_kept: None,
        fixed_hosts: Vec::new(),
        // An answer without a signature proves nothing, whatever it says.
        unsigned: Vec::new(),
    }
}

/// What both have in common.
fn code(name: &str) -> CodeManifest {
    CodeManifest {
        code: parsed(name),
        group: "unipay",
        currencies: vec![Currency::CNY],
        // txnAmt has twelve digits.
        amount_minor: (1, 999_999_999_999),
        needs: Vec::new(),
        subject_bytes_max: 256,
        expiry: (Duration::from_secs(2 * MINUTE), Duration::from_secs(7 * DAY)),
        expiry_default: Duration::from_secs(2 * HOUR),
        min_life: Duration::from_secs(30),
        // What was begun in time is finished after it; later money is answered 42 and returned.
        grace: Duration::from_secs(2 * MINUTE),
        recreate: Recreate::Refused,
        // Whether a payer may try another card after one was refused is not documented.
        decline_final: false,
        action_lifetime: None,
        locally_signed: false,
        authorize: false,
        query: QueryRules {
            truth_from: Duration::from_secs(MINUTE),
            truth_until: Some(Duration::from_secs(30 * DAY)),
            schedule: waits(&[5, 30, 2 * MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 6 * HOUR, DAY]),
            // 5, 10, 30, 60 and 120 minutes after the order (Form_6_5_Query of the SDK's examples, 交易说明 1).
            awaiting_schedule: waits(&[5 * MINUTE, 5 * MINUTE, 20 * MINUTE, 30 * MINUTE, HOUR]),
        },
        close: None,
        refund: Some(RefundRules {
            partial: true,
            min_gap: Duration::from_secs(1),
            count_max: 50,
            // Eleven months (Form_6_4_Refund, 交易说明 3).
            window: Duration::from_secs(330 * DAY),
            query: QueryRules {
                truth_from: Duration::from_secs(MINUTE),
                truth_until: Some(Duration::from_secs(30 * DAY)),
                // 1, 2, 4 … 32 s (Form_6_5_Query, 交易说明 2), then what a person would do.
                schedule: waits(&[1, 2, 4, 8, 16, 32, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 6 * HOUR, DAY]),
                awaiting_schedule: Vec::new(),
            },
        }),
        // On the day of the payment until its cut at 23:00 Beijing time, wholly (Form_6_3_ConsumeUndo).
        void: Some(VoidRules { utc_offset: Duration::from_secs(8 * HOUR), cut_off: Duration::from_secs(23 * HOUR) }),
        not_executed_max: 3,
        call_deadline: Duration::from_secs(15),
    }
}

fn waits(seconds: &[u64]) -> Vec<Duration> {
    seconds.iter().copied().map(Duration::from_secs).collect()
}

fn parsed(name: &str) -> ChannelCode {
    name.parse().expect("a channel code, written above")
}
