//! The requests that arrive: sessions by their path, the acquirer's by its own, each under the fault plan.

use std::time::Duration;

use bytes::Bytes;
use maxpay_engine::channel::http::HttpReply;
use maxpay_engine::model::{CallKind, Timestamp};
use maxpay_engine::secrets::Secret;
use serde::Deserialize;
use serde_json::Value;

use crate::parts::digest::sha256;
use crate::simulator::{How, LedgerError, Served, When};

use super::super::acquirer::wire::{
    self, AnswerBody, BackBody, DoorError, NumberBody, Refused, SIGNATURE_HEADER, Signed, State,
};
use super::super::session;
use super::answers::{after, at_door, broken, closed, plain};
use super::books::{BackRow, Books, ChargeRow, RowState, bare, trade_number};
use super::{CARDS, PayerCard, Simulator, acquirer_merchant};

/// Longest body of a request, in bytes.
const BODY_MAX: usize = 256 * 1024;
/// How long after a payment refunds are taken.
const REFUND_WINDOW: Duration = Duration::from_hours(365 * 24);
/// Refunds of one payment.
const REFUNDS_MAX: usize = 50;
const PATHS: [&str; 6] = [wire::CHARGE, wire::QUERY, wire::VOID, wire::QUERY_VOID, wire::REFUND, wire::QUERY_REFUND];

/// A charge as it arrives.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChargeAsked {
    merchant_id: String,
    number: String,
    #[expect(dead_code, reason = "part of what is signed; the books do not need it")]
    numbered_at: Timestamp,
    amount: u64,
    currency: String,
    #[expect(dead_code, reason = "shown to the payer by a real acquirer")]
    subject: String,
    expires_at: Timestamp,
    wallet: String,
    #[serde(default)]
    network: Option<String>,
    #[serde(default)]
    card: Option<CardAsked>,
    #[serde(default)]
    token: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CardAsked {
    number: String,
    expires: String,
    #[serde(default)]
    cryptogram: Option<String>,
    #[serde(default)]
    eci: Option<String>,
    #[serde(default)]
    emv_data: Option<String>,
    #[serde(default)]
    #[expect(dead_code, reason = "for the issuer")]
    encrypted_pin: Option<String>,
}

/// What an execution answers, and what becomes of the answer.
struct Executed {
    status: u16,
    body: AnswerBody,
    is_lost: bool,
}

impl Executed {
    fn answer(body: AnswerBody) -> Self {
        Self { status: 200, body, is_lost: false }
    }

    fn refuse(status: u16, body: AnswerBody) -> Self {
        Self { status, body, is_lost: false }
    }
}

impl Simulator {
    /// Serves one request: `target` is the path with its query, `identity` the certificate the client proved itself with
    /// in the TLS handshake, DER. Header names are compared without case. What was executed is durable when this returns.
    pub fn handle(
        &self,
        method: &str,
        target: &str,
        headers: &[(String, String)],
        body: &[u8],
        identity: Option<&[u8]>,
    ) -> Served {
        let path = target.split('?').next().unwrap_or_default();
        let is_session = path.ends_with(session::PATH);
        // The longest that fits, because one path is the beginning of two others.
        let known = PATHS.into_iter().filter(|known| path.ends_with(known)).max_by_key(|known| known.len());
        if !is_session && known.is_none() {
            return plain(404, "there is nothing here");
        }
        if !method.eq_ignore_ascii_case("POST") {
            return plain(405, "another method is wanted");
        }
        if body.len() > BODY_MAX {
            return plain(413, "the request is too long");
        }
        match known {
            Some(path) => self.acquire(path, headers, body),
            None => self.give_session(body, identity),
        }
    }

    fn give_session(&self, body: &[u8], identity: Option<&[u8]>) -> Served {
        let fault = self.faults.take(CallKind::PayerSession, "");
        if let Some((When::BeforeExecution, how)) = fault
            && let Some(served) = broken(how)
        {
            return served;
        }
        match self.session(body, identity) {
            Ok(reply) => after(fault.map(|(_, how)| how), reply),
            Err(error) => closed(&error),
        }
    }

    fn acquire(&self, path: &'static str, headers: &[(String, String)], body: &[u8]) -> Served {
        let number = text_field(body, "number");
        let fault = self.faults.take(call_of(path), &number);
        if let Some((When::BeforeExecution, how)) = fault
            && let Some(served) = broken(how)
        {
            return served;
        }
        let key = match self.at_the_door(path, headers, body) {
            Ok(Ok(key)) => key,
            Ok(Err(error)) => return at_door(error),
            Err(error) => return closed(&error),
        };
        if let Some((When::BeforeExecution, How::Busy)) = fault {
            let answer = bare(&text_field(body, "merchant_id"), &number, State::Busy, Some("too much to do"));
            return self.signed(path, &key, &Executed::refuse(429, answer), None);
        }
        let mut executed = self.execute(path, body);
        if matches!(fault, Some((_, How::Duplicated))) {
            executed = self.execute(path, body);
        }
        match executed {
            Ok(executed) => {
                let lost = executed.is_lost.then_some(How::Lost);
                self.signed(path, &key, &executed, fault.map(|(_, how)| how).or(lost))
            }
            Err(error) => closed(&error),
        }
    }

    /// The key under which the request was signed.
    fn at_the_door(
        &self,
        path: &str,
        headers: &[(String, String)],
        body: &[u8],
    ) -> Result<Result<Secret, DoorError>, LedgerError> {
        let asking = text_field(body, "merchant_id");
        let merchants = self.ledger.rows::<super::MerchantRow>("merchant/", usize::MAX)?;
        let is_asking = |key: &str| acquirer_merchant(key.trim_start_matches("merchant/")) == asking;
        let Some((_, merchant)) = merchants.into_iter().find(|(key, _)| is_asking(key)) else {
            return Ok(Err(DoorError::UnknownMerchant));
        };
        let keys: Vec<_> =
            merchant.generations.iter().map(|generation| Secret::from_text(&generation.acquirer_secret)).collect();
        let header = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(SIGNATURE_HEADER));
        let header = header.map(|(_, value)| value.as_str());
        Ok(match wire::verify(&keys, Signed::Request(path), header, self.now(), body) {
            Ok((_, key)) => Ok(key.clone()),
            Err(Refused::Stale) => Err(DoorError::StaleSignature),
            Err(Refused::Missing | Refused::Malformed | Refused::Wrong) => Err(DoorError::BadSignature),
        })
    }

    fn execute(&self, path: &str, body: &[u8]) -> Result<Executed, LedgerError> {
        let _visit = self.enter();
        let mut books = Books::open(&self.ledger, self.now());
        let executed = match path {
            wire::CHARGE => match serde_json::from_slice::<ChargeAsked>(body) {
                Ok(asked) => charge(&mut books, &asked, content_of(body))?,
                Err(_) => invalid(body),
            },
            wire::VOID | wire::REFUND => match serde_json::from_slice::<BackBody>(body) {
                Ok(asked) => give_back(&mut books, &asked, path == wire::VOID, content_of(body))?,
                Err(_) => invalid(body),
            },
            _ => match serde_json::from_slice::<NumberBody>(body) {
                Ok(asked) => look(&books, path, &asked)?,
                Err(_) => invalid(body),
            },
        };
        books.commit()?;
        Ok(executed)
    }

    fn signed(&self, path: &str, key: &Secret, executed: &Executed, fault: Option<How>) -> Served {
        let body = serde_json::to_vec(&executed.body).expect("answers are structs of texts and numbers");
        let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        let stranger = Secret::from_text("a key that is not the acquirer's");
        let key = if fault == Some(How::Forged) { &stranger } else { key };
        if fault != Some(How::Unsigned) {
            let signature = wire::sign(key, Signed::Reply(path, executed.status), self.now(), &body);
            headers.push((SIGNATURE_HEADER.to_owned(), signature));
        }
        after(fault, HttpReply { status: executed.status, headers, body: Bytes::from(body) })
    }
}

fn call_of(path: &str) -> CallKind {
    match path {
        wire::CHARGE => CallKind::Authorize,
        wire::VOID => CallKind::Void,
        wire::REFUND => CallKind::Refund,
        wire::QUERY_VOID | wire::QUERY_REFUND => CallKind::QueryRefund,
        _ => CallKind::Query,
    }
}

fn charge(books: &mut Books<'_>, asked: &ChargeAsked, content: String) -> Result<Executed, LedgerError> {
    if let Some(known) = books.charge(&asked.merchant_id, &asked.number)? {
        return Ok(taken_before(&known.content, &content, known.told()));
    }
    let refused = |why| Executed::answer(bare(&asked.merchant_id, &asked.number, State::Declined, Some(why)));
    if books.now >= asked.expires_at {
        return Ok(refused("the order expired before it arrived"));
    }
    if asked.wallet != "apple_pay" || asked.network.as_ref().is_some_and(String::is_empty) {
        return Ok(refused("no such wallet or network"));
    }
    let Some((card, cryptogram)) = proof(asked) else {
        return Ok(refused("neither a card with its cryptogram, nor a token"));
    };
    if books.cryptogram(&asked.merchant_id, &cryptogram)?.is_some() {
        return Ok(refused("the cryptogram was used before"));
    }
    books.use_cryptogram(&asked.merchant_id, &cryptogram, &asked.number);
    let mut row = ChargeRow {
        merchant_id: asked.merchant_id.clone(),
        number: asked.number.clone(),
        content,
        asked: asked.amount,
        currency: asked.currency.clone(),
        expires_at: asked.expires_at,
        made_at: books.now,
        state: RowState::Processing,
        reason: None,
        payments: Vec::new(),
        returned: None,
        is_held: false,
    };
    match card {
        PayerCard::Approve | PayerCard::AnswerLost => row.pay(asked.amount, books.now),
        PayerCard::Decline => {
            row.state = RowState::Declined;
            row.reason = Some("the card's bank declines".to_owned());
        }
        PayerCard::Undecided => {}
    }
    books.put_charge(&row);
    Ok(Executed { status: 200, body: row.told(), is_lost: card == PayerCard::AnswerLost })
}

/// What the card does, and what may be used once.
fn proof(asked: &ChargeAsked) -> Option<(PayerCard, String)> {
    match (&asked.card, &asked.token) {
        (Some(card), None) => {
            let does = CARDS.iter().find(|(_, number)| *number == card.number).map(|(does, _)| *does)?;
            let proof = card.cryptogram.clone().filter(|_| card.eci.is_some()).or(card.emv_data.clone())?;
            (card.expires.len() == 6).then_some((does, proof))
        }
        // Opening it again is for an acquirer that holds the processing key; this one takes the merchant's word.
        (None, Some(token)) => {
            let token: Value = serde_json::from_str(token).ok()?;
            Some((PayerCard::Approve, token.pointer("/paymentData/header/transactionId")?.as_str()?.to_owned()))
        }
        (Some(_), Some(_)) | (None, None) => None,
    }
}

fn give_back(books: &mut Books<'_>, asked: &BackBody, is_void: bool, content: String) -> Result<Executed, LedgerError> {
    if let Some(known) = books.back(&asked.merchant_id, &asked.number)? {
        return Ok(taken_before(&known.content, &content, known.told()));
    }
    let refused = |why| Executed::answer(bare(&asked.merchant_id, &asked.number, State::Declined, Some(why)));
    let Some(charge) = books.charge(&asked.merchant_id, &asked.charge_number)? else {
        return Ok(refused("there is no such charge"));
    };
    let paid = charge.payments.iter().find(|payment| payment.trade_number == asked.trade_number);
    let Some(paid) = paid.filter(|_| charge.currency == asked.currency) else {
        return Ok(refused("the charge has no such payment"));
    };
    let backs = books.backs(&asked.merchant_id, &asked.charge_number)?;
    let returned = charge.returned.as_ref().map_or(0, |(_, amount)| *amount);
    let gone: u64 = backs.iter().map(|back| back.amount).sum::<u64>().saturating_add(returned);
    if is_void && (gone > 0 || asked.amount != paid.amount) {
        return Ok(refused("a void takes back the whole of a payment of which nothing went back"));
    }
    if is_void && !same_day(paid.at, books.now) {
        return Ok(refused("the day of the payment is over: refund it"));
    }
    if !is_void && books.now.since(paid.at) > REFUND_WINDOW {
        return Ok(refused("the payment is too old to be refunded"));
    }
    if backs.len() >= REFUNDS_MAX {
        return Ok(refused("there are as many refunds of the payment as there may be"));
    }
    if asked.amount == 0 || gone.saturating_add(asked.amount) > paid.amount {
        return Ok(refused("more than is left of the payment"));
    }
    if charge.is_held {
        // It is not accepted: the same again is executed when there is money.
        let why = "the merchant's balance is too small";
        return Ok(Executed::answer(bare(&asked.merchant_id, &asked.number, State::Held, Some(why))));
    }
    let kind = if is_void { "void" } else { "refund" };
    let row = BackRow {
        merchant_id: asked.merchant_id.clone(),
        number: asked.number.clone(),
        content,
        charge_number: asked.charge_number.clone(),
        is_void,
        amount: asked.amount,
        currency: asked.currency.clone(),
        state: RowState::Done,
        reason: None,
        trade_number: trade_number(kind, &asked.merchant_id, &asked.number, 0),
        at: books.now,
    };
    books.put_back(&row);
    Ok(Executed::answer(row.told()))
}

/// Voids end at 23:00 UTC of the payment's day.
fn same_day(paid_at: Timestamp, now: Timestamp) -> bool {
    const DAY: u64 = 24 * 3600;
    paid_at.seconds() / DAY == now.seconds() / DAY && now.seconds() % DAY < 23 * 3600
}

fn taken_before(known: &str, content: &str, told: AnswerBody) -> Executed {
    if known == content {
        return Executed::answer(told);
    }
    let body = bare(&told.merchant_id, &told.number, State::Conflict, Some("the number stands for something else"));
    Executed::refuse(409, body)
}

fn look(books: &Books<'_>, path: &str, asked: &NumberBody) -> Result<Executed, LedgerError> {
    let told = if path == wire::QUERY {
        books.charge(&asked.merchant_id, &asked.number)?.map(|row| row.told())
    } else {
        let row = books.back(&asked.merchant_id, &asked.number)?;
        row.filter(|row| row.is_void == (path == wire::QUERY_VOID)).map(|row| row.told())
    };
    Ok(Executed::answer(told.unwrap_or_else(|| bare(&asked.merchant_id, &asked.number, State::NotFound, None))))
}

fn invalid(body: &[u8]) -> Executed {
    let (merchant_id, number) = (text_field(body, "merchant_id"), text_field(body, "number"));
    Executed::refuse(422, bare(&merchant_id, &number, State::Invalid, Some("the request cannot be read")))
}

/// What was asked, whenever it was sent: the same words give the same text. The digest tells nothing of a card, because
/// the cryptogram is in it too.
fn content_of(body: &[u8]) -> String {
    hex::encode(sha256(body))
}

fn text_field(body: &[u8], name: &str) -> String {
    let value: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}
