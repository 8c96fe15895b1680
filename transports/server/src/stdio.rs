//! The pipe: compose, speak until the input ends, drain.

use maxpay_transports::stdio::{self, StdioLimits};

use crate::compose::compose;
use crate::reopen::reopen;
use crate::settings::Settings;
use crate::{Failure, TestParts, tell_made_key};

/// Speaks on standard input and output until the input ends, then drains.
pub async fn run(settings: &Settings, parts: &TestParts) -> Result<(), Failure> {
    let composed = compose(settings, settings.listen, parts)?;
    tell_made_key(&composed)?;
    let reopening = tokio::spawn(reopen(composed.engine.clone(), settings.reopen_every_ms.duration()));
    let limits = StdioLimits {
        line_bytes_max: settings.body_max_bytes.number(),
        drain: settings.drain_ms.duration(),
        ..StdioLimits::default()
    };
    let spoken = stdio::serve(composed.engine.clone(), tokio::io::stdin(), tokio::io::stdout(), limits).await;
    reopening.abort();
    let report = composed.engine.shutdown(settings.drain_ms.duration()).await;
    tracing::info!(drained = report.drained, "stopped");
    spoken.map(|_| ()).map_err(Failure::Pipe)
}
