//! WeChat Pay's side of v2: flat XML under `/pay` and `/secapi/pay`, signed under a key that both sides have.
//!
//! It is another door to the same books, faults and clock: what was ordered here is told of here. What is refused before
//! the request has proved itself, or because it cannot be read, is answered `FAIL` without a signature; everything else is
//! signed as the request was, under the same key (wiki/doc/api/jsapi.php?chapter=4_2).

mod calls;
#[cfg(feature = "conformance")]
mod exam;
mod notices;
mod offer;
#[cfg(test)]
mod tests;

use std::sync::PoisonError;

use bytes::Bytes;
use maxpay_engine::channel::http::HttpReply;
use maxpay_engine::model::CallKind;
use maxpay_engine::secrets::Secret;

use crate::parts::digest::same;
use crate::parts::x509::Certificate;
use crate::parts::xml::{self, XmlError};
use crate::simulator::{LedgerError, Served, http_date};
use crate::wechat::v2::account::{HMAC, MD5};
use crate::wechat::v2::signature::{Fields, sign, value};

use super::Simulator;
use super::books::Books;
use super::faulted::{self, Hand};
use super::keys::KeyPair;

#[cfg(feature = "conformance")]
pub use exam::{SignType, WeChatV2Candidate};
pub(super) use notices::{is_acknowledged, of_payment, of_refund};
pub(super) use offer::{enrol, offer, renew};

/// What is said of a value that is not as the documents want it.
const MALFORMED: &str = "参数格式校验错误";

/// A merchant who has an API key of v2. Not kept in the ledger: whoever opens the provider enrols its merchants.
#[derive(Clone)]
pub struct Merchant {
    /// The merchant number.
    pub mchid: String,
    /// The app ids that are bound to it.
    pub appids: Vec<String>,
    /// The API keys whose requests are taken, newest first. An answer is signed under its request's, a notice under the
    /// newest.
    pub api_keys: Vec<Secret>,
    /// The API certificate, with which refunds prove themselves in the TLS handshake. `None`: handshakes are not looked
    /// at, because they end in front of the simulator.
    pub certificate: Option<KeyPair>,
}

/// A request that proved itself.
struct Asked {
    merchant: Merchant,
    /// Under which of its keys.
    key: Secret,
    sign_type: String,
    fields: Fields,
}

impl Asked {
    fn value(&self, name: &str) -> Option<&str> {
        value(&self.fields, name)
    }
}

/// What an execution answers.
enum Executed {
    /// What stands beside the fields that every signed answer has.
    Signed(Fields),
    /// It cannot be read: unsigned.
    Fail(&'static str),
}

impl Executed {
    fn done<const N: usize>(fields: [(&str, &str); N]) -> Self {
        Self::Signed(pairs(&[("result_code", "SUCCESS")]).into_iter().chain(pairs(&fields)).collect())
    }

    fn refused(code: &str, description: &str) -> Self {
        Self::Signed(pairs(&[("result_code", "FAIL"), ("err_code", code), ("err_code_des", description)]))
    }
}

impl Simulator {
    /// Makes a merchant of v2 known, or gives a known one other keys.
    pub fn enrol_v2(&self, merchant: Merchant) {
        let mut merchants = self.merchants_v2.lock().unwrap_or_else(PoisonError::into_inner);
        merchants.insert(merchant.mchid.clone(), merchant);
    }

    fn merchant_v2(&self, mchid: &str) -> Option<Merchant> {
        self.merchants_v2.lock().unwrap_or_else(PoisonError::into_inner).get(mchid).cloned()
    }

    /// Serves one request. `identity`: the certificate the client proved itself with, DER.
    pub(super) fn handle_v2(&self, method: &str, path: &str, body: &[u8], identity: Option<&[u8]>) -> Served {
        let Some(call) = call(path) else { return faulted::plain(404, "there is nothing here") };
        let fields = xml::read(body, "xml");
        let of =
            if matches!(call, CallKind::Refund | CallKind::QueryRefund) { "out_refund_no" } else { "out_trade_no" };
        let number = fields.as_deref().ok().and_then(|fields| value(fields, of)).unwrap_or_default();
        let fault = self.faults.take(call, number);
        if let Some(served) = faulted::on_the_way_in(fault) {
            return served;
        }
        let asked = match self.at_the_door_v2(method, fields) {
            Ok(asked) => asked,
            Err(why) => return Served::Reply(self.fail(why)),
        };
        if call == CallKind::Refund
            && let Some(refused) = self.unproved(&asked.merchant, identity)
        {
            return Served::Reply(refused);
        }
        let busy = || Executed::refused("FREQUENCY_LIMITED", "频率限制");
        let executed = faulted::executed(fault, busy, || self.execute_v2(call, &asked));
        let executed = executed.unwrap_or_else(|error| {
            tracing::error!(%error, "the simulated provider cannot use its books");
            Executed::refused("SYSTEMERROR", "系统错误")
        });
        faulted::on_the_way_out(fault, |hand| self.answer_v2(&asked, &executed, hand))
    }

    /// Who asks, by the request's own signature: the type it names, MD5 when it names none.
    fn at_the_door_v2(&self, method: &str, fields: Result<Fields, XmlError>) -> Result<Asked, &'static str> {
        if !method.eq_ignore_ascii_case("POST") {
            return Err("请使用post方法");
        }
        let fields = fields.map_err(|_| "XML格式错误")?;
        let of = |name: &str| value(&fields, name);
        let merchant = self.merchant_v2(of("mch_id").ok_or("mch_id参数格式错误")?);
        let merchant = merchant.ok_or("商户号mch_id或sub_mch_id不存在")?;
        let nonced = of("nonce_str").is_some_and(|nonce| nonce.len() <= 32);
        let sign_type = of("sign_type").unwrap_or(MD5).to_owned();
        if !nonced || of("appid").is_none() || ![MD5, HMAC].contains(&sign_type.as_str()) {
            return Err(MALFORMED);
        }
        let given = of("sign").unwrap_or_default();
        let key = merchant.api_keys.iter().find(|key| same(&sign(&fields, &sign_type, key), given)).cloned();
        let key = key.ok_or("签名错误，请检查后再试")?;
        Ok(Asked { merchant, key, sign_type, fields })
    }

    fn execute_v2(&self, call: CallKind, asked: &Asked) -> Result<Executed, LedgerError> {
        let _visit = self.enter();
        let mut books = Books::open(&self.ledger, self.now());
        let executed = match call {
            CallKind::Create => calls::order(&mut books, asked)?,
            CallKind::Query => calls::query(&mut books, asked)?,
            CallKind::Close => calls::close(&mut books, asked)?,
            CallKind::Refund => self.refund_v2(&mut books, asked)?,
            CallKind::QueryRefund => calls::query_refund(&mut books, asked)?,
            CallKind::Void
            | CallKind::Statement
            | CallKind::Maintain
            | CallKind::PayerSession
            | CallKind::Authorize
            | CallKind::Notification => Executed::Fail(MALFORMED),
        };
        books.commit()?;
        Ok(executed)
    }

    fn answer_v2(&self, asked: &Asked, executed: &Executed, hand: Hand) -> HttpReply {
        let own = match executed {
            Executed::Signed(fields) => fields,
            Executed::Fail(why) => return self.fail(why),
        };
        let mut fields = pairs(&[
            ("return_code", "SUCCESS"),
            ("return_msg", "OK"),
            ("appid", asked.value("appid").unwrap_or_default()),
            ("mch_id", &asked.merchant.mchid),
            ("nonce_str", &self.random(32)),
        ]);
        fields.extend(own.iter().cloned());
        let stranger = Secret::from_text(&self.random(32));
        let key = match hand {
            Hand::Own => Some(&asked.key),
            Hand::Stranger => Some(&stranger),
            Hand::Nobody => None,
        };
        if let Some(key) = key {
            let signature = sign(&fields, &asked.sign_type, key);
            fields.push(("sign".to_owned(), signature));
        }
        self.written_out(&fields)
    }

    /// The answer to a refund that did not prove itself in the handshake. `None`: it did.
    fn unproved(&self, merchant: &Merchant, identity: Option<&[u8]>) -> Option<HttpReply> {
        let wanted = Certificate::read_one(merchant.certificate.as_ref()?.certificate_pem().as_bytes()).ok()?;
        match identity {
            Some(identity) if identity == wanted.der() => None,
            Some(_) => Some(self.fail("证书不匹配")),
            // The gateway's own page.
            None => {
                let page = "<html><head><title>400 No required SSL certificate was sent</title></head></html>";
                let headers = vec![("content-type".to_owned(), "text/html".to_owned())];
                Some(HttpReply { status: 400, headers, body: Bytes::from_static(page.as_bytes()) })
            }
        }
    }

    fn fail(&self, why: &str) -> HttpReply {
        self.written_out(&pairs(&[("return_code", "FAIL"), ("return_msg", why)]))
    }

    fn written_out(&self, fields: &Fields) -> HttpReply {
        let headers = [("content-type", "text/plain".to_owned()), ("date", http_date(self.now()))];
        let headers = headers.map(|(name, value)| (name.to_owned(), value)).to_vec();
        HttpReply { status: 200, headers, body: Bytes::from(xml::written("xml", fields)) }
    }
}

/// What is asked, by its path. `None`: there is nothing at that address.
fn call(path: &str) -> Option<CallKind> {
    const CALLS: [(&str, CallKind); 5] = [
        ("/pay/unifiedorder", CallKind::Create),
        ("/pay/orderquery", CallKind::Query),
        ("/pay/closeorder", CallKind::Close),
        ("/secapi/pay/refund", CallKind::Refund),
        ("/pay/refundquery", CallKind::QueryRefund),
    ];
    let path = path.split('?').next().unwrap_or_default();
    CALLS.into_iter().find(|(end, _)| path.ends_with(end)).map(|(_, call)| call)
}

fn pairs(fields: &[(&str, &str)]) -> Fields {
    fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
