//! Where providers send their notifications: raw bytes and headers to the engine, its acknowledgement back.

use actix_web::web;
use maxpay_engine::channel::RawNotification;

use super::answer::Answer;
use super::door::{Door, nothing_here, too_many, wrong_method};
use super::inbound::Inbound;
use super::rate::Who;

/// Answers `/notify/{adapter}/{account}`.
pub(super) async fn answer(door: &Door, inbound: &Inbound, payload: &mut web::Payload) -> Answer {
    let path: Vec<&str> = inbound.path().split('/').skip(2).collect();
    let [adapter, account] = path[..] else { return nothing_here() };
    // Some providers ask by GET, with everything in the query.
    if !matches!(inbound.method(), "POST" | "GET") {
        return wrong_method("POST, GET");
    }
    if let Err(seconds) = door.count(&Who::address(inbound.client)) {
        return Answer::problem(&too_many(seconds));
    }
    let body = match door.body(payload).await {
        Ok(body) => body,
        Err(refusal) => return Answer::problem(&refusal.problem()),
    };
    let raw = RawNotification { headers: inbound.headers(), query: inbound.query().to_owned(), body };
    let reply = door.engine().notification(adapter, account, raw).await;
    let acknowledgement = reply.acknowledgement;
    let mut answer = Answer::new(acknowledgement.status, &acknowledgement.content_type, acknowledgement.body);
    answer.code = (!reply.accepted).then(|| "not_taken".to_owned());
    answer
}
