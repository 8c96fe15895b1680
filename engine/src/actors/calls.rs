//! One call to a provider: prepared off the arbiters, sent once, read, and compared with whom it belongs to.
//!
//! Silence is never failure: what is not proved is *unknown*.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use sha2::{Digest, Sha256};

use crate::Error;
use crate::channel::http::{HttpReply, HttpRequest, SendFailure, SendLimits};
use crate::channel::{Answer, Call, Interpreted, OriginalApi, Outcome, Prepared, Step};
use crate::directory::LoadedAccount;
use crate::engine::Inner;
use crate::machine::Told;
use crate::model::{AccountState, AlarmKind, AppId, Attempt, CallKind, Door, Sealed, SendState, Timestamp};
use crate::secrets::Secret;
use crate::store::{Batch, Health};

use super::adapting::prepare;
pub(crate) use super::adapting::{interpret, off_arbiter, on_pool, sign, with_context, with_context_at};
use super::batch::evidence_place;
use super::dispatcher::Job;
use super::keeper::account_of;
use super::materials::{self, Asker};
use super::owners::disagreement;

/// Bytes of an answer that are read: it has to fit into one commit together with its record, so that it can always be
/// kept.
const BODY_MAX: usize = 256 * 1024;
/// Requests that one call may need.
const STEPS_MAX: usize = 4;
/// How much longer than its deadline a client may take to say so.
const GRACE: Duration = Duration::from_secs(1);
/// How often something is done anew when the pool for it is full, and how long is waited first.
const PATIENCE: u32 = 8;
const FIRST_WAIT: Duration = Duration::from_millis(5);

/// What an answer told, and the bytes that prove it.
pub(crate) struct Heard {
    pub answer: Answer,
    pub reply: Option<HttpReply>,
    /// When its first request left, if one did.
    pub asked_at: Option<Timestamp>,
}

impl Heard {
    fn bare(outcome: Outcome) -> Self {
        Self { answer: Answer::bare(outcome), reply: None, asked_at: None }
    }
}

/// Makes a call of a transaction and says what it told. Never fails: what goes wrong is an outcome.
pub(crate) async fn carry_out(inner: &Arc<Inner>, job: &Job) -> (Told, Option<Sealed>) {
    let Some(attempt) = job.attempt() else {
        return (job.told(Outcome::Unknown("the record has no such attempt".to_owned())), None);
    };
    let account = match patiently(|| account_of(inner, attempt.account_id)).await {
        Ok(account) => account,
        // It was not even built, so nothing left.
        Err(why) => return (job.told(nothing_left(job.kind, why.to_string())), None),
    };
    let call = Arc::new(call_of(job, attempt));
    let asked = Asked { call, number: job.number.to_string(), attempt: attempt.clone(), account };
    if let Err(why) = may_leave(inner, &asked, Some(job)).await {
        return (job.told(nothing_left(job.kind, why)), None);
    }
    let heard = ask_for(inner, &asked, Some(job)).await;
    materials::freshen(inner, &asked.account);
    judge(inner, job, &asked, heard).await
}

/// Whether a call may leave at this very moment, and why it may not.
async fn may_leave(inner: &Inner, asked: &Asked, job: Option<&Job>) -> Result<(), String> {
    if inner.store.health() != Health::Open {
        return Err("the store is fenced".to_owned());
    }
    let Some(job) = job.filter(|job| job.sends()) else { return Ok(()) };
    // As it is now: somebody may have paused it meanwhile.
    let account = patiently(|| account_of(inner, asked.attempt.account_id)).await.map_err(|why| why.to_string())?;
    match &account.record.state {
        AccountState::Paused { reason, .. } => return Err(format!("the account is paused: {reason}")),
        AccountState::Disabled if begins_order(job, &asked.attempt) => return Err("the account was deleted".to_owned()),
        AccountState::Disabled | AccountState::Active => {}
    }
    let now = inner.clock.now();
    let rules = inner.adapters.rules(&account.record.adapter, &job.record.channel);
    if rules.is_some_and(|rules| now.wall > asked.attempt.intent.expires_at.before(rules.min_life)) {
        return Err("it would expire too soon".to_owned());
    }
    // Whoever asks about it later counts on this: what has not left by then never leaves.
    if now.monotonic > job.leave_by {
        return Err("it has waited for too long and is not sent any more".to_owned());
    }
    Ok(())
}

/// Does something anew while the pool for such work is full: that says nothing about the call.
pub(super) async fn patiently<T, F: Future<Output = Result<T, Error>>>(work: impl Fn() -> F) -> Result<T, Error> {
    let mut wait = FIRST_WAIT;
    for _ in 0..PATIENCE {
        match work().await {
            Err(Error::Busy) => {}
            ended => return ended,
        }
        // In real time: it is a matter of milliseconds, whatever time it is.
        tokio::time::sleep(wait).await;
        wait = wait.saturating_mul(2);
    }
    work().await
}

/// Whether the call would be the first by which anything of the attempt comes to be at the channel.
fn begins_order(job: &Job, attempt: &Attempt) -> bool {
    let earlier = if job.resign { attempt.sends.len() } else { attempt.sends.len().saturating_sub(1) };
    job.kind == CallKind::Create
        && usize::try_from(attempt.sends_made) == Ok(attempt.sends.len())
        && attempt.sends.iter().take(earlier).all(|send| send.state == SendState::NotExecuted)
}

fn nothing_left(kind: CallKind, why: String) -> Outcome {
    match kind {
        CallKind::Create | CallKind::Authorize | CallKind::Void | CallKind::Refund => Outcome::NotExecuted(why),
        CallKind::Query
        | CallKind::Close
        | CallKind::QueryRefund
        | CallKind::Statement
        | CallKind::Maintain
        | CallKind::PayerSession
        | CallKind::Notification => Outcome::Unknown(why),
    }
}

fn call_of(job: &Job, attempt: &Attempt) -> Call {
    let code = job.record.channel.clone();
    let original_api = match job.record.door {
        Door::Original => OriginalApi::Yes,
        Door::Native => OriginalApi::No,
    };
    let intent = attempt.intent.clone();
    match job.kind {
        CallKind::Create => Call::Create { code, intent, original_api },
        CallKind::Close => Call::Close { code },
        CallKind::Authorize => {
            let token = job.token.as_ref().map_or_else(|| Secret::from_text(""), |token| Secret::clone(token));
            Call::Authorize { code, intent, token }
        }
        CallKind::PayerSession => Call::PayerSession { code, validation_url: None },
        CallKind::Maintain => Call::Maintain,
        CallKind::Query
        | CallKind::Void
        | CallKind::Refund
        | CallKind::QueryRefund
        | CallKind::Statement
        | CallKind::Notification => Call::Query { code },
    }
}

/// A call and everything it is made from.
#[derive(Clone)]
pub(crate) struct Asked {
    pub call: Arc<Call>,
    /// The number it is asked under.
    pub number: String,
    pub attempt: Attempt,
    pub account: Arc<LoadedAccount>,
}

/// Asks and hears. What goes wrong is an outcome already.
pub(crate) async fn ask(inner: &Arc<Inner>, asked: &Asked) -> Heard {
    ask_for(inner, asked, None).await
}

async fn ask_for(inner: &Arc<Inner>, asked: &Asked, job: Option<&Job>) -> Heard {
    let mut asked = asked.clone();
    let mut refreshed = false;
    let mut request = match prepared(inner, &mut asked, job, &mut refreshed).await {
        Ok(Made::Request(request)) => request,
        Ok(Made::Answer(answer)) => return Heard { answer, ..Heard::bare(Outcome::Processing) },
        Err(why) => return Heard::bare(nothing_left(asked.call.kind(), why)),
    };
    if let Err(why) = may_leave(inner, &asked, job).await {
        return Heard::bare(nothing_left(asked.call.kind(), why));
    }
    let began = inner.clock.now();
    // One deadline over all steps: whoever waits for the end of the call counts from its beginning.
    let over_at = began.monotonic.saturating_add(deadline_of(inner, &asked));
    let unknown = |why: String| Heard { asked_at: Some(began.wall), ..Heard::bare(Outcome::Unknown(why)) };
    let mut step = Step(0);
    for sent in 0..STEPS_MAX {
        let left = over_at.saturating_sub(inner.clock.now().monotonic);
        if left.is_zero() {
            return unknown("its time is over".to_owned());
        }
        let reply = match send(inner, asked.account.record.app_id, request, left).await {
            Ok(reply) => reply,
            // Only of the first request does *not sent* prove that nothing was executed.
            Err(SendFailure::NotSent(why)) if sent == 0 => {
                return Heard::bare(nothing_left(asked.call.kind(), format!("not sent: {why}")));
            }
            Err(why) => return unknown(why.to_string()),
        };
        match read(inner, &mut asked, step, &reply, &mut refreshed).await {
            Ok(Interpreted::Done(answer)) => {
                return Heard { answer, reply: Some(reply), asked_at: Some(began.wall) };
            }
            Ok(Interpreted::Next { step: next, request: following }) => (step, request) = (next, following),
            Ok(Interpreted::Learned(_)) => return unknown("the answer was about material".to_owned()),
            Ok(Interpreted::NeedMaterial(_)) => {
                return unknown("material to verify the answer is missing".to_owned());
            }
            Err(why) => return unknown(why),
        }
    }
    unknown("the call needed too many requests".to_owned())
}

/// What a call is before anything left.
enum Made {
    Request(HttpRequest),
    /// It needs none.
    Answer(Answer),
}

/// Prepares the first request, with material fetched once if that is missing. `Err`: why nothing can leave.
async fn prepared(
    inner: &Arc<Inner>,
    asked: &mut Asked,
    job: Option<&Job>,
    refreshed: &mut bool,
) -> Result<Made, String> {
    loop {
        match patiently(|| prepare(inner, asked)).await.map_err(|why| why.to_string())? {
            Prepared::Done(answer) => return Ok(Made::Answer(answer)),
            // No send of it is in the record.
            Prepared::Send(_) if job.is_some_and(|job| job.resign) => {
                return Err("it must be signed here, and its adapter wants to send something".to_owned());
            }
            Prepared::Send(request) => return Ok(Made::Request(request)),
            Prepared::NeedMaterial(request) if !*refreshed => {
                *refreshed = true;
                asked.account = inner.materials.refresh(inner, &asked.account, request, Asker::Call).await?;
            }
            Prepared::NeedMaterial(_) => return Err("material is missing still".to_owned()),
            Prepared::Unsupported => return Err("the channel has no such operation".to_owned()),
        }
    }
}

/// Reads a reply; when material is missing to verify it, fetches that once and reads the same reply again.
async fn read(
    inner: &Arc<Inner>,
    asked: &mut Asked,
    step: Step,
    reply: &HttpReply,
    refreshed: &mut bool,
) -> Result<Interpreted, String> {
    match interpret(inner, asked, step, reply).await? {
        Interpreted::NeedMaterial(request) if !*refreshed => {
            *refreshed = true;
            asked.account = inner.materials.refresh(inner, &asked.account, request, Asker::Call).await?;
            interpret(inner, asked, step, reply).await
        }
        read @ (Interpreted::Done(_)
        | Interpreted::Next { .. }
        | Interpreted::Learned(_)
        | Interpreted::NeedMaterial(_)) => Ok(read),
    }
}

fn deadline_of(inner: &Inner, asked: &Asked) -> Duration {
    let code = match asked.call.as_ref() {
        Call::Create { code, .. }
        | Call::Query { code }
        | Call::Close { code }
        | Call::Void { code, .. }
        | Call::Refund { code, .. }
        | Call::QueryRefund { code, .. }
        | Call::PayerSession { code, .. }
        | Call::Authorize { code, .. } => Some(code),
        Call::Maintain => None,
    };
    let rules = code.and_then(|code| inner.adapters.rules(&asked.account.record.adapter, code));
    rules.map_or(Duration::from_secs(10), |rules| rules.call_deadline)
}

/// Sends one request, within its deadline by the engine's clock whatever the client does.
pub(crate) async fn send(
    inner: &Inner,
    app: AppId,
    request: HttpRequest,
    deadline: Duration,
) -> Result<HttpReply, SendFailure> {
    let request = HttpRequest { on_behalf_of: Some(app), ..request };
    let limits = SendLimits { deadline, body_max: BODY_MAX };
    let sending = inner.http.send(request, limits);
    match select(sending, inner.clock.sleep(deadline + GRACE)).await {
        Either::Left((reply, _)) => reply,
        Either::Right(((), _)) => Err(SendFailure::Unknown("no answer within the deadline".to_owned())),
    }
}

/// Compares an answer with what was asked; what disagrees is unknown, and an alarm.
async fn judge(inner: &Arc<Inner>, job: &Job, asked: &Asked, heard: Heard) -> (Told, Option<Sealed>) {
    let Heard { answer, reply, asked_at } = heard;
    let view = asked.account.view(Some(job.attempt().map_or(0, |attempt| attempt.revision)));
    let settings = view.map(|view| view.settings);
    let named = answer.number.as_deref().filter(|number| *number != asked.number);
    let wrong = named
        .map(|number| format!("it names order {number}"))
        .or_else(|| settings.and_then(|settings| disagreement(settings, &answer.owners)));
    let outcome = match wrong {
        None => answer.outcome,
        Some(why) => {
            let text = format!("the answer to {:?} of {} is somebody else's: {why}", job.kind, job.number);
            raise(inner, AlarmKind::WrongOwner, job.record.id, &text).await;
            Outcome::Unknown("the answer names another order or account".to_owned())
        }
    };
    let provider_time = answer.provider_time.or_else(|| reply.as_ref().and_then(HttpReply::date));
    if let Some(time) = provider_time {
        inner.births.compare(time, inner.clock.now());
    }
    let digest = reply.as_ref().map(|reply| Sha256::digest(&reply.body).into());
    let raw = reply.map(|reply| {
        let body = Secret::from_bytes(reply.body.to_vec());
        inner.sealer.seal(evidence_place(&job.record.id), &body, inner.entropy.as_ref())
    });
    let account_revision = asked.account.record.revisions.last().map(|newest| newest.number);
    (Told { provider_time, asked_at, account_revision, digest, ..job.told(outcome) }, raw)
}

/// A part of the engine ended by a panic, and goes on: says so, without keeping anybody waiting.
pub(crate) fn defect(inner: &Arc<Inner>, what: &'static str) {
    tracing::error!(what, "a part of the engine ended by a panic, and goes on");
    let owner = Arc::clone(inner);
    inner.commands.spawn(async move {
        raise(&owner, AlarmKind::Defect, what, "it ended by a panic, and goes on").await;
    });
}

/// Raises an alarm in a commit of its own.
pub(crate) async fn raise(inner: &Inner, kind: AlarmKind, subject: impl std::fmt::Display, text: &str) {
    let mut batch = Batch::default();
    inner.alarms.raise(&mut batch, kind, subject, text);
    if let Err(why) = inner.store.commit(batch).await {
        tracing::error!(?kind, text, %why, "an alarm could not be kept");
    }
}
