//! Whose keys and numbers every exam of this process uses, and how they change: making keys is slow.

use std::sync::OnceLock;

use maxpay_engine::secrets::Secret;

use crate::conformance::Merchant;

use super::Merchant as Enrolled;
use super::keys::{KeyPair, ProviderKeys};

pub(super) const FIRST: &str = "1900000109";
pub(super) const OTHER: &str = "1900000110";

/// Which keys of WeChat Pay's an account uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// Platform certificates, downloaded.
    Certificates,
    /// The public key, while notices still come under platform certificates.
    PublicKey,
    /// Platform certificates, which give way to the public key in the middle of traffic (4012154180).
    FirstPublicKey,
    /// The public key alone, and then a second one beside it. No document tells how one public key of WeChat Pay's
    /// follows another; that each has an id of its own, and that requests name it, lets them.
    SecondPublicKey,
    /// The same, and the first one is gone at once.
    NextPublicKey,
}

impl KeyKind {
    /// Whether there are public keys and no certificates, from the beginning on.
    fn is_public_only(self) -> bool {
        matches!(self, Self::SecondPublicKey | Self::NextPublicKey)
    }

    /// Whether an account has the public key after so many changes.
    pub(super) fn has_public(self, rotations: u32) -> bool {
        match self {
            Self::Certificates => false,
            Self::FirstPublicKey => rotations > 0,
            Self::PublicKey | Self::SecondPublicKey | Self::NextPublicKey => true,
        }
    }

    /// What the provider signs with after so many changes.
    pub(super) fn keys(self, rotations: u32) -> ProviderKeys {
        match self {
            Self::Certificates | Self::PublicKey => provider_keys(rotations),
            Self::FirstPublicKey => provider_keys(0),
            Self::SecondPublicKey => ProviderKeys { public: (0..=rotations).map(public).collect(), ..provider_keys(0) },
            Self::NextPublicKey => ProviderKeys { public: vec![public(rotations)], ..provider_keys(0) },
        }
    }
}

/// Keys that every exam of this process shares: making them is slow.
struct Pool {
    public: [KeyPair; 2],
    platform: [KeyPair; 2],
    merchants: [KeyPair; 2],
}

fn pool() -> &'static Pool {
    static POOL: OnceLock<Pool> = OnceLock::new();
    POOL.get_or_init(|| Pool {
        public: [KeyPair::generate("public 1"), KeyPair::generate("public 2")],
        platform: [KeyPair::generate("platform 1"), KeyPair::generate("platform 2")],
        merchants: [KeyPair::generate(FIRST), KeyPair::generate(OTHER)],
    })
}

/// The platform key after so many changes.
pub(super) fn platform(rotations: u32) -> KeyPair {
    pool().platform[usize::from(rotations % 2 == 1)].clone()
}

/// The public key after so many changes.
pub(super) fn public(rotations: u32) -> KeyPair {
    pool().public[usize::from(rotations % 2 == 1)].clone()
}

/// What the provider signs with after so many changes of its platform key.
pub(super) fn provider_keys(rotations: u32) -> ProviderKeys {
    ProviderKeys::new(public(0), (0..=rotations).map(platform).collect())
}

pub(super) fn mchid(merchant: Merchant) -> &'static str {
    match merchant {
        Merchant::First => FIRST,
        Merchant::Other => OTHER,
    }
}

pub(super) fn appid(merchant: Merchant) -> &'static str {
    match merchant {
        Merchant::First => "wxd678efh567hg6787",
        Merchant::Other => "wxd678efh567hg6788",
    }
}

pub(super) fn key(merchant: Merchant) -> &'static KeyPair {
    match merchant {
        Merchant::First => &pool().merchants[0],
        Merchant::Other => &pool().merchants[1],
    }
}

pub(super) fn api_v3_key(merchant: Merchant) -> String {
    format!("{}{}", mchid(merchant), "a1b2c3d4e5f6g7h8i9j0k1")
}

pub(super) fn enrolled(merchant: Merchant, kind: KeyKind, rotations: u32) -> Enrolled {
    Enrolled {
        mchid: mchid(merchant).to_owned(),
        appids: vec![appid(merchant).to_owned()],
        api_keys: vec![key(merchant).clone()],
        api_v3_key: Secret::from_text(&api_v3_key(merchant)),
        certificates: !kind.is_public_only(),
        notices_by_public_key: kind.is_public_only() || kind == KeyKind::FirstPublicKey && rotations > 0,
    }
}
