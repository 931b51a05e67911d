//! Roles: whoever writes one gives the rights in it to all who have it.

use formwork_model::{Claim, Object, Objects, Role};

use super::Behaviour;

/// How roles behave.
pub(super) struct Roles;

impl Behaviour for Roles {
    fn given(&self, _objects: &dyn Objects, old: Option<&dyn Object>, new: &dyn Object) -> Vec<Claim> {
        let claims = |role: &dyn Object| role.as_any().downcast_ref::<Role>().map(|role| role.claims.clone());
        let before = old.and_then(claims).unwrap_or_default();
        let mut given = claims(new).unwrap_or_default();
        given.retain(|claim| !before.contains(claim));
        given
    }
}
