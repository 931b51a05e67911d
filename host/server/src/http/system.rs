//! The endpoint itself: info, preferences, injected events, object types (drp-api.md 12).

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use axum::{Extension, extract::State, http::StatusCode, response::IntoResponse};
use formwork_api::{ApiError, Event, Info, Stat};
use formwork_model::{Objects, actions_of, bearer_actions, kinds_of};
use serde_json::Value;

use super::{
    answer::{self, Handled},
    openapi,
    request::{Authenticated, Json},
    route::{Body, Route},
};
use crate::{accept::LocalAddress, clock::now, commands::preferences, content::FEATURES, endpoint::Endpoint};

/// The types of events that nobody can inject: who reads them must be able to trust them.
const OWN_EVENTS: &[&str] = &["audit", "log", "websocket"];

/// What may be done to objects of the types that the reference does not know (drp-api.md 2.4).
const BASE_ACTIONS: &[&str] = &["list", "get", "create", "delete", "actions", "update", "action"];

pub(super) fn routes() -> Vec<Route> {
    type Map = BTreeMap<String, String>;
    vec![
        Route::get("/info", "get_info", info)
            .tells("Describes the endpoint.")
            .answers(200, Body::json::<Info>()),
        Route::get("/prefs", "list_prefs", prefs)
            .tells("Returns the preferences.")
            .answers(200, Body::json::<Map>()),
        Route::post("/prefs", "set_prefs", set_prefs)
            .tells("Changes preferences, all or nothing.")
            .takes(Body::json::<Map>())
            .answers(201, Body::json::<Map>())
            .refuses(&[400, 422, 501]),
        Route::post("/events", "post_event", inject)
            .tells("Tells all listeners of an event.")
            .takes(Body::json::<Event>())
            .answers(204, Body::Nothing)
            .refuses(&[400]),
        Route::get("/objects", "list_objects", objects)
            .tells("Names the types of objects.")
            .answers(200, Body::json::<Vec<String>>()),
        Route::get("/openapi.json", "get_openapi", document)
            .tells("Describes the API.")
            .answers(200, Body::any()),
    ]
}

/// Returns what the endpoint says of itself, apart from the address that a request came in on.
pub(super) fn describe(endpoint: &Endpoint) -> Info {
    let options = &endpoint.options;
    let snapshot = endpoint.snapshot();
    let count =
        |name: &str, prefix: &str| Stat { name: name.to_owned(), count: snapshot.count(prefix) as u64 };
    Info {
        arch: go_arch().to_owned(),
        os: std::env::consts::OS.to_owned(),
        version: crate::VERSION.to_owned(),
        id: endpoint.id.clone(),
        local_id: endpoint.local_id.clone(),
        ha_id: options.ha_id.clone().unwrap_or_else(|| endpoint.id.clone()),
        ha_active_id: endpoint.id.clone(),
        api_port: options.api_port,
        file_port: options.static_port,
        dhcp_port: options.dhcp_port,
        tftp_port: options.tftp_port,
        tftp_enabled: options.tftp_port != 0,
        dhcp_enabled: options.dhcp_port != 0,
        prov_enabled: options.static_port != 0,
        secure_file_port: options.static_secure_port.number,
        secure_prov_enabled: options.static_secure_port.number != 0,
        address: endpoint.address.to_string(),
        // Those that clients know come first, in the order of drp-api.md 12.1.
        stats: [("machines.count", "machines"), ("subnets.count", "subnets"), ("contexts.count", "contexts")]
            .map(|(name, prefix)| count(name, prefix))
            .into_iter()
            .chain(endpoint.boot_counts.stats())
            .collect(),
        features: FEATURES.iter().map(|feature| (*feature).to_owned()).collect(),
        scopes: scopes(&snapshot),
        ha_is_active: true,
        ha_status: String::from("Up"),
        ..Info::default()
    }
}

fn go_arch() -> &'static str {
    formwork_model::canonical_arch(std::env::consts::ARCH).unwrap_or(std::env::consts::ARCH)
}

fn scopes(objects: &impl Objects) -> BTreeMap<String, BTreeMap<String, serde_json::Map<String, Value>>> {
    kinds_of(objects)
        .into_iter()
        .filter(|kind| !kind.is_internal())
        .map(|kind| {
            let others = || if kind.is_declared() { bearer_actions() } else { BASE_ACTIONS.to_vec() };
            let actions = actions_of(kind.prefix).unwrap_or_else(others);
            let named = actions.into_iter().map(|action| (action.to_owned(), serde_json::Map::new()));
            (kind.prefix.to_owned(), named.collect())
        })
        .collect()
}

async fn info(
    State(endpoint): State<Arc<Endpoint>>,
    Authenticated(caller): Authenticated,
    local: Option<Extension<LocalAddress>>,
) -> Handled {
    caller.require("info", "get", "")?;
    let mut info = describe(&endpoint);
    if let (None, Some(Extension(LocalAddress(local)))) = (endpoint.options.static_ip, local) {
        info.address = local.ip().to_string();
    }
    answer::json(StatusCode::OK, &info)
}

async fn prefs(State(endpoint): State<Arc<Endpoint>>, Authenticated(caller): Authenticated) -> Handled {
    caller.require("preferences", "list", "")?;
    answer::json(StatusCode::OK, &preferences::all(&endpoint))
}

async fn set_prefs(
    State(endpoint): State<Arc<Endpoint>>,
    Authenticated(caller): Authenticated,
    body: Json,
) -> Handled {
    let values = body.read_without_nulls("preferences", "").map_err(|error| {
        let message = format!("preferences are a map of strings: {}", error.messages.join(", "));
        ApiError::new(400, "POST", message).about("preferences", "")
    })?;
    answer::json(StatusCode::CREATED, &preferences::change(&endpoint, &caller, values).await?)
}

async fn inject(
    State(endpoint): State<Arc<Endpoint>>,
    Authenticated(caller): Authenticated,
    body: Json,
) -> Handled {
    caller.require("events", "create", "")?;
    let mut event: Event = body.read_without_nulls("events", "")?;
    if OWN_EVENTS.contains(&event.r#type.as_str()) {
        let message = format!("events of type {} are the server's own", event.r#type);
        return Err(ApiError::invalid("events", &event.key, vec![message]).into());
    }
    if event.time.is_unset() {
        event.time = now();
    }
    // An agent speaks for itself; what users say is told unchanged (drp-api.md 8.2).
    if event.principal.is_empty() || !caller.is_user() {
        event.principal.clone_from(&caller.principal);
    }
    endpoint.hub.tell(event);
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// The types that dr-provision 4.8 lists; a test of its clients compares the list literally (drp-api.md 12.3).
const FIRST_TYPES: [&str; 23] = [
    "bootenvs",
    "catalog_items",
    "contexts",
    "endpoints",
    "jobs",
    "kk",
    "leases",
    "machines",
    "params",
    "plugins",
    "pools",
    "preferences",
    "profiles",
    "reservations",
    "roles",
    "stages",
    "subnets",
    "tasks",
    "templates",
    "tenants",
    "users",
    "version_sets",
    "workflows",
];

/// Types that have routes of objects and that lists of types leave out (drp-api.md 12.3): `plugin_providers`, and those that
/// only this endpoint has.
const UNLISTED: [&str; 4] = ["contents", "packs", "plugin_providers", "publishers"];

/// Lists the types of objects. Under the name `dr-provision` the list is that of its release 4.8; else it has all types of
/// 4.17 and those that somebody declared, with the odd word `kk` that clients look for.
async fn objects(State(endpoint): State<Arc<Endpoint>>, Authenticated(_): Authenticated) -> Handled {
    if endpoint.options.as_dr_provision {
        return answer::json(StatusCode::OK, &FIRST_TYPES);
    }
    let types = kinds_of(&endpoint.snapshot());
    let types = types.into_iter().filter(|kind| !kind.is_internal()).map(|kind| kind.prefix);
    let mut names: Vec<&str> = types.filter(|prefix| !UNLISTED.contains(prefix)).chain(["kk"]).collect();
    names.sort_unstable();
    answer::json(StatusCode::OK, &names)
}

/// Sends browsers to the user interface where there is one, and says what this is where there is none.
pub(super) async fn front(State(endpoint): State<Arc<Endpoint>>) -> axum::response::Response {
    match &endpoint.options.ui_url {
        Some(url) => axum::response::Redirect::temporary(url).into_response(),
        None => {
            let text = format!(
                "Formwork endpoint {}\n\nthe API          /api/v3/info\nits description  /swagger.json\n",
                endpoint.id
            );
            text.into_response()
        }
    }
}

pub(super) async fn document() -> Handled {
    static TOLD: LazyLock<Value> = LazyLock::new(|| openapi::document(&super::all(), crate::VERSION));
    answer::json(StatusCode::OK, &*TOLD)
}
