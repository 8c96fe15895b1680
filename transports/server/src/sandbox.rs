//! The sandbox's provider in this process: its ledger, its payers, and the way its notifications take.

use std::path::Path;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use maxpay_adapters::sandbox::simulator::{IN_PROCESS, PayerCommand, PayerError, Simulator, SimulatorParts};
use maxpay_adapters::simulator::{Ledger, LedgerError, Notice, NoticeReply};
use maxpay_engine::Engine;
use maxpay_engine::api::{Credential, Right};
use maxpay_engine::channel::RawNotification;
use maxpay_engine::clock::{Clock, Entropy};
use maxpay_engine::model::{AppId, Mode, PayerAction, PayerStep, Status, Transaction};
use maxpay_engine::secrets::{Sealer, Secret};
use maxpay_transports::http::{Mount, MountReply, MountRequest, PayerRefusal, Payers};
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

/// Where the provider's HTTP face is mounted.
const FACE: &str = "/simulator";
/// The ledger's file, in the data folder: another one than the engine's store, as a provider's would be.
const LEDGER: &str = "sandbox-ledger.redb";

/// Why the sandbox does not start.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// Its ledger does not open.
    #[error("the sandbox's ledger does not open")]
    Ledger(#[from] LedgerError),
    /// Its merchants cannot be read.
    #[error("the sandbox does not start: {0}")]
    Simulator(String),
}

/// A simulated provider that runs until it is dropped.
pub struct Sandbox {
    simulator: Arc<Simulator>,
    stop: Option<oneshot::Sender<()>>,
}

impl Sandbox {
    /// Opens the ledger and starts the loop that sends what is due. Needs a tokio runtime.
    pub fn open(
        data: &Path,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        sealer: Sealer,
    ) -> Result<Self, SandboxError> {
        let parts = SimulatorParts {
            base_url: IN_PROCESS.to_owned(),
            ledger: Ledger::open(&data.join(LEDGER))?,
            clock,
            entropy,
            sealer: Arc::new(sealer),
        };
        let simulator = Simulator::open(parts).map_err(|why| SandboxError::Simulator(why.to_string()))?;
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(Arc::clone(&simulator).run(async move {
            // Dropping the sender stops it as well.
            let _ = stopped.await;
        }));
        Ok(Self { simulator, stop: Some(stop) })
    }

    /// The provider.
    pub fn simulator(&self) -> &Arc<Simulator> {
        &self.simulator
    }

    /// Makes a merchant known to the provider.
    pub fn enrol(&self, merchant_id: &str, secret: Secret) -> Result<(), SandboxError> {
        self.simulator.enrol(merchant_id, secret, None).map_err(|why| SandboxError::Simulator(why.to_string()))
    }

    /// Hands its notifications straight to the engine, which is all that a request to the notify address would do.
    pub fn notify_to(&self, engine: &Engine) {
        let engine = engine.clone();
        self.simulator.set_sink(Arc::new(move |notice| Box::pin(hand_over(engine.clone(), notice))));
    }

    /// The provider's own HTTP face, and where an app enrols its merchant with it.
    pub fn face(&self, engine: &Engine) -> Mount {
        let (simulator, engine) = (Arc::clone(&self.simulator), engine.clone());
        Mount::new(FACE, move |request| Box::pin(face(Arc::clone(&simulator), engine.clone(), request)))
    }

    /// Who plays the payers.
    pub fn payers(&self) -> Arc<dyn Payers> {
        Arc::new(Players(Arc::clone(&self.simulator)))
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // A loop that has ended needs no word.
            let _ = stop.send(());
        }
    }
}

async fn hand_over(engine: Engine, notice: Notice) -> Result<NoticeReply, String> {
    let path = notice.url.split_once("/notify/").map(|(_, path)| path);
    let (adapter, account) =
        path.and_then(|path| path.split_once('/')).ok_or("the notify address is none of this server's")?;
    let raw = RawNotification { headers: notice.headers, query: String::new(), body: notice.body };
    let reply = engine.notification(adapter, account, raw).await.acknowledgement;
    Ok(NoticeReply { status: reply.status, body: reply.body })
}

/// The merchant id that an app has at the provider.
pub fn merchant_id(app: AppId) -> String {
    format!("app-{app}")
}

async fn face(simulator: Arc<Simulator>, engine: Engine, request: MountRequest) -> Option<MountReply> {
    if request.path.split('?').next() == Some("/simulator/merchants") {
        return Some(match enrol(simulator, &engine, &request).await {
            Ok(body) => json_reply(200, &body),
            Err((status, why)) => json_reply(status, &json!({ "error": why })),
        });
    }
    let served = tokio::task::spawn_blocking(move || {
        simulator.handle(&request.method, &request.path, &request.headers, &request.body).reply()
    });
    let reply = served.await.ok()??;
    Some(MountReply { status: reply.status, headers: reply.headers, body: reply.body })
}

/// `POST /simulator/merchants {"secret": …}` with a test-mode master key: makes the app's merchant known to the provider,
/// so that an account of it can be made by `POST /v1/accounts`.
async fn enrol(
    simulator: Arc<Simulator>,
    engine: &Engine,
    request: &MountRequest,
) -> Result<Value, (u16, &'static str)> {
    if request.method != "POST" {
        return Err((405, "another method is wanted"));
    }
    if !request.private {
        return Err((403, "keys are taken over TLS, through a trusted proxy or from this machine only"));
    }
    let key = request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    let key = key.and_then(|(_, value)| value.strip_prefix("Bearer ")).ok_or((401, "a bearer key is wanted"))?;
    let known = engine.authenticate(Credential::Bearer(Secret::from_text(key))).await;
    let principal = known.map_err(|_| (401, "the key is not known"))?;
    let scope = principal.scope.filter(|scope| scope.mode == Mode::Test && principal.right == Right::App);
    let scope = scope.ok_or((403, "a test-mode master key is wanted"))?;
    let body: Map<String, Value> = serde_json::from_slice(&request.body).map_err(|_| (422, "the body is no object"))?;
    let secret = body.get("secret").and_then(Value::as_str).filter(|secret| (16..=256).contains(&secret.len()));
    let secret = secret.ok_or((422, "secret: must be a text of 16 to 256 bytes"))?;
    let merchant_id = merchant_id(scope.app_id);
    let (name, secret) = (merchant_id.clone(), Secret::from_text(secret));
    let enrolled = tokio::task::spawn_blocking(move || simulator.enrol(&name, secret, None)).await;
    enrolled.is_ok_and(|enrolled| enrolled.is_ok()).then_some(()).ok_or((409, "the merchant cannot be enrolled"))?;
    Ok(json!({ "adapter": "sandbox", "settings": { "merchant_id": merchant_id, "base_url": IN_PROCESS } }))
}

fn json_reply(status: u16, body: &Value) -> MountReply {
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    MountReply { status, headers, body: body.to_string().into() }
}

/// Plays payers of transactions that went to the sandbox.
struct Players(Arc<Simulator>);

impl Payers for Players {
    fn play(
        &self,
        transaction: Transaction,
        command: String,
        arguments: Map<String, Value>,
    ) -> BoxFuture<'static, Result<Value, PayerRefusal>> {
        let simulator = Arc::clone(&self.0);
        Box::pin(async move {
            let command = read_command(&command, &arguments)?;
            let played = tokio::task::spawn_blocking(move || play(&simulator, &transaction, command)).await;
            played.map_err(|_| PayerRefusal::Refused("the sandbox stopped in the middle".to_owned()))?
        })
    }
}

fn read_command(name: &str, arguments: &Map<String, Value>) -> Result<PayerCommand, PayerRefusal> {
    let name = if name == "lose" { "lose_reply" } else { name };
    let wanted = match name {
        "pay_other" => Some("amount_minor"),
        "notify_late" => Some("after_ms"),
        _ => None,
    };
    if let Some(field) = arguments.keys().find(|field| Some(field.as_str()) != wanted) {
        let why = "is no argument of this command".to_owned();
        return Err(PayerRefusal::Argument { field: field.clone(), why });
    }
    let text = match wanted {
        None => name.to_owned(),
        Some(field) => {
            let number = arguments.get(field).and_then(Value::as_u64);
            let why = || PayerRefusal::Argument { field: field.to_owned(), why: "must be a whole number".to_owned() };
            format!("{name}:{}", number.ok_or_else(why)?)
        }
    };
    text.parse().map_err(|_| PayerRefusal::UnknownCommand(name.to_owned()))
}

fn play(simulator: &Simulator, transaction: &Transaction, command: PayerCommand) -> Result<Value, PayerRefusal> {
    let refused = |why: PayerError| PayerRefusal::Refused(why.to_string());
    let attempt = transaction.attempts.last();
    let attempt = attempt.ok_or_else(|| PayerRefusal::Refused("nothing was sent to a provider yet".to_owned()))?;
    let number = attempt.number.to_string();
    let report = match (simulator.payer(&number, command), order_text(transaction)) {
        // The payer brings the order of a channel that is signed here along: the provider learns of it only now.
        (Err(PayerError::UnknownNumber(_)), Some(text)) => {
            simulator.payer_with(&number, Some(text), command).map_err(refused)?
        }
        (played, _) => played.map_err(refused)?,
    };
    let order = report.row.map(|row| {
        json!({
            "number": row.number,
            "state": row.state.name(),
            "payments": row.payments.iter().map(|payment| json!({
                "trade_number": payment.trade_number,
                "amount": { "amount_minor": payment.amount.minor(), "currency": payment.amount.currency().code() },
            })).collect::<Vec<_>>(),
        })
    });
    Ok(json!({ "order": order, "notifications_queued": report.notices }))
}

/// The signed text that the payer's device was given.
fn order_text(transaction: &Transaction) -> Option<&str> {
    let Status::AwaitingPayer { step: PayerStep::Actions(actions) } = &transaction.status else { return None };
    let asked = actions.iter().find(|action| action.name == transaction.channel.as_str());
    match &asked.or(actions.first())?.action {
        PayerAction::AppOrder { order } => Some(order),
        PayerAction::Redirect { url } => Some(url),
        PayerAction::Form { html } => Some(html),
        PayerAction::Prepay { .. } | PayerAction::QrText { .. } | PayerAction::WalletSession { .. } => None,
    }
}
