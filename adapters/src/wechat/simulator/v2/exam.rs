//! The simulated provider as the exam of v2 sees it.

use std::sync::Arc;

use maxpay_engine::channel::http::HttpClient;
use maxpay_engine::channel::{Acknowledgement, Adapter, RawNotification};
use maxpay_engine::model::{PayerAction, Timestamp};
use maxpay_engine::secrets::Secret;
use serde_json::{Map, Value, json};

use crate::conformance::{
    About, BookOrder, Candidate, Feature, Lack, Merchant, Play, Provider, Seal, Stage, rotated, rotations,
};
use crate::simulator::FaultPlan;
use crate::wechat::account::{APPID, BASE_URL, CERTIFICATE, MCHID, PRIVATE_KEY};
use crate::wechat::v2::account::{API_KEY, HMAC, MD5, SIGN_TYPE};
use crate::wechat::v2::signature::{Fields, sign};
use crate::wechat::v2::{ADAPTER, WeChatV2};

use super::super::exam::{books, opened, played, queued, sent, tick};
use super::super::stock::{appid, key, mchid, provider_keys};
use super::super::{IN_PROCESS, Simulator, SimulatorClient, SimulatorParts};
use super::notices::{Content, text};
use super::{Merchant as Enrolled, is_acknowledged};

/// How an account signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignType {
    /// With MD5, as the oldest accounts do.
    Md5,
    /// With HMAC-SHA256.
    HmacSha256,
}

impl SignType {
    fn name(self) -> &'static str {
        match self {
            Self::Md5 => MD5,
            Self::HmacSha256 => HMAC,
        }
    }
}

/// WeChat Pay v2, for the exam: once with each kind of signature.
#[derive(Debug, Clone, Copy)]
pub struct WeChatV2Candidate(pub SignType);

impl Candidate for WeChatV2Candidate {
    fn name(&self) -> String {
        format!("{ADAPTER}, {}", self.0.name())
    }

    fn adapter(&self) -> Arc<dyn Adapter> {
        Arc::new(WeChatV2::new())
    }

    fn lacks(&self) -> Vec<Lack> {
        let lack = |feature, why| Lack { feature, code: None, why };
        vec![
            lack(Feature::Decline, "a declined try leaves an order NOTPAY and is not told of (chapter 9_2)"),
            lack(Feature::Probes, "only v3 tests whether signatures are checked"),
            lack(Feature::NoticeAge, "a notice has no time of its own but the payment's (chapter 9_7)"),
            lack(Feature::AnswerEcho, "the answers to an order and to a close name no order (chapters 9_1 and 9_3)"),
        ]
    }

    fn open(&self, stage: Stage) -> Result<Arc<dyn Provider>, String> {
        let simulator = Simulator::open(SimulatorParts {
            base_url: IN_PROCESS.to_owned(),
            ledger: stage.ledger,
            clock: stage.clock,
            entropy: stage.entropy,
            keys: provider_keys(0),
        });
        let examined = Examined { simulator, sign_type: self.0.name() };
        for merchant in [Merchant::First, Merchant::Other] {
            examined.enrol(merchant);
        }
        Ok(Arc::new(examined))
    }
}

const FIRST_KEY: u32 = 1;
const OTHER_KEY: u32 = 0;

/// The API key of that number: 32 letters and digits.
fn api_key(number: u32) -> String {
    format!("a1b2c3d4e5f6g7h8i9j0k1l2m3n4{number:04}")
}

struct Examined {
    simulator: Arc<Simulator>,
    sign_type: &'static str,
}

impl Examined {
    /// Newest first.
    fn api_keys(&self, merchant: Merchant) -> Vec<String> {
        match merchant {
            Merchant::First => {
                (0..=rotations(&self.simulator.ledger)).rev().map(|it| api_key(FIRST_KEY + it)).collect()
            }
            Merchant::Other => vec![api_key(OTHER_KEY)],
        }
    }

    fn enrol(&self, merchant: Merchant) {
        self.simulator.enrol_v2(Enrolled {
            mchid: mchid(merchant).to_owned(),
            appids: vec![appid(merchant).to_owned()],
            api_keys: self.api_keys(merchant).iter().map(|key| Secret::from_text(key)).collect(),
            certificate: Some(key(merchant).clone()),
        });
    }

    fn opens(&self, handle: &str, action: &PayerAction) -> bool {
        let prepay = format!("wx{}", &handle[..34]);
        let parameters = match action {
            PayerAction::QrText { text } => return text.ends_with(&handle[..9]),
            PayerAction::Redirect { url } => return url.contains(&prepay),
            PayerAction::Prepay { parameters } => parameters,
            PayerAction::AppOrder { .. } | PayerAction::Form { .. } | PayerAction::WalletSession { .. } => {
                return false;
            }
        };
        let value = |name: &str| parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let named = |handle: &str| handle == prepay || handle == format!("prepay_id={prepay}");
        let is_of_it = value("prepayid").or(value("package")).is_some_and(named);
        // A code comes with its bare handle, which opens nothing by itself.
        let Some(signature) = value("sign").or(value("paySign")) else { return is_of_it && parameters.len() == 1 };
        let signed: Fields = parameters.iter().filter(|(name, _)| name != "paySign").cloned().collect();
        let keys = self.api_keys(Merchant::First);
        let holds = keys.iter().any(|key| sign(&signed, self.sign_type, &Secret::from_text(key)) == signature);
        is_of_it && holds
    }
}

impl Provider for Examined {
    fn settings(&self, merchant: Merchant) -> Map<String, Value> {
        let settings = json!({
            (MCHID): mchid(merchant),
            (APPID): appid(merchant),
            (BASE_URL): IN_PROCESS,
            (SIGN_TYPE): self.sign_type,
            (API_KEY): self.api_keys(merchant).first(),
            (PRIVATE_KEY): key(merchant).private_pem(),
            (CERTIFICATE): key(merchant).certificate_pem(),
        });
        settings.as_object().cloned().unwrap_or_default()
    }

    fn client(&self) -> Arc<dyn HttpClient> {
        Arc::new(SimulatorClient::new(Arc::clone(&self.simulator), None))
    }

    fn faults(&self) -> &FaultPlan {
        self.simulator.faults()
    }

    fn play(&self, number: &str, play: Play<'_>) -> Result<(), String> {
        if let Play::Open(action) = play {
            return opened(&self.simulator, number, |handle| self.opens(handle, &action.action));
        }
        played(&self.simulator, number, play)
    }

    fn notice(&self, about: About<'_>, seal: Seal) -> Option<RawNotification> {
        if seal == Seal::Probe {
            return None;
        }
        let mut queued = queued(&self.simulator, about, seal)?;
        if matches!(about, About::Unmapped(_)) {
            let mut content: Content = serde_json::from_str(&queued.content).ok()?;
            let result = content.open.iter_mut().find(|(name, _)| name == "result_code")?;
            "SEIZED".clone_into(&mut result.1);
            queued.content = text(&content);
        }
        sent(&self.simulator, &queued)
    }

    fn is_acknowledged(&self, answer: &Acknowledgement) -> bool {
        is_acknowledged(answer.status, &answer.body)
    }

    fn rotate(&self) -> Option<Map<String, Value>> {
        rotated(&self.simulator.ledger)?;
        self.enrol(Merchant::First);
        Some(self.settings(Merchant::First))
    }

    fn tick(&self) {
        tick(&self.simulator);
    }

    fn falls_due(&self) -> Option<Timestamp> {
        self.simulator.next_due().ok().flatten()
    }

    fn books(&self) -> Vec<BookOrder> {
        books(&self.simulator)
    }
}
