//! The keys of the simulated Alipay and of its merchants: made when asked for, never the same twice.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maxpay_engine::model::Timestamp;
use maxpay_engine::secrets::Secret;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::parts::rsa::{PrivateKey, PublicKey};
use crate::simulator::authority::{Authority, Says, new_key};

use super::super::certificates::{Leaf, Roots};

/// How Alipay and its merchants prove themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyMode {
    /// By public keys.
    PublicKey,
    /// By certificates.
    Certificates,
}

/// Alipay's keys and its merchants'. Its `Debug` shows application ids only.
pub struct Keys {
    mode: KeyMode,
    /// In certificate mode the other one signs after a rotation. A public key of Alipay's stays as it is.
    alipay: [Signing; 2],
    merchants: Vec<Merchant>,
    /// The root bundle, as text and read; in certificate mode.
    roots: (String, String),
    stranger: Arc<PrivateKey>,
}

struct Signing {
    key: Arc<PrivateKey>,
    pem: String,
    number: String,
}

struct Merchant {
    app_id: String,
    seller_id: String,
    /// In public-key mode the merchant uses the other one after a rotation. Requests under both are taken.
    keys: [(Secret, Arc<PublicKey>); 2],
    pem: String,
    number: String,
}

/// Keys as a service keeps them: private keys in base64 of PKCS#8, certificates with their class as PEM.
#[derive(Serialize, Deserialize)]
pub(super) struct KeptKeys {
    alipay: [(String, String); 2],
    merchants: Vec<KeptMerchant>,
    roots: String,
    stranger: String,
}

#[derive(Serialize, Deserialize)]
struct KeptMerchant {
    app_id: String,
    seller_id: String,
    keys: [String; 2],
    pem: String,
}

impl KeptKeys {
    /// New keys for Alipay and for these merchants, each an application id and a seller id of 16 digits.
    pub fn make(merchants: &[(&str, &str)]) -> Self {
        let root_key = read(&new_key());
        let root = Authority::root(Arc::clone(&root_key), says("CN=Simulated Authority R1,OU=CA,O=Ant,C=CN", 1, true));
        let class = |number: u64| {
            let name = format!("CN=Simulated Authority Class {number} R1,OU=CA,O=Ant,C=CN");
            root.below(Arc::clone(&root_key), says(&name, number + 1, true))
        };
        let (merchants_class, alipay_class) = (class(1), class(2));
        let papers = |class: &Authority, subject: &str, serial, key: &Secret| {
            let leaf = class.issue(says(subject, serial, false), &read(key));
            format!("{}{}", leaf.pem(), class.certificate().pem())
        };
        let signing = |serial| {
            let key = new_key();
            let pem = papers(&alipay_class, "CN=Simulated Alipay-2088,OU=Alipay,C=CN", serial, &key);
            (written(&key), pem)
        };
        let merchant = |(app_id, seller_id): &(&str, &str)| {
            let keys = [new_key(), new_key()];
            let pem = papers(&merchants_class, &format!("CN={seller_id}-{app_id},C=CN"), 500, &keys[0]);
            let keys = keys.map(|key| written(&key));
            KeptMerchant { app_id: (*app_id).to_owned(), seller_id: (*seller_id).to_owned(), keys, pem }
        };
        Self {
            alipay: [signing(100), signing(101)],
            merchants: merchants.iter().map(merchant).collect(),
            roots: root.certificate().pem(),
            stranger: written(&new_key()),
        }
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({:?}, {:?})", self.mode, self.merchants.iter().map(|it| &it.app_id).collect::<Vec<_>>())
    }
}

impl Keys {
    /// New keys for Alipay and for these merchants, each an application id and a seller id of 16 digits.
    ///
    /// # Panics
    /// When the machine has no randomness.
    #[must_use]
    pub fn generate(mode: KeyMode, merchants: &[(&str, &str)]) -> Self {
        Self::read(mode, &KeptKeys::make(merchants)).expect("they were just made")
    }

    /// The keys that were kept. `None`: they were damaged.
    pub(super) fn read(mode: KeyMode, kept: &KeptKeys) -> Option<Self> {
        let open = |text: &str| STANDARD.decode(text).ok().map(Secret::from_bytes);
        let key = |text: &str| PrivateKey::read(&open(text)?).ok();
        let number = |pem: &str| Leaf::read(pem.as_bytes()).ok().map(|leaf| leaf.number.clone());
        let signing =
            |(text, pem): &(String, String)| Some(Signing { key: key(text)?, number: number(pem)?, pem: pem.clone() });
        let pair = |text: &str| {
            let public = PublicKey::read(key(text)?.public_der()).ok()?;
            Some((open(text)?, public))
        };
        let merchant = |kept: &KeptMerchant| {
            Some(Merchant {
                app_id: kept.app_id.clone(),
                seller_id: kept.seller_id.clone(),
                keys: [pair(&kept.keys[0])?, pair(&kept.keys[1])?],
                number: number(&kept.pem)?,
                pem: kept.pem.clone(),
            })
        };
        let roots = Roots::read(kept.roots.as_bytes()).ok()?.number.clone();
        Some(Self {
            mode,
            alipay: [signing(&kept.alipay[0])?, signing(&kept.alipay[1])?],
            merchants: kept.merchants.iter().map(merchant).collect::<Option<_>>()?,
            roots: (kept.roots.clone(), roots),
            stranger: key(&kept.stranger)?,
        })
    }

    /// All settings of a merchant's account, secret ones too, as an integrator saves them in test mode, after so many
    /// rotations. Empty for an application that is not known.
    #[must_use]
    pub fn settings(&self, app_id: &str, gateway: &str, rotations: usize) -> Map<String, Value> {
        let Some(merchant) = self.merchant(app_id) else { return Map::new() };
        let mut settings = json!({
            "app_id": merchant.app_id,
            "seller_id": merchant.seller_id,
            "gateway": gateway,
            "private_key": STANDARD.encode(self.key(merchant, rotations).expose()),
        });
        let signing = self.signing(rotations);
        match self.mode {
            KeyMode::PublicKey => settings["alipay_public_key"] = STANDARD.encode(signing.key.public_info_der()).into(),
            KeyMode::Certificates => {
                settings["app_cert"] = merchant.pem.clone().into();
                settings["alipay_cert"] = signing.pem.clone().into();
                settings["alipay_root_cert"] = self.roots.0.clone().into();
            }
        }
        settings.as_object().cloned().unwrap_or_default()
    }

    /// Public keys or certificates.
    #[must_use]
    pub fn mode(&self) -> KeyMode {
        self.mode
    }

    fn merchant(&self, app_id: &str) -> Option<&Merchant> {
        self.merchants.iter().find(|merchant| merchant.app_id == app_id)
    }

    fn signing(&self, rotations: usize) -> &Signing {
        match self.mode {
            KeyMode::PublicKey => &self.alipay[0],
            KeyMode::Certificates => &self.alipay[rotations % self.alipay.len()],
        }
    }

    fn key<'m>(&self, merchant: &'m Merchant, rotations: usize) -> &'m Secret {
        match self.mode {
            KeyMode::PublicKey => &merchant.keys[rotations % merchant.keys.len()].0,
            KeyMode::Certificates => &merchant.keys[0].0,
        }
    }

    /// The seller of an application. `None`: it is not known.
    pub(super) fn seller(&self, app_id: &str) -> Option<&str> {
        self.merchant(app_id).map(|merchant| merchant.seller_id.as_str())
    }

    /// Whether the application's key signed this, and the request names the right certificates.
    pub(super) fn admits(&self, app_id: &str, text: &str, sign: &str, certificates: (&str, &str)) -> bool {
        let Some(merchant) = self.merchant(app_id) else { return false };
        let named = match self.mode {
            KeyMode::PublicKey => true,
            KeyMode::Certificates => certificates == (merchant.number.as_str(), self.roots.1.as_str()),
        };
        named && merchant.keys.iter().any(|(_, public)| public.verifies_sha256_base64(text.as_bytes(), sign))
    }

    /// Alipay's signature, or a stranger's, and the number of the certificate in certificate mode.
    pub(super) fn sign(&self, text: &str, rotations: usize, forged: bool) -> (String, Option<String>) {
        let signing = self.signing(rotations);
        let key = if forged { &self.stranger } else { &signing.key };
        let number = (self.mode == KeyMode::Certificates).then(|| signing.number.clone());
        (key.sign_sha256_base64(text.as_bytes()), number)
    }

    /// The certificate of that number.
    pub(super) fn certificate(&self, number: &str) -> Option<&str> {
        self.alipay.iter().find(|signing| signing.number == number).map(|signing| signing.pem.as_str())
    }
}

fn read(secret: &Secret) -> Arc<PrivateKey> {
    PrivateKey::read(secret).expect("a key that was just made")
}

fn written(secret: &Secret) -> String {
    STANDARD.encode(secret.expose())
}

fn says(subject: &str, serial: u64, authority: bool) -> Says<'_> {
    // From 2020 on, longer than any test or demonstration lasts.
    let from = Timestamp::from_millis(1_577_836_800_000);
    Says { subject, serial, from, life: Duration::from_hours(24 * 365 * 60), authority }
}
