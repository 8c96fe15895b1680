//! The part of the document that no operation stands behind: the original API, notifications, the sandbox's payers,
//! and what watches the process.

use utoipa::openapi::path::{HttpMethod, OperationBuilder};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{AdditionalProperties, ArrayBuilder, ObjectBuilder, OneOfBuilder, SchemaType, Type};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{ContentBuilder, Paths, Ref, RefOr, ResponseBuilder, Schema};

use super::openapi::{BEARER, Schemas, item, path_parameter, path_parameters, problems};

/// Adds what no operation stands behind.
pub(super) fn add(paths: &mut Paths, schemas: &mut Schemas) {
    schemas.extend(original_schemas());
    let bill = original("original.bill", "Starts a payment, always a new one.", "BillRequest", "BillAnswer");
    let records = original("original.records", "Queries payments; oldest first.", "RecordsRequest", "RecordsAnswer");
    let place = |paths: &mut Paths, path: &str, method: HttpMethod, operation: OperationBuilder| {
        let operation =
            path_parameters(path).fold(operation, |operation, name| operation.parameter(path_parameter(name)));
        paths.paths.entry(path.to_owned()).or_default().merge_operations(item(method, operation));
    };
    place(paths, "/2.0/maxpay/bill", HttpMethod::Post, bill);
    place(paths, "/2.0/maxpay/records", HttpMethod::Post, records);
    place(paths, "/notify/{adapter}/{account}", HttpMethod::Post, notification("notify"));
    // Some providers ask by GET, with everything in the query.
    place(paths, "/notify/{adapter}/{account}", HttpMethod::Get, notification("notify.get"));
    place(paths, "/sandbox/transactions/{id}/{command}", HttpMethod::Post, payer());
    for (path, id, what) in [
        ("/livez", "livez", "Whether the process answers."),
        ("/readyz", "readyz", "Whether the store takes commits and nobody stops the engine: else 503."),
        ("/metrics", "metrics", "Counts, in the OpenMetrics text form."),
        ("/openapi.json", "openapi", "This document."),
    ] {
        let operation = OperationBuilder::new()
            .operation_id(Some(id))
            .tag("watch")
            .summary(Some(what))
            .security(SecurityRequirement::default())
            .response("200", ResponseBuilder::new().description("Yes"));
        let operation = match path {
            "/readyz" => operation.response("503", ResponseBuilder::new().description("No, and why")),
            _ => operation,
        };
        place(paths, path, HttpMethod::Get, operation);
    }
}

fn original(id: &str, summary: &str, takes: &str, answers: &str) -> OperationBuilder {
    let reference = |name: &str| RefOr::<Schema>::Ref(Ref::from_schema_name(name));
    let either = OneOfBuilder::new().item(reference(answers)).item(reference("OriginalRefusal")).build();
    let content = ContentBuilder::new().schema(Some(RefOr::T(Schema::OneOf(either)))).build();
    let operation = OperationBuilder::new()
        .operation_id(Some(id))
        .tag("original")
        .summary(Some(summary))
        .request_body(Some(
            RequestBodyBuilder::new()
                .content("application/json", ContentBuilder::new().schema(Some(reference(takes))).build())
                .build(),
        ))
        .response(
            "200",
            ResponseBuilder::new()
                .description("Always 200: `code` tells what happened")
                .content("application/json", content),
        );
    ["session_token", "master_key", "api_key", "client_key", "request_sign"].into_iter().fold(
        operation,
        |operation, proof| {
            operation.security(
                SecurityRequirement::new::<&str, [&str; 0], &str>("app_id", []).add::<&str, [&str; 0], &str>(proof, []),
            )
        },
    )
}

fn notification(id: &str) -> OperationBuilder {
    OperationBuilder::new()
        .operation_id(Some(id))
        .tag("notify")
        .summary(Some("Takes a provider's notification. Status and body are the provider's dialect."))
        .security(SecurityRequirement::default())
        .response("200", ResponseBuilder::new().description("The acknowledgement, byte for byte"))
        .response("404", ResponseBuilder::new().description("No such adapter or account"))
}

fn payer() -> OperationBuilder {
    let anything = RefOr::T(Schema::from(ObjectBuilder::new().build()));
    let content = || ContentBuilder::new().schema(Some(anything.clone())).build();
    let operation = OperationBuilder::new()
        .operation_id(Some("sandbox.play"))
        .tag("sandbox")
        .summary(Some("Plays the payer of a sandbox transaction: pay, decline, lose and others. Test mode only."))
        .security(SecurityRequirement::new::<&str, [&str; 0], &str>(BEARER, []))
        .request_body(Some(RequestBodyBuilder::new().content("application/json", content()).build()))
        .response("200", ResponseBuilder::new().description("What it came to").content("application/json", content()));
    problems(operation)
}

fn original_schemas() -> Vec<(String, RefOr<Schema>)> {
    vec![
        named("BillRequest", bill_request()),
        named("BillAnswer", bill_answer()),
        ("RecordsRequest".to_owned(), RefOr::T(records_request())),
        named("RecordsAnswer", records_answer()),
        named("OriginalRecord", record()),
        named("OriginalRefusal", refusal()),
    ]
}

fn named(name: &str, object: ObjectBuilder) -> (String, RefOr<Schema>) {
    (name.to_owned(), RefOr::T(Schema::from(object.build())))
}

fn field(kind: Type, what: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::new(kind)).description(Some(what))
}

/// A field that may be left out; null is the same. Texts may be empty, which is the same too.
fn optional(kind: Type, what: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::from_iter([kind, Type::Null])).description(Some(what))
}

/// Any JSON.
fn anything(what: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::AnyValue).description(Some(what))
}

/// A bill number, and whatever else may stand in its place.
fn bill_num(others: impl IntoIterator<Item = Type>, what: &str) -> ObjectBuilder {
    let kinds = [Type::String, Type::Integer].into_iter().chain(others);
    ObjectBuilder::new().schema_type(kinds.collect::<SchemaType>()).max_length(Some(128)).description(Some(what))
}

fn bill_request() -> ObjectBuilder {
    ObjectBuilder::new()
        .property("channel", field(Type::String, "The channel code; no group.").min_length(Some(1)))
        .property("billNum", bill_num([], "The merchant's number; need not be unique.").min_length(Some(1)))
        .property("totalFee", field(Type::Integer, "Fen; above zero.").minimum(Some(1)))
        .property("subject", field(Type::String, "What the payer reads.").min_length(Some(1)))
        .property("extras", anything("The merchant's own JSON, given back as it came."))
        .property("returnUrl", optional(Type::String, "Where the payer returns to; some channels need it."))
        .property("showUrl", optional(Type::String, "The product's page."))
        .property("billTimeout", optional(Type::Integer, "Seconds until it expires; above zero.").minimum(Some(1)))
        .property(
            "qrPayMode",
            optional(Type::Integer, "How an embedded code is drawn.").minimum(Some(0)).maximum(Some(255)),
        )
        .property("openid", optional(Type::String, "The payer's id at a public account; some channels need it."))
        .property("clientIp", optional(Type::String, "The payer's address; that of the client when not given."))
        .property("h5Type", optional(Type::String, "Kind of the page: Wap, iOS or Android; some channels need it."))
        .required("channel")
        .required("billNum")
        .required("totalFee")
        .required("subject")
}

fn bill_answer() -> ObjectBuilder {
    ObjectBuilder::new()
        .property("code", field(Type::Integer, "0").enum_values(Some([0])))
        .property("id", field(Type::String, "The record's id: 24 hexadecimal digits."))
        .property("msg", field(Type::String, "OK"))
        .required("code")
        .required("id")
        .additional_properties(Some(AdditionalProperties::RefOr(RefOr::T(Schema::from(
            field(Type::String, "What the payer's device needs, by the channel's own names.").build(),
        )))))
}

/// An object of filters; PHP's empty array is one without any.
fn records_request() -> Schema {
    let status = [Some("created"), Some("success"), Some("refund"), Some(""), None];
    let order = [Some("createdTime"), Some("-createdTime"), Some("id"), Some("-id"), Some(""), None];
    let filters = ObjectBuilder::new()
        .property("channel", optional(Type::String, "A channel code or a group."))
        .property("billNum", bill_num([Type::Null], "Exactly this number. A client key must give it."))
        .property("billNo", bill_num([Type::Null], "The same, as some clients write it."))
        .property("status", optional(Type::String, "created, success or refund.").enum_values(Some(status)))
        .property("startTime", optional(Type::Integer, "Milliseconds: made at or after this moment.").minimum(Some(0)))
        .property("endTime", optional(Type::Integer, "Milliseconds: made at or before this moment.").minimum(Some(0)))
        .property("skip", optional(Type::Integer, "0 to 10,000.").minimum(Some(0)).maximum(Some(10_000)))
        .property(
            "limit",
            optional(Type::Integer, "1 to 1,000; 100 when not given. More than 101 with large extras: code 14.")
                .minimum(Some(1))
                .maximum(Some(1_000)),
        )
        .property("order", optional(Type::String, "createdTime or -createdTime.").enum_values(Some(order)));
    let nothing = ArrayBuilder::new().items(ObjectBuilder::new()).max_items(Some(0));
    Schema::OneOf(OneOfBuilder::new().item(filters).item(nothing).build())
}

fn records_answer() -> ObjectBuilder {
    ObjectBuilder::new()
        .property("results", ArrayBuilder::new().items(Ref::from_schema_name("OriginalRecord")))
        .property("code", field(Type::Integer, "0").enum_values(Some([0])))
        .required("results")
        .required("code")
}

fn record() -> ObjectBuilder {
    let object = ObjectBuilder::new()
        .property("billNum", field(Type::String, "The merchant's number."))
        .property("channel", field(Type::String, "The channel code."))
        .property("createdTime", field(Type::Integer, "Milliseconds."))
        .property("currency", field(Type::String, "CNY"))
        .property("endTime", field(Type::Integer, "Milliseconds; absent while created."))
        .property("extras", anything("As sent; absent when none was sent."))
        .property("id", field(Type::String, "24 hexadecimal digits."))
        .property("money", field(Type::String, "Display text."))
        .property("status", field(Type::String, "created, success or refund."))
        .property("totalFee", field(Type::Integer, "Fen."));
    ["billNum", "channel", "createdTime", "currency", "id", "money", "status", "totalFee"]
        .into_iter()
        .fold(object, ObjectBuilder::required)
}

fn refusal() -> ObjectBuilder {
    ObjectBuilder::new()
        .property("code", field(Type::Integer, "1 credential, 2 no account, 3 channel, 4 missing field, 5 illegal field, path, size or JSON, 6 signing material that cannot be used, 7 channel failed, 14 anything else.").enum_values(Some([1, 2, 3, 4, 5, 6, 7, 14])))
        .property("err", field(Type::String, "What happened."))
        .property("msg", field(Type::String, "The code's name."))
        .property("id", field(Type::String, "The record, wherever there is one."))
        .property("errorCode", field(Type::Integer, "Of refused credentials: 901xx."))
        .property("errorMessage", field(Type::String, "The same text."))
        .required("code")
        .required("err")
}
