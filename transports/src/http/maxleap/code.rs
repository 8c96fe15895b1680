//! The original's table of codes, and how a refusal reads.

use std::collections::BTreeMap;

use maxpay_engine::Error;
use maxpay_engine::api::Unauthenticated;
use maxpay_engine::model::TransactionId;
use serde_json::Value;

/// What went wrong, as the original's clients know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    /// The credential does not hold.
    App,
    /// The channel is not configured for the app.
    NotConfigured,
    /// The channel is not legal.
    Channel,
    /// A field is missing.
    Missing,
    /// A field is not legal; also path, method, size and JSON.
    Param,
    /// What the account signs with cannot be used.
    CertFile,
    /// The channel refused or failed.
    ChannelFailed,
    /// Anything else; it may have been done.
    RunTime,
}

impl Code {
    pub(super) fn number(self) -> u8 {
        match self {
            Self::App => 1,
            Self::NotConfigured => 2,
            Self::Channel => 3,
            Self::Missing => 4,
            Self::Param => 5,
            Self::CertFile => 6,
            Self::ChannelFailed => 7,
            Self::RunTime => 14,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::App => "APP_INVALID",
            Self::NotConfigured => "PAY_FACTOR_NOT_SET",
            Self::Channel => "CHANNEL_INVALID",
            Self::Missing => "MISS_PARAM",
            Self::Param => "PARAM_INVALID",
            Self::CertFile => "CERT_FILE_ERROR",
            Self::ChannelFailed => "CHANNEL_ERROR",
            Self::RunTime => "RUN_TIME_ERROR",
        }
    }
}

/// What the original's gateway said of refused credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gateway {
    NoPermission,
    SessionInvalid,
    SessionExpired,
    KeyMismatch,
    SignInvalid,
}

impl Gateway {
    pub(super) fn of(why: Unauthenticated) -> Self {
        match why {
            Unauthenticated::UnknownApp | Unauthenticated::Unavailable => Self::NoPermission,
            Unauthenticated::SessionUnknown => Self::SessionInvalid,
            Unauthenticated::SessionExpired => Self::SessionExpired,
            Unauthenticated::KeyMismatch | Unauthenticated::Missing => Self::KeyMismatch,
            Unauthenticated::SignInvalid => Self::SignInvalid,
        }
    }

    fn number(self) -> u32 {
        match self {
            Self::NoPermission => 90_000,
            Self::SessionInvalid => 90_100,
            Self::SessionExpired => 90_101,
            Self::KeyMismatch => 90_102,
            Self::SignInvalid => 90_104,
        }
    }
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: Code,
    err: String,
    /// The record, wherever there is one.
    id: Option<TransactionId>,
    gateway: Option<Gateway>,
}

impl Refusal {
    pub(super) fn new(code: Code, err: impl Into<String>) -> Self {
        Self { code, err: err.into(), id: None, gateway: None }
    }

    pub(super) fn credential(gateway: Gateway, err: impl Into<String>) -> Self {
        Self { gateway: Some(gateway), ..Self::new(Code::App, err) }
    }

    pub(super) fn of_record(self, id: TransactionId) -> Self {
        Self { id: Some(id), ..self }
    }

    /// The JSON text, keys in alphabetical order. `err` is never empty.
    pub(super) fn body(&self) -> String {
        let err = if self.err.is_empty() { self.code.name() } else { self.err.as_str() };
        let mut body = BTreeMap::from([
            ("code", Value::from(self.code.number())),
            ("err", Value::from(err)),
            ("msg", Value::from(self.code.name())),
        ]);
        if let Some(gateway) = self.gateway {
            body.insert("errorCode", Value::from(gateway.number()));
            body.insert("errorMessage", Value::from(err));
        }
        if let Some(id) = self.id {
            body.insert("id", Value::from(id.to_string()));
        }
        serde_json::to_string(&body).unwrap_or_else(|_| r#"{"code":14,"err":"RUN_TIME_ERROR"}"#.to_owned())
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            Error::Invalid { fields } => {
                let fields = fields.iter().map(|field| format!("{}: {}", original_name(&field.field), field.why));
                Self::new(Code::Param, fields.collect::<Vec<_>>().join("; "))
            }
            Error::NoAccount(_) => Self::new(Code::NotConfigured, text),
            // All its accounts are disabled, which is how a merchant deletes them.
            Error::AccountPaused(channel, reason) if reason.is_empty() => {
                Self::new(Code::NotConfigured, Error::NoAccount(channel).to_string())
            }
            Error::UnknownChannel(_) => Self::new(Code::Channel, text),
            Error::CertificateUnusable(_) => Self::new(Code::CertFile, text),
            Error::AccountPaused(..) | Error::Unsupported => Self::new(Code::ChannelFailed, text),
            Error::BillNumberConflict(id) => Self::new(Code::Param, text).of_record(id),
            Error::Internal(what) => {
                tracing::error!(what, "an original call failed by a defect");
                Self::new(Code::RunTime, "something went wrong here; nothing is claimed about what was done")
            }
            Error::NotFound(_)
            | Error::IdempotencyMismatch
            | Error::IdempotencyInProgress
            | Error::TokenUsed
            | Error::TokenRefused(_)
            | Error::Conflict(_)
            | Error::LimitReached(_)
            | Error::Busy
            | Error::ShuttingDown
            | Error::SetAside
            | Error::StoreUnavailable(_)
            | Error::OutcomeUnknown => Self::new(Code::RunTime, text),
            // One that this door does not know yet.
            _ => Self::new(Code::RunTime, ""),
        }
    }
}

/// A field's name as the original writes it.
fn original_name(native: &str) -> &str {
    match native {
        "bill_num" => "billNum",
        "amount" | "amount_minor" | "amount.amount_minor" => "totalFee",
        "return_url" => "returnUrl",
        "show_url" => "showUrl",
        "timeout" | "timeout_seconds" => "billTimeout",
        "payer.openid" => "openid",
        "payer.qr_mode" | "qr_mode" => "qrPayMode",
        "payer.h5_type" | "h5_type" => "h5Type",
        "payer.client_ip" | "client_ip" => "clientIp",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_read_as_the_clients_read_them() {
        // An integer code above zero, a text `err`, keys in alphabetical order; the id and the gateway's words where
        // there are any.
        let id = "66f0a1b2c3d4e5f607182930".parse().expect("an id");
        for (refusal, text) in [
            (
                Refusal::new(Code::Missing, "billNum is missing"),
                r#"{"code":4,"err":"billNum is missing","msg":"MISS_PARAM"}"#,
            ),
            (
                Refusal::new(Code::RunTime, "").of_record(id),
                r#"{"code":14,"err":"RUN_TIME_ERROR","id":"66f0a1b2c3d4e5f607182930","msg":"RUN_TIME_ERROR"}"#,
            ),
            (
                Refusal::credential(Gateway::KeyMismatch, "no"),
                r#"{"code":1,"err":"no","errorCode":90102,"errorMessage":"no","msg":"APP_INVALID"}"#,
            ),
        ] {
            assert_eq!(refusal.body(), text);
        }
    }

    #[test]
    fn engine_errors_have_original_codes() {
        // design.md section 5: busy and the store are 14, a paused account 7, no account 2, an unknown channel 3.
        for (error, code) in [
            (Error::Busy, 14),
            (Error::ShuttingDown, 14),
            (Error::StoreUnavailable("disk".to_owned()), 14),
            (Error::OutcomeUnknown, 14),
            (Error::SetAside, 14),
            (Error::Internal("x".to_owned()), 14),
            (Error::AccountPaused("a".to_owned(), "b".to_owned()), 7),
            (Error::AccountPaused("a".to_owned(), String::new()), 2),
            (Error::NoAccount("a".to_owned()), 2),
            (Error::UnknownChannel("a".to_owned()), 3),
            (Error::CertificateUnusable("a".to_owned()), 6),
            (Error::field("return_url", "is too long"), 5),
        ] {
            let refusal = Refusal::from(error.clone());
            assert_eq!(refusal.code.number(), code, "{error}");
            assert!(!refusal.body().contains("return_url"));
        }
    }
}
