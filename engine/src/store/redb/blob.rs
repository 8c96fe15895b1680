//! One group of changes as one value of the journal: checksum, seq, rows. The checksum covers the store's id, so that
//! another store's group is refused.

use std::sync::Arc;

use crate::store::{Put, RowKey, Seq, Table};

/// The format that is written.
const FORMAT: u8 = 1;
/// Format byte and CRC-32.
const HEAD: usize = 5;
/// Stands in place of the length of a value that is removed.
const REMOVED: u32 = u32::MAX;

/// The random name of a store; both its files carry it.
pub type StoreId = [u8; 16];

/// Writes a group over what `blob` held.
///
/// # Panics
/// When a group has 4 GiB or more: it is a few batches of at most 1 MiB and what their events fan out to.
pub fn encode(blob: &mut Vec<u8>, store: &StoreId, seq: Seq, puts: &[Put]) {
    blob.clear();
    blob.extend([FORMAT, 0, 0, 0, 0]);
    blob.extend(seq.0.to_be_bytes());
    blob.extend(length(puts.len()));
    for Put { key, value } in puts {
        blob.push(key.table.number());
        blob.extend(length(key.key.len()));
        blob.extend_from_slice(&key.key);
        match value {
            Some(value) => {
                blob.extend(length(value.len()));
                blob.extend_from_slice(value);
            }
            None => blob.extend(REMOVED.to_be_bytes()),
        }
    }
    let crc = checksum(store, &blob[HEAD..]);
    blob[1..HEAD].copy_from_slice(&crc.to_be_bytes());
}

/// Puts format and checksum before what stands behind them: a group that is whole, whatever is in it.
#[must_use]
pub fn seal(store: &StoreId, rest: &[u8]) -> Vec<u8> {
    let crc = checksum(store, rest).to_be_bytes();
    [FORMAT].iter().chain(&crc).chain(rest).copied().collect()
}

/// Reads the group that stands under `seq`.
///
/// # Errors
/// What is wrong with it.
pub fn decode(blob: &[u8], store: &StoreId, seq: Seq) -> Result<Vec<Put>, String> {
    let Some(([format, crc @ ..], rest)) = blob.split_first_chunk::<HEAD>() else {
        return Err("it is cut short".to_owned());
    };
    if *format != FORMAT {
        return Err(format!("its format {format} is not known to this version"));
    }
    if checksum(store, rest).to_be_bytes() != *crc {
        return Err("its checksum does not match".to_owned());
    }
    let mut reader = Reader(rest);
    let inside = reader.chunk::<8>().map(u64::from_be_bytes)?;
    if inside != seq.0 {
        return Err(format!("it is group {inside}"));
    }
    let count = reader.length()?.ok_or("its count is damaged")?;
    let mut puts = Vec::new();
    for _ in 0..count {
        puts.push(reader.put()?);
    }
    if reader.0.is_empty() { Ok(puts) } else { Err("bytes are left over behind it".to_owned()) }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn chunk<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (chunk, rest) = self.0.split_first_chunk::<N>().ok_or("it is cut short")?;
        self.0 = rest;
        Ok(*chunk)
    }

    fn length(&mut self) -> Result<Option<usize>, String> {
        match u32::from_be_bytes(self.chunk::<4>()?) {
            REMOVED => Ok(None),
            length => usize::try_from(length).map(Some).map_err(|why| why.to_string()),
        }
    }

    fn bytes(&mut self, length: usize) -> Result<Arc<[u8]>, String> {
        let (bytes, rest) = self.0.split_at_checked(length).ok_or("it is cut short")?;
        self.0 = rest;
        Ok(bytes.into())
    }

    fn put(&mut self) -> Result<Put, String> {
        let [number] = self.chunk::<1>()?;
        let table = Table::numbered(number).ok_or_else(|| format!("table {number} is not known to this version"))?;
        let length = self.length()?.ok_or("a key has no length")?;
        let key = RowKey { table, key: self.bytes(length)? };
        let value = self.length()?.map(|length| self.bytes(length)).transpose()?;
        Ok(Put { key, value })
    }
}

fn length(length: usize) -> [u8; 4] {
    // A group is a few batches of at most 1 MiB, and what their events fan out to.
    u32::try_from(length).expect("a group is far below 4 GiB").to_be_bytes()
}

fn checksum(store: &StoreId, rest: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(store);
    crc.update(rest);
    crc.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_reads_back_and_damage_is_refused() {
        // A group comes back row by row; any flipped bit, another store's id and another seq are refused.
        let row = |number: u8, value: Option<&[u8]>| Put {
            key: RowKey::new(Table::ALL[usize::from(number)], &[&[number; 12]]),
            value: value.map(Arc::from),
        };
        let puts = [row(0, Some(b"one")), row(5, None), row(16, Some(b""))];
        let mut blob = Vec::new();
        encode(&mut blob, &[7; 16], Seq(9), &puts);
        assert!(decode(&blob, &[7; 16], Seq(9)).expect("whole") == puts);
        assert!(decode(&blob, &[8; 16], Seq(9)).is_err());
        assert!(decode(&blob, &[7; 16], Seq(8)).is_err());
        for bit in 0..blob.len() * 8 {
            let mut damaged = blob.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&damaged, &[7; 16], Seq(9)).is_err(), "bit {bit}");
        }
    }
}
