//! Inputs made from others: the same seed makes the same ones.

use maxpay_engine::clock::{Entropy, SeededEntropy};

use super::INPUT_MAX;

/// Numbers and texts at which readers tend to change their mind.
const EDGES: [&[u8]; 24] = [
    b"0",
    b"-1",
    b"1e999",
    b"9007199254740992",
    b"18446744073709551615",
    b"18446744073709551616",
    b"null",
    b"\"\"",
    b"\"",
    b"\\u0000",
    b"\\ud800",
    b"{}",
    b"[]",
    b"[[[[[[[[[[[[[[[[",
    b",",
    b"=",
    b"\n",
    b"\0",
    b"\xff",
    b"\xfb\xff\xff",
    b"\xfc\xff\xff\xff\xff",
    b"\xfd\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\xe6\x88\x91",
    b"\xed\xa0\x80",
];

/// Makes inputs from others.
#[derive(Debug)]
pub struct Mutation(SeededEntropy);

impl Mutation {
    /// One that starts from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(SeededEntropy::new(seed))
    }

    /// A number below `end`; 0 when `end` is 0.
    pub fn below(&self, end: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        let number = u64::from_be_bytes(bytes);
        usize::try_from(number % u64::try_from(end).unwrap_or(u64::MAX).max(1)).unwrap_or(0)
    }

    /// An input made from one of `others` by up to four changes.
    pub fn of(&self, others: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = self.one(others).to_vec();
        for _ in 0..=self.below(4) {
            self.change(&mut bytes, others);
        }
        bytes.truncate(INPUT_MAX);
        bytes
    }

    fn change(&self, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
        let at = self.below(bytes.len() + 1);
        let end = at + self.below(bytes.len() + 1 - at);
        match self.below(7) {
            0 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << self.below(8)),
            1 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = self.byte()),
            2 => bytes.insert(at, self.byte()),
            3 => drop(bytes.drain(at..end)),
            4 => bytes.extend_from_within(at..end),
            5 => drop(bytes.splice(at..at, EDGES[self.below(EDGES.len())].iter().copied())),
            _ => {
                let other = self.one(others);
                let from = self.below(other.len() + 1);
                drop(bytes.splice(at..end, other[from..].iter().copied()));
            }
        }
    }

    fn one<'o>(&self, others: &'o [Vec<u8>]) -> &'o [u8] {
        others.get(self.below(others.len())).map_or(&[], Vec::as_slice)
    }

    fn byte(&self) -> u8 {
        u8::try_from(self.below(256)).expect("below 256")
    }
}
