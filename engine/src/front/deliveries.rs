//! Deliveries: send again, resume; and the test button of subscriptions.

use std::sync::Arc;

use crate::actors::delivering;
use crate::api::{Idempotency, ResendOutcome, Scope, TestSend};
use crate::machine::delivery::DeliveryInput;
use crate::model::{Delivery, DeliveryId, EventKind, SubscriptionId, SubscriptionState};
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
    /// [`Error::NotFound`]; [`Error::Conflict`] when it is not exhausted; those of every command.
    pub async fn resume_delivery(&self, scope: Scope, id: DeliveryId) -> Result<Delivery, Error> {
        let inner = Arc::clone(self.inner());
        self.detached(async move {
            let read = own_delivery(&inner, scope, id).await?;
            delivering::change(&inner, read, DeliveryInput::Resume, None).await
        })
        .await
    }

    /// Sends an example of an event to a subscription's target, over the same path as live deliveries, and shows what
    /// went over the wire. Keeps nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] when it is deleted or its function is not registered; those of every
    /// command.
    pub async fn test_subscription(
        &self,
        scope: Scope,
        id: SubscriptionId,
        kind: EventKind,
    ) -> Result<TestSend, Error> {
        let subscription = self.subscription(scope, id).await?;
        if subscription.state == SubscriptionState::Deleted {
            return Err(Error::Conflict("the subscription is deleted".to_owned()));
        }
        let inner = Arc::clone(self.inner());
        self.detached(async move {
            let (event, transaction) = (inner.ids.next(), inner.ids.next());
            let now = inner.clock.now().wall;
            let mut event = payload::test_event(scope.app_id, scope.mode, event, transaction, now);
            event.kind = kind;
            match delivering::send_event(&inner, event, &subscription).await? {
                Sent::Ended(transcript) => Ok(TestSend { success: transcript.result.is_success(), transcript }),
                Sent::FunctionMissing => Err(Error::Conflict("nobody registered the function".to_owned())),
            }
        })
        .await
    }
}

async fn own_delivery(
    inner: &Arc<crate::engine::Inner>,
    scope: Scope,
    id: DeliveryId,
) -> Result<(Delivery, crate::store::Seq), Error> {
    let read = delivering::read_delivery(inner, id).await?;
    let own = read.0.app_id == scope.app_id && read.0.mode == scope.mode;
    if own { Ok(read) } else { Err(Error::NotFound("delivery")) }
}
