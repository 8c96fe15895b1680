//! The requests of the dialect: who asks is proved, then create, query, close, charge and session are executed.

use std::time::Duration;

use bytes::Bytes;
use maxpay_engine::channel::http::HttpReply;
use maxpay_engine::model::{AMOUNT_MINOR_MAX, CallKind, ChannelCode, Timestamp};
use maxpay_engine::secrets::Secret;
use serde_json::Value;

use crate::parts::digest::sha256;
use crate::simulator::{How, LedgerError, Served, When};

use super::super::account::is_merchant_id;
use super::super::codes;
use super::super::wire::{
    self, AnswerBody, DoorBody, DoorError, NumberBody, OrderBody, Refused, SIGNATURE_HEADER, Signed, TokenBody,
    WireState,
};
use super::Simulator;
use super::births::{begin, charge};
use super::books::Books;
use super::order::{Order, OrderState};

/// Longest body of a request, in bytes.
const BODY_MAX: usize = 256 * 1024;

/// What an execution answers, and what becomes of the answer.
struct Executed {
    status: u16,
    body: AnswerBody,
    fault: Option<How>,
}

impl Executed {
    fn answer(body: AnswerBody) -> Self {
        Self { status: 200, body, fault: None }
    }

    fn refuse(status: u16, body: AnswerBody) -> Self {
        Self { status, body, fault: None }
    }
}

impl Simulator {
    /// Serves one request: `target` is the path with its query, below the base address or with the base address's own
    /// path in front. Header names are compared without case. What was executed is durable when this returns.
    pub fn handle(&self, method: &str, target: &str, headers: &[(String, String)], body: &[u8]) -> Served {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let known = [wire::CREATE, wire::QUERY, wire::CLOSE, wire::CHARGE, wire::SESSION, wire::GATEWAY, wire::FORM];
        // The longest that fits, because one path is the beginning of two others.
        let Some(path) = known.into_iter().filter(|known| path.ends_with(known)).max_by_key(|known| known.len()) else {
            return plain(404, "there is nothing here");
        };
        let wanted = if path == wire::GATEWAY { "GET" } else { "POST" };
        if !method.eq_ignore_ascii_case(wanted) {
            return plain(405, "another method is wanted");
        }
        if body.len() > BODY_MAX {
            return plain(413, "the request is too long");
        }
        match path {
            wire::GATEWAY => self.open_page(query),
            wire::FORM => self.open_page(&String::from_utf8_lossy(body)),
            _ => self.api(path, headers, body),
        }
    }

    fn api(&self, path: &'static str, headers: &[(String, String)], body: &[u8]) -> Served {
        let call = call_of(path);
        let number = text_field(body, "number");
        let fault = self.faults.take(call, &number);
        if let Some((When::BeforeExecution, how)) = fault {
            match how {
                How::NotSent => return Served::NotSent,
                How::Lost => return Served::Lost,
                How::Status(status) => return plain(status, "a gateway says no"),
                How::Garbage => return garbage(),
                How::Busy | How::Late(_) | How::Duplicated | How::Unsigned | How::Forged => {}
            }
        }
        let key = match self.at_the_door(path, headers, body) {
            Ok(key) => key,
            Err(error) => return at_door(error),
        };
        if let Some((When::BeforeExecution, How::Busy)) = fault {
            let answer = AnswerBody::bare(&text_field(body, "merchant_id"), &number, WireState::Busy);
            return self.reply(path, &key, &Executed::refuse(429, answer.because("too much to do")), None);
        }
        let mut executed = self.execute(path, body);
        if matches!(fault, Some((_, How::Duplicated))) {
            executed = self.execute(path, body);
        }
        match executed {
            Ok(executed) => self.reply(path, &key, &executed, fault.map(|(_, how)| how).or(executed.fault)),
            Err(error) => {
                tracing::error!(%error, "the simulated provider cannot use its books");
                plain(500, "the books are closed")
            }
        }
    }

    /// The key under which the request was signed.
    fn at_the_door(&self, path: &str, headers: &[(String, String)], body: &[u8]) -> Result<Secret, DoorError> {
        let keys = self.merchants.secrets(&text_field(body, "merchant_id"));
        if keys.is_empty() {
            return Err(DoorError::UnknownMerchant);
        }
        let header = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(SIGNATURE_HEADER));
        let header = header.map(|(_, value)| value.as_str());
        match wire::verify(&keys, Signed::Request(path), header, self.now(), body) {
            Ok((_, key)) => Ok(key.clone()),
            Err(Refused::Stale) => Err(DoorError::StaleSignature),
            Err(Refused::Missing | Refused::Malformed | Refused::Wrong) => Err(DoorError::BadSignature),
        }
    }

    fn execute(&self, path: &str, body: &[u8]) -> Result<Executed, LedgerError> {
        let _visit = self.enter();
        let mut books = Books::open(&self.ledger, self.now());
        let executed = match path {
            wire::CREATE | wire::CHARGE => match read_order(path, body) {
                Ok(order) => take_order(&mut books, path, &order, content_of(body))?,
                Err(why) => invalid(body, why),
            },
            _ => match serde_json::from_slice::<NumberBody>(body) {
                Ok(asked) if path == wire::SESSION => session(&asked, books.now),
                Ok(asked) => look(&mut books, &asked, path == wire::CLOSE)?,
                Err(_) => invalid(body, "the request cannot be read"),
            },
        };
        self.leave(books)?;
        Ok(executed)
    }

    fn reply(&self, path: &str, key: &Secret, executed: &Executed, fault: Option<How>) -> Served {
        let body = serde_json::to_vec(&executed.body).expect("answers are structs of texts and numbers");
        let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        let stranger = Secret::from_text("a key that is not the provider's");
        let key = if fault == Some(How::Forged) { &stranger } else { key };
        if fault != Some(How::Unsigned) {
            let signature = wire::sign(key, Signed::Reply(path, executed.status), self.now(), &body);
            headers.push((SIGNATURE_HEADER.to_owned(), signature));
        }
        let reply = HttpReply { status: executed.status, headers, body: Bytes::from(body) };
        match fault {
            None | Some(How::Unsigned | How::Forged | How::Busy | How::Duplicated) => Served::Reply(reply),
            Some(How::Late(wait)) => Served::Late(wait, reply),
            Some(How::Lost | How::NotSent) => Served::Lost,
            Some(How::Status(status)) => plain(status, "something went wrong"),
            Some(How::Garbage) => garbage(),
        }
    }
}

fn call_of(path: &str) -> CallKind {
    match path {
        wire::QUERY => CallKind::Query,
        wire::CLOSE => CallKind::Close,
        wire::CHARGE => CallKind::Authorize,
        wire::SESSION => CallKind::PayerSession,
        _ => CallKind::Create,
    }
}

fn read_order(path: &str, body: &[u8]) -> Result<OrderBody, &'static str> {
    let order: OrderBody = serde_json::from_slice(body).map_err(|_| "the request cannot be read")?;
    let code = order.channel.parse::<ChannelCode>().map_err(|_| "no such channel")?;
    let manifest = codes::manifest();
    let rules = manifest.code(&code).ok_or("no such channel")?;
    let charge = path == wire::CHARGE;
    if charge != rules.authorize || charge != order.token.is_some() || (!charge && rules.locally_signed) {
        return Err("the channel takes no such request");
    }
    if !is_number(&order.number) || !is_merchant_id(&order.merchant_id) {
        return Err("number or merchant is not written as one");
    }
    let (least, most) = rules.amount_minor;
    if !(least..=most.min(AMOUNT_MINOR_MAX)).contains(&order.amount) {
        return Err("the amount is out of bounds");
    }
    if !rules.currencies.iter().any(|currency| currency.code() == order.currency) {
        return Err("the channel does not take the currency");
    }
    if order.subject.is_empty() || order.subject.len() > rules.subject_bytes_max {
        return Err("the subject is empty or too long");
    }
    Ok(order)
}

fn take_order(books: &mut Books<'_>, path: &str, asked: &OrderBody, content: String) -> Result<Executed, LedgerError> {
    if let Some(mut order) = books.order(&asked.number, &asked.merchant_id)? {
        if order.state == OrderState::Open && order.content == content {
            order.handle_at = Some(books.now);
            books.put(&order);
        }
        return Ok(taken_before(&order, &content));
    }
    let refused = |why| {
        let body = AnswerBody::bare(&asked.merchant_id, &asked.number, WireState::Declined).because(why);
        Ok(Executed::answer(body))
    };
    if books.now >= asked.expires_at {
        return refused("the order expired before it arrived");
    }
    let mut order = Order::asked(asked, content, books.now);
    if path == wire::CREATE {
        let fault = begin(books, &mut order)?;
        // A refusal is told at once; any payment comes after the answer was written.
        let answer = if order.state == OrderState::Declined { order.told(0) } else { opened(&order) };
        return Ok(Executed { status: 200, body: answer, fault });
    }
    let Ok(token) = TokenBody::read(asked.token.as_deref().unwrap_or_default().as_bytes()) else {
        return refused("the token cannot be read");
    };
    if books.token(&asked.merchant_id, &token.transaction_id)?.is_some() {
        return refused("the token was charged before");
    }
    books.put_token(&asked.merchant_id, &token.transaction_id, &asked.number);
    let fault = charge(books, &mut order, token.card)?;
    Ok(Executed { status: 200, body: order.told(0), fault })
}

/// The same create again gets the same answer, apart from an address that ends; `unipay_app`, like the real one, gives its
/// serial once.
fn taken_before(order: &Order, content: &str) -> Executed {
    if order.content != content {
        let body = AnswerBody::bare(&order.merchant_id, &order.number, WireState::Conflict);
        return Executed::refuse(409, body.because("the number stands for another order"));
    }
    if order.state != OrderState::Open {
        return Executed::answer(order.told(0));
    }
    let mut body = opened(order);
    if order.channel == "unipay_app" {
        body.state = WireState::Duplicate;
        body.handle = None;
    }
    Executed::answer(body)
}

/// An open order, with what the payer needs.
fn opened(order: &Order) -> AnswerBody {
    let mut body = order.told(0);
    body.state = WireState::Open;
    body.payment = None;
    let token = order.token("handle");
    match order.channel.as_str() {
        "ali_qrcode" => body.link = Some(format!("https://qr.sandbox.invalid/bax{}", &token[..20])),
        "wx_app" | "wx_jsapi" | "wx_mini" => body.handle = Some(format!("wx{}", &token[..34])),
        "wx_native" => {
            body.handle = Some(format!("wx{}", &token[..34]));
            body.link = Some(format!("weixin://wxpay/bizpayurl?pr={}", &token[..7]));
        }
        "wx_h5" => body.link = Some(order.h5_link()),
        _ => body.handle = Some(crate::parts::digest::digits(token.as_bytes(), 21)),
    }
    body
}

/// A query, or a close.
fn look(books: &mut Books<'_>, asked: &NumberBody, close: bool) -> Result<Executed, LedgerError> {
    let Some(mut order) = books.order(&asked.number, &asked.merchant_id)? else {
        return Ok(Executed::answer(AnswerBody::bare(&asked.merchant_id, &asked.number, WireState::NotFound)));
    };
    if close && order.channel == "unipay_web" {
        let body = AnswerBody::bare(&asked.merchant_id, &asked.number, WireState::Invalid);
        return Ok(Executed::refuse(422, body.because("the channel knows no close")));
    }
    if close && order.state == OrderState::Open {
        order.state = OrderState::Closed;
        books.put(&order);
    }
    Ok(Executed::answer(order.told(0)))
}

fn session(asked: &NumberBody, now: Timestamp) -> Executed {
    let mut body = AnswerBody::bare(&asked.merchant_id, &asked.number, WireState::Session);
    let nonce =
        hex::encode(sha256(format!("session/{}/{}/{}", asked.merchant_id, asked.number, now.millis()).as_bytes()));
    let session = serde_json::json!({
        "epochTimestamp": now.millis(),
        "expiresAt": now.after(Duration::from_mins(5)).millis(),
        "merchantIdentifier": asked.merchant_id,
        "nonce": &nonce[..16],
        "displayName": "Sandbox",
    });
    body.handle = Some(session.to_string());
    Executed::answer(body)
}

fn invalid(body: &[u8], why: &str) -> Executed {
    let answer = AnswerBody::bare(&text_field(body, "merchant_id"), &text_field(body, "number"), WireState::Invalid);
    Executed::refuse(422, answer.because(why))
}

/// A number that a merchant may give.
pub(super) fn is_number(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// What a create says, without the time it was sent: the same frozen intent gives the same body.
fn content_of(body: &[u8]) -> String {
    hex::encode(sha256(body))
}

fn text_field(body: &[u8], name: &str) -> String {
    let value: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

pub(super) fn plain(status: u16, text: &str) -> Served {
    let headers = vec![("content-type".to_owned(), "text/plain".to_owned())];
    Served::Reply(HttpReply { status, headers, body: Bytes::copy_from_slice(text.as_bytes()) })
}

fn garbage() -> Served {
    plain(200, "\u{1}\u{2}<<<not an answer")
}

fn at_door(error: DoorError) -> Served {
    let body = serde_json::to_vec(&DoorBody { error }).expect("one word");
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    Served::Reply(HttpReply { status: 401, headers, body: Bytes::from(body) })
}
