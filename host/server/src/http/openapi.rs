//! The OpenAPI document, made from the kinds of objects and the types of the API.

use formwork_api::{
    ApiError, BASE_PATH, Event, IndexInfo, Info, Interface, Line, UserPassword, UserToken, Whoami,
};
use formwork_core::pools::PoolResult;
use formwork_model::{
    Alert, AvailableAction, Content, ContentSummary, GrantUse, InstalledPack, JobAction, KINDS, Kind,
};
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::blobs::BlobInfo;

/// What the sender of a pack may say of it.
const INSTALL_PARAMETERS: [(&str, &str); 7] = [
    (
        "grant",
        "Consents to a line of what a component asks for, as `COMPONENT: LINE`; `all` to everything. Can be repeated.",
    ),
    ("digest", "Goes on with an upload that was received before and waits for consent; the body is empty."),
    ("wait", "`true`: answers once the pack is in use or refused."),
    ("name", "The name of a bare component."),
    ("kind", "The kind of a bare component."),
    ("allow-downgrade", "`true`: an older version may replace the one in use."),
    ("replaceWritable", "`true`: objects of the same keys that were made by hand give way."),
];

/// What is asked of rights.
const WHOCAN_PARAMETERS: [(&str, &str); 3] = [
    ("scope", "The type of objects, or another scope."),
    ("action", "What is to be done, as `get` or `update:/Params/x`."),
    ("specific", "The key of the object; `*` for all of them, nothing for the type as a whole."),
];

/// Returns the document.
pub(super) fn document(version: &str) -> Value {
    let mut generator = SchemaSettings::openapi3().into_generator();
    let mut paths = Map::new();
    for kind in KINDS.iter().filter(|kind| super::is_generic(kind)) {
        let schema = (kind.schema)(&mut generator).to_value();
        of_kind(&mut paths, kind, &schema);
        if let Some(word) = kind.plugin_actions {
            of_actions(&mut paths, kind, word, &mut generator);
        }
    }
    others(&mut paths, &mut generator);
    let error = generator.subschema_for::<ApiError>().to_value();
    for operation in paths.values_mut().filter_map(Value::as_object_mut).flat_map(Map::values_mut) {
        if let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) {
            responses.insert(String::from("default"), content("What is wrong.", &error));
        }
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

fn content(description: &str, schema: &Value) -> Value {
    json!({ "description": description, "content": { "application/json": { "schema": schema } } })
}

fn operation(id: &str, summary: &str, answer: (&str, Value)) -> Value {
    json!({ "operationId": id, "summary": summary, "responses": { answer.0: content(summary, &answer.1) } })
}

fn with_body(operation: Value, schema: &Value) -> Value {
    let body = json!({ "required": true, "content": { "application/json": { "schema": schema } } });
    with(operation, "requestBody", body)
}

fn with(mut object: Value, name: &str, value: Value) -> Value {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
    object
}

fn parameter(name: &str, place: &str, description: &str) -> Value {
    json!({ "name": name, "in": place, "required": place == "path", "description": description,
            "schema": { "type": "string" } })
}

/// Adds parameters of the query to an operation that is there.
fn also(paths: &mut Map<String, Value>, path: &str, method: &str, parameters: &[(&str, &str)]) {
    let known =
        paths.get_mut(path).and_then(|item| item.get_mut(method)?.get_mut("parameters")?.as_array_mut());
    if let Some(known) = known {
        known.extend(parameters.iter().map(|(name, words)| parameter(name, "query", words)));
    }
}

fn add(paths: &mut Map<String, Value>, path: &str, method: &str, operation: Value) {
    let named = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<Value> = named.map(|name| parameter(name, "path", "Which one.")).collect();
    if method == "get" && !path.contains('{') {
        let controls =
            [("limit", "At most so many."), ("offset", "Skip so many."), ("sort", "Sort by this member.")];
        parameters.extend(controls.map(|(name, words)| parameter(name, "query", words)));
    }
    let operation = with(operation, "parameters", Value::Array(parameters));
    if let Some(item) = paths.entry(path.to_owned()).or_insert_with(|| json!({})).as_object_mut() {
        item.insert(method.to_owned(), operation);
    }
}

fn patch_schema() -> Value {
    json!({ "type": "array", "items": { "type": "object", "required": ["op", "path"], "properties": {
        "op": { "type": "string", "enum": ["test", "add", "remove", "replace", "move", "copy"] },
        "path": { "type": "string" }, "from": { "type": "string" }, "value": {} } } })
}

fn of_kind(paths: &mut Map<String, Value>, kind: &'static Kind, schema: &Value) {
    let (prefix, noun) = (kind.prefix, kind.noun);
    let all = json!({ "type": "array", "items": schema });
    let list = format!("/{prefix}");
    let item = format!("/{prefix}/{{key}}");
    let id = |verb: &str| format!("{verb}_{prefix}");
    add(paths, &list, "get", operation(&id("list"), &format!("Lists every {noun}."), ("200", all)));
    let create = operation(&id("create"), &format!("Creates a {noun}."), ("201", schema.clone()));
    add(paths, &list, "post", with_body(create, schema));
    add(paths, &item, "get", operation(&id("get"), &format!("Returns a {noun}."), ("200", schema.clone())));
    let put = operation(&id("put"), &format!("Replaces a {noun}."), ("200", schema.clone()));
    add(paths, &item, "put", with_body(put, schema));
    let patch = operation(&id("patch"), &format!("Changes a {noun} by RFC 6902."), ("200", schema.clone()));
    add(paths, &item, "patch", with_body(patch, &patch_schema()));
    let delete = operation(&id("delete"), &format!("Deletes a {noun}."), ("200", schema.clone()));
    add(paths, &item, "delete", delete);
    let strings = json!({ "type": "object", "additionalProperties": { "type": "string" } });
    let meta = format!("/meta/{prefix}/{{key}}");
    let read =
        operation(&id("get_meta"), &format!("Returns the Meta of a {noun}."), ("200", strings.clone()));
    add(paths, &meta, "get", read);
    let change = operation(&id("patch_meta"), &format!("Changes the Meta of a {noun}."), ("200", strings));
    add(paths, &meta, "patch", with_body(change, &patch_schema()));
    if kind.bears_params {
        of_params(paths, kind);
    }
}

fn of_params(paths: &mut Map<String, Value>, kind: &'static Kind) {
    let (prefix, noun) = (kind.prefix, kind.noun);
    let map = json!({ "type": "object", "additionalProperties": {} });
    let all = format!("/{prefix}/{{key}}/params");
    let one = format!("/{prefix}/{{key}}/params/{{param}}");
    let id = |verb: &str| format!("{verb}_{prefix}_params");
    let words = format!("Returns the parameters of a {noun}.");
    add(paths, &all, "get", operation(&id("list"), &words, ("200", map.clone())));
    let replace =
        operation(&id("replace"), &format!("Replaces the parameters of a {noun}."), ("200", map.clone()));
    add(paths, &all, "post", with_body(replace, &map));
    let patch = operation(&id("patch"), &format!("Changes the parameters of a {noun}."), ("200", map));
    add(paths, &all, "patch", with_body(patch, &patch_schema()));
    let words = format!("Returns one parameter of a {noun}; null when it is not set.");
    add(paths, &one, "get", operation(&id("get"), &words, ("200", json!({}))));
    let set = operation(&id("set"), &format!("Sets one parameter of a {noun}."), ("200", json!({})));
    add(paths, &one, "post", with_body(set, &json!({})));
    add(
        paths,
        &one,
        "delete",
        operation(&id("unset"), &format!("Removes one parameter of a {noun}."), ("200", json!({}))),
    );
}

fn others(paths: &mut Map<String, Value>, generator: &mut SchemaGenerator) {
    fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
        generator.subschema_for::<T>().to_value()
    }
    let strings = json!({ "type": "object", "additionalProperties": { "type": "string" } });
    let names = json!({ "type": "array", "items": { "type": "string" } });
    let info = of::<Info>(generator);
    add(paths, "/info", "get", operation("get_info", "Describes the endpoint.", ("200", info)));
    add(paths, "/objects", "get", operation("list_objects", "Names the types of objects.", ("200", names)));
    add(
        paths,
        "/prefs",
        "get",
        operation("list_prefs", "Returns the preferences.", ("200", strings.clone())),
    );
    let prefs = operation("set_prefs", "Changes preferences, all or nothing.", ("201", strings.clone()));
    add(paths, "/prefs", "post", with_body(prefs, &strings));
    let event = of::<Event>(generator);
    let inject = json!({ "operationId": "post_events", "summary": "Tells all listeners of an event.",
                         "responses": { "204": { "description": "It was told." } } });
    add(paths, "/events", "post", with_body(inject, &event));
    let whoami = of::<Whoami>(generator);
    let asked = operation("whoami", "Tells a machine which object it is.", ("200", whoami.clone()));
    add(paths, "/whoami", "post", with_body(asked, &whoami));
    let token = of::<UserToken>(generator);
    let words = "Makes a token of a user.";
    add(paths, "/users/{key}/token", "get", operation("get_user_token", words, ("200", token.clone())));
    let words = "Makes a token of a machine.";
    add(paths, "/machines/{key}/token", "get", operation("get_machine_token", words, ("200", token)));
    let password = of::<UserPassword>(generator);
    let set = operation("set_password", "Sets the password of a user.", ("200", json!({ "type": "object" })));
    add(paths, "/users/{key}/password", "put", with_body(set, &password));
    let words = "Tells which roles and users may do something.";
    let whocan = operation("whocan", words, ("200", of::<super::whocan::Whocan>(generator)));
    add(paths, "/whocan", "get", whocan);
    also(paths, "/whocan", "get", &WHOCAN_PARAMETERS);
    let actions = json!({ "type": "array", "items": of::<JobAction>(generator) });
    let words = "Renders what an agent does for a job.";
    add(paths, "/jobs/{key}/actions", "get", operation("get_job_actions", words, ("200", actions)));
    let object = json!({ "type": "object" });
    let words = "Tells what a change of a machine would bring about. Nothing is written.";
    let plan = operation("plan_machines", words, ("200", object.clone()));
    add(paths, "/machines/{key}/plan", "post", with_body(plan, &object));
    of_logs(paths);
    of_plugins(paths);
    of_contents(paths, &of::<Content>(generator), &of::<ContentSummary>(generator));
    of_blobs(paths, &of::<BlobInfo>(generator));
    of_render(paths);
    of_pools(paths, &of::<PoolResult>(generator));
    of_alerts(paths, &of::<Alert>(generator));
    of_host(paths, &of::<Interface>(generator), &of::<Line>(generator));
    of_indexes(paths, &of::<IndexInfo>(generator));
    of_packs(paths, &of::<InstalledPack>(generator), &of::<GrantUse>(generator));
}

fn of_actions(
    paths: &mut Map<String, Value>,
    kind: &'static Kind,
    word: &str,
    generator: &mut SchemaGenerator,
) {
    let (prefix, noun) = (kind.prefix, kind.noun);
    let action = generator.subschema_for::<AvailableAction>().to_value();
    let all = json!({ "type": "array", "items": action });
    let list = format!("/{prefix}/{{key}}/{word}");
    let item = format!("{list}/{{command}}");
    let id = |verb: &str| format!("{verb}_{prefix}_plugin_action");
    let words = format!("Lists the actions that plugins offer on a {noun}.");
    add(paths, &list, "get", operation(&format!("{}s", id("list")), &words, ("200", all)));
    let words = format!("Returns an action that plugins offer on a {noun}.");
    add(paths, &item, "get", operation(&id("get"), &words, ("200", action)));
    let act = operation(&id("post"), &format!("Has a plugin act on a {noun}."), ("200", json!({})));
    add(paths, &item, "post", with_body(act, &json!({ "type": "object", "additionalProperties": {} })));
}

fn of_plugins(paths: &mut Map<String, Value>) {
    let list = json!({ "type": "array", "items": { "type": "object" } });
    let object = json!({ "type": "object" });
    let all = "/plugins/{key}/dead_letters";
    let one = "/plugins/{key}/dead_letters/{number}";
    let mut route = |path: &str, method: &str, id: &str, words: &str, answer: (&str, &Value)| {
        add(paths, path, method, operation(id, words, (answer.0, answer.1.clone())));
    };
    route(
        "/plugins/{key}/log",
        "get",
        "get_plugin_log",
        "Returns the last lines of a plugin's log.",
        ("200", &list),
    );
    let words = "Lists the events that a plugin did not take in, and the gaps in its events.";
    route(all, "get", "list_dead_letters", words, ("200", &list));
    route(all, "delete", "delete_dead_letters", "Removes all dead letters of a plugin.", ("200", &object));
    let words = "Has all dead letters of a plugin delivered again.";
    route(&format!("{all}/retry"), "post", "retry_dead_letters", words, ("202", &object));
    route(one, "get", "get_dead_letter", "Returns a dead letter.", ("200", &object));
    route(one, "delete", "delete_dead_letter", "Removes a dead letter.", ("200", &object));
    let words = "Has a dead letter delivered again.";
    route(&format!("{one}/retry"), "post", "retry_dead_letter", words, ("202", &object));
    let words = "Lists the actions that plugins offer on the endpoint.";
    route("/system/actions", "get", "list_system_actions", words, ("200", &list));
    let words = "Returns an action that plugins offer on the endpoint.";
    route("/system/actions/{command}", "get", "get_system_action", words, ("200", &object));
    let words = "Has a plugin act on the endpoint.";
    route("/system/actions/{command}", "post", "post_system_action", words, ("200", &json!({})));
    let binary = json!({ "operationId": "get_plugin_provider_binary",
                         "summary": "Returns the component of a provider.",
                         "responses": { "200": { "description": "The component.", "content": octets() } } });
    add(paths, "/plugin_providers/{key}/binary", "get", binary);
}

/// A body of bytes.
fn octets() -> Value {
    json!({ "application/octet-stream": { "schema": { "type": "string", "format": "binary" } } })
}

fn of_logs(paths: &mut Map<String, Value>) {
    let octets = octets();
    let read = json!({ "operationId": "get_job_log", "summary": "Returns the log of a job.",
                       "responses": { "200": { "description": "The log.", "content": octets } } });
    add(paths, "/jobs/{key}/log", "get", read);
    let append = json!({ "operationId": "append_job_log", "summary": "Appends to the log of a job.",
                         "requestBody": { "content": octets },
                         "responses": { "204": { "description": "It is on disk." } } });
    add(paths, "/jobs/{key}/log", "put", append);
    let used = json!({ "operationId": "post_job_grants",
                       "summary": "Counts grants of its component that a call of a job used, each line once.",
                       "responses": { "204": { "description": "They are counted, as far as they were granted." } } });
    let lines = json!({ "type": "array", "items": { "type": "string" } });
    add(paths, "/jobs/{key}/grants", "post", with_body(used, &lines));
    let purge = operation(
        "purge_jobs",
        "Removes jobs that nothing keeps.",
        ("200", json!({ "type": "array", "items": { "type": "object" } })),
    );
    add(paths, "/jobs", "delete", purge);
    let rules = [
        ("dryrun", "`true`: only tells which would go."),
        ("machine", "Only jobs of this machine; `missing` stands for those that are gone."),
        ("jobsToKeep", "So many of the newest jobs of each machine stay."),
        ("completeJobsPurgedAfter", "A finished job stays so long."),
        ("failedJobsPurgedAfter", "A failed job stays so long."),
    ];
    also(paths, "/jobs", "delete", &rules);
    let words = "Returns the log of a job as a string.";
    add(
        paths,
        "/jobs/{key}/archive",
        "get",
        operation("get_job_log_archive", words, ("200", json!({ "type": "string" }))),
    );
    let component = json!({ "operationId": "get_component", "summary": "Returns the bytes of a component.",
                            "responses": { "200": { "description": "The component.", "content": octets } } });
    add(paths, "/components/{digest}", "get", component);
}

fn of_contents(paths: &mut Map<String, Value>, content: &Value, summary: &Value) {
    let all = json!({ "type": "array", "items": summary });
    add(paths, "/contents", "get", operation("list_contents", "Lists all layers of content.", ("200", all)));
    let create = operation("create_contents", "Installs a bundle.", ("201", summary.clone()));
    add(paths, "/contents", "post", with_body(create, content));
    let show = operation("get_contents", "Returns a bundle.", ("200", content.clone()));
    add(paths, "/contents/{key}", "get", show);
    let put = operation("put_contents", "Replaces a bundle.", ("200", summary.clone()));
    add(paths, "/contents/{key}", "put", with_body(put, content));
    let delete = json!({ "operationId": "delete_contents", "summary": "Removes a bundle.",
                         "responses": { "204": { "description": "It is gone." } } });
    add(paths, "/contents/{key}", "delete", delete);
}

fn of_blobs(paths: &mut Map<String, Value>, info: &Value) {
    let octets =
        json!({ "application/octet-stream": { "schema": { "type": "string", "format": "binary" } } });
    let names = json!({ "type": "array", "items": { "type": "string" } });
    for (word, one) in [("files", "file"), ("isos", "iso")] {
        let (all, item) = (format!("/{word}"), format!("/{word}/{{path}}"));
        let listed =
            operation(&format!("list_{word}"), "Lists the names in a folder.", ("200", names.clone()));
        add(paths, &all, "get", listed);
        let place =
            [("path", "The folder; the top when it is left out."), ("all", "Also what is in its folders.")];
        also(paths, &all, "get", &place);
        let words = "Returns a file, or a part of it.";
        let get = json!({ "operationId": format!("get_{one}"), "summary": words,
                          "responses": { "200": { "description": words, "content": octets } } });
        add(paths, &item, "get", get);
        let upload = operation(&format!("upload_{one}"), "Takes a file.", ("201", info.clone()));
        add(
            paths,
            &item,
            "post",
            with(upload, "requestBody", json!({ "required": true, "content": octets })),
        );
        also(paths, &item, "post", &[("explode", "Also take the archive apart where it is.")]);
        let delete = json!({ "operationId": format!("delete_{one}"), "summary": "Removes a file or an empty folder.",
                             "responses": { "204": { "description": "It is gone." } } });
        add(paths, &item, "delete", delete);
    }
    let words =
        "Removes the trees of a boot environment, and its archives unless they are to be taken apart again.";
    let purge = operation("purge_local_boot_env", words, ("200", json!({ "type": "boolean" })));
    add(paths, "/bootenvs/{key}/purgeLocal", "delete", with_body(purge, &names));
    also(
        paths,
        "/bootenvs/{key}/purgeLocal",
        "delete",
        &[("reexplodeIsos", "Take the archives apart again.")],
    );
}

fn of_alerts(paths: &mut Map<String, Value>, alert: &Value) {
    let words = "Notes that the caller has seen an alert.";
    add(
        paths,
        "/alerts/{key}/acknowledge",
        "post",
        operation("post_alert_ack", words, ("200", alert.clone())),
    );
}

fn of_render(paths: &mut Map<String, Value>) {
    let text = json!({ "type": "string" });
    for (prefix, noun) in
        [("clusters", "cluster"), ("machines", "machine"), ("resource_brokers", "resource_broker")]
    {
        let words = "Renders a text for it.";
        let render = operation(&format!("get_{noun}_render"), words, ("200", text.clone()));
        add(paths, &format!("/{prefix}/{{key}}/render"), "post", with_body(render, &text));
    }
    let words = "Renders a stored template for a machine.";
    add(
        paths,
        "/templates/{key}/render/{uuid}",
        "get",
        operation("get_template_render", words, ("200", text)),
    );
}

fn of_pools(paths: &mut Map<String, Value>, result: &Value) {
    let by_status = json!({ "type": "object", "additionalProperties": { "type": "array", "items": result } });
    let words = "Lists the machines of a pool by their status.";
    add(paths, "/pools/{key}/status", "get", operation("get_pool_status", words, ("200", by_status)));
    let names = json!({ "type": "array", "items": { "type": "string" } });
    let words = "Lists the names of pools that have machines.";
    add(paths, "/pools-active", "get", operation("list_active_pools", words, ("200", names)));
}

fn of_host(paths: &mut Map<String, Value>, interface: &Value, line: &Value) {
    let list = |schema: &Value| json!({ "type": "array", "items": schema });
    let words = "Lists the network interfaces that are up.";
    add(paths, "/interfaces", "get", operation("list_interfaces", words, ("200", list(interface))));
    let words = "Returns a network interface.";
    add(paths, "/interfaces/{key}", "get", operation("get_interface", words, ("200", interface.clone())));
    let words = "Returns the last 1000 lines of the log, oldest first.";
    add(paths, "/logs", "get", operation("get_logs", words, ("200", list(line))));
}

fn of_indexes(paths: &mut Map<String, Value>, index: &Value) {
    let of_type = json!({ "type": "object", "additionalProperties": index });
    let all = json!({ "type": "object", "additionalProperties": of_type });
    let words = "Tells what lists of all types can be filtered and sorted by.";
    add(paths, "/indexes", "get", operation("list_indexes", words, ("200", all)));
    let words = "Tells what lists of a type can be filtered and sorted by.";
    add(paths, "/indexes/{prefix}", "get", operation("get_index", words, ("200", of_type)));
    let words = "Tells what a member or parameter is when lists are filtered by it.";
    let one = operation("get_single_index", words, ("200", index.clone()));
    add(paths, "/indexes/{prefix}/{name}", "get", one);
}

fn of_packs(paths: &mut Map<String, Value>, pack: &Value, grant: &Value) {
    let all = json!({ "type": "array", "items": pack });
    add(paths, "/packs", "get", operation("list_packs", "Lists every pack.", ("200", all)));
    let words = "Takes a pack file or a component, looks at it and installs it in the background.";
    let install = with(
        operation("install_pack", words, ("202", pack.clone())),
        "requestBody",
        json!({ "content": octets() }),
    );
    add(paths, "/packs", "post", install);
    also(paths, "/packs", "post", &INSTALL_PARAMETERS);
    add(paths, "/packs/{key}", "get", operation("get_packs", "Returns a pack.", ("200", pack.clone())));
    let delete = operation("delete_packs", "Removes a pack with all that is in it.", ("200", pack.clone()));
    add(paths, "/packs/{key}", "delete", delete);
    let words = "Brings the version before the one in use back.";
    add(paths, "/packs/{key}/rollback", "post", operation("roll_back_pack", words, ("200", pack.clone())));
    let grants = json!({ "type": "array", "items": grant });
    let words = "Lists what the components of a pack may do, and whether they ever did.";
    add(paths, "/packs/{key}/grants", "get", operation("list_pack_grants", words, ("200", grants)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_routes_and_every_reference_resolves() {
        let document = document("v4.0.0");
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

    /// What these files route, as they are written. A router cannot be asked.
    const SOURCES: [&str; 20] = [
        include_str!("actions.rs"),
        include_str!("alerts.rs"),
        include_str!("blobs.rs"),
        include_str!("bootenvs.rs"),
        include_str!("contents.rs"),
        include_str!("indexes.rs"),
        include_str!("interfaces.rs"),
        include_str!("jobs.rs"),
        include_str!("logs.rs"),
        include_str!("machines.rs"),
        include_str!("objects.rs"),
        include_str!("packs.rs"),
        include_str!("params.rs"),
        include_str!("plugins.rs"),
        include_str!("pools.rs"),
        include_str!("render.rs"),
        include_str!("system.rs"),
        include_str!("users.rs"),
        include_str!("websocket.rs"),
        include_str!("whocan.rs"),
    ];

    /// Leaves of a path what matters: the names of its parameters do not.
    fn form(path: &str) -> String {
        let parts = path.split('/').map(|part| if part.starts_with('{') { "*" } else { part });
        parts.collect::<Vec<_>>().join("/")
    }

    #[test]
    fn every_route_is_in_the_document() {
        let document = document("v4.0.0");
        let known: Vec<String> =
            document["paths"].as_object().unwrap().keys().map(|path| form(path)).collect();
        let mut found = 0;
        for source in SOURCES {
            for route in source.split(".route(").skip(1) {
                let path = route.split('"').nth(1).unwrap().replace("{{", "{").replace("}}", "}");
                // The prefix and the word of a kind: that of machines stands for all.
                let path = path.replace("{prefix}", "machines").replace(
                    "/{word}",
                    if path == "/{word}" || path.contains("*path") { "/files" } else { "/actions" },
                );
                let path = path.replace("{}", "machines");
                found += 1;
                // The document itself, and a protocol that OpenAPI does not know.
                let is_told = ["/openapi.json", "/ws", "/ws/{id}"].contains(&path.as_str())
                    || known.contains(&form(&path));
                assert!(is_told, "{path}");
            }
        }
        assert!(found > 25, "{found}");
    }

    #[test]
    fn operation_ids_are_unique() {
        let document = document("v4.0.0");
        let mut seen = std::collections::HashSet::new();
        for item in document["paths"].as_object().unwrap().values() {
            for operation in item.as_object().unwrap().values() {
                let id = operation["operationId"].as_str().unwrap().to_owned();
                assert!(seen.insert(id.clone()), "{id}");
            }
        }
    }
}
