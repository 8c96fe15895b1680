//! WeChat Pay as a service that anybody can run: one merchant that has WeChat Pay's public key, one that downloads
//! platform certificates, and one that has nothing but an API key, for v2.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use maxpay_engine::channel::Adapter;
use maxpay_engine::clock::Entropy;
use maxpay_engine::model::{Currency, Money, Timestamp};
use maxpay_engine::secrets::Secret;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::simulator::words::{self, Command};
use crate::simulator::{
    Changes, Due, FaultPlan, LedgerError, NotificationSink, ORDERS_MAX, Offer, OrderRow, Service, ServiceError,
    ServiceParts, Simulation, newest_first,
};
use crate::wechat::WeChat;

use super::books::Books;
use super::keys::{KeptPair, KeyPair, ProviderKeys};
use super::payer::WORDS;
use super::rows::Order;
use super::{Merchant, Simulator, SimulatorParts, v2};

/// WeChat Pay, to be opened as a service.
pub const SIMULATION: Simulation = Simulation { name: "wechat", keys: &[], open };

const APPID: &str = "wx0000000000000101";
/// The merchant with WeChat Pay's public key, and the one with platform certificates.
const MERCHANTS: [&str; 2] = ["1900000101", "1900000102"];
const KEYS: &str = "keys";
/// The newest signs, and the one before it is still listed for download.
const PLATFORM_MAX: usize = 2;
/// Handles of one order that are compared with what a payer brings.
const HANDLES_MAX: usize = 64;

#[derive(Serialize, Deserialize)]
struct KeptKeys {
    public: KeptPair,
    /// Newest last.
    platform: Vec<KeptPair>,
    /// Of each merchant the API key and the APIv3 key.
    merchants: [(KeptPair, String); 2],
}

impl KeptKeys {
    fn make(entropy: &dyn Entropy) -> Self {
        let merchant = |mchid: &str| {
            let mut bytes = [0; 16];
            entropy.fill(&mut bytes);
            (KeyPair::generate(mchid).kept(), hex::encode(bytes))
        };
        Self {
            public: KeyPair::generate("Tenpay public").kept(),
            platform: vec![KeyPair::generate("Tenpay.com").kept()],
            merchants: MERCHANTS.map(merchant),
        }
    }
}

fn open(parts: ServiceParts) -> Result<Arc<dyn Service>, ServiceError> {
    let entropy = Arc::clone(&parts.entropy);
    let kept = parts.ledger.row_or(KEYS, || Ok::<_, ServiceError>(KeptKeys::make(entropy.as_ref())))?;
    let read = |pair| KeyPair::read(pair).ok_or(ServiceError::Keys);
    let platform: Vec<_> = kept.platform.iter().map(read).collect::<Result<_, _>>()?;
    if platform.is_empty() {
        return Err(ServiceError::Keys);
    }
    let keys = ProviderKeys::new(read(&kept.public)?, platform);
    let simulator = Simulator::open(SimulatorParts {
        base_url: parts.base_url,
        ledger: parts.ledger,
        clock: parts.clock,
        entropy: parts.entropy,
        keys,
    });
    for (index, (mchid, (pair, api_v3_key))) in MERCHANTS.into_iter().zip(&kept.merchants).enumerate() {
        let by_public_key = index == 0;
        simulator.enrol(Merchant {
            mchid: mchid.to_owned(),
            appids: vec![APPID.to_owned()],
            api_keys: vec![read(pair)?],
            api_v3_key: Secret::from_text(api_v3_key),
            certificates: !by_public_key,
            notices_by_public_key: by_public_key,
        });
    }
    v2::enrol(&simulator)?;
    Ok(simulator)
}

impl Due for Simulator {
    fn tick(&self) -> BoxFuture<'_, Result<usize, LedgerError>> {
        Box::pin(Self::tick(self, self.now()))
    }

    fn next_due(&self) -> Result<Option<Timestamp>, LedgerError> {
        Self::next_due(self)
    }
}

impl Service for Simulator {
    fn commands(&self) -> Vec<Command> {
        words::commands(&WORDS)
    }

    /// The text of a code, prepay parameters, or the address of a page.
    fn bring(&self, text: &str) -> Result<String, ServiceError> {
        let holds = |handle: &str| text.contains(&handle[..34]) || text.trim_end().ends_with(&handle[..9]);
        let found = self.newest()?.into_iter().find(|order| order.handles().take(HANDLES_MAX).any(|it| holds(&it)));
        found.map(|order| order.number).ok_or_else(|| ServiceError::refused("it leads to none of the newest orders"))
    }

    fn play(&self, number: &str, command: &str) -> Result<(), ServiceError> {
        let command = words::read(&WORDS, command).map_err(ServiceError::refused)?;
        match self.payer(number, command) {
            Ok(_) => Ok(()),
            Err(super::PayerError::Ledger(error)) => Err(error.into()),
            Err(refused) => Err(ServiceError::refused(refused)),
        }
    }

    fn orders(&self) -> Result<Vec<OrderRow>, LedgerError> {
        let orders = self.newest()?;
        let books = Books::open(&self.ledger, self.now());
        let mut rows = Vec::new();
        for order in &orders {
            rows.push(row(&books, order)?);
        }
        Ok(newest_first(rows))
    }

    fn offers(&self) -> Result<Vec<Offer>, ServiceError> {
        let adapter = WeChat::new();
        let offer = |mchid: &str| {
            let merchant = self.merchant(mchid).ok_or(ServiceError::Keys)?;
            let label = if merchant.notices_by_public_key {
                "Simulated WeChat Pay, public key"
            } else {
                "Simulated WeChat Pay, platform certificates"
            };
            Ok(Offer::of(adapter.manifest(), label, self.settings(&merchant).ok_or(ServiceError::Keys)?))
        };
        MERCHANTS.into_iter().map(offer).chain(std::iter::once_with(|| v2::offer(self))).collect()
    }

    fn rotate(&self) -> Result<(), ServiceError> {
        let newest = KeyPair::generate("Tenpay.com");
        {
            let _visit = self.enter();
            let mut kept: KeptKeys = self.ledger.row(KEYS)?.ok_or(ServiceError::Keys)?;
            kept.platform.push(newest.kept());
            let before = kept.platform.len().saturating_sub(PLATFORM_MAX);
            kept.platform.drain(..before);
            let mut changes = Changes::default();
            changes.put(KEYS.to_owned(), &kept);
            self.ledger.commit(changes)?;
            v2::renew(self)?;
        }
        Self::rotate(self, newest);
        Ok(())
    }

    fn faults(&self) -> &FaultPlan {
        Self::faults(self)
    }

    fn notify_by(&self, sink: NotificationSink) {
        self.set_sink(sink);
    }
}

impl Simulator {
    /// The newest orders, by their numbers.
    fn newest(&self) -> Result<Vec<Order>, LedgerError> {
        Ok(self.ledger.last_rows::<Order>("order/", ORDERS_MAX)?.into_iter().map(|(_, order)| order).collect())
    }

    /// All settings of a merchant's account.
    fn settings(&self, merchant: &Merchant) -> Option<Map<String, Value>> {
        let key = merchant.api_keys.first()?;
        let mut settings = json!({
            "mchid": merchant.mchid,
            "appid": APPID,
            "base_url": self.base_url,
            "private_key": key.private_pem(),
            "certificate": key.certificate_pem(),
            "api_v3_key": merchant.api_v3_key.expose_text(),
        });
        if merchant.notices_by_public_key {
            let keys = self.keys();
            settings["wechatpay_public_key"] = keys.public_pem().into();
            settings["wechatpay_public_key_id"] = keys.public_key_id().into();
        }
        settings.as_object().cloned()
    }
}

fn row(books: &Books<'_>, order: &Order) -> Result<OrderRow, LedgerError> {
    let money = |minor| Money::new(minor, Currency::CNY).unwrap_or_else(|_| Money::zero(Currency::CNY));
    let refunds = books.refunds(order)?;
    let returned = refunds.iter().filter(|refund| refund.is_done());
    Ok(OrderRow {
        number: order.number.clone(),
        kind: order.kind.clone(),
        state: order.trade_state(!refunds.is_empty()).to_owned(),
        amount: money(order.amount),
        paid: money(order.payments.iter().map(|payment| payment.amount).sum()),
        returned: money(returned.map(|refund| refund.amount).sum()),
        made_at: order.made_at,
    })
}
