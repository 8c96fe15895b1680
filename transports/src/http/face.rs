//! One face under every path and no engine behind it: a provider's simulator as a process of its own. The bounds are the
//! doors': sizes of head and body, and how long each may take.

use std::net::TcpListener;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::FutureExt;
use maxpay_engine::clock::{Clock, IdSource, System};
use maxpay_engine::model::RawId;

use super::answer::{Answer, Held};
use super::inbound::Inbound;
use super::mount::{self, Mount};
use super::settings::HttpSettings;
use super::{Error, Running, body};
use crate::operations::Problem;

/// Serves `face`, whatever its prefix, on an address that was taken by [`super::listen`], on threads of its own. Rates
/// and proxies of the settings have no meaning here.
///
/// # Errors
/// [`Error::Start`].
pub fn serve_face(listener: TcpListener, settings: HttpSettings, face: Mount) -> Result<Running, Error> {
    let clock = System::new();
    let ids = IdSource::new(Arc::new(clock.clone()), Arc::new(clock.clone()));
    let served = Served { face, clock, ids, settings: settings.clone() };
    let served = Arc::new(served);
    super::start(listener, settings, move |config| {
        let served = Arc::clone(&served);
        config.default_service(web::to(move |request: HttpRequest, payload: web::Payload| {
            let served = Arc::clone(&served);
            async move { served.answer(request, payload).await }
        }));
    })
}

struct Served {
    face: Mount,
    settings: HttpSettings,
    clock: System,
    ids: IdSource,
}

impl Served {
    async fn answer(&self, request: HttpRequest, mut payload: web::Payload) -> HttpResponse<Held> {
        let began = self.clock.now().monotonic;
        let mint = || self.ids.next::<RawId>().to_string();
        let inbound = Inbound::new(request, &self.settings.trusted_proxy, began, mint);
        let answer = AssertUnwindSafe(self.within(&inbound, &mut payload)).catch_unwind().await;
        let answer = answer.unwrap_or_else(|_| Answer::problem(&Problem::internal("a request panicked")));
        tracing::info!(
            target: "maxpay::access",
            method = inbound.method(),
            path = super::door::loggable(inbound.path()),
            status = answer.status,
            cut = answer.is_cut,
        );
        answer.send(&inbound, payload)
    }

    async fn within(&self, inbound: &Inbound, payload: &mut web::Payload) -> Answer {
        if let Err(problem) = inbound.head_fits(self.settings.header_max_bytes) {
            return Answer::problem(&problem);
        }
        let body = body::read(payload, self.settings.body_max_bytes, self.settings.body_deadline).await;
        let answered = mount::answer(&self.face, inbound, body);
        match tokio::time::timeout(self.settings.request_deadline, answered).await {
            Ok(answer) => answer,
            Err(_) => Answer::problem(&Problem::new(503, "busy", "no answer in time")),
        }
    }
}
