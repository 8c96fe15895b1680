//! How many files this process may have open: connections are files.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Lets this process have `wanted` files open, or as many as the system allows. How many that are.
#[must_use]
pub fn allow(wanted: u64) -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX).min(wanted.max(limit.current.unwrap_or(u64::MAX)));
    match setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: limit.maximum }) {
        Ok(()) => most,
        Err(_) => limit.current.unwrap_or(u64::MAX),
    }
}
