//! Credentials as headers carry them: bearer keys of the native API, and the original API's headers under their three
//! generations of names.

use maxpay_engine::api::{Credential, Proof};
use maxpay_engine::secrets::Secret;

use super::inbound::Inbound;

/// Prefixes of the original API's headers; an earlier one wins over a later one.
const PREFIXES: [&str; 3] = ["x-ml-", "x-las-", "x-zcloud-"];

/// Longest credential taken, in bytes.
const LONGEST: usize = 512;

/// The bearer key of a request.
pub(super) fn bearer(inbound: &Inbound) -> Option<Credential> {
    let (scheme, key) = inbound.header("authorization")?.split_once(' ')?;
    let key = key.trim();
    let fits = scheme.eq_ignore_ascii_case("bearer") && !key.is_empty() && key.len() <= LONGEST;
    fits.then(|| Credential::Bearer(Secret::from_text(key)))
}

/// What the original API's headers show.
pub(super) enum Original {
    /// An app id and proofs.
    Shown(Credential),
    /// No app id, or one that is none.
    NoApp,
    /// An app id alone.
    NoProof,
    /// A request sign that is not one, and nothing else.
    BadSign,
}

/// Reads the original API's headers. Which proof is tried first follows the original gateway: session token, master
/// key, API key, client key; a request sign stands beside them, so that a valid one lets its request in.
pub(super) fn original(inbound: &Inbound) -> Original {
    let Some(app_id) = original_header(inbound, "appid").and_then(|text| text.parse().ok()) else {
        return Original::NoApp;
    };
    let secret = |name: &str| original_header(inbound, name).map(Secret::from_text);
    let mut proofs = Vec::new();
    proofs.extend(secret("session-token").map(Proof::SessionToken));
    proofs.extend(secret("masterkey").map(Proof::MasterKey));
    proofs.extend(secret("apikey").map(Proof::ApiKey));
    proofs.extend(secret("clientkey").map(Proof::ClientKey));
    let sign = original_header(inbound, "request-sign").map(read_sign);
    let bad_sign = matches!(sign, Some(None));
    proofs.extend(sign.flatten());
    match (proofs.is_empty(), bad_sign) {
        (true, true) => Original::BadSign,
        (true, false) => Original::NoProof,
        (false, _) => Original::Shown(Credential::App { app_id, proofs }),
    }
}

/// A header of the original API under its newest name that is there and not empty.
fn original_header<'a>(inbound: &'a Inbound, name: &str) -> Option<&'a str> {
    PREFIXES
        .iter()
        .find_map(|prefix| inbound.header(&format!("{prefix}{name}")))
        .filter(|value| !value.is_empty() && value.len() <= LONGEST)
}

/// Reads `X-ML-Request-Sign`: `<digest>,<timestamp>` or `<digest>,<timestamp>,master`. `None`: it is none.
pub fn read_sign(text: &str) -> Option<Proof> {
    let mut parts = text.split(',').map(str::trim);
    let (digest, timestamp) = (parts.next()?.to_ascii_lowercase(), parts.next()?);
    let master = match parts.next() {
        None => false,
        Some("master") => true,
        Some(_) => return None,
    };
    let is_digest = [32, 64].contains(&digest.len()) && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_time = (1..=16).contains(&timestamp.len()) && timestamp.bytes().all(|byte| byte.is_ascii_digit());
    (is_digest && is_time && parts.next().is_none()).then(|| Proof::Sign {
        digest,
        timestamp: timestamp.to_owned(),
        master,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use actix_web::test::TestRequest;

    use super::super::settings::ProxyTrust;
    use super::*;

    const APP: &str = "569d84a0169e7d00012c7afe";
    const DIGEST: &str = "08041bb9f95f39390cf5f17067f12bf0";

    #[test]
    fn headers_have_three_generations_of_names_in_any_case() {
        // Each old name works, the newest one wins, and an app id that is none is no app.
        for (headers, wanted) in [
            (vec![("X-ML-AppId", APP), ("X-ML-Session-Token", "t")], "session"),
            (vec![("x-ml-appid", APP), ("X-ML-MasterKey", "k")], "master"),
            (vec![("X-LAS-AppId", APP), ("X-LAS-Session-Token", "t")], "session"),
            (vec![("X-ZCloud-AppId", APP), ("X-ZCloud-APIKey", "k")], "api"),
            (vec![("X-ML-AppId", APP), ("X-LAS-AppId", "nonsense"), ("X-ML-ClientKey", "k")], "client"),
            (vec![("X-ML-AppId", "nonsense"), ("X-LAS-AppId", APP), ("X-ML-ClientKey", "k")], "no app"),
            (vec![("X-ML-AppId", APP)], "no proof"),
            (vec![("X-ML-AppId", APP), ("X-ML-Session-Token", " ")], "no proof"),
            (vec![("X-ML-ClientKey", "k")], "no app"),
            (vec![("X-ML-AppId", APP), ("X-ML-Request-Sign", "abc,1")], "bad sign"),
            (vec![("X-ML-AppId", APP), ("X-ML-Request-Sign", "abc,1"), ("X-ML-APIKey", "k")], "api"),
            (vec![("X-ML-AppId", APP), ("X-ML-APIKey", "k"), ("X-ML-Session-Token", "t")], "session api"),
        ] {
            assert_eq!(shown(&headers), wanted, "{headers:?}");
        }
    }

    #[test]
    fn signs_have_two_parts_or_three() {
        // Digest and time, and `master` alone as a third part; md5 or sha256, in either case of digits.
        let long = "a".repeat(64);
        for (text, wanted) in [
            (format!("{DIGEST},1795377908118"), Some(false)),
            (format!("{DIGEST},1795377908118,master"), Some(true)),
            (format!("{},1795377908118", DIGEST.to_uppercase()), Some(false)),
            (format!("{long},1"), Some(false)),
            (format!("{DIGEST},1795377908118,client"), None),
            (format!("{DIGEST},1795377908118,master,x"), None),
            (format!("{DIGEST},"), None),
            (format!("{DIGEST},17x"), None),
            (DIGEST.to_owned(), None),
            ("zz,1".to_owned(), None),
        ] {
            let read = read_sign(&text).map(|proof| matches!(proof, Proof::Sign { master: true, .. }));
            assert_eq!(read, wanted, "{text}");
        }
    }

    #[test]
    fn bearer_keys_are_read_from_authorization() {
        // The scheme's case does not matter; another scheme or an empty key is no key.
        for (value, there) in [
            ("Bearer sk_test_1", true),
            ("bearer  sk_test_1", true),
            ("Basic abc", false),
            ("Bearer ", false),
            ("x", false),
        ] {
            let request = TestRequest::default().insert_header(("authorization", value)).to_http_request();
            let inbound = Inbound::new(request, &ProxyTrust::nobody(), Duration::ZERO, String::new);
            assert_eq!(bearer(&inbound).is_some(), there, "{value}");
        }
    }

    fn shown(headers: &[(&str, &str)]) -> String {
        let mut request = TestRequest::default();
        for header in headers {
            request = request.append_header(*header);
        }
        let inbound = Inbound::new(request.to_http_request(), &ProxyTrust::nobody(), Duration::ZERO, String::new);
        match original(&inbound) {
            Original::NoApp => "no app".to_owned(),
            Original::NoProof => "no proof".to_owned(),
            Original::BadSign => "bad sign".to_owned(),
            Original::Shown(Credential::Bearer(_)) => "bearer".to_owned(),
            Original::Shown(Credential::App { proofs, .. }) => {
                let name = |proof: &Proof| match proof {
                    Proof::SessionToken(_) => "session",
                    Proof::MasterKey(_) => "master",
                    Proof::ApiKey(_) => "api",
                    Proof::ClientKey(_) => "client",
                    Proof::Sign { .. } => "sign",
                };
                proofs.iter().map(name).collect::<Vec<_>>().join(" ")
            }
        }
    }
}
