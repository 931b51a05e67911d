//! Who is connected (drp-api.md 14.2).

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use formwork_api::{ApiError, Filter, Index, Shape as IndexShape, Subject};
use formwork_model::{Cluster, Machine, Native, Record, ResourceBroker};
use serde_json::Value;

use super::{
    answer::{self, Handled},
    objects,
    request::{Authenticated, Path, Query, Target},
    route::{Body, OF_ONE, Route, Shape},
};
use crate::{connections::Connection, endpoint::Endpoint};

/// The scope of claims to see who is connected.
const SCOPE: &str = "connections";

/// What connections can be filtered by.
const INDEXES: &[(&str, Native)] = &[
    ("RemoteAddr", Native::Text),
    ("Type", Native::Text),
    ("Principal", Native::Text),
    ("CreateTime", Native::Time),
    ("ExpiresAt", Native::Time),
];

pub(super) fn routes() -> Vec<Route> {
    let filters: Vec<_> = INDEXES
        .iter()
        .map(|(name, _)| (*name, Shape::Text, "Only connections of which this is so."))
        .collect();
    let mut all = vec![
        Route::get("/connections", "list_connections", list)
            .tells("Lists who is connected.")
            .query(&filters)
            .query(&[("unauthenticated", Shape::Flag, "Also those on which nobody proved himself.")])
            .answers(200, Body::json::<Vec<Connection>>())
            .refuses(&[404, 406]),
        Route::get("/connections/{key}", "get_connection", show)
            .tells("Returns a connection.")
            .answers(200, Body::json::<Connection>())
            .answers(304, Body::Nothing)
            .refuses(OF_ONE),
    ];
    all.extend([Machine::KIND, Cluster::KIND, ResourceBroker::KIND].map(|kind| {
        let (_, name) = kind.words();
        Route::get(
            format!("/{}/{{key}}/connections", kind.prefix),
            format!("list_{name}_connections"),
            of_object,
        )
        .tells(format!("Lists the connections of the agent of a {}.", kind.noun))
        .answers(200, Body::json::<Vec<Connection>>())
        .refuses(OF_ONE)
        .about(kind)
    }));
    all
}

/// Lists connections; those on which nobody proved himself only when `unauthenticated` says so.
async fn list(
    State(endpoint): State<Arc<Endpoint>>,
    Authenticated(caller): Authenticated,
    uri: axum::http::Uri,
) -> Handled {
    caller.require(SCOPE, "list", "")?;
    let query = Query::parse(uri.query().unwrap_or_default());
    let mut found = endpoint.connections.all();
    let with_unknown = query.is("unauthenticated") || query.value("Principal").is_some();
    found.retain(|connection| with_unknown || !connection.principal.is_empty());
    for (name, native) in INDEXES {
        for (_, text) in query.pairs().filter(|(own, _)| own == name) {
            let index = Index {
                subject: Subject::Member((*name).to_owned()),
                shape: IndexShape::One,
                native: Some(*native),
            };
            let condition = Filter::parse(name, text)
                .and_then(|filter| filter.on(index))
                .map_err(|error| ApiError::new(406, "GET", error.to_string()).about(SCOPE, ""))?;
            found.retain(|connection| condition.accepts(member(connection, name).as_ref()));
        }
    }
    answer::json(StatusCode::OK, &found)
}

fn member(connection: &Connection, name: &str) -> Option<Value> {
    serde_json::to_value(connection).ok()?.get(name).cloned()
}

async fn show(
    State(endpoint): State<Arc<Endpoint>>,
    Authenticated(caller): Authenticated,
    Path(address): Path<String>,
) -> Handled {
    caller.require(SCOPE, "get", &address)?;
    let found = endpoint.connections.all().into_iter().find(|connection| connection.remote_addr == address);
    answer::json(StatusCode::OK, &found.ok_or_else(|| ApiError::not_found("GET", SCOPE, &address))?)
}

/// Lists the connections of the agent of a machine.
async fn of_object(target: Target) -> Handled {
    let (object, _) = objects::readable(&target, &target.endpoint.snapshot())?;
    let principal = format!("runner:{}", object.key());
    let mut found = target.endpoint.connections.all();
    found.retain(|connection| connection.principal == principal);
    answer::json(StatusCode::OK, &found)
}
