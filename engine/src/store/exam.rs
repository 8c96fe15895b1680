//! What every body of the store must do: both sit the same exam.
#![allow(missing_docs, reason = "tests")]

use std::sync::{Arc, Mutex};

use super::memory::{Failure, MemoryStore};
use super::notes::SetAside;
use super::records::{read_record, scan_records};
use super::samples::{raw, sample_delivery, sample_event, sample_inbox, sample_subscription, sample_transaction};
use super::*;
use crate::model::{
    Alarm, AlarmId, AlarmKind, AppId, Delivery, DeliveryMode, DeliveryState, EventKind, InboxItem, Mode, Subscription,
    SubscriptionId, SubscriptionState, Timestamp, Transaction,
};

/// A body under examination, and how its writer is held so that batches meet in one group.
pub struct Candidate {
    pub store: Arc<dyn Store>,
    pub hold: Box<dyn Fn()>,
    pub release: Box<dyn Fn()>,
}

/// Waits for a commit.
pub fn wait(commit: CommitFuture) -> Result<Committed, CommitError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(commit)
}

/// A row of the table that any test may use.
pub fn row(number: u8) -> RowKey {
    RowKey::new(Table::Meta, &[&[number]])
}

fn put(number: u8, value: &[u8]) -> Batch {
    let put = Put { key: row(number), value: Some(value.into()) };
    Batch { puts: vec![put], ..Batch::default() }
}

fn value(store: &dyn Store, number: u8) -> Option<Vec<u8>> {
    store.read(&row(number)).expect("readable").value.map(|value| value.to_vec())
}

/// All questions. Every one works on rows of its own.
pub fn exam(candidate: &Candidate) {
    let store = &*candidate.store;
    reads_its_own_writes(store);
    refuses_what_changed(store);
    judges_a_group_in_order(candidate);
    scans_what_is_committed(store);
    tells_listeners_in_order(candidate);
    fans_out_in_the_commit(store);
    keeps_index_and_due_rows(store);
    sets_aside_what_does_not_decode(store);
    refuses_what_is_too_large(store);
    is_busy_when_full(candidate);
}

fn reads_its_own_writes(store: &dyn Store) {
    // A read after a commit shows it, and says a commit that is not older; a removal shows, too.
    let committed = wait(store.commit(put(1, b"one"))).expect("committed");
    let read = store.read(&row(1)).expect("readable");
    assert_eq!(read.value.as_deref(), Some(b"one".as_slice()));
    assert!(read.seen >= committed.seq);
    let mut removal = Batch::default();
    removal.remove(row(1));
    let removed = wait(store.commit(removal)).expect("committed");
    assert!(removed.seq > committed.seq, "commits are numbered upwards");
    assert_eq!(value(store, 1), None);
}

fn refuses_what_changed(store: &dyn Store) {
    // A watch holds for what nobody changed since, also for a row that was absent; a refused batch writes nothing.
    let absent = store.read(&row(10)).expect("readable");
    assert!(absent.value.is_none());
    let mut claim = put(10, b"first");
    claim.watch(row(10), absent.seen);
    let first = wait(store.commit(claim.clone())).expect("free");
    assert_eq!(wait(store.commit(claim)).expect_err("taken"), CommitError::Conflict(row(10)));
    let mut own = put(10, b"second");
    own.watch(row(10), first.seq);
    let second = wait(store.commit(own)).expect("nobody else wrote it");
    let mut late = put(11, b"never");
    late.watch(row(10), first.seq);
    assert_eq!(wait(store.commit(late)).expect_err("changed"), CommitError::Conflict(row(10)));
    assert_eq!((value(store, 10), value(store, 11)), (Some(b"second".to_vec()), None));
    let mut removal = Batch::default();
    removal.remove(row(10)).watch(row(10), second.seq);
    wait(store.commit(removal)).expect("as it was");
    let mut gone = put(10, b"third");
    gone.watch(row(10), second.seq);
    assert_eq!(wait(store.commit(gone)).expect_err("removed since"), CommitError::Conflict(row(10)));
}

fn judges_a_group_in_order(candidate: &Candidate) {
    // Of two batches in one group that claim one row, the first wins and the second fails alone.
    let store = &*candidate.store;
    let seen = store.read(&row(20)).expect("readable").seen;
    let claim = |value: &[u8], other: u8| {
        let mut batch = put(20, value);
        batch.puts.extend(put(other, value).puts);
        batch.watch(row(20), seen);
        batch
    };
    (candidate.hold)();
    let opener = store.commit(put(24, b"opens the group"));
    let first = store.commit(claim(b"first", 21));
    let second = store.commit(claim(b"second", 22));
    let third = store.commit(put(23, b"third"));
    (candidate.release)();
    wait(opener).expect("committed");
    let (first, second, third) = (wait(first), wait(second), wait(third));
    assert_eq!(first.expect("first").seq, third.expect("third").seq, "they were one group");
    assert_eq!(second.expect_err("claimed"), CommitError::Conflict(row(20)));
    let values = (value(store, 20), value(store, 21), value(store, 22));
    assert_eq!(values, (Some(b"first".to_vec()), Some(b"first".to_vec()), None));
}

fn scans_what_is_committed(store: &dyn Store) {
    // A scan shows the rows of its part in order, from either end, capped, with newer rows over older ones.
    let key = |number: u8| RowKey::new(Table::Alarm, &[&[7, number]]);
    let mut batch = Batch::default();
    let numbered = |number: u8| Put { key: key(number), value: Some([number].into()) };
    batch.puts.extend((0..10).map(numbered));
    batch.puts.push(Put { key: RowKey::new(Table::Alarm, &[&[8]]), value: Some([].into()) });
    wait(store.commit(batch)).expect("committed");
    let mut change = Batch::default();
    change.remove(key(3));
    change.puts.push(Put { key: key(4), value: Some(b"new".as_slice().into()) });
    let changed = wait(store.commit(change)).expect("committed");
    let numbers = |scan: &Scan| {
        let rows = store.scan(scan).expect("readable");
        assert!(rows.seen >= changed.seq);
        (rows.rows.iter().map(|(key, _)| key[1]).collect::<Vec<u8>>(), rows.more)
    };
    let all = Scan::prefix(Table::Alarm, &[7], 100);
    assert_eq!(numbers(&all), (vec![0, 1, 2, 4, 5, 6, 7, 8, 9], false));
    assert_eq!(numbers(&Scan { limit: 3, ..all.clone() }), (vec![0, 1, 2], true));
    assert_eq!(numbers(&Scan { newest_first: true, limit: 6, ..all.clone() }), (vec![9, 8, 7, 6, 5, 4], true));
    assert_eq!(numbers(&Scan { from: vec![7, 2], to: vec![7, 5], ..all.clone() }), (vec![2, 4], false));
    assert_eq!(numbers(&Scan { from: vec![7, 5], to: vec![7, 5], ..all.clone() }), (vec![], false));
    let rows = store.scan(&Scan { from: vec![7, 4], limit: 1, ..all }).expect("readable");
    assert_eq!(rows.rows.first().map(|(_, value)| value.to_vec()), Some(b"new".to_vec()));
}

#[derive(Default)]
struct Heard(Mutex<Vec<(Seq, Vec<RowKey>)>>);

impl CommitListener for Heard {
    fn committed(&self, seq: Seq, puts: &[Put]) {
        let keys = puts.iter().map(|put| put.key.clone()).collect();
        self.0.lock().expect("whole").push((seq, keys));
    }
}

fn tells_listeners_in_order(candidate: &Candidate) {
    // A listener hears of every group before its callers do, in order, and of nothing that failed.
    let store = &*candidate.store;
    let heard = Arc::new(Heard::default());
    store.listen(heard.clone());
    for number in 30..35 {
        let committed = wait(store.commit(put(number, b"x"))).expect("committed");
        let newest = heard.0.lock().expect("whole").last().cloned().expect("told");
        assert_eq!(newest, (committed.seq, vec![row(number)]));
    }
    let mut fails = put(35, b"x");
    fails.watch(row(34), Seq(0));
    wait(store.commit(fails)).expect_err("changed, or too long ago");
    let heard = heard.0.lock().expect("whole");
    assert_eq!(heard.len(), 5);
    assert!(heard.is_sorted_by_key(|(seq, _)| *seq));
}

fn subscriber(number: u8, state: SubscriptionState, delivery: DeliveryMode) -> Subscription {
    Subscription { id: SubscriptionId(raw(number)), state, delivery, ..sample_subscription() }
}

fn fans_out_in_the_commit(store: &dyn Store) {
    // An event makes one delivery for each subscription of its app and mode that wants its kind, in the same commit:
    // due for an enabled one, held for a disabled one, none for the others.
    use DeliveryMode::{Events, TestSendsOnly};
    use SubscriptionState::{Deleted, Disabled, Enabled};
    let mut batch = Batch::default();
    batch.put_subscription(None, &subscriber(50, Enabled, Events));
    batch.put_subscription(None, &subscriber(51, Disabled, Events));
    batch.put_subscription(None, &subscriber(52, Enabled, TestSendsOnly));
    batch.put_subscription(None, &subscriber(53, Deleted, Events));
    batch.put_subscription(None, &Subscription { mode: Mode::Test, ..subscriber(54, Enabled, Events) });
    batch.put_subscription(None, &Subscription { app_id: AppId(raw(99)), ..subscriber(55, Enabled, Events) });
    let other_kinds = vec![EventKind::PaymentFailed];
    batch.put_subscription(None, &Subscription { event_types: other_kinds, ..subscriber(56, Enabled, Events) });
    wait(store.commit(batch)).expect("committed");
    let event = sample_event();
    let mut publishing = put(60, b"paid");
    publishing.publish(event.clone());
    let seq = wait(store.commit(publishing)).expect("committed").seq;
    let (written, _) = read_record::<crate::model::Event>(store, &keys::event(seq, 0)).expect("readable");
    assert_eq!(written, Some(event.clone()));
    let by_app = Scan::prefix(Table::DeliveryByApp, &keys::owner_prefix(event.app_id, event.mode), 100);
    assert_eq!(store.scan(&by_app).expect("readable").rows.len(), 2);
    let at = event.created_at;
    for (number, state) in [(50, DeliveryState::Due { at }), (51, DeliveryState::Held { due_at: at })] {
        let subscription = SubscriptionId(raw(number));
        let id = fanout::delivery_id(event.id, subscription);
        let (delivery, seen) = read_record::<Delivery>(store, &keys::delivery(id)).expect("readable");
        let delivery = delivery.expect("written");
        assert_eq!((delivery.state, delivery.event_at, seen), (state, (seq.0, 0), seq));
        assert_eq!((delivery.subscription_id, delivery.event_id), (subscription, event.id));
        assert_eq!(id.bytes()[..7], event.id.bytes()[..7]);
        let listed = store.read(&keys::delivery_by_subscription(subscription, id)).expect("readable");
        assert!(listed.value.is_some_and(|value| value.is_empty()));
        let due = store.read(&keys::due(event.created_at, keys::DueKind::Delivery, id.0)).expect("readable");
        assert_eq!(due.value.is_some(), number == 50);
        let mut claim = Batch::default();
        claim.put_delivery(Some(&delivery), &Delivery { state: DeliveryState::Exhausted, ..delivery.clone() });
        claim.watch(keys::delivery(id), Seq(seq.0 - 1));
        assert!(wait(store.commit(claim)).is_err(), "the fan-out changed the row");
    }
    let mut deleting = Batch::default();
    let before = subscriber(50, Enabled, Events);
    deleting.put_subscription(Some(&before), &subscriber(50, Deleted, Events));
    deleting.publish(crate::model::Event { id: crate::model::EventId(raw(61)), ..event });
    wait(store.commit(deleting)).expect("committed");
    let deliveries = scan_records::<Delivery>(store, &Scan::prefix(Table::Delivery, &[], 100)).expect("readable");
    let of_deleted = |record: &Result<Delivery, StoreError>| {
        record.as_ref().is_ok_and(|delivery| delivery.subscription_id == SubscriptionId(raw(50)))
    };
    assert_eq!(deliveries.records.iter().filter(|(_, record)| of_deleted(record)).count(), 1);
}

fn keeps_index_and_due_rows(store: &dyn Store) {
    // A transaction is listed once and has exactly one due row, that of its newest time.
    let at = |millis: u64| Some(Timestamp::from_millis(1_000 + millis));
    let made = Transaction { due_at: at(1), ..sample_transaction() };
    let moved = Transaction { due_at: at(2), ..made.clone() };
    let ended = Transaction { due_at: None, ..made.clone() };
    let mut before = None;
    for after in [&made, &moved, &moved, &ended] {
        let mut batch = Batch::default();
        batch.put_transaction(before, after);
        wait(store.commit(batch)).expect("committed");
        let due = store
            .scan(&Scan { to: keys::due_after(Timestamp::from_millis(9_999)), ..Scan::prefix(Table::Due, &[], 9) });
        let due: Vec<_> = due.expect("readable").rows.iter().filter_map(|(key, _)| keys::parse_due(key)).collect();
        assert_eq!(
            due.iter().map(|due| Some(due.at)).collect::<Vec<_>>(),
            after.due_at.map(Some).into_iter().collect::<Vec<_>>()
        );
        let list = Scan::prefix(Table::TransactionByApp, &keys::owner_prefix(after.app_id, after.mode), 9);
        assert_eq!(store.scan(&list).expect("readable").rows.len(), 1);
        before = Some(after);
    }
    let (record, _) = read_record::<Transaction>(store, &keys::transaction(ended.id)).expect("readable");
    assert_eq!(record, Some(ended));
    let mut batch = Batch::default();
    batch.put_delivery(None, &sample_delivery());
    assert_eq!(batch.puts.len(), 4, "delivery, two indexes, due");
}

fn sets_aside_what_does_not_decode(store: &dyn Store) {
    // Of the rows of a scan one that does not decode fails alone, and can be set aside with an alarm.
    let key = |number: u8| keys::inbox(crate::model::InboxId(raw(number)));
    let mut batch = Batch::default();
    batch.put_record(key(1), &sample_inbox());
    batch.puts.push(Put { key: key(2), value: Some(b"noise".as_slice().into()) });
    batch.put_record(key(3), &sample_inbox());
    wait(store.commit(batch)).expect("committed");
    let records = scan_records::<InboxItem>(store, &Scan::prefix(Table::Inbox, &[], 9)).expect("readable").records;
    assert_eq!(records.iter().map(|(_, record)| record.is_ok()).collect::<Vec<_>>(), [true, false, true]);
    let why = read_record::<InboxItem>(store, &key(2)).expect_err("noise");
    assert!(matches!(&why, StoreError::Row { key: row, .. } if *row == key(2)));
    let aside = records::set_aside(&key(2), &why.to_string(), AlarmId(raw(90)), Timestamp::from_millis(1));
    wait(store.commit(aside)).expect("committed");
    let (note, _) = read_record::<SetAside>(store, &keys::set_aside(&key(2))).expect("readable");
    assert!(note.is_some_and(|note| note.why.contains("shorter than an envelope")));
    let (alarm, _) = read_record::<Alarm>(store, &keys::alarm(AlarmId(raw(90)))).expect("readable");
    assert_eq!(alarm.map(|alarm| alarm.kind), Some(AlarmKind::SetAside));
}

fn refuses_what_is_too_large(store: &dyn Store) {
    // A batch above the bounds of one commit is refused, and nothing of it is written.
    let huge = put(70, &vec![0; admission::BATCH_BYTES_MAX]);
    assert_eq!(wait(store.commit(huge)).expect_err("too many bytes"), CommitError::TooLarge);
    let key = RowKey::new(Table::Meta, &[&[70; admission::KEY_BYTES_MAX + 1]]);
    let mut long = Batch::default();
    long.put_marker(key);
    assert_eq!(wait(store.commit(long)).expect_err("a long key"), CommitError::TooLarge);
    let many =
        Batch { puts: vec![Put { key: row(70), value: None }; admission::BATCH_ROWS_MAX + 1], ..Batch::default() };
    assert_eq!(wait(store.commit(many)).expect_err("many rows"), CommitError::TooLarge);
    assert_eq!(value(store, 70), None);
}

fn is_busy_when_full(candidate: &Candidate) {
    // A full queue refuses at once, and what it took is committed all the same.
    let store = &*candidate.store;
    (candidate.hold)();
    let mut taken = Vec::new();
    let busy = (0..20_000_u32).find_map(|_| {
        let mut commit = store.commit(put(80, b"x"));
        match futures_util::FutureExt::now_or_never(&mut commit) {
            None => {
                taken.push(commit);
                None
            }
            Some(answer) => Some(answer),
        }
    });
    (candidate.release)();
    assert_eq!(busy.expect("full at some point").expect_err("full"), CommitError::Busy);
    assert!(!taken.is_empty());
    for commit in taken {
        wait(commit).expect("committed");
    }
}

#[test]
fn the_memory_store_passes() {
    // The body in memory does what every body must.
    let store = Arc::new(MemoryStore::new());
    let (holder, releaser) = (Arc::clone(&store), Arc::clone(&store));
    exam(&Candidate { store, hold: Box::new(move || holder.hold()), release: Box::new(move || releaser.release()) });
}

#[test]
fn the_memory_store_is_fenced_on_demand() {
    // A commit that is told to fail answers unknown and fences; reopening shows it or does not, as told.
    for (how, expected) in [(Failure::Lost, None), (Failure::Kept, Some(b"b".to_vec()))] {
        let store = MemoryStore::new();
        let heard = Arc::new(Heard::default());
        store.listen(heard.clone());
        store.fail_next_commits(1, how);
        wait(store.commit(put(1, b"a"))).expect("the first one works");
        assert_eq!(wait(store.commit(put(2, b"b"))).expect_err("fails"), CommitError::OutcomeUnknown);
        assert!(matches!(store.health(), Health::Fenced { .. }));
        assert!(matches!(wait(store.commit(put(3, b"c"))), Err(CommitError::Fenced(_))));
        store.reopen().expect("memory always opens");
        assert_eq!((value(&store, 2), value(&store, 3)), (expected.clone(), None));
        wait(store.commit(put(4, b"d"))).expect("works again");
        assert_eq!(heard.0.lock().expect("whole").len(), 2 + usize::from(expected.is_some()));
        store.close();
        assert!(matches!(wait(store.commit(put(5, b"e"))), Err(CommitError::Fenced(_))));
    }
}
