//! Due transactions whose account is asked as often as it may be: they wait here, oldest first, until it can be asked
//! about them, and nobody wakes them meanwhile.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use crate::model::AccountId;
use crate::store::keys::Due;

/// So many wait; more are forgotten and come again when all rows are gone through the next time.
const WAITING_MAX: usize = 200_000;

/// Due rows by the account that they wait for.
#[derive(Default)]
pub(super) struct Stalled {
    by_account: BTreeMap<AccountId, BTreeSet<Due>>,
    accounts: BTreeMap<Due, AccountId>,
}

impl Stalled {
    /// One more waits.
    pub fn put(&mut self, account: AccountId, due: Due) {
        if self.accounts.len() < WAITING_MAX
            && let Entry::Vacant(place) = self.accounts.entry(due)
        {
            place.insert(account);
            self.by_account.entry(account).or_default().insert(due);
        }
    }

    /// It waits no longer.
    pub fn remove(&mut self, due: &Due) {
        let Some(account) = self.accounts.remove(due) else { return };
        if let Some(waiting) = self.by_account.get_mut(&account) {
            waiting.remove(due);
            if waiting.is_empty() {
                self.by_account.remove(&account);
            }
        }
    }

    pub fn contains(&self, due: &Due) -> bool {
        self.accounts.contains_key(due)
    }

    pub fn len(&self) -> usize {
        self.accounts.len()
    }

    /// The accounts that something waits for.
    pub fn accounts(&self) -> Vec<AccountId> {
        self.by_account.keys().copied().collect()
    }

    /// Whether something waits for that account.
    pub fn waits_for(&self, account: AccountId) -> bool {
        self.by_account.contains_key(&account)
    }

    /// The oldest ones of an account, at most `room`.
    pub fn take(&mut self, account: AccountId, room: usize) -> Vec<Due> {
        let oldest =
            self.by_account.get(&account).map(|waiting| waiting.iter().take(room).copied().collect::<Vec<_>>());
        let oldest = oldest.unwrap_or_default();
        for due in &oldest {
            self.remove(due);
        }
        oldest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{RawId, Timestamp};
    use crate::store::keys::DueKind;

    #[test]
    fn the_oldest_of_an_account_go_first() {
        // Whatever the order they came in; what was removed is not taken, and nothing is left behind.
        let account = |id: u8| AccountId(RawId([id; RawId::LEN]));
        let row =
            |at: u64| Due { at: Timestamp::from_millis(at), kind: DueKind::Transaction, id: RawId([0; RawId::LEN]) };
        let mut stalled = Stalled::default();
        for at in [5, 1, 4, 3] {
            stalled.put(account(1), row(at));
        }
        stalled.put(account(2), row(2));
        stalled.put(account(2), row(1));
        stalled.remove(&row(3));
        assert!(stalled.contains(&row(1)) && !stalled.contains(&row(3)));
        assert_eq!(stalled.take(account(1), 2), [row(1), row(4)]);
        assert_eq!(stalled.accounts(), [account(1), account(2)]);
        assert_eq!(stalled.take(account(1), 9), [row(5)]);
        assert!(!stalled.waits_for(account(1)) && stalled.waits_for(account(2)));
        assert_eq!(stalled.take(account(2), 9), [row(2)], "the other stood under its first account");
        assert_eq!(stalled.len(), 0);
    }
}
