//! What the seed chooses: every choice follows from the seed and from what it is about, never from the order in which
//! things happen to happen.

use std::time::Duration;

/// Choices about one thing.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// The choices that `seed` makes about thing `number` of a kind.
    #[must_use]
    pub fn of(seed: u64, kind: &str, number: u64) -> Self {
        let mut state = seed ^ 0x9e37_79b9_7f4a_7c15;
        for byte in kind.bytes() {
            state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        let mut chance = Self(state ^ number.wrapping_mul(0xbf58_476d_1ce4_e5b9));
        chance.draw();
        chance
    }

    /// The next choice (splitmix64).
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound.max(1)
    }

    /// A span from `from` to below `to` milliseconds.
    pub fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to.saturating_sub(from)))
    }

    /// One of these, each as likely as its weight.
    pub fn weighted<T: Copy>(&mut self, of: &[(u64, T)]) -> T {
        let mut place = self.below(of.iter().map(|(weight, _)| weight).sum());
        for (weight, value) in of {
            if place < *weight {
                return *value;
            }
            place -= weight;
        }
        of.first().expect("something to choose from").1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_chooses_the_same() {
        // A choice depends on seed, kind and number alone, and differs with each of them.
        let first = |seed, kind, number| Chance::of(seed, kind, number).draw();
        assert_eq!(first(1, "payment", 7), first(1, "payment", 7));
        for other in [first(2, "payment", 7), first(1, "kill", 7), first(1, "payment", 8)] {
            assert_ne!(other, first(1, "payment", 7));
        }
        let rare = (0..1000).filter(|n| Chance::of(3, "x", *n).weighted(&[(9, false), (1, true)])).count();
        assert!((50..150).contains(&rare), "{rare} of 1000 at one in ten");
    }
}
