//! Every credential at every route, for every other app's and mode's every object: 404 for another's object, 403 for a
//! missing right, 401 without a credential that holds.
//!
//! The routes are those of the server's own lists. One without a row here fails the test.

mod live;
mod original;
mod rows;
mod stage;

use std::collections::BTreeSet;

use maxpay_engine::api::Right;
use maxpay_engine::model::Mode;
use maxpay_transports::operations::{self, Operation};
use serde_json::Value;

use rows::{Object, Row};
use stage::{Held, Place, Shown, Stage, credentials};

/// Routes that no operation stands behind, each with the test here that asks there.
const OTHERS: [(&str, &str); 9] = [
    ("POST", "/2.0/maxpay/bill"),
    ("POST", "/2.0/maxpay/records"),
    ("POST", "/notify/{adapter}/{account}"),
    ("GET", "/notify/{adapter}/{account}"),
    ("POST", "/sandbox/transactions/{id}/{command}"),
    ("GET", "/livez"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/openapi.json"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_is_asked_with_every_credential() {
    // Whoever may not is refused with the right status, is told nobody's ids and changes nothing; whoever may is let
    // in, and sees what is his alone.
    let stage = Stage::new().await;
    let shown = credentials(&stage);
    let before = stage.holdings().await;
    let (mut refused, mut wrong) = (0, Vec::new());
    for operation in operations::all() {
        let row = row(operation);
        for (index, place) in targets(&stage, &row) {
            for credential in &shown {
                let Verdict::Refused(status) = verdict(operation, &row, credential, index) else { continue };
                wrong.extend(refuse(&stage, operation, &row, credential, place, status).await);
                refused += 1;
            }
        }
    }
    assert!(refused > 2_000, "{refused}");
    assert_eq!(stage.holdings().await, before, "a refused request changed something");
    // Deletions come last, so that the others have something to work on.
    let (deletions, changes): (Vec<_>, Vec<_>) = operations::all().iter().partition(|row| row.method == "DELETE");
    for operation in changes.into_iter().chain(deletions) {
        let row = row(operation);
        for (index, place) in targets(&stage, &row) {
            let mut first = true;
            for credential in &shown {
                if verdict(operation, &row, credential, index) == Verdict::LetIn {
                    let repeat = !std::mem::take(&mut first);
                    wrong.extend(let_in(&stage, operation, &row, credential, place, repeat).await);
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    stage.world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_shows_what_is_the_askers() {
    // Bill numbers, ids and modes in a query, and a cursor that another was given, open nobody else's objects.
    let stage = Stage::new().await;
    let shown = credentials(&stage);
    let cursors = cursors(&stage).await;
    for (index, place) in stage.places.iter().enumerate() {
        let by_cursor = format!("/v1/transactions?limit=1&order=oldest_first&cursor={}", cursors[index]);
        for path in rows::queries(place).into_iter().chain([by_cursor]) {
            for credential in &shown {
                let asked = stage.ask("GET", &path, credential.authorization.as_deref(), &Value::Null).await;
                let context = format!("{}: {path}: {} {}", credential.name, asked.status, asked.text);
                match credential.held {
                    None => assert_eq!(asked.status, 401, "{context}"),
                    Some(Held::Operators) => assert_eq!(asked.status, 403, "{context}"),
                    Some(Held::Place(_, own)) => {
                        assert_eq!(asked.status, 200, "{context}");
                        assert_eq!(others_ids(&stage, own, &asked.text), None, "{context}");
                        let finds = own == index && path.contains(&format!("bill_num={}", stage::BILL));
                        assert!(!finds || asked.text.contains(&place.transaction), "{context}");
                    }
                }
            }
        }
    }
    stage.world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sandboxs_payers_play_for_their_own_app() {
    // API and master keys of test mode, for transactions of their own app; nobody plays in live mode.
    let stage = Stage::new().await;
    for (index, place) in stage.places.iter().enumerate() {
        let path = format!("/sandbox/transactions/{}/pay", place.transaction);
        for credential in credentials(&stage) {
            let asked = stage.ask("POST", &path, credential.authorization.as_deref(), &Value::Null).await;
            let wanted = match credential.held {
                None => 401,
                Some(Held::Place(_, own)) if stage.places[own].mode == Mode::Test => {
                    if own == index {
                        200
                    } else {
                        404
                    }
                }
                Some(Held::Operators | Held::Place(..)) => 403,
            };
            assert_eq!(asked.status, wanted, "{} for {}: {}", credential.name, place.name, asked.text);
        }
    }
    stage.world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_open_to_all_tells_nobodys_secrets() {
    // Watchers and the description need no credential and are the same with any; a notification that proves nothing is
    // refused whoever sends it, and changes nothing.
    let stage = Stage::new().await;
    let before = stage.holdings().await;
    for credential in credentials(&stage) {
        let shown = credential.authorization.as_deref();
        for path in ["/livez", "/readyz", "/metrics", "/openapi.json"] {
            let asked = stage.ask("GET", path, shown, &Value::Null).await;
            assert_eq!(asked.status, 200, "{}: {path}: {}", credential.name, asked.text);
            assert_eq!(others_ids(&stage, usize::MAX, &asked.text), None, "{path}");
        }
        for place in &stage.places {
            let path = format!("/notify/sandbox/{}", place.account);
            let body = serde_json::json!({ "number": place.transaction, "state": "closed" });
            for method in ["POST", "GET"] {
                let asked = stage.ask(method, &path, shown, &body).await;
                assert_eq!(asked.status, 400, "{}: {path}: {}", credential.name, asked.text);
            }
        }
    }
    assert_eq!(stage.holdings().await, before);
    stage.world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_route_is_forgotten() {
    // What the server says it has is what is asked here, and every operation has its row.
    let stage = Stage::new().await;
    let document = stage.ask("GET", "/openapi.json", None, &Value::Null).await.json();
    let mut described = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        let methods = methods.as_object().expect("methods").keys();
        described.extend(methods.map(|method| (method.to_ascii_uppercase(), path.clone())));
    }
    let pair = |(method, path): (&str, &str)| (method.to_owned(), path.to_owned());
    let operations = operations::all().iter().map(|row| pair((row.method, row.path)));
    let asked: BTreeSet<_> = operations.chain(OTHERS.map(pair)).collect();
    assert_eq!(described, asked);
    for operation in operations::all() {
        // It panics where there is none.
        let _ = row(operation);
    }
    stage.world.end().await;
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Refused(u16),
    LetIn,
}

fn row(operation: &Operation) -> Row {
    let name = operation.name;
    let right = rows::least_right(name);
    assert_eq!(operation.right, right, "{name}: the table and the design disagree on who may");
    rows::of(name).unwrap_or_else(|| panic!("{name} is new: give it a row in rights/rows.rs"))
}

/// The objects that an operation is asked for: every place's, or none.
fn targets<'a>(stage: &'a Stage, row: &Row) -> Vec<(usize, &'a Place)> {
    let places = stage.places.iter().enumerate();
    if matches!(row.object, Object::None | Object::Alarm | Object::OperatorKey | Object::Absent) {
        places.take(1).collect()
    } else if row.object == Object::App {
        // An app is the same in both modes.
        places.filter(|(_, place)| place.mode == Mode::Test).collect()
    } else {
        places.collect()
    }
}

/// What a credential must meet at an operation on an object of that place.
fn verdict(operation: &Operation, row: &Row, credential: &Shown, place: usize) -> Verdict {
    let operators = operation.right == Right::Operator;
    match credential.held {
        None => Verdict::Refused(401),
        Some(Held::Operators) if operators => Verdict::LetIn,
        Some(Held::Operators) => Verdict::Refused(403),
        Some(Held::Place(right, _)) if operators || right < operation.right => Verdict::Refused(403),
        Some(Held::Place(_, own)) if row.object != Object::None && own != place => Verdict::Refused(404),
        Some(Held::Place(..)) => Verdict::LetIn,
    }
}

/// What is wrong with the answers to a credential that may not.
async fn refuse(
    stage: &Stage,
    operation: &Operation,
    row: &Row,
    credential: &Shown,
    place: &Place,
    status: u16,
) -> Vec<String> {
    let path = path(stage, operation, row, place);
    let reads = operation.method == "GET";
    let methods: &[&str] = if reads { &["GET", "HEAD"] } else { &[operation.method] };
    let mut wrong = Vec::new();
    for method in methods {
        // A wrong body is told to those alone who may, and whether the object is there or not.
        for surprising in [false, true].into_iter().take(if reads { 1 } else { 2 }) {
            let body = if surprising { serde_json::json!({ "surprise": 1 }) } else { (row.body)(place) };
            let asked = stage.ask(method, &path, credential.authorization.as_deref(), &body).await;
            let wanted = if surprising && status == 404 { 422 } else { status };
            if asked.status != wanted || others_ids(stage, usize::MAX, &asked.text).is_some() {
                let (who, name, of) = (&credential.name, operation.name, place.name);
                wrong.push(format!("{who} at {name} of {of}: {wanted} expected: {} {}", asked.status, asked.text));
            }
        }
    }
    wrong
}

/// What is wrong with the answer to a credential that may.
async fn let_in(
    stage: &Stage,
    operation: &Operation,
    row: &Row,
    credential: &Shown,
    place: &Place,
    repeat: bool,
) -> Option<String> {
    let own = match credential.held {
        Some(Held::Place(_, own)) => Some(own),
        Some(Held::Operators) | None => None,
    };
    let place = own.map_or(place, |own| &stage.places[own]);
    let path = path(stage, operation, row, place);
    let shown = credential.authorization.as_deref();
    let asked = stage.ask(operation.method, &path, shown, &(row.body)(place)).await;
    let status = asked.status;
    // The second who may finds what the first has done.
    let came_in = !matches!(status, 401 | 403 | 404 | 429 | 500..);
    let right = status == row.status || (repeat && came_in);
    let told = own.and_then(|own| others_ids(stage, own, &asked.text));
    let (who, name, wanted) = (&credential.name, operation.name, row.status);
    (!right || told.is_some())
        .then(|| format!("{who} at {name} of {}: {wanted} expected: {status} {}", place.name, asked.text))
}

/// An id in `text` that is of another place than this one.
fn others_ids<'a>(stage: &'a Stage, own: usize, text: &str) -> Option<&'a str> {
    let others = stage.places.iter().enumerate().filter(|(index, _)| *index != own);
    others.flat_map(|(_, place)| place.ids()).find(|id| text.contains(id))
}

fn path(stage: &Stage, operation: &Operation, row: &Row, place: &Place) -> String {
    let id = match row.object {
        Object::None => "",
        Object::Transaction => &place.transaction,
        Object::Subscription => &place.subscription,
        Object::Delivery => &place.delivery,
        Object::Account => &place.account,
        Object::App | Object::Key => &place.keys.app_id,
        Object::Alarm => &stage.alarm,
        Object::OperatorKey => &stage.operator_key,
        Object::Absent => "66f0a1b2c3d4e5f607182930",
    };
    let path = operation.path.replace("{id}", id).replace("{kind}", "transaction");
    let path = path.replace("{key_id}", &place.spare_key);
    assert!(!path.contains(['{', '}']), "{path}: say in rows.rs what stands there");
    path
}

/// A cursor of every place's list.
async fn cursors(stage: &Stage) -> Vec<String> {
    let mut cursors = Vec::new();
    for place in &stage.places {
        let master = format!("Bearer {}", place.keys.master);
        let body = maxpay_tests::client::payment("another", "wx_native", 100);
        let made = stage.ask("POST", "/v1/transactions", Some(&master), &body).await;
        assert_eq!(made.status, 201, "{}", made.text);
        let page = stage.ask("GET", "/v1/transactions?limit=1&order=oldest_first", Some(&master), &Value::Null).await;
        cursors.push(stage::text(&page.json()["next_cursor"]));
    }
    cursors
}
