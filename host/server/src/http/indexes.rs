//! What lists can be filtered and sorted by, for clients that want to know (drp-api.md 4.3).

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use formwork_api::{ApiError, Index, IndexInfo};
use formwork_model::{KINDS, Kind, kind_of};

use super::{
    answer::{self, Handled},
    is_generic,
    request::Authenticated,
};
use crate::endpoint::Endpoint;

pub(super) fn routes() -> Router<Arc<Endpoint>> {
    Router::new()
        .route("/indexes", get(all))
        .route("/indexes/{type}", get(of_type))
        .route("/indexes/{type}/{*name}", get(one))
}

fn indexes(kind: &'static Kind) -> BTreeMap<&'static str, IndexInfo> {
    Index::all(kind).map(|(name, index)| (name, index.info(kind))).collect()
}

fn named(prefix: &str) -> Result<&'static Kind, ApiError> {
    let kind = kind_of(prefix).filter(|kind| is_generic(kind));
    kind.ok_or_else(|| ApiError::not_found("GET", "indexes", prefix))
}

async fn all(Authenticated(caller): Authenticated) -> Handled {
    caller.require("indexes", "list", "")?;
    let kinds = KINDS.iter().filter(|kind| is_generic(kind));
    let all: BTreeMap<_, _> = kinds.map(|kind| (kind.prefix, indexes(kind))).collect();
    answer::json(StatusCode::OK, &all)
}

async fn of_type(Authenticated(caller): Authenticated, Path(prefix): Path<String>) -> Handled {
    caller.require("indexes", "get", &prefix)?;
    answer::json(StatusCode::OK, &indexes(named(&prefix)?))
}

/// Answers a member or a declared parameter. What is neither has an index with nothing in it.
async fn one(
    State(endpoint): State<Arc<Endpoint>>,
    Authenticated(caller): Authenticated,
    Path((prefix, name)): Path<(String, String)>,
) -> Handled {
    caller.require("indexes", "get", &prefix)?;
    let kind = named(&prefix)?;
    let member = Index::all(kind).find(|(own, _)| *own == name).map(|(_, index)| index);
    let param = || {
        let param = name.strip_prefix("Params.").unwrap_or(&name);
        Index::of_param(param, &endpoint.snapshot()).filter(|_| kind.bears_params)
    };
    let index = member.or_else(param).map(|index| index.info(kind)).unwrap_or_default();
    answer::json(StatusCode::OK, &index)
}
