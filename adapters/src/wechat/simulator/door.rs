//! Who asks, and how answers and notices are signed.

use bytes::Bytes;
use maxpay_engine::channel::http::HttpReply;

use super::super::certificates::KEY_ID_PREFIX;
use super::super::sealed;
use super::super::signature::{
    NONCE, SCHEME, SERIAL, SIGNATURE, SIGNATURE_TYPE, TIMESTAMP, WINDOW, message_text, request_text, sign,
};
use super::super::wire::{RefusedBody, SealedText};
use super::keys::KeyPair;
use super::{Merchant, Simulator};

/// What an execution answers.
pub(super) struct Executed {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Executed {
    pub fn json(status: u16, body: &impl serde::Serialize) -> Self {
        Self { status, body: serde_json::to_vec(body).expect("a struct of texts and numbers") }
    }

    pub fn refuse(status: u16, code: &str, message: &str) -> Self {
        Self::json(status, &RefusedBody { code: code.to_owned(), message: message.to_owned() })
    }
}

impl Simulator {
    /// The merchant who signed the request.
    pub(super) fn at_the_door(
        &self,
        method: &str,
        target: &str,
        headers: &[(String, String)],
        body: &[u8],
    ) -> Result<Merchant, &'static str> {
        let value = header(headers, "authorization").ok_or("Authorization is missing")?;
        let rest = value.strip_prefix(SCHEME).and_then(|rest| rest.strip_prefix(' ')).ok_or("another scheme")?;
        let field = |name: &str| {
            rest.split(',').find_map(|pair| {
                let (key, value) = pair.split_once('=')?;
                if key.trim() == name { value.strip_prefix('"')?.strip_suffix('"') } else { None }
            })
        };
        let fields = ["mchid", "nonce_str", "timestamp", "serial_no", "signature"].map(field);
        let [Some(mchid), Some(nonce), Some(timestamp), Some(serial), Some(signature)] = fields else {
            return Err("Authorization lacks a field");
        };
        let merchant = self.merchant(mchid).ok_or("the merchant does not exist")?;
        let key = merchant.api_keys.iter().find(|key| key.serial == serial).ok_or("the serial number is unknown")?;
        let seconds: u64 = timestamp.parse().map_err(|_| "the timestamp is none")?;
        // Looked at before the signature is.
        if self.now().seconds().abs_diff(seconds) > WINDOW.as_secs() {
            return Err("Http头Authorization中的timestamp与发起请求的时间不得超过5分钟");
        }
        if !(1..=32).contains(&nonce.len()) {
            return Err("the nonce is too long");
        }
        // A server may have taken the path of its own address off.
        let prefix = self.base_url.splitn(4, '/').nth(3).map(|path| format!("/{path}")).unwrap_or_default();
        let holds = [target.to_owned(), format!("{prefix}{target}")].iter().any(|target| {
            let text = request_text(&method.to_ascii_uppercase(), target, seconds, nonce, body);
            key.public.verifies_sha256_base64(&text, signature)
        });
        if header(headers, "accept").is_none() || header(headers, "user-agent").is_none() {
            return Err("Accept and User-Agent are wanted");
        }
        if holds { Ok(merchant) } else { Err("the signature is wrong") }
    }

    /// The key that signs the answer: the one the request asked for, else the newest platform certificate's.
    pub(super) fn answering(&self, headers: &[(String, String)]) -> (String, KeyPair) {
        let keys = self.keys();
        match header(headers, "wechatpay-serial") {
            Some(wanted) if wanted.starts_with(KEY_ID_PREFIX) => keys.public_of(wanted),
            Some(_) | None => {
                let newest = keys.newest();
                (newest.serial.clone(), newest.clone())
            }
        }
    }

    /// Header names and values that sign a body now.
    pub(in crate::wechat) fn signed(&self, serial: &str, key: &KeyPair, body: &[u8]) -> Vec<(String, String)> {
        let (timestamp, nonce) = (self.now().seconds().to_string(), self.random(32));
        let signature = sign(&key.private, &message_text(&timestamp, &nonce, body));
        [
            ("content-type", "application/json; charset=utf-8".to_owned()),
            (TIMESTAMP, timestamp),
            (NONCE, nonce),
            (SIGNATURE, signature),
            (SIGNATURE_TYPE, SCHEME.to_owned()),
            (SERIAL, serial.to_owned()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }

    pub(super) fn reply(&self, serial: &str, key: &KeyPair, executed: &Executed) -> HttpReply {
        let headers = self.signed(serial, key, &executed.body);
        HttpReply { status: executed.status, headers, body: Bytes::copy_from_slice(&executed.body) }
    }

    pub(in crate::wechat) fn sealed(
        &self,
        text: &[u8],
        associated_data: &str,
        merchant: &Merchant,
    ) -> Option<SealedText> {
        sealed::seal(text, associated_data, &self.random(sealed::NONCE_LENGTH), &merchant.api_v3_key)
    }

    /// So many hexadecimal digits, at most 64.
    pub(super) fn random(&self, digits: usize) -> String {
        let mut bytes = [0; 32];
        self.entropy.fill(&mut bytes);
        hex::encode(bytes)[..digits].to_owned()
    }
}

/// An answer without a signature.
pub(super) fn unsigned(executed: &Executed) -> HttpReply {
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    HttpReply { status: executed.status, headers, body: Bytes::copy_from_slice(&executed.body) }
}

pub(super) fn header<'h>(headers: &'h [(String, String)], name: &str) -> Option<&'h str> {
    headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}
