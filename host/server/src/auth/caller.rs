//! Somebody who calls the API, and the one question that handlers ask: may he do all this?

use std::{borrow::Cow, collections::HashSet, sync::Arc};

use formwork_api::ApiError;
use formwork_model::Claim;

use super::{
    audit::Audited,
    denied,
    rights::{Rights, Wanted},
    token::Subject,
};
use crate::hub::Hub;

/// Somebody who calls the API, and what they may do.
#[derive(Clone)]
pub(crate) struct Caller {
    /// As events name them: `user:NAME`, `runner:UUID`.
    pub(crate) principal: String,
    /// Who it is.
    pub(crate) subject: Subject,
    /// What they may do.
    pub(crate) rights: Arc<Rights>,
    /// When the token ends that proves it, in seconds since 1970; nothing where a password does.
    pub(crate) expires_seconds: Option<i64>,
    /// Where denials are told; nowhere in a simulation.
    pub(super) hub: Option<Arc<Hub>>,
}

impl Caller {
    /// Makes a caller who has no token, or none yet.
    pub(super) fn new(
        principal: String,
        subject: Subject,
        rights: Arc<Rights>,
        hub: Option<Arc<Hub>>,
    ) -> Self {
        Self { principal, subject, rights, expires_seconds: None, hub }
    }

    /// An operator who may do everything, where there is nobody else, as in a simulation.
    pub(crate) fn operator() -> Self {
        let name = String::from("operator");
        Self {
            principal: format!("user:{name}"),
            subject: Subject::User(name),
            rights: Arc::new(Rights::of_claims(vec![Claim::new("*", "*", "*")])),
            expires_seconds: None,
            hub: None,
        }
    }

    /// Refuses a caller who may not do something to an object; an empty `key` means the type as a whole.
    pub(crate) fn require(&self, scope: &str, action: &str, key: &str) -> Result<(), ApiError> {
        self.permit(&[Wanted { scope, action: Cow::Borrowed(action), specific: key }])
    }

    /// Tells whether a caller may do something.
    pub(crate) fn may(&self, scope: &str, action: &str, key: &str) -> bool {
        self.holds(&[Wanted { scope, action: Cow::Borrowed(action), specific: key }])
    }

    /// Refuses a caller of whose roles no single one allows everything that is wanted. The refusal says what is missing,
    /// and auditors are told.
    pub(crate) fn permit(&self, wanted: &[Wanted<'_>]) -> Result<(), ApiError> {
        match self.holds(wanted) {
            true => Ok(()),
            false => Err(self.deny(wanted)),
        }
    }

    /// Returns the refusal of a caller who lacks what is wanted, and tells auditors.
    pub(crate) fn deny(&self, wanted: &[Wanted<'_>]) -> ApiError {
        let (scope, key) = wanted.first().map_or(("", ""), |first| (first.scope, first.specific));
        let words = denied::words(&self.principal, &self.rights, wanted);
        if let Some(hub) = &self.hub {
            let key = if key.is_empty() { "*" } else { key };
            Audited { what: "denied", scope, key, principal: &self.principal, words: &words }.tell(hub);
        }
        ApiError::new(403, "AUTH", words).about(scope, key)
    }

    /// Tells auditors that the caller did something.
    pub(crate) fn audit(&self, what: &str, (scope, key): (&str, &str), words: &str) {
        if let Some(hub) = &self.hub {
            Audited { what, scope, key, principal: &self.principal, words }.tell(hub);
        }
    }

    /// Tells whether the tenant of the caller leaves an object visible. What is not visible is not there: this comes before
    /// all claims (drp-api.md 2.5).
    pub(crate) fn sees(&self, prefix: &str, key: &str) -> bool {
        self.rights.see(prefix, key) || prefix == "users" && self.is(key)
    }

    /// Returns the keys of the objects of a type that the tenant of the caller leaves visible; nothing when all are.
    pub(crate) fn visible(&self, prefix: &str) -> Option<&HashSet<String>> {
        self.rights.restriction(prefix).map(|(_, keys)| keys)
    }

    /// Tells whether the caller may change anything at a place in an object or inside of it, or all that is around it: who
    /// may not is refused before anything is tried. An empty `path` is the whole object, an empty `key` any object.
    pub(crate) fn touches(&self, scope: &str, path: &str, key: &str) -> bool {
        let grants = &self.rights.grants;
        grants.iter().any(|grant| grant.claims().iter().any(|claim| claim.touches(scope, path, key)))
    }

    /// Tells whether the caller is a user, whom a locked machine refuses.
    pub(crate) fn is_user(&self) -> bool {
        matches!(self.subject, Subject::User(_))
    }

    /// Returns the name of the user who calls.
    pub(crate) fn user(&self) -> Option<&str> {
        match &self.subject {
            Subject::User(name) => Some(name),
            _ => None,
        }
    }

    /// Tells whether the caller is a user of a name.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.user() == Some(name)
    }

    fn holds(&self, wanted: &[Wanted<'_>]) -> bool {
        if !wanted.iter().any(|wanted| self.is_self_service(wanted)) {
            return self.rights.allow(wanted);
        }
        let rest: Vec<_> = wanted.iter().filter(|wanted| !self.is_self_service(wanted)).cloned().collect();
        self.rights.allow(&rest)
    }

    /// Every user may read himself, change his password and fetch a token (drp-api.md 2.4). Who only has a narrowed token
    /// may not change the password: with it he could have all the rights that the token was to keep from him.
    fn is_self_service(&self, wanted: &Wanted<'_>) -> bool {
        let own = || self.is(wanted.specific);
        match (wanted.scope, &*wanted.action) {
            ("info", "get") => true,
            ("users", "get" | "token") => own(),
            ("users", "password") => own() && self.rights.limits.is_none(),
            _ => false,
        }
    }
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Caller").field("principal", &self.principal).finish_non_exhaustive()
    }
}
