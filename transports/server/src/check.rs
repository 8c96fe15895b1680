//! What a settings file and accounts lack before they can go live: read, judged and told. Nothing is opened, asked or kept.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use maxpay_engine::account_lacks;
use maxpay_engine::api::{AccountSettings, CreateAccount};
use maxpay_engine::channel::{Adapter, FieldError};
use maxpay_engine::model::{ChannelCode, Mode, Timestamp};
use maxpay_engine::webhook::guard::AddressClass;
use serde::Deserialize;
use serde_json::{Map, Value};
use url::Host;

use crate::cli::{CheckArgs, CheckMode};
use crate::settings::{BaseUrl, Settings, SettingsError};

/// An account's file larger than this, in bytes, is refused: it is some other file.
const FILE_MAX_BYTES: u64 = 256 * 1024;

/// Why nothing can be said.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The settings file is not right.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// An account's file cannot be read.
    #[error("cannot read the account {path}", path = path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no account. The source is not shown: it may quote a secret.
    #[error("the account {path} is not the JSON object that POST /v1/accounts takes: {why}", path = path.display())]
    NoAccount {
        /// Which.
        path: PathBuf,
        /// Where it goes wrong, without what stands there.
        why: String,
    },
}

/// The body of `POST /v1/accounts`, as far as it is judged here.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountFile {
    adapter: String,
    #[serde(default)]
    codes: Vec<String>,
    #[serde(default)]
    label: String,
    #[serde(default)]
    priority: u32,
    weight: Option<u32>,
    #[serde(default)]
    settings: Map<String, Value>,
}

/// The report, and whether nothing is lacking.
///
/// # Errors
/// A file that cannot be read, or is not what it should be.
pub fn report(args: &CheckArgs, now: Timestamp) -> Result<(String, bool), CheckError> {
    let mode = match args.mode {
        CheckMode::Test => Mode::Test,
        CheckMode::Live => Mode::Live,
    };
    let (mut text, mut ready) = (String::new(), true);
    let mut of_server = Vec::new();
    if let Some(path) = &args.config {
        let settings = Settings::check_file(path)?;
        line(&mut text, &format!("{} is right", path.display()));
        of_server = server_lacks(&settings, mode);
    } else if mode == Mode::Live {
        line(&mut text, "no settings file was given: whether providers reach this server is not looked at");
    }
    let adapters = maxpay_adapters::builtin();
    if let (Some(path), true) = (&args.config, args.account.is_empty()) {
        ready = of_server.is_empty();
        tell(&mut text, path, mode, &of_server);
    }
    for path in &args.account {
        let account = read(path)?;
        let mut lacks = lacks(&adapters, mode, account, now);
        lacks.extend(of_server.iter().cloned());
        ready &= lacks.is_empty();
        tell(&mut text, path, mode, &lacks);
    }
    Ok((text, ready))
}

fn read(path: &Path) -> Result<AccountFile, CheckError> {
    let unreadable = |source| CheckError::Unreadable { path: path.to_owned(), source };
    let no_account = |why: String| CheckError::NoAccount { path: path.to_owned(), why };
    let mut bytes = Vec::new();
    File::open(path).map_err(unreadable)?.take(FILE_MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if u64::try_from(bytes.len()).map_or(true, |len| len > FILE_MAX_BYTES) {
        return Err(no_account(format!("it is larger than {FILE_MAX_BYTES} bytes")));
    }
    serde_json::from_slice(&bytes).map_err(|why| {
        let what = match why.classify() {
            serde_json::error::Category::Data => "a field is unknown, missing or of the wrong kind",
            serde_json::error::Category::Syntax | serde_json::error::Category::Eof => "it is no JSON",
            serde_json::error::Category::Io => "it cannot be read",
        };
        no_account(format!("{what}, line {} column {}", why.line(), why.column()))
    })
}

fn lacks(adapters: &[Arc<dyn Adapter>], mode: Mode, account: AccountFile, now: Timestamp) -> Vec<FieldError> {
    let Some(adapter) = adapters.iter().find(|adapter| adapter.manifest().adapter == account.adapter) else {
        let names: Vec<&str> = adapters.iter().map(|adapter| adapter.manifest().adapter).collect();
        return vec![wrong("adapter", format!("there is none of this name, but {}", names.join(", ")))];
    };
    let mut codes = Vec::new();
    for (place, name) in account.codes.iter().enumerate() {
        match name.parse::<ChannelCode>() {
            Ok(code) => codes.push(code),
            Err(why) => return vec![wrong(&format!("codes[{place}]"), why.to_string())],
        }
    }
    let wanted = CreateAccount {
        adapter: account.adapter,
        codes,
        label: account.label,
        priority: account.priority,
        weight: account.weight.unwrap_or(1),
        settings: AccountSettings(account.settings),
    };
    account_lacks(adapter.as_ref(), mode, &wanted, now)
}

/// What the server lacks for accounts that work with real money.
fn server_lacks(settings: &Settings, mode: Mode) -> Vec<FieldError> {
    let from_outside = |host: Host<&str>| match host {
        Host::Domain(name) => {
            let name = name.trim_end_matches('.');
            name != "localhost" && !name.ends_with(".localhost")
        }
        Host::Ipv4(address) => AddressClass::of(address.into()) == AddressClass::Public,
        Host::Ipv6(address) => AddressClass::of(address.into()) == AddressClass::Public,
    };
    let reached = settings.public_url.as_ref().map(BaseUrl::url);
    let reached = reached.is_some_and(|url| url.scheme() == "https" && url.host().is_some_and(from_outside));
    let mut lacks = Vec::new();
    if mode == Mode::Live && !reached {
        let why = "providers send their notifications to it: an https address that they reach from outside";
        lacks.push(wrong("public_url (settings file)", why.to_owned()));
    }
    lacks
}

fn tell(text: &mut String, path: &Path, mode: Mode, lacks: &[FieldError]) {
    let path = path.display();
    if lacks.is_empty() {
        line(text, &format!("{path} is ready for {mode} mode"));
        return;
    }
    line(text, &format!("{path} is not ready for {mode} mode:"));
    let widest = lacks.iter().map(|lack| lack.field.chars().count()).max().unwrap_or(0);
    for FieldError { field, why } in lacks {
        line(text, &format!("  {field:widest$}  {why}"));
    }
}

fn line(text: &mut String, words: &str) {
    writeln!(text, "{words}").expect("to memory");
}

fn wrong(field: &str, why: String) -> FieldError {
    FieldError { field: field.to_owned(), why }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_790_000_000_000;

    const SANDBOX: &str = r#"{"adapter":"sandbox","settings":{"merchant_id":"m-0001","secret":"0123456789abcdef",
        "base_url":"http://127.0.0.1:7480/simulator"}}"#;

    fn check(config: Option<&str>, account: &str, mode: CheckMode) -> Result<(String, bool), String> {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("written");
            path
        };
        let config = config.map(|text| write("maxpay.toml", text));
        let args = CheckArgs { config, account: vec![write("account.json", account)], mode };
        let told = report(&args, Timestamp::from_millis(NOW));
        told.map(|(text, ready)| (text.replace(&format!("{}/", folder.path().display()), ""), ready))
            .map_err(|why| why.to_string())
    }

    #[test]
    fn every_lack_is_named_once() {
        // What is needed and missing, what is wrong, and what the server itself lacks; never a value.
        let account = r#"{"adapter":"wechat-v2","settings":{"mch_id":7,"api_key":"secret-that-must-not-show"}}"#;
        let (text, ready) = check(Some("sandbox = true"), account, CheckMode::Live).expect("it is read");
        assert!(!ready && !text.contains("secret-that"), "{text}");
        for part in
            ["maxpay.toml is right\n", "account.json is not ready for live mode:\n", "public_url (settings file)  "]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        let mut named: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("  ")?.split("  ").next()).collect();
        let all = named.len();
        named.dedup();
        assert!(all > 2 && named.len() == all, "{text}");
    }

    #[test]
    fn what_is_ready_is_said() {
        // A sandbox account is ready for test mode, and never for live mode.
        let (text, ready) = check(None, SANDBOX, CheckMode::Test).expect("it is read");
        assert!(ready, "{text}");
        assert_eq!(text, "account.json is ready for test mode\n");
        let (text, ready) = check(None, SANDBOX, CheckMode::Live).expect("it is read");
        assert!(!ready && text.contains("adapter") && text.contains("test mode only"), "{text}");
    }

    #[test]
    fn what_would_be_refused_is_not_ready() {
        // Whatever the server itself would refuse of the account is told here too.
        for (field, value) in [("weight", "0"), ("label", &format!("\"{}\"", "x".repeat(101)))] {
            let account = SANDBOX.replacen('{', &format!("{{\"{field}\":{value},"), 1);
            let (text, ready) = check(None, &account, CheckMode::Test).expect("it is read");
            assert!(!ready && text.contains(&format!("  {field}  ")), "{text}");
        }
    }

    #[test]
    fn a_server_that_no_provider_reaches_is_not_ready() {
        // Names and addresses of this machine and of networks that are nobody else's; with or without an account.
        let server = |host: &str| {
            let text = format!("sandbox = true\npublic_url = \"{host}\"");
            server_lacks(&Settings::parse(&text).expect("they are right"), Mode::Live).is_empty()
        };
        for host in ["https://pay.example.com", "https://[2606:4700::1111]", "https://1.1.1.1:8443"] {
            assert!(server(host), "{host}");
        }
        for host in [
            "http://pay.example.com",
            "https://localhost",
            "https://pay.localhost",
            "https://10.0.0.5",
            "https://192.168.1.4",
            "https://169.254.1.1",
            "https://[::1]",
            "https://[fd00::1]",
            "https://[::ffff:127.0.0.1]",
        ] {
            assert!(!server(host), "{host}");
        }
    }

    #[test]
    fn what_is_no_account_is_told_without_its_content() {
        // A stranger's name and a broken file are refused by name and place.
        let (text, ready) = check(None, r#"{"adapter":"paypal"}"#, CheckMode::Live).expect("it is read");
        assert!(!ready && text.contains("there is none of this name, but alipay"), "{text}");
        for broken in ["{", r#"{"adapter":"wechat","setings":{}}"#, "[]", r#"{"adapter":5}"#] {
            let refused = check(None, broken, CheckMode::Live).expect_err("it is no account");
            assert!(refused.contains("account.json is not the JSON object"), "{refused}");
        }
    }
}
