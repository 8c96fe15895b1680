//! Webhook subscriptions: targets, headers and secrets of a merchant.

use std::sync::Arc;

use super::{Claimed, Decided, check_optional_text};
use crate::actors::sweeping;
use crate::api::{
    CreateSubscription, CreatedSubscription, Idempotency, Page, PageRequest, Scope, TargetRequest, UpdateSubscription,
};
use crate::engine::Inner;
use crate::model::{EventKind, Header, Mode, Subscription, SubscriptionId, SubscriptionState, Target, Timestamp};
use crate::secrets::{Place, Secret};
use crate::store::{Batch, Seq, keys};
use crate::webhook::{headers, signature};
use crate::{Engine, Error, query};

/// Subscriptions of an app and mode that are not deleted.
const SUBSCRIPTIONS_MAX: usize = 64;
const DESCRIPTION_MAX: usize = 200;

impl Engine {
    /// Makes a subscription in the mode of `scope`. A function need not be registered: until it is, its deliveries are
    /// held.
    ///
    /// # Errors
    /// [`Error::Invalid`]; [`Error::LimitReached`] at 64 subscriptions of an app and mode;
    /// [`Error::IdempotencyMismatch`], and those of every command.
    pub async fn create_subscription(
        &self,
        scope: Scope,
        request: CreateSubscription,
        idem: Option<Idempotency>,
    ) -> Result<CreatedSubscription, Error> {
        let inner = Arc::clone(self.inner());
        self.detached(async move { inner.settle(|| inner.decide_subscription(scope, &request, idem.as_ref())).await })
            .await
    }

    /// A subscription; a deleted one too.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for one of another app or mode, and those of every read.
    pub async fn subscription(&self, scope: Scope, id: SubscriptionId) -> Result<Subscription, Error> {
        self.inner().subscription_row(scope, id).await.map(|(subscription, _)| subscription)
    }

    /// Subscriptions that are not deleted.
    ///
    /// # Errors
    /// Those of every read.
    pub async fn subscriptions(&self, scope: Scope, page: PageRequest) -> Result<Page<Subscription>, Error> {
        self.inner().reader.list(Some(scope.app_id), move |store| query::subscriptions(store, scope, page)).await?
    }

    /// Changes a subscription. What it says is read at each try, so it holds for deliveries under way too.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`]; [`Error::Conflict`] when it is deleted; those of every command.
    pub async fn update_subscription(
        &self,
        scope: Scope,
        id: SubscriptionId,
        request: UpdateSubscription,
    ) -> Result<Subscription, Error> {
        let inner = Arc::clone(self.inner());
        self.detached(async move { inner.settle(|| inner.decide_subscription_update(scope, id, &request)).await }).await
    }

    /// Deletes a subscription: it gets nothing any more, and its deliveries are cancelled. Deleting it again changes
    /// nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of every command.
    pub async fn delete_subscription(&self, scope: Scope, id: SubscriptionId) -> Result<Subscription, Error> {
        let inner = Arc::clone(self.inner());
        self.detached(async move { inner.settle(|| inner.decide_subscription_delete(scope, id)).await }).await
    }
}

impl Inner {
    async fn subscription_row(&self, scope: Scope, id: SubscriptionId) -> Result<(Subscription, Seq), Error> {
        let (subscription, seen) = self.reader.record::<Subscription>(keys::subscription(id)).await?;
        let own = |it: &Subscription| it.app_id == scope.app_id && it.mode == scope.mode;
        Ok((subscription.filter(own).ok_or(Error::NotFound("subscription"))?, seen))
    }

    async fn decide_subscription(
        &self,
        scope: Scope,
        request: &CreateSubscription,
        idem: Option<&Idempotency>,
    ) -> Result<Decided<CreatedSubscription>, Error> {
        let claim = match self.claim(idem).await? {
            Claimed::Before(id) => {
                let (subscription, _) = self.subscription_row(scope, SubscriptionId(id)).await?;
                return Ok(Decided::Already(CreatedSubscription { subscription, secret: None, first: false }));
            }
            Claimed::New(claim) => claim,
        };
        check_optional_text("description", &request.description, DESCRIPTION_MAX)?;
        let secret = match &request.secret {
            None => signature::new_secret(self.entropy.as_ref()),
            Some(text) => Secret::from_text(text),
        };
        signature::check_secret(&secret).map_err(|why| Error::field("secret", why.to_string()))?;
        let (id, now) = (self.ids.next(), self.clock.now().wall);
        let subscription = Subscription {
            id,
            app_id: scope.app_id,
            mode: scope.mode,
            version: 1,
            target: self.target(&request.target, scope.mode)?,
            headers: self.sealed_headers(id, &request.headers)?,
            event_types: event_types(&request.event_types)?,
            delivery: request.delivery,
            state: SubscriptionState::Enabled,
            secret: self.sealer.seal(Place::subscription_secret(id).context(), &secret, self.entropy.as_ref()),
            description: request.description.clone(),
            created_at: now,
        };
        let mut batch = Batch::default();
        self.take_turn(&mut batch, "subscriptions", scope).await?;
        let used = self
            .reader
            .list(Some(scope.app_id), move |store| query::subscription_count(store, scope, SUBSCRIPTIONS_MAX))
            .await??;
        if used >= SUBSCRIPTIONS_MAX {
            return Err(Error::LimitReached(format!("an app has at most {SUBSCRIPTIONS_MAX} subscriptions a mode")));
        }
        batch.put_subscription(None, &subscription);
        claim.join(&mut batch, "subscription", id.0, now);
        Ok(Decided::Write(batch, CreatedSubscription { subscription, secret: Some(secret), first: true }))
    }

    async fn decide_subscription_update(
        &self,
        scope: Scope,
        id: SubscriptionId,
        request: &UpdateSubscription,
    ) -> Result<Decided<Subscription>, Error> {
        let (before, seen) = self.subscription_row(scope, id).await?;
        if before.state == SubscriptionState::Deleted {
            return Err(Error::Conflict("the subscription is deleted".to_owned()));
        }
        if request.state == Some(SubscriptionState::Deleted) {
            return Err(Error::field("state", "enabled or disabled; deleting is an operation of its own"));
        }
        let mut changed = before.clone();
        if let Some(target) = &request.target {
            changed.target = self.target(target, scope.mode)?;
        }
        if let Some(headers) = &request.headers {
            changed.headers = self.sealed_headers(id, headers)?;
        }
        if let Some(kinds) = &request.event_types {
            changed.event_types = event_types(kinds)?;
        }
        if let Some(description) = &request.description {
            check_optional_text("description", description, DESCRIPTION_MAX)?;
            changed.description.clone_from(description);
        }
        changed.delivery = request.delivery.unwrap_or(changed.delivery);
        changed.state = request.state.unwrap_or(changed.state);
        Ok(write_subscription(before, changed, seen, self.clock.now().wall))
    }

    async fn decide_subscription_delete(
        &self,
        scope: Scope,
        id: SubscriptionId,
    ) -> Result<Decided<Subscription>, Error> {
        let (before, seen) = self.subscription_row(scope, id).await?;
        let changed = Subscription { state: SubscriptionState::Deleted, ..before.clone() };
        Ok(write_subscription(before, changed, seen, self.clock.now().wall))
    }

    fn target(&self, request: &TargetRequest, mode: Mode) -> Result<Target, Error> {
        match request {
            TargetRequest::Url(text) => {
                let url = self.settings.guard.check_target(text, mode);
                url.map(|url| Target::Url(url.into())).map_err(|why| Error::field("target", why.to_string()))
            }
            TargetRequest::Function(name) => {
                let shaped = (1..=100).contains(&name.len())
                    && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
                if !shaped {
                    return Err(Error::field("target", "a function's name is 1 to 100 letters, digits, '.', '-', '_'"));
                }
                Ok(Target::Function(name.clone()))
            }
        }
    }

    fn sealed_headers(&self, id: SubscriptionId, given: &[(String, String)]) -> Result<Vec<Header>, Error> {
        headers::check(given).map_err(|why| Error::field("headers", why.to_string()))?;
        let sealed = given.iter().map(|(name, value)| {
            let place = Place::subscription_header(id, name);
            let value = self.sealer.seal(place.context(), &Secret::from_text(value), self.entropy.as_ref());
            Header { name: name.clone(), value }
        });
        Ok(sealed.collect())
    }
}

fn write_subscription(
    before: Subscription,
    mut changed: Subscription,
    seen: Seq,
    now: Timestamp,
) -> Decided<Subscription> {
    if changed == before {
        return Decided::Already(before);
    }
    changed.version += 1;
    let mut batch = Batch::default();
    batch.watch(keys::subscription(before.id), seen).put_subscription(Some(&before), &changed);
    let decides = |it: &Subscription| (it.state, it.delivery, it.target.clone());
    if decides(&changed) != decides(&before) {
        sweeping::follow(&mut batch, before.id, now);
    }
    Decided::Write(batch, changed)
}

/// Sorted and each once; `payment.succeeded` when none is named.
fn event_types(given: &[EventKind]) -> Result<Vec<EventKind>, Error> {
    if let Some(reserved) = given.iter().find(|kind| !EventKind::ALL.contains(kind)) {
        return Err(Error::field("event_types", format!("{} is not published yet", reserved.name())));
    }
    let mut kinds = if given.is_empty() { vec![EventKind::PaymentSucceeded] } else { given.to_vec() };
    kinds.sort_unstable();
    kinds.dedup();
    Ok(kinds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::DeliveryMode;
    use crate::store::Table;
    use crate::store::samples::sample_subscription;

    #[test]
    fn deliveries_follow_only_what_decides_about_them() {
        // Its deliveries are gone through, which may be very many, when a change decides where they go, and else not.
        let before = sample_subscription;
        let table = [
            ("description", Subscription { description: "other".to_owned(), ..before() }, false),
            ("headers", Subscription { headers: Vec::new(), ..before() }, false),
            ("event types", Subscription { event_types: EventKind::ALL.to_vec(), ..before() }, false),
            ("state", Subscription { state: SubscriptionState::Disabled, ..before() }, true),
            ("delivery", Subscription { delivery: DeliveryMode::TestSendsOnly, ..before() }, true),
            ("target", Subscription { target: Target::Function("other".to_owned()), ..before() }, true),
        ];
        for (what, changed, followed) in table {
            let decided = write_subscription(before(), changed, Seq(1), Timestamp::from_millis(1));
            let Decided::Write(batch, _) = decided else { panic!("{what}: it is no change") };
            assert_eq!(batch.puts.iter().any(|put| put.key.table == Table::Due), followed, "{what}");
        }
    }
}
