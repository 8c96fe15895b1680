//! The journal: one durable commit per group of batches, by one thread, which is the only writer of its file.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::blob;
use super::fence::{Refused, ask};
use super::journal_file::{GROUPS, Journal, cut_up_to};
use super::witness::Witness;
use super::{CrashPoint, Shared};
use crate::store::admission::{Admission, BATCH_BYTES_MAX, BATCH_ROWS_MAX, Group, Prepared};
use crate::store::{CommitError, Committed, Seq};

/// An idle writer looks up this often: to cut, and to notice a fence.
const IDLE: Duration = Duration::from_millis(50);

/// A batch on its way, and who waits for it.
pub struct Request {
    /// The batch.
    pub prepared: Prepared,
    /// Who waits; dropped without a word, the outcome is unknown.
    pub answer: oneshot::Sender<Result<Committed, CommitError>>,
}

/// The writer's own state.
pub struct Writer {
    journal: Journal,
    witness: Witness,
    admission: Admission,
    last: Seq,
    /// Groups up to here are cut.
    cut: Seq,
    /// The cut after which the file's length was looked at.
    looked_at: Seq,
    blob: Vec<u8>,
}

impl Writer {
    /// A writer behind `last`. What the journal still holds of applied groups is cut at the first occasion.
    #[must_use]
    pub fn new(journal: Journal, witness: Witness, admission: Admission, last: Seq) -> Self {
        Self { journal, witness, admission, last, cut: Seq(0), looked_at: Seq(0), blob: Vec::new() }
    }

    /// Commits what comes until nobody can send any more or the store is fenced. The journal is closed with it.
    pub fn run(mut self, shared: &Shared, requests: &Receiver<Request>) {
        while !shared.fence.is_closed() {
            let done = match requests.recv_timeout(IDLE) {
                Ok(request) => self.group(shared, request, requests),
                Err(RecvTimeoutError::Timeout) => self.cut_alone(shared),
                Err(RecvTimeoutError::Disconnected) => {
                    let applied = shared.progress.wait_until_applied(self.last, &shared.fence);
                    shared.progress.finish();
                    let done = if applied { self.cut_alone(shared) } else { Ok(()) };
                    if let Err(why) = done {
                        shared.refused("journal", &why);
                    }
                    return;
                }
            };
            if let Err(why) = done {
                shared.refused("journal", &why);
            }
        }
        refuse_all(shared, requests);
    }

    fn group(&mut self, shared: &Shared, first: Request, requests: &Receiver<Request>) -> Result<(), Refused> {
        shared.progress.wait_for_room(&shared.view, &shared.fence);
        if let Some(why) = shared.fence.why() {
            shared.taken(&first);
            drop(first.answer.send(Err(CommitError::Fenced(why))));
            return Ok(());
        }
        let seq = Seq(self.last.0 + 1);
        let mut group = Group::default();
        let mut answers = Answers { waiting: Vec::new(), shared };
        let mut next = Some(first);
        while let Some(request) = next {
            shared.taken(&request);
            match self.admission.admit(request.prepared, seq, &mut group) {
                Ok(()) => answers.waiting.push(request.answer),
                // A caller that went away wants no answer.
                Err(why) => drop(request.answer.send(Err(why))),
            }
            let more = group.puts.len() < BATCH_ROWS_MAX && group.bytes < BATCH_BYTES_MAX;
            next = if more { requests.try_recv().ok() } else { None };
        }
        shared.options.pass(CrashPoint::BatchTaken);
        if answers.waiting.is_empty() {
            return Ok(());
        }
        if let Err(why) = self.commit(shared, seq, &group) {
            // The fence closes before anybody hears that the outcome is unknown.
            shared.refused("journal", &why);
            return Ok(());
        }
        self.last = seq;
        shared.view.lay(seq, &group.puts);
        shared.progress.laid(seq, &shared.view);
        shared.options.pass(CrashPoint::AfterOverlay);
        shared.listeners.tell(seq, &group.puts);
        shared.options.pass(CrashPoint::BeforeReply);
        for answer in std::mem::take(&mut answers.waiting) {
            drop(answer.send(Ok(Committed { seq })));
        }
        drop(answers);
        self.replace_if_long(shared)
    }

    fn commit(&mut self, shared: &Shared, seq: Seq, group: &Group) -> Result<(), Refused> {
        let cut = shared.progress.applied();
        let journal = &self.journal;
        blob::encode(&mut self.blob, &journal.about.id, seq, &group.puts);
        shared.options.pass(CrashPoint::BeforeJournalCommit);
        ask(|| {
            let transaction = journal.begin()?;
            transaction.open_table(GROUPS)?.insert(seq.0, self.blob.as_slice())?;
            if cut > self.cut {
                shared.options.pass(CrashPoint::BeforeCut);
                cut_up_to(&transaction, cut)?;
            }
            Ok(transaction.commit()?)
        })?;
        self.witness.note(seq);
        shared.options.pass(CrashPoint::AfterJournalCommit);
        if cut > self.cut {
            shared.options.pass(CrashPoint::AfterCut);
            self.cut = cut;
        }
        Ok(())
    }

    /// Cuts the journal up to what the tables hold.
    fn cut_alone(&mut self, shared: &Shared) -> Result<(), Refused> {
        let cut = shared.progress.applied();
        if cut <= self.cut {
            return Ok(());
        }
        shared.options.pass(CrashPoint::BeforeCut);
        ask(|| {
            let transaction = self.journal.begin()?;
            cut_up_to(&transaction, cut)?;
            Ok(transaction.commit()?)
        })?;
        shared.options.pass(CrashPoint::AfterCut);
        self.cut = cut;
        self.replace_if_long(shared)
    }

    /// The file does not shrink when it is cut: one that has grown too long gives way to a new one.
    fn replace_if_long(&mut self, shared: &Shared) -> Result<(), Refused> {
        if self.looked_at == self.cut {
            return Ok(());
        }
        self.looked_at = self.cut;
        if ask(|| self.journal.bytes())? > shared.options.journal_bytes_max {
            ask(|| self.journal.replace(&shared.files, &shared.fates.journal))?;
        }
        Ok(())
    }
}

/// Those who wait for a group. When the writer dies on its way, the fence closes before they learn it.
struct Answers<'a> {
    waiting: Vec<oneshot::Sender<Result<Committed, CommitError>>>,
    shared: &'a Shared,
}

impl Drop for Answers<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.shared.died("the journal's writer");
        }
    }
}

/// Batches that were never taken.
fn refuse_all(shared: &Shared, requests: &Receiver<Request>) {
    while let Ok(request) = requests.try_recv() {
        shared.taken(&request);
        let why = shared.fence.why().unwrap_or_else(|| "the store is closed".into());
        drop(request.answer.send(Err(CommitError::Fenced(why))));
    }
}
