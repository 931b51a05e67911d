//! Users: secrets and passwords (drp-api.md 2.6).

use std::sync::Arc;

use formwork_api::ApiError;
use formwork_model::{Object, ObjectsExt, User};

use crate::{
    auth::{Caller, hash_password},
    commit::commit,
    endpoint::Endpoint,
    random,
};

/// Gives a new user his secret.
pub(crate) fn complete(object: Box<dyn Object>) -> Box<dyn Object> {
    match object.as_any().downcast_ref::<User>() {
        Some(user) => Box::new(User { secret: random::secret(), ..user.clone() }),
        None => object,
    }
}

/// Decides what a change of a user stores: a hash that was not sent stays, a changed secret becomes a new one.
pub(crate) fn change(old: &Arc<dyn Object>, new: Box<dyn Object>) -> Box<dyn Object> {
    let pair = (old.as_any().downcast_ref::<User>(), new.as_any().downcast_ref::<User>());
    let (Some(before), Some(wanted)) = pair else { return new };
    let mut user = wanted.clone();
    if user.password_hash.is_empty() {
        user.password_hash.clone_from(&before.password_hash);
    }
    if user.secret.is_empty() {
        user.secret.clone_from(&before.secret);
    } else if user.secret != before.secret {
        user.secret = random::secret();
    }
    Box::new(user)
}

/// Sets a password; all tokens of the user are revoked.
pub(crate) async fn set_password(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    name: String,
    password: String,
) -> Result<Arc<dyn Object>, ApiError> {
    caller.require("users", "password", &name)?;
    let (hash, secret) = match tokio::task::spawn_blocking(move || hash_password(&password)).await {
        Ok(hash) if !hash.is_empty() => (hash, random::secret()),
        _ => return Err(ApiError::new(500, "INTERNAL", "failed to hash the password")),
    };
    commit(endpoint, &caller.principal, move |work| {
        let user = work.tx.get::<User>(&name).ok_or_else(|| ApiError::not_found("PUT", "users", &name))?;
        work.put(Box::new(User {
            password_hash: hash.clone(),
            secret: secret.clone(),
            ..user.as_ref().clone()
        }))
    })
    .await
}
