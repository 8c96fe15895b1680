//! The references. An append-only file that takes groups as the store's writer does and writes the same bytes of each,
//! with one `sync_data` a group: it judges no precondition, keeps nothing in memory, has no tables and reads nothing back.
//! And the bare log: the same groups, made beforehand, written to such a file by one thread that does nothing else.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use maxpay_engine::clock::{Clock, System};
use maxpay_engine::model::Event;
use maxpay_engine::store::admission::{BATCH_BYTES_MAX, BATCH_ROWS_MAX, put_bytes};
use maxpay_engine::store::{Batch, CommitListener, Put, Seq, codec, keys};
use tokio::sync::oneshot;

use crate::groups::Groups;

/// A batch on its way.
pub struct Request {
    puts: Vec<Put>,
    events: Vec<Vec<u8>>,
    answer: oneshot::Sender<Seq>,
}

impl Request {
    /// The request to commit a batch, its events encoded, and where the answer comes.
    #[must_use]
    pub fn new(batch: Batch) -> (Self, oneshot::Receiver<Seq>) {
        let (answer, answered) = oneshot::channel();
        let events = batch.events.iter().map(codec::payload).collect();
        (Self { puts: batch.puts, events, answer }, answered)
    }
}

/// Starts a writer of a new file at `path`, with `queue` requests that may wait. It ends when every sender is gone.
///
/// # Errors
/// Those of the disk, and of a system that gives no thread. The thread's own are those of the disk.
pub fn start(
    path: &Path,
    queue: usize,
    groups: Arc<Groups>,
) -> io::Result<(SyncSender<Request>, JoinHandle<io::Result<()>>)> {
    let file = File::options().append(true).create_new(true).open(path)?;
    let (sender, requests) = sync_channel(queue);
    let writer = std::thread::Builder::new().name("log-writer".to_owned());
    Ok((sender, writer.spawn(move || write(file, &requests, &groups))?))
}

/// What the bare log came to.
#[derive(Debug, Default)]
pub struct Bare {
    /// Transitions that were durable within the time.
    pub transitions: u64,
    /// From the write of a group to the end of its sync, in microseconds.
    pub syncs_us: Vec<u64>,
}

/// Appends the groups that these rounds of batches make to a new file at `path`, over and over, for so long.
///
/// # Errors
/// Those of the disk.
pub fn bare(path: &Path, clock: &System, rounds: Vec<Vec<Batch>>, time: Duration) -> io::Result<Bare> {
    let mut file = File::options().append(true).create_new(true).open(path)?;
    let groups: Vec<(u64, Vec<u8>)> = rounds.into_iter().flat_map(encoded).collect();
    let (begun, mut bare) = (clock.now().monotonic, Bare::default());
    for (transitions, bytes) in groups.iter().cycle() {
        let asked = clock.now().monotonic;
        if asked.saturating_sub(begun) >= time {
            break;
        }
        file.write_all(bytes)?;
        file.sync_data()?;
        bare.transitions += transitions;
        let took = clock.now().monotonic.saturating_sub(asked);
        bare.syncs_us.push(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }
    Ok(bare)
}

/// Transitions in one group of a paced log, at most: those of seconds, after which the disk has stopped.
const DUE_MAX: usize = 1 << 20;

/// Appends so many transitions a second to a new file at `path`, each due at a time of its own, those together that are
/// due when the sync before has ended. The wait of each, from its time to the end of its sync, in microseconds.
///
/// # Errors
/// Those of the disk.
pub fn paced(path: &Path, clock: &System, bytes_each: usize, per_second: u64, time: Duration) -> io::Result<Vec<u64>> {
    let mut file = File::options().append(true).create_new(true).open(path)?;
    let (begun, mut waits_us, mut bytes) = (clock.now().monotonic, Vec::new(), Vec::new());
    let since = || u64::try_from(clock.now().monotonic.saturating_sub(begun).as_micros()).unwrap_or(u64::MAX);
    let due_at = |transition: usize| u64::try_from(transition).unwrap_or(u64::MAX) * 1_000_000 / per_second.max(1);
    let ends = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    while since() < ends {
        let (first, now) = (waits_us.len(), since());
        let due = (first..first + DUE_MAX).take_while(|transition| due_at(*transition) <= now).count();
        if due == 0 {
            std::thread::sleep(Duration::from_micros(due_at(first).saturating_sub(now)));
            continue;
        }
        bytes.resize(due * bytes_each, 0xA5);
        file.write_all(&bytes)?;
        file.sync_data()?;
        let ended = since();
        waits_us.extend((first..first + due).map(|transition| ended.saturating_sub(due_at(transition))));
    }
    Ok(waits_us)
}

/// The groups that these batches make when all of them wait: transitions and bytes of each.
fn encoded(batches: Vec<Batch>) -> Vec<(u64, Vec<u8>)> {
    let (sender, requests) = sync_channel(batches.len());
    for batch in batches {
        // There is room for all, and the receiver is at hand.
        drop(sender.send(Request::new(batch).0));
    }
    drop(sender);
    let (mut groups, mut seq) = (Vec::new(), Seq(0));
    while let Ok(first) = requests.recv() {
        seq = Seq(seq.0 + 1);
        let (puts, waiting) = group(seq, first, &requests);
        let mut bytes = Vec::new();
        encode(&mut bytes, seq, &puts);
        groups.push((u64::try_from(waiting.len()).unwrap_or(u64::MAX), bytes));
    }
    groups
}

fn write(mut file: File, requests: &Receiver<Request>, groups: &Groups) -> io::Result<()> {
    let (mut bytes, mut seq) = (Vec::new(), Seq(0));
    while let Ok(first) = requests.recv() {
        seq = Seq(seq.0 + 1);
        let (puts, waiting) = group(seq, first, requests);
        encode(&mut bytes, seq, &puts);
        file.write_all(&bytes)?;
        file.sync_data()?;
        groups.committed(seq, &puts);
        for answer in waiting {
            // A caller that went away wants no answer.
            let _ = answer.send(seq);
        }
    }
    Ok(())
}

/// What waits, up to the same bounds as in the store.
fn group(seq: Seq, first: Request, requests: &Receiver<Request>) -> (Vec<Put>, Vec<oneshot::Sender<Seq>>) {
    let (mut puts, mut waiting, mut bytes, mut events) = (Vec::new(), Vec::new(), 0, 0);
    let mut next = Some(first);
    while let Some(request) = next {
        let before = puts.len();
        puts.extend(request.puts);
        for payload in request.events {
            let key = keys::event(seq, events);
            let value = codec::seal::<Event>(&key, &payload);
            puts.push(Put { key, value: Some(value) });
            events += 1;
        }
        bytes += puts[before..].iter().map(put_bytes).sum::<usize>();
        waiting.push(request.answer);
        let more = puts.len() < BATCH_ROWS_MAX && bytes < BATCH_BYTES_MAX;
        next = if more { requests.try_recv().ok() } else { None };
    }
    (puts, waiting)
}

/// A group in as many bytes as in the store's journal. The place of the checksum stays empty: the reference does less.
fn encode(bytes: &mut Vec<u8>, seq: Seq, puts: &[Put]) {
    let length = |length: usize| u32::try_from(length).expect("a group is far below 4 GiB").to_be_bytes();
    bytes.clear();
    bytes.extend([1, 0, 0, 0, 0]);
    bytes.extend(seq.0.to_be_bytes());
    bytes.extend(length(puts.len()));
    for Put { key, value } in puts {
        bytes.push(key.table.number());
        bytes.extend(length(key.key.len()));
        bytes.extend_from_slice(&key.key);
        match value {
            Some(value) => {
                bytes.extend(length(value.len()));
                bytes.extend_from_slice(value);
            }
            None => bytes.extend(u32::MAX.to_be_bytes()),
        }
    }
}
