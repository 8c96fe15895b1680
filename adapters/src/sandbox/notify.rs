//! From a notification's bytes to what it proves, and what is answered to it.

use bytes::Bytes;
use maxpay_engine::channel::{Acknowledgement, Context, Fact, FactSubject, Notified, Outcome, RawNotification};

use super::account::{self, MERCHANT_ID};
use super::reply;
use super::wire::{self, AnswerBody, Signed, WireState};

/// The body that acknowledges a notification, with status 200.
pub(super) const ACKNOWLEDGED: &[u8] = b"success";

/// See [`maxpay_engine::channel::Adapter::notification`].
pub(super) fn notification(raw: &RawNotification, context: &Context<'_>) -> Notified {
    let header = raw.header(wire::SIGNATURE_HEADER);
    let keys = account::notice_keys(context);
    let signed_at = match wire::verify(keys, Signed::Notice, header, context.now, &raw.body) {
        Ok((signed_at, _)) => signed_at,
        Err(refused) => return unverified(refused.to_string()),
    };
    let Some(body) = AnswerBody::read(&raw.body) else {
        return unverified("the signed notification cannot be read".to_owned());
    };
    let outcome = match body.state {
        WireState::Paid => match reply::paid(&body) {
            // Money moved, and how much cannot be read: look instead.
            Outcome::Unknown(_) => return hint(body.number),
            readable @ (Outcome::AwaitingPayer(_)
            | Outcome::Succeeded(_)
            | Outcome::Declined(_)
            | Outcome::Closed
            | Outcome::NotFound
            | Outcome::Unpaid
            | Outcome::NotExecuted(_)
            | Outcome::AccountRefused(_)
            | Outcome::Processing
            | Outcome::Held(_)
            | Outcome::PaidThenReturned { .. }) => readable,
        },
        WireState::Closed if body.payment.is_none() && body.returned.is_none() => Outcome::Closed,
        WireState::Declined => Outcome::Declined(body.reason.clone().unwrap_or_default()),
        WireState::Open
        | WireState::Duplicate
        | WireState::Closed
        | WireState::Processing
        | WireState::NotFound
        | WireState::Conflict
        | WireState::Busy
        | WireState::Invalid
        | WireState::Session => {
            // It is the provider's, but it says nothing that we know: look instead.
            return hint(body.number);
        }
    };
    let fact = Fact {
        subject: FactSubject::Attempt(body.number),
        numbered_at: None,
        owners: vec![(MERCHANT_ID, body.merchant_id)],
        provider_time: Some(signed_at),
        outcome,
    };
    Notified::Verified { facts: vec![fact], ack: acknowledged(), refusal: refused(503) }
}

fn hint(number: String) -> Notified {
    Notified::Hint { number, ack: acknowledged(), refusal: refused(503) }
}

fn unverified(reason: String) -> Notified {
    Notified::Unverified { reason, refusal: refused(400) }
}

fn acknowledged() -> Acknowledgement {
    Acknowledgement { status: 200, content_type: "text/plain".to_owned(), body: Bytes::from_static(ACKNOWLEDGED) }
}

fn refused(status: u16) -> Acknowledgement {
    Acknowledgement::text(status, "fail")
}
