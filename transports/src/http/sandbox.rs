//! Plays the payer of a sandbox transaction: `POST /sandbox/transactions/{id}/{command}`. Who the payers are is the
//! host's affair; that a live transaction is never played is this door's.

use actix_web::web;
use futures_util::future::BoxFuture;
use maxpay_engine::api::Right;
use maxpay_engine::model::{Mode, Transaction, TransactionId};
use serde_json::{Map, Value};

use super::answer::Answer;
use super::door::{Door, nothing_here, wrong_method};
use super::inbound::Inbound;
use super::v1;
use crate::operations::{Problem, Reply};

/// Plays payers of the sandbox.
pub trait Payers: Send + Sync {
    /// Does `command` (`pay`, `decline`, `notify_late:60000` …) as the payer of `transaction`, with the arguments of that command.
    /// Answers what it came to.
    fn play(
        &self,
        transaction: Transaction,
        command: String,
        arguments: Map<String, Value>,
    ) -> BoxFuture<'static, Result<Value, PayerRefusal>>;
}

/// Why a payer does not play.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayerRefusal {
    /// There is no such command.
    #[error("payers know no such command: {0}")]
    UnknownCommand(String),
    /// An argument is wrong.
    #[error("{field}: {why}")]
    Argument {
        /// Its name.
        field: String,
        /// What would be right.
        why: String,
    },
    /// The sandbox's channel does not know the transaction, or it is no longer open there.
    #[error("{0}")]
    Refused(String),
}

/// Answers a request under `/sandbox`.
pub(super) async fn answer(door: &Door, inbound: &Inbound, payload: &mut web::Payload) -> Answer {
    let path: Vec<&str> = inbound.path().split('/').skip(2).collect();
    let ["transactions", id, command] = path[..] else { return nothing_here() };
    let Some(payers) = door.extras().payers.clone() else { return nothing_here() };
    if inbound.method() != "POST" {
        return wrong_method("POST");
    }
    // A command may carry a number behind a colon, which some clients escape.
    let command = command.replace("%3A", ":").replace("%3a", ":");
    match play(door, inbound, payload, payers.as_ref(), (id, &command)).await {
        Ok(reply) => reply.into(),
        Err(problem) => v1::refusal(&problem),
    }
}

async fn play(
    door: &Door,
    inbound: &Inbound,
    payload: &mut web::Payload,
    payers: &dyn Payers,
    (id, command): (&str, &str),
) -> Result<Reply, Problem> {
    let principal = v1::principal(door, inbound).await?;
    let scope = principal.scope.filter(|scope| scope.mode == Mode::Test);
    let scope = match principal.right {
        Right::Payments | Right::App => scope,
        Right::Client | Right::Operator => None,
    };
    let scope =
        scope.ok_or_else(|| Problem::new(403, "forbidden", "the sandbox takes API and master keys of test mode"))?;
    let arguments: Map<String, Value> = v1::body(door, inbound, payload).await?.read()?;
    let id: TransactionId = id.parse().map_err(|_| Problem::new(404, "not_found", "there is no such transaction"))?;
    let transaction = door.engine().transaction(scope, id).await?;
    let came_to = payers.play(transaction, command.to_owned(), arguments).await.map_err(|refusal| match refusal {
        PayerRefusal::UnknownCommand(_) => Problem::new(404, "not_found", refusal.to_string()),
        PayerRefusal::Argument { field, why } => Problem::field(field, why),
        PayerRefusal::Refused(why) => Problem::new(409, "conflict", why),
    })?;
    Reply::ok(&came_to)
}
