//! Raising alarms: a row in the batch of what it is about, and a count once that batch is durable.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::{Clock, IdSource};
use crate::model::{Alarm, AlarmId, AlarmKind};
use crate::store::records::decode_row;
use crate::store::{Batch, CommitListener, Put, Seq, Table, keys};

/// Longest text of an alarm, in characters.
const TEXT_MAX: usize = 500;

/// Raises alarms and counts those that became durable.
pub(crate) struct Alarms {
    ids: IdSource,
    clock: Arc<dyn Clock>,
    raised: Mutex<BTreeMap<AlarmKind, u64>>,
}

impl Alarms {
    /// None raised yet. Has to listen to the store's commits to count.
    pub(crate) fn new(ids: IdSource, clock: Arc<dyn Clock>) -> Self {
        Self { ids, clock, raised: Mutex::default() }
    }

    /// Puts an alarm about the record `subject` into `batch`. `text` holds no secrets and is cut at 500 characters.
    pub(crate) fn raise(&self, batch: &mut Batch, kind: AlarmKind, subject: impl Display, text: &str) -> AlarmId {
        let alarm = Alarm {
            id: self.ids.next(),
            kind,
            subject: subject.to_string(),
            text: text.chars().take(TEXT_MAX).collect(),
            raised_at: self.clock.now().wall,
            acknowledged: None,
        };
        batch.put_record(keys::alarm(alarm.id), &alarm);
        alarm.id
    }

    /// How many of each kind became durable since the start; kinds without any are left out.
    pub(crate) fn raised(&self) -> BTreeMap<AlarmKind, u64> {
        self.raised.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl CommitListener for Alarms {
    fn committed(&self, _seq: Seq, puts: &[Put]) {
        for put in puts.iter().filter(|put| put.key.table == Table::Alarm) {
            let Some(value) = &put.value else { continue };
            // One that does not decode cannot have been raised here; one that was acknowledged was counted before.
            let Ok(alarm) = decode_row::<Alarm>(&put.key, value) else { continue };
            if alarm.acknowledged.is_none() {
                *self.raised.lock().unwrap_or_else(PoisonError::into_inner).entry(alarm.kind).or_default() += 1;
            }
        }
    }
}
