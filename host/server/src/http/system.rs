//! The endpoint itself: info, preferences, injected events, object types (drp-api.md 12).

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use axum::{
    Extension, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use formwork_api::{ApiError, Event, Info, Stat};
use formwork_model::{KINDS, Objects, actions_of};
use serde_json::Value;

use super::{
    answer::{self, Handled},
    openapi,
    request::{Authenticated, Json},
};
use crate::{clock::now, commands::preferences, content::FEATURES, endpoint::Endpoint};

/// The types of events that nobody can inject: who reads them must be able to trust them.
const OWN_EVENTS: &[&str] = &["audit", "log", "websocket"];

/// What may be done to objects of the types that the reference does not know (drp-api.md 2.4).
const BASE_ACTIONS: &[&str] = &["list", "get", "create", "delete", "actions", "update", "action"];

pub(super) fn routes() -> Router<Arc<Endpoint>> {
    Router::new()
        .route("/info", get(info))
        .route("/prefs", get(prefs).post(set_prefs))
        .route("/events", post(inject))
        .route("/objects", get(objects))
        .route("/openapi.json", get(document))
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
        ha_id: endpoint.id.clone(),
        ha_active_id: endpoint.id.clone(),
        api_port: options.api_port,
        file_port: options.static_port,
        dhcp_port: options.dhcp_port,
        tftp_port: options.tftp_port,
        tftp_enabled: options.tftp_port != 0,
        dhcp_enabled: options.dhcp_port != 0 && options.dhcp_subnet.is_some(),
        prov_enabled: options.static_port != 0,
        address: endpoint.address.to_string(),
        // Those that clients know come first, in the order of drp-api.md 12.1.
        stats: [("machines.count", "machines"), ("subnets.count", "subnets"), ("contexts.count", "contexts")]
            .map(|(name, prefix)| count(name, prefix))
            .into_iter()
            .chain(endpoint.boot_counts.stats())
            .collect(),
        features: FEATURES.iter().map(|feature| (*feature).to_owned()).collect(),
        scopes: scopes(),
        ha_is_active: true,
        ha_status: String::from("Up"),
        ..Info::default()
    }
}

fn go_arch() -> &'static str {
    formwork_model::canonical_arch(std::env::consts::ARCH).unwrap_or(std::env::consts::ARCH)
}

fn scopes() -> BTreeMap<String, BTreeMap<String, serde_json::Map<String, Value>>> {
    KINDS
        .iter()
        .filter(|kind| !kind.is_internal())
        .map(|kind| {
            let actions = actions_of(kind.prefix).unwrap_or_else(|| BASE_ACTIONS.to_vec());
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

/// The local address that a connection came in on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LocalAddress(pub(crate) SocketAddr);

async fn prefs(State(endpoint): State<Arc<Endpoint>>, Authenticated(caller): Authenticated) -> Handled {
    caller.require("preferences", "list", "")?;
    answer::json(StatusCode::OK, &preferences::all(&endpoint))
}

async fn set_prefs(
    State(endpoint): State<Arc<Endpoint>>,
    Authenticated(caller): Authenticated,
    body: Json,
) -> Handled {
    let values = serde_json::from_value(body.value).map_err(|error| {
        let message = format!("preferences are a map of strings: {error}");
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
    let mut event: Event = body.read("events", "")?;
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

async fn objects(Authenticated(_): Authenticated) -> Handled {
    let names: Vec<&str> = KINDS
        .iter()
        .filter(|kind| !kind.is_internal())
        .map(|kind| kind.prefix)
        .filter(|prefix| *prefix != "contents")
        .collect();
    answer::json(StatusCode::OK, &names)
}

async fn document() -> Handled {
    answer::json(StatusCode::OK, &openapi::document(crate::VERSION))
}
