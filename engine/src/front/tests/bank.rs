//! An adapter with settings of every sort. What it does with calls is of no concern here: it refuses them all.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::channel::http::HttpReply;
use crate::channel::*;
use crate::model::*;

pub struct Bank(Manifest);

impl Bank {
    pub fn new(adapter: &'static str, test_mode_only: bool) -> Self {
        let field = |name, secret, needed| SettingField { name, secret, needed, doc: "a setting" };
        let settings = vec![
            field("merchant", false, true),
            field("wording", false, false),
            field("key", true, true),
            field("passphrase", true, false),
        ];
        let codes = ["bank_app", "bank_web"].map(code).to_vec();
        Self(Manifest {
            adapter,
            test_mode_only,
            settings,
            codes,
            fixed_hosts: Vec::new(),
            unsigned: Vec::new(),
            material_kept: None,
        })
    }
}

fn code(text: &str) -> CodeManifest {
    let hour = Duration::from_hours(1);
    CodeManifest {
        code: text.parse().expect("a code"),
        group: "bank",
        currencies: vec![Currency::CNY],
        amount_minor: (1, 1_000_000),
        needs: Vec::new(),
        subject_bytes_max: 128,
        expiry: (Duration::from_mins(1), hour),
        expiry_default: hour,
        min_life: Duration::ZERO,
        grace: Duration::ZERO,
        recreate: Recreate::Never,
        decline_final: true,
        action_lifetime: None,
        locally_signed: false,
        authorize: false,
        query: QueryRules {
            truth_from: Duration::ZERO,
            truth_until: None,
            schedule: vec![hour],
            awaiting_schedule: Vec::new(),
        },
        close: None,
        refund: None,
        void: None,
        not_executed_max: 1,
        call_deadline: Duration::from_secs(10),
    }
}

impl Adapter for Bank {
    fn manifest(&self) -> &Manifest {
        &self.0
    }

    fn validate(
        &self,
        _: Mode,
        settings: &Map<String, Value>,
        secrets: &SecretSettings,
        _: Timestamp,
    ) -> Result<String, Vec<FieldError>> {
        let wrong = |field: &str| FieldError { field: field.to_owned(), why: "is wrong".to_owned() };
        if secrets.named("key").is_none_or(|key| key.len() < 8) {
            return Err(vec![wrong("key")]);
        }
        let merchant = settings.get("merchant").and_then(Value::as_str);
        merchant.map(str::to_owned).ok_or_else(|| vec![wrong("merchant")])
    }

    fn prepare(&self, _: &Call, _: &Context<'_>) -> Prepared {
        Prepared::Unsupported
    }

    fn interpret(&self, _: &Call, _: Step, _: &HttpReply, _: &Context<'_>) -> Interpreted {
        let outcome = Outcome::Unknown("nothing was asked".to_owned());
        Interpreted::Done(Answer { number: None, owners: Vec::new(), provider_time: None, outcome })
    }

    fn notification(&self, _: &RawNotification, _: &Context<'_>) -> Notified {
        unreachable!("no test of the registry sends a notification")
    }

    fn shown(&self, _: &ChannelCode, _: &str, _: &[NamedAction]) -> Vec<(String, String)> {
        Vec::new()
    }
}
