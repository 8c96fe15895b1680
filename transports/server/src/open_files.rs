//! How many files this process may have open; a connection counts as one.

/// Raises the limit as far as the operating system allows without asking anybody, and says what it is then. `None`:
/// there is none, or it cannot be known.
#[cfg(unix)]
pub fn raised() -> Option<usize> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let reached = match setrlimit(Resource::Nofile, wanted) {
        Ok(()) => limit.maximum,
        Err(why) => {
            tracing::warn!(%why, "the limit of open files stays as it was");
            limit.current
        }
    };
    reached.and_then(|files| usize::try_from(files).ok())
}

/// Elsewhere nobody says.
#[cfg(not(unix))]
pub fn raised() -> Option<usize> {
    None
}
