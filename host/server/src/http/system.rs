//! The endpoint itself: info, preferences, injected events, object types (drp-api.md 12).

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{Response, StatusCode},
    routing::{get, post},
};
use formwork_api::{ApiError, Event, Info, Stat};
use formwork_model::{KINDS, Objects};
use serde_json::Value;

use super::{
    answer, openapi,
    request::{Authenticated, Json},
};
use crate::{
    commands::preferences,
    endpoint::{Endpoint, now},
};

/// Words for what this endpoint can do; a word is listed only when it holds.
const FEATURES: &[&str] = &[
    "auto-boot-target",
    "default-workflow",
    "job-exit-states",
    "log-has-head-method",
    "sane-exit-codes",
    "slim-objects",
    "sprig",
    "workflows",
];

/// The base actions of every type of object (drp-api.md 2.4).
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
        stats: vec![
            count("machines.count", "machines"),
            count("subnets.count", "subnets"),
            count("contexts.count", "contexts"),
        ],
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
    let more = |prefix: &str| -> &[&str] {
        match prefix {
            "users" => &["token", "password"],
            "jobs" => &["log"],
            "machines" => &["getSecure", "updateSecure", "updateTaskList", "token", "whoami"],
            "profiles" | "stages" => &["getSecure", "updateSecure"],
            _ => &[],
        }
    };
    KINDS
        .iter()
        .map(|kind| {
            let actions: Vec<&str> = match kind.prefix {
                "preferences" => vec!["list", "post"],
                "contents" => vec!["list", "get", "create", "update", "delete"],
                prefix => BASE_ACTIONS.iter().chain(more(prefix)).copied().collect(),
            };
            let named = actions.into_iter().map(|action| (action.to_owned(), serde_json::Map::new()));
            (kind.prefix.to_owned(), named.collect())
        })
        .collect()
}

async fn info(
    State(endpoint): State<Arc<Endpoint>>,
    Authenticated(caller): Authenticated,
    request: axum::extract::Request,
) -> Response<Body> {
    if let Err(error) = caller.require("info", "get", "") {
        return answer::error(&error);
    }
    let mut info = describe(&endpoint);
    if endpoint.options.static_ip.is_none()
        && let Some(local) = request.extensions().get::<LocalAddress>()
    {
        info.address = local.0.ip().to_string();
    }
    answer::json(StatusCode::OK, &info)
}

/// The local address that a connection came in on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LocalAddress(pub(crate) SocketAddr);

async fn prefs(
    State(endpoint): State<Arc<Endpoint>>,
    Authenticated(caller): Authenticated,
) -> Response<Body> {
    match caller.require("preferences", "list", "") {
        Ok(()) => answer::json(StatusCode::OK, &preferences::all(&endpoint)),
        Err(error) => answer::error(&error),
    }
}

async fn set_prefs(
    State(endpoint): State<Arc<Endpoint>>,
    Authenticated(caller): Authenticated,
    Json(body): Json,
) -> Response<Body> {
    let outcome = match serde_json::from_value::<BTreeMap<String, String>>(body) {
        Ok(values) => preferences::change(&endpoint, &caller, values).await,
        Err(error) => {
            let message = format!("preferences are a map of strings: {error}");
            Err(ApiError::new(400, "POST", message).about("preferences", ""))
        }
    };
    match outcome {
        Ok(all) => answer::json(StatusCode::CREATED, &all),
        Err(error) => answer::error(&error),
    }
}

async fn inject(
    State(endpoint): State<Arc<Endpoint>>,
    Authenticated(caller): Authenticated,
    Json(body): Json,
) -> Response<Body> {
    let event = caller.require("events", "create", "").and_then(|()| {
        serde_json::from_value::<Event>(body)
            .map_err(|error| ApiError::new(400, "POST", error.to_string()).about("events", ""))
    });
    let mut event = match event {
        Ok(event) => event,
        Err(error) => return answer::error(&error),
    };
    if event.r#type == "websocket" {
        let message = String::from("events of type websocket are the server's own");
        return answer::error(&ApiError::invalid("events", &event.key, vec![message]));
    }
    if event.time.is_unset() {
        event.time = now();
    }
    if event.principal.is_empty() {
        event.principal.clone_from(&caller.principal);
    }
    // Without a listener there is nobody to tell, which is no failure.
    let _ = endpoint.injected.send(Arc::new(event));
    answer::empty(StatusCode::NO_CONTENT)
}

async fn objects(Authenticated(_): Authenticated) -> Response<Body> {
    let names: Vec<&str> =
        KINDS.iter().map(|kind| kind.prefix).filter(|prefix| *prefix != "contents").collect();
    answer::json(StatusCode::OK, &names)
}

async fn document() -> Response<Body> {
    answer::json(StatusCode::OK, &openapi::document(crate::VERSION))
}
