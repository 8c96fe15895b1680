//! Blocking work off the caller and off the arbiters: store reads, sealing, signing.
//!
//! Waking a thread costs more than reading a row that is in memory, and signatures on more threads than cores only take
//! turns with one another. So short reads, and the work of adapters, queue up for few threads that take one after the
//! other: the more there are, the fewer wakes each of them costs. Lists may look through very many rows; they have few
//! threads of their own too, so that they stop neither.

use std::collections::VecDeque;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};

use crate::Error;
use crate::model::AppId;
use crate::store::codec::Record;
use crate::store::records::{peek_record, read_record};
use crate::store::{RowKey, Seq, Store};

/// So many pieces of work may wait or run.
const WAITING_MAX: usize = 8_192;
/// With more short reads than that for each thread that reads, another one joins in: the disk is slow.
const SHORT: LaneRule = LaneRule { at_least: 1, waiting_per_lane: 4, lanes_max: 8, waiting_of_an_app: WAITING_MAX };
/// A list may take its thread for seconds.
const LISTS: LaneRule = LaneRule { at_least: 2, waiting_per_lane: 1, lanes_max: 4, waiting_of_an_app: 256 };
/// Adapters compute and do not wait, so a thread a core is enough for them; more join in because one that waits after all
/// must not stop the others.
const COMPUTING_WAITING_PER_LANE: usize = 16;
const COMPUTING_LANES_MAX: usize = 16;
/// Threads that may block: one for every lane, and some for other work.
pub(crate) const THREADS_MAX: usize = SHORT.lanes_max + COMPUTING_LANES_MAX + LISTS.lanes_max + 8;

/// A bounded pool for work that may block.
#[derive(Clone)]
pub(crate) struct Reader {
    runtime: Handle,
    store: Arc<dyn Store>,
    permits: Arc<Semaphore>,
    short: Arc<Lanes>,
    computing: Arc<Lanes>,
    lists: Arc<Lanes>,
}

type Turn = Box<dyn FnOnce(&dyn Store) + Send>;

/// How many threads take turns.
#[derive(Debug, Clone, Copy)]
struct LaneRule {
    /// So many as soon as there is something for each.
    at_least: usize,
    /// Beyond them another one for each so many that wait.
    waiting_per_lane: usize,
    lanes_max: usize,
    waiting_of_an_app: usize,
}

/// Turns that wait, and how many threads take them.
struct Lanes {
    rule: LaneRule,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: Waiting,
    lanes: usize,
}

/// Turns in the order in which they are taken. Those of several apps alternate: nobody waits behind all of another's.
#[derive(Default)]
struct Waiting {
    by_app: VecDeque<(Option<AppId>, VecDeque<Turn>)>,
    count: usize,
}

impl Waiting {
    fn add(&mut self, app: Option<AppId>, turn: Turn, of_an_app_max: usize) -> Result<(), Error> {
        let known = self.by_app.iter().position(|(other, _)| *other == app);
        let at = known.unwrap_or(self.by_app.len());
        if self.count >= WAITING_MAX || known.is_some_and(|at| self.by_app[at].1.len() >= of_an_app_max) {
            return Err(Error::Busy);
        }
        if known.is_none() {
            self.by_app.push_back((app, VecDeque::new()));
        }
        self.by_app[at].1.push_back(turn);
        self.count += 1;
        Ok(())
    }

    fn next(&mut self) -> Option<Turn> {
        let (app, mut turns) = self.by_app.pop_front()?;
        let turn = turns.pop_front();
        if !turns.is_empty() {
            self.by_app.push_back((app, turns));
        }
        self.count -= usize::from(turn.is_some());
        turn
    }
}

impl Lanes {
    fn new(rule: LaneRule) -> Arc<Self> {
        Arc::new(Self { rule, queue: Mutex::default() })
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has `turn` wait. `Some`: to be run on a thread that may block.
    fn add(self: &Arc<Self>, app: Option<AppId>, turn: Turn) -> Result<Option<Lane>, Error> {
        let LaneRule { at_least, waiting_per_lane, lanes_max, waiting_of_an_app } = self.rule;
        let mut queue = self.queue();
        queue.waiting.add(app, turn, waiting_of_an_app)?;
        let enough = queue.lanes >= at_least && queue.waiting.count <= queue.lanes * waiting_per_lane;
        if enough || queue.lanes >= lanes_max {
            return Ok(None);
        }
        queue.lanes += 1;
        Ok(Some(Lane { lanes: Arc::clone(self), ended: false }))
    }
}

/// One thread that takes turns. It ends when none waits.
struct Lane {
    lanes: Arc<Lanes>,
    ended: bool,
}

impl Lane {
    fn run(mut self, store: &dyn Store) {
        loop {
            while let Some(turn) = self.next() {
                turn(store);
            }
            // Those who could run now, and cannot for this thread, may ask for more at once.
            std::thread::yield_now();
            let mut queue = self.lanes.queue();
            if queue.waiting.count == 0 {
                queue.lanes -= 1;
                self.ended = true;
                return;
            }
        }
    }

    fn next(&self) -> Option<Turn> {
        self.lanes.queue().waiting.next()
    }
}

impl Drop for Lane {
    /// One that never ran, because the runtime has ended, must leave nobody waiting.
    fn drop(&mut self) {
        if !self.ended {
            let mut queue = self.lanes.queue();
            queue.lanes -= 1;
            if queue.lanes == 0 {
                queue.waiting = Waiting::default();
            }
        }
    }
}

impl Reader {
    pub fn new(runtime: Handle, store: Arc<dyn Store>) -> Self {
        let computing = LaneRule {
            at_least: std::thread::available_parallelism().map_or(1, NonZero::get).min(COMPUTING_LANES_MAX),
            waiting_per_lane: COMPUTING_WAITING_PER_LANE,
            lanes_max: COMPUTING_LANES_MAX,
            waiting_of_an_app: WAITING_MAX,
        };
        Self {
            runtime,
            store,
            permits: Arc::new(Semaphore::new(WAITING_MAX)),
            short: Lanes::new(SHORT),
            computing: Lanes::new(computing),
            lists: Lanes::new(LISTS),
        }
    }

    /// Runs `work` on a thread that may block.
    ///
    /// # Errors
    /// [`Error::Busy`] when too much waits, [`Error::Internal`] when it panics.
    pub async fn run<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Store) -> T + Send + 'static,
    {
        let permit = Arc::clone(&self.permits).try_acquire_owned().map_err(|_| Error::Busy)?;
        let store = Arc::clone(&self.store);
        let running = self.runtime.spawn_blocking(move || {
            let answer = work(store.as_ref());
            drop(permit);
            answer
        });
        match running.await {
            Ok(answer) => Ok(answer),
            Err(failed) if failed.is_panic() => Err(Error::Internal("work ended by a panic".to_owned())),
            Err(_) => Err(Error::ShuttingDown),
        }
    }

    /// The record of a row and the commit as of which it is the newest; without a hop when the store has it in memory.
    ///
    /// # Errors
    /// [`Error::StoreUnavailable`]; [`Error::SetAside`] when it does not decode.
    pub async fn record<T: Record + Send + 'static>(&self, key: RowKey) -> Result<(Option<T>, Seq), Error> {
        if let Some(answer) = peek_record(self.store.as_ref(), &key) {
            return answer.map_err(Error::from);
        }
        self.short(move |store| read_record(store, &key)).await?.map_err(Error::from)
    }

    /// Reads a few rows by their keys, and does no more than that: others wait behind it.
    ///
    /// # Errors
    /// As [`Reader::run`].
    pub async fn short<T, F>(&self, read: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Store) -> T + Send + 'static,
    {
        self.take_turn(&self.short, None, read).await
    }

    /// Computes, and waits for nothing: others wait behind it.
    ///
    /// # Errors
    /// As [`Reader::run`].
    pub async fn compute<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let permit = Arc::clone(&self.permits).try_acquire_owned().map_err(|_| Error::Busy)?;
        let work = move |_: &dyn Store| {
            let answer = work();
            drop(permit);
            answer
        };
        self.take_turn(&self.computing, None, work).await
    }

    /// Looks through as many rows as it takes, for an app or for an operator. When nobody waits for it any more by the
    /// time its turn comes, it is left out.
    ///
    /// # Errors
    /// As [`Reader::run`]; [`Error::Busy`] also when too much of the app waits.
    pub async fn list<T, F>(&self, app: Option<AppId>, read: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Store) -> T + Send + 'static,
    {
        self.take_turn(&self.lists, app, read).await
    }

    async fn take_turn<T, F>(&self, lanes: &Arc<Lanes>, app: Option<AppId>, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Store) -> T + Send + 'static,
    {
        let (sender, answer) = oneshot::channel();
        let turn: Turn = Box::new(move |store| {
            if sender.is_closed() {
                return;
            }
            // A panic is the affair of who asked; those behind it still want their turn.
            let done = catch_unwind(AssertUnwindSafe(|| work(store)));
            // Who asked may have gone away.
            drop(sender.send(done.map_err(|_| Error::Internal("work ended by a panic".to_owned()))));
        });
        if let Some(lane) = lanes.add(app, turn)? {
            let store = Arc::clone(&self.store);
            self.runtime.spawn_blocking(move || lane.run(store.as_ref()));
        }
        answer.await.unwrap_or(Err(Error::ShuttingDown))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::MemoryStore;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).max_blocking_threads(2).build().expect("threads")
    }

    fn reader(runtime: &tokio::runtime::Runtime) -> Reader {
        Reader::new(runtime.handle().clone(), Arc::new(MemoryStore::new()))
    }

    #[test]
    fn every_short_read_is_answered() {
        // Far more than there are threads, asked at once: each has its own answer, one that panics harms no other, and
        // in the end no thread holds a turn.
        let runtime = runtime();
        let reader = reader(&runtime);
        let asked: Vec<_> = (0..1_000_u32)
            .map(|number| {
                let reader = reader.clone();
                let read = move |_: &dyn Store| if number == 500 { panic!("on purpose") } else { number };
                runtime.spawn(async move { reader.short(read).await })
            })
            .collect();
        for (number, asked) in (0..).zip(asked) {
            let answer = runtime.block_on(asked).expect("no panic outside");
            assert_eq!(answer.ok(), (number != 500).then_some(number));
        }
        runtime.shutdown_timeout(std::time::Duration::from_secs(10));
        let queue = reader.short.queue();
        assert_eq!((queue.lanes, queue.waiting.count), (0, 0));
    }

    #[test]
    fn lists_of_apps_alternate_and_die_with_their_callers() {
        // While every thread for lists is taken, one app asks for very many: its own are refused from some number on,
        // another app's comes right after one of them, and what nobody waits for any more is not done. Short reads go on.
        use futures_util::future::FutureExt;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).max_blocking_threads(THREADS_MAX).build();
        let runtime = runtime.expect("threads");
        let reader = reader(&runtime);
        let app = |number| Some(AppId(crate::model::RawId([number; 12])));
        let let_go = Arc::new(std::sync::OnceLock::<()>::new());
        let held: Vec<_> = (0..LISTS.lanes_max)
            .map(|_| {
                let (reader, let_go) = (reader.clone(), Arc::clone(&let_go));
                runtime.spawn(async move { reader.list(None, move |_| *let_go.wait()).await })
            })
            .collect();
        while reader.lists.queue().waiting.count > 0 || reader.lists.queue().lanes < LISTS.lanes_max {
            std::thread::yield_now();
        }
        let done = Arc::new(Mutex::new(Vec::new()));
        let list = |app, name| {
            let done = Arc::clone(&done);
            Box::pin(reader.list(app, move |_| done.lock().expect("no panic").push(name)))
        };
        assert!(list(app(1), "gone").now_or_never().is_none());
        let mut asked: Vec<_> = (1..LISTS.waiting_of_an_app).map(|_| list(app(1), "many")).collect();
        asked.push(list(app(2), "one"));
        assert!(asked.iter_mut().all(|it| it.now_or_never().is_none()));
        assert_eq!(list(app(1), "too many").now_or_never(), Some(Err(Error::Busy)));
        assert_eq!(runtime.block_on(reader.short(|_| 7)), Ok(7));
        let_go.set(()).expect("once");
        runtime.block_on(async {
            for answer in futures_util::future::join_all(asked).await {
                assert_eq!(answer, Ok(()));
            }
            for held in held {
                assert_eq!(held.await.expect("no panic outside"), Ok(()));
            }
        });
        let done = done.lock().expect("no panic");
        assert!(done.iter().position(|it| *it == "one").is_some_and(|at| at < 2 * LISTS.lanes_max), "{done:?}");
        assert_eq!((done.len(), done.contains(&"gone")), (LISTS.waiting_of_an_app, false));
    }

    #[test]
    fn nobody_waits_for_a_runtime_that_has_ended() {
        // A read that cannot run any more is refused, and so is the next one.
        let runtime = runtime();
        let reader = reader(&runtime);
        runtime.shutdown_timeout(std::time::Duration::from_secs(10));
        for _ in 0..2 {
            let answer = futures_util::future::FutureExt::now_or_never(reader.short(|_| ()));
            assert_eq!(answer, Some(Err(Error::ShuttingDown)));
        }
    }
}
