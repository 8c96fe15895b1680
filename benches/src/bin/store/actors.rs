//! The load's actors: one actix actor a transaction, on arbiters, as in the engine. Each makes its next transition when
//! the one before is durable; the last of a payment ends the actor, and the next payment gets one of its own.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use actix::{Actor, ActorContext, ActorFutureExt, Arbiter, AsyncContext, Context, Handler, Message, WrapFuture};
use maxpay_engine::clock::{Clock, IdSource, System};
use maxpay_engine::store::redb::RedbStore;
use maxpay_engine::store::{Batch, Seq, Store};
use tokio::sync::oneshot;

use crate::log;
use crate::payments::Payments;
use crate::run::{Failure, Load};

/// Where commits go.
#[derive(Clone)]
pub enum Target {
    /// The store in two redb files.
    Store(Arc<RedbStore>),
    /// The append-only file.
    Reference(SyncSender<log::Request>),
}

impl Target {
    /// Commits a batch.
    ///
    /// # Errors
    /// Whatever the target refuses it with.
    pub async fn commit(&self, batch: Batch) -> Result<Seq, Failure> {
        match self {
            Self::Store(store) => Ok(store.commit(batch).await?.seq),
            Self::Reference(sender) => {
                let (request, answered) = log::Request::new(batch);
                sender.try_send(request).map_err(|_| "the reference's writer takes no more")?;
                Ok(answered.await?)
            }
        }
    }
}

/// Has actors run on an arbiter a core until their time is over; the target is let go before it returns. Gives the waits
/// in the window, in microseconds.
///
/// # Errors
/// Any commit that is refused; a run that does not end.
pub fn work(clock: &System, load: Load, target: &Target, patience: Duration) -> Result<Vec<u64>, Failure> {
    let ids = IdSource::new(Arc::new(clock.clone()), Arc::new(clock.clone()));
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let system = actix::System::new();
    let worked = system.block_on(async {
        let arbiters: Vec<Arbiter> = (0..cores).map(|_| Arbiter::new()).collect();
        let from = clock.now().monotonic + load.warm_up;
        let mut places = Vec::new();
        for number in 0..load.in_flight {
            let (done, waits) = oneshot::channel();
            let paced = load.pace.map(|gap| Pace { gap, next: clock.now().monotonic + gap * number / load.in_flight });
            let place = Place {
                target: target.clone(),
                clock: clock.clone(),
                payments: Payments::new(ids.clone()),
                window: (from, from + load.window),
                pace: paced,
                waits_us: Vec::new(),
                done,
            };
            let arbiter = &arbiters[usize::try_from(number)? % cores];
            let begin = move || TransactionActor::begin(place);
            if !arbiter.spawn_fn(begin) {
                return Err("an arbiter has died".into());
            }
            places.push(waits);
        }
        let mut waits_us = Vec::new();
        for waits in places {
            waits_us.extend(tokio::time::timeout(load.warm_up + load.window + patience, waits).await???);
        }
        for arbiter in arbiters {
            arbiter.stop();
            arbiter.join().map_err(|_| "an arbiter ended by a panic")?;
        }
        Ok(waits_us)
    });
    actix::System::current().stop();
    worked
}

/// One place of those in flight: what goes on from one payment's actor to the next.
struct Place {
    target: Target,
    clock: System,
    payments: Payments,
    window: (Duration, Duration),
    pace: Option<Pace>,
    waits_us: Vec<u64>,
    done: oneshot::Sender<Result<Vec<u64>, Failure>>,
}

/// Transitions at a pace, however long each takes: one that comes late does not delay those after it.
struct Pace {
    gap: Duration,
    next: Duration,
}

impl Place {
    /// Makes the next transition. Gives when it was asked for and answered.
    async fn step(&mut self) -> Result<(Duration, Duration), Failure> {
        let mut asked = self.clock.now().monotonic;
        if let Some(pace) = &mut self.pace {
            let due = pace.next;
            pace.next += pace.gap;
            if asked < due {
                self.clock.sleep(due.saturating_sub(asked)).await;
                // A timer that wakes late is no matter of the commit's.
                asked = self.clock.now().monotonic;
            } else {
                // The commit before took too long: this one has waited since then.
                asked = due;
            }
        }
        let batch = self.payments.next_batch(self.clock.now().wall);
        let seq = self.target.commit(batch).await?;
        self.payments.committed(seq);
        Ok((asked, self.clock.now().monotonic))
    }
}

/// One payment's actor.
struct TransactionActor {
    /// Absent while it waits for its commit.
    place: Option<Place>,
}

impl TransactionActor {
    fn begin(place: Place) {
        let actor = Self::create(|_| Self { place: Some(place) });
        // A fresh mailbox has room.
        drop(actor.try_send(Proceed));
    }
}

impl Actor for TransactionActor {
    type Context = Context<Self>;
}

/// The next transition.
struct Proceed;

impl Message for Proceed {
    type Result = ();
}

impl Handler<Proceed> for TransactionActor {
    type Result = ();

    fn handle(&mut self, _: Proceed, context: &mut Context<Self>) {
        let Some(mut place) = self.place.take() else { return };
        let step = async move {
            let stepped = place.step().await;
            (place, stepped)
        };
        context.wait(step.into_actor(self).map(|(mut place, stepped), actor, context| {
            let (asked, answered) = match stepped {
                Ok(times) => times,
                Err(why) => return drop(place.done.send(Err(why))),
            };
            let (from, until) = place.window;
            if answered >= until {
                // Who waits for it has given up otherwise.
                return drop(place.done.send(Ok(place.waits_us)));
            }
            if answered >= from {
                place.waits_us.push(u64::try_from(answered.saturating_sub(asked).as_micros()).unwrap_or(u64::MAX));
            }
            if place.payments.ended() {
                context.stop();
                return Self::begin(place);
            }
            actor.place = Some(place);
            context.notify(Proceed);
        }));
    }
}
