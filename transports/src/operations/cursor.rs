//! Cursors of lists: opaque to callers, of a version, and bound to the list they came from.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use maxpay_engine::api::PageRequest;
use maxpay_engine::model::RawId;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::Problem;

const VERSION: u8 = 1;
const TAG: usize = 4;

/// In which order a list comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// What was made last comes first.
    #[default]
    NewestFirst,
    /// What was made first comes first.
    OldestFirst,
}

/// Which page of a list that has no filters.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WhichPage {
    /// 1 to 100; 20 when not given.
    #[schema(minimum = 1, maximum = 100)]
    pub limit: Option<u32>,
    /// Where the page begins, as the page before it said.
    pub cursor: Option<String>,
    /// `newest_first` (when not given) or `oldest_first`.
    pub order: Option<Order>,
}

impl WhichPage {
    pub(super) fn of(&self, list: &str) -> Result<PageRequest, Problem> {
        page(list, self.limit, self.cursor.as_deref(), self.order)
    }
}

/// Reads the paging fields of a list: limit 1 to 100 (20 when not given), cursor, order.
///
/// # Errors
/// The problem names the field: 422 for a limit out of bounds, 400 for a cursor that this list, in this order, did not
/// give.
pub fn page(
    list: &str,
    limit: Option<u32>,
    cursor: Option<&str>,
    order: Option<Order>,
) -> Result<PageRequest, Problem> {
    let order = order.unwrap_or_default();
    let after = cursor.map(|text| read(&bound(list, order), text)).transpose()?.map(RawId);
    Ok(PageRequest { after, limit: limit_of(limit, 20)?, newest_first: order == Order::NewestFirst })
}

/// A limit of 1 to 100.
pub(crate) fn limit_of(limit: Option<u32>, default: u32) -> Result<usize, Problem> {
    match limit.unwrap_or(default) {
        limit @ 1..=100 => Ok(usize::try_from(limit).unwrap_or(100)),
        _ => Err(Problem::field("limit", "is not from 1 to 100")),
    }
}

/// The cursor of the page that follows `request`; `None`: there is none.
#[must_use]
pub fn next(list: &str, request: &PageRequest, next: Option<RawId>) -> Option<String> {
    let order = if request.newest_first { Order::NewestFirst } else { Order::OldestFirst };
    next.map(|id| write(&bound(list, order), id.0))
}

/// A cursor that holds these bytes, for one list.
pub(crate) fn write(list: &str, place: [u8; 12]) -> String {
    let mut bytes = vec![VERSION];
    bytes.extend(tag(list, place));
    bytes.extend(place);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes of a cursor of that list.
pub(crate) fn read(list: &str, text: &str) -> Result<[u8; 12], Problem> {
    let refused = || Problem::malformed("cursor", "the cursor is not one that this list gave");
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| refused())?;
    let (version, rest) = bytes.split_first().ok_or_else(refused)?;
    let (shown, place) = rest.split_at_checked(TAG).ok_or_else(refused)?;
    let place: [u8; 12] = place.try_into().map_err(|_| refused())?;
    if *version == VERSION && shown == tag(list, place) { Ok(place) } else { Err(refused()) }
}

fn bound(list: &str, order: Order) -> String {
    match order {
        Order::NewestFirst => format!("{list} newest first"),
        Order::OldestFirst => format!("{list} oldest first"),
    }
}

/// Not a secret: it keeps a cursor of one list, or a mistyped one, from being taken for a place in another.
fn tag(list: &str, place: [u8; 12]) -> [u8; TAG] {
    let hash =
        Sha256::new().chain_update(b"maxpay cursor\n").chain_update(list).chain_update(b"\n").chain_update(place);
    let hash: [u8; 32] = hash.finalize().into();
    [hash[0], hash[1], hash[2], hash[3]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_works_on_its_own_list_only() {
        // What a list gave reads back there; on another list, in another order or changed, it is a 400 that names it.
        let request = page("transactions.list", Some(5), None, None).expect("valid");
        let cursor = next("transactions.list", &request, Some(RawId([7; 12]))).expect("given");
        let again = page("transactions.list", None, Some(&cursor), None).expect("valid");
        assert_eq!((again.after, again.limit, again.newest_first), (Some(RawId([7; 12])), 20, true));
        let changed = format!("{}A", &cursor[..cursor.len() - 1]);
        for (list, cursor, order) in [
            ("deliveries.list", cursor.as_str(), None),
            ("transactions.list", cursor.as_str(), Some(Order::OldestFirst)),
            ("transactions.list", changed.as_str(), None),
            ("transactions.list", "", None),
            ("transactions.list", "!!", None),
            ("transactions.list", &cursor[..8], None),
        ] {
            let problem = page(list, None, Some(cursor), order).expect_err(cursor);
            assert_eq!((problem.status, problem.errors[0].field.as_str()), (400, "cursor"));
        }
    }

    #[test]
    fn a_limit_has_bounds() {
        // 1 to 100, and nothing else.
        for (limit, good) in [(0, false), (1, true), (100, true), (101, false), (u32::MAX, false)] {
            assert_eq!(page("x", Some(limit), None, None).is_ok(), good, "{limit}");
        }
    }
}
