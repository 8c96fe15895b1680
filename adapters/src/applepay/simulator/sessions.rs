//! The server of merchant sessions: whoever asks proves by its TLS certificate who it is.

use std::sync::atomic::Ordering;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use maxpay_engine::channel::http::HttpReply;
use serde::Deserialize;

use crate::parts::digest::sha256;
use crate::simulator::LedgerError;

use super::Simulator;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SessionBody {
    merchant_identifier: String,
    display_name: String,
    initiative: String,
    initiative_context: String,
}

impl Simulator {
    /// `identity`: the certificate the client proved itself with, DER.
    pub(super) fn session(&self, body: &[u8], identity: Option<&[u8]>) -> Result<HttpReply, LedgerError> {
        let Ok(asked) = serde_json::from_slice::<SessionBody>(body) else { return Ok(refused("cannot be read")) };
        let Some(merchant) = self.merchant(&asked.merchant_identifier)? else {
            return Ok(refused("unknown merchantIdentifier"));
        };
        let is_proved = identity.map(|der| STANDARD.encode(der)).as_ref() == Some(&merchant.identity);
        if !is_proved && !self.anybody_has_sessions.load(Ordering::Relaxed) {
            return Ok(refused("unauthorized to process transactions on behalf of the merchant"));
        }
        if asked.initiative != "web" || asked.initiative_context != merchant.domain {
            return Ok(refused("the domain is not registered for the merchant"));
        }
        if !(1..=64).contains(&asked.display_name.chars().count()) {
            return Ok(refused("displayName is empty or too long"));
        }
        let now = self.now();
        let mut nonce = [0; 8];
        self.entropy.fill(&mut nonce);
        let id = hex::encode_upper(sha256(&nonce));
        let session = serde_json::json!({
            "epochTimestamp": now.millis(),
            "expiresAt": now.after(Duration::from_mins(5)).millis(),
            "merchantSessionIdentifier": format!("SSH{id}"),
            "nonce": hex::encode(nonce),
            "merchantIdentifier": hex::encode_upper(sha256(asked.merchant_identifier.as_bytes())),
            "domainName": asked.initiative_context,
            "displayName": asked.display_name,
            "signature": STANDARD.encode(id.as_bytes()),
        });
        Ok(json(200, session.to_string()))
    }
}

/// Apple's way to say no (section 4.1 of the channels' protocol notes: failures come as 417).
fn refused(why: &str) -> HttpReply {
    let body = serde_json::json!({ "statusMessage": format!("Payment Services Exception {why}"), "statusCode": "417" });
    json(417, body.to_string())
}

fn json(status: u16, body: String) -> HttpReply {
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    HttpReply { status, headers, body: Bytes::from(body) }
}
