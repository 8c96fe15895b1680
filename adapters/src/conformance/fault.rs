//! What can happen on the way between us and a provider, to a request or to the answer to it.

use bytes::Bytes;
use maxpay_engine::channel::http::{HttpReply, HttpRequest, SendFailure, SendLimits};
use maxpay_engine::channel::{Call, Original, Outcome, Prepared};
use maxpay_engine::model::ChannelCode;

use crate::simulator::{How, Rule, When};

use super::answers::{flipped, places};
use super::desk::{BODY_MAX, Desk, Order};
use super::provider::{Candidate, Feature, Lack, Provider};

/// What happens to a request, or to the answer to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing leaves.
    NotSent,
    /// It is lost on its way there.
    LostBefore,
    /// It is executed, and the answer is lost.
    LostAfter,
    /// It is executed, and the answer comes late, but within the deadline.
    Late,
    /// It arrives twice; the second answer is seen.
    Duplicated,
    /// A gateway answers with this status instead of the provider.
    StatusBefore(u16),
    /// It is executed, and a gateway answers with this status.
    StatusAfter(u16),
    /// It is executed, and the answer is a page.
    Html,
    /// It is executed, and half of the answer comes.
    Cut,
    /// It is executed, and one character of the answer is another one.
    Changed,
    /// What only the signer can do.
    Signer(How),
    /// The engine dies before it arrives.
    CrashBefore,
    /// It is executed, and the engine dies before it reads the answer.
    CrashAfter,
}

impl Fault {
    /// Every one that an engine lives through.
    pub const ALL: [Self; 16] = [
        Self::NotSent,
        Self::LostBefore,
        Self::LostAfter,
        Self::Late,
        Self::Duplicated,
        Self::StatusBefore(404),
        Self::StatusAfter(404),
        Self::StatusBefore(503),
        Self::StatusAfter(503),
        Self::StatusAfter(429),
        Self::Html,
        Self::Cut,
        Self::Changed,
        Self::Signer(How::Unsigned),
        Self::Signer(How::Forged),
        Self::Signer(How::Busy),
    ];

    /// Those that an engine does not live through.
    pub const CRASHES: [Self; 2] = [Self::CrashBefore, Self::CrashAfter];

    /// For the report.
    pub fn name(self) -> String {
        match self {
            Self::NotSent => "not sent".to_owned(),
            Self::LostBefore => "lost on its way".to_owned(),
            Self::LostAfter => "executed, reply lost".to_owned(),
            Self::Late => "reply late".to_owned(),
            Self::Duplicated => "duplicated".to_owned(),
            Self::StatusBefore(status) => format!("{status} before execution"),
            Self::StatusAfter(status) => format!("executed, then {status}"),
            Self::Html => "executed, reply a page".to_owned(),
            Self::Cut => "executed, reply cut".to_owned(),
            Self::Changed => "executed, reply changed".to_owned(),
            Self::Signer(how) => format!("{how:?}").to_lowercase(),
            Self::CrashBefore => "engine dies before it arrives".to_owned(),
            Self::CrashAfter => "executed, engine dies".to_owned(),
        }
    }

    /// What a dialect must have for it to be possible.
    fn needs(self) -> Option<Feature> {
        match self {
            Self::Signer(How::Busy) => Some(Feature::Busy),
            Self::Signer(_) | Self::Changed => Some(Feature::SignedAnswers),
            Self::NotSent
            | Self::LostBefore
            | Self::LostAfter
            | Self::Late
            | Self::Duplicated
            | Self::StatusBefore(_)
            | Self::StatusAfter(_)
            | Self::Html
            | Self::Cut
            | Self::CrashBefore
            | Self::CrashAfter => None,
        }
    }

    /// Whether it can happen to that code of a candidate.
    pub fn exists(self, candidate: &dyn Candidate, code: &ChannelCode) -> bool {
        let lacks = candidate.lacks();
        let of_it = |lack: &Lack| lack.code.as_ref().is_none_or(|it| it == code);
        self.needs().is_none_or(|feature| !lacks.iter().any(|lack| lack.feature == feature && of_it(lack)))
    }
}

/// Sends a request about that number with a fault on its way. What only time can do (an answer that comes late, an end of
/// the engine) is nothing here.
pub(super) async fn struck(
    provider: &dyn Provider,
    number: &str,
    request: HttpRequest,
    limits: SendLimits,
    fault: Fault,
) -> Result<HttpReply, SendFailure> {
    let client = provider.client();
    let lost = || Err(SendFailure::Unknown("the connection ended without an answer".to_owned()));
    match fault {
        Fault::NotSent => return Err(SendFailure::NotSent("the connection was not made".to_owned())),
        Fault::LostBefore => return lost(),
        Fault::StatusBefore(status) => return Ok(page(status)),
        Fault::Signer(how) => {
            let when = if how == How::Busy { When::BeforeExecution } else { When::AfterExecution };
            provider.faults().add(Rule { call: None, number: Some(number.to_owned()), when, how, times: 1 });
        }
        Fault::Duplicated => drop(client.send(request.clone(), limits).await),
        Fault::LostAfter
        | Fault::Late
        | Fault::StatusAfter(_)
        | Fault::Html
        | Fault::Cut
        | Fault::Changed
        | Fault::CrashBefore
        | Fault::CrashAfter => {}
    }
    let reply = client.send(request, limits).await?;
    match fault {
        Fault::LostAfter => lost(),
        Fault::StatusAfter(status) => Ok(page(status)),
        Fault::Html => Ok(page(200)),
        Fault::Cut => Ok(HttpReply { body: reply.body.slice(..reply.body.len() / 2), ..reply }),
        Fault::Changed => {
            let places = places(&reply.body);
            let at = places.get(places.len() / 2).copied().unwrap_or(0);
            Ok(HttpReply { body: flipped(&reply.body, at), ..reply })
        }
        Fault::NotSent
        | Fault::LostBefore
        | Fault::Late
        | Fault::Duplicated
        | Fault::StatusBefore(_)
        | Fault::Signer(_)
        | Fault::CrashBefore
        | Fault::CrashAfter => Ok(reply),
    }
}

fn page(status: u16) -> HttpReply {
    let headers = vec![("content-type".to_owned(), "text/html".to_owned())];
    HttpReply { status, headers, body: Bytes::from_static(b"<!DOCTYPE html><html><body>not now</body></html>") }
}

impl Desk<'_> {
    /// What a call comes to with a fault on its way.
    pub async fn ask_struck(
        &self,
        asked: &Call,
        order: &Order,
        original: Option<Original<'_>>,
        fault: Fault,
    ) -> Result<Outcome, String> {
        let Prepared::Send(request) = self.prepared(asked, order, original).await? else {
            return Err("nothing is sent".to_owned());
        };
        let limits = SendLimits { deadline: self.rules.call_deadline, body_max: BODY_MAX };
        let reply = struck(&*self.provider, &order.number, request, limits, fault).await;
        self.provider.faults().clear();
        Ok(match reply {
            Ok(reply) => self.read_about(asked, order, original, &reply).await.outcome,
            Err(SendFailure::NotSent(why)) => Outcome::NotExecuted(why),
            Err(failure @ (SendFailure::Unknown(_) | SendFailure::TooLarge { .. })) => {
                Outcome::Unknown(failure.to_string())
            }
        })
    }
}
