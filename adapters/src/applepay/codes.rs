//! What Apple Pay is to the engine: a wallet's session for the payer's page, then a charge by token at the acquirer.
//!
//! | question | answer |
//! |---|---|
//! | create | answered here, nothing is sent: the wallet asks for no order |
//! | authorize | the acquirer charges once, under the attempt's number; a decline leaves the order open for another token |
//! | query | the acquirer's, about a charge |
//! | close | there is none: without a charge nothing stands anywhere, and a charge is voided or refunded |

use std::time::Duration;

use maxpay_engine::channel::{CodeManifest, Manifest, Recreate};

use super::account;
use super::acquirer::Terms;

/// The adapter's name.
pub const ADAPTER: &str = "applepay";
/// Its one channel.
pub(super) const CODE: &str = "apple_pay";

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Builds the manifest.
pub(super) fn manifest(terms: Terms, test_mode_only: bool) -> Manifest {
    let mut settings = account::settings();
    settings.extend(terms.settings);
    // A merchant session is not among the unsigned answers: it says nothing of money, and what is in it is the wallet's.
    let unsigned = terms.unsigned;
    let code = CodeManifest {
        code: CODE.parse().expect("a channel code, written above"),
        group: "apple",
        currencies: terms.currencies,
        amount_minor: terms.amount_minor,
        needs: Vec::new(),
        subject_bytes_max: terms.subject_bytes_max,
        expiry: (Duration::from_secs(MINUTE), Duration::from_secs(30 * DAY)),
        expiry_default: Duration::from_secs(2 * HOUR),
        min_life: terms.min_life,
        grace: terms.grace,
        recreate: Recreate::Resign,
        decline_final: false,
        action_lifetime: None,
        locally_signed: true,
        authorize: true,
        query: terms.query,
        close: None,
        refund: terms.refund,
        void: terms.void,
        not_executed_max: 3,
        call_deadline: terms.call_deadline,
    };
    // The hosts that card data may go to are the acquirer's and stand in the account's settings.
    Manifest {
        adapter: ADAPTER,
        test_mode_only,
        settings,
        codes: vec![code],
        fixed_hosts: Vec::new(),
        unsigned,
        material_kept: None,
    }
}
