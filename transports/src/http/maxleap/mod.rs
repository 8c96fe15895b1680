//! The original API, `/2.0/maxpay/bill` and `/2.0/maxpay/records`, as MaxLeap's clients of 2016 speak it.
//!
//! Every answer is HTTP 200 with a JSON object and an integer `code`: its clients look at nothing else, and some never
//! see the body of another status. That holds for wrong paths, methods, sizes and times too.

mod bill;
mod code;
mod fields;
mod records;
mod row;

use std::net::IpAddr;
use std::time::Duration;

use actix_web::web;
use maxpay_engine::api::{CreateTransaction, Principal, RecordsQuery, Scope, Unauthenticated};
use maxpay_engine::channel::CodeManifest;
use maxpay_engine::model::ChannelCode;

use super::answer::Answer;
use super::auth::{self, Original};
use super::body::BodyRefusal;
use super::door::Door;
use super::inbound::Inbound;
use super::rate::Who;

pub use super::auth::read_sign;
use code::{Code, Gateway, Refusal};
use fields::Fields;

/// An answer comes within 20 s; what is left of them goes to the network.
const ANSWER_WITHIN: Duration = Duration::from_secs(19);

/// Reads the body of a bill call as the door does. `client` is the payer's address where the body names none,
/// `manifest_of` tells what a channel code may do.
///
/// # Errors
/// The JSON text that the door answers, with status 200.
pub fn read_bill(
    body: &[u8],
    client: IpAddr,
    wait: Duration,
    manifest_of: impl FnOnce(&ChannelCode) -> Option<CodeManifest>,
) -> Result<CreateTransaction, String> {
    let request = Fields::read(body).and_then(|fields| bill::read(&fields, client, wait, manifest_of));
    request.map_err(|refusal| refusal.body())
}

/// Reads the body of a records call as the door does. `codes` tells which codes the name of a channel or of a group
/// means.
///
/// # Errors
/// As [`read_bill`].
pub fn read_records(body: &[u8], codes: impl FnOnce(&str) -> Vec<ChannelCode>) -> Result<RecordsQuery, String> {
    Fields::read(body).and_then(|fields| records::read(&fields, codes)).map_err(|refusal| refusal.body())
}

/// Answers a request under `/2.0`.
pub(super) async fn answer(door: &Door, inbound: &Inbound, payload: &mut web::Payload) -> Answer {
    let within = door.settings().request_deadline.min(ANSWER_WITHIN);
    let said = match tokio::time::timeout(within, perform(door, inbound, payload, within)).await {
        Ok(said) => said,
        Err(_) => Err(Refusal::new(Code::RunTime, "no answer in time: look at the records before paying again")),
    };
    match said {
        Ok(body) => json(body),
        Err(refusal) => refused(&refusal),
    }
}

/// The answer to a request that met a defect of ours.
pub(super) fn broken(detail: &str) -> Answer {
    refused(&Refusal::new(Code::RunTime, detail))
}

fn refused(refusal: &Refusal) -> Answer {
    let mut answer = json(refusal.body());
    answer.code = Some(refusal.code.number().to_string());
    answer
}

fn json(body: String) -> Answer {
    Answer::new(200, "application/json; charset=utf-8", body)
}

async fn perform(
    door: &Door,
    inbound: &Inbound,
    payload: &mut web::Payload,
    within: Duration,
) -> Result<String, Refusal> {
    // The body is read first, whatever becomes of it, so that a client that still writes sees the answer.
    let body = door.body(payload).await;
    door.head_fits(inbound).map_err(|problem| Refusal::new(Code::Param, problem.detail))?;
    let path = inbound.path().trim_end_matches('/');
    let is_bill = match path {
        "/2.0/maxpay/bill" => true,
        "/2.0/maxpay/records" => false,
        _ => return Err(Refusal::new(Code::Param, "there is nothing under this path")),
    };
    if inbound.method() != "POST" {
        return Err(Refusal::new(Code::Param, "this path takes POST"));
    }
    let body = body.map_err(|refusal| Refusal::new(body_code(refusal), refusal.text()))?;
    let (principal, scope) = principal(door, inbound).await?;
    let fields = Fields::read(&body)?;
    if is_bill {
        let wait = bill::wait(door.left(inbound, within), within);
        bill::perform(door.engine(), scope, &fields, inbound.client, wait).await
    } else {
        records::perform(door.engine(), &principal, scope, &fields).await
    }
}

fn body_code(refusal: BodyRefusal) -> Code {
    match refusal {
        BodyRefusal::TooLarge(_) | BodyRefusal::Broken => Code::Param,
        BodyRefusal::TooSlow => Code::RunTime,
    }
}

/// Who asks, by the original headers; counted against the rate of that key, or of the address when it does not hold.
async fn principal(door: &Door, inbound: &Inbound) -> Result<(Principal, Scope), Refusal> {
    if !inbound.private {
        let why = "keys are taken over TLS only: use https, or have the operator name the proxy that does TLS in \
                   trusted_proxy";
        return Err(Refusal::credential(Gateway::NoPermission, why));
    }
    let shown = match auth::original(inbound) {
        Original::Shown(credential) => door.engine().authenticate(credential).await,
        Original::NoApp => Err(Unauthenticated::UnknownApp),
        Original::NoProof => Err(Unauthenticated::Missing),
        Original::BadSign => Err(Unauthenticated::SignInvalid),
    };
    let busy = |seconds| Refusal::new(Code::RunTime, format!("too many requests; come back in {seconds} s"));
    match shown {
        Ok(principal) => {
            door.count(&Who::of(&principal, inbound.client)).map_err(busy)?;
            let scope = principal.scope;
            let scope = scope.ok_or_else(|| Refusal::credential(Gateway::NoPermission, "this is no key of an app"))?;
            Ok((principal, scope))
        }
        Err(Unauthenticated::Unavailable) => Err(Refusal::new(Code::RunTime, "the credential cannot be checked now")),
        Err(why) => {
            door.count(&Who::address(inbound.client)).map_err(busy)?;
            Err(Refusal::credential(Gateway::of(why), why.to_string()))
        }
    }
}
