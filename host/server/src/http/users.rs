//! The routes of users beyond the standard ones (drp-api.md 7.15).

use std::sync::Arc;

use axum::{
    Extension, Router,
    http::StatusCode,
    routing::{get, put},
};
use formwork_api::{ApiError, UserPassword, UserToken};
use formwork_model::{Claim, ObjectsExt, Record, Role, User};
use formwork_store::Snapshot;

use super::{
    answer::{self, Handled},
    objects,
    request::{Json, Query, Target},
    system,
};
use crate::{auth, commands::users, endpoint::Endpoint};

/// Seconds that a token lives when nobody says for how long.
const DEFAULT_LIFETIME: u64 = 3600;

pub(super) fn routes() -> Router<Arc<Endpoint>> {
    Router::new()
        .route("/users/{name}/token", get(token))
        .route("/users/{name}/password", put(password))
        .layer(Extension(User::KIND))
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

async fn token(target: Target) -> Handled {
    let (endpoint, name) = (&target.endpoint, &target.id);
    let snapshot = endpoint.snapshot();
    target.require("token", name)?;
    let user = snapshot.get::<User>(name).ok_or_else(|| ApiError::not_found("GET", "users", name))?;
    let seconds = lifetime(&target.query)?.unwrap_or(DEFAULT_LIFETIME);
    let claims = narrowed(&target, &snapshot, &user);
    let token = auth::user_token(endpoint, &snapshot, &user, seconds, claims);
    answer::json(StatusCode::OK, &UserToken { token, info: system::describe(endpoint) })
}

/// Returns the claims that a query narrows a token to; none leaves it as wide as its user.
fn narrowed(target: &Target, snapshot: &Snapshot, user: &User) -> Vec<Claim> {
    let part = |name| target.query.value(name).filter(|part| !part.is_empty());
    let mut claims = Vec::new();
    if let Some(roles) = part("roles") {
        // A role that the user does not have would widen his rights: it is dropped.
        let own = roles.split(',').map(str::trim).filter(|role| user.roles.iter().any(|own| own == role));
        claims.extend(own.filter_map(|role| snapshot.get::<Role>(role)).flat_map(|role| role.claims.clone()));
        claims.push(Claim::default());
    }
    if let Some(scope) = part("scope") {
        let claim = Claim::new(scope, part("action").unwrap_or("*"), part("specific").unwrap_or("*"));
        let may = |scope: &str, action: &str| target.caller.may(scope.trim(), action.trim(), &claim.specific);
        let held =
            claim.scope.split(',').all(|scope| claim.action.split(',').all(|action| may(scope, action)));
        claims.push(if held { claim } else { Claim::default() });
    }
    claims
}

async fn password(target: Target, body: Json) -> Handled {
    let new: UserPassword = body.read("users", &target.id)?;
    if new.password.is_empty() {
        let message = String::from("the password is empty");
        return Err(ApiError::invalid("users", &target.id, vec![message]).into());
    }
    let name = target.id.clone();
    let user = users::set_password(&target.endpoint, &target.caller, name, new.password).await?;
    objects::written(&target, StatusCode::OK, &user)
}
