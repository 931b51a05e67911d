//! Users: the server makes their secrets (drp-api.md 2.6).

use std::sync::Arc;

use formwork_model::{Claim, Object, Objects, ObjectsExt, Role, User};

use super::{Behaviour, pair};
use crate::{
    commands::objects::Request,
    commit::{Stop, Work},
    random,
};

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
        work.put(Box::new(user))
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
