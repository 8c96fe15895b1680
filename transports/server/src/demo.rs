//! The demo app of the first start: an app with a sandbox account, so that a newcomer can pay at once.

use maxpay_adapters::sandbox::simulator::IN_PROCESS;
use maxpay_engine::api::{AccountSettings, CreateAccount, CreateApp, IssueKey, Issued, PageRequest, Scope};
use maxpay_engine::clock::{Entropy, System};
use maxpay_engine::model::{AppId, KeyKind, LatePolicy, Mode};
use maxpay_engine::secrets::Secret;
use maxpay_engine::{Engine, Error};

use crate::sandbox::{Sandbox, merchant_id};

const NAME: &str = "Demo";

/// The demo app's keys of test mode. Written to the ready file and shown once.
#[derive(serde::Serialize)]
pub struct DemoApp {
    /// `X-ML-AppId`.
    pub app_id: String,
    /// Client key.
    pub client_key: String,
    /// API key.
    pub api_key: String,
    /// Master key.
    pub master_key: String,
    /// Session token.
    pub session_token: String,
}

/// Makes the demo app, unless there is an app already. One that was begun and not finished is finished.
///
/// Its account comes last, so that it stands for *done*: until then nobody was shown any of its keys.
pub async fn make(engine: &Engine, sandbox: &Sandbox) -> Result<Option<DemoApp>, Error> {
    let few = PageRequest { after: None, limit: 2, newest_first: false };
    let (app_id, mut first_keys) = match engine.apps(few).await?.items.as_slice() {
        [] => {
            let request =
                CreateApp { name: NAME.to_owned(), strict_bill_numbers: false, late_policy: LatePolicy::ByDoor };
            let created = engine.create_app(request, None).await?;
            (created.app.id, created.issued)
        }
        [begun] if begun.name == NAME => (begun.id, Vec::new()),
        _ => return Ok(None),
    };
    let scope = Scope { app_id, mode: Mode::Test };
    if !engine.accounts(scope, few).await?.items.is_empty() {
        return Ok(None);
    }
    let demo = DemoApp {
        app_id: app_id.to_string(),
        client_key: key(engine, app_id, KeyKind::Client, &mut first_keys).await?,
        api_key: key(engine, app_id, KeyKind::Api, &mut first_keys).await?,
        master_key: key(engine, app_id, KeyKind::Master, &mut first_keys).await?,
        session_token: key(engine, app_id, KeyKind::SessionToken, &mut first_keys).await?,
    };
    add_account(engine, sandbox, scope).await?;
    Ok(Some(demo))
}

/// A key of test mode: one of those that the app was made with, or a new one.
async fn key(engine: &Engine, app: AppId, kind: KeyKind, first_keys: &mut Vec<Issued>) -> Result<String, Error> {
    let first = first_keys.iter().position(|issued| issued.key.kind == kind && issued.key.mode == Mode::Test);
    let issued = if let Some(at) = first {
        first_keys.swap_remove(at)
    } else {
        let owner = (kind == KeyKind::SessionToken).then(|| NAME.to_owned());
        let request = IssueKey { kind, mode: Mode::Test, import: None, owner, expires_at: None };
        engine.issue_key(app, request, None).await?
    };
    issued.secret.and_then(Secret::reveal_once).ok_or_else(|| Error::Internal("a key was not issued".into()))
}

/// A new credential of the operator's.
pub async fn operator_key(engine: &Engine) -> Result<String, Error> {
    let key = engine.issue_operator_key().await?;
    key.secret.reveal_once().ok_or_else(|| Error::Internal("the key is no text".into()))
}

async fn add_account(engine: &Engine, sandbox: &Sandbox, scope: Scope) -> Result<(), Error> {
    let merchant_id = merchant_id(scope.app_id);
    let secret = new_secret();
    let enrolled = sandbox.enrol(&merchant_id, Secret::from_text(&secret));
    enrolled.map_err(|why| Error::Internal(why.to_string()))?;
    let mut settings = serde_json::Map::new();
    settings.insert("merchant_id".to_owned(), merchant_id.into());
    settings.insert("base_url".to_owned(), IN_PROCESS.into());
    settings.insert("secret".to_owned(), secret.into());
    let request = CreateAccount {
        adapter: "sandbox".to_owned(),
        codes: Vec::new(),
        label: "Sandbox".to_owned(),
        priority: 0,
        weight: 1,
        settings: AccountSettings(settings),
    };
    engine.create_account(scope, request, None).await.map(|_| ())
}

/// The secret between the account and the simulator, both in this process: 64 hexadecimal digits.
fn new_secret() -> String {
    let mut bytes = [0; 32];
    System::new().fill(&mut bytes);
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
