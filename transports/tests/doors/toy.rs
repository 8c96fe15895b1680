//! An adapter whose orders are texts, signed here, and whose notifications are believed as they come.

use std::time::Duration;

use maxpay_engine::channel::http::{HttpReply, HttpRequest};
use maxpay_engine::channel::{
    Acknowledgement, Adapter, Answer, Call, CodeManifest, Context, Fact, FactSubject, FieldError, Interpreted,
    Manifest, Notified, Outcome, Paid, PayerInput, Prepared, QueryRules, RawNotification, Recreate, SecretSettings,
    Step,
};
use maxpay_engine::model::{ChannelCode, Currency, Mode, Money, NamedAction, PayerAction, Timestamp};
use serde_json::Value;

/// The adapter. `toy_app` and `toy_web` are signed here, `toy_web` needs a return address, and `toy_down` sends to
/// where nobody is.
pub struct Toy(Manifest);

impl Toy {
    pub fn new() -> Self {
        let codes = vec![
            code("toy_app", Vec::new(), true),
            code("toy_web", vec![PayerInput::ReturnUrl], true),
            code("toy_down", Vec::new(), false),
        ];
        Self(Manifest {
            adapter: "toy",
            test_mode_only: false,
            settings: Vec::new(),
            codes,
            material_kept: None,
            fixed_hosts: Vec::new(),
            unsigned: Vec::new(),
        })
    }
}

fn code(code: &str, needs: Vec<PayerInput>, locally_signed: bool) -> CodeManifest {
    CodeManifest {
        code: code.parse().expect("a code"),
        group: "toy",
        currencies: vec![Currency::CNY],
        amount_minor: (1, 1_000_000),
        needs,
        subject_bytes_max: 256,
        expiry: (Duration::from_mins(1), Duration::from_hours(24)),
        expiry_default: Duration::from_hours(2),
        min_life: Duration::from_secs(30),
        grace: Duration::from_secs(30),
        recreate: if locally_signed { Recreate::Resign } else { Recreate::ReturnsAction },
        decline_final: true,
        action_lifetime: None,
        locally_signed,
        authorize: false,
        query: QueryRules {
            truth_from: Duration::ZERO,
            truth_until: None,
            schedule: vec![Duration::from_mins(1)],
            awaiting_schedule: Vec::new(),
        },
        close: None,
        refund: None,
        void: None,
        not_executed_max: 1,
        call_deadline: Duration::from_secs(5),
    }
}

impl Adapter for Toy {
    fn manifest(&self) -> &Manifest {
        &self.0
    }

    fn validate(
        &self,
        _: Mode,
        _: &serde_json::Map<String, Value>,
        _: &SecretSettings,
        _: Timestamp,
    ) -> Result<String, Vec<FieldError>> {
        Ok("toy".to_owned())
    }

    fn prepare(&self, call: &Call, context: &Context<'_>) -> Prepared {
        let Call::Create { code, .. } = call else { return Prepared::Unsupported };
        let number = context.subject.map(|subject| subject.number).unwrap_or_default();
        if code.as_str() == "toy_down" {
            return Prepared::Send(HttpRequest::get("https://toy.example/".parse().expect("an address")));
        }
        let action = NamedAction {
            name: code.to_string(),
            action: PayerAction::AppOrder { order: format!("order={number}") },
            usable_until: None,
        };
        Prepared::Done(Answer::bare(Outcome::AwaitingPayer(vec![action])))
    }

    fn interpret(&self, _: &Call, _: Step, _: &HttpReply, _: &Context<'_>) -> Interpreted {
        Interpreted::Done(Answer::bare(Outcome::Unknown("nobody is there".to_owned())))
    }

    fn notification(&self, raw: &RawNotification, _: &Context<'_>) -> Notified {
        let answer = |status, text: &'static str| Acknowledgement {
            status,
            content_type: "text/toy".to_owned(),
            body: text.into(),
        };
        let Some(fact) = fact(&raw.body) else {
            return Notified::Unverified { reason: "it is no fact".to_owned(), refusal: answer(400, "no") };
        };
        Notified::Verified { facts: vec![fact], ack: answer(202, "taken\r\n"), refusal: answer(503, "again") }
    }

    fn shown(&self, code: &ChannelCode, _: &str, actions: &[NamedAction]) -> Vec<(String, String)> {
        let order = actions.iter().find_map(|action| match &action.action {
            PayerAction::AppOrder { order } => Some(order.clone()),
            PayerAction::Prepay { .. }
            | PayerAction::Redirect { .. }
            | PayerAction::Form { .. }
            | PayerAction::QrText { .. }
            | PayerAction::WalletSession { .. } => None,
        });
        order.map(|order| (code.to_string(), order)).into_iter().collect()
    }
}

/// `{"number", "trade", "fen"}`: so much was paid.
fn fact(body: &[u8]) -> Option<Fact> {
    let said: Value = serde_json::from_slice(body).ok()?;
    let paid = Paid {
        trade_number: said["trade"].as_str()?.to_owned(),
        amount: Money::new(said["fen"].as_u64()?, Currency::CNY).ok()?,
        paid_at: None,
    };
    Some(Fact {
        subject: FactSubject::Attempt(said["number"].as_str()?.to_owned()),
        numbered_at: None,
        owners: Vec::new(),
        provider_time: None,
        outcome: Outcome::Succeeded(paid),
    })
}
