//! The simulated provider as the exam sees it.

use std::sync::Arc;

use futures_util::FutureExt;
use maxpay_engine::channel::http::HttpClient;
use maxpay_engine::channel::{Acknowledgement, Adapter, RawNotification};
use maxpay_engine::model::{ChannelCode, PayerAction, Timestamp};
use serde_json::{Map, Value, json};

use crate::conformance::{
    About, BookOrder, BookPayment, BookRefund, BookState, Candidate, Feature, Lack, Merchant, Play, Provider, Seal,
    Stage, rotated, rotations,
};
use crate::simulator::FaultPlan;
use crate::wechat::WeChat;

use super::super::account;
use super::super::codes::ADAPTER;
use super::super::signature::client_text;
use super::books::Books;
use super::rows::{LedgerRow, OrderState, QueuedNotice, RefundState};
use super::stock::{FIRST, KeyKind, OTHER, api_v3_key, appid, enrolled, key, mchid, platform, public};
use super::{IN_PROCESS, PayerCommand, RefundPlan, Simulator, SimulatorClient, SimulatorParts};

/// WeChat Pay v3, for the exam: once with each kind of keys.
#[derive(Debug, Clone, Copy)]
pub struct WeChatCandidate(pub KeyKind);

impl Candidate for WeChatCandidate {
    fn name(&self) -> String {
        match self.0 {
            KeyKind::Certificates => format!("{ADAPTER}, platform certificates"),
            KeyKind::PublicKey => format!("{ADAPTER}, public key"),
            KeyKind::FirstPublicKey => format!("{ADAPTER}, platform certificates, then the public key"),
            KeyKind::SecondPublicKey => format!("{ADAPTER}, public key, then a second one beside it"),
            KeyKind::NextPublicKey => format!("{ADAPTER}, public key, then another one"),
        }
    }

    fn adapter(&self) -> Arc<dyn Adapter> {
        Arc::new(WeChat::new())
    }

    /// Which keys there are has nothing to do with the code: those that only change otherwise are examined with one.
    fn codes(&self) -> Vec<ChannelCode> {
        match self.0 {
            KeyKind::Certificates | KeyKind::PublicKey => Vec::new(),
            KeyKind::FirstPublicKey | KeyKind::SecondPublicKey | KeyKind::NextPublicKey => {
                vec!["wx_native".parse().expect("a code")]
            }
        }
    }

    fn lacks(&self) -> Vec<Lack> {
        let lack = |feature, why| Lack { feature, code: None, why };
        let mut lacks = vec![
            lack(Feature::Decline, "a declined try leaves an order NOTPAY and is not told of (4012791856)"),
            lack(
                Feature::AnswerEcho,
                "an order's answer is its handle, and a close's is empty (4012791856, 4012791860)",
            ),
        ];
        if self.0 == KeyKind::NextPublicKey {
            lacks.push(lack(Feature::OldKeys, "a public key is not downloaded: it is saved, or it is not known"));
        }
        lacks
    }

    fn open(&self, stage: Stage) -> Result<Arc<dyn Provider>, String> {
        let rotations = rotations(&stage.ledger);
        let simulator = Simulator::open(SimulatorParts {
            base_url: IN_PROCESS.to_owned(),
            ledger: stage.ledger,
            clock: stage.clock,
            entropy: stage.entropy,
            keys: self.0.keys(rotations),
        });
        for merchant in [Merchant::First, Merchant::Other] {
            simulator.enrol(enrolled(merchant, self.0, rotations));
        }
        Ok(Arc::new(Examined { simulator, kind: self.0 }))
    }
}

struct Examined {
    simulator: Arc<Simulator>,
    kind: KeyKind,
}

impl Provider for Examined {
    fn settings(&self, merchant: Merchant) -> Map<String, Value> {
        let mut settings = json!({
            (account::MCHID): mchid(merchant),
            (account::APPID): appid(merchant),
            (account::BASE_URL): IN_PROCESS,
            (account::PRIVATE_KEY): key(merchant).private_pem(),
            (account::CERTIFICATE): key(merchant).certificate_pem(),
            (account::API_V3_KEY): api_v3_key(merchant),
        });
        if self.kind.has_public(rotations(&self.simulator.ledger)) {
            let keys = self.simulator.keys();
            settings[account::PUBLIC_KEY] = keys.public_pem().into();
            settings[account::PUBLIC_KEY_ID] = keys.public_key_id().into();
        }
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
            return opened(&self.simulator, number, |handle| opens(handle, &action.action));
        }
        played(&self.simulator, number, play)
    }

    fn notice(&self, about: About<'_>, seal: Seal) -> Option<RawNotification> {
        let mut queued = queued(&self.simulator, about, seal)?;
        if matches!(about, About::Unmapped(_)) {
            "TRANSACTION.SEIZED".clone_into(&mut queued.event);
        }
        queued.probe = seal == Seal::Probe;
        sent(&self.simulator, &queued)
    }

    fn is_acknowledged(&self, answer: &Acknowledgement) -> bool {
        matches!(answer.status, 200 | 204)
    }

    fn rotate(&self) -> Option<Map<String, Value>> {
        let rotations = rotated(&self.simulator.ledger)?;
        match self.kind {
            KeyKind::Certificates | KeyKind::PublicKey => {
                self.simulator.rotate(platform(rotations));
                return None;
            }
            KeyKind::FirstPublicKey => self.simulator.enrol(enrolled(Merchant::First, self.kind, rotations)),
            KeyKind::SecondPublicKey => self.simulator.rotate_public(public(rotations), true),
            KeyKind::NextPublicKey => self.simulator.rotate_public(public(rotations), false),
        }
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

fn opens(handle: &str, action: &PayerAction) -> bool {
    let prepay = format!("wx{}", &handle[..34]);
    let parameters = match action {
        PayerAction::QrText { text } => return text.ends_with(&handle[..9]),
        PayerAction::Redirect { url } => return url.contains(&prepay),
        PayerAction::Prepay { parameters } => parameters,
        PayerAction::AppOrder { .. } | PayerAction::Form { .. } | PayerAction::WalletSession { .. } => return false,
    };
    let value = |name: &str| parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let is_app = value("prepayid").is_some();
    let fields = if is_app {
        ["appid", "timestamp", "noncestr", "prepayid", "sign"]
    } else {
        ["appId", "timeStamp", "nonceStr", "package", "paySign"]
    };
    let [Some(appid), Some(timestamp), Some(nonce), Some(last), Some(signature)] = fields.map(value) else {
        return false;
    };
    let wanted = if is_app { prepay } else { format!("prepay_id={prepay}") };
    let text = client_text(appid, timestamp, nonce, last);
    last == wanted && key(Merchant::First).public.verifies_sha256_base64(text.as_bytes(), signature)
}

/// Everything that is played but opening.
pub(super) fn played(simulator: &Simulator, number: &str, play: Play<'_>) -> Result<(), String> {
    let command = match play {
        Play::Pay => PayerCommand::Pay,
        Play::PayOther(money) => PayerCommand::PayOther(money.minor()),
        Play::PayLate => PayerCommand::PayLate,
        Play::Return => PayerCommand::Refund,
        Play::Hold => {
            simulator.plan_refund(RefundPlan::NotEnough);
            return Ok(());
        }
        Play::Strand => {
            simulator.plan_refund(RefundPlan::Ends(RefundState::Abnormal));
            return Ok(());
        }
        // What holds a refund holds one: nothing has to be done to release it.
        Play::Release => return Ok(()),
        Play::Decline | Play::Open(_) => return Err("a declined try is not told of".to_owned()),
    };
    simulator.payer(number, command).map(drop).map_err(|why| why.to_string())
}

/// The phone or the page checks what it is handed: that the merchant signed it, over a handle of this order. An older
/// handle opens the same order; whether it can still be paid by it is the provider's matter.
pub(super) fn opened(simulator: &Simulator, number: &str, opens: impl Fn(&str) -> bool) -> Result<(), String> {
    let order = {
        let _visit = simulator.enter();
        let mut books = Books::open(&simulator.ledger, simulator.now());
        let order = books.order(number, FIRST).map_err(|why| why.to_string())?;
        order.ok_or("the order is not known")?
    };
    if order.handles().any(|handle| opens(&handle)) {
        Ok(())
    } else {
        Err("it opens nothing, or another order, or its signature is wrong".to_owned())
    }
}

/// The notice that would leave, sealed for the first merchant, whoever it speaks of: otherwise it would not open at all.
pub(super) fn queued(simulator: &Simulator, about: About<'_>, seal: Seal) -> Option<QueuedNotice> {
    let _visit = simulator.enter();
    let mut books = Books::open(&simulator.ledger, simulator.now());
    let mut queued = match about {
        About::Order(number) | About::Unmapped(number) => {
            let mut order = books.order(number, FIRST).ok()??;
            if order.payments.is_empty() {
                if seal != Seal::Stranger && matches!(about, About::Order(_)) {
                    return None;
                }
                order.pay(order.amount, simulator.now());
            }
            if seal == Seal::OtherMerchant {
                OTHER.clone_into(&mut order.mchid);
                appid(Merchant::Other).clone_into(&mut order.appid);
            }
            Books::payment_notice(&order, 0)
        }
        About::Refund(number) => {
            let mut refund = books.refund(FIRST, number).ok()??;
            if refund.state == RefundState::Processing {
                if seal != Seal::Stranger {
                    return None;
                }
                refund.state = RefundState::Success;
            }
            if seal == Seal::OtherMerchant {
                OTHER.clone_into(&mut refund.mchid);
            }
            Books::refund_notice(&refund)
        }
    };
    queued.forged = seal == Seal::Stranger;
    FIRST.clone_into(&mut queued.mchid);
    Some(queued)
}

pub(super) fn sent(simulator: &Simulator, queued: &QueuedNotice) -> Option<RawNotification> {
    let notice = simulator.written(queued)?;
    Some(RawNotification { headers: notice.headers, query: String::new(), body: notice.body })
}

pub(super) fn tick(simulator: &Simulator) {
    // Without a sink nothing is waited for, so it is ready at once.
    let ticked = simulator.tick(simulator.now()).now_or_never();
    if let Some(Err(error)) = ticked {
        tracing::error!(%error, "the simulated provider cannot use its books");
    }
}

pub(super) fn books(simulator: &Simulator) -> Vec<BookOrder> {
    simulator.ledger().unwrap_or_default().into_iter().map(book).collect()
}

fn book(row: LedgerRow) -> BookOrder {
    let state = match row.state {
        OrderState::NotPaid | OrderState::Paying => BookState::Open,
        OrderState::Paid => BookState::Paid,
        OrderState::Closed => BookState::Closed,
    };
    let refunds = row.refunds.into_iter().filter(|(_, _, state)| *state != RefundState::Closed);
    BookOrder {
        merchant: if row.mchid == FIRST { Merchant::First } else { Merchant::Other },
        number: row.number,
        state,
        amount: row.amount,
        expires_at: Some(row.expires_at),
        payments: row.payments.into_iter().map(|(trade_number, amount)| BookPayment { trade_number, amount }).collect(),
        refunds: refunds
            .map(|(number, amount, state)| BookRefund { number, amount, is_done: state == RefundState::Success })
            .collect(),
    }
}
