//! Who may do something: `GET /whocan?scope=&action=&specific=`.
//!
//! It answers which roles allow it and which users have one of them. Tokens are not listed: nobody knows which there are.

use std::{borrow::Cow, sync::Arc};

use axum::{
    extract::{RawQuery, State},
    http::StatusCode,
};
use formwork_api::ApiError;
use formwork_model::{ObjectsExt, Role, User};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    answer::{self, Handled},
    request::{Authenticated, Query},
    route::{Body, Route, Shape},
};
use crate::{
    auth::{Rights, Wanted},
    endpoint::Endpoint,
};

/// Who may do something.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Whocan {
    /// The type of objects that was asked about, or another scope.
    scope: String,
    /// What is to be done.
    action: String,
    /// The key of the object; empty for the type as a whole, `*` for all objects.
    specific: String,
    /// The roles that allow it.
    roles: Vec<String>,
    /// The users who have one of these roles, and whose tenant leaves the object visible.
    users: Vec<String>,
}

pub(super) fn routes() -> Vec<Route> {
    let whocan = Route::get("/whocan", "whocan", whocan)
        .tells("Tells which roles and users may do something.")
        .query(&[
            ("scope", Shape::Text, "The type of objects, or another scope."),
            ("action", Shape::Text, "What is to be done, as `get` or `update:/Params/x`."),
            (
                "specific",
                Shape::Text,
                "The key of the object; `*` for all of them, nothing for the type as a whole.",
            ),
        ])
        .answers(200, Body::json::<Whocan>())
        .refuses(&[400]);
    vec![whocan]
}

async fn whocan(
    State(endpoint): State<Arc<Endpoint>>,
    Authenticated(caller): Authenticated,
    RawQuery(query): RawQuery,
) -> Handled {
    caller.require("roles", "list", "")?;
    caller.require("users", "list", "")?;
    let query = Query::parse(&query.unwrap_or_default());
    let part = |name| query.value(name).unwrap_or_default();
    let (scope, action, specific) = (part("scope"), part("action"), part("specific"));
    if scope.is_empty() || action.is_empty() {
        let message = "scope and action must be given\nhint: as in ?scope=machines&action=update:/Locked";
        return Err(ApiError::new(400, "GET", message).about("whocan", "").into());
    }
    let snapshot = endpoint.snapshot();
    let wanted = [Wanted { scope, action: Cow::Borrowed(action), specific }];
    let mut roles = snapshot.list::<Role>();
    roles.retain(|role| caller.sees("roles", &role.name));
    roles.retain(|role| role.claims.iter().any(|claim| claim.allows(scope, action, specific)));
    let mut users = Vec::new();
    for user in snapshot.list::<User>() {
        let rights = Rights::of_user(&snapshot, &user, None);
        let sees = specific.is_empty() || specific == "*" || rights.see(scope, specific);
        if caller.sees("users", &user.name) && sees && rights.allow(&wanted) {
            users.push(user.name.clone());
        }
    }
    let answer = Whocan {
        scope: scope.to_owned(),
        action: action.to_owned(),
        specific: specific.to_owned(),
        roles: roles.iter().map(|role| role.name.clone()).collect(),
        users,
    };
    answer::json(StatusCode::OK, &answer)
}
