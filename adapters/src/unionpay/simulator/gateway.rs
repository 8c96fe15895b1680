//! The door: who asks is proved, faults strike, and what is answered is signed.

use bytes::Bytes;
use maxpay_engine::channel::http::HttpReply;
use maxpay_engine::model::{CallKind, Timestamp};

use crate::parts::form::escaped;
use crate::parts::rsa::PublicKey;
use crate::parts::x509::Certificate;
use crate::simulator::{How, LedgerError, Served, When, http_date};

use super::super::message::{Message, RSA};
use super::super::request::{APP_ORDER, BACK, FRONT, QUERY, TYPE_QUERY, TYPE_REFUND, VERSION};
use super::Simulator;
use super::authority::Signer;

/// Longest body of a request, in bytes.
const BODY_MAX: usize = 256 * 1024;
const PATHS: [&str; 4] = [FRONT, BACK, APP_ORDER, QUERY];

/// A response code with its text, and what else is said.
pub(super) struct Said {
    pub code: &'static str,
    pub text: &'static str,
    pub more: Vec<(&'static str, String)>,
}

impl Said {
    pub fn code(code: &'static str, text: &'static str) -> Self {
        Self { code, text, more: Vec::new() }
    }
}

impl Simulator {
    /// Serves one request: `target` is the path with its query. What was executed is durable when this returns.
    pub fn handle(&self, method: &str, target: &str, body: &[u8]) -> Served {
        let (path, _) = target.split_once('?').unwrap_or((target, ""));
        let Some(path) = PATHS.into_iter().find(|known| path.ends_with(known)) else {
            return plain(404, "there is nothing here", self.now());
        };
        if !method.eq_ignore_ascii_case("POST") {
            return plain(405, "another method is wanted", self.now());
        }
        if body.len() > BODY_MAX {
            return plain(413, "the request is too long", self.now());
        }
        let Some(message) = Message::read_form(body) else {
            return plain(400, "the request cannot be read", self.now());
        };
        if path == FRONT {
            return self.cashier(&message);
        }
        let fault = self.faults.take(call_of(path, &message), message.field("orderId"));
        match fault {
            Some((When::BeforeExecution, How::NotSent)) => return Served::NotSent,
            Some((When::BeforeExecution, How::Lost)) => return Served::Lost,
            Some((When::BeforeExecution, How::Status(status))) => {
                return plain(status, "<html>a gateway says no</html>", self.now());
            }
            Some((When::BeforeExecution, How::Garbage)) => return garbage(self.now()),
            Some((When::BeforeExecution, How::Busy)) => {
                return self.reply(&message, &Said::code("02", "系统未开放或暂时关闭，请稍后再试"), None);
            }
            Some(_) | None => {}
        }
        let fault = fault.map(|(_, how)| how);
        let mut said = self.at_the_door(path, &message);
        if fault == Some(How::Duplicated) {
            said = self.at_the_door(path, &message);
        }
        match said {
            Ok(said) => self.reply(&message, &said, fault),
            Err(error) => {
                tracing::error!(%error, "the simulated UnionPay cannot use its books");
                plain(500, "the books are closed", self.now())
            }
        }
    }

    fn at_the_door(&self, path: &str, message: &Message) -> Result<Said, LedgerError> {
        match self.proved(message)? {
            Some(refused) => Ok(refused),
            None => self.execute(path, message),
        }
    }

    /// Why the request is not its merchant's. `None`: it is.
    pub(super) fn proved(&self, message: &Message) -> Result<Option<Said>, LedgerError> {
        let needed = ["version", "signMethod", "certId", "merId", "orderId", "txnTime", "txnType", "signature"];
        if !message.has(&needed) {
            return Ok(Some(Said::code("13", "报文交易要素缺失")));
        }
        if message.field("version") != VERSION || message.field("signMethod") != RSA {
            return Ok(Some(Said::code("10", "报文格式错误")));
        }
        let known = self.certificates_of(message.field("merId"))?;
        if known.is_empty() {
            return Ok(Some(Said::code("31", "商户状态不正确")));
        }
        let signed = known.iter().filter_map(|pem| Certificate::read_one(pem.as_bytes()).ok()).any(|certificate| {
            // certId is the serial number in decimal.
            certificate.serial_decimal() == message.field("certId")
                && PublicKey::read(certificate.public_key()).is_ok_and(|key| {
                    key.verifies_sha256_base64(message.signing_text().as_bytes(), message.field("signature"))
                })
        });
        Ok((!signed).then(|| Said::code("11", "验证签名失败")))
    }

    fn reply(&self, asked: &Message, said: &Said, fault: Option<How>) -> Served {
        let now = self.now();
        let echoed = ["merId", "orderId", "txnTime", "txnType", "txnSubType", "bizType", "accessType"];
        let mut pairs: Vec<_> = echoed.map(|name| (name.to_owned(), asked.field(name).to_owned())).into();
        pairs.push(("respCode".to_owned(), said.code.to_owned()));
        pairs.push(("respMsg".to_owned(), format!("{}[{}000000]", said.text, said.code)));
        // Later ones take the place of earlier ones: a query's answer has the type of what was asked about.
        pairs.extend(said.more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        let signer = if fault == Some(How::Forged) { &self.authority.stranger } else { self.signer() };
        let mut answer = signed(Message::of(pairs), signer).pairs();
        if fault == Some(How::Unsigned) {
            answer.retain(|(name, _)| name != "signature");
        }
        let reply = unencoded(answer, now);
        match fault {
            None | Some(How::Unsigned | How::Forged | How::Busy | How::Duplicated) => Served::Reply(reply),
            Some(How::Late(wait)) => Served::Late(wait, reply),
            Some(How::Lost | How::NotSent) => Served::Lost,
            Some(How::Status(status)) => plain(status, "<html>something went wrong</html>", now),
            Some(How::Garbage) => garbage(now),
        }
    }

    /// The payer's browser brings the form.
    fn cashier(&self, message: &Message) -> Served {
        match self.admit(message) {
            Ok(number) => {
                let html = format!(
                    "<!DOCTYPE html><meta charset=\"utf-8\"><title>UnionPay</title><p>Order {} is open.</p>",
                    escaped(&number)
                );
                Served::Reply(with_date(200, "text/html; charset=utf-8", html, self.now()))
            }
            Err(error) => plain(400, &error.to_string(), self.now()),
        }
    }
}

/// A message of UnionPay's, under a certificate.
pub(super) fn signed(mut message: Message, signer: &Signer) -> Message {
    message.set("version", VERSION);
    message.set("encoding", "UTF-8");
    message.set("signMethod", RSA);
    // With the line ends of the real ones, which are signed as well.
    message.set("signPubKeyCert", signer.certificate.pem().trim_end().replace('\n', "\r\n"));
    message.signed(&signer.key)
}

/// An answer as it goes over the wire: not url-encoded.
fn unencoded(pairs: Vec<(String, String)>, now: Timestamp) -> HttpReply {
    let body: Vec<_> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    with_date(200, "text/html;charset=UTF-8", body.join("&"), now)
}

/// An answer of these values, signed by UnionPay.
#[cfg(test)]
pub(in super::super) fn sign_answer(authority: &super::Authority, message: Message) -> HttpReply {
    unencoded(signed(message, &authority.signers[0]).pairs(), Timestamp::from_millis(0))
}

fn call_of(path: &str, message: &Message) -> CallKind {
    match (path, message.field("txnType")) {
        (QUERY, TYPE_QUERY) if message.field("orderId").len() > 26 => CallKind::QueryRefund,
        (QUERY, _) => CallKind::Query,
        (BACK, TYPE_REFUND) => CallKind::Refund,
        (BACK, _) => CallKind::Void,
        _ => CallKind::Create,
    }
}

fn with_date(status: u16, content_type: &str, body: impl Into<Bytes>, now: Timestamp) -> HttpReply {
    let headers = vec![("content-type".to_owned(), content_type.to_owned()), ("date".to_owned(), http_date(now))];
    HttpReply { status, headers, body: body.into() }
}

pub(super) fn plain(status: u16, text: &str, now: Timestamp) -> Served {
    Served::Reply(with_date(status, "text/html", text.to_owned(), now))
}

fn garbage(now: Timestamp) -> Served {
    plain(200, "\u{1}\u{2}<<<not an answer", now)
}
