//! Pages of lists.

use crate::model::RawId;

/// Which page of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    /// After which object, as [`Page::next`] said; `None`: from the beginning.
    pub after: Option<RawId>,
    /// At most so many objects: 1 to 100.
    pub limit: usize,
    /// Newest first, or oldest first.
    pub newest_first: bool,
}

/// One page of a list.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The objects, in order.
    pub items: Vec<T>,
    /// Where the next page begins; `None`: this is the last one. A page may be short or empty and still have a next
    /// one, because one page looks at no more than 10,000 objects, and holds about 1 MiB of them.
    pub next: Option<RawId>,
}
