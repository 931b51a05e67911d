//! The routes of users beyond the standard ones (drp-api.md 7.15).

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{Response, StatusCode},
    routing::{get, put},
};
use formwork_api::{ApiError, UserPassword, UserToken};
use formwork_model::{Claim, ObjectsExt, Role, User};

use super::{
    answer, objects,
    request::{Authenticated, Json, Query},
    system,
};
use crate::{auth, commands::users, endpoint::Endpoint};

/// Seconds that a token lives when nobody says for how long.
const DEFAULT_LIFETIME: u64 = 3600;

pub(super) fn routes() -> Router<Arc<Endpoint>> {
    Router::new().route("/users/{name}/token", get(token)).route("/users/{name}/password", put(password))
}

/// Reads the `ttl` member of a query: seconds, or a number with a unit (drp-api.md 3.5).
pub(super) fn lifetime(query: &Query) -> Result<Option<u64>, ApiError> {
    let Some(text) = query.value("ttl").filter(|text| !text.is_empty()) else { return Ok(None) };
    let bad = || ApiError::new(400, "GET", format!("`{text}` is not a duration; as 600, 10m or 3y"));
    if text == "never" {
        return Ok(Some(auth::FOREVER_SECONDS));
    }
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(split).ok_or_else(bad)?;
    let number: f64 = number.parse().map_err(|_| bad())?;
    let seconds = match unit.trim() {
        "" | "s" => 1.0,
        "ns" => 1e-9,
        "us" => 1e-6,
        "ms" => 1e-3,
        unit if unit.starts_with("mo") => 30.0 * 86_400.0,
        unit if unit.starts_with('m') => 60.0,
        unit if unit.starts_with('h') => 3600.0,
        unit if unit.starts_with('d') => 86_400.0,
        unit if unit.starts_with('w') => 7.0 * 86_400.0,
        unit if unit.starts_with('y') => 365.0 * 86_400.0,
        unit if unit.starts_with('s') => 1.0,
        _ => return Err(bad()),
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a bounded, positive number")]
    Ok(Some((number * seconds).clamp(0.0, auth::FOREVER_SECONDS as f64) as u64))
}

async fn token(
    State(endpoint): State<Arc<Endpoint>>,
    Path(name): Path<String>,
    Authenticated(caller): Authenticated,
    query: Query,
) -> Response<Body> {
    let snapshot = endpoint.snapshot();
    let made = (|| {
        caller.require("users", "token", &name)?;
        let user = snapshot.get::<User>(&name).ok_or_else(|| ApiError::not_found("GET", "users", &name))?;
        let seconds = lifetime(&query)?.unwrap_or(DEFAULT_LIFETIME);
        let mut claims = Vec::new();
        if let Some(roles) = query.value("roles").filter(|roles| !roles.is_empty()) {
            // A role that the user does not have would widen his rights: it is dropped.
            let own = roles.split(',').map(str::trim).filter(|role| user.roles.iter().any(|own| own == role));
            claims.extend(
                own.filter_map(|role| snapshot.get::<Role>(role)).flat_map(|role| role.claims.clone()),
            );
            claims.push(Claim::default());
        }
        if let Some(scope) = query.value("scope").filter(|scope| !scope.is_empty()) {
            let part = |name| query.value(name).filter(|part| !part.is_empty()).unwrap_or("*");
            let claim = Claim::new(scope, part("action"), part("specific"));
            let scopes = claim.scope.split(',').all(|scope| {
                claim.action.split(',').all(|action| caller.may(scope.trim(), action.trim(), &claim.specific))
            });
            claims.push(if scopes { claim } else { Claim::default() });
        }
        Ok(UserToken {
            token: auth::user_token(&endpoint, &snapshot, &user, seconds, claims),
            info: system::describe(&endpoint),
        })
    })();
    match made {
        Ok(token) => answer::json(StatusCode::OK, &token),
        Err(error) => answer::error(&error),
    }
}

async fn password(
    State(endpoint): State<Arc<Endpoint>>,
    Path(name): Path<String>,
    Authenticated(caller): Authenticated,
    Json(body): Json,
) -> Response<Body> {
    let outcome = match serde_json::from_value::<UserPassword>(body) {
        Ok(new) if !new.password.is_empty() => {
            users::set_password(&endpoint, &caller, name, new.password).await
        }
        Ok(_) => Err(ApiError::invalid("users", &name, vec![String::from("the password is empty")])),
        Err(error) => Err(ApiError::new(400, "PUT", error.to_string()).about("users", &name)),
    };
    objects::answered(&endpoint, StatusCode::OK, outcome)
}
