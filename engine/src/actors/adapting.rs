//! An adapter's own work: it may block, so it runs off the arbiters; it is other people's, so a panic of it is caught.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::Error;
use crate::channel::http::HttpReply;
use crate::channel::{Adapter, Context, Interpreted, Outcome, Prepared, Step, Subject};
use crate::engine::Inner;
use crate::model::Timestamp;

use super::calls::{Asked, patiently};

/// Prepares on a thread that may block: signing takes its time.
///
/// # Errors
/// [`Error::Busy`] and [`Error::ShuttingDown`] say nothing about the call; what else goes wrong does.
pub(super) async fn prepare(inner: &Arc<Inner>, asked: &Asked) -> Result<Prepared, Error> {
    let (asked, owner) = (asked.clone(), Arc::clone(inner));
    let work = move || with_context(&owner, &asked, |adapter, context| adapter.prepare(&asked.call, context));
    on_pool(inner, work).await
}

/// Reads a reply on a thread that may block.
pub(crate) async fn interpret(
    inner: &Arc<Inner>,
    asked: &Asked,
    step: Step,
    reply: &HttpReply,
) -> Result<Interpreted, String> {
    let work = || {
        let (asked, owner, reply) = (asked.clone(), Arc::clone(inner), reply.clone());
        on_pool(inner, move || {
            with_context(&owner, &asked, |adapter, context| adapter.interpret(&asked.call, step, &reply, context))
        })
    };
    // What the provider said is at hand: that there is no room now must not make it unknown.
    patiently(work).await.map_err(reason)
}

/// Runs an adapter's work where it may block, and turns a panic of it into a reason.
pub(crate) async fn off_arbiter<T, F>(inner: &Inner, work: F) -> Result<T, String>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, String> + Send + 'static,
{
    on_pool(inner, work).await.map_err(reason)
}

fn reason(why: Error) -> String {
    if let Error::Internal(why) = why { why } else { why.to_string() }
}

/// The same, for those who must know whether it was done at all.
pub(crate) async fn on_pool<T, F>(inner: &Inner, work: F) -> Result<T, Error>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, String> + Send + 'static,
{
    match inner.reader.compute(move || catch_unwind(AssertUnwindSafe(work))).await? {
        Ok(answer) => answer.map_err(Error::Internal),
        Err(_) => Err(Error::Internal("the adapter panicked".to_owned())),
    }
}

pub(crate) fn with_context<T>(
    inner: &Inner,
    asked: &Asked,
    work: impl FnOnce(&dyn Adapter, &Context<'_>) -> T,
) -> Result<T, String> {
    with_context_at(inner.clock.now().wall, inner, asked, work)
}

/// Has an adapter work as at `now`: what came then and proved itself then does so still.
pub(crate) fn with_context_at<T>(
    now: Timestamp,
    inner: &Inner,
    asked: &Asked,
    work: impl FnOnce(&dyn Adapter, &Context<'_>) -> T,
) -> Result<T, String> {
    let adapter = &asked.account.record.adapter;
    let adapter = inner.adapters.named(adapter).ok_or_else(|| format!("there is no adapter called {adapter}"))?;
    let view = asked.account.view(Some(asked.attempt.revision));
    let view = view.ok_or_else(|| format!("the account has no revision {}", asked.attempt.revision))?;
    // A call about the account itself has no number.
    let subject =
        (!asked.number.is_empty()).then(|| Subject { number: &asked.number, numbered_at: asked.attempt.numbered_at });
    let context = Context {
        now,
        entropy: inner.entropy.as_ref(),
        account: view,
        material: &asked.account.material,
        subject,
        original: None,
    };
    Ok(work(adapter.as_ref(), &context))
}

/// What signing a create here came to. `None`: the adapter wants to send something.
///
/// # Errors
/// [`Error::Busy`], [`Error::ShuttingDown`]: it was not tried, and nothing is known of it.
pub(crate) async fn sign(inner: &Arc<Inner>, asked: &Asked) -> Result<Option<Outcome>, Error> {
    match prepare(inner, asked).await {
        Ok(Prepared::Done(answer)) => Ok(Some(answer.outcome)),
        Ok(Prepared::Send(_) | Prepared::NeedMaterial(_)) => Ok(None),
        Ok(Prepared::Unsupported) => Ok(Some(Outcome::NotExecuted("the channel has no such operation".to_owned()))),
        Err(Error::Internal(why)) => Ok(Some(Outcome::NotExecuted(why))),
        Err(why) => Err(why),
    }
}
