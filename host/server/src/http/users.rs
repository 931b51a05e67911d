//! The routes of users beyond the standard ones (drp-api.md 7.15).

use std::{borrow::Cow, time::Duration};

use axum::http::StatusCode;
use formwork_api::{ApiError, UserPassword, UserToken};
use formwork_model::{Claim, ObjectsExt, Record, User, parse_duration};

use super::{
    answer::{self, Handled},
    objects,
    request::{Json, Query, Target},
    route::{Body, Route, Shape},
    system,
};
use crate::{
    auth::{self, Limits, NewToken, Subject, Wanted},
    commands::users,
};

/// Seconds that a token lives when nobody says for how long.
const DEFAULT_LIFETIME: u64 = 3600;

/// The longest claim that a token carries, in bytes: the token still fits into a header.
const MAX_CLAIM_BYTES: usize = 4096;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/users/{key}/token", "get_user_token", token)
            .tells("Makes a token of a user.")
            .query(&[
                ("ttl", Shape::Text, "How long it lives: seconds, or a number with a unit."),
                ("name", Shape::Text, "The user, for clients that cannot fill in the path."),
                ("roles", Shape::Text, "Only these roles, with commas between."),
                ("scope", Shape::Text, "The scope of the one claim that it has."),
                ("action", Shape::Text, "The action of that claim."),
                ("specific", Shape::Text, "The objects of that claim."),
            ])
            .answers(200, Body::json::<UserToken>())
            .refuses(&[400, 404])
            .about(User::KIND),
        Route::put("/users/{key}/password", "put_user_password", password)
            .tells("Sets the password of a user.")
            .takes(Body::json::<UserPassword>())
            .answers(200, Body::Object(User::KIND))
            .refuses(&[400, 404])
            .about(User::KIND),
    ]
}

/// Reads the `ttl` member of a query: seconds, or a number with a unit (drp-api.md 3.5).
pub(super) fn lifetime(query: &Query) -> Result<Option<u64>, ApiError> {
    let Some(text) = query.value("ttl").filter(|text| !text.is_empty()) else { return Ok(None) };
    let bad = || ApiError::new(400, "GET", format!("`{text}` is not a duration; as 600, 10m or 3y"));
    let lifetime = parse_duration(text, Duration::from_secs(1)).ok_or_else(bad)?;
    Ok(Some(lifetime.as_secs().min(auth::FOREVER_SECONDS)))
}

async fn token(target: Target) -> Handled {
    let endpoint = &target.endpoint;
    let name = named(&target);
    let missing = || ApiError::not_found("GET", "users", name);
    if !target.caller.sees("users", name) {
        return Err(missing().into());
    }
    target.require("token", name)?;
    let snapshot = endpoint.snapshot();
    let user = snapshot.get::<User>(name).ok_or_else(missing)?;
    let seconds = lifetime(&target.query)?.unwrap_or(DEFAULT_LIFETIME);
    let limits = limits(&target, &user)?;
    let words = if limits.is_some() { "a narrowed token was made" } else { "a token was made" };
    let (subject, grantor) = (Subject::User(user.name.clone()), target.caller.user());
    let token = auth::issue(endpoint, &snapshot, NewToken { subject, grantor, seconds, limits });
    target.caller.audit("token", ("users", name), words);
    answer::json(StatusCode::OK, &UserToken { token, info: system::describe(endpoint) })
}

/// Returns the name of the user whom a request is about. One client cannot write it in the path: it sends the placeholder,
/// and the name in the query if it is not its own (drp-api.md 17.2).
fn named(target: &Target) -> &str {
    match target.id.as_str() {
        "{name}" => {
            target.query.value("name").filter(|name| !name.is_empty()).or(target.caller.user()).unwrap_or("")
        }
        id => by_index(id),
    }
}

/// Returns the name in `Name:NAME` or `Key:NAME` (drp-api.md 3.3).
fn by_index(id: &str) -> &str {
    id.strip_prefix("Name:").or(id.strip_prefix("Key:")).unwrap_or(id)
}

/// Returns what a query narrows a token to; nothing leaves it as wide as its user.
///
/// What would widen it is dropped. A caller who has a narrowed token himself, and is let in only because it is about himself,
/// gets one that is no wider.
fn limits(target: &Target, user: &User) -> Result<Option<Limits>, ApiError> {
    let part = |name| target.query.value(name).filter(|part| !part.is_empty());
    let rights = &target.caller.rights;
    let token = Wanted { scope: "users", action: Cow::Borrowed("token"), specific: &user.name };
    let own = rights.limits.as_ref().filter(|_| !rights.allow(&[token]));
    let claim = part("scope")
        .map(|scope| Claim::new(scope, part("action").unwrap_or("*"), part("specific").unwrap_or("*")));
    let roles = part("roles").map(|roles| {
        let passed = |role: &&str| {
            let has = |roles: &[String]| roles.iter().any(|own| own == role);
            has(&user.roles) && own.is_none_or(|own| has(&own.roles))
        };
        roles.split(',').map(str::trim).filter(passed).map(str::to_owned).collect()
    });
    if claim.is_none() && roles.is_none() {
        return Ok(own.cloned());
    }
    if claim
        .as_ref()
        .is_some_and(|claim| claim.action.len() + claim.scope.len() + claim.specific.len() > MAX_CLAIM_BYTES)
    {
        let message = format!("the claim has more than {MAX_CLAIM_BYTES} bytes");
        return Err(ApiError::new(400, "GET", message).about("users", &user.name));
    }
    let held = |claim: &Claim| own.is_none() || rights.contain(std::slice::from_ref(claim));
    let claims = claim.into_iter().filter(held).collect();
    Ok(Some(Limits { roles: roles.unwrap_or_default(), claims }))
}

async fn password(target: Target, body: Json) -> Handled {
    // Not the placeholder of a client that cannot write the name: nobody changes a password by mistake.
    let name = by_index(&target.id).to_owned();
    if !target.caller.sees("users", &name) {
        return Err(target.not_found().into());
    }
    let new: UserPassword = body.read_without_nulls("users", &name)?;
    if new.password.is_empty() {
        let message = String::from("the password is empty");
        return Err(ApiError::invalid("users", &name, vec![message]).into());
    }
    let user = users::set_password(&target.endpoint, &target.caller, name, new.password).await?;
    objects::written(StatusCode::OK, &user)
}
