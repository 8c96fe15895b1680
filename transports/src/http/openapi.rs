//! `/openapi.json`: OpenAPI 3.1 of every door, made from the table of operations and the schemas that its rows name.

use std::collections::BTreeMap;

use bytes::Bytes;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, Info, LicenseBuilder, OpenApi, OpenApiBuilder, Paths, Ref, RefOr, Required,
    Response, ResponseBuilder, Schema,
};
use utoipa::{PartialSchema, ToSchema};

use super::{openapi_links, openapi_other};
use crate::operations::{self, Described, Operation, ProblemView};

/// Name of the scheme of bearer keys.
pub(super) const BEARER: &str = "bearer";

/// Problems that any operation may answer.
const PROBLEMS: [(&str, &str); 13] = [
    ("400", "The request cannot be read"),
    ("401", "No valid credential"),
    ("403", "The credential may not do this"),
    ("404", "No such object in the credential's app and mode"),
    ("408", "The request took too long to arrive"),
    ("409", "The state of an object, or an earlier request, stands in the way"),
    ("413", "The body is too large"),
    ("415", "The body is not JSON"),
    ("422", "A field is wrong"),
    ("429", "Too many requests; `Retry-After` says when to come back"),
    ("431", "The head is too large"),
    ("500", "A defect"),
    ("503", "Busy, stopping or without a store; `Retry-After` says when to come back"),
];

/// Schemas by name, as rows bring them in.
pub(super) type Schemas = BTreeMap<String, RefOr<Schema>>;

/// The document as JSON.
pub(super) fn document() -> Bytes {
    // The document is made of constants; that it serializes is tested.
    let document = serde_json::to_value(build()).map(|mut document| {
        openapi_links::add(&mut document);
        document.to_string()
    });
    document.map_or_else(|_| Bytes::from_static(b"{}"), Bytes::from)
}

fn build() -> OpenApi {
    let mut schemas = Schemas::from([(ProblemView::name().into_owned(), ProblemView::schema())]);
    let mut referred = Vec::new();
    ProblemView::schemas(&mut referred);
    schemas.extend(referred);
    let mut paths = Paths::new();
    for row in operations::all() {
        let operation = operation(row, &mut schemas);
        paths.add_path_operation(row.path, vec![method(row.method)], operation);
    }
    openapi_other::add(&mut paths, &mut schemas);
    let mut info = Info::new("MaxPay", env!("CARGO_PKG_VERSION"));
    info.description = Some(
        "Payments over any channel, durable, with webhooks that arrive. `/v1` is the native API; `/2.0` is the \
         original one, where every answer is HTTP 200 and `code` tells what happened."
            .to_owned(),
    );
    info.license = Some(LicenseBuilder::new().name("MIT OR Apache-2.0").identifier(Some("MIT OR Apache-2.0")).build());
    let components = ComponentsBuilder::new().schemas_from_iter(schemas);
    let components =
        security().into_iter().fold(components, |components, (name, scheme)| components.security_scheme(name, scheme));
    OpenApiBuilder::new().info(info).paths(paths).components(Some(components.build())).build()
}

fn security() -> Vec<(&'static str, SecurityScheme)> {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "An API key (`sk_…`), a master key (`mk_…`) or an operator's key (`op_…`). It decides the mode.",
        ))
        .build();
    let header =
        |name: &str, what: &str| SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(name, what)));
    vec![
        (BEARER, SecurityScheme::Http(bearer)),
        ("app_id", header("X-ML-AppId", "The app: 24 hexadecimal digits. Goes with one of the proofs.")),
        ("session_token", header("X-ML-Session-Token", "A session token; also the app's master key.")),
        ("master_key", header("X-ML-MasterKey", "The app's master key.")),
        ("api_key", header("X-ML-APIKey", "The app's API key.")),
        ("client_key", header("X-ML-ClientKey", "The app's client key.")),
        (
            "request_sign",
            header(
                "X-ML-Request-Sign",
                "`<md5 of milliseconds + key>,<milliseconds>`, and `,master` for the master key.",
            ),
        ),
    ]
}

fn operation(row: &Operation, schemas: &mut Schemas) -> OperationBuilder {
    let tag = row.name.split('.').next().unwrap_or(row.name);
    let mut operation = OperationBuilder::new()
        .operation_id(Some(row.name))
        .tag(tag)
        .summary(Some(row.summary))
        .security(SecurityRequirement::new::<&str, [&str; 0], &str>(BEARER, []));
    for name in path_parameters(row.path) {
        operation = operation.parameter(path_parameter(name));
    }
    if row.method == "POST" {
        operation = operation.parameter(
            ParameterBuilder::new()
                .name("Idempotency-Key")
                .parameter_in(ParameterIn::Header)
                .required(Required::False)
                .description(Some(
                    "1 to 255 visible ASCII characters, kept for 24 hours: a repeat finds what the first request made.",
                ))
                .schema(Some(idempotency_key())),
        );
    }
    if let Some(takes) = row.takes {
        let described = takes();
        if row.method == "GET" {
            operation = query(operation, &described.schema, &described.named);
            schemas.extend(described.named.into_iter().filter(|(name, _)| !is_query(&described.schema, name)));
        } else {
            let required = if needs_fields(&described) { Required::True } else { Required::False };
            schemas.extend(described.named);
            operation = operation.request_body(Some(
                RequestBodyBuilder::new()
                    .content("application/json", ContentBuilder::new().schema(Some(described.schema)).build())
                    .required(Some(required))
                    .build(),
            ));
        }
    }
    for (status, answers) in row.answers {
        let described = answers();
        schemas.extend(described.named);
        let content = ContentBuilder::new().schema(Some(described.schema)).build();
        let response = ResponseBuilder::new().description(meaning(*status)).content("application/json", content);
        operation = operation.response(status.to_string(), response);
    }
    problems(operation)
}

fn idempotency_key() -> Schema {
    ObjectBuilder::new()
        .schema_type(SchemaType::new(Type::String))
        .min_length(Some(1))
        .max_length(Some(255))
        .pattern(Some("^[!-~]+$"))
        .into()
}

/// The query's fields as parameters.
fn query(mut operation: OperationBuilder, of: &RefOr<Schema>, named: &[(String, RefOr<Schema>)]) -> OperationBuilder {
    let found = named.iter().find(|(name, _)| is_query(of, name));
    let Some((_, RefOr::T(Schema::Object(object)))) = found else { return operation };
    for (name, schema) in &object.properties {
        let description = match schema {
            RefOr::T(Schema::Object(field)) => field.description.clone(),
            // An optional reference: null, or the schema with the field's own words.
            RefOr::T(Schema::OneOf(either)) => either.items.iter().find_map(|item| match item {
                RefOr::Ref(reference) => Some(reference.description.clone()),
                RefOr::T(_) => None,
            }),
            RefOr::T(_) | RefOr::Ref(_) => None,
        };
        operation = operation.parameter(
            ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Query)
                .required(Required::False)
                .description(description)
                .schema(Some(schema.clone())),
        );
    }
    operation
}

/// Whether a body must name some field; one that need not may be left out.
fn needs_fields(described: &Described) -> bool {
    let own = described.named.iter().find(|(name, _)| is_query(&described.schema, name));
    matches!(own, Some((_, RefOr::T(Schema::Object(object)))) if !object.required.is_empty())
}

/// Whether `name` is the schema that a reference names.
fn is_query(of: &RefOr<Schema>, name: &str) -> bool {
    match of {
        RefOr::Ref(reference) => reference.ref_location == Ref::from_schema_name(name).ref_location,
        RefOr::T(_) => false,
    }
}

pub(super) fn path_parameter(name: &str) -> ParameterBuilder {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .schema(Some(String::schema()))
}

pub(super) fn path_parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

/// Adds what any operation may answer.
pub(super) fn problems(operation: OperationBuilder) -> OperationBuilder {
    PROBLEMS.iter().fold(operation, |operation, (status, what)| operation.response(*status, problem(what)))
}

fn problem(what: &str) -> Response {
    let schema = RefOr::<Schema>::Ref(Ref::from_schema_name(ProblemView::name()));
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new().description(what).content("application/problem+json", content).build()
}

fn meaning(status: u16) -> &'static str {
    match status {
        200 => "Done; for a create: it was there already",
        201 => "Made",
        202 => "Under way: the channel's answer is missing",
        _ => "Answered",
    }
}

fn method(name: &str) -> HttpMethod {
    match name {
        "POST" => HttpMethod::Post,
        "PATCH" => HttpMethod::Patch,
        "DELETE" => HttpMethod::Delete,
        "PUT" => HttpMethod::Put,
        _ => HttpMethod::Get,
    }
}

/// One operation of a path.
pub(super) fn item(method: HttpMethod, operation: OperationBuilder) -> PathItem {
    PathItem::new(method, operation)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    #[test]
    fn the_document_is_whole() {
        // It is OpenAPI 3.1, has every operation under its path, every reference resolves, every path parameter is
        // declared, and operation ids are unique.
        let document: Value = serde_json::from_slice(&document()).expect("JSON");
        assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")));
        for row in operations::all() {
            let place = &document["paths"][row.path][row.method.to_ascii_lowercase()];
            assert_eq!(place["operationId"], row.name, "{}", row.path);
        }
        for path in [
            "/2.0/maxpay/bill",
            "/2.0/maxpay/records",
            "/livez",
            "/readyz",
            "/metrics",
            "/notify/{adapter}/{account}",
            "/sandbox/transactions/{id}/{command}",
        ] {
            assert!(document["paths"][path].is_object(), "{path}");
        }
        let mut seen = BTreeSet::new();
        for (path, item) in document["paths"].as_object().expect("paths") {
            for (method, operation) in item.as_object().expect("methods") {
                assert!(seen.insert(operation["operationId"].as_str().expect("an id").to_owned()), "{method} {path}");
                let declared: BTreeSet<_> = operation["parameters"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter(|parameter| parameter["in"] == "path")
                    .filter_map(|parameter| parameter["name"].as_str())
                    .collect();
                assert_eq!(declared, path_parameters(path).collect(), "{path}");
            }
        }
        let mut references = Vec::new();
        collect(&document, &mut references);
        assert!(references.len() > 50);
        for reference in references {
            let pointer = reference.strip_prefix('#').expect("local");
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn secrets_and_fields_have_descriptions() {
        // The words of the code are the words of the document.
        let document: Value = serde_json::from_slice(&document()).expect("JSON");
        let schema = &document["components"]["schemas"]["CreateTransactionRequest"];
        assert!(schema["properties"]["bill_num"]["description"].as_str().is_some_and(|text| text.contains("number")));
        let listed = document["paths"]["/v1/transactions"]["get"]["parameters"].as_array().expect("parameters");
        assert!(listed.iter().any(|parameter| parameter["name"] == "bill_num" && parameter["in"] == "query"));
    }

    fn collect(value: &Value, references: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                references.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
                fields.values().for_each(|value| collect(value, references));
            }
            Value::Array(items) => items.iter().for_each(|value| collect(value, references)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}
