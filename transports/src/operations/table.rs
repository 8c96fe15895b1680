//! The table itself, and the schemas that its rows name.

use std::sync::LazyLock;

use maxpay_engine::api::Right::{App, Client, Operator as Operators, Payments};
use utoipa::ToSchema;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{Ref, RefOr, Schema};

use super::cursor::WhichPage;
use super::views::{
    AccountView, AlarmView, AppView, CreatedAppView, DeliveryView, Done, InboxItemView, KeyView, OperatorKeyView,
    ResendView, SessionView, SetAsideView, SubscriptionView, TestSendView, TimelineEntryView, TransactionView,
};
use super::{Operation, accounts, apps, deliveries, operators, subscriptions, transactions};

/// Gives the schema of what an operation takes or answers.
pub type SchemaOf = fn() -> Described;

/// A schema and all schemas that it refers to.
pub struct Described {
    /// The schema, mostly a reference to one of `named`.
    pub schema: RefOr<Schema>,
    /// Schemas by name.
    pub named: Vec<(String, RefOr<Schema>)>,
}

/// Every operation.
#[must_use]
pub fn all() -> &'static [Operation] {
    &TABLE
}

/// The operation of that name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Operation> {
    TABLE.iter().find(|operation| operation.name == name)
}

/// A schema by its own name.
pub(crate) fn described<T: ToSchema>() -> Described {
    let mut named = vec![(T::name().into_owned(), T::schema())];
    T::schemas(&mut named);
    Described { schema: RefOr::Ref(Ref::from_schema_name(T::name())), named }
}

/// A page of such objects.
fn page_of<T: ToSchema>() -> Described {
    let Described { schema, named } = described::<T>();
    let page = ObjectBuilder::new()
        .property("items", ArrayBuilder::new().items(schema))
        .required("items")
        .property(
            "next_cursor",
            ObjectBuilder::new()
                .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
                .description(Some("What to send as `cursor` for the next page; null: this is the last one.")),
        )
        .required("next_cursor");
    Described { schema: RefOr::T(Schema::from(page.build())), named }
}

macro_rules! operation {
    ($name:literal $method:ident $path:literal, $right:expr, $idempotent:literal, $run:path, $takes:expr, $answers:expr, $summary:literal) => {
        Operation {
            name: $name,
            method: stringify!($method),
            path: $path,
            right: $right,
            idempotent: $idempotent,
            summary: $summary,
            takes: $takes,
            answers: $answers,
            run: |caller, params| Box::pin($run(caller, params)),
        }
    };
}

static TABLE: LazyLock<Vec<Operation>> = LazyLock::new(|| {
    let mut rows = Vec::new();
    rows.extend(transactions());
    rows.extend(subscriptions());
    rows.extend(deliveries());
    rows.extend(accounts());
    rows.extend(apps());
    rows.extend(operators());
    rows
});

const TRANSACTION: SchemaOf = described::<TransactionView>;

#[rustfmt::skip]
fn transactions() -> Vec<Operation> {
    vec![
        operation!("transactions.create" POST "/v1/transactions", Client, true, transactions::create,
            Some(described::<transactions::CreateTransactionRequest>), &[(201, TRANSACTION), (200, TRANSACTION), (202, TRANSACTION)],
            "Starts a payment. The bill number is an idempotency key of its own; 202 while the channel's answer is missing."),
        operation!("transactions.list" GET "/v1/transactions", Client, false, transactions::list,
            Some(described::<transactions::ListTransactions>), &[(200, page_of::<TransactionView>)],
            "Lists transactions. A client key must name a bill number."),
        operation!("transactions.get" GET "/v1/transactions/{id}", Payments, false, transactions::get,
            None, &[(200, TRANSACTION)], "Reads a transaction; payer actions past their time are renewed where the channel allows."),
        operation!("transactions.close" POST "/v1/transactions/{id}/close", Payments, true, transactions::close,
            Some(described::<transactions::Wait>), &[(200, TRANSACTION), (202, TRANSACTION)],
            "Asks the channel to close it; 202 while that is not confirmed. Money that comes anyway wins."),
        operation!("transactions.query" POST "/v1/transactions/{id}/query", Payments, true, transactions::query,
            Some(described::<transactions::Wait>), &[(200, TRANSACTION), (202, TRANSACTION)], "Asks the channel now what became of it."),
        operation!("transactions.authorize" POST "/v1/transactions/{id}/authorize", Payments, true, transactions::authorize,
            Some(described::<transactions::AuthorizeRequest>), &[(200, TRANSACTION), (202, TRANSACTION)],
            "Charges the token that the payer's wallet gave. A token is charged once, in whatever transaction."),
        operation!("transactions.payer_session" POST "/v1/transactions/{id}/payer_session", Payments, true, transactions::payer_session,
            Some(described::<transactions::PayerSessionRequest>), &[(200, described::<SessionView>)],
            "Fetches a wallet session for the payer's page. Moves nothing: a repeat fetches another one, with the same key too."),
        operation!("transactions.timeline" GET "/v1/transactions/{id}/timeline", Payments, false, transactions::timeline,
            Some(described::<transactions::ListTimeline>), &[(200, page_of::<TimelineEntryView>)], "Lists every step it took, oldest first."),
    ]
}

#[rustfmt::skip]
fn subscriptions() -> Vec<Operation> {
    const ONE: SchemaOf = described::<SubscriptionView>;
    vec![
        operation!("subscriptions.create" POST "/v1/subscriptions", App, true, subscriptions::create,
            Some(described::<subscriptions::CreateSubscriptionRequest>), &[(201, ONE), (200, ONE)],
            "Subscribes a target to events of the key's mode. The answer shows the signing secret, this once."),
        operation!("subscriptions.list" GET "/v1/subscriptions", App, false, subscriptions::list,
            Some(described::<WhichPage>), &[(200, page_of::<SubscriptionView>)], "Lists subscriptions."),
        operation!("subscriptions.get" GET "/v1/subscriptions/{id}", App, false, subscriptions::get, None, &[(200, ONE)], "Reads a subscription."),
        operation!("subscriptions.update" PATCH "/v1/subscriptions/{id}", App, false, subscriptions::update,
            Some(described::<subscriptions::UpdateSubscriptionRequest>), &[(200, ONE)],
            "Changes what is named; `delivery` switches between events and test sends only."),
        operation!("subscriptions.delete" DELETE "/v1/subscriptions/{id}", App, false, subscriptions::delete, None, &[(200, ONE)],
            "Deletes a subscription; its deliveries are cancelled and say so."),
        operation!("subscriptions.test" POST "/v1/subscriptions/{id}/test", App, true, subscriptions::test,
            Some(described::<subscriptions::TestRequest>), &[(200, described::<TestSendView>)],
            "Sends a test event the way events are sent, and shows the exact request and response. With an idempotency key it is sent once at most: a repeat is a 409 `conflict`, because nothing of a test is kept."),
    ]
}

#[rustfmt::skip]
fn deliveries() -> Vec<Operation> {
    vec![
        operation!("deliveries.list" GET "/v1/deliveries", Payments, false, deliveries::list,
            Some(described::<deliveries::ListDeliveries>), &[(200, page_of::<DeliveryView>)], "Lists deliveries."),
        operation!("deliveries.get" GET "/v1/deliveries/{id}", Payments, false, deliveries::get, None, &[(200, described::<DeliveryView>)],
            "Reads a delivery and its attempts."),
        operation!("deliveries.resend" POST "/v1/deliveries/{id}/resend", Payments, true, deliveries::resend, None,
            &[(200, described::<ResendView>)], "Tries once more, outside the schedule."),
        operation!("deliveries.resume" POST "/v1/deliveries/{id}/resume", Payments, true, deliveries::resume, None,
            &[(200, described::<DeliveryView>)], "Starts the schedule of an exhausted delivery again."),
    ]
}

#[rustfmt::skip]
fn accounts() -> Vec<Operation> {
    const ONE: SchemaOf = described::<AccountView>;
    vec![
        operation!("accounts.create" POST "/v1/accounts", App, true, accounts::create,
            Some(described::<accounts::CreateAccountRequest>), &[(201, ONE), (200, ONE)], "Adds a contract with a provider. Secret settings are never shown again."),
        operation!("accounts.list" GET "/v1/accounts", App, false, accounts::list,
            Some(described::<WhichPage>), &[(200, page_of::<AccountView>)], "Lists accounts."),
        operation!("accounts.get" GET "/v1/accounts/{id}", App, false, accounts::get, None, &[(200, ONE)], "Reads an account."),
        operation!("accounts.update" PATCH "/v1/accounts/{id}", App, false, accounts::update,
            Some(described::<accounts::UpdateAccountRequest>), &[(200, ONE)],
            "Changes what is named. Settings make a new revision of the same contract; another contract is another account."),
        operation!("accounts.disable" DELETE "/v1/accounts/{id}", App, false, accounts::disable, None, &[(200, ONE)],
            "Takes an account out of use: no creates; what is under way goes on."),
    ]
}

#[rustfmt::skip]
fn apps() -> Vec<Operation> {
    const ONE: SchemaOf = described::<AppView>;
    vec![
        operation!("apps.create" POST "/v1/apps", Operators, true, apps::create,
            Some(described::<apps::CreateAppRequest>), &[(201, described::<CreatedAppView>), (200, described::<CreatedAppView>)], "Makes an app and its first keys, shown this once."),
        operation!("apps.list" GET "/v1/apps", Operators, false, apps::list, Some(described::<WhichPage>), &[(200, page_of::<AppView>)], "Lists apps."),
        operation!("apps.get" GET "/v1/apps/{id}", Operators, false, apps::get, None, &[(200, ONE)], "Reads an app and its keys."),
        operation!("apps.update" PATCH "/v1/apps/{id}", Operators, false, apps::update,
            Some(described::<apps::UpdateAppRequest>), &[(200, ONE)], "Changes what is named."),
        operation!("keys.issue" POST "/v1/apps/{id}/keys", Operators, true, apps::issue_key,
            Some(described::<apps::IssueKeyRequest>), &[(201, described::<KeyView>), (200, described::<KeyView>)], "Issues a key or session token, shown this once, or imports one."),
        operation!("keys.list" GET "/v1/apps/{id}/keys", Operators, false, apps::list_keys, None, &[(200, page_of::<KeyView>)],
            "Lists an app's keys, revoked ones included; all on one page."),
        operation!("keys.revoke" DELETE "/v1/apps/{id}/keys/{key_id}", Operators, false, apps::revoke_key, None, &[(200, described::<KeyView>)], "Revokes a key."),
    ]
}

#[rustfmt::skip]
fn operators() -> Vec<Operation> {
    const DONE: SchemaOf = described::<Done>;
    vec![
        operation!("ops.transaction" GET "/v1/ops/transactions/{id}", Operators, false, operators::transaction, None, &[(200, TRANSACTION)],
            "Reads any app's transaction."),
        operation!("ops.vouch" POST "/v1/ops/transactions/{id}/evidence", Operators, true, operators::vouch,
            Some(described::<operators::VouchRequest>), &[(200, TRANSACTION)],
            "Vouches for what became of an attempt. Without money it never changes `succeeded`."),
        operation!("ops.accept_mismatch" POST "/v1/ops/transactions/{id}/accept_mismatch", Operators, true, operators::accept_mismatch,
            Some(described::<operators::AcceptMismatchRequest>), &[(200, TRANSACTION)], "Accepts money of another amount or currency as the payment."),
        operation!("ops.accept_late" POST "/v1/ops/transactions/{id}/accept_late", Operators, true, operators::accept_late,
            Some(described::<operators::Reasoned>), &[(200, TRANSACTION)], "Accepts a late success: `payment.succeeded` goes out if it was held."),
        operation!("ops.resume_account" POST "/v1/ops/accounts/{id}/resume", Operators, true, operators::resume_account,
            Some(described::<operators::Authored>), &[(200, described::<AccountView>)], "Ends the pause of an account that its provider refused."),
        operation!("ops.inbox" GET "/v1/ops/inbox", Operators, false, operators::inbox,
            Some(described::<WhichPage>), &[(200, page_of::<InboxItemView>)], "Lists verified notifications that have no home yet."),
        operation!("ops.apply_inbox" POST "/v1/ops/inbox/{id}/apply", Operators, true, operators::apply_inbox, None, &[(200, DONE)],
            "Interprets such a notification again and applies it."),
        operation!("ops.discard_inbox" POST "/v1/ops/inbox/{id}/discard", Operators, true, operators::discard_inbox,
            Some(described::<operators::Reasoned>), &[(200, DONE)], "Gives such a notification up."),
        operation!("ops.set_aside" GET "/v1/ops/set_aside", Operators, false, operators::set_aside,
            Some(described::<WhichPage>), &[(200, page_of::<SetAsideView>)], "Lists records that are set aside."),
        operation!("ops.retry_set_aside" POST "/v1/ops/set_aside/{kind}/{id}/retry", Operators, true, operators::retry_set_aside, None, &[(200, DONE)],
            "Brings such a record back."),
        operation!("ops.alarms" GET "/v1/ops/alarms", Operators, false, operators::alarms,
            Some(described::<operators::ListAlarms>), &[(200, page_of::<AlarmView>)], "Lists alarms."),
        operation!("ops.acknowledge_alarm" POST "/v1/ops/alarms/{id}/acknowledge", Operators, true, operators::acknowledge_alarm,
            Some(described::<operators::Authored>), &[(200, described::<AlarmView>)], "Notes who has seen an alarm."),
        operation!("ops.keys" GET "/v1/ops/keys", Operators, false, operators::keys, None, &[(200, page_of::<OperatorKeyView>)],
            "Lists operator keys, revoked ones included; all on one page."),
        operation!("ops.revoke_key" DELETE "/v1/ops/keys/{id}", Operators, false, operators::revoke_key, None,
            &[(200, described::<OperatorKeyView>)], "Revokes an operator key."),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn rows_do_not_collide() {
        // Every operation has a name of its own, and a method and path of its own under `/v1`.
        let names: BTreeSet<_> = all().iter().map(|row| row.name).collect();
        let places: BTreeSet<_> = all().iter().map(|row| (row.method, row.path)).collect();
        assert_eq!((names.len(), places.len()), (all().len(), all().len()));
        assert!(all().iter().all(|row| row.path.starts_with("/v1/")));
    }

    #[test]
    fn posts_and_they_alone_take_an_idempotency_key() {
        // Every POST does; what reads, changes in place or deletes is repeatable by itself.
        assert!(all().iter().all(|row| row.idempotent == (row.method == "POST")));
    }

    #[test]
    fn operators_and_merchants_have_separate_paths() {
        // `/v1/apps` and `/v1/ops` are the operator's, everything else is the merchants'.
        for row in all() {
            let theirs = row.path.starts_with("/v1/apps") || row.path.starts_with("/v1/ops/");
            assert_eq!(row.right == Operators, theirs, "{}", row.name);
        }
    }
}
