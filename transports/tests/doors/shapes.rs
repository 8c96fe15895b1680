//! Every field of every body under `/v1`, with every kind of JSON that its description does not allow.

use maxpay_engine::model::{KeyKind, Mode};
use serde_json::{Map, Value, json};

use crate::world::World;

/// What may stand in every place of a request but the one that is wrong.
const ID: &str = "66f0a1b2c3d4e5f607182930";

#[test]
fn a_field_takes_no_other_kind_of_json_than_is_described() {
    // Wherever it stands: an array is no object, an object is no name, and null, numbers and flags are what they are.
    // The refusal names the field, and says of what should have been an object that it is none.
    let world = World::new();
    let document = world.request("GET", "/openapi.json", "", "").json();
    let (mut tried, mut wrong) = (0, Vec::new());
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let Some(body) = operation["requestBody"]["content"]["application/json"].get("schema") else { continue };
            if !path.starts_with("/v1/") {
                continue;
            }
            let theirs = path.starts_with("/v1/apps") || path.starts_with("/v1/ops");
            let key = if theirs { &world.operator } else { world.key(KeyKind::Master, Mode::Test) };
            let place = path.split('/').map(|part| if part.starts_with('{') { ID } else { part }).collect::<Vec<_>>();
            for Wrong { body, field, object } in wrong_bodies(&document, body) {
                let answer = world.v1(key, &method.to_ascii_uppercase(), &place.join("/"), &body.to_string());
                let said = answer.json();
                let refused = &said["errors"][0];
                let text = |name: &str| refused[name].as_str().unwrap_or_default();
                let named = answer.status == 422 && text("field").starts_with(&field);
                let plain =
                    !["struct ", "enum ", "variant ", "map", "sequence"].iter().any(|it| text("why").contains(it));
                if !named || !plain || object && text("why") != "is not an object" {
                    wrong.push(format!("{method} {path} {body}: {field}? {said}"));
                }
                tried += 1;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tried > 500, "only {tried} bodies are wrong");
}

/// A body with one wrong field.
struct Wrong {
    body: Value,
    /// Where it stands.
    field: String,
    /// Whether it should have been an object.
    object: bool,
}

/// Every body with one field of a kind that its schema does not allow, on each level.
fn wrong_bodies(document: &Value, schema: &Value) -> Vec<Wrong> {
    let mut all = Vec::new();
    for schema in alternatives(document, schema) {
        let Some(fields) = schema["properties"].as_object() else { continue };
        for (name, field) in fields {
            all.extend(wrong_values(document, field).into_iter().map(|(value, under, object)| Wrong {
                body: json!({ name: value }),
                field: format!("{name}{under}"),
                object,
            }));
        }
    }
    all
}

/// Values that a field may not have: each with where in it the wrong one stands, and whether that should be an object.
fn wrong_values(document: &Value, field: &Value) -> Vec<(Value, String, bool)> {
    let ways = alternatives(document, field);
    // Anything goes.
    if ways.iter().any(|way| way.get("type").is_none()) {
        return Vec::new();
    }
    let kinds: Vec<&str> = ways.iter().flat_map(|way| kinds_of(way)).collect();
    let object = kinds.contains(&"object");
    let is = |kind: &str| kinds.contains(&kind);
    let described: usize = ways.iter().filter_map(|way| way["properties"].as_object()).map(Map::len).max().unwrap_or(0);
    let words = ways.iter().flat_map(|way| words(way));
    let mut wrong: Vec<Value> = words.map(|word| json!({ word: null })).collect();
    for (kind, values) in [
        ("null", vec![Value::Null]),
        ("boolean", vec![json!(true)]),
        ("integer", vec![json!(1), json!(1.5)]),
        ("string", vec![json!("text")]),
        ("array", vec![json!([]), json!(["text"]), json!(vec![Value::Null; described]), json!(vec![1; described])]),
        ("object", vec![json!({}), json!({ "a": 1 })]),
    ] {
        // A list with nothing in it has no kind.
        wrong.extend(if is(kind) { Vec::new() } else { values });
    }
    let mut all: Vec<_> = wrong.into_iter().map(|value| (value, String::new(), object)).collect();
    for way in &ways {
        if let Some(items) = way.get("items").filter(|_| is("array")) {
            let inner = wrong_values(document, items).into_iter();
            all.extend(inner.map(|(value, under, object)| (json!([value]), format!("[0]{under}"), object)));
        }
        // Of objects that a name tells apart, what they share: that name is asked for first.
        let shared =
            |name: &str| ways.iter().all(|way| kinds_of(way) == ["null"] || way["properties"].get(name).is_some());
        for (name, inner) in way["properties"].as_object().into_iter().flatten().filter(|(name, _)| shared(name)) {
            let inner = wrong_values(document, inner).into_iter();
            all.extend(inner.map(|(value, under, object)| (json!({ name: value }), format!(".{name}{under}"), object)));
        }
    }
    all
}

/// The schemas that a value may fit, references followed.
fn alternatives<'a>(document: &'a Value, schema: &'a Value) -> Vec<&'a Value> {
    if let Some(pointer) = schema["$ref"].as_str() {
        let found = document.pointer(pointer.trim_start_matches('#')).expect("every reference resolves");
        return alternatives(document, found);
    }
    match schema["oneOf"].as_array() {
        Some(ways) => ways.iter().flat_map(|way| alternatives(document, way)).collect(),
        None => vec![schema],
    }
}

fn kinds_of(schema: &Value) -> Vec<&str> {
    let kind = &schema["type"];
    let one = std::slice::from_ref(kind);
    kind.as_array().map_or(one, Vec::as_slice).iter().filter_map(Value::as_str).collect()
}

/// The names that a text may be, where they are few.
fn words(schema: &Value) -> Vec<&str> {
    let listed = schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let pattern = schema["pattern"].as_str().and_then(|pattern| pattern.strip_prefix("^(")?.strip_suffix(")$"));
    listed.chain(pattern.into_iter().flat_map(|words| words.split('|'))).collect()
}
