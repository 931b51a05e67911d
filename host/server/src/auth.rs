//! Users, machines and tokens: who calls, and what they may do (drp-api.md 2).

mod password;
mod token;

use axum::http::{HeaderMap, header::AUTHORIZATION};
use base64::{Engine, engine::general_purpose::STANDARD};
use formwork_api::ApiError;
use formwork_core::preferences;
use formwork_model::{Claim, Machine, ObjectsExt, Role, User};
use formwork_store::Snapshot;

pub(crate) use self::{
    password::hash_password,
    token::{Subject, TokenKey},
};
use crate::endpoint::Endpoint;

/// Seconds that a token lives that is to outlive everything: three years.
pub(crate) const FOREVER_SECONDS: u64 = 3 * 365 * 86_400;

/// What the agent of a known machine may do to its own machine and jobs (drp-api.md 2.3).
const OWN_MACHINE: &[(&str, &str)] =
    &[("machines", "get,update,updateSecure,getSecure,token"), ("jobs", "create,get,update,log,actions")];

/// What the agent of a known machine may read.
const READABLE: &[(&str, &str)] = &[
    ("stages", "list,get"),
    ("tasks", "list,get"),
    ("params", "list,get"),
    ("bootenvs", "list,get"),
    ("workflows", "list,get"),
    ("profiles", "list,get"),
    ("contents", "list,get"),
    ("events", "create"),
    ("info", "get"),
    ("machines", "whoami"),
    ("jobs", "list"),
];

/// What the agent of an unknown machine may do.
const UNKNOWN: &[(&str, &str)] = &[("machines", "create,get,whoami"), ("info", "get")];

/// Somebody who calls the API, and what they may do.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// As events name them: `user:NAME`, `runner:UUID`.
    pub(crate) principal: String,
    /// Who it is.
    pub(crate) subject: Subject,
    claims: Vec<Claim>,
}

impl Caller {
    /// An operator who may do everything, where there is nobody else, as in a simulation.
    pub(crate) fn operator() -> Self {
        let name = String::from("operator");
        Self {
            principal: format!("user:{name}"),
            subject: Subject::User(name),
            claims: vec![Claim::new("*", "*", "*")],
        }
    }

    /// Refuses a caller who may not do something to an object; an empty `key` means the type as a whole.
    pub(crate) fn require(&self, scope: &str, action: &str, key: &str) -> Result<(), ApiError> {
        if self.may(scope, action, key) {
            return Ok(());
        }
        tracing::info!(principal = %self.principal, scope, action, key, "denied");
        let message = format!(
            "{} lacks the claim {scope} {action} {}",
            self.principal,
            if key.is_empty() { "*" } else { key }
        );
        Err(ApiError::new(403, "AUTH", message).about(scope, key))
    }

    /// Tells whether a caller may do something.
    pub(crate) fn may(&self, scope: &str, action: &str, key: &str) -> bool {
        self.is_self_service(scope, action, key)
            || self.claims.iter().any(|claim| claim.allows(scope, action, key))
    }

    /// Tells whether the caller is a user, whom a locked machine refuses.
    pub(crate) fn is_user(&self) -> bool {
        matches!(self.subject, Subject::User(_))
    }

    /// Every user may read himself, change his password and fetch a token.
    fn is_self_service(&self, scope: &str, action: &str, key: &str) -> bool {
        let own = matches!(&self.subject, Subject::User(name) if name == key);
        (scope == "users" && own && matches!(action, "get" | "password" | "token"))
            || (scope == "info" && action == "get")
    }
}

/// Finds out who sends a request, from its headers or from the `token` member of its query.
pub(crate) async fn authenticate(
    endpoint: &Endpoint,
    headers: &HeaderMap,
    query_token: Option<&str>,
) -> Result<Caller, ApiError> {
    let header = headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap_or_default());
    let snapshot = endpoint.snapshot();
    match (header, query_token) {
        (Some(header), _) => match header.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
                by_token(endpoint, &snapshot, token.trim())
            }
            Some((scheme, basic)) if scheme.eq_ignore_ascii_case("basic") => {
                let decoded =
                    STANDARD.decode(basic.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
                let pair = decoded.as_deref().and_then(|text| text.split_once(':'));
                let (name, password) =
                    pair.ok_or_else(|| ApiError::new(400, "AUTH", "malformed Authorization header"))?;
                by_password(endpoint, &snapshot, name, password).await
            }
            _ => Err(ApiError::new(400, "AUTH", "malformed Authorization header")),
        },
        (None, Some(token)) => match token.split_once(':') {
            Some((name, password)) => by_password(endpoint, &snapshot, name, password).await,
            None => by_token(endpoint, &snapshot, token),
        },
        (None, None) => Err(ApiError::new(401, "AUTH", "no credentials")),
    }
}

async fn by_password(
    endpoint: &Endpoint,
    snapshot: &Snapshot,
    name: &str,
    password: &str,
) -> Result<Caller, ApiError> {
    let user = snapshot.get::<User>(name);
    let hash = user.as_ref().map(|user| user.password_hash.clone()).unwrap_or_default();
    let right = endpoint.key.password_matches(password.to_owned(), hash).await;
    match user {
        Some(user) if right => Ok(user_caller(snapshot, &user, Vec::new())),
        _ => {
            tracing::warn!(user = name, "wrong user or password");
            Err(ApiError::new(403, "AUTH", "wrong user or password"))
        }
    }
}

fn by_token(endpoint: &Endpoint, snapshot: &Snapshot, token: &str) -> Result<Caller, ApiError> {
    let refused = |why: &str| ApiError::new(403, "AUTH", format!("the token is {why}"));
    let opened = endpoint.key.open(token).ok_or_else(|| refused("not one of this endpoint"))?;
    if opened.expires_seconds <= endpoint.now().millis() / 1000 {
        return Err(refused("expired"));
    }
    if opened.stamp != stamp(endpoint, snapshot, &opened.subject).ok_or_else(|| refused("revoked"))? {
        return Err(refused("revoked"));
    }
    match &opened.subject {
        Subject::User(name) => {
            let user = snapshot.get::<User>(name).ok_or_else(|| refused("revoked"))?;
            Ok(user_caller(snapshot, &user, opened.claims))
        }
        Subject::Machine(uuid) => Ok(Caller {
            principal: format!("runner:{uuid}"),
            claims: machine_claims(uuid),
            subject: opened.subject,
        }),
        Subject::Unknown => Ok(Caller {
            principal: String::from("runner:unknown"),
            claims: UNKNOWN.iter().map(|(scope, action)| Claim::new(scope, action, "*")).collect(),
            subject: opened.subject,
        }),
    }
}

fn machine_claims(uuid: &str) -> Vec<Claim> {
    let own = OWN_MACHINE.iter().map(|(scope, action)| Claim::new(scope, action, uuid));
    let readable = READABLE.iter().map(|(scope, action)| Claim::new(scope, action, "*"));
    own.chain(readable).collect()
}

/// A user has the claims of his roles, or the ones that a token was narrowed to.
fn user_caller(snapshot: &Snapshot, user: &User, narrowed: Vec<Claim>) -> Caller {
    let of_roles = || {
        user.roles
            .iter()
            .filter_map(|role| snapshot.get::<Role>(role))
            .flat_map(|role| role.claims.clone())
            .collect()
    };
    Caller {
        principal: format!("user:{}", user.name),
        subject: Subject::User(user.name.clone()),
        claims: if narrowed.is_empty() { of_roles() } else { narrowed },
    }
}

/// Returns what a token of a subject is tied to: it stops working when any of the secrets changes.
fn stamp(endpoint: &Endpoint, snapshot: &Snapshot, subject: &Subject) -> Option<String> {
    let own = match subject {
        Subject::User(name) => snapshot.get::<User>(name)?.secret.clone(),
        Subject::Machine(uuid) => snapshot.get::<Machine>(uuid)?.secret.clone(),
        Subject::Unknown => String::new(),
    };
    let system = preferences::value(snapshot, "baseTokenSecret");
    let grantor = preferences::value(snapshot, "systemGrantorSecret");
    Some(endpoint.key.digest(&[&own, &system, &grantor]))
}

fn issue(
    endpoint: &Endpoint,
    snapshot: &Snapshot,
    subject: Subject,
    seconds: u64,
    claims: Vec<Claim>,
) -> String {
    let stamp = stamp(endpoint, snapshot, &subject).unwrap_or_default();
    let seconds = i64::try_from(seconds.min(FOREVER_SECONDS)).unwrap_or(0);
    endpoint.key.seal(&token::Token {
        subject,
        stamp,
        expires_seconds: endpoint.now().millis() / 1000 + seconds,
        claims,
    })
}

/// Returns a token for the agent of a machine that is not known yet.
pub(crate) fn unknown_token(endpoint: &Endpoint, snapshot: &Snapshot) -> String {
    let seconds = preferences::seconds(snapshot, "unknownTokenTimeout");
    issue(endpoint, snapshot, Subject::Unknown, seconds, Vec::new())
}

/// Returns a token for the agent of a machine; the preference says for how long unless the caller does.
pub(crate) fn machine_token(
    endpoint: &Endpoint,
    snapshot: &Snapshot,
    machine: &Machine,
    seconds: Option<u64>,
) -> String {
    let seconds = seconds.unwrap_or_else(|| preferences::seconds(snapshot, "knownTokenTimeout"));
    issue(endpoint, snapshot, Subject::Machine(machine.uuid.clone()), seconds, Vec::new())
}

/// Returns a token for a user, narrowed to claims when there are some.
pub(crate) fn user_token(
    endpoint: &Endpoint,
    snapshot: &Snapshot,
    user: &User,
    seconds: u64,
    claims: Vec<Claim>,
) -> String {
    issue(endpoint, snapshot, Subject::User(user.name.clone()), seconds, claims)
}
