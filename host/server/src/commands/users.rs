//! Users: passwords (drp-api.md 2.6).

use std::sync::Arc;

use formwork_api::ApiError;
use formwork_model::{Object, ObjectsExt, User};
use formwork_store::Committed;

use crate::{auth::Caller, commit::commit_object, endpoint::Endpoint, random};

/// Sets a password; all tokens of the user are revoked.
pub(crate) async fn set_password(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    name: String,
    password: String,
) -> Result<Committed<Arc<dyn Object>>, ApiError> {
    caller.require("users", "password", &name)?;
    let busy = || ApiError::new(503, "PUT", "too many logins at once\nhint: try again").about("users", &name);
    let hash = endpoint.desk.logins.hash(password).await.ok_or_else(busy)?;
    let (secret, key) = (random::secret(), name.clone());
    let written = commit_object(endpoint, &caller.principal, move |work| {
        let user = work.tx.get::<User>(&name).ok_or_else(|| ApiError::not_found("PUT", "users", &name))?;
        if user.header.read_only {
            let message = format!("readonly: {name}\nhint: the user comes out of {}", user.header.bundle);
            return Err(ApiError::new(409, "PUT", message).about("users", &name).into());
        }
        work.put(Box::new(User {
            password_hash: hash.clone(),
            secret: secret.clone(),
            ..user.as_ref().clone()
        }))
    })
    .await?;
    caller.audit("password", ("users", &key), "the password was changed");
    Ok(written)
}
