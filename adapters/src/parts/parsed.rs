//! A bounded memory of parsed keys and certificates, so that a signature costs the signature and not the parsing.
//!
//! It holds what was parsed under the SHA-256 of what it was parsed from, never the text itself. What is remembered
//! follows from the bytes asked for alone, so an adapter that uses it is as pure as before.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::digest::sha256;

/// What was parsed, by the digest of its source; beyond its bound the one that was used longest ago is forgotten.
pub struct Parsed<T> {
    kept: Mutex<Kept<T>>,
    max: usize,
}

struct Kept<T> {
    by_digest: BTreeMap<[u8; 32], (u64, Arc<T>)>,
    uses: u64,
}

impl<T> std::fmt::Debug for Parsed<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Parsed(at most {})", self.max)
    }
}

impl<T> Parsed<T> {
    /// Remembers nothing yet, and at most `max` things, of which there is at least one.
    #[must_use]
    pub const fn new(max: usize) -> Self {
        Self { kept: Mutex::new(Kept { by_digest: BTreeMap::new(), uses: 0 }), max }
    }

    /// What `source` was parsed to, or is now. Failures are not remembered.
    pub fn of<E>(&self, source: &[u8], parse: impl FnOnce(&[u8]) -> Result<T, E>) -> Result<Arc<T>, E> {
        let digest = sha256(source);
        if let Some(known) = self.used(&digest) {
            return Ok(known);
        }
        // Two threads may parse the same at the same time; both results are right.
        let parsed = Arc::new(parse(source)?);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.uses += 1;
        let uses = kept.uses;
        kept.by_digest.insert(digest, (uses, Arc::clone(&parsed)));
        if kept.by_digest.len() > self.max.max(1) {
            let oldest = kept.by_digest.iter().min_by_key(|(_, (last, _))| *last).map(|(digest, _)| *digest);
            oldest.and_then(|digest| kept.by_digest.remove(&digest));
        }
        Ok(parsed)
    }

    fn used(&self, digest: &[u8; 32]) -> Option<Arc<T>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.uses += 1;
        let uses = kept.uses;
        let (last, known) = kept.by_digest.get_mut(digest)?;
        *last = uses;
        Some(Arc::clone(known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_used_longest_ago_is_forgotten() {
        // Within the bound everything is parsed once; beyond it what was not asked for lately is parsed again.
        let memory = Parsed::<Vec<u8>>::new(2);
        let mut parsings = 0;
        for source in [b"a", b"b", b"a", b"c", b"a", b"b"] {
            let parsed = memory.of(source, |bytes| {
                parsings += 1;
                Ok::<_, ()>(bytes.to_vec())
            });
            assert_eq!(*parsed.expect("it parses"), source);
        }
        assert_eq!(parsings, 4, "a, b, c, and b again");
        assert!(memory.of(b"d", |_| Err::<Vec<u8>, _>("no")).is_err(), "a failure is told");
        assert!(memory.of(b"d", |bytes| Ok::<_, ()>(bytes.to_vec())).is_ok(), "and not remembered");
    }
}
