//! A bounded map of what was used recently, in two generations: when the young one is full it becomes the old one, and
//! what the old one held and nobody asked for is forgotten.

use std::collections::BTreeMap;

/// At most twice `half` entries; the ones asked for lately stay.
pub(super) struct Recent<K, V> {
    half: usize,
    young: BTreeMap<K, V>,
    old: BTreeMap<K, V>,
}

impl<K: Ord + Clone, V: Clone> Recent<K, V> {
    pub(super) fn new(half: usize) -> Self {
        Self { half, young: BTreeMap::new(), old: BTreeMap::new() }
    }

    pub(super) fn find(&mut self, key: &K) -> Option<V> {
        if let Some(value) = self.young.get(key) {
            return Some(value.clone());
        }
        let value = self.old.remove(key)?;
        self.insert(key.clone(), value.clone());
        Some(value)
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= self.half && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.old.remove(&key);
        self.young.insert(key, value);
    }

    pub(super) fn remove(&mut self, key: &K) {
        self.young.remove(key);
        self.old.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded_and_keeps_what_is_used() {
        // Never more than twice the half; what is asked for all the time is never forgotten; what is removed is gone.
        let mut recent = Recent::new(4);
        recent.insert(0, "kept");
        for key in 1..100 {
            recent.insert(key, "passing");
            assert_eq!(recent.find(&0), Some("kept"), "after {key}");
            assert!(recent.young.len() + recent.old.len() <= 8);
        }
        assert_eq!(recent.find(&1), None);
        recent.remove(&0);
        assert_eq!(recent.find(&0), None);
    }
}
