//! What the tests share: channels of every kind, a transaction, moments, and a play of inputs.

use std::time::Duration;

use crate::channel::{CloseRules, CodeManifest, Outcome, Paid, QueryRules, Recreate};
use crate::machine::transaction::{AppPolicy, Draft, bill_after_create, create, step};
use crate::machine::{Effect, Input, Moment, NewAlarm, NewEvent, Refusal, Source, Step, Told};
use crate::model::{
    AccountId, AttemptNumber, Bill, CallKind, Currency, Door, EventKind, LatePolicy, Mode, Money, NamedAction,
    PayerAction, PayerInputs, RawId, Timestamp, Transaction, TransactionId,
};

pub(super) const ID: TransactionId = TransactionId(RawId([7; 12]));
pub(super) const OTHER: TransactionId = TransactionId(RawId([8; 12]));
pub(super) const ACCOUNT: AccountId = AccountId(RawId([9; 12]));
pub(super) const HELD: AppPolicy = AppPolicy { late_policy: LatePolicy::ByDoor };

/// Life of a transaction in these tests, in seconds; its closing moment is a minute later where nothing is sent late.
pub(super) const LIFE: u64 = 7_200;

/// Seconds after a send from which on nothing of it is on its way, and a *not found* about it is believed.
pub(super) const OVER: u64 = 17;
pub(super) const VISIBLE: u64 = 22;

pub(super) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn start() -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000)
}

/// The wall time so many seconds after the making.
pub(super) fn wall(at: u64) -> Timestamp {
    start().after(seconds(at))
}

/// A moment of a process that made the transaction itself.
pub(super) fn moment(at: u64) -> Moment {
    Moment { wall: wall(at), alive: Some(seconds(at)), clock_confirmed: true }
}

/// A channel like WeChat's: the same call gives the payer action again, and orders can be closed.
pub(super) fn returning() -> CodeManifest {
    CodeManifest {
        code: "wx_native".parse().expect("a code"),
        group: "wx",
        currencies: vec![Currency::CNY],
        amount_minor: (1, 1_000_000),
        needs: Vec::new(),
        subject_bytes_max: 128,
        expiry: (seconds(300), seconds(86_400)),
        expiry_default: seconds(LIFE),
        min_life: seconds(60),
        grace: seconds(60),
        recreate: Recreate::ReturnsAction,
        decline_final: false,
        action_lifetime: Some(seconds(600)),
        locally_signed: false,
        authorize: false,
        query: QueryRules {
            truth_from: seconds(5),
            truth_until: None,
            schedule: vec![seconds(1), seconds(5), seconds(30)],
            awaiting_schedule: vec![seconds(10), seconds(60), seconds(1_800)],
        },
        close: Some(CloseRules { schedule: vec![seconds(2), seconds(20)] }),
        refund: None,
        void: None,
        not_executed_max: 3,
        call_deadline: seconds(10),
    }
}

/// The same without a close operation.
pub(super) fn without_close() -> CodeManifest {
    CodeManifest { close: None, ..returning() }
}

/// Like UnionPay's app: a second create is refused, there is no close.
pub(super) fn refusing() -> CodeManifest {
    CodeManifest { recreate: Recreate::Refused, close: None, ..returning() }
}

/// Like Alipay's app: signed here, with a close operation.
pub(super) fn signing() -> CodeManifest {
    CodeManifest { recreate: Recreate::Resign, locally_signed: true, ..returning() }
}

/// Like UnionPay's web: signed here, no close, *not found* is forgotten after a while.
pub(super) fn signing_without_close() -> CodeManifest {
    let rules = signing();
    let query = QueryRules { truth_until: Some(seconds(86_400)), ..rules.query };
    CodeManifest { close: None, query, ..rules }
}

/// A create that moves money itself; a decline is final.
pub(super) fn moving() -> CodeManifest {
    CodeManifest { recreate: Recreate::Never, decline_final: true, ..returning() }
}

/// Like Apple Pay: a wallet's token is charged.
pub(super) fn wallet() -> CodeManifest {
    CodeManifest { authorize: true, close: None, ..signing() }
}

/// A wallet whose declines are final.
pub(super) fn final_wallet() -> CodeManifest {
    CodeManifest { decline_final: true, ..wallet() }
}

pub(super) fn every_channel() -> Vec<(&'static str, CodeManifest)> {
    vec![
        ("returning", returning()),
        ("without_close", without_close()),
        ("refusing", refusing()),
        ("signing", signing()),
        ("signing_without_close", signing_without_close()),
        ("moving", moving()),
        ("wallet", wallet()),
        ("final_wallet", final_wallet()),
    ]
}

pub(super) fn yuan(minor: u64) -> Money {
    Money::new(minor, Currency::CNY).expect("small")
}

pub(super) fn new_transaction(rules: &CodeManifest, door: Door) -> Transaction {
    let draft = Draft {
        id: ID,
        app_id: crate::model::AppId(RawId([1; 12])),
        mode: Mode::Test,
        door,
        bill_num: "B-1".parse().expect("a bill number"),
        content_digest: [3; 32],
        channel: rules.code.clone(),
        amount: yuan(1_000),
        subject: "tea".to_owned(),
        extras: None,
        return_url: None,
        show_url: None,
        payer: PayerInputs::default(),
        timeout: None,
        account_id: ACCOUNT,
        revision: 1,
        fallbacks: Vec::new(),
    };
    create(draft, start(), rules)
}

pub(super) fn number(index: u8) -> AttemptNumber {
    AttemptNumber { transaction: ID, index }
}

pub(super) fn paid(trade: &str) -> Outcome {
    Outcome::Succeeded(payment(trade, yuan(1_000)))
}

pub(super) fn payment(trade: &str, amount: Money) -> Paid {
    Paid { trade_number: trade.to_owned(), amount, paid_at: None }
}

pub(super) fn returned(trade: &str, minor: u64, is_final: bool) -> Outcome {
    Outcome::PaidThenReturned {
        paid: payment(trade, yuan(1_000)),
        returned: yuan(minor),
        refunds: Vec::new(),
        by: "the console".to_owned(),
        is_final,
    }
}

/// An open order whose payer action works until so many seconds after the making.
pub(super) fn open_until(at: u64) -> Outcome {
    Outcome::AwaitingPayer(vec![NamedAction {
        name: "wx_native".to_owned(),
        action: PayerAction::QrText { text: "weixin://pay".to_owned() },
        usable_until: Some(wall(at)),
    }])
}

pub(super) fn unknown() -> Outcome {
    Outcome::Unknown("timeout".to_owned())
}

pub(super) fn declined() -> Outcome {
    Outcome::Declined("no".to_owned())
}

pub(super) fn not_executed() -> Outcome {
    Outcome::NotExecuted("not sent".to_owned())
}

/// An answer to a call about attempt `index`, without a provider's time.
pub(super) fn answer(index: u8, call: CallKind, send: u32, outcome: Outcome) -> Input {
    let source = Source::Answer { call, send };
    evidence(number(index), source, outcome)
}

/// Evidence as [`Play`] takes it: an answer was asked for when it came, if nothing else is said.
pub(super) fn evidence(number: AttemptNumber, source: Source, outcome: Outcome) -> Input {
    let (provider_time, asked_at, account_revision) = (None, None, Some(1));
    Input::Told(Told { number, source, outcome, provider_time, asked_at, account_revision, digest: None })
}

pub(super) fn created(send: u32, outcome: Outcome) -> Input {
    answer(0, CallKind::Create, send, outcome)
}

pub(super) fn queried(outcome: Outcome) -> Input {
    answer(0, CallKind::Query, 0, outcome)
}

pub(super) fn closed(outcome: Outcome) -> Input {
    answer(0, CallKind::Close, 0, outcome)
}

pub(super) fn charged(index: u8, outcome: Outcome) -> Input {
    answer(index, CallKind::Authorize, 0, outcome)
}

pub(super) fn notified(outcome: Outcome) -> Input {
    let source = Source::Notification;
    evidence(number(0), source, outcome)
}

/// The same evidence with the provider's own time, so many seconds after the making.
pub(super) fn timed(at: u64, input: Input) -> Input {
    let Input::Told(told) = input else { unreachable!("only evidence has a provider's time") };
    Input::Told(Told { provider_time: Some(wall(at)), ..told })
}

/// The same answer to a call that was begun so many seconds after the making.
pub(super) fn asked(at: u64, input: Input) -> Input {
    let Input::Told(told) = input else { unreachable!("only evidence was asked for") };
    Input::Told(Told { asked_at: Some(wall(at)), ..told })
}

/// An answer that says nothing else was begun when it came.
fn asked_then(when: Moment, input: Input) -> Input {
    match input {
        Input::Told(told) if told.asked_at.is_none() && told.source != Source::Notification => {
            Input::Told(Told { asked_at: Some(when.wall), ..told })
        }
        other @ (Input::Submit
        | Input::Signed(_)
        | Input::Close(_)
        | Input::QueryNow
        | Input::Authorize { .. }
        | Input::RenewActions
        | Input::Told(_)
        | Input::Hint(_)
        | Input::Due
        | Input::Vouch(_)
        | Input::AcceptMismatch { .. }
        | Input::AcceptLate { .. }) => other,
    }
}

pub(super) fn token(id: u8) -> Input {
    Input::Authorize { once_key: [id; 32], token_digest: [id; 32], account_id: ACCOUNT, revision: 1 }
}

/// A transaction, and what came of the inputs it was given.
pub(super) struct Play {
    pub(super) rules: CodeManifest,
    pub(super) policy: AppPolicy,
    pub(super) record: Transaction,
    pub(super) bill: Bill,
    pub(super) effects: Vec<Effect>,
    pub(super) events: Vec<NewEvent>,
    pub(super) alarms: Vec<NewAlarm>,
    /// What the last input came to.
    pub(super) last: Option<Result<Step, Refusal>>,
}

impl Play {
    pub(super) fn new(rules: CodeManifest) -> Self {
        Self::through(rules, Door::Native)
    }

    pub(super) fn through(rules: CodeManifest, door: Door) -> Self {
        let record = new_transaction(&rules, door);
        Self {
            rules,
            policy: HELD,
            record,
            bill: bill_after_create(None, ID),
            effects: Vec::new(),
            events: Vec::new(),
            alarms: Vec::new(),
            last: None,
        }
    }

    /// Gives it an input so many seconds after its making.
    pub(super) fn at(self, at: u64, input: Input) -> Self {
        self.when(moment(at), input)
    }

    pub(super) fn when(mut self, when: Moment, input: Input) -> Self {
        let input = asked_then(when, input);
        let result = step(&self.record, &self.bill, &input, when, &self.rules, &self.policy);
        self.effects.clear();
        if let Ok(step) = &result {
            self.record = step.record.clone();
            if let Some(bill) = &step.bill {
                self.bill = bill.clone();
            }
            self.effects.clone_from(&step.effects);
            self.events.extend(step.events.iter().cloned());
            self.alarms.extend(step.alarms.iter().cloned());
        }
        self.last = Some(result);
        self
    }

    pub(super) fn status(&self) -> &'static str {
        self.record.status.name()
    }

    pub(super) fn event_kinds(&self) -> Vec<EventKind> {
        self.events.iter().map(|event| event.kind).collect()
    }

    /// What the last input asked of the channel.
    pub(super) fn calls(&self) -> Vec<CallKind> {
        let kind = |effect: &Effect| match effect {
            Effect::Call { kind, .. } => Some(*kind),
            Effect::Resign { .. } | Effect::Feed(_) => None,
        };
        self.effects.iter().filter_map(kind).collect()
    }

    pub(super) fn resigns(&self) -> bool {
        self.effects.iter().any(|effect| matches!(effect, Effect::Resign { .. }))
    }

    pub(super) fn refusal(&self) -> Option<&Refusal> {
        self.last.as_ref().and_then(|result| result.as_ref().err())
    }

    pub(super) fn changed(&self) -> bool {
        matches!(&self.last, Some(Ok(step)) if step.changed)
    }

    /// Until it awaits its payer.
    pub(super) fn awaiting(rules: CodeManifest) -> Self {
        let play = Self::new(rules);
        if play.rules.locally_signed {
            play.at(0, Input::Signed(open_until(600)))
        } else {
            play.at(0, Input::Submit).at(1, created(0, open_until(600)))
        }
    }

    /// Until its create was sent and the answer is lost.
    pub(super) fn in_doubt(rules: CodeManifest) -> Self {
        Self::new(rules).at(0, Input::Submit).at(10, created(0, unknown()))
    }

    /// Until its charge was sent.
    pub(super) fn charging(rules: CodeManifest) -> Self {
        Self::awaiting(rules).at(5, token(1))
    }
}
