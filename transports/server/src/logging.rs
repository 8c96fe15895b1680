//! Where the log goes and how much of it: to standard error, ours as set, libraries' warnings only.

use tracing_subscriber::EnvFilter;

use crate::settings::{LogFormat, LogLevel};

/// Starts logging, once a process. Standard output stays free: over stdio it carries the protocol.
pub fn start(level: LogLevel, format: LogFormat) {
    let log = tracing_subscriber::fmt().with_env_filter(filter(level)).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.with_ansi(false).init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
}

/// Libraries stay at `warn` whatever is set, because their lower levels print headers and bodies.
fn filter(level: LogLevel) -> EnvFilter {
    let level = match level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    };
    let ours = ["maxpay", "maxpay_engine", "maxpay_adapters", "maxpay_transports"];
    let ours = ours.map(|name| format!("{name}={level}")).join(",");
    EnvFilter::new(format!("warn,{ours}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_never_log_below_warn() {
        // At the loudest setting our crates trace and every other one only warns.
        let text = filter(LogLevel::Trace).to_string();
        let mut directives: Vec<&str> = text.split(',').collect();
        directives.sort_unstable();
        let ours = ["maxpay=trace", "maxpay_adapters=trace", "maxpay_engine=trace", "maxpay_transports=trace", "warn"];
        assert_eq!(directives, ours);
    }
}
