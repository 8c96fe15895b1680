//! One call to a provider: prepared off the arbiters, sent once, read, and compared with whom it belongs to.
//!
//! Silence is never failure: what is not proved is *unknown*.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use sha2::{Digest, Sha256};

use crate::Error;
use crate::channel::http::{HttpReply, HttpRequest, SendFailure, SendLimits};
use crate::channel::{Answer, Call, Context, Interpreted, OriginalApi, Outcome, Prepared, Step, Subject};
use crate::directory::LoadedAccount;
use crate::engine::Inner;
use crate::machine::{Input, Told};
use crate::model::{AccountState, AlarmKind, Attempt, CallKind, Door, Sealed};
use crate::secrets::Secret;
use crate::store::Batch;

use super::batch::evidence_place;
use super::dispatcher::Job;
use super::keeper::account_of;
use super::owners::disagreement;
use super::transaction::{Carried, TransactionMessage, What};

/// Bytes of an answer that are read.
const BODY_MAX: usize = 1024 * 1024;
/// Requests that one call may need.
const STEPS_MAX: usize = 4;
/// How much longer than its deadline a client may take to say so.
const GRACE: Duration = Duration::from_secs(1);

/// What an answer told, and the bytes that prove it.
pub(crate) struct Heard {
    pub answer: Answer,
    pub reply: Option<HttpReply>,
}

impl Heard {
    fn bare(outcome: Outcome) -> Self {
        Self { answer: Answer::bare(outcome), reply: None }
    }
}

/// Makes a call of a transaction and says what it told. Never fails: what goes wrong is an outcome.
pub(crate) async fn carry_out(inner: &Arc<Inner>, job: &Job) -> (Told, Option<Sealed>) {
    let Some(attempt) = job.attempt() else {
        return (job.told(Outcome::Unknown("the record has no such attempt".to_owned())), None);
    };
    let account = match account_of(inner, attempt.account_id).await {
        Ok(account) => account,
        // It was not even built, so nothing left.
        Err(why) => return (job.told(nothing_left(job.kind, why.to_string())), None),
    };
    if let Some(why) = may_not_send(inner, job, attempt, &account) {
        return (job.told(Outcome::NotExecuted(why)), None);
    }
    let call = Arc::new(call_of(job, attempt));
    let asked = Asked { call, number: job.number.to_string(), attempt: attempt.clone(), account };
    let heard = ask(inner, &asked).await;
    judge(inner, job, &asked, heard).await
}

/// Why something that creates may not leave now.
fn may_not_send(inner: &Inner, job: &Job, attempt: &Attempt, account: &LoadedAccount) -> Option<String> {
    if !job.sends() || job.resign {
        return None;
    }
    if let AccountState::Paused { reason, .. } = &account.record.state {
        return Some(format!("the account is paused: {reason}"));
    }
    let min_life = inner.adapters.rules(&account.record.adapter, &job.record.channel)?.min_life;
    let latest = attempt.intent.expires_at.before(min_life);
    (inner.clock.now().wall > latest).then(|| "it would expire too soon".to_owned())
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

/// Asks and hears. `Err` inside is an outcome already.
pub(crate) async fn ask(inner: &Arc<Inner>, asked: &Asked) -> Heard {
    let mut asked = asked.clone();
    let deadline = deadline_of(inner, &asked);
    let mut refreshed = false;
    let mut request = loop {
        match prepare(inner, &asked).await {
            Ok(Prepared::Done(answer)) => return Heard { answer, reply: None },
            Ok(Prepared::Send(request)) => break request,
            Ok(Prepared::NeedMaterial(request)) if !refreshed => {
                refreshed = true;
                match inner.materials.refresh(inner, &asked.account, request).await {
                    Ok(account) => asked.account = account,
                    Err(why) => return Heard::bare(nothing_left(asked.call.kind(), why)),
                }
            }
            Ok(Prepared::NeedMaterial(_)) => {
                return Heard::bare(nothing_left(asked.call.kind(), "material is missing still".to_owned()));
            }
            Ok(Prepared::Unsupported) => {
                return Heard::bare(nothing_left(asked.call.kind(), "the channel has no such operation".to_owned()));
            }
            Err(why) => return Heard::bare(nothing_left(asked.call.kind(), why)),
        }
    };
    let mut step = Step(0);
    for sent in 0..STEPS_MAX {
        let reply = match send(inner, request, deadline).await {
            Ok(reply) => reply,
            // Only of the first request does *not sent* prove that nothing was executed.
            Err(SendFailure::NotSent(why)) if sent == 0 => {
                return Heard::bare(nothing_left(asked.call.kind(), format!("not sent: {why}")));
            }
            Err(why) => return Heard::bare(Outcome::Unknown(why.to_string())),
        };
        match read(inner, &mut asked, step, &reply, &mut refreshed).await {
            Ok(Interpreted::Done(answer)) => return Heard { answer, reply: Some(reply) },
            Ok(Interpreted::Next { step: next, request: following }) => (step, request) = (next, following),
            Ok(Interpreted::Learned(_)) => {
                return Heard::bare(Outcome::Unknown("the answer was about material".to_owned()));
            }
            Ok(Interpreted::NeedMaterial(_)) => {
                return Heard::bare(Outcome::Unknown("material to verify the answer is missing".to_owned()));
            }
            Err(why) => return Heard::bare(Outcome::Unknown(why)),
        }
    }
    Heard::bare(Outcome::Unknown("the call needed too many requests".to_owned()))
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
            asked.account = inner.materials.refresh(inner, &asked.account, request).await?;
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
        | Call::PayerSession { code, .. }
        | Call::Authorize { code, .. } => Some(code),
        Call::Maintain => None,
    };
    let rules = code.and_then(|code| inner.adapters.rules(&asked.account.record.adapter, code));
    rules.map_or(Duration::from_secs(10), |rules| rules.call_deadline)
}

/// Sends one request, within its deadline by the engine's clock whatever the client does.
pub(crate) async fn send(inner: &Inner, request: HttpRequest, deadline: Duration) -> Result<HttpReply, SendFailure> {
    let limits = SendLimits { deadline, body_max: BODY_MAX };
    let sending = inner.http.send(request, limits);
    match select(sending, inner.clock.sleep(deadline + GRACE)).await {
        Either::Left((reply, _)) => reply,
        Either::Right(((), _)) => Err(SendFailure::Unknown("no answer within the deadline".to_owned())),
    }
}

/// Prepares on a thread that may block: signing takes its time.
async fn prepare(inner: &Arc<Inner>, asked: &Asked) -> Result<Prepared, String> {
    let (asked, owner) = (asked.clone(), Arc::clone(inner));
    off_arbiter(inner, move || with_context(&owner, &asked, |adapter, context| adapter.prepare(&asked.call, context)))
        .await
}

/// Reads a reply on a thread that may block.
pub(crate) async fn interpret(
    inner: &Arc<Inner>,
    asked: &Asked,
    step: Step,
    reply: &HttpReply,
) -> Result<Interpreted, String> {
    let (asked, owner, reply) = (asked.clone(), Arc::clone(inner), reply.clone());
    off_arbiter(inner, move || {
        with_context(&owner, &asked, |adapter, context| adapter.interpret(&asked.call, step, &reply, context))
    })
    .await
}

/// Runs an adapter's work where it may block, and turns a panic of it into a reason.
pub(crate) async fn off_arbiter<T, F>(inner: &Inner, work: F) -> Result<T, String>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, String> + Send + 'static,
{
    let caught = move |_: &dyn crate::store::Store| catch_unwind(AssertUnwindSafe(work));
    match inner.reader.run(caught).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err("the adapter panicked".to_owned()),
        Err(why) => Err(why.to_string()),
    }
}

pub(crate) fn with_context<T>(
    inner: &Inner,
    asked: &Asked,
    work: impl FnOnce(&dyn crate::channel::Adapter, &Context<'_>) -> T,
) -> Result<T, String> {
    let adapter = &asked.account.record.adapter;
    let adapter = inner.adapters.named(adapter).ok_or_else(|| format!("there is no adapter called {adapter}"))?;
    let view = asked.account.view(Some(asked.attempt.revision));
    let view = view.ok_or_else(|| format!("the account has no revision {}", asked.attempt.revision))?;
    // A call about the account itself has no number.
    let subject =
        (!asked.number.is_empty()).then(|| Subject { number: &asked.number, numbered_at: asked.attempt.numbered_at });
    let context = Context {
        now: inner.clock.now().wall,
        entropy: inner.entropy.as_ref(),
        account: view,
        material: &asked.account.material,
        subject,
    };
    Ok(work(adapter.as_ref(), &context))
}

/// Compares an answer with what was asked; what disagrees is unknown, and an alarm.
async fn judge(inner: &Arc<Inner>, job: &Job, asked: &Asked, heard: Heard) -> (Told, Option<Sealed>) {
    let Heard { answer, reply } = heard;
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
        inner.births.compare(time, inner.clock.now().wall);
    }
    let digest = reply.as_ref().map(|reply| Sha256::digest(&reply.body).into());
    let raw = reply.map(|reply| {
        let body = Secret::from_bytes(reply.body.to_vec());
        inner.sealer.seal(evidence_place(&job.record.id), &body, inner.entropy.as_ref())
    });
    (Told { provider_time, digest, ..job.told(outcome) }, raw)
}

/// Raises an alarm in a commit of its own.
pub(crate) async fn raise(inner: &Inner, kind: AlarmKind, subject: impl std::fmt::Display, text: &str) {
    let mut batch = Batch::default();
    inner.alarms.raise(&mut batch, kind, subject, text);
    if let Err(why) = inner.store.commit(batch).await {
        tracing::error!(?kind, text, %why, "an alarm could not be kept");
    }
}

/// Brings what a call told to its record, through the router by id. A busy record is tried again: evidence is never
/// dropped while the engine runs.
pub(crate) async fn bring_home(inner: &Arc<Inner>, job: &Job, told: Told, raw: Option<Sealed>) {
    let mut wait = Duration::from_millis(5);
    loop {
        let carried = Carried { raw: raw.clone(), answers_call: true, ..Carried::default() };
        let (message, answer) =
            TransactionMessage::new(What::Input(Box::new((Input::Told(told.clone()), carried))), None);
        let Some(system) = inner.system() else { return };
        system.transactions().send(job.record.id, message);
        match answer.await {
            Ok(Err(Error::Busy)) => {}
            Ok(Ok(_)) | Err(_) => return,
            // The intent is durable: what is not taken now is asked for again when it is due.
            Ok(Err(why)) => {
                return tracing::warn!(number = %job.number, %why, "what a call told could not be kept");
            }
        }
        // In real time: a busy record is a matter of milliseconds, whatever time it is.
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(2));
    }
}

/// What signing a create here came to. `None`: the adapter wants to send something.
pub(crate) async fn sign(inner: &Arc<Inner>, asked: &Asked) -> Option<Outcome> {
    match prepare(inner, asked).await {
        Ok(Prepared::Done(answer)) => Some(answer.outcome),
        Ok(Prepared::Send(_) | Prepared::NeedMaterial(_)) => None,
        Ok(Prepared::Unsupported) => Some(Outcome::NotExecuted("the channel has no such operation".to_owned())),
        Err(why) => Some(Outcome::NotExecuted(why)),
    }
}
