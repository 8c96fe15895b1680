//! Deliveries: send again, resume; and the test button of subscriptions.

use std::sync::Arc;

use super::Decided;
use crate::actors::delivering;
use crate::api::{Idempotency, ResendOutcome, Scope, TestSend};
use crate::engine::Inner;
use crate::machine::delivery::{DeliveryInput, DeliveryRefusal, step};
use crate::model::{Delivery, DeliveryId, EventKind, SubscriptionId, SubscriptionState};
use crate::store::{Batch, Seq, keys};
use crate::webhook::{Sent, payload};
use crate::{Engine, Error};

impl Engine {
    /// Makes one try now, outside the schedule, whatever the delivery's state. Status 200 makes it delivered; anything
    /// else leaves it as it is.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] when the subscription was deleted or its function is not registered;
    /// [`Error::IdempotencyMismatch`]; [`Error::IdempotencyInProgress`] while another request under the key is making
    /// its try; those of every command.
    pub async fn resend_delivery(
        &self,
        scope: Scope,
        id: DeliveryId,
        idem: Option<Idempotency>,
    ) -> Result<ResendOutcome, Error> {
        let inner = Arc::clone(self.inner());
        self.detached(async move {
            inner.may_wait()?;
            own_delivery(&inner, scope, id).await?;
            let delivery = delivering::resend(&inner, id, idem.as_ref()).await?;
            let newest = delivery.tries.iter().rev().find(|it| it.resend).cloned();
            let attempt = newest.ok_or_else(|| Error::Internal(format!("the try of delivery {id} was not kept")))?;
            Ok(ResendOutcome { delivery, attempt })
        })
        .await
    }

    /// Starts the schedule of an exhausted delivery anew.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] when it is not exhausted; [`Error::IdempotencyMismatch`]; those of every
    /// command.
    pub async fn resume_delivery(
        &self,
        scope: Scope,
        id: DeliveryId,
        idem: Option<Idempotency>,
    ) -> Result<Delivery, Error> {
        let inner = Arc::clone(self.inner());
        self.detached(async move { inner.settle(|| inner.decide_resume(scope, id, idem.as_ref())).await }).await
    }

    /// Sends an example of an event to a subscription's target, over the same path as live deliveries, and shows what
    /// went over the wire. Keeps nothing but the idempotency key, which is written before anything is sent: a repeat
    /// sends nothing, and has no answer to show.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] when it is deleted, its function is not registered, or a test was begun
    /// under the key before; [`Error::IdempotencyMismatch`]; those of every command.
    pub async fn test_subscription(
        &self,
        scope: Scope,
        id: SubscriptionId,
        kind: EventKind,
        idem: Option<Idempotency>,
    ) -> Result<TestSend, Error> {
        let subscription = self.subscription(scope, id).await?;
        if subscription.state == SubscriptionState::Deleted {
            return Err(Error::Conflict("the subscription is deleted".to_owned()));
        }
        let inner = Arc::clone(self.inner());
        self.detached(async move {
            inner.may_wait()?;
            if inner.begun_before(idem.as_ref(), "test send", id.0).await? {
                let why = "a test send was begun under this idempotency key: another one needs another key";
                return Err(Error::Conflict(why.to_owned()));
            }
            let (event, transaction) = (inner.ids.next(), inner.ids.next());
            let now = inner.clock.now().wall;
            let mut event = payload::test_event(scope.app_id, scope.mode, event, transaction, now);
            event.kind = kind;
            match delivering::send_event(&inner, event, &subscription).await? {
                Sent::Ended(transcript) => Ok(TestSend { success: transcript.result.is_success(), transcript }),
                Sent::FunctionMissing => Err(Error::Conflict("nobody registered the function".to_owned())),
                Sent::KeyMissing => Err(Error::Conflict(delivering::KEY_MISSING.to_owned())),
            }
        })
        .await
    }
}

impl Inner {
    async fn decide_resume(
        &self,
        scope: Scope,
        id: DeliveryId,
        idem: Option<&Idempotency>,
    ) -> Result<Decided<Delivery>, Error> {
        let (before, seen) = own_delivery(self, scope, id).await?;
        let Some(claim) = self.claim(idem).await?.about(id.0)? else { return Ok(Decided::Already(before)) };
        let now = self.clock.now().wall;
        let after = match step(&before, DeliveryInput::Resume, now, &self.settings.schedule) {
            Ok(after) => after,
            Err(DeliveryRefusal::Unchanged) => return Ok(claim.alone("delivery", id.0, now, before)),
            Err(why @ DeliveryRefusal::NotExhausted) => return Err(Error::Conflict(why.to_string())),
        };
        let mut batch = Batch::default();
        batch.watch(keys::delivery(id), seen).put_delivery(Some(&before), &after);
        claim.join(&mut batch, "delivery", id.0, now);
        Ok(Decided::Write(batch, after))
    }
}

async fn own_delivery(inner: &Inner, scope: Scope, id: DeliveryId) -> Result<(Delivery, Seq), Error> {
    let read = delivering::read_delivery(inner, id).await?;
    let own = read.0.app_id == scope.app_id && read.0.mode == scope.mode;
    if own { Ok(read) } else { Err(Error::NotFound("delivery")) }
}
