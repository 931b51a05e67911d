//! What somebody may do: grants, each of which stands alone, and the objects that a tenant leaves visible (drp-api.md 2.4,
//! 2.5).

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    sync::Arc,
};

use formwork_model::{Claim, Objects, ObjectsExt, Record, Role, Tenant, User, contains_claims};
use serde::{Deserialize, Serialize};

/// Something that somebody wants to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted<'a> {
    /// The type of objects, or another scope.
    pub(crate) scope: &'a str,
    /// What is to be done.
    pub(crate) action: Cow<'a, str>,
    /// The key of the object; empty when it is about the type as a whole.
    pub(crate) specific: &'a str,
}

/// Claims that together can satisfy a request: those of one role, or those of a token. Grants are never mixed.
#[derive(Clone, Debug)]
pub(crate) enum Grant {
    /// A role.
    Role(Arc<Role>),
    /// The claims that a token carries itself.
    Token(Vec<Claim>),
}

impl Grant {
    /// Returns the claims.
    pub(crate) fn claims(&self) -> &[Claim] {
        match self {
            Self::Role(role) => &role.claims,
            Self::Token(claims) => claims,
        }
    }

    /// Tells whether one of the claims allows something.
    pub(crate) fn allows(&self, wanted: &Wanted<'_>) -> bool {
        self.claims().iter().any(|claim| claim.allows(wanted.scope, &wanted.action, wanted.specific))
    }

    /// Returns how the grant is called in sentences.
    pub(crate) fn name(&self) -> Cow<'_, str> {
        match self {
            Self::Role(role) => Cow::Owned(format!("role `{}`", role.name)),
            Self::Token(_) => Cow::Borrowed("the token"),
        }
    }
}

/// What a token of a user is narrowed to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Limits {
    /// Roles by name: they are looked up when the token is used.
    pub(crate) roles: Vec<String>,
    /// Claims that one of the user's roles must still contain when the token is used.
    pub(crate) claims: Vec<Claim>,
}

/// All that somebody may do.
#[derive(Debug, Default)]
pub(crate) struct Rights {
    /// The grants.
    pub(crate) grants: Vec<Grant>,
    /// What narrows them, if they are those of a narrowed token.
    pub(crate) limits: Option<Limits>,
    pub(super) tenancy: Option<Tenancy>,
}

/// The tenant of a user, with the keys as sets.
#[derive(Debug)]
pub(super) struct Tenancy {
    name: String,
    visible: HashMap<String, HashSet<String>>,
}

impl Rights {
    /// Returns rights of which each claim holds, with nothing else around.
    pub(crate) fn of_claims(claims: Vec<Claim>) -> Self {
        Self { grants: vec![Grant::Token(claims)], ..Self::default() }
    }

    /// Leaves of each of some types only the objects with given keys visible, as a tenant does.
    #[cfg(test)]
    pub(crate) fn within(mut self, tenant: &Tenant) -> Self {
        self.tenancy = Some(Tenancy::of(tenant));
        self
    }

    /// Returns what a user may do now, narrowed if there are limits.
    pub(crate) fn of_user(objects: &(impl Objects + ?Sized), user: &User, limits: Option<&Limits>) -> Self {
        let roles = || user.roles.iter().filter_map(|role| objects.get::<Role>(role));
        let grants = match limits {
            None => roles().map(Grant::Role).collect(),
            Some(limits) => {
                let own = roles().filter(|role| limits.roles.contains(&role.name)).map(Grant::Role);
                let held = |claim: &&Claim| {
                    roles().any(|role| contains_claims(&role.claims, std::slice::from_ref(*claim)))
                };
                let direct: Vec<Claim> = limits.claims.iter().filter(held).cloned().collect();
                own.chain((!direct.is_empty()).then_some(Grant::Token(direct))).collect()
            }
        };
        let tenancy = tenant_of(objects, &user.name).map(|tenant| Tenancy::of(&tenant));
        Self { grants, limits: limits.cloned(), tenancy }
    }

    /// Tells whether one grant allows everything that is wanted. Nothing wanted is allowed to everybody.
    pub(crate) fn allow(&self, wanted: &[Wanted<'_>]) -> bool {
        wanted.is_empty() || self.grants.iter().any(|grant| wanted.iter().all(|wanted| grant.allows(wanted)))
    }

    /// Tells whether one grant contains a list of claims.
    pub(crate) fn contain(&self, claims: &[Claim]) -> bool {
        self.grants.iter().any(|grant| contains_claims(grant.claims(), claims))
    }

    /// Tells whether the tenant leaves an object visible; without a tenant everything is.
    pub(crate) fn see(&self, prefix: &str, key: &str) -> bool {
        let visible = self.tenancy.as_ref().and_then(|tenancy| tenancy.visible.get(prefix));
        visible.is_none_or(|keys| keys.contains(key))
    }

    /// Returns the tenant that decides which objects of a type are visible, and their keys; nothing when all are.
    pub(crate) fn restriction(&self, prefix: &str) -> Option<(&str, &HashSet<String>)> {
        let tenancy = self.tenancy.as_ref()?;
        tenancy.visible.get(prefix).map(|keys| (tenancy.name.as_str(), keys))
    }
}

impl Tenancy {
    fn of(tenant: &Tenant) -> Self {
        let set = |(prefix, keys): (&String, &Vec<String>)| (prefix.clone(), keys.iter().cloned().collect());
        Self { name: tenant.name.clone(), visible: tenant.members.iter().map(set).collect() }
    }
}

/// Returns the tenant of a user; should there be several, the first by name.
pub(crate) fn tenant_of(objects: &(impl Objects + ?Sized), user: &str) -> Option<Arc<Tenant>> {
    let mut found = None;
    objects.users_of(User::KIND.prefix, user, &mut |object| {
        found = Arc::clone(object).into_any().downcast::<Tenant>().ok();
        found.is_none()
    });
    found
}
