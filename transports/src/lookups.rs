//! Looking host names up on threads of their own, because a lookup blocks for as long as name servers stay silent and
//! cannot be called back. Nothing else runs there, and no app takes more than its share, so that names of one merchant
//! that never resolve delay that merchant alone.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::Shared;
use maxpay_engine::model::AppId;
use tokio::sync::oneshot;

/// Threads that look up.
const THREADS_MAX: usize = 64;
/// Of them, those that one app may have.
const THREADS_OF_AN_APP: usize = 16;
/// Names of one app that may wait for a thread.
const WAITING_OF_AN_APP: usize = 256;

/// Asks for the addresses of a name, and may block.
type LookUp = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;
/// `None`: the name does not resolve.
type Found = Option<Arc<[IpAddr]>>;

/// Looks names up. Clones share everything. The threads end when nothing waits; nobody joins them, because one whose
/// lookup hangs ends when that does.
#[derive(Clone)]
pub(crate) struct Lookups(Arc<Board>);

struct Board {
    look_up: Box<LookUp>,
    desk: Mutex<Desk>,
}

/// A name, and the app on whose behalf it is looked up.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Wanted {
    app: Option<AppId>,
    name: String,
}

/// What waits and what is under way.
#[derive(Default)]
struct Desk {
    /// Both, so that who wants the same once more waits for the same answer.
    answers: HashMap<Wanted, Shared<oneshot::Receiver<Found>>>,
    waiting: VecDeque<(Wanted, oneshot::Sender<Found>)>,
    /// How many threads each app has.
    busy: HashMap<Option<AppId>, usize>,
    threads: usize,
}

impl Lookups {
    /// Asks the platform's resolver.
    pub fn of_platform() -> Self {
        Self::by(|name| Ok((name, 0).to_socket_addrs()?.map(|address| address.ip()).collect()))
    }

    /// Asks `look_up`.
    pub fn by(look_up: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(Board { look_up: Box::new(look_up), desk: Mutex::default() }))
    }

    /// Every address of a name, with that port. A name that nobody waits for any more is not looked up.
    pub fn find(
        &self,
        app: Option<AppId>,
        name: &str,
        port: u16,
    ) -> impl Future<Output = Result<Vec<SocketAddr>, &'static str>> + Send + use<> {
        let answer = self.0.ask(Wanted { app, name: name.to_owned() });
        async move {
            let found = answer.ok_or("too many names are waiting to be looked up")?.await.ok().flatten();
            let found = found.ok_or("the name does not resolve")?;
            Ok(found.iter().map(|address| SocketAddr::new(*address, port)).collect())
        }
    }
}

impl Board {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(self: &Arc<Self>, wanted: Wanted) -> Option<Shared<oneshot::Receiver<Found>>> {
        let mut desk = self.desk();
        if let Some(answer) = desk.answers.get(&wanted) {
            return Some(answer.clone());
        }
        desk.forget_abandoned();
        if desk.waiting.iter().filter(|(other, _)| other.app == wanted.app).count() >= WAITING_OF_AN_APP {
            return None;
        }
        let (sender, answer) = oneshot::channel();
        let answer = answer.shared();
        desk.answers.insert(wanted.clone(), answer.clone());
        desk.waiting.push_back((wanted, sender));
        if desk.threads < THREADS_MAX
            && let Some((wanted, sender)) = desk.begin()
        {
            desk.threads += 1;
            let (board, first) = (Arc::clone(self), wanted.clone());
            let thread = std::thread::Builder::new().name("maxpay-names".to_owned());
            if let Err(why) = thread.spawn(move || board.work(first, sender)) {
                // Its sender is gone, so whoever waits hears that the name does not resolve.
                tracing::error!(%why, "there is no thread to look names up");
                desk.end(&wanted);
                desk.threads -= 1;
            }
        }
        Some(answer)
    }

    fn work(&self, mut wanted: Wanted, mut sender: oneshot::Sender<Found>) {
        loop {
            let found = catch_unwind(AssertUnwindSafe(|| (self.look_up)(&wanted.name)));
            let found = found.ok().and_then(Result::ok).map(Arc::from);
            let mut desk = self.desk();
            desk.end(&wanted);
            let next = desk.begin();
            desk.threads -= usize::from(next.is_none());
            drop(desk);
            // Everybody who asked may have gone away.
            drop(sender.send(found));
            let Some(next) = next else { return };
            (wanted, sender) = next;
        }
    }
}

impl Desk {
    /// The first that somebody still waits for and whose app has not got its share.
    fn begin(&mut self) -> Option<(Wanted, oneshot::Sender<Found>)> {
        self.forget_abandoned();
        let has_room = |app| self.busy.get(app).is_none_or(|threads| *threads < THREADS_OF_AN_APP);
        let at = self.waiting.iter().position(|(wanted, _)| has_room(&wanted.app))?;
        let next = self.waiting.remove(at)?;
        *self.busy.entry(next.0.app).or_default() += 1;
        Some(next)
    }

    fn forget_abandoned(&mut self) {
        let answers = &mut self.answers;
        self.waiting.retain(|(wanted, _)| {
            let awaited = answers.get(wanted).is_some_and(|answer| answer.strong_count() > Some(1));
            if !awaited {
                answers.remove(wanted);
            }
            awaited
        });
    }

    fn end(&mut self, wanted: &Wanted) {
        self.answers.remove(wanted);
        if let Some(threads) = self.busy.get_mut(&wanted.app) {
            *threads -= 1;
            if *threads == 0 {
                self.busy.remove(&wanted.app);
            }
        }
    }
}

#[cfg(test)]
#[path = "lookups_tests.rs"]
mod tests;
