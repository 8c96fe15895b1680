//! Rows that come, go, are offered, and come again.

use super::*;

fn row(at: u64, id: u8) -> Due {
    Due { at: Timestamp::from_millis(at), kind: DueKind::Delivery, id: RawId([id; RawId::LEN]) }
}

#[test]
fn what_is_let_go_while_rows_are_read_is_read_again() {
    // A flood during a read pushes out a row that was known before.
    let mut lane = Lane::new(DueKind::Delivery);
    let (wall, second) = (Timestamp::from_millis, Duration::from_secs);
    let now = |at, seconds| Now { wall: wall(at), monotonic: second(seconds) };
    lane.wants_reading(wall(1_000_000), second(0)).expect("nothing is known yet");
    let later = row(1_050_000, 1);
    lane.read(BTreeSet::from([later]), row(1_060_001, 0), now(1_000_000, 0));
    lane.wants_reading(wall(1_041_000), second(41)).expect("what is known ends soon");
    for at in (1_000_000..).take(2 * NEAR_MAX) {
        lane.hear(row(at, 2), true);
    }
    lane.read(BTreeSet::new(), row(1_101_001, 0), now(1_041_000, 41));
    let due = lane.take_due(wall(1_050_000), second(50), usize::MAX);
    assert!(due.len() >= NEAR_MAX && !due.contains(&later));
    let from = lane.wants_reading(wall(1_050_000), second(50)).expect("it is near");
    assert!(from <= later, "{from:?}");
}

#[test]
fn what_nobody_takes_holds_nobody_up() {
    // Rows that are offered in vain come again when all have been gone through, behind those that are new; and rows
    // that are written meanwhile are known at once.
    let mut lane = Lane::new(DueKind::Delivery);
    let now = Timestamp::from_millis(1_000_000);
    let second = Duration::from_secs;
    let at = |seconds| Now { wall: now, monotonic: second(seconds) };
    let end = row(1_060_001, 0);
    assert_eq!(lane.wants_reading(now, second(0)), Some(first()));
    lane.read((1..=9).map(|id| row(10, id)).collect(), end, at(0));
    assert_eq!(lane.take_due(now, second(0), 100).len(), 9);
    assert_eq!(lane.oldest(now), Some(row(10, 1).at), "offered, and not done with");
    for id in 1..=9 {
        lane.not_taken(&row(10, id));
    }
    assert_eq!((lane.backlog(now), lane.oldest(now)), (0, None), "they count for nothing");
    assert_eq!(lane.wants_reading(now, second(59)), None);
    assert_eq!(lane.wants_reading(now, second(60)), Some(first()));
    assert!(lane.hear(row(999_999, 77), true), "what is new is known while others are gone through");
    lane.read((1..=4).map(|id| row(10, id)).collect(), row(10, 4), at(60));
    assert_eq!(lane.take_due(now, second(60), 2), [row(999_999, 77), row(10, 1)]);
    // It goes on from where it was, however long that takes, and begins again only a minute after its end.
    assert_eq!(lane.wants_reading(now, second(200)), Some(row(10, 4)));
    lane.read((4..=9).map(|id| row(10, id)).collect(), end, at(200));
    assert_eq!(lane.take_due(now, second(200), 100).len(), 8);
    assert_eq!(lane.wants_reading(now, second(259)), None);
    assert_eq!(lane.wants_reading(now, second(260)), Some(first()));
}
