//! Apps: made, read and changed by the operator.

use std::sync::Arc;

use super::{Claimed, Decided, check_text};
use crate::api::{CreateApp, CreatedApp, Idempotency, Issued, Page, PageRequest, UpdateApp};
use crate::engine::Inner;
use crate::model::{App, AppId, KeyKind, Mode};
use crate::store::{Batch, Seq, keys};
use crate::{Engine, Error, query};

const NAME_MAX: usize = 100;
/// What a new app gets in each mode. Session tokens are issued to somebody, later.
const FIRST_KEYS: [KeyKind; 3] = [KeyKind::Client, KeyKind::Api, KeyKind::Master];

impl Engine {
    /// Makes an app with its first keys: client, API and master key of each mode.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::IdempotencyMismatch`], and those of every command.
    pub async fn create_app(&self, request: CreateApp, idem: Option<Idempotency>) -> Result<CreatedApp, Error> {
        let inner = Arc::clone(self.inner());
        self.detached(async move {
            check_text("name", &request.name, NAME_MAX)?;
            inner.settle(|| inner.decide_app(&request, idem.as_ref())).await
        })
        .await
    }

    /// An app.
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of every read.
    pub async fn app(&self, id: AppId) -> Result<App, Error> {
        self.inner().app_row(id).await.map(|(app, _)| app)
    }

    /// Apps, in the order they were made or the other way round.
    ///
    /// # Errors
    /// Those of every read.
    pub async fn apps(&self, page: PageRequest) -> Result<Page<App>, Error> {
        self.inner().reader.list(None, move |store| query::apps(store, page)).await?
    }

    /// Changes an app. A disabled one is refused at every door; what is under way goes on.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`], and those of every command.
    pub async fn update_app(&self, id: AppId, request: UpdateApp) -> Result<App, Error> {
        let inner = Arc::clone(self.inner());
        self.detached(async move {
            if let Some(name) = &request.name {
                check_text("name", name, NAME_MAX)?;
            }
            inner.settle(|| inner.decide_app_update(id, &request)).await
        })
        .await
    }
}

impl Inner {
    /// An app as it stands in the store.
    pub(super) async fn app_row(&self, id: AppId) -> Result<(App, Seq), Error> {
        let (app, seen) = self.reader.record::<App>(keys::app(id)).await?;
        Ok((app.ok_or(Error::NotFound("app"))?, seen))
    }

    async fn decide_app(&self, request: &CreateApp, idem: Option<&Idempotency>) -> Result<Decided<CreatedApp>, Error> {
        let claim = match self.claim(idem).await? {
            Claimed::Before(id) => {
                let (app, _) = self.app_row(AppId(id)).await?;
                return Ok(Decided::Already(CreatedApp { app, issued: Vec::new(), first: false }));
            }
            Claimed::New(claim) => claim,
        };
        let mut batch = Batch::default();
        let now = self.clock.now().wall;
        let mut app = App {
            id: self.ids.next(),
            name: request.name.clone(),
            version: 1,
            created_at: now,
            disabled: false,
            strict_bill_numbers: request.strict_bill_numbers,
            late_policy: request.late_policy,
            keys: Vec::new(),
        };
        let mut issued = Vec::new();
        for (mode, kind) in [Mode::Test, Mode::Live].into_iter().flat_map(|mode| FIRST_KEYS.map(|kind| (mode, kind))) {
            let secret = self.mint_key(kind, mode);
            let key = self.seal_key(app.id, kind, mode, &secret);
            self.put_digest(&mut batch, app.id, &key, &secret);
            app.keys.push(key.clone());
            issued.push(Issued { key, secret: Some(secret), first: true });
        }
        batch.put_record(keys::app(app.id), &app);
        claim.join(&mut batch, "app", app.id.0, now);
        Ok(Decided::Write(batch, CreatedApp { app, issued, first: true }))
    }

    async fn decide_app_update(&self, id: AppId, request: &UpdateApp) -> Result<Decided<App>, Error> {
        let (before, seen) = self.app_row(id).await?;
        let mut app = before.clone();
        if let Some(name) = &request.name {
            app.name.clone_from(name);
        }
        app.disabled = request.disabled.unwrap_or(app.disabled);
        app.strict_bill_numbers = request.strict_bill_numbers.unwrap_or(app.strict_bill_numbers);
        app.late_policy = request.late_policy.unwrap_or(app.late_policy);
        if app == before {
            return Ok(Decided::Already(app));
        }
        app.version += 1;
        let mut batch = Batch::default();
        batch.watch(keys::app(id), seen).put_record(keys::app(id), &app);
        Ok(Decided::Write(batch, app))
    }
}
