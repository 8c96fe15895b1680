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

/// Rows as a store gives them: from `from` on and not after `to`, as many as are read at once.
fn stored(rows: &BTreeSet<Due>, from: Due, to: Timestamp) -> (BTreeSet<Due>, Due) {
    let end = Due { at: to.after(Duration::from_millis(1)), ..first() };
    let read: BTreeSet<Due> = rows.range(from..end).take(NEAR_MAX).copied().collect();
    let known_to = read.last().filter(|_| read.len() == NEAR_MAX).copied().unwrap_or(end);
    (read, known_to)
}

#[test]
fn more_rows_than_can_be_out_stop_nobody_for_long() {
    // None of very many rows is ever done with; all the same each comes again, and a new one is offered soon.
    let start = Timestamp::from_millis(1_000_000_000);
    let mut rows: BTreeSet<Due> = (0..230_000).map(|at| row(at, 1)).collect();
    let mut lane = Lane::new(DueKind::Delivery);
    let mut offered = 0;
    let new = row(start.millis(), 2);
    for second in 0..420 {
        let now = Now { wall: start.after(Duration::from_secs(second)), monotonic: Duration::from_secs(second) };
        if second == 300 {
            rows.insert(new);
            lane.hear(new, true);
        }
        for _ in 0..20 {
            if let Some(from) = lane.wants_reading(now.wall, now.monotonic) {
                let (read, to) = stored(&rows, from, now.wall.after(Duration::from_mins(1)));
                lane.read(read, to, now);
            }
            let due = lane.take_due(now.wall, now.monotonic, usize::MAX);
            offered += due.len();
            if due.contains(&new) {
                assert!(offered > 2 * rows.len(), "only {offered} were offered");
                return;
            }
        }
    }
    panic!("a new row was not offered");
}

#[test]
fn a_wall_clock_that_steps_back_keeps_nothing_from_coming_again() {
    // What was offered in vain comes again each minute, however far ahead all was known before the step.
    let mut lane = Lane::new(DueKind::Delivery);
    let wall = Timestamp::from_millis(10_000_000);
    let rows = BTreeSet::from([row(10, 1)]);
    for second in 0..=120 {
        let back = if second == 0 { Duration::ZERO } else { Duration::from_hours(1) };
        let monotonic = Duration::from_secs(second);
        let now = Now { wall: wall.after(monotonic).before(back), monotonic };
        if let Some(from) = lane.wants_reading(now.wall, monotonic) {
            let (read, to) = stored(&rows, from, now.wall.after(Duration::from_mins(1)));
            lane.read(read, to, now);
        }
        let due = lane.take_due(now.wall, monotonic, 100);
        assert_eq!(due.len(), usize::from(second % 60 == 0), "after {second} s");
        for due in due {
            lane.not_taken(&due);
        }
    }
}
