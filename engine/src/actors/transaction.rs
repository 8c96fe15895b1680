//! The transaction actor: the one writer of one record.
//!
//! A message in, the machine's step, one batch; after the commit, the answer and the effects. It awaits nothing but
//! its own commit and the reads that belong to it, and no later message is handled meanwhile.

use std::sync::Arc;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};
use tokio::sync::oneshot;

use crate::Error;
use crate::api::Idempotency;
use crate::engine::Inner;
use crate::machine::{Input, transaction as machine};
use crate::model::{Bill, Sealed, Timestamp, Transaction, TransactionId};
use crate::secrets::Secret;
use crate::store::Seq;

use super::failure::Failure;
use super::keeper::{Held, Keeper};
use super::rest::Rest;
use super::router::{Report, Work};
use super::ticket::Ticket;

/// What a transaction's actor is told, and where the answer goes.
pub(crate) struct TransactionMessage {
    pub what: What,
    pub reply: oneshot::Sender<Result<Settled, Error>>,
    /// Held until what follows from the message has ended, calls included.
    pub ticket: Option<Ticket>,
}

/// What is to be done.
pub(crate) enum What {
    /// Make the record.
    Create(Box<Creation>),
    /// An input of the machine, and what its commit carries besides.
    Input(Box<(Input, Carried)>),
    /// A row of the due table says that its time has come.
    Due(Timestamp),
    /// Fails as a defect would.
    #[cfg(test)]
    Panic,
}

/// A record to be made.
pub(crate) struct Creation {
    /// What it is made of.
    pub draft: machine::Draft,
    /// When it is made: what was signed for it says so already.
    pub made_at: Timestamp,
    /// What the first step is: submit, or what the local signing came to.
    pub first: Input,
    /// How its account was chosen, for the timeline.
    pub route: String,
    /// Whether one bill number makes one transaction.
    pub strict: bool,
    /// The request's own key.
    pub idempotency: Option<Idempotency>,
    /// What stood under the bill number, if that was looked at already.
    pub standing: Option<(Option<Bill>, Seq)>,
}

/// What the commit of an input carries besides.
#[derive(Default)]
pub(crate) struct Carried {
    /// The evidence as it came.
    pub raw: Option<Sealed>,
    /// The request's own key.
    pub idempotency: Option<Idempotency>,
    /// The payer's token, for the charge that follows. Never stored.
    pub token: Option<Arc<Secret>>,
    /// Whether it answers a call that the actor waits for.
    pub answers_call: bool,
}

/// What a message came to.
#[derive(Debug)]
pub(crate) enum Settled {
    /// The record as it is now.
    Now(Box<Transaction>),
    /// Another one stands for the request; nothing was made.
    Other(TransactionId),
}

impl TransactionMessage {
    /// A message, and where its answer comes.
    pub fn new(what: What, ticket: Option<Ticket>) -> (Self, oneshot::Receiver<Result<Settled, Error>>) {
        let (reply, answer) = oneshot::channel();
        (Self { what, reply, ticket }, answer)
    }

    /// Answers it without working on it.
    pub fn refuse(self, why: Error) {
        // Who asked may have gone away.
        drop(self.reply.send(Err(why)));
    }

    /// Whether the record does not exist before it.
    pub fn makes_record(&self) -> bool {
        matches!(self.what, What::Create(_))
    }
}

/// What an actor is made from.
pub(crate) struct LoadedTransaction(Held);

impl LoadedTransaction {
    /// Reads the record and what belongs to it.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::SetAside`] when it does not decode; the store cannot answer.
    pub async fn read(inner: &Arc<Inner>, id: TransactionId) -> Result<Self, Error> {
        Held::read(inner, id).await.map(Self)
    }
}

/// One writer for one record.
pub(crate) struct TransactionActor(State);

enum State {
    /// It is new, and its first message is on its way.
    Awake(Box<Keeper>),
    AtRest(Rest),
    /// Its keeper is being worked with.
    AtWork,
}

impl TransactionActor {
    /// An actor for a record that is about to be made. On an arbiter only.
    pub fn begin(inner: &Arc<Inner>) -> actix::Addr<Self> {
        Self::spawn(Keeper::empty(inner))
    }

    /// An actor for a record that was read. On an arbiter only.
    pub fn wake(inner: &Arc<Inner>, loaded: LoadedTransaction) -> actix::Addr<Self> {
        Self::spawn(Keeper::holding(inner, loaded.0))
    }

    fn spawn(keeper: Keeper) -> actix::Addr<Self> {
        Self::create(|_| Self(State::Awake(Box::new(keeper))))
    }
}

impl Actor for TransactionActor {
    type Context = Context<Self>;
}

impl Handler<Work<TransactionMessage>> for TransactionActor {
    type Result = ();

    fn handle(&mut self, Work { body, done }: Work<TransactionMessage>, context: &mut Context<Self>) {
        let keeper = match std::mem::replace(&mut self.0, State::AtWork) {
            State::Awake(keeper) => Ok(*keeper),
            State::AtRest(rest) => rest.end(),
            // It cannot happen while `wait` holds the mailbox.
            State::AtWork => Err(Error::Busy),
        };
        let mut keeper = match keeper {
            Ok(keeper) => keeper,
            Err(why) => {
                // Nothing was done, and the record is read again.
                body.refuse(why);
                let _ = done.send(Report::Reload);
                return;
            }
        };
        let work = async move {
            let TransactionMessage { what, reply, ticket } = body;
            let ended = keeper.work(what, ticket).await;
            (keeper, ended, reply, done)
        };
        // `wait` and not `spawn`: a later message must not see the record between its step and its commit (fact 5).
        context.wait(work.into_actor(self).map(|(keeper, ended, reply, done), actor, _| {
            let calling = keeper.calling();
            actor.0 = State::AtRest(Rest::of(keeper));
            let (answer, report) = match ended {
                Ok(settled) => (Ok(settled), Report::Well { calling }),
                Err(Failure::Refused(why)) => (Err(why), Report::Well { calling }),
                Err(Failure::Distrust(why)) => (Err(why), Report::Reload),
                Err(Failure::Poisoned(why)) => (Err(Error::Internal(why)), Report::Poisoned),
            };
            // Who asked may have gone away; the router has not.
            drop(reply.send(answer));
            let _ = done.send(report);
        }));
    }
}
