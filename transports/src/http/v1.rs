//! The native API: the table of operations as resources under `/v1`.

use actix_web::web;
use maxpay_engine::api::{Principal, Unauthenticated};
use serde_json::Value;

use super::answer::Answer;
use super::auth;
use super::door::{Door, nothing_here, too_many, wrong_method};
use super::inbound::Inbound;
use super::rate::Who;
use crate::operations::{self, Operation, Params, Problem};

/// Query fields that are numbers, and those that are true or false; all others are texts.
const NUMBERS: [&str; 1] = ["limit"];
const FLAGS: [&str; 2] = ["needs_attention", "open_only"];

/// Left of the request's deadline for everything but the wait for a channel.
const HEADROOM: std::time::Duration = std::time::Duration::from_millis(1_500);

/// Answers a request under `/v1`.
pub(super) async fn answer(door: &Door, inbound: &Inbound, payload: &mut web::Payload) -> Answer {
    match find(inbound.method(), inbound.path()) {
        Found::Nothing => nothing_here(),
        Found::OtherMethods(allowed) => wrong_method(&allowed),
        Found::Operation(operation, path) => match perform(door, inbound, payload, operation, path).await {
            Ok(reply) => Answer::from(reply),
            Err(problem) => refusal(&problem),
        },
    }
}

async fn perform(
    door: &Door,
    inbound: &Inbound,
    payload: &mut web::Payload,
    operation: &Operation,
    path: Vec<(&str, &str)>,
) -> Result<operations::Reply, Problem> {
    let principal = principal(door, inbound).await?;
    operations::permit(operation, &principal)?;
    let mut params =
        if operation.method == "GET" { query(inbound.query())? } else { body(door, inbound, payload).await? };
    for (name, value) in path {
        params.put(name, &Value::from(value))?;
    }
    let given = operation.method == "POST" && inbound.has_header("idempotency-key");
    // One that cannot be read is refused like any other wrong one, and never passed over.
    let key = given.then(|| inbound.header("idempotency-key").unwrap_or_default());
    let longest_wait = door.left(inbound, door.settings().request_deadline).saturating_sub(HEADROOM);
    operations::call_within(door.engine(), &principal, operation.name, params, key, longest_wait).await
}

/// Who asks, by bearer key; counted against the rate of that key, or of the address when it does not hold.
pub(super) async fn principal(door: &Door, inbound: &Inbound) -> Result<Principal, Problem> {
    if !inbound.private {
        let detail = "keys are taken over TLS only: use https, or name the proxy that does TLS in trusted_proxy";
        return Err(Problem::new(403, "insecure", detail));
    }
    let shown = match auth::bearer(inbound) {
        Some(credential) => door.engine().authenticate(credential).await,
        None => Err(Unauthenticated::Missing),
    };
    match shown {
        Ok(principal) => {
            door.count(&Who::of(&principal, inbound.client)).map_err(too_many)?;
            Ok(principal)
        }
        Err(Unauthenticated::Unavailable) => {
            Err(maxpay_engine::Error::StoreUnavailable("the credential cannot be checked now".to_owned()).into())
        }
        Err(refused) => {
            door.count(&Who::address(inbound.client)).map_err(too_many)?;
            Err(Problem::new(401, "unauthenticated", refused.to_string()))
        }
    }
}

/// A problem as an answer; a 401 says how to do better.
pub(super) fn refusal(problem: &Problem) -> Answer {
    let answer = Answer::problem(problem);
    if problem.status == 401 { answer.with("www-authenticate", "Bearer realm=\"maxpay\"") } else { answer }
}

/// The fields of a query.
fn query(text: &str) -> Result<Params, Problem> {
    let mut params = Params::none();
    for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
        // What stands for bytes that are no text: a filter by it would find nothing, and say so as if it had looked.
        if name.contains(char::REPLACEMENT_CHARACTER) || value.contains(char::REPLACEMENT_CHARACTER) {
            return Err(Problem::malformed("query", "the query is not UTF-8"));
        }
        let typed = if NUMBERS.contains(&&*name) {
            value.parse::<u64>().ok().map(Value::from)
        } else if FLAGS.contains(&&*name) {
            value.parse::<bool>().ok().map(Value::from)
        } else {
            None
        };
        params.put(&name, &typed.unwrap_or_else(|| Value::from(value.as_ref())))?;
    }
    Ok(params)
}

/// The fields of a JSON body; none at all is an object without fields.
pub(super) async fn body(door: &Door, inbound: &Inbound, payload: &mut web::Payload) -> Result<Params, Problem> {
    let bytes = door.body(payload).await.map_err(super::body::BodyRefusal::problem)?;
    if bytes.is_empty() {
        return Ok(Params::none());
    }
    if !is_json(inbound.header("content-type").unwrap_or_default()) {
        return Err(Problem::new(415, "unsupported_media_type", "send JSON with content-type: application/json"));
    }
    if inbound.header("content-encoding").is_some_and(|coding| !coding.eq_ignore_ascii_case("identity")) {
        return Err(Problem::new(415, "unsupported_media_type", "send the body without content-encoding"));
    }
    Params::from_json(&bytes)
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

enum Found<'a> {
    Operation(&'static Operation, Vec<(&'static str, &'a str)>),
    OtherMethods(String),
    Nothing,
}

/// The operation of a method and path, and the path's parameters.
fn find<'a>(method: &str, path: &'a str) -> Found<'a> {
    let matching: Vec<_> = operations::all().iter().filter_map(|row| Some((row, fits(row.path, path)?))).collect();
    // A HEAD is a GET whose body the framework leaves out.
    let method = if method == "HEAD" { "GET" } else { method };
    let allowed = matching.iter().map(|(row, _)| row.method).collect::<Vec<_>>().join(", ");
    match matching.into_iter().find(|(row, _)| row.method == method) {
        Some((row, params)) => Found::Operation(row, params),
        None if allowed.is_empty() => Found::Nothing,
        None => Found::OtherMethods(allowed),
    }
}

/// The parameters of a path that fits a template.
fn fits<'a>(template: &'static str, path: &'a str) -> Option<Vec<(&'static str, &'a str)>> {
    let mut params = Vec::new();
    let mut parts = path.split('/');
    for wanted in template.split('/') {
        let part = parts.next()?;
        match wanted.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) if !part.is_empty() => params.push((name, part)),
            None if part == wanted => {}
            Some(_) | None => return None,
        }
    }
    parts.next().is_none().then_some(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_find_their_operations() {
        // Method and path decide; a known path with another method says which it takes.
        for (method, path, wanted) in [
            ("POST", "/v1/transactions", "transactions.create"),
            ("GET", "/v1/transactions", "transactions.list"),
            ("HEAD", "/v1/transactions", "transactions.list"),
            ("GET", "/v1/transactions/66f0a1b2c3d4e5f607182930", "transactions.get id=66f0a1b2c3d4e5f607182930"),
            ("DELETE", "/v1/apps/a/keys/b", "keys.revoke id=a key_id=b"),
            ("POST", "/v1/ops/set_aside/transaction/x/retry", "ops.retry_set_aside kind=transaction id=x"),
            ("PUT", "/v1/transactions", "405 POST, GET"),
            ("OPTIONS", "/v1/transactions/x", "405 GET"),
            ("GET", "/v1/transactions/", "404"),
            ("GET", "/v1/transactions/x/y", "404"),
            ("GET", "/v1", "404"),
        ] {
            let found = match find(method, path) {
                Found::Nothing => "404".to_owned(),
                Found::OtherMethods(allowed) => format!("405 {allowed}"),
                Found::Operation(row, params) => {
                    let params: Vec<_> = params.iter().map(|(name, value)| format!(" {name}={value}")).collect();
                    format!("{}{}", row.name, params.concat())
                }
            };
            assert_eq!(found, wanted, "{method} {path}");
        }
    }

    #[test]
    fn content_types_of_json() {
        // Parameters, a trailing semicolon and a suffix do no harm; forms and nothing are not JSON.
        for (content_type, json) in [
            ("application/json", true),
            ("Application/JSON;charset=utf-8;", true),
            ("application/merge-patch+json", true),
            ("", false),
            ("application/x-www-form-urlencoded", false),
            ("text/json", false),
        ] {
            assert_eq!(is_json(content_type), json, "{content_type}");
        }
    }

    #[test]
    fn a_query_names_a_field_once() {
        // Twice the same field is refused and named.
        assert_eq!(query("status=paid&status=open").err().map(|problem| problem.status), Some(422));
        assert!(query("status=paid&limit=10&limits=%20").is_ok());
        assert_eq!(query("bill_num=%ff").err().map(|problem| problem.status), Some(400));
    }
}
