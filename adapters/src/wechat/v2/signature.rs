//! The signature over fields: all that are not empty, sorted, with the key behind them, digested in upper-case
//! hexadecimal (wiki/doc/api/jsapi.php?chapter=4_3).

use maxpay_engine::secrets::Secret;
use md5::{Digest, Md5};

use crate::parts::digest::{hmac_sha256, same};

use super::account::{HMAC, MD5};

/// Name and value of every field.
pub(in crate::wechat) type Fields = Vec<(String, String)>;

/// The value of a field, if it is there and not empty.
pub(in crate::wechat) fn value<'f>(fields: &'f [(String, String)], name: &str) -> Option<&'f str> {
    fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
}

/// The signature of that type.
pub(in crate::wechat) fn sign(fields: &[(String, String)], kind: &str, key: &Secret) -> String {
    let mut sorted: Vec<_> = fields.iter().filter(|(name, value)| name != "sign" && !value.is_empty()).collect();
    sorted.sort();
    let mut text = Vec::new();
    for (name, value) in sorted {
        text.extend_from_slice(format!("{name}={value}&").as_bytes());
    }
    text.extend_from_slice(b"key=");
    text.extend_from_slice(key.expose());
    // It holds the key: it is wiped when this returns.
    let text = Secret::from_bytes(text);
    if kind == MD5 {
        hex::encode_upper(Md5::digest(text.expose()))
    } else {
        hex::encode_upper(hmac_sha256(key, text.expose()))
    }
}

/// Whether the fields' own signature holds under one of the keys. Its length tells its type, as in WeChat Pay's answers
/// it alone does. `None`: there is none.
pub(super) fn holds<'k>(fields: &[(String, String)], mut keys: impl Iterator<Item = &'k Secret>) -> Option<bool> {
    let given = value(fields, "sign")?;
    let kind = match given.len() {
        32 => MD5,
        64 => HMAC,
        _ => return Some(false),
    };
    Some(keys.any(|key| same(&sign(fields, kind, key), given)))
}
