use super::*;
use crate::store::{Scan, Table};

#[tokio::test]
async fn nothing_secret_is_printed_or_stored_in_the_clear() {
    // Neither the Debug of any request, reply or record, nor any byte of any row, shows a key, a setting or a header.
    let world = World::new();
    let engine = &world.engine;
    let mut shown = Vec::new();
    let created = world.app().await;
    let scope = Scope { app_id: created.app.id, mode: Mode::Test };
    let mut secrets: Vec<String> = Vec::new();
    let mut keep = |secret: &Secret| secrets.push(secret.expose_text().expect("text").to_owned());
    created.issued.iter().filter_map(|it| it.secret.as_ref()).for_each(&mut keep);

    let import =
        IssueKey { import: Some(Secret::from_text("an-imported-key-16")), ..new_key(KeyKind::Api, Mode::Live) };
    shown.push(format!("{import:?}"));
    let imported = engine.issue_key(scope.app_id, import, None).await.expect("good");
    imported.secret.iter().for_each(&mut keep);
    let operator = engine.issue_operator_key().await.expect("good");
    keep(&operator.secret);

    let settings = json!({ "merchant": "m-1", "key": "key-of-the-bank", "passphrase": "open-sesame" });
    let request = create_account("bank", settings);
    shown.push(format!("{request:?}"));
    let account = engine.create_account(scope, request, None).await.expect("good").account;
    let update = UpdateAccount {
        settings: Some(settings_of(json!({ "key": "newer-key-of-the-bank" }))),
        ..UpdateAccount::default()
    };
    shown.push(format!("{update:?}"));
    let updated = engine.update_account(scope, account.id, update).await.expect("good");
    let view = engine.inner().directory.account(account.id).await.expect("a read").expect("it is there");
    view.secrets.iter().flat_map(|it| it.0.values()).for_each(&mut keep);
    let wrong = engine.create_account(scope, create_account("bank", json!({ "key": "short-k" })), None).await;
    shown.push(format!("{wrong:?}"));

    let request = CreateSubscription {
        headers: vec![("Authorization".to_owned(), "Bearer-of-shop".to_owned())],
        secret: Some("whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz".to_owned()),
        ..create_subscription("https://shop.example/hook")
    };
    shown.push(format!("{request:?}"));
    let subscription = engine.create_subscription(scope, request, None).await.expect("good");
    subscription.secret.iter().for_each(&mut keep);
    let update = UpdateSubscription {
        headers: Some(vec![("X-Key".to_owned(), "newer-header-value".to_owned())]),
        ..UpdateSubscription::default()
    };
    shown.push(format!("{update:?}"));
    let changed = engine.update_subscription(scope, subscription.subscription.id, update).await.expect("good");
    let proofs = vec![
        Proof::SessionToken(Secret::from_text("short-k")),
        Proof::Sign { digest: "Bearer-of-shop".to_owned(), timestamp: "open-sesame".to_owned(), master: true },
    ];
    shown.push(format!("{:?}", Credential::App { app_id: scope.app_id, proofs }));
    shown.push(format!("{created:#?} {imported:?} {operator:?} {account:?} {updated:?} {subscription:?} {changed:?}"));
    shown.push(format!("{engine:?} {:?}", engine.app(scope.app_id).await));
    secrets.extend(["Bearer-of-shop", "newer-header-value", "open-sesame", "short-k"].map(str::to_owned));

    assert!(secrets.len() >= 15, "all of them were kept");
    for secret in &secrets {
        // A key's last four characters may be shown, to tell keys apart.
        let secret = if secret.len() >= 16 { &secret[..secret.len() - 4] } else { secret };
        for text in &shown {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
    for table in Table::ALL {
        for (key, value) in world.store.scan(&Scan::prefix(table, &[], 10_000)).expect("a read").rows {
            for secret in &secrets {
                let holds = |bytes: &[u8]| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!holds(&key) && !holds(&value), "{secret} in a row of {table:?}");
            }
        }
    }
}
