//! How a record becomes the bytes of a row and back: an envelope with a checksum around bincode, one kind and one
//! version per record. It knows no table and no disk.
//!
//! Envelope: format byte, record kind, record version, CRC-32 (big-endian) of table, key, those three bytes and the
//! payload; then the payload. The checksum covers the key, so that bytes that turn up under another key are refused.

use std::sync::Arc;

use bincode::config::{BigEndian, Configuration, Limit, Varint};

use super::{RowKey, Value};
use crate::model::{
    Account, Alarm, App, Bill, Delivery, Event, InboxItem, KeyOwner, Subscription, Transaction, Transition,
};

/// The format of the envelope that is written.
const FORMAT: u8 = 1;
/// Bytes before the payload.
const HEAD: usize = 7;
/// Room that most rows do with.
const ROW_BYTES: usize = 1_024;
/// No decoding takes more memory than this, whatever lengths damaged bytes claim.
const LIMIT: usize = 16 * 1024 * 1024;

const CONFIG: Configuration<BigEndian, Varint, Limit<LIMIT>> =
    bincode::config::standard().with_big_endian().with_variable_int_encoding().with_limit::<LIMIT>();

/// Something that is stored as the bytes of one row.
///
/// When the fields of a record change, its `VERSION` rises, its old shape stays behind as a private type, and
/// `decode_older` turns the old shape into the new. The golden file of every version that was ever written stays.
pub trait Record: bincode::Encode + bincode::Decode<()> {
    /// Which record; on disk: never changes and is never used again.
    const KIND: u8;
    /// The version that is written.
    const VERSION: u8;

    /// Reads the payload of an older version.
    ///
    /// # Errors
    /// [`CodecError::Version`] for a version that never was.
    fn decode_older(version: u8, _payload: &[u8]) -> Result<Self, CodecError> {
        Err(CodecError::Version { kind: Self::KIND, version })
    }
}

/// Why bytes are not the record that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Shorter than an envelope.
    #[error("{0} bytes are shorter than an envelope")]
    Short(usize),
    /// An envelope of another format.
    #[error("envelope format {0} is not known to this version")]
    Format(u8),
    /// The bytes are not those that were written, or not under this key.
    #[error("the checksum does not match")]
    Checksum,
    /// Another kind of record.
    #[error("the record is of kind {found}, not {wanted}")]
    Kind {
        /// What the row holds.
        found: u8,
        /// What was asked for.
        wanted: u8,
    },
    /// A version that this program does not know.
    #[error("version {version} of record kind {kind} is not known to this version")]
    Version {
        /// Which record.
        kind: u8,
        /// Its version.
        version: u8,
    },
    /// The payload does not decode.
    #[error("the payload does not decode: {0}")]
    Payload(String),
    /// Bytes are left over behind the payload.
    #[error("{0} bytes are left over behind the record")]
    Trailing(usize),
}

/// The bytes of `record` for the row `key`.
#[must_use]
pub fn encode<T: Record>(key: &RowKey, record: &T) -> Value {
    let mut row = Vec::with_capacity(ROW_BYTES);
    row.extend([0; HEAD]);
    write(record, &mut row);
    close::<T>(key, row)
}

/// The payload of `record`: what the envelope goes around. The same record gives the same bytes.
#[must_use]
pub fn payload<T: bincode::Encode>(record: &T) -> Vec<u8> {
    let mut payload = Vec::with_capacity(ROW_BYTES);
    write(record, &mut payload);
    payload
}

/// Puts the envelope of the row `key` around a payload of `T`.
#[must_use]
pub fn seal<T: Record>(key: &RowKey, payload: &[u8]) -> Value {
    close::<T>(key, [&[0; HEAD], payload].concat())
}

fn write<T: bincode::Encode>(record: &T, to: &mut Vec<u8>) {
    bincode::encode_into_std_write(record, to, CONFIG).expect("records hold nothing that bincode cannot write");
}

/// Writes the head of a row whose payload is there.
fn close<T: Record>(key: &RowKey, mut row: Vec<u8>) -> Value {
    let (head, payload) = row.split_first_chunk_mut::<HEAD>().expect("a head was left room for");
    let kind = [FORMAT, T::KIND, T::VERSION];
    head[..3].copy_from_slice(&kind);
    head[3..].copy_from_slice(&checksum(key, kind, payload).to_be_bytes());
    row.into()
}

/// The record in the bytes of the row `key`.
///
/// # Errors
/// [`CodecError`]: the bytes are damaged, of another kind, or newer than this program.
pub fn decode<T: Record>(key: &RowKey, bytes: &[u8]) -> Result<T, CodecError> {
    intact(key, bytes)?;
    let (head, payload) = bytes.split_first_chunk::<HEAD>().ok_or(CodecError::Short(bytes.len()))?;
    let [_, kind, version, ..] = head;
    if *kind != T::KIND {
        return Err(CodecError::Kind { found: *kind, wanted: T::KIND });
    }
    match *version {
        current if current == T::VERSION => decode_payload(payload),
        older => T::decode_older(older, payload),
    }
}

/// Whether the bytes of the row `key` are those that were written under it, whatever record they are.
///
/// # Errors
/// [`CodecError::Short`], [`CodecError::Format`], [`CodecError::Checksum`].
pub fn intact(key: &RowKey, bytes: &[u8]) -> Result<(), CodecError> {
    let (head, payload) = bytes.split_first_chunk::<HEAD>().ok_or(CodecError::Short(bytes.len()))?;
    let [format, kind, version, crc @ ..] = head;
    if *format != FORMAT {
        return Err(CodecError::Format(*format));
    }
    if checksum(key, [*format, *kind, *version], payload).to_be_bytes() == *crc {
        return Ok(());
    }
    Err(CodecError::Checksum)
}

/// Reads a payload to its last byte.
///
/// # Errors
/// [`CodecError::Payload`], [`CodecError::Trailing`].
pub fn decode_payload<T: bincode::Decode<()>>(payload: &[u8]) -> Result<T, CodecError> {
    let (record, read) =
        bincode::decode_from_slice(payload, CONFIG).map_err(|why| CodecError::Payload(why.to_string()))?;
    match payload.len() - read {
        0 => Ok(record),
        left => Err(CodecError::Trailing(left)),
    }
}

/// An empty value: of rows whose key says it all.
#[must_use]
pub fn marker() -> Value {
    Arc::from([])
}

fn checksum(key: &RowKey, kind: [u8; 3], payload: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&[key.table.number()]);
    crc.update(&key.key);
    crc.update(&kind);
    crc.update(payload);
    crc.finalize()
}

macro_rules! records {
    ($($record:ty = $kind:literal v $version:literal)*) => {$(
        impl Record for $record {
            const KIND: u8 = $kind;
            const VERSION: u8 = $version;
        }
    )*};
}

records! {
    App = 1 v 1
    KeyOwner = 2 v 1
    Account = 3 v 1
    Bill = 5 v 1
    Transition = 6 v 1
    Event = 7 v 1
    Subscription = 8 v 1
    Delivery = 9 v 1
    InboxItem = 10 v 1
    Alarm = 11 v 1
    super::notes::Idempotency = 12 v 1
    super::notes::OnceOwner = 13 v 1
    super::notes::SetAside = 14 v 1
    super::notes::Evidence = 15 v 1
    super::notes::Material = 16 v 1
    super::notes::MetaValue = 17 v 1
}

impl Record for Transaction {
    const KIND: u8 = 4;
    const VERSION: u8 = 2;

    fn decode_older(version: u8, payload: &[u8]) -> Result<Self, CodecError> {
        match version {
            // It had no fallbacks, which are the last field of today; none of them are one byte, their count.
            1 => decode_payload(&[payload, &[0]].concat()),
            version => Err(CodecError::Version { kind: Self::KIND, version }),
        }
    }
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
