//! The only way in at start, after passivation and after a panic.

use crate::channel::CodeManifest;
use crate::machine::{Effect, Input, Moment};
use crate::model::{CallKind, Status, Transaction};

use super::work::targets;

/// What a record that was just read wants done. The record stays as it is: what changes it comes back as inputs.
///
/// A call whose answer was lost is asked about under the same number, never made again; what is due is fed in; the
/// rest waits for its `due_at`.
#[must_use]
pub fn resume(record: &Transaction, moment: Moment, rules: &CodeManifest) -> Vec<Effect> {
    // What may be sent, and when, is decided by the step that follows.
    let _ = rules;
    let is_due = record.due_at.is_none_or(|due| due <= moment.wall);
    let due = is_due.then_some(Effect::Feed(Input::Due));
    let queries = || {
        let query = |number| Effect::Call { number, kind: CallKind::Query, send: 0 };
        targets(record).into_iter().map(query)
    };
    match record.status {
        Status::Created => vec![Effect::Feed(Input::Due)],
        // Its due time asks again, on the schedule.
        Status::Submitting { .. } => queries().collect(),
        Status::AwaitingPayer { .. } => due.into_iter().collect(),
        Status::Closing => queries().chain(due).collect(),
        Status::Succeeded { .. } | Status::Failed { .. } | Status::Closed { .. } => {
            // An attempt of unknown outcome, or a hint that nothing has answered.
            due.filter(|_| record.due_at.is_some()).into_iter().collect()
        }
    }
}
