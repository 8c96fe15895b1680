use std::path::PathBuf;

use super::*;
use crate::model::{
    AMOUNT_MINOR_MAX, AccountId, AlarmId, AppId, BillNum, ChannelCode, Currency, DeliveryId, InboxId, KeyId, Mode,
    Money, Sealed, SubscriptionId, Timestamp, TransactionId,
};
use crate::store::notes::{Evidence, Idempotency, Material, MetaValue, OnceOwner, SetAside};
use crate::store::samples::*;
use crate::store::{Table, keys};

/// Set to write the golden files of records that have none yet, and those of changed samples: after a change of a record's
/// fields its version must rise first, and the older files must stay.
const WRITE: &str = "MAXPAY_WRITE_GOLDEN";

/// What must hold of a record: today's bytes are the committed ones, and those decode to the sample.
fn check<T: Record + PartialEq + std::fmt::Debug>(name: &str, key: &RowKey, sample: &T) {
    let file: PathBuf =
        [env!("CARGO_MANIFEST_DIR"), "src/store/golden", &format!("{name}-{}.bin", T::VERSION)].iter().collect();
    let bytes = encode(key, sample);
    if std::env::var_os(WRITE).is_some() {
        std::fs::create_dir_all(file.parent().expect("has a folder")).expect("the folder can be made");
        std::fs::write(&file, &bytes).expect("the golden file can be written");
    }
    let golden = std::fs::read(&file).unwrap_or_else(|why| panic!("{}: {why}; {WRITE}=1 writes it", file.display()));
    assert_eq!(hex::encode(&bytes), hex::encode(&golden), "{name}: the bytes of version {} changed", T::VERSION);
    assert_eq!(&decode::<T>(key, &golden).expect("golden bytes decode"), sample, "{name}");
    refuses_damage::<T>(name, key, &golden);
}

/// Any flipped bit, any cut and any addition is refused, and so are the bytes under another key.
fn refuses_damage<T: Record + std::fmt::Debug>(name: &str, key: &RowKey, golden: &[u8]) {
    for bit in 0..golden.len() * 8 {
        let mut bytes = golden.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(decode::<T>(key, &bytes).is_err(), "{name}: bit {bit} flipped");
    }
    for length in 0..golden.len() {
        assert!(decode::<T>(key, &golden[..length]).is_err(), "{name}: cut to {length}");
    }
    assert!(decode::<T>(key, &[golden, &[0]].concat()).is_err(), "{name}: one byte more");
    let other = RowKey::new(key.table, &[&key.key, &[0]]);
    assert_eq!(decode::<T>(&other, golden).expect_err("another key"), CodecError::Checksum, "{name}");
}

#[test]
fn every_record_keeps_its_bytes() {
    // The bytes of every record version that was ever written still decode, and damaged ones are refused.
    check("app", &keys::app(AppId(raw(1))), &sample_app());
    check("key-owner", &keys::key_digest(&[2; 32]), &KeyOwner::App(AppId(raw(1)), KeyId(raw(2))));
    check("account", &keys::account(AccountId(raw(3))), &sample_account());
    check("transaction", &keys::transaction(TransactionId(raw(4))), &sample_transaction());
    check("bill", &keys::bill(AppId(raw(1)), Mode::Live, &bill_num()), &sample_bill());
    check("transition", &keys::transition(raw(4), 2), &sample_transition());
    check("event", &keys::event(crate::store::Seq(7), 1), &sample_event());
    check("subscription", &keys::subscription(SubscriptionId(raw(6))), &sample_subscription());
    check("delivery", &keys::delivery(DeliveryId(raw(7))), &sample_delivery());
    check("inbox", &keys::inbox(InboxId(raw(8))), &sample_inbox());
    check("alarm", &keys::alarm(AlarmId(raw(9))), &sample_alarm());
}

#[test]
fn a_transaction_of_the_first_version_has_no_fallbacks() {
    // Its golden bytes decode to the sample without them, whole and undamaged.
    let key = keys::transaction(TransactionId(raw(4)));
    let golden = include_bytes!("golden/transaction-1.bin");
    let first = crate::model::Transaction { fallbacks: Vec::new(), ..sample_transaction() };
    assert_eq!(decode::<crate::model::Transaction>(&key, golden).expect("it decodes"), first);
    refuses_damage::<crate::model::Transaction>("transaction-1", &key, golden);
}

#[test]
fn every_note_keeps_its_bytes() {
    // The same for the small records beside the model.
    let idempotency = Idempotency {
        body_digest: [1; 32],
        resource_kind: "transaction".to_owned(),
        resource_id: raw(4),
        status_code: 201,
        created_at: at(1),
    };
    check("idempotency", &keys::idempotency(b"owner", Mode::Test, "/v1/transactions", "key-1"), &idempotency);
    let once = OnceOwner { transaction_id: TransactionId(raw(4)), taken_at: at(2) };
    check("once", &keys::once("applepay", Mode::Live, b"token"), &once);
    let aside = SetAside { why: "it killed its actor twice".to_owned(), since: at(3) };
    check("set-aside", &keys::set_aside(&keys::transaction(TransactionId(raw(4)))), &aside);
    let evidence = Evidence { raw: Sealed(vec![1, 2, 3]), received_at: at(4) };
    check("evidence", &keys::evidence(raw(4), 2), &evidence);
    let material = Material { bytes: b"certificate".to_vec(), fetched_at: at(5) };
    check("material", &keys::material(AccountId(raw(3))), &material);
    check("meta", &keys::meta("check"), &MetaValue(vec![9; 40]));
}

#[test]
fn lying_lengths_are_refused_without_memory() {
    // A payload that claims a gigantic list fails, and allocates nothing of it.
    let key = keys::meta("check");
    let lie = [253, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    let bytes = seal::<MetaValue>(&key, &lie);
    assert!(matches!(decode::<MetaValue>(&key, &bytes), Err(CodecError::Payload(_))));
}

#[test]
fn values_that_cannot_be_do_not_decode() {
    // The bytes of a currency, an amount, a moment, a code or a bill number that nobody can make are no record.
    fn check<T: bincode::Decode<()>>(what: &str, bytes: &impl bincode::Encode) {
        let refused = matches!(decode_payload::<T>(&payload(bytes)), Err(CodecError::Payload(_)));
        assert!(refused, "{what} decodes");
    }
    check::<Currency>("a currency of other bytes", b"\xffNY");
    check::<Currency>("a currency in lower case", b"cny");
    check::<Money>("an amount above the largest", &(AMOUNT_MINOR_MAX + 1, *b"CNY"));
    check::<Timestamp>("a moment after 9999", &(Timestamp::MAX.millis() + 1));
    check::<ChannelCode>("a code with a blank", &"wx native");
    check::<ChannelCode>("no code", &"");
    check::<BillNum>("a bill number of 129 characters", &"1".repeat(129));
    check::<BillNum>("a bill number with a line end", &"1\n");
    let beyond = RowKey::new(Table::Due, &[&[0xff; 8], &[1], &[7; 12]]);
    assert_eq!(keys::parse_due(&beyond.key), None, "a key that is due after 9999");
}

#[test]
fn strangers_are_named() {
    // Another kind, a later version and another format are told apart.
    let key = keys::meta("check");
    let value = encode(&key, &MetaValue(vec![1]));
    let wrong = CodecError::Kind { found: MetaValue::KIND, wanted: SetAside::KIND };
    assert_eq!(decode::<SetAside>(&key, &value).expect_err("another kind"), wrong);
    let mut later = value.to_vec();
    later[2] = 9;
    let crc = checksum(&key, [later[0], later[1], later[2]], &later[HEAD..]).to_be_bytes();
    later[3..HEAD].copy_from_slice(&crc);
    let wrong = CodecError::Version { kind: MetaValue::KIND, version: 9 };
    assert_eq!(decode::<MetaValue>(&key, &later).expect_err("a later version"), wrong);
    later[0] = 2;
    assert_eq!(decode::<MetaValue>(&key, &later).expect_err("another format"), CodecError::Format(2));
}

#[test]
fn keys_read_back_and_sort() {
    // What a key is made of can be read from it, and due keys sort by time first.
    let due = keys::due(at(5), keys::DueKind::Delivery, raw(7));
    let back = keys::parse_due(&due.key).expect("ours");
    assert_eq!((back.at, back.kind, back.id), (at(5), keys::DueKind::Delivery, raw(7)));
    assert!(due.key < keys::due(at(6), keys::DueKind::Transaction, raw(0)).key);
    assert!(due.key.to_vec() < keys::due_after(at(5)) && keys::due_after(at(4)) < due.key.to_vec());
    assert_eq!(keys::parse_due(&due.key[1..]), None);
    let event = keys::event(crate::store::Seq(7), 3);
    assert_eq!(keys::parse_event(&event.key), Some((crate::store::Seq(7), 3)));
    let row = keys::transaction(TransactionId(raw(4)));
    assert_eq!(keys::parse_set_aside(&keys::set_aside(&row).key), Some(row));
    assert_ne!(keys::once("a", Mode::Live, b"d").key, keys::once("a", Mode::Test, b"d").key);
    assert_eq!(Table::ALL.map(Table::number).to_vec(), (1..=25).collect::<Vec<u8>>());
}
