//! What lists can be filtered and sorted by, for clients that want to know (drp-api.md 4.3).

use std::{collections::BTreeMap, sync::Arc};

use axum::{extract::State, http::StatusCode};
use formwork_api::{ApiError, Index, IndexInfo};
use formwork_model::{Kind, Objects, kinds_of};

use super::{
    answer::{self, Handled},
    is_generic, known_kind,
    request::{Authenticated, Path},
    route::{Body, OF_ONE, Route},
};
use crate::endpoint::Endpoint;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/indexes", "list_indexes", all)
            .tells("Tells what lists of all types can be filtered and sorted by.")
            .answers(200, Body::json::<BTreeMap<String, BTreeMap<String, IndexInfo>>>()),
        Route::get("/indexes/{prefix}", "get_index", of_type)
            .tells("Tells what lists of a type can be filtered and sorted by.")
            .answers(200, Body::json::<BTreeMap<String, IndexInfo>>())
            .refuses(OF_ONE),
        Route::get("/indexes/{prefix}/{*name}", "get_single_index", one)
            .tells("Tells what a member or parameter is when lists are filtered by it.")
            .answers(200, Body::json::<IndexInfo>())
            .refuses(OF_ONE),
    ]
}

/// Returns what lists of a type can be filtered and sorted by.
pub(super) fn indexes(kind: &'static Kind, objects: &dyn Objects) -> BTreeMap<String, IndexInfo> {
    let own = Index::all(kind).map(|(name, index)| (name.to_owned(), index));
    own.chain(Index::declared(kind, objects)).map(|(name, index)| (name, index.info(kind))).collect()
}

fn named(prefix: &str, objects: &impl Objects) -> Result<&'static Kind, ApiError> {
    known_kind(objects, prefix).ok_or_else(|| ApiError::not_found("GET", "indexes", prefix))
}

async fn all(State(endpoint): State<Arc<Endpoint>>, Authenticated(caller): Authenticated) -> Handled {
    caller.require("indexes", "list", "")?;
    let snapshot = endpoint.snapshot();
    let kinds = kinds_of(&snapshot).into_iter().filter(|kind| is_generic(kind));
    let all: BTreeMap<_, _> = kinds.map(|kind| (kind.prefix, indexes(kind, &snapshot))).collect();
    answer::json(StatusCode::OK, &all)
}

async fn of_type(
    State(endpoint): State<Arc<Endpoint>>,
    Authenticated(caller): Authenticated,
    Path(prefix): Path<String>,
) -> Handled {
    caller.require("indexes", "get", &prefix)?;
    let snapshot = endpoint.snapshot();
    answer::json(StatusCode::OK, &indexes(named(&prefix, &snapshot)?, &snapshot))
}

/// Answers a member or a declared parameter. What is neither has an index with nothing in it.
async fn one(
    State(endpoint): State<Arc<Endpoint>>,
    Authenticated(caller): Authenticated,
    Path((prefix, name)): Path<(String, String)>,
) -> Handled {
    caller.require("indexes", "get", &prefix)?;
    let snapshot = endpoint.snapshot();
    let kind = named(&prefix, &snapshot)?;
    let member = Index::all(kind).find(|(own, _)| *own == name).map(|(_, index)| index);
    let declared =
        || Index::declared(kind, &snapshot).into_iter().find(|(own, _)| *own == name).map(|(_, index)| index);
    let member = member.or_else(declared);
    let param = || {
        let param = name.strip_prefix("Params.").unwrap_or(&name);
        Index::of_param(param, &snapshot).filter(|_| kind.bears_params)
    };
    let index = member.or_else(param).map(|index| index.info(kind)).unwrap_or_default();
    answer::json(StatusCode::OK, &index)
}
