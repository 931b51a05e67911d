//! The OpenAPI document, made from the description of the routes.

use std::collections::BTreeMap;

use axum::http::Method;
use formwork_api::{ApiError, BASE_PATH};
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::route::{Body, Parameter, Route, Shape};

/// One operation of a patch (RFC 6902 section 4).
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Operation {
    /// What is done.
    op: Op,
    /// Where, as a JSON pointer.
    path: String,
    /// Where from, for `move` and `copy`.
    from: Option<String>,
    /// The value, for `add`, `replace` and `test`.
    value: Option<Value>,
}

/// What an operation of a patch does.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used")]
enum Op {
    Test,
    Add,
    Remove,
    Replace,
    Move,
    Copy,
}

/// Returns the document that describes routes.
pub(super) fn document(routes: &[Route], version: &str) -> Value {
    let mut generator = SchemaSettings::openapi3().into_generator();
    let error = generator.subschema_for::<ApiError>().to_value();
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for route in routes.iter().filter(|route| !route.operation.is_empty()) {
        let item = paths.entry(route.path.replace("{*", "{")).or_default();
        let operation = operation(route, &mut generator, &error);
        if let Some(name) = &route.head {
            item.insert(String::from("head"), without_bodies(&operation, name));
        }
        item.insert(route.method.as_str().to_lowercase(), operation);
    }
    let schemas = generator.take_definitions(true);
    json!({
        "openapi": "3.0.3",
        "info": {
            "title": "Formwork",
            "version": version,
            "description": "Provisions machines over the network and keeps their whole life in order.",
            "license": { "name": "Apache-2.0" },
        },
        "servers": [{ "url": BASE_PATH }],
        "security": [{ "basic": [] }, { "bearer": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "basic": { "type": "http", "scheme": "basic" },
                "bearer": { "type": "http", "scheme": "bearer" },
            },
        },
    })
}

fn operation(route: &Route, generator: &mut SchemaGenerator, error: &Value) -> Value {
    let tag = route.path.split('/').nth(1).unwrap_or_default();
    let mut members = json!({
        "operationId": called(&route.operation),
        "summary": route.summary,
        "tags": [tag],
        "parameters": parameters(route),
    });
    let mut responses = Map::new();
    for (status, body) in &route.answers {
        let mut response = json!({ "description": "Done." });
        put(&mut response, "content", content(*body, generator));
        responses.insert(status.to_string(), response);
    }
    let refused = |description: &str| json!({ "description": description, "content": { "application/json": { "schema": error } } });
    for code in route.refusals {
        responses.insert(code.to_string(), refused(reason(*code)));
    }
    responses.insert(String::from("default"), refused("What is wrong."));
    put(&mut members, "responses", Some(Value::Object(responses)));
    put(&mut members, "requestBody", request(route, generator));
    members
}

/// Operations that the contract calls otherwise than those like them, and how (drp-api.md appendix A).
const ODD: &[(&str, &str)] = &[("list_stats_plugin_providers", "head_plugin_providers")];

/// Returns what clients call an operation.
fn called(name: &str) -> &str {
    ODD.iter().find(|(own, _)| *own == name).map_or(name, |(_, odd)| odd)
}

fn put(object: &mut Value, name: &str, value: Option<Value>) {
    if let (Some(members), Some(value)) = (object.as_object_mut(), value) {
        members.insert(name.to_owned(), value);
    }
}

/// Returns an operation as it is by HEAD.
fn without_bodies(operation: &Value, name: &str) -> Value {
    let mut head = operation.clone();
    put(&mut head, "operationId", Some(called(name).into()));
    let responses = head.get_mut("responses").and_then(Value::as_object_mut);
    for response in responses.into_iter().flat_map(Map::values_mut) {
        if let Some(members) = response.as_object_mut() {
            members.remove("content");
        }
    }
    head
}

fn reason(code: u16) -> &'static str {
    match code {
        400 => "The request cannot be read.",
        403 => "The caller may not do this.",
        404 => "There is no such thing.",
        406 => "The query cannot be answered.",
        409 => "It does not fit with what is there.",
        413 => "The request is too large.",
        416 => "There is no such part of it.",
        422 => "It is not acceptable.",
        501 => "This is not here yet.",
        _ => "It is refused.",
    }
}

fn request(route: &Route, generator: &mut SchemaGenerator) -> Option<Value> {
    match route.takes {
        Body::Nothing => None,
        // A body of DELETE that means something is taken where it comes; OpenAPI 3.0 gives it no place.
        Body::Ignored => (route.method != Method::DELETE)
            .then(|| json!({ "content": { "application/json": { "schema": { "type": "object" } } } })),
        body => {
            let content = content(body, generator)?;
            Some(json!({ "required": route.method != Method::DELETE, "content": content }))
        }
    }
}

fn content(body: Body, generator: &mut SchemaGenerator) -> Option<Value> {
    let json = |schema: Value| json!({ "application/json": { "schema": schema } });
    let bytes = json!({ "schema": { "type": "string", "format": "binary" } });
    match body {
        Body::Nothing => None,
        Body::Ignored => Some(json(json!({ "type": "object" }))),
        Body::Json(schema) => Some(json(schema(generator))),
        Body::Object(kind) => Some(json((kind.schema)(generator).to_value())),
        Body::Objects(kind) => {
            Some(json(json!({ "type": "array", "items": (kind.schema)(generator).to_value() })))
        }
        Body::Patch => {
            let operation = generator.subschema_for::<Operation>().to_value();
            Some(json(json!({ "type": "array", "items": operation })))
        }
        Body::Bytes => Some(json!({ "application/octet-stream": bytes })),
        Body::File => {
            let form = json!({ "type": "object", "properties": { "file": { "type": "string", "format": "binary" } } });
            Some(json!({ "application/octet-stream": bytes, "multipart/form-data": { "schema": form } }))
        }
        Body::Either(schema) => {
            let mut both = json(schema(generator));
            put(&mut both, "application/octet-stream", Some(bytes));
            Some(both)
        }
    }
}

fn parameters(route: &Route) -> Vec<Value> {
    let named = route
        .path
        .split('/')
        .filter_map(|part| Some(part.strip_prefix('{')?.strip_suffix('}')?.trim_start_matches('*')));
    let in_path = named.map(|name| {
        json!({ "name": name, "in": "path", "required": true, "description": "Which one.",
                "schema": { "type": "string", "minLength": 1 } })
    });
    in_path.chain(route.query.iter().map(in_query)).collect()
}

fn in_query(parameter: &Parameter) -> Value {
    let schema = match parameter.shape {
        Shape::Text => json!({ "type": "string" }),
        Shape::Count => json!({ "type": "integer", "minimum": 0 }),
        Shape::Flag => json!({ "type": "boolean" }),
    };
    json!({ "name": parameter.name, "in": "query", "description": parameter.words, "schema": schema })
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use formwork_model::KINDS;

    use super::*;

    /// Every operation of the contract: its name, its method, its path and its statuses.
    const CONTRACT: &str = include_str!("../../../../tests/conformance/routes.tsv");

    fn told() -> Value {
        document(&super::super::all(), "v4.0.0")
    }

    /// Leaves of a path what matters: the names of its parameters do not.
    fn form(path: &str) -> String {
        let parts = path.split('/').map(|part| if part.starts_with('{') { "*" } else { part });
        parts.collect::<Vec<_>>().join("/")
    }

    #[test]
    fn every_kind_has_routes_and_every_reference_resolves() {
        let document = told();
        for kind in KINDS.iter().filter(|kind| super::super::is_generic(kind)) {
            assert!(document["paths"].get(format!("/{}/{{key}}", kind.prefix)).is_some(), "{}", kind.prefix);
        }
        let text = document.to_string();
        let mut references = text.split("\"$ref\":\"#").skip(1).peekable();
        assert!(references.peek().is_some());
        for part in references {
            let pointer = part.split('"').next().unwrap();
            assert!(document.pointer(pointer).is_some(), "{pointer}");
        }
    }

    #[test]
    fn table_has_every_row_of_the_contract() {
        let document = told();
        let paths: BTreeMap<String, &Value> =
            document["paths"].as_object().unwrap().iter().map(|(path, item)| (form(path), item)).collect();
        let mut wrong = Vec::new();
        for row in CONTRACT.lines().skip(1) {
            let cells: Vec<&str> = row.split('\t').collect();
            let (name, method, path, codes) = (cells[0], cells[1], cells[2], cells[3]);
            let operation = paths.get(&form(path)).map(|item| &item[method.to_lowercase()]);
            let Some(operation) = operation.filter(|operation| operation.is_object()) else {
                wrong.push(format!("{name}: no {method} {path}"));
                continue;
            };
            if operation["operationId"] != name {
                wrong.push(format!("{name}: is called {}", operation["operationId"]));
            }
            let known = operation["responses"].as_object().unwrap();
            // Where the contract has several successes, one of them is enough.
            let (done, refused): (Vec<&str>, Vec<&str>) =
                codes.split(',').partition(|code| code.starts_with("20") && *code != "206");
            if !done.iter().any(|code| known.contains_key(*code)) {
                wrong.push(format!("{name}: none of {done:?}"));
            }
            let lacks = refused.iter().filter(|code| !known.contains_key(**code));
            wrong.extend(lacks.map(|code| format!("{name}: no {code}")));
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn operations_are_named_once_and_say_what_they_do() {
        let document = told();
        let mut seen = HashSet::new();
        for item in document["paths"].as_object().unwrap().values() {
            for operation in item.as_object().unwrap().values() {
                let id = operation["operationId"].as_str().unwrap().to_owned();
                let summary = operation["summary"].as_str().unwrap();
                assert!(summary.ends_with('.'), "{id}: {summary}");
                assert!(operation["responses"].as_object().unwrap().len() > 1, "{id}");
                assert!(seen.insert(id.clone()), "{id}");
            }
        }
    }
}
