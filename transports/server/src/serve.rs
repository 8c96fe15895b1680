//! The server: compose, open the doors, announce, wait for a signal, drain.

use std::io::Write as _;
use std::path::Path;

use maxpay_engine::Engine;
use maxpay_engine::store::Health;
use maxpay_engine::store::redb::CrashPoints;
use maxpay_transports::http::{self, Extras, HttpSettings, ProxyTrust, Running};

use crate::announce::{self, News};
use crate::compose::{Composed, compose};
use crate::demo::{self, DemoApp};
use crate::settings::Settings;
use crate::shutdown::Signals;
use crate::{Failure, ready};

/// What the ready file says.
#[derive(serde::Serialize)]
struct Ready<'a> {
    url: &'a str,
    #[serde(flatten)]
    demo: Option<&'a DemoApp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operator_key: Option<&'a str>,
}

/// Serves until SIGTERM or Ctrl-C, then drains.
pub async fn run(settings: &Settings, ready_file: Option<&Path>, crash: Option<CrashPoints>) -> Result<(), Failure> {
    let mut signals = Signals::listen().map_err(Failure::System)?;
    let composed = compose(settings, crash)?;
    let operator_key = match composed.first_start {
        true => Some(demo::operator_key(&composed.engine).await?),
        false => None,
    };
    let demo = match &composed.sandbox {
        Some(sandbox) => demo::make(&composed.engine, sandbox).await?,
        None => None,
    };
    let extras = match &composed.sandbox {
        Some(sandbox) => Extras { payers: Some(sandbox.payers()), mounts: vec![sandbox.face(&composed.engine)] },
        None => Extras::default(),
    };
    let mut doors = http::serve(http_settings(settings), composed.engine.clone(), extras).map_err(Failure::Doors)?;
    let url = format!("http://{}", doors.addr());
    let news = News {
        url: &url,
        data: &settings.data_dir,
        made_key: composed.made_key.as_deref(),
        demo: demo.as_ref(),
        operator_key: operator_key.as_deref(),
    };
    let text = announce::text(&news);
    std::io::stdout().write_all(text.as_bytes()).map_err(Failure::Output)?;
    if let Some(path) = ready_file {
        let ready = Ready { url: &url, demo: demo.as_ref(), operator_key: operator_key.as_deref() };
        let contents = serde_json::to_vec(&ready).map_err(|why| Failure::ReadyFile(why.into()))?;
        ready::put(path, &contents).map_err(Failure::ReadyFile)?;
    }
    let reopening = tokio::spawn(reopen(composed.engine.clone(), settings.reopen_every_ms.duration()));
    let signal = tokio::select! {
        signal = signals.next() => Some(signal),
        () = doors.ended() => None,
    };
    reopening.abort();
    match signal {
        Some(signal) => {
            tracing::info!(signal, "draining");
            drain(settings, &composed, doors, &mut signals).await;
            Ok(())
        }
        None => Err(Failure::DoorsClosed),
    }
}

/// Closes the doors, lets the engine finish what is under way. A second signal ends it at once: everything that
/// matters is on disk.
async fn drain(settings: &Settings, composed: &Composed, doors: Running, signals: &mut Signals) {
    let drained = async {
        doors.stop().await;
        composed.engine.shutdown(settings.drain_ms.duration()).await
    };
    tokio::select! {
        report = drained => tracing::info!(drained = report.drained, "stopped"),
        signal = signals.next() => tracing::warn!(signal, "stopped without draining"),
    }
}

/// Tries a store that the disk refused again and again.
async fn reopen(engine: Engine, every: std::time::Duration) {
    loop {
        tokio::time::sleep(every).await;
        if let Health::Fenced { why } = engine.health().store {
            tracing::error!(%why, "the store is fenced: trying to open it again");
            match engine.reopen().await {
                Ok(()) => tracing::warn!("the store works again"),
                Err(error) => tracing::error!(%error, "the store does not open"),
            }
        }
    }
}

fn http_settings(settings: &Settings) -> HttpSettings {
    let trusted = settings.trusted_proxy.clone();
    HttpSettings {
        listen: settings.listen,
        body_max_bytes: settings.body_max_bytes.number(),
        header_max_bytes: settings.header_max_bytes.number(),
        request_deadline: settings.request_deadline_ms.duration(),
        rate_per_second: settings.rate_per_second,
        rate_burst: settings.rate_burst,
        trusted_proxy: ProxyTrust::when(move |peer| trusted.trusts(peer)),
        stop_limit: settings.drain_ms.duration(),
        ..HttpSettings::default()
    }
}
