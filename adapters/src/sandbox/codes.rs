//! What the sandbox serves: every code of the real channels, each with the rules of the real one.
//!
//! | code | as the real one |
//! |---|---|
//! | `ali_app` `ali_web` `ali_wap` | signed here, nothing sent; the provider knows the order once the payer opens it |
//! | `ali_qrcode` `wx_*` | a create that may be repeated and gives the same action again |
//! | `unipay_app` | a second create is refused, the serial is given once |
//! | `unipay_web` | a form signed here; there is no close, so expiry alone ends it |
//! | `apple_pay` | nothing at the provider until a token is charged |

use std::time::Duration;

use maxpay_engine::channel::{CloseRules, CodeManifest, Manifest, PayerInput, QueryRules, Recreate, UnsignedAnswer};
use maxpay_engine::model::{ChannelCode, Currency};

use super::account;

/// What a newcomer tries first: a code to be scanned, and one that the original clients know.
pub const FIRST_STEPS: (&str, &str) = ("wx_native", "ali_app");

/// The adapter's name.
pub const ADAPTER: &str = "sandbox";

/// The three codes whose texts the original API always shows together.
pub(super) const ALI_SIGNED: [&str; 3] = ["ali_app", "ali_web", "ali_wap"];

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Builds the manifest.
pub(super) fn manifest() -> Manifest {
    Manifest {
        adapter: ADAPTER,
        test_mode_only: true,
        settings: account::settings(),
        codes: codes(),
        material_kept: None,
        fixed_hosts: Vec::new(),
        unsigned: vec![
            UnsignedAnswer { answer: "401 unknown_merchant or bad_signature", proves: "account_refused" },
            UnsignedAnswer { answer: "401 stale_signature: the clocks disagree", proves: "not_executed" },
        ],
    }
}

fn codes() -> Vec<CodeManifest> {
    let ali = |name| CodeManifest { subject_bytes_max: 256, ..code(name, "ali") };
    let signed =
        |name| CodeManifest { recreate: Recreate::Resign, locally_signed: true, decline_final: false, ..ali(name) };
    let wechat = |name| code(name, "wx");
    let needs = |inputs: &[PayerInput], code| CodeManifest { needs: inputs.to_vec(), ..code };
    vec![
        signed("ali_app"),
        needs(&[PayerInput::ReturnUrl], signed("ali_web")),
        needs(&[PayerInput::ReturnUrl], signed("ali_wap")),
        ali("ali_qrcode"),
        wechat("wx_app"),
        CodeManifest { currencies: currencies(&["CNY", "JPY", "KWD", "USD"]), ..wechat("wx_native") },
        needs(&[PayerInput::Openid], wechat("wx_jsapi")),
        needs(&[PayerInput::Openid], wechat("wx_mini")),
        CodeManifest {
            action_lifetime: Some(Duration::from_secs(5 * MINUTE)),
            ..needs(&[PayerInput::ClientIp, PayerInput::H5Type], wechat("wx_h5"))
        },
        CodeManifest { recreate: Recreate::Refused, ..code("unipay_app", "unipay") },
        CodeManifest {
            recreate: Recreate::Resign,
            locally_signed: true,
            close: None,
            needs: vec![PayerInput::ReturnUrl],
            ..code("unipay_web", "unipay")
        },
        CodeManifest {
            currencies: currencies(&["CNY", "JPY", "KWD", "USD"]),
            recreate: Recreate::Resign,
            locally_signed: true,
            authorize: true,
            decline_final: false,
            ..code("apple_pay", "apple")
        },
    ]
}

/// What most codes have in common.
fn code(name: &str, group: &'static str) -> CodeManifest {
    CodeManifest {
        code: parsed(name),
        group,
        currencies: vec![Currency::CNY],
        amount_minor: (1, 10_000_000_000),
        needs: Vec::new(),
        subject_bytes_max: 127,
        expiry: (Duration::from_secs(MINUTE), Duration::from_secs(30 * DAY)),
        expiry_default: Duration::from_secs(2 * HOUR),
        min_life: Duration::from_secs(10),
        grace: Duration::from_secs(5),
        recreate: Recreate::ReturnsAction,
        decline_final: true,
        action_lifetime: None,
        locally_signed: false,
        authorize: false,
        query: QueryRules {
            // The simulator knows an order at once. The wait is there because real providers need one, and what waits
            // for it here is what waits for it there.
            truth_from: Duration::from_secs(5),
            truth_until: None,
            schedule: waits(&[2, 5, 15, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 6 * HOUR, DAY]),
            awaiting_schedule: waits(&[15, MINUTE, 5 * MINUTE]),
        },
        close: Some(CloseRules { schedule: waits(&[2, 5, 15, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 6 * HOUR, DAY]) }),
        refund: None,
        void: None,
        not_executed_max: 3,
        call_deadline: Duration::from_secs(10),
    }
}

fn waits(seconds: &[u64]) -> Vec<Duration> {
    seconds.iter().copied().map(Duration::from_secs).collect()
}

fn currencies(codes: &[&str]) -> Vec<Currency> {
    codes.iter().map(|code| code.parse().expect("an ISO code, written above")).collect()
}

fn parsed(name: &str) -> ChannelCode {
    name.parse().expect("a channel code, written above")
}
