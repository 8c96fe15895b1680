//! How far the journal came, noted outside it after every commit and never waited for.
//!
//! A damaged page of the newest commit looks to redb like a commit that a crash cut short, and it goes back to the one
//! before. The witness tells the two apart as long as the machine itself did not go down: what it saw was durable.

use std::sync::Arc;

use redb::StorageBackend;

use super::blob::StoreId;
use super::files::Files;
use crate::store::Seq;

/// The witness's file.
pub const WITNESS: &str = "journal.witness";

/// Seq and CRC-32.
const BYTES: usize = 12;

/// Notes how far the journal came.
pub struct Witness {
    store: StoreId,
    file: Option<Box<dyn StorageBackend>>,
}

impl Witness {
    /// Opens the witness. Without one the store works all the same.
    #[must_use]
    pub fn open(files: &Arc<dyn Files>, store: StoreId) -> Self {
        let file = files.open(WITNESS);
        let file = file.inspect_err(|why| tracing::warn!(%why, "the journal has no witness")).ok();
        Self { store, file }
    }

    /// Notes that `seq` is durable.
    pub fn note(&mut self, seq: Seq) {
        let Some(file) = &self.file else { return };
        let mut bytes = [0; BYTES];
        let (number, crc) = bytes.split_at_mut(8);
        number.copy_from_slice(&seq.0.to_be_bytes());
        crc.copy_from_slice(&checksum(self.store, seq));
        if let Err(why) = file.write(0, &bytes) {
            tracing::warn!(%why, "the journal lost its witness");
            self.file = None;
        }
    }

    /// What was noted last; `None` when that cannot be told.
    #[must_use]
    pub fn seen(&self) -> Option<Seq> {
        let file = self.file.as_ref()?;
        let mut bytes = [0; BYTES];
        file.read(0, &mut bytes).ok()?;
        let (number, crc) = bytes.split_first_chunk::<8>()?;
        let seq = Seq(u64::from_be_bytes(*number));
        (checksum(self.store, seq) == crc).then_some(seq)
    }
}

fn checksum(store: StoreId, seq: Seq) -> [u8; 4] {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&store);
    crc.update(&seq.0.to_be_bytes());
    crc.finalize().to_be_bytes()
}
