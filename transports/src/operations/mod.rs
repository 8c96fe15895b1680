//! The operations: one table, `transactions.create` and all the others. Each row is a name, a method and path, the
//! least right it needs, whether an idempotency key applies, what it takes, and the function that turns typed requests
//! into what the engine is asked and its answers into JSON.
//!
//! HTTP `/v1` and stdio are two faces of this table; nothing here knows of either.

mod accounts;
mod apps;
pub mod cursor;
mod deliveries;
mod operators;
mod params;
mod problem;
mod shape;
mod subscriptions;
mod table;
mod transactions;
pub mod views;

use std::time::Duration;

use futures_util::future::BoxFuture;
use maxpay_engine::Engine;
use maxpay_engine::api::{Idempotency, Principal, Right, Scope};
use serde::Serialize;
use serde_json::value::RawValue;

pub use cursor::Order;
pub use params::Params;
pub(crate) use params::fields;
pub use problem::{FieldProblem, Problem, ProblemView};
pub use table::{Described, SchemaOf, all, named};

/// The longest that a caller may ask to wait for a channel's answer.
const WAIT_MAX_SECONDS: u64 = 60;

/// One row of the table.
pub struct Operation {
    /// Its stable name: `transactions.create`.
    pub name: &'static str,
    /// HTTP method of its `/v1` face, in upper case.
    pub method: &'static str,
    /// Path of its `/v1` face; `{name}` is a parameter of that name.
    pub path: &'static str,
    /// The least right it needs.
    pub right: Right,
    /// Whether an idempotency key makes a repeat find what the first request made: so it is of every POST. The others
    /// answer a repeat the same by themselves; a key that comes with them is checked and does nothing.
    pub idempotent: bool,
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// What it takes beside the parameters of its path: the query of a GET, the body of the others.
    pub takes: Option<SchemaOf>,
    /// What it answers: statuses, and the schema of the body.
    pub answers: &'static [(u16, SchemaOf)],
    run: fn(Caller, Params) -> BoxFuture<'static, Result<Reply, Problem>>,
}

impl std::fmt::Debug for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Operation({} {} {})", self.name, self.method, self.path)
    }
}

/// What an operation came to.
#[derive(Debug, Clone)]
pub struct Reply {
    /// As an HTTP status: 200 done, 201 made, 202 under way.
    pub status: u16,
    /// The JSON text of the answer.
    pub body: Box<RawValue>,
    /// Path of the object that was made.
    pub location: Option<String>,
}

impl Reply {
    pub(crate) fn new(status: u16, body: &impl Serialize) -> Result<Self, Problem> {
        let body = serde_json::value::to_raw_value(body).map_err(|error| Problem::internal(&error.to_string()))?;
        Ok(Self { status, body, location: None })
    }

    pub(crate) fn ok(body: &impl Serialize) -> Result<Self, Problem> {
        Self::new(200, body)
    }

    /// Of a create: 201 for the request that made it, 200 for one that found it.
    pub(crate) fn made(first: bool, body: &impl Serialize) -> Result<Self, Problem> {
        Self::new(if first { 201 } else { 200 }, body)
    }

    pub(crate) fn at(mut self, location: String) -> Self {
        self.location = Some(location);
        self
    }
}

/// Who calls, with what.
pub(crate) struct Caller {
    pub(crate) engine: Engine,
    pub(crate) principal: Principal,
    pub(crate) idempotency: Option<Idempotency>,
    /// The longest that this caller can wait for a channel's answer.
    pub(crate) longest_wait: Duration,
}

impl Caller {
    /// The app and mode of a merchant's credential.
    fn scope(&self) -> Result<Scope, Problem> {
        self.principal.scope.ok_or_else(forbidden)
    }
}

/// Does one operation: checks the right, reads the parameters, asks the engine.
///
/// `idempotency_key` is the client's own key for this request: 1 to 255 visible ASCII characters.
///
/// # Errors
/// The problem to show: `unknown_operation`, `forbidden`, `invalid_request`, or what the engine says.
pub async fn call(
    engine: &Engine,
    principal: &Principal,
    name: &str,
    params: Params,
    idempotency_key: Option<&str>,
) -> Result<Reply, Problem> {
    call_within(engine, principal, name, params, idempotency_key, Duration::from_secs(WAIT_MAX_SECONDS)).await
}

/// As [`call`], for a caller who must be answered soon: waits for a channel's answer are cut to `longest_wait`.
///
/// # Errors
/// As [`call`].
pub async fn call_within(
    engine: &Engine,
    principal: &Principal,
    name: &str,
    params: Params,
    idempotency_key: Option<&str>,
    longest_wait: Duration,
) -> Result<Reply, Problem> {
    let operation =
        named(name).ok_or_else(|| Problem::new(404, "unknown_operation", "there is no operation of that name"))?;
    permit(operation, principal)?;
    let idempotency = match idempotency_key {
        Some(key) if operation.idempotent => Some(idempotency(operation, principal, key, &params)?),
        Some(key) => check_key(key).map(|()| None)?,
        None => None,
    };
    let caller = Caller { engine: engine.clone(), principal: *principal, idempotency, longest_wait };
    (operation.run)(caller, params).await
}

/// Whether a caller may do an operation at all.
///
/// # Errors
/// `forbidden`.
pub fn permit(operation: &Operation, principal: &Principal) -> Result<(), Problem> {
    if admits(operation.right, principal.right) { Ok(()) } else { Err(forbidden()) }
}

/// Whether a credential of right `held` may do what needs `least`. Merchants' rights contain one another; an
/// operator's stands apart.
fn admits(least: Right, held: Right) -> bool {
    match (least, held) {
        (Right::Operator, held) => held == Right::Operator,
        (_, Right::Operator) => false,
        (least, held) => held >= least,
    }
}

fn forbidden() -> Problem {
    Problem::new(403, "forbidden", "this credential may not do this")
}

fn check_key(key: &str) -> Result<(), Problem> {
    let fits = (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { Ok(()) } else { Err(Problem::field("Idempotency-Key", "is not 1 to 255 visible ASCII characters")) }
}

fn idempotency(
    operation: &Operation,
    principal: &Principal,
    key: &str,
    params: &Params,
) -> Result<Idempotency, Problem> {
    check_key(key)?;
    Ok(Idempotency {
        owner: principal.owner,
        mode: principal.scope.map(|scope| scope.mode),
        route: operation.name,
        key: key.to_owned(),
        body_digest: params.digest(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_contain_one_another_except_the_operators() {
        // A stronger key of a merchant may do all that a weaker one may; an operator's may do its own things only.
        use Right::{App, Client, Operator, Payments};
        for (least, may) in [
            (Client, vec![Client, Payments, App]),
            (Payments, vec![Payments, App]),
            (App, vec![App]),
            (Operator, vec![Operator]),
        ] {
            for held in [Client, Payments, App, Operator] {
                assert_eq!(admits(least, held), may.contains(&held), "{held:?} for {least:?}");
            }
        }
    }

    #[test]
    fn idempotency_keys_are_short_and_visible() {
        // 1 to 255 visible ASCII characters.
        for (key, good) in [
            ("", false),
            ("a", true),
            ("a b", false),
            ("ü", false),
            (&*"x".repeat(255), true),
            (&*"x".repeat(256), false),
        ] {
            assert_eq!(check_key(key).is_ok(), good, "{key}");
        }
    }
}
