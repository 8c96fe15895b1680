//! The server: compose, open the doors, announce, wait for a signal, drain.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use maxpay_transports::http::{self, Extras, HttpSettings, ProxyTrust, Running};

use crate::announce::{self, News, OperatorKey};
use crate::compose::{Composed, compose};
use crate::demo::{self, DemoApp};
use crate::open_files;
use crate::reopen::reopen;
use crate::settings::Settings;
use crate::shutdown::Signals;
use crate::{Failure, TestParts, ready};

/// How long answers on their way may take after the engine has drained.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

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
pub async fn run(settings: &Settings, ready_file: Option<&Path>, parts: &TestParts) -> Result<(), Failure> {
    let mut signals = Signals::listen().map_err(Failure::System)?;
    // The address first: nothing is issued that could not be shown, and notify addresses name it.
    let listener = http::listen(settings.listen).map_err(Failure::Doors)?;
    let address = listener.local_addr().map_err(Failure::System)?;
    let composed = compose(settings, address, parts)?;
    // Issued where it can be shown: to a newcomer, or in a file that only its owner reads.
    let shown = settings.is_for_a_newcomer() || ready_file.is_some();
    let operator_key =
        if composed.first_start && shown { Some(demo::operator_key(&composed.engine).await?) } else { None };
    let demo = match &composed.sandbox {
        Some(sandbox) => demo::make(&composed.engine, sandbox).await?,
        None => None,
    };
    let extras = match &composed.sandbox {
        Some(sandbox) => Extras { payers: Some(sandbox.payers()), mounts: vec![sandbox.face(&composed.engine)] },
        None => Extras::default(),
    };
    let doors = http::serve_on(listener, http_settings(settings), composed.engine.clone(), extras);
    let mut doors = doors.map_err(Failure::Doors)?;
    let url = format!("http://{}", doors.addr());
    let news = News {
        url: &url,
        data: &settings.data_dir,
        made_key: composed.made_key.as_deref(),
        demo: demo.as_ref(),
        operator_key: match operator_key.as_deref() {
            Some(key) if settings.is_for_a_newcomer() => OperatorKey::Shown(key),
            None if composed.first_start => OperatorKey::Elsewhere,
            Some(_) | None => OperatorKey::Known,
        },
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

/// Lets the engine finish what is under way while the doors still answer (readiness says *draining*, new commands are
/// told to come back), then closes them. A second signal ends it at once: everything that matters is on disk.
async fn drain(settings: &Settings, composed: &Composed, doors: Running, signals: &mut Signals) {
    let drained = async {
        let report = composed.engine.shutdown(settings.drain_ms.duration()).await;
        doors.stop().await;
        report
    };
    tokio::select! {
        report = drained => tracing::info!(drained = report.drained, "stopped"),
        signal = signals.next() => tracing::warn!(signal, "stopped without draining"),
    }
}

fn http_settings(settings: &Settings) -> HttpSettings {
    let trusted = settings.trusted_proxy.clone();
    let HttpSettings { workers, .. } = HttpSettings::default();
    HttpSettings {
        listen: settings.listen,
        body_max_bytes: settings.body_max_bytes.number(),
        header_max_bytes: settings.header_max_bytes.number(),
        head_deadline: settings.head_deadline_ms.duration(),
        body_deadline: settings.body_deadline_ms.duration(),
        keep_alive: settings.keep_alive_ms.duration(),
        connections_max: connections_each(settings.connections_max.number(), open_files::raised(), workers),
        request_deadline: settings.request_deadline_ms.duration(),
        rate_per_second: settings.rate_per_second,
        rate_burst: settings.rate_burst,
        trusted_proxy: ProxyTrust::when(move |peer| trusted.trusts(peer)),
        // When the doors close the engine has drained: what is left are answers on their way.
        stop_limit: CLOSE_LIMIT,
        ..HttpSettings::default()
    }
}

/// Connections of one worker: at most three quarters of the open files are clients', whatever the settings say.
fn connections_each(wanted: usize, open_files_max: Option<usize>, workers: usize) -> usize {
    let most = open_files_max.map_or(wanted, |max| wanted.min(max / 4 * 3));
    if most < wanted {
        tracing::warn!(wanted, most, "connections_max is more than three quarters of the open files that are allowed");
    }
    (most / workers.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_for_the_rest() {
        // Workers share what is wanted, or three quarters of what the system gives, and each takes one at least.
        for (wanted, files, workers, each) in [
            (20_000, None, 2, 10_000),
            (20_000, Some(1_000_000), 4, 5_000),
            (20_000, Some(1_024), 2, 384),
            (64, Some(1_024), 128, 1),
        ] {
            assert_eq!(connections_each(wanted, files, workers), each);
        }
    }
}
