//! Users: the server makes their secrets (drp-api.md 2.6).

use std::sync::Arc;

use formwork_api::ApiError;
use formwork_model::{Claim, Object, Objects, ObjectsExt, Record as _, Role, User};

use super::{Behaviour, pair};
use crate::{
    auth::Caller,
    commands::objects::Request,
    commit::{Stop, Work},
    random,
};

/// The role of who may do everything.
const SUPERUSER: &str = "superuser";

/// Refuses that the last user goes who may do everything: nobody could make another.
fn stays_open(work: &Work<'_>, user: &User, method: &str) -> Result<(), Stop> {
    let is_one = |user: &User| user.roles.iter().any(|role| role == SUPERUSER);
    let is_other = |other: &User| other.name != user.name && is_one(other);
    if !is_one(user) || work.tx.find_by::<User>(is_other).is_some() {
        return Ok(());
    }
    let message = format!(
        "{} is the last user with the role {SUPERUSER}\nhint: give it to another user first",
        user.name
    );
    Err(ApiError::new(409, method, message).about(User::KIND.prefix, &user.name).into())
}

/// How users behave.
pub(super) struct Users;

impl Behaviour for Users {
    fn complete(&self, _work: &mut Work<'_>, object: Box<dyn Object>) -> Result<Box<dyn Object>, Stop> {
        Ok(match object.as_any().downcast_ref::<User>() {
            Some(user) => Box::new(User { secret: random::secret(), ..user.clone() }),
            None => object,
        })
    }

    /// A secret that was not sent stays; a changed one becomes a new one.
    fn change(
        &self,
        work: &mut Work<'_>,
        _request: &Request,
        old: &Arc<dyn Object>,
        new: &dyn Object,
    ) -> Result<Arc<dyn Object>, Stop> {
        let Some((before, wanted)) = pair::<User>(old.as_ref(), new) else { return work.put(new.boxed()) };
        let mut user = wanted.clone();
        if user.secret.is_empty() {
            user.secret.clone_from(&before.secret);
        } else if user.secret != before.secret {
            user.secret = random::secret();
        }
        if !user.roles.contains(&String::from(SUPERUSER)) {
            stays_open(work, before, "PATCH")?;
        }
        work.put(Box::new(user))
    }

    fn may_delete(&self, work: &Work<'_>, _caller: &Caller, object: &dyn Object) -> Result<(), Stop> {
        object.as_any().downcast_ref::<User>().map_or(Ok(()), |user| stays_open(work, user, "DELETE"))
    }

    /// Roles that come to a user bring their claims, and a user who can be impersonated brings all of his.
    fn given(&self, objects: &dyn Objects, old: Option<&dyn Object>, new: &dyn Object) -> Vec<Claim> {
        let user = |object: &dyn Object| object.as_any().downcast_ref::<User>().cloned();
        let Some(new) = user(new) else { return Vec::new() };
        // Who sets the password of somebody can be him.
        let before = old.and_then(user).filter(|old| old.password_hash == new.password_hash);
        let before = before.map(|old| old.roles).unwrap_or_default();
        let given = new.roles.into_iter().filter(|role| !before.contains(role));
        given.filter_map(|role| objects.get::<Role>(&role)).flat_map(|role| role.claims.clone()).collect()
    }

    /// Whatever somebody proves himself with is told when it changes.
    fn audited(&self, old: &dyn Object, new: &dyn Object) -> Option<(&'static str, &'static str)> {
        let (old, new) = pair::<User>(old, new)?;
        if old.password_hash != new.password_hash {
            return Some(("password", "the record of the password was changed"));
        }
        (old.secret != new.secret).then_some(("secret", "the secret was changed; all tokens are revoked"))
    }
}
