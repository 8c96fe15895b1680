//! The gateway: who asks is proved, what is asked is executed, and the answer is signed as it is written.

use bytes::Bytes;
use maxpay_engine::channel::http::HttpReply;
use maxpay_engine::model::CallKind;
use serde_json::{Map, Value, json};

use crate::parts::form::escaped;
use crate::parts::{beijing, canonical};
use crate::simulator::{How, LedgerError, Served, When, http_date};

use super::super::request::{CERTIFICATE, CLOSE, PRECREATE, QUERY, REFUND, REFUND_QUERY};
use super::super::signed::request_text;
use super::Simulator;

/// Longest request, in bytes.
const BODY_MAX: usize = 256 * 1024;

/// A request's parameters, as they came.
pub(super) struct Asked(Vec<(String, String)>);

impl Asked {
    /// Reads query and body together. `None`: a name stands in them twice.
    pub fn read(query: &str, body: &[u8]) -> Option<Self> {
        let mut pairs = canonical::read_query(query);
        pairs.extend(canonical::read_query(std::str::from_utf8(body).ok()?));
        let mut names: Vec<_> = pairs.iter().map(|(name, _)| name.clone()).collect();
        names.sort();
        names.windows(2).all(|two| two[0] != two[1]).then_some(Self(pairs))
    }

    pub fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(have, _)| have == name).map_or("", |(_, value)| value)
    }

    /// `biz_content`; empty where it is no object.
    pub fn biz(&self) -> Map<String, Value> {
        serde_json::from_str(self.text("biz_content")).unwrap_or_default()
    }
}

impl Simulator {
    /// Serves one request to the gateway, by its query and its body. What was executed is durable when this returns.
    pub fn handle(&self, query: &str, body: &[u8]) -> Served {
        if body.len() > BODY_MAX {
            return plain(413, "the request is too long");
        }
        let Some(asked) = Asked::read(query, body) else { return plain(400, "the request cannot be read") };
        if matches!(asked.text("method"), "alipay.trade.page.pay" | "alipay.trade.wap.pay") {
            return self.open_page(&asked);
        }
        let (call, biz) = (call_of(asked.text("method")), asked.biz());
        let name =
            if matches!(call, CallKind::Refund | CallKind::QueryRefund) { "out_request_no" } else { "out_trade_no" };
        let fault = self.faults.take(call, text(&biz, name));
        if let Some((When::BeforeExecution, how)) = fault {
            match how {
                How::NotSent => return Served::NotSent,
                How::Lost => return Served::Lost,
                How::Status(status) => return plain(status, "a gateway says no"),
                How::Garbage => return garbage(),
                How::Busy | How::Late(_) | How::Duplicated | How::Unsigned | How::Forged => {}
            }
        }
        if let Err((code, sub_code)) = self.at_the_door(&asked) {
            // The gateway cannot tell who asks, and does not sign.
            let error = json!({ "code": code, "msg": "Invalid Arguments", "sub_code": sub_code, "sub_msg": "refused" });
            return self.reply(json!({ "error_response": error }).to_string());
        }
        if let Some((When::BeforeExecution, How::Busy)) = fault {
            let object = json!({ "code": "40005", "msg": "Call Limited", "sub_code": "isv.app-call-limited",
                "out_trade_no": text(&biz, "out_trade_no") });
            return self.signed(&asked, &object, None);
        }
        let mut done = self.execute(&asked, &biz);
        if matches!(fault, Some((_, How::Duplicated))) {
            done = self.execute(&asked, &biz);
        }
        match done {
            Ok(object) => self.signed(&asked, &object, fault.map(|(_, how)| how)),
            Err(error) => {
                tracing::error!(%error, "the simulated Alipay cannot use its books");
                plain(500, "the books are closed")
            }
        }
    }

    /// As strict as the gateway: known application, RSA2, a readable time, and a signature over exactly what came.
    pub(super) fn at_the_door(&self, asked: &Asked) -> Result<(), (&'static str, &'static str)> {
        let missing =
            [("app_id", "isv.missing-app-id"), ("method", "isv.missing-method"), ("sign", "isv.missing-signature")];
        for (name, sub_code) in missing {
            if asked.text(name).is_empty() {
                return Err(("40001", sub_code));
            }
        }
        if self.keys.seller(asked.text("app_id")).is_none() {
            return Err(("40002", "isv.invalid-app-id"));
        }
        if asked.text("sign_type") != "RSA2" || asked.text("charset") != "utf-8" || asked.text("version") != "1.0" {
            return Err(("40002", "isv.invalid-signature-type"));
        }
        let certificates = (asked.text("app_cert_sn"), asked.text("alipay_root_cert_sn"));
        if !self.keys.admits(asked.text("app_id"), &request_text(&asked.0), asked.text("sign"), certificates) {
            return Err(("40002", "isv.invalid-signature"));
        }
        if beijing::read_spaced(asked.text("timestamp")).is_none() {
            return Err(("40002", "isv.invalid-timestamp"));
        }
        Ok(())
    }

    fn execute(&self, asked: &Asked, biz: &Map<String, Value>) -> Result<Value, LedgerError> {
        let _visit = self.enter();
        let app_id = asked.text("app_id");
        match asked.text("method") {
            PRECREATE => self.precreate(asked, biz),
            QUERY => self.query(app_id, biz),
            CLOSE => self.close(app_id, biz),
            REFUND => self.refund(app_id, biz),
            REFUND_QUERY => self.refund_query(app_id, biz),
            CERTIFICATE => Ok(self.certificate(biz)),
            _ => Ok(json!({ "code": "40002", "msg": "Invalid Arguments", "sub_code": "isv.invalid-method" })),
        }
    }

    /// The answer, with slashes escaped as Alipay's are, signed as it is written.
    fn signed(&self, asked: &Asked, object: &Value, fault: Option<How>) -> Served {
        let object = object.to_string().replace('/', "\\/");
        let rotations = self.rotations().unwrap_or(0);
        let (sign, number) = self.keys.sign(&object, rotations, fault == Some(How::Forged));
        let number = number.map_or_else(String::new, |number| format!(r#","alipay_cert_sn":"{number}""#));
        let sign = if fault == Some(How::Unsigned) { String::new() } else { format!(r#","sign":"{sign}""#) };
        let root = format!("{}_response", asked.text("method").replace('.', "_"));
        let served = self.reply(format!(r#"{{"{root}":{object}{number}{sign}}}"#));
        let Served::Reply(reply) = served else { return served };
        match fault {
            None | Some(How::Unsigned | How::Forged | How::Busy | How::Duplicated) => Served::Reply(reply),
            Some(How::Late(wait)) => Served::Late(wait, reply),
            Some(How::Lost | How::NotSent) => Served::Lost,
            Some(How::Status(status)) => plain(status, "something went wrong"),
            Some(How::Garbage) => garbage(),
        }
    }

    fn reply(&self, body: String) -> Served {
        let headers = vec![
            ("content-type".to_owned(), "text/html;charset=utf-8".to_owned()),
            ("date".to_owned(), http_date(self.now())),
        ];
        Served::Reply(HttpReply { status: 200, headers, body: Bytes::from(body) })
    }

    fn open_page(&self, asked: &Asked) -> Served {
        match self.admit(asked) {
            Ok(number) => {
                let html = format!(
                    "<!DOCTYPE html><meta charset=\"utf-8\"><title>Cashier</title><p>Order {} is open.</p>",
                    escaped(&number)
                );
                let headers = vec![("content-type".to_owned(), "text/html; charset=utf-8".to_owned())];
                Served::Reply(HttpReply { status: 200, headers, body: Bytes::from(html) })
            }
            Err(error) => plain(400, &error.to_string()),
        }
    }
}

/// The text of that name; empty where there is none.
pub(super) fn text<'b>(biz: &'b Map<String, Value>, name: &str) -> &'b str {
    biz.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn call_of(method: &str) -> CallKind {
    match method {
        PRECREATE => CallKind::Create,
        QUERY => CallKind::Query,
        CLOSE => CallKind::Close,
        REFUND => CallKind::Refund,
        REFUND_QUERY => CallKind::QueryRefund,
        _ => CallKind::Maintain,
    }
}

fn plain(status: u16, text: &str) -> Served {
    let headers = vec![("content-type".to_owned(), "text/plain".to_owned())];
    Served::Reply(HttpReply { status, headers, body: Bytes::copy_from_slice(text.as_bytes()) })
}

fn garbage() -> Served {
    plain(200, "\u{1}\u{2}<<<not an answer")
}
