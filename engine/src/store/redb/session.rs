//! One life of the store between an opening and a fence or a close: its threads and what they share.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;

use redb::Database;
use tokio::sync::oneshot;

use super::RedbOptions;
use super::applier;
use super::fence::{Fates, Fence, Refused};
use super::files::Files;
use super::journal::{Request, Writer};
use super::overlay::View;
use super::progress::Progress;
use super::recovery::{Group, Recovered};
use crate::store::admission::{Admission, Prepared};
use crate::store::{CommitError, CommitFuture, CommitListener, Put, Seq, StoreError, answer};

/// Those who hear of durable groups. They outlive the sessions.
#[derive(Default)]
pub struct Listeners {
    list: RwLock<Vec<Arc<dyn CommitListener>>>,
    told: AtomicU64,
}

impl Listeners {
    /// Starts behind `last`.
    pub fn start_behind(&self, last: Seq) {
        self.told.store(last.0, Ordering::Release);
    }

    /// Adds one.
    pub fn add(&self, listener: Arc<dyn CommitListener>) {
        self.list.write().unwrap_or_else(PoisonError::into_inner).push(listener);
    }

    /// Tells of a group, unless they have heard of it.
    pub fn tell(&self, seq: Seq, puts: &[Put]) {
        if self.told.fetch_max(seq.0, Ordering::AcqRel) >= seq.0 {
            return;
        }
        for listener in self.list.read().unwrap_or_else(PoisonError::into_inner).iter() {
            listener.committed(seq, puts);
        }
    }
}

/// What the threads of a session share.
pub struct Shared {
    /// What the store was told.
    pub options: RedbOptions,
    /// Where its files lie.
    pub files: Arc<dyn Files>,
    /// What became of writes to them.
    pub fates: Fates,
    /// Fenced or not.
    pub fence: Fence,
    /// The newest rows.
    pub view: View,
    /// What is to be applied.
    pub progress: Progress,
    /// Who hears of groups.
    pub listeners: Arc<Listeners>,
    /// Bytes in the queue.
    queued_bytes: AtomicUsize,
}

impl Shared {
    /// A file, or redb, refused: no more commits.
    pub fn refused(&self, file: &str, why: &Refused) {
        match why {
            Refused::Panic(_) => self.fates.distrust(),
            Refused::Redb(_) => {}
        }
        self.fence.close(format!("{file}: {why}"));
        self.progress.wake();
    }

    /// A thread of the store died: no more commits, and no trust in the files.
    pub fn died(&self, who: &str) {
        self.fates.distrust();
        self.fence.close(format!("{who} died"));
        self.progress.wake();
    }

    /// A request has left the queue.
    pub fn taken(&self, request: &Request) {
        self.queued_bytes.fetch_sub(request.prepared.bytes(), Ordering::AcqRel);
    }
}

/// A running store.
pub struct Session {
    /// What its threads share.
    pub shared: Arc<Shared>,
    /// Kept open after a fence, so that reads go on.
    tables: Mutex<Option<Arc<Database>>>,
    requests: RwLock<Option<SyncSender<Request>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Session {
    /// Starts the threads over recovered files; tells the listeners what they have not heard of.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the system gives no thread.
    pub fn start(
        recovered: Recovered,
        options: &RedbOptions,
        files: &Arc<dyn Files>,
        fates: &Fates,
        listeners: &Arc<Listeners>,
    ) -> Result<Self, StoreError> {
        let Recovered { journal, tables, snapshot, applied, last, groups, fanout, witness } = recovered;
        let view = View::new(snapshot, applied.max(last), options.checkpoint_rows);
        for Group { seq, puts } in groups {
            view.lay(seq, &puts);
            listeners.tell(seq, &puts);
        }
        let (rows_max, bytes_max) = (options.unapplied_rows_max, options.unapplied_bytes_max);
        let progress = Progress::new(applied, view.last(), rows_max, bytes_max, options.checkpoint_rows);
        let shared = Arc::new(Shared {
            options: options.clone(),
            files: Arc::clone(files),
            fates: fates.clone(),
            fence: Fence::default(),
            view,
            progress,
            listeners: Arc::clone(listeners),
            queued_bytes: AtomicUsize::new(0),
        });
        let (sender, requests) = sync_channel(options.queue_batches_max);
        let writer = Writer::new(journal, witness, Admission::new(last, fanout), last);
        let kept = Mutex::new(Some(Arc::clone(&tables)));
        let session =
            Self { tables: kept, shared, requests: RwLock::new(Some(sender)), threads: Mutex::new(Vec::new()) };
        session.spawn("store-applier", move |shared| applier::run(shared, &tables))?;
        session.spawn("store-writer", move |shared| writer.run(shared, &requests))?;
        Ok(session)
    }

    fn spawn(&self, name: &'static str, work: impl FnOnce(&Shared) + Send + 'static) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        let body = move || {
            if catch_unwind(AssertUnwindSafe(|| work(&shared))).is_err() {
                shared.died(name);
            }
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(body);
        match thread {
            Ok(thread) => {
                self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
                Ok(())
            }
            Err(why) => {
                self.shared.died(name);
                Err(StoreError::Unavailable(format!("no thread for {name}: {why}")))
            }
        }
    }

    /// Queues a batch for the writer.
    pub fn commit(&self, prepared: Prepared) -> CommitFuture {
        let (sender, receiver) = oneshot::channel();
        if let Err((why, sender)) = self.send(prepared, sender) {
            // The receiver is at hand.
            drop(sender.send(Err(why)));
        }
        answer(receiver)
    }

    fn send(&self, prepared: Prepared, answer: Answer) -> Result<(), (CommitError, Answer)> {
        if let Some(why) = self.shared.fence.why() {
            return Err((CommitError::Fenced(why), answer));
        }
        let bytes = prepared.bytes();
        let queued = &self.shared.queued_bytes;
        if queued.fetch_add(bytes, Ordering::AcqRel) > self.shared.options.queue_bytes_max {
            queued.fetch_sub(bytes, Ordering::AcqRel);
            return Err((CommitError::Busy, answer));
        }
        let requests = self.requests.read().unwrap_or_else(PoisonError::into_inner);
        let closed = || CommitError::Fenced("the store is closed".into());
        let Some(requests) = requests.as_ref() else { return Err((closed(), answer)) };
        requests.try_send(Request { prepared, answer }).map_err(|refused| {
            queued.fetch_sub(bytes, Ordering::AcqRel);
            match refused {
                TrySendError::Full(request) => (CommitError::Busy, request.answer),
                TrySendError::Disconnected(request) => (
                    CommitError::Fenced(self.shared.fence.why().unwrap_or_else(|| "it has ended".into())),
                    request.answer,
                ),
            }
        })
    }

    /// Takes no more batches, waits until the queued ones are committed and applied (or the store is fenced), and closes
    /// the journal. Reads go on.
    pub fn stop(&self) {
        drop(self.requests.write().unwrap_or_else(PoisonError::into_inner).take());
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        // The applier ends when the writer says that no more will come; a panic of either has fenced the store.
        for thread in threads.into_iter().rev() {
            drop(thread.join());
        }
    }

    /// The tables, until they are let go.
    pub fn tables(&self) -> Option<Arc<Database>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Closes the tables, unless another session has them too: what is not in memory cannot be read here any more.
    pub fn let_tables_go(&self) {
        drop(self.tables.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

type Answer = oneshot::Sender<Result<super::super::Committed, CommitError>>;
