//! One try of a delivery: read everything, send, keep the result. No write precedes a try, so after a crash in between
//! the same try is made again.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::FutureExt;

use crate::Error;
use crate::api::Idempotency;
use crate::directory::opened;
use crate::engine::Inner;
use crate::front::Claimed;
use crate::machine::delivery::{DeliveryInput, DeliveryRefusal, step};
use crate::model::{
    AlarmKind, App, Delivery, DeliveryId, DeliveryMode, DeliveryState, Event, Subscription, SubscriptionId,
    SubscriptionState, Timestamp,
};
use crate::secrets::{Place, Sealer};
use crate::store::records::read_record;
use crate::store::{Batch, CommitError, Health, Seq, Store, keys};
use crate::webhook::{Outgoing, Sent, Transcript};

use super::subscription::SubscriptionMessage;

/// How often a result is computed again because its row changed.
const RETRIES: usize = 16;

/// A delivery and the commit as of which it is the newest.
type Read = (Delivery, Seq);

/// Makes the try that is due, says to the subscription's actor that it has ended, whatever came of it, and goes on with the
/// one that the actor gives in its place.
pub(crate) async fn try_due(inner: &Arc<Inner>, subscription: SubscriptionId, first: DeliveryId) {
    let mut next = Some(first);
    while let Some(id) = next {
        // A panic in it still frees its place in the window.
        match AssertUnwindSafe(attempt_due(inner, id)).catch_unwind().await {
            Ok(Ok(())) => {}
            Ok(Err(why)) => tracing::warn!(delivery = %id, %why, "a try could not be made or kept; it is due still"),
            Err(_) => tracing::error!(delivery = %id, "a try ended by a panic"),
        }
        next = say_ended(inner, subscription, id).await;
    }
}

async fn say_ended(inner: &Arc<Inner>, subscription: SubscriptionId, id: DeliveryId) -> Option<DeliveryId> {
    let mut wait = Duration::from_millis(2);
    loop {
        let (reply, answer) = tokio::sync::oneshot::channel();
        inner.system()?.subscriptions().send(subscription, SubscriptionMessage::Ended(id, reply));
        match answer.await {
            Ok(Err(Error::Busy)) => tokio::time::sleep(wait).await,
            Ok(Ok(next)) => return next,
            Ok(Err(_)) | Err(_) => return None,
        }
        wait = (wait * 2).min(Duration::from_secs(1));
    }
}

async fn attempt_due(inner: &Arc<Inner>, id: DeliveryId) -> Result<(), Error> {
    for _ in 0..RETRIES {
        if inner.store.health() != Health::Open || attempt_once(inner, id).await? {
            return Ok(());
        }
    }
    Err(Error::Busy)
}

/// As [`attempt_due`]; false when rows changed meanwhile and nothing was sent or kept.
async fn attempt_once(inner: &Arc<Inner>, id: DeliveryId) -> Result<bool, Error> {
    let (sealer, now) = (Arc::clone(&inner.sealer), inner.clock.now().wall);
    let material = inner.reader.short(move |store| read_material(store, &sealer, id, now)).await??;
    let Some(Material { read, subscription, seen, event, opened }) = material else { return Ok(true) };
    let instead = match (subscription.state, subscription.delivery) {
        (SubscriptionState::Enabled, DeliveryMode::Events) => None,
        (SubscriptionState::Deleted, _) => Some(DeliveryInput::Cancel),
        (SubscriptionState::Disabled, _) | (_, DeliveryMode::TestSendsOnly) => Some(DeliveryInput::Hold),
    };
    if let Some(input) = instead {
        return keep_back(inner, &read, (&subscription, seen), input, Batch::default()).await;
    }
    let mut batch = Batch::default();
    let (kind, text) = match send_opened(inner, event?, &subscription, opened?).await? {
        Sent::Ended(transcript) => return keep_try(inner, read, &transcript, false, None).await.map(|_| true),
        Sent::FunctionMissing => (AlarmKind::FunctionMissing, missing_text(&subscription)),
        Sent::KeyMissing if watch_keyless(inner, &mut batch, &subscription).await? => {
            (AlarmKind::KeyMissing, KEY_MISSING.to_owned())
        }
        Sent::KeyMissing => return Ok(false),
    };
    let told = inner.missing_functions.first(subscription.id);
    if told {
        inner.alarms.raise(&mut batch, kind, subscription.id, &text);
    }
    let kept = keep_back(inner, &read, (&subscription, seen), DeliveryInput::Hold, batch).await;
    if told && kept != Ok(true) {
        inner.missing_functions.untold(subscription.id);
    }
    kept
}

/// Has the batch hold only while the app has no master key; false when it has one again, whose commit released what was
/// held before.
async fn watch_keyless(inner: &Inner, batch: &mut Batch, subscription: &Subscription) -> Result<bool, Error> {
    let (app, seen) = inner.reader.record::<App>(keys::app(subscription.app_id)).await?;
    batch.watch(keys::app(subscription.app_id), seen);
    Ok(app.is_some_and(|app| !app.has_master_key(subscription.mode)))
}

/// Everything that a try is made from, as it is when the try begins.
struct Material {
    read: Read,
    subscription: Subscription,
    /// The commit as of which the subscription is the newest.
    seen: Seq,
    event: Result<Event, Error>,
    opened: Result<Opened, Error>,
}

/// Reads it all in one go. `None`: nothing is due.
///
/// # Errors
/// [`Error::NotFound`]; the store cannot answer.
fn read_material(
    store: &dyn Store,
    sealer: &Sealer,
    id: DeliveryId,
    now: Timestamp,
) -> Result<Option<Material>, Error> {
    let (delivery, delivery_seen) = read_record::<Delivery>(store, &keys::delivery(id))?;
    let delivery = delivery.ok_or(Error::NotFound("delivery"))?;
    match delivery.state {
        DeliveryState::Due { at } if at <= now => {}
        DeliveryState::Due { .. }
        | DeliveryState::Held { .. }
        | DeliveryState::Delivered { .. }
        | DeliveryState::Exhausted
        | DeliveryState::Cancelled => return Ok(None),
    }
    let (subscription, seen) = read_record::<Subscription>(store, &keys::subscription(delivery.subscription_id))?;
    let subscription = subscription.ok_or(Error::NotFound("subscription"))?;
    let event = read_event(store, &delivery);
    let opened = open_all(sealer, &subscription);
    Ok(Some(Material { read: (delivery, delivery_seen), subscription, seen, event, opened }))
}

fn read_event(store: &dyn Store, delivery: &Delivery) -> Result<Event, Error> {
    let (event, _) = read_record::<Event>(store, &keys::event(Seq(delivery.event_at.0), delivery.event_at.1))?;
    event.ok_or_else(|| Error::Internal(format!("event {} is missing", delivery.event_id)))
}

/// Keeps in `batch`, and with all that it holds, that a delivery is not tried because its subscription does not want it,
/// as that stood at `seen`. Returns whether it is kept: when either has changed meanwhile, it is to be decided again.
///
/// # Errors
/// The store cannot answer or take it.
pub(super) async fn keep_back(
    inner: &Arc<Inner>,
    read: &Read,
    (subscription, seen): (&Subscription, Seq),
    input: DeliveryInput,
    mut batch: Batch,
) -> Result<bool, Error> {
    let now = inner.clock.now().wall;
    let Ok(after) = step(&read.0, input, now, &inner.settings.schedule) else { return Ok(true) };
    batch.watch(keys::subscription(subscription.id), seen);
    batch.watch(keys::delivery(after.id), read.1).put_delivery(Some(&read.0), &after);
    match inner.store.commit(batch).await {
        Ok(_) => Ok(true),
        Err(CommitError::Conflict(_) | CommitError::Stale) => Ok(false),
        Err(why) => Err(why.into()),
    }
}

/// Why a payment cannot be told, for people.
pub(crate) const KEY_MISSING: &str =
    "the app has no master key of this mode to sign payments with: deliveries are held until one is issued";

fn missing_text(subscription: &Subscription) -> String {
    let name = match &subscription.target {
        crate::model::Target::Function(name) | crate::model::Target::Url(name) => name,
    };
    format!("nobody registered the function {name}: deliveries of the subscription are held")
}

/// Makes one try outside the schedule, in whatever state the delivery is, and returns it with the try in it.
///
/// # Errors
/// [`Error::Conflict`] when nobody registered the function, or no key signs it; [`Error::IdempotencyMismatch`],
/// [`Error::IdempotencyInProgress`]; the store cannot answer or take it.
pub(crate) async fn resend(inner: &Arc<Inner>, id: DeliveryId, idem: Option<&Idempotency>) -> Result<Delivery, Error> {
    // The key is noted only after the try: until then it is held here, so that two at once do not both send.
    let _working = inner.keys_in_progress.begin(idem)?;
    match inner.claim(idem).await? {
        Claimed::Before(before) if before == id.0 => return Ok(read_delivery(inner, id).await?.0),
        Claimed::Before(_) => return Err(Error::IdempotencyMismatch),
        Claimed::New(_) => {}
    }
    let read = read_delivery(inner, id).await?;
    let (subscription, _) = read_subscription(inner, read.0.subscription_id).await?;
    if subscription.state == SubscriptionState::Deleted {
        return Err(Error::Conflict("the subscription was deleted".to_owned()));
    }
    let transcript = send(inner, &read.0, &subscription).await?;
    keep_try(inner, read, &transcript, true, idem).await
}

async fn keep_try(
    inner: &Arc<Inner>,
    read: Read,
    transcript: &Transcript,
    resend: bool,
    idem: Option<&Idempotency>,
) -> Result<Delivery, Error> {
    inner.metrics.tried(&transcript.result);
    let input = DeliveryInput::TryEnded {
        resend,
        started_at: transcript.started_at,
        ended_at: transcript.ended_at,
        result: transcript.result.clone(),
    };
    change(inner, read, input, idem).await
}

/// Steps a delivery and keeps it; when its row changed meanwhile, reads it and steps again: a try did happen.
///
/// # Errors
/// The store cannot answer or take it; [`Error::Conflict`] when the machine refuses.
pub(crate) async fn change(
    inner: &Arc<Inner>,
    mut read: Read,
    input: DeliveryInput,
    idem: Option<&Idempotency>,
) -> Result<Delivery, Error> {
    let mut wait = Duration::from_millis(5);
    for _ in 0..RETRIES {
        let now = inner.clock.now().wall;
        let after = match step(&read.0, input.clone(), now, &inner.settings.schedule) {
            Ok(after) => after,
            Err(DeliveryRefusal::Unchanged) => return Ok(read.0),
            Err(why @ DeliveryRefusal::NotExhausted) => return Err(Error::Conflict(why.to_string())),
        };
        let mut batch = Batch::default();
        batch.watch(keys::delivery(after.id), read.1).put_delivery(Some(&read.0), &after);
        // A key that somebody else claimed meanwhile must not lose the try: it is kept without the key then.
        if let Ok(Claimed::New(claim)) = inner.claim(idem).await {
            claim.join(&mut batch, "delivery", after.id.0, now);
        }
        match inner.store.commit(batch).await {
            Ok(_) => {
                inner.metrics.commits.add(1);
                return Ok(after);
            }
            Err(CommitError::Conflict(_) | CommitError::Stale) => read = read_delivery(inner, after.id).await?,
            Err(CommitError::Busy) => {
                tokio::time::sleep(wait).await;
                wait *= 2;
            }
            Err(why) => return Err(why.into()),
        }
    }
    Err(Error::Busy)
}

/// One try over the one path that everything takes.
///
/// # Errors
/// [`Error::Conflict`] when no try can be made; those of [`send_event`].
async fn send(inner: &Arc<Inner>, delivery: &Delivery, subscription: &Subscription) -> Result<Transcript, Error> {
    let of = delivery.clone();
    let event = inner.reader.short(move |store| read_event(store, &of)).await??;
    match send_event(inner, event, subscription).await? {
        Sent::Ended(transcript) => Ok(transcript),
        Sent::FunctionMissing => Err(Error::Conflict(missing_text(subscription))),
        Sent::KeyMissing => Err(Error::Conflict(KEY_MISSING.to_owned())),
    }
}

/// Sends an event to a subscription's target, with its secrets opened for this once.
///
/// # Errors
/// The store cannot answer, or is fenced; [`Error::Internal`] when a secret does not open.
pub(crate) async fn send_event(inner: &Arc<Inner>, event: Event, subscription: &Subscription) -> Result<Sent, Error> {
    // At most a few short texts: no work for another thread.
    let opened = open_all(&inner.sealer, subscription)?;
    send_opened(inner, event, subscription, opened).await
}

async fn send_opened(
    inner: &Arc<Inner>,
    event: Event,
    subscription: &Subscription,
    (signing_secret, headers): Opened,
) -> Result<Sent, Error> {
    let app = inner.directory.app(subscription.app_id).await?.ok_or(Error::NotFound("app"))?;
    let master_key = app.master_key(subscription.mode).cloned();
    // Just before it leaves: what came of it could not be kept.
    inner.may_send()?;
    let outgoing = Outgoing { target: subscription.target.clone(), event, headers, signing_secret, master_key };
    Ok(inner.sender.send(outgoing).await)
}

type Opened = (crate::secrets::Secret, Vec<(String, crate::secrets::Secret)>);

fn open_all(sealer: &Sealer, subscription: &Subscription) -> Result<Opened, Error> {
    let id = subscription.id;
    let signing = opened(sealer, &Place::subscription_secret(id), &subscription.secret)?;
    let header = |header: &crate::model::Header| {
        let place = Place::subscription_header(id, &header.name);
        Ok((header.name.clone(), opened(sealer, &place, &header.value)?))
    };
    Ok((signing, subscription.headers.iter().map(header).collect::<Result<_, Error>>()?))
}

/// A delivery as it is now.
///
/// # Errors
/// [`Error::NotFound`]; the store cannot answer.
pub(crate) async fn read_delivery(inner: &Inner, id: DeliveryId) -> Result<Read, Error> {
    let (delivery, seen) = inner.reader.record::<Delivery>(keys::delivery(id)).await?;
    delivery.map(|delivery| (delivery, seen)).ok_or(Error::NotFound("delivery"))
}

/// A subscription and the commit as of which it is the newest.
///
/// # Errors
/// As [`read_delivery`].
pub(crate) async fn read_subscription(inner: &Inner, id: SubscriptionId) -> Result<(Subscription, Seq), Error> {
    let (subscription, seen) = inner.reader.record::<Subscription>(keys::subscription(id)).await?;
    subscription.map(|subscription| (subscription, seen)).ok_or(Error::NotFound("subscription"))
}
