//! Groups of the journal: bytes that a disk gives back after a crash.

use maxpay_engine::store::redb::blob::{StoreId, decode, encode, seal};
use maxpay_engine::store::{Put, Seq};

const STORE: StoreId = [7; 16];
const ELSEWHERE: StoreId = [8; 16];
/// The number under which a group stands that names none itself.
const SEQ: Seq = Seq(9);

/// First byte 0: a whole group follows, as it lies on the disk. Another: what stands behind the checksum of one.
pub fn check(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    if *first == 0 {
        let _ = read(rest, named(rest.get(5..).unwrap_or_default()));
    } else {
        sealed(rest);
    }
}

/// The number that a group names itself, in its first eight bytes.
fn named(rest: &[u8]) -> Seq {
    rest.first_chunk::<8>().map_or(SEQ, |bytes| Seq(u64::from_be_bytes(*bytes)))
}

/// A group is taken only as it is written: from what it reads as come the same bytes.
fn read(blob: &[u8], seq: Seq) -> Result<Vec<Put>, String> {
    let puts = decode(blob, &STORE, seq)?;
    let mut again = Vec::new();
    encode(&mut again, &STORE, seq, &puts);
    assert!(*again == *blob, "{} rows are written as other bytes", puts.len());
    Ok(puts)
}

/// What has the right checksum reads, or is refused with a reason; in another store, under another number, cut short or
/// with something behind it never.
fn sealed(rest: &[u8]) {
    let (blob, seq) = (seal(&STORE, rest), named(rest));
    match read(&blob, seq) {
        Ok(_) => {}
        Err(why) => assert!(!why.is_empty() && !why.contains("checksum"), "{why}"),
    }
    assert!(decode(&blob, &ELSEWHERE, seq).is_err(), "another store's is taken");
    assert!(decode(&blob, &STORE, Seq(seq.0 ^ 1)).is_err(), "another number's is taken");
    let longer = [blob.as_slice(), &[0]].concat();
    for damaged in [&blob[..blob.len() - 1], &longer] {
        assert!(decode(damaged, &STORE, seq).is_err(), "what is cut or grown is taken");
    }
}
