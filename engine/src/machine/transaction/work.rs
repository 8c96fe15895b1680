//! A step in the making: the record as it becomes, and what else the commit will carry.

use std::time::Duration;

use crate::channel::CodeManifest;
use crate::machine::input::NOTE_MAX;
use crate::machine::{AccountPause, Effect, Moment, NewAlarm, NewEvent, Step};
use crate::model::{
    AlarmKind, Attempt, AttemptNumber, Attention, Bill, CallKind, Cause, EventKind, InDoubt, ReceiptState, Status,
    Timestamp, Transaction,
};

use super::{AppPolicy, aftermath, closing, failover, hints};

/// One look a day, once a schedule is used up.
pub(super) const DAY: Duration = Duration::from_hours(24);

/// No two looks follow each other faster, whatever a manifest says.
pub(super) const WAIT_MIN: Duration = Duration::from_millis(100);

/// Longest alarm, in characters.
const ALARM_MAX: usize = 500;

/// A step in the making.
pub(super) struct Work<'a> {
    pub(super) before: &'a Transaction,
    pub(super) record: Transaction,
    pub(super) moment: Moment,
    pub(super) rules: &'a CodeManifest,
    pub(super) policy: AppPolicy,
    pub(super) cause: Cause,
    pub(super) evidence_digest: Option<[u8; 32]>,
    pub(super) claims_once: Option<[u8; 32]>,
    pub(super) pauses_account: Option<AccountPause>,
    pub(super) effects: Vec<Effect>,
    bill: &'a Bill,
    bill_after: Option<Bill>,
    events: Vec<NewEvent>,
    alarms: Vec<NewAlarm>,
    notes: Vec<String>,
    look: Option<Timestamp>,
}

impl<'a> Work<'a> {
    pub(super) fn new(
        before: &'a Transaction,
        bill: &'a Bill,
        moment: Moment,
        rules: &'a CodeManifest,
        policy: AppPolicy,
        cause: Cause,
    ) -> Self {
        Self {
            before,
            record: before.clone(),
            moment,
            rules,
            policy,
            cause,
            evidence_digest: None,
            claims_once: None,
            pauses_account: None,
            effects: Vec::new(),
            bill,
            bill_after: None,
            events: Vec::new(),
            alarms: Vec::new(),
            notes: Vec::new(),
            look: None,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.moment.wall
    }

    /// Adds to what the timeline tells.
    pub(super) fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    pub(super) fn publish(&mut self, event: NewEvent) {
        self.events.push(event);
    }

    /// Publishes a fact about the transaction as a whole.
    pub(super) fn publish_plain(&mut self, kind: EventKind, reason: Option<String>) {
        self.publish(NewEvent { kind, trade_number: None, moved: None, reason: reason.map(|text| clip(&text)) });
    }

    pub(super) fn alarm(&mut self, kind: AlarmKind, text: &str) {
        self.alarms.push(NewAlarm { kind, text: text.chars().take(ALARM_MAX).collect() });
    }

    /// Flags it for a person. Whether it was not flagged so before.
    pub(super) fn flag(&mut self, attention: Attention) -> bool {
        if self.record.attention.contains(&attention) {
            return false;
        }
        self.record.attention.push(attention);
        self.record.attention.sort_unstable();
        true
    }

    pub(super) fn unflag(&mut self, attention: Attention) {
        self.record.attention.retain(|flagged| *flagged != attention);
    }

    /// The Bill row, to be changed.
    pub(super) fn bill_mut(&mut self) -> &mut Bill {
        let bill = self.bill;
        self.bill_after.get_or_insert_with(|| bill.clone())
    }

    /// Looks at it next after `wait`, whatever was planned.
    pub(super) fn look_in(&mut self, wait: Duration) {
        self.look = Some(self.now().after(wait.max(WAIT_MIN)));
    }

    /// Looks at it no later than after `wait`.
    pub(super) fn look_within(&mut self, wait: Duration) {
        let at = self.now().after(wait.max(WAIT_MIN));
        let planned = self.look.or(self.record.look_at).unwrap_or(at);
        self.look = Some(planned.min(at));
    }

    /// Looks at it no sooner than after `wait`.
    pub(super) fn look_not_within(&mut self, wait: Duration) {
        let at = self.now().after(wait);
        let planned = self.look.or(self.record.look_at).unwrap_or(at);
        self.look = Some(planned.max(at));
    }

    pub(super) fn attempt_index(&self, number: &AttemptNumber) -> Option<usize> {
        self.record.attempts.iter().position(|attempt| attempt.number == *number)
    }

    /// Index of the current attempt.
    pub(super) fn newest(&self) -> Option<usize> {
        self.record.attempts.len().checked_sub(1)
    }

    /// Index of the attempt that opened the order: the newest that is no charge by a token.
    pub(super) fn order(&self) -> Option<usize> {
        self.record.attempts.iter().rposition(|attempt| attempt.intent.token.is_none())
    }

    pub(super) fn all_ended(&self) -> bool {
        self.record.attempts.iter().all(|attempt| attempt.ended.is_some())
    }

    /// Whether money of another amount or currency waits for a person: then no answer of the channel ends it.
    pub(super) fn mismatch_waits(&self) -> bool {
        self.record.receipts.iter().any(|receipt| receipt.state == ReceiptState::Mismatch)
    }

    /// Asks the channel `kind` about every attempt that can still bring something.
    pub(super) fn ask(&mut self, kind: CallKind) {
        for number in targets(&self.record) {
            self.call(number, kind);
        }
    }

    /// Asks the channel `kind` about one attempt, once in a step.
    pub(super) fn call(&mut self, number: AttemptNumber, kind: CallKind) {
        let effect = Effect::Call { number, kind, send: 0 };
        if !self.effects.contains(&effect) {
            self.effects.push(effect);
        }
    }

    /// Whether its own schedule wants it looked at now.
    pub(super) fn look_is_due(&self) -> bool {
        self.before.look_at.is_none_or(|due| due <= self.now())
    }

    /// The answer to a call of ours is missing.
    pub(super) fn doubt(&mut self, reason: &str) {
        if self.record.in_doubt.is_none() {
            let since = self.now();
            self.record.in_doubt = Some(InDoubt { since, reason: clip(reason), next_check_at: since });
        }
    }

    /// The answer is there.
    pub(super) fn no_doubt(&mut self) {
        self.record.in_doubt = None;
        self.unflag(Attention::InDoubt);
    }

    /// The schedule is used up: a person must look, and the engine looks once a day.
    pub(super) fn overdue(&mut self, what: &str) {
        self.look_in(DAY);
        self.doubt(what);
        if self.flag(Attention::InDoubt) {
            self.note(format!("{what}; from now on one look a day"));
            self.alarm(AlarmKind::InDoubt, &format!("{what}, after the last scheduled look"));
        }
    }

    /// The step.
    pub(super) fn finish(mut self) -> Step {
        self.plan();
        if !failover::may_come(&self.record.status) {
            self.record.fallbacks.clear();
        }
        let changed = self.record != *self.before
            || self.bill_after.is_some()
            || self.pauses_account.is_some()
            || self.claims_once.is_some()
            || !self.events.is_empty()
            || !self.alarms.is_empty();
        if changed {
            self.record.version = self.record.version.saturating_add(1);
        }
        let note = if self.notes.is_empty() { "nothing new".to_owned() } else { self.notes.join("; ") };
        Step {
            record: self.record,
            changed,
            cause: self.cause,
            note: clip(&note),
            evidence_digest: self.evidence_digest,
            bill: self.bill_after,
            claims_once: self.claims_once,
            pauses_account: self.pauses_account,
            events: self.events,
            alarms: self.alarms,
            effects: self.effects,
        }
    }

    /// Settles when it is looked at next. An open transaction always has a due time.
    fn plan(&mut self) {
        self.record.look_at = match self.record.status {
            Status::Created | Status::Submitting { .. } | Status::AwaitingPayer { .. } | Status::Closing => {
                Some(self.planned_while_open())
            }
            Status::Succeeded { .. } if aftermath::any_doubtful(&self.record) => Some(self.planned()),
            Status::Succeeded { .. } => {
                self.no_doubt();
                None
            }
            Status::Failed { .. } | Status::Closed { .. } => None,
        };
        self.record.due_at = self.record.look_at.into_iter().chain(hints::next_at(&self.record)).min();
        if let (Some(doubt), Some(due)) = (&mut self.record.in_doubt, self.record.look_at) {
            doubt.next_check_at = due;
        }
    }

    fn planned(&self) -> Timestamp {
        self.look.or(self.record.look_at).unwrap_or_else(|| self.now().after(DAY))
    }

    fn planned_while_open(&self) -> Timestamp {
        let mut due = self.planned();
        if self.expires_by_clock() {
            due = due.min(closing::expires_next(self));
        }
        if self.waits_for_closing_moment() {
            let moment = closing::moment_of_all(&self.record, self.rules);
            if self.now() < moment {
                due = due.min(moment);
            }
        }
        due
    }

    /// Whether the passing of `expires_at` will ask for a close.
    pub(super) fn expires_by_clock(&self) -> bool {
        use crate::model::Submission::{Charge, Create};
        self.record.close_requested.is_none()
            && match self.record.status {
                Status::Created | Status::Submitting { what: Create } | Status::AwaitingPayer { .. } => true,
                Status::Submitting { what: Charge }
                | Status::Closing
                | Status::Succeeded { .. }
                | Status::Failed { .. }
                | Status::Closed { .. } => false,
            }
    }

    /// Whether a close was asked for that the closing moment can bring.
    fn waits_for_closing_moment(&self) -> bool {
        let closing = self.record.status == Status::Closing;
        closing || self.record.close_requested.is_some() && self.rules.close.is_none()
    }
}

/// The attempts that a look asks about: those that were sent and have not ended; when all have, every one that was
/// sent, because money may still show on it.
pub(super) fn targets(record: &Transaction) -> Vec<AttemptNumber> {
    let sent = |attempt: &&Attempt| attempt.sends_made > 0;
    let open: Vec<_> = record.attempts.iter().filter(sent).filter(|attempt| attempt.ended.is_none()).collect();
    let asked = if open.is_empty() { record.attempts.iter().filter(sent).collect() } else { open };
    asked.into_iter().map(|attempt| attempt.number.clone()).collect()
}

/// A text cut to what a timeline holds.
pub(super) fn clip(text: &str) -> String {
    text.chars().take(NOTE_MAX).collect()
}
