//! Links of the document: from the answer that tells of an object to the operations that are about it. They follow from
//! the paths of the table alone.

use serde_json::{Map, Value, json};
use utoipa::openapi::schema::{Object, Schema};
use utoipa::openapi::{Ref, RefOr};

use super::openapi::path_parameters;
use crate::operations::{self, Described, Operation};

/// What is only the operator's lies under this, by the same names.
const OPERATORS: &str = "/v1/ops";

/// Puts the links into the document, as JSON: utoipa 5 writes the fields of a link by names that OpenAPI does not know.
pub(super) fn add(document: &mut Value) {
    for row in operations::all() {
        for (status, answers) in row.answers {
            let links = of(row, &answers());
            let response = &mut document["paths"][row.path][row.method.to_ascii_lowercase()]["responses"];
            match response.get_mut(status.to_string()).and_then(Value::as_object_mut) {
                Some(response) if !links.is_empty() => drop(response.insert("links".to_owned(), links.into())),
                Some(_) | None => {}
            }
        }
    }
}

/// The links of what `row` answers, by the names of the operations that they lead to.
fn of(row: &Operation, answers: &Described) -> Map<String, Value> {
    let Some(id) = told_id(row, answers) else { return Map::new() };
    let linked = |target: &Operation| Some((target.name.to_owned(), link(row, target, &id)?));
    operations::all().iter().filter_map(linked).collect()
}

/// Where the answer tells the id of an object: of the one that was made, or of the first in a list of what nobody makes.
fn told_id(row: &Operation, answers: &Described) -> Option<String> {
    if row.answers.iter().any(|(status, _)| *status == 201) {
        let made = object(&answers.schema, answers)?;
        if made.properties.contains_key("id") {
            return Some("$response.body#/id".to_owned());
        }
        let within = |schema| object(schema, answers).is_some_and(|inner| inner.properties.contains_key("id"));
        let (name, _) = made.properties.iter().find(|(_, schema)| within(schema))?;
        return Some(format!("$response.body#/{name}/id"));
    }
    let makes = |other: &Operation| other.method == "POST" && other.path == row.path;
    let lists = object(&answers.schema, answers)?.properties.contains_key("next_cursor");
    (lists && !operations::all().iter().any(makes)).then(|| "$response.body#/items/0/id".to_owned())
}

/// The link to `target`, if it is about an object of `row` and takes no more in its path than what is known by then.
fn link(row: &Operation, target: &Operation, id: &str) -> Option<Value> {
    let theirs = target.path.strip_prefix(OPERATORS).map(|rest| format!("/v1{rest}"));
    let below = |path: &str| path.strip_prefix(row.path).is_some_and(|rest| rest.starts_with("/{"));
    let operators = theirs.as_deref().is_some_and(below);
    if !operators && !below(target.path) {
        return None;
    }
    let known: Vec<&str> = path_parameters(row.path).collect();
    let new: Vec<&str> = path_parameters(target.path).filter(|name| !known.contains(name)).collect();
    let [name] = new[..] else { return None };
    let mut parameters = Map::from_iter([(name.to_owned(), id.into())]);
    parameters.extend(known.into_iter().map(|name| (name.to_owned(), format!("$request.path.{name}").into())));
    let whose = if operators { " With an operator's key." } else { "" };
    let description = format!("{}{whose}", target.summary);
    Some(json!({ "operationId": target.name, "parameters": parameters, "description": description }))
}

/// The object that a schema describes, by itself or by its name.
fn object<'d>(schema: &'d RefOr<Schema>, described: &'d Described) -> Option<&'d Object> {
    match schema {
        RefOr::T(Schema::Object(object)) => Some(object),
        RefOr::T(_) => None,
        RefOr::Ref(Ref { ref_location, .. }) => {
            let named = |name: &str| Ref::from_schema_name(name).ref_location == *ref_location;
            match described.named.iter().find(|(name, _)| named(name))? {
                (_, RefOr::T(Schema::Object(object))) => Some(object),
                (_, RefOr::T(_) | RefOr::Ref(_)) => None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_object_that_an_answer_tells_of_is_linked() {
        // A link names an operation and every parameter of its path; nothing that has an id is without a link, except
        // what is set aside: no operation does that.
        let document: Value = serde_json::from_slice(&super::super::openapi::document()).expect("JSON");
        let mut linked = BTreeSet::new();
        for row in operations::all() {
            let responses = &document["paths"][row.path][row.method.to_ascii_lowercase()]["responses"];
            for response in responses.as_object().expect("responses").values() {
                for link in response["links"].as_object().into_iter().flat_map(|links| links.values()) {
                    let target = link["operationId"].as_str().and_then(operations::named).expect("an operation");
                    let given: BTreeSet<_> = link["parameters"].as_object().expect("some").keys().cloned().collect();
                    assert_eq!(given, path_parameters(target.path).map(str::to_owned).collect(), "{}", target.name);
                    linked.insert(target.name);
                }
            }
        }
        let about_one = operations::all().iter().filter(|row| path_parameters(row.path).next().is_some());
        let missing: Vec<_> = about_one.map(|row| row.name).filter(|name| !linked.contains(name)).collect();
        assert_eq!(missing, ["ops.retry_set_aside"]);
        let made = &document["paths"]["/v1/apps"]["post"]["responses"]["201"]["links"]["apps.get"];
        assert_eq!(made["parameters"]["id"], "$response.body#/app/id");
    }
}
