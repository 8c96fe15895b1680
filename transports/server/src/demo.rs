//! The demo app of the first start: an app with a sandbox account, so that a newcomer can pay at once.

use maxpay_adapters::sandbox::simulator::IN_PROCESS;
use maxpay_engine::api::{AccountSettings, CreateAccount, CreateApp, IssueKey, Issued, PageRequest, Scope};
use maxpay_engine::clock::{Entropy, System};
use maxpay_engine::model::{KeyKind, LatePolicy, Mode};
use maxpay_engine::secrets::Secret;
use maxpay_engine::{Engine, Error};

use crate::sandbox::{Sandbox, merchant_id};

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

/// Makes the demo app, unless there is an app already.
pub async fn make(engine: &Engine, sandbox: &Sandbox) -> Result<Option<DemoApp>, Error> {
    let any = PageRequest { after: None, limit: 1, newest_first: false };
    if !engine.apps(any).await?.items.is_empty() {
        return Ok(None);
    }
    let request = CreateApp { name: "Demo".to_owned(), strict_bill_numbers: false, late_policy: LatePolicy::ByDoor };
    let created = engine.create_app(request, None).await?;
    let scope = Scope { app_id: created.app.id, mode: Mode::Test };
    add_account(engine, sandbox, scope).await?;
    let token = IssueKey {
        kind: KeyKind::SessionToken,
        mode: Mode::Test,
        import: None,
        owner: Some("demo".to_owned()),
        expires_at: None,
    };
    let token = engine.issue_key(scope.app_id, token, None).await?;
    let mut issued = created.issued;
    issued.push(token);
    let mut take = |kind: KeyKind| {
        let at = issued.iter().position(|issued| issued.key.kind == kind && issued.key.mode == Mode::Test);
        at.and_then(|at| reveal(issued.swap_remove(at))).ok_or_else(|| Error::Internal("a key was not issued".into()))
    };
    Ok(Some(DemoApp {
        app_id: scope.app_id.to_string(),
        client_key: take(KeyKind::Client)?,
        api_key: take(KeyKind::Api)?,
        master_key: take(KeyKind::Master)?,
        session_token: take(KeyKind::SessionToken)?,
    }))
}

/// A new credential of the operator's.
pub async fn operator_key(engine: &Engine) -> Result<String, Error> {
    let key = engine.issue_operator_key().await?;
    key.secret.reveal_once().ok_or_else(|| Error::Internal("the key is no text".into()))
}

fn reveal(issued: Issued) -> Option<String> {
    issued.secret?.reveal_once()
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
