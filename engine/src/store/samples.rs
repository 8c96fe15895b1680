//! One fixed record of each kind, with every field filled, for tests.
#![allow(missing_docs, reason = "each function gives what its name says")]

use crate::model::*;

pub fn raw(byte: u8) -> RawId {
    RawId([byte; 12])
}

pub fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000 + millis)
}

pub fn yuan(minor: u64) -> Money {
    Money::new(minor, Currency::CNY).expect("small")
}

pub fn bill_num() -> BillNum {
    "2026-账单-1".parse().expect("a bill number")
}

pub fn sample_app() -> App {
    let key = IssuedKey {
        id: KeyId(raw(2)),
        kind: KeyKind::SessionToken,
        mode: Mode::Test,
        secret: Sealed(vec![5; 50]),
        hint: "wxyz".to_owned(),
        created_at: at(0),
        expires_at: Some(at(60)),
        owner: Some("alice".to_owned()),
        revoked_at: None,
    };
    App {
        id: AppId(raw(1)),
        name: "Shop".to_owned(),
        version: 3,
        created_at: at(0),
        disabled: false,
        strict_bill_numbers: true,
        late_policy: LatePolicy::ByDoor,
        keys: vec![key],
    }
}

pub fn sample_account() -> Account {
    let revision = Revision {
        number: 1,
        settings: r#"{"mch_id":"1900000001"}"#.to_owned(),
        secrets: Sealed(vec![6; 50]),
        identity: "1900000001".to_owned(),
        saved_at: at(0),
    };
    Account {
        id: AccountId(raw(3)),
        app_id: AppId(raw(1)),
        mode: Mode::Live,
        version: 2,
        adapter: "sandbox".to_owned(),
        codes: vec!["ali_app".parse().expect("a code"), "wx_native".parse().expect("a code")],
        label: "main".to_owned(),
        priority: 10,
        weight: 1,
        state: AccountState::Paused { reason: "refused".to_owned(), since: at(9) },
        revisions: vec![revision],
        created_at: at(0),
    }
}

pub fn sample_transaction() -> Transaction {
    let action = NamedAction {
        name: "wx_native".to_owned(),
        action: PayerAction::QrText { text: "weixin://pay".to_owned() },
        usable_until: Some(at(90)),
    };
    Transaction {
        id: TransactionId(raw(4)),
        app_id: AppId(raw(1)),
        mode: Mode::Live,
        version: 4,
        door: Door::Native,
        bill_num: bill_num(),
        content_digest: [7; 32],
        channel: "wx_native".parse().expect("a code"),
        amount: yuan(1999),
        subject: "tea".to_owned(),
        extras: Some(r#"{"a":1}"#.to_owned()),
        return_url: Some("https://shop.example/back".to_owned()),
        show_url: None,
        payer: PayerInputs { openid: Some("o1".to_owned()), ..PayerInputs::default() },
        created_at: at(0),
        expires_at: at(7_200_000),
        status: Status::AwaitingPayer { step: PayerStep::Actions(vec![action]) },
        close_requested: Some(CloseRequest { by: Requester::Merchant, at: at(8) }),
        in_doubt: Some(InDoubt { since: at(1), reason: "timeout".to_owned(), next_check_at: at(2) }),
        attention: vec![Attention::LateSuccess],
        attempts: vec![sample_attempt()],
        receipts: vec![sample_receipt()],
        ended_at: None,
        success_held: true,
        duplicate_of: Some(TransactionId(raw(5))),
        look_at: Some(at(31)),
        due_at: Some(at(30)),
        transitions: 4,
        transition_hash: [8; 32],
        refunds: 0,
        fallbacks: vec![Fallback { account_id: AccountId(raw(3)), revision: 2 }],
    }
}

pub fn sample_attempt() -> Attempt {
    let intent = Intent {
        amount: yuan(1999),
        subject: "tea".to_owned(),
        return_url: None,
        show_url: None,
        payer: PayerInputs::default(),
        expires_at: at(7_200_000),
        token: Some(([1; 32], [2; 32])),
    };
    Attempt {
        number: AttemptNumber { transaction: TransactionId(raw(4)), index: 1 },
        numbered_at: at(0),
        account_id: AccountId(raw(3)),
        revision: 1,
        intent,
        sends: vec![Send { at: at(1), state: SendState::Executed }],
        sends_made: 1,
        last_outcome: Some(LastOutcome { call: CallKind::Query, text: "unpaid".to_owned(), at: at(2) }),
        looks: 2,
        closes: 0,
        ended: Some(AttemptEnd::Declined("no".to_owned())),
        hint: Some(Hint { at: at(29), next_at: at(30), looks: 1 }),
    }
}

pub fn sample_receipt() -> Receipt {
    Receipt {
        number: AttemptNumber { transaction: TransactionId(raw(4)), index: 1 },
        trade_number: "420000".to_owned(),
        amount: yuan(1999),
        paid_at: at(40),
        recorded_at: at(41),
        state: ReceiptState::Counted,
        refunded_minor: 1,
        reserved_minor: 2,
        returned: Some(ExternalReturn {
            key: "returned".to_owned(),
            amount_minor: 3,
            by: "channel".to_owned(),
            is_final: true,
            at: at(50),
        }),
    }
}

pub fn sample_bill() -> Bill {
    Bill {
        first: TransactionId(raw(4)),
        newest: TransactionId(raw(5)),
        made: 2,
        open: 1,
        first_paid: Some(TransactionId(raw(4))),
    }
}

pub fn sample_transition() -> Transition {
    Transition {
        number: 2,
        at: at(1),
        from: "created".to_owned(),
        to: "submitting".to_owned(),
        cause: Cause::Operator { author: "bob".to_owned(), reason: "asked".to_owned() },
        note: "sent".to_owned(),
        evidence_digest: Some([3; 32]),
        previous: [4; 32],
    }
}

pub fn sample_event() -> Event {
    Event {
        id: EventId(raw(5)),
        app_id: AppId(raw(1)),
        mode: Mode::Live,
        kind: EventKind::PaymentSucceeded,
        transaction_id: TransactionId(raw(4)),
        created_at: at(40),
        data: EventData {
            bill_num: "2026-1".to_owned(),
            channel: "wx_native".to_owned(),
            amount_minor: 1999,
            currency: "CNY".to_owned(),
            created_at: at(0),
            ended_at: Some(at(40)),
            extras: None,
            status: "succeeded".to_owned(),
            trade_number: Some("420000".to_owned()),
            paid_minor: 1999,
            refunded_minor: 0,
            moved_minor: Some(2001),
            moved_currency: Some("USD".to_owned()),
            duplicate_of: None,
            reason: None,
        },
    }
}

pub fn sample_subscription() -> Subscription {
    Subscription {
        id: SubscriptionId(raw(6)),
        app_id: AppId(raw(1)),
        mode: Mode::Live,
        version: 1,
        target: Target::Url("https://shop.example/hook".to_owned()),
        headers: vec![Header { name: "x-token".to_owned(), value: Sealed(vec![1; 41]) }],
        event_types: vec![EventKind::PaymentSucceeded, EventKind::PaymentClosed],
        delivery: DeliveryMode::Events,
        state: SubscriptionState::Enabled,
        secret: Sealed(vec![2; 72]),
        description: "orders".to_owned(),
        created_at: at(0),
    }
}

pub fn sample_delivery() -> Delivery {
    let attempt = DeliveryTry {
        number: 1,
        resend: false,
        started_at: at(41),
        ended_at: at(42),
        result: TryResult::Answered { status: 500, excerpt: "oops".to_owned() },
    };
    Delivery {
        id: DeliveryId(raw(7)),
        app_id: AppId(raw(1)),
        mode: Mode::Live,
        version: 2,
        subscription_id: SubscriptionId(raw(6)),
        event_id: EventId(raw(5)),
        event_at: (7, 1),
        kind: EventKind::PaymentSucceeded,
        transaction_id: TransactionId(raw(4)),
        created_at: at(40),
        state: DeliveryState::Due { at: at(60_042) },
        tries_done: 1,
        tries: vec![attempt],
    }
}

pub fn sample_inbox() -> InboxItem {
    InboxItem {
        id: InboxId(raw(8)),
        account_id: AccountId(raw(3)),
        number: "66f0a1b2c3d4e5f607182930".to_owned(),
        reason: "unknown number".to_owned(),
        digest: [5; 32],
        raw: Sealed(vec![3; 60]),
        received_at: at(43),
    }
}

pub fn sample_alarm() -> Alarm {
    Alarm {
        id: AlarmId(raw(9)),
        kind: AlarmKind::Inbox,
        subject: "66f0a1b2c3d4e5f607182930".to_owned(),
        text: "a notification has no home".to_owned(),
        raised_at: at(43),
        acknowledged: Some(("bob".to_owned(), at(44))),
    }
}
