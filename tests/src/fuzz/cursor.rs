//! Cursors of lists.

use maxpay_engine::model::RawId;
use maxpay_transports::operations::Order;
use maxpay_transports::operations::cursor::{next, page};

const LISTS: [&str; 3] = ["transactions.list", "deliveries.list", "apps.list"];

/// First byte: which list, in which order, and whether a text follows or a place.
pub fn check(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    let list = LISTS[usize::from(first & 3) % LISTS.len()];
    let order = if first & 4 == 0 { Order::NewestFirst } else { Order::OldestFirst };
    match (first & 8 == 0, rest.split_first_chunk::<12>()) {
        (false, Some((place, change))) => issued(list, order, RawId(*place), change),
        (true, _) | (false, None) => {
            if let Ok(text) = std::str::from_utf8(rest) {
                shown(list, order, text);
            }
        }
    }
}

/// A text is refused by name, or is letter for letter what this list gives for the place that it names.
fn shown(list: &str, order: Order, text: &str) {
    match page(list, None, Some(text), Some(order)) {
        Ok(request) => {
            assert_eq!(next(list, &request, request.after).as_deref(), Some(text));
            assert_eq!((request.limit, request.newest_first), (20, order == Order::NewestFirst));
        }
        Err(problem) => {
            let fields: Vec<&str> = problem.errors.iter().map(|error| error.field.as_str()).collect();
            assert_eq!((problem.status, fields), (400, vec!["cursor"]), "{problem:?}");
            assert!(problem.detail.contains("cursor") && !problem.detail.contains('!'), "{problem:?}");
        }
    }
}

/// What a list gave reads back there, nowhere else, and not when it was changed.
fn issued(list: &str, order: Order, place: RawId, change: &[u8]) {
    let request = page(list, None, None, Some(order)).expect("the first page needs no cursor");
    let cursor = next(list, &request, Some(place)).expect("a place has a cursor");
    let read = page(list, None, Some(&cursor), Some(order)).expect("what was given is taken");
    assert_eq!(read.after, Some(place));
    let other = if order == Order::NewestFirst { Order::OldestFirst } else { Order::NewestFirst };
    assert!(page(list, None, Some(&cursor), Some(other)).is_err(), "{cursor} in another order");
    for foreign in LISTS.iter().filter(|foreign| **foreign != list) {
        assert!(page(foreign, None, Some(&cursor), Some(order)).is_err(), "{cursor} on {foreign}");
    }
    let [at, letter, ..] = change else { return };
    let mut changed = cursor.clone().into_bytes();
    let at = usize::from(*at) % changed.len();
    changed[at] = *letter;
    if let Ok(changed) = String::from_utf8(changed)
        && changed != cursor
    {
        assert!(page(list, None, Some(&changed), Some(order)).is_err(), "{changed} for {cursor}");
    }
}
