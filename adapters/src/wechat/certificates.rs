//! The keys that WeChat Pay signs with: its public key, which the merchant stores, and platform certificates, which are
//! downloaded. Both may be in use at once, because notifications move from one to the other over days (4012154180).

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maxpay_engine::channel::http::{HttpReply, HttpRequest};
use maxpay_engine::channel::{Answer, Context, Interpreted, Material, Outcome};
use maxpay_engine::model::{CallKind, Timestamp};
use serde::{Deserialize, Serialize};

use crate::parts::rsa::PublicKey;
use crate::parts::x509::Certificate;

use super::account;
use super::codes;
use super::request;
use super::sealed;
use super::signature::{Proof, proof};
use super::wire::{self, CertificateBody, CertificatesBody, RefusedBody};

/// How key ids of public keys begin; everything else is a certificate's serial number.
pub(super) const KEY_ID_PREFIX: &str = "PUB_KEY_ID_";

/// The one piece of material: all platform certificates that are known.
pub(super) const MATERIAL: &str = "platform-certificates";

/// So many are kept; WeChat Pay lists one, or two while they change.
const KEPT_MAX: usize = 8;

/// A list that is younger than this is not fetched again for a notification that anybody could have sent. Shorter than the
/// 15 seconds after which WeChat Pay repeats one for the first time (4012791861), so that keys which changed just after a
/// fetch are known by then.
const LATELY: Duration = Duration::from_secs(10);

/// What [`MATERIAL`] holds.
#[derive(Serialize, Deserialize)]
struct Kept {
    fetched_at: Timestamp,
    certificates: Vec<Platform>,
}

/// What is needed of a platform certificate.
#[derive(Serialize, Deserialize)]
struct Platform {
    /// Upper-case hexadecimal digits.
    serial: String,
    not_before: Timestamp,
    not_after: Timestamp,
    /// Base64 of the SubjectPublicKeyInfo.
    public_key: String,
}

impl Platform {
    fn is_valid(&self, now: Timestamp) -> bool {
        self.not_before <= now && now <= self.not_after
    }

    fn key(&self) -> Option<Arc<PublicKey>> {
        PublicKey::read(&STANDARD.decode(&self.public_key).ok()?).ok()
    }
}

fn kept(context: &Context<'_>) -> Option<Kept> {
    let material = context.material.iter().find(|material| material.name == MATERIAL)?;
    serde_json::from_slice(&material.bytes).ok()
}

/// Whether any platform certificate is known that is valid now.
pub(super) fn any_valid(context: &Context<'_>) -> bool {
    kept(context).is_some_and(|kept| kept.certificates.iter().any(|platform| platform.is_valid(context.now)))
}

/// Whether the list was fetched so lately that a key it lacks is nobody's.
pub(super) fn fetched_lately(context: &Context<'_>) -> bool {
    kept(context).is_some_and(|kept| context.now.since(kept.fetched_at) < LATELY)
}

/// Whether a key that is not known may be a platform certificate that can be downloaded.
pub(super) fn is_downloadable(serial: &str) -> bool {
    !serial.starts_with(KEY_ID_PREFIX)
        && (8..=64).contains(&serial.len())
        && serial.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The keys of that serial number or key id: the account's own of all revisions, and downloaded ones that are valid now.
pub(super) fn keys(serial: &str, context: &Context<'_>) -> Vec<Arc<PublicKey>> {
    if serial.starts_with(KEY_ID_PREFIX) {
        return account::public_keys(context).filter(|(id, _)| *id == serial).filter_map(|(_, key)| key).collect();
    }
    let certificates = kept(context).map(|kept| kept.certificates).unwrap_or_default();
    of_serial(serial, context.now, &certificates)
}

fn of_serial(serial: &str, now: Timestamp, certificates: &[Platform]) -> Vec<Arc<PublicKey>> {
    let named = certificates.iter().filter(|platform| same_serial(&platform.serial, serial));
    named.filter(|platform| platform.is_valid(now)).filter_map(Platform::key).collect()
}

/// Whether two texts are one serial number: zeros in front are written by some and left out by others.
fn same_serial(left: &str, right: &str) -> bool {
    left.trim_start_matches('0').eq_ignore_ascii_case(right.trim_start_matches('0'))
}

/// The request for the list. `None`: the account cannot sign one.
pub(super) fn request(context: &Context<'_>) -> Option<HttpRequest> {
    request::get(wire::CERTIFICATES, context)
}

/// Reads the list. The first one cannot be verified before it is opened: it is opened first, under the APIv3 key, and
/// then the answer is verified with what was found in it (4012551764).
pub(super) fn learn(reply: &HttpReply, context: &Context<'_>) -> Interpreted {
    if reply.status != 200 {
        let outcome = match wire::read::<RefusedBody>(&reply.body) {
            Some(body) => {
                let refusal = codes::Refusal { status: reply.status, code: &body.code, message: &body.message };
                codes::refusal(CallKind::Maintain, &refusal)
            }
            None => Outcome::Unknown(format!("platform certificates: status {}", reply.status)),
        };
        return Interpreted::Done(Answer::bare(outcome));
    }
    match learned(reply, context) {
        Ok(material) => Interpreted::Learned(vec![material]),
        Err(why) => Interpreted::Done(Answer::bare(Outcome::Unknown(format!("platform certificates: {why}")))),
    }
}

fn learned(reply: &HttpReply, context: &Context<'_>) -> Result<Material, &'static str> {
    let list = wire::read::<CertificatesBody>(&reply.body).ok_or("the answer cannot be read")?;
    if list.data.is_empty() || list.data.len() > KEPT_MAX {
        return Err("the list is empty or too long");
    }
    let mut found = Vec::new();
    for listed in &list.data {
        found.push(opened(listed, context)?);
    }
    let find = |serial: &str| {
        let mut keys = of_serial(serial, context.now, &found);
        keys.extend(self::keys(serial, context));
        keys
    };
    match proof(|name| reply.header(name), &reply.body, context.now, find) {
        Proof::Holds(_) => {}
        Proof::Unsigned => return Err("the answer is not signed"),
        Proof::UnknownKey(_) => return Err("the answer is signed by a certificate that is not in it"),
        Proof::Broken(why) => return Err(why),
    }
    // One that is not listed any more is kept while it is valid: an answer signed with it may be on its way.
    let before = kept(context).map(|kept| kept.certificates).unwrap_or_default();
    for old in before.into_iter().filter(|old| old.not_after >= context.now) {
        if found.iter().all(|new| new.serial != old.serial) {
            found.push(old);
        }
    }
    found.truncate(KEPT_MAX);
    let kept = Kept { fetched_at: context.now, certificates: found };
    let bytes = serde_json::to_vec(&kept).expect("texts and times can be written");
    Ok(Material { name: MATERIAL.to_owned(), bytes })
}

fn opened(listed: &CertificateBody, context: &Context<'_>) -> Result<Platform, &'static str> {
    let pem = account::api_keys(context)
        .find_map(|key| sealed::open(&listed.encrypt_certificate, key))
        .ok_or("a certificate does not open under api_v3_key")?;
    let certificate = Certificate::read_one(pem.expose()).map_err(|_| "what was sealed is no certificate")?;
    let serial = certificate.serial_hex();
    if !same_serial(&serial, &listed.serial_no) {
        return Err("a certificate has another serial number than the list says");
    }
    let platform = Platform {
        serial,
        not_before: certificate.not_before(),
        not_after: certificate.not_after(),
        public_key: STANDARD.encode(certificate.public_key()),
    };
    if platform.key().is_none() {
        return Err("a certificate holds no RSA key");
    }
    Ok(platform)
}
