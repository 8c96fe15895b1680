//! `POST /2.0/maxpay/records`: queries payments.

use maxpay_engine::Engine;
use maxpay_engine::api::{Principal, RecordsQuery, Right, Scope, TransactionFilter};
use maxpay_engine::model::{ChannelCode, Timestamp};
use serde::Serialize;

use super::code::{Code, Gateway, Refusal};
use super::fields::{Fields, illegal};
use super::row::Row;

/// Rows when nobody says; the documents' own example.
const LIMIT_DEFAULT: u64 = 100;
/// The console of the original asks for 101.
const LIMIT_MAX: u64 = 1_000;
const SKIP_MAX: u64 = 10_000;
const STATUSES: [&str; 3] = ["created", "success", "refund"];

/// The answer. `results` comes first, as in the original.
#[derive(Serialize)]
struct Answer<'a> {
    results: Vec<Row<'a>>,
    code: u8,
}

pub(super) async fn perform(
    engine: &Engine,
    principal: &Principal,
    scope: Scope,
    fields: &Fields,
) -> Result<String, Refusal> {
    let query = read(fields, |name| codes(engine, name))?;
    if principal.right == Right::Client && query.filter.bill_num.is_none() {
        let why = "a client key reads by bill number only: give billNum";
        return Err(Refusal::credential(Gateway::NoPermission, why));
    }
    let found = engine.records(scope, query).await?;
    let answer = Answer { results: found.iter().map(Row::from).collect(), code: 0 };
    serde_json::to_string(&answer).map_err(|error| {
        tracing::error!(%error, "records do not serialize");
        Refusal::new(Code::RunTime, "")
    })
}

/// The codes that a channel filter means: one code, or all of a group.
fn codes(engine: &Engine, name: &str) -> Vec<ChannelCode> {
    match name.parse::<ChannelCode>().ok().filter(|code| engine.manifest_of(code).is_some()) {
        Some(code) => vec![code],
        None => engine.group(name),
    }
}

pub(super) fn read(fields: &Fields, codes: impl FnOnce(&str) -> Vec<ChannelCode>) -> Result<RecordsQuery, Refusal> {
    let (bill_num, alias) = (fields.bill_num("billNum")?, fields.bill_num("billNo")?);
    let bill_num = bill_num.or(alias);
    let channels = fields.text("channel")?.map(|name| codes(&name));
    if channels.as_ref().is_some_and(Vec::is_empty) {
        return Err(Refusal::new(Code::Channel, "channel is neither a channel code nor a group"));
    }
    let status = fields.text("status")?;
    if status.as_ref().is_some_and(|status| !STATUSES.contains(&status.as_str())) {
        return Err(illegal("status", format!("is none of {}", STATUSES.join(", "))));
    }
    let moment = |name| fields.integer(name).map(|millis| millis.map(Timestamp::from_millis));
    let filter = TransactionFilter {
        status,
        channels,
        bill_num,
        created_from: moment("startTime")?,
        created_to: moment("endTime")?,
        needs_attention: None,
    };
    Ok(RecordsQuery {
        filter,
        skip: within(fields, "skip", 0, (0, SKIP_MAX))?,
        limit: within(fields, "limit", LIMIT_DEFAULT, (1, LIMIT_MAX))?,
        newest_first: newest_first(fields)?,
    })
}

fn within(fields: &Fields, name: &str, default: u64, (least, most): (u64, u64)) -> Result<usize, Refusal> {
    let number = fields.integer(name)?.unwrap_or(default);
    if !(least..=most).contains(&number) {
        return Err(illegal(name, format!("is not from {least} to {most}")));
    }
    usize::try_from(number).map_err(|_| illegal(name, "is too large"))
}

/// Records are ordered by the time they were made, which is the order of their ids; oldest first unless said otherwise.
fn newest_first(fields: &Fields) -> Result<bool, Refusal> {
    match fields.text("order")?.as_deref() {
        None | Some("createdTime" | "id") => Ok(false),
        Some("-createdTime" | "-id") => Ok(true),
        Some(_) => Err(illegal("order", "is not createdTime or -createdTime")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read_as_the_clients_send_them() {
        // What the console, PHP, Android, iOS and React Native send, and the defaults of what they leave out.
        let console =
            query(r#"{"startTime":1461254400000,"endTime":1461859199000,"limit":101,"skip":100,"channel":"ali"}"#);
        assert_eq!((console.limit, console.skip, console.newest_first), (101, 100, false));
        assert_eq!(console.filter.created_from.map(Timestamp::millis), Some(1_461_254_400_000));
        assert_eq!(console.filter.created_to.map(Timestamp::millis), Some(1_461_859_199_000));
        assert_eq!(console.filter.channels.map(|codes| codes.len()), Some(2));
        let plain = query(r#"{"billNum":"112233"}"#);
        assert_eq!((plain.limit, plain.skip), (100, 0));
        assert_eq!(plain.filter.channels, None);
        let alias = query(r#"{"billNo":112233,"channel":null,"status":""}"#);
        assert_eq!(alias.filter, plain.filter);
        assert!(query(r#"{"order":"-createdTime"}"#).newest_first);
        assert_eq!(query("[]"), query("{}"));
    }

    #[test]
    fn what_is_beyond_the_bounds_is_refused() {
        // Code 5 for a field that is not legal, code 3 for a channel that is none.
        for (text, code) in [
            (r#"{"limit":0}"#, 5),
            (r#"{"limit":1001}"#, 5),
            (r#"{"limit":1000}"#, 0),
            (r#"{"skip":10001}"#, 5),
            (r#"{"skip":10000}"#, 0),
            (r#"{"skip":-1}"#, 5),
            (r#"{"limit":"10"}"#, 5),
            (r#"{"status":"pay"}"#, 5),
            (r#"{"order":"money"}"#, 5),
            (r#"{"order":"createdTime"}"#, 0),
            (r#"{"channel":"nothing"}"#, 3),
            (r#"{"startTime":"today"}"#, 5),
            (r#"{"billNum":{}}"#, 5),
        ] {
            assert_eq!(read_text(text).err().map_or(0, |refusal| refusal.code.number()), code, "{text}");
        }
    }

    fn query(text: &str) -> RecordsQuery {
        read_text(text).unwrap_or_else(|refusal| panic!("{}", refusal.body()))
    }

    fn read_text(text: &str) -> Result<RecordsQuery, Refusal> {
        let known = |name: &str| match name {
            "ali" => vec!["ali_app".parse().expect("a code"), "ali_web".parse().expect("a code")],
            "ali_app" => vec!["ali_app".parse().expect("a code")],
            _ => Vec::new(),
        };
        read(&Fields::read(text.as_bytes())?, known)
    }
}
