//! The merchant session that a page needs before it can show the sheet ("Apple Pay on the Web", *Requesting an Apple Pay
//! payment session*). It moves nothing, is used once, and is over after five minutes.
//!
//! A page hands over the address at which the browser says the session is to be had. Anybody may say anything there, so
//! it picks among Apple's hosts and does nothing else.

use std::time::Duration;

use maxpay_engine::channel::http::{HttpReply, HttpRequest};
use maxpay_engine::channel::{Answer, Context, Outcome, Prepared};
use maxpay_engine::model::{ChannelCode, Mode, NamedAction, PayerAction};
use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;

use super::account::{self, DISPLAY_NAME, DOMAIN, MERCHANT_ID};

/// The only path that is asked.
pub(super) const PATH: &str = "/paymentservices/paymentSession";
/// How long a session may be used.
const LIFE: Duration = Duration::from_mins(5);
/// Longest session, in bytes. One has about 5,000.
const BYTES_MAX: usize = 64 * 1024;

/// Apple's hosts ("Setting up your server", Listings 1 and 2): for the world, and for China.
const LIVE_HOSTS: [&str; 2] = ["apple-pay-gateway.apple.com", "cn-apple-pay-gateway.apple.com"];
const TEST_HOSTS: [&str; 2] = ["apple-pay-gateway-cert.apple.com", "cn-apple-pay-gateway-cert.apple.com"];

/// The request for a session.
pub(super) fn prepare(validation_url: Option<&str>, context: &Context<'_>) -> Prepared {
    let Some(identity) = account::merchant_identity(context) else {
        return not_executed("this account has no merchant_identity, domain and display_name: it serves no web pages");
    };
    let url = match address(validation_url, context) {
        Ok(url) => url,
        Err(why) => return not_executed(&why),
    };
    let text = |name: &str| context.account.text(name);
    let body = serde_json::json!({
        "merchantIdentifier": text(MERCHANT_ID),
        "displayName": text(DISPLAY_NAME),
        "initiative": "web",
        "initiativeContext": text(DOMAIN),
    });
    let mut request = HttpRequest::post(url, "application/json", body.to_string());
    request.identity = Some(identity);
    Prepared::Send(request)
}

/// Where to ask: the host of `validation_url` if it is one of the hosts of this mode, letter for letter; without one, the
/// account's region's.
fn address(validation_url: Option<&str>, context: &Context<'_>) -> Result<Url, String> {
    let (mode, settings) = (context.account.mode, context.account.settings);
    let own = account::test_session_url(mode, settings);
    let hosts = if mode == Mode::Live { LIVE_HOSTS } else { TEST_HOSTS };
    let Some(given) = validation_url else {
        return Ok(own.unwrap_or_else(|| at(hosts[usize::from(is_china(settings))])));
    };
    let given: Url = given.parse().map_err(|_| "validation_url is no address".to_owned())?;
    if let Some(own) = own.filter(|own| own.origin() == given.origin()) {
        return Ok(own);
    }
    let bare = given.scheme() == "https"
        && given.port().is_none()
        && given.username().is_empty()
        && given.password().is_none();
    let host = hosts.into_iter().find(|host| bare && given.host_str() == Some(host));
    host.map(at).ok_or_else(|| {
        format!("validation_url must be an https address of {} (the hosts of this mode)", hosts.join(" or "))
    })
}

fn at(host: &str) -> Url {
    format!("https://{host}{PATH}").parse().expect("a fixed host and path")
}

fn is_china(settings: &Map<String, Value>) -> bool {
    settings.get(account::REGION).and_then(Value::as_str) == Some("china")
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    status_message: String,
}

/// What Apple answered: an opaque JSON object, or 417 with the reason.
pub(super) fn interpret(code: &ChannelCode, reply: &HttpReply, context: &Context<'_>) -> Answer {
    let session = std::str::from_utf8(&reply.body).ok().filter(|text| text.len() <= BYTES_MAX);
    let outcome = match (reply.status, session) {
        (200, Some(session)) if serde_json::from_str::<Map<String, Value>>(session).is_ok() => {
            Outcome::AwaitingPayer(vec![NamedAction {
                name: code.to_string(),
                action: PayerAction::WalletSession { session: Some(session.to_owned()) },
                usable_until: Some(context.now.after(LIFE)),
            }])
        }
        (417, _) => {
            let failure = serde_json::from_slice::<Failure>(&reply.body).ok();
            let said: String = failure
                .map_or_else(|| "no reason given".to_owned(), |failure| failure.status_message)
                .chars()
                .filter(|letter| !letter.is_control())
                .take(200)
                .collect();
            Outcome::Declined(format!(
                "Apple gives no session (417: {said}); check merchant_id, domain and merchant_identity"
            ))
        }
        (status, _) => Outcome::Unknown(format!("Apple's answer with status {status} is no session")),
    };
    Answer::bare(outcome)
}

fn not_executed(why: &str) -> Prepared {
    Prepared::Done(Answer::bare(Outcome::NotExecuted(why.to_owned())))
}
