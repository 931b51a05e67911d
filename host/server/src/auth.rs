//! Users, machines and tokens: who calls, and what they may do (drp-api.md 2).

mod audit;
mod caller;
mod denied;
mod known;
mod limit;
mod login;
mod password;
mod rights;
mod signed;
mod token;
mod writes;

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use axum::http::{HeaderMap, header::AUTHORIZATION};
use base64::{Engine, engine::general_purpose::STANDARD};
use formwork_api::ApiError;
use formwork_core::preferences;
use formwork_model::{Claim, Job, Machine, ObjectsExt, Preference, Record, Task, User};
use formwork_store::Snapshot;

#[cfg(test)]
pub(crate) use self::writes::tell as tell_written;
use self::{
    audit::Audited,
    known::{Known, Proof, RestsOn},
    login::{Attempt, Verdict},
};
pub(crate) use self::{
    caller::Caller,
    known::Callers,
    limit::network,
    login::Logins,
    password::hash_password,
    rights::{Limits, Rights, Wanted},
    signed::{by_signed_url, sign},
    token::{Subject, TokenKey},
    writes::{Sender, start as tell_writes},
};
use crate::endpoint::Endpoint;

/// Seconds that a token lives that is to outlive everything: three years.
pub(crate) const FOREVER_SECONDS: u64 = 3 * 365 * 86_400;

/// The preferences that hold secrets of all tokens.
const SYSTEM_SECRET: &str = "baseTokenSecret";
const GRANTOR_SECRET: &str = "systemGrantorSecret";

/// What the agent of a known machine may do to its own machine (drp-api.md 2.3).
const OWN_MACHINE: &str = "get,update,updateSecure,getSecure,token";

/// How long the token of a job lives when its task does not say, in seconds: 720 hours.
const JOB_SECONDS: u64 = 720 * 3600;

/// What it may do to the jobs of its machine.
const OWN_JOBS: (&str, &str) = ("jobs", "create,get,update,log,actions");

/// What the agent of a known machine may read.
const READABLE: &[(&str, &str)] = &[
    ("stages", "list,get"),
    ("tasks", "list,get"),
    ("params", "list,get"),
    ("bootenvs", "list,get"),
    ("workflows", "list,get"),
    ("profiles", "list,get"),
    ("components", "get"),
    ("events", "create"),
    ("info", "get"),
    ("machines", "whoami"),
    ("jobs", "list"),
];

/// What the agent of an unknown machine may do.
const UNKNOWN: &[(&str, &str)] = &[("machines", "create,get,whoami"), ("info", "get")];

/// What the endpoint knows of those who call it.
#[derive(Default)]
pub(crate) struct Desk {
    /// Those who were here before.
    callers: Callers,
    /// Their passwords.
    pub(crate) logins: Logins,
}

/// What a request says of who sends it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Credentials<'a> {
    /// The headers.
    pub(crate) headers: &'a HeaderMap,
    /// The `token` member of the query.
    pub(crate) token: Option<&'a str>,
    /// Where the request comes from.
    pub(crate) address: Option<IpAddr>,
}

/// Finds out who sends a request.
pub(crate) async fn authenticate(endpoint: &Endpoint, given: Credentials<'_>) -> Result<Caller, ApiError> {
    let header = given.headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap_or_default());
    let address = given.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let malformed = || ApiError::new(400, "AUTH", "malformed Authorization header");
    match (header, given.token) {
        (Some(header), _) => match header.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
                by_token(endpoint, token.trim())
            }
            Some((scheme, basic)) if scheme.eq_ignore_ascii_case("basic") => {
                let decoded =
                    STANDARD.decode(basic.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
                let pair = decoded.as_deref().and_then(|text| text.split_once(':')).ok_or_else(malformed)?;
                by_password(endpoint, pair, address).await
            }
            _ => Err(malformed()),
        },
        (None, Some(token)) => match token.split_once(':') {
            Some(pair) => by_password(endpoint, pair, address).await,
            None => by_token(endpoint, token),
        },
        (None, None) => Err(ApiError::new(401, "AUTH", "no credentials")),
    }
}

async fn by_password(
    endpoint: &Endpoint,
    (name, password): (&str, &str),
    address: IpAddr,
) -> Result<Caller, ApiError> {
    let snapshot = endpoint.snapshot();
    let user = snapshot.get::<User>(name);
    let record = user.as_ref().map(|user| user.password_hash.clone()).unwrap_or_default();
    let attempt = Attempt { user: name, address, now: endpoint.now().millis(), record };
    let verdict = endpoint.desk.logins.check(&endpoint.key, password, attempt).await;
    // A password that was typed in the wrong place is not written down.
    let shown = if user.is_some() { name } else { "unknown" };
    let told = |words: &str| {
        let principal = format!("user:{shown}");
        Audited { what: "login", scope: "users", key: shown, principal: &principal, words }
            .tell(&endpoint.hub);
    };
    match (verdict, user) {
        (Verdict::Right { fresh }, Some(user)) => {
            if fresh {
                told(&format!("logged in from {address}"));
            }
            Ok(by_name(endpoint, &snapshot, &user))
        }
        (Verdict::Limited, _) => {
            tracing::warn!(user = shown, %address, "too many wrong passwords");
            let message = "too many wrong passwords\nhint: wait a minute; tokens work meanwhile";
            Err(ApiError::new(429, "AUTH", message))
        }
        (Verdict::Busy, _) => Err(ApiError::new(503, "AUTH", "too many logins at once\nhint: try again")),
        (Verdict::Right { .. } | Verdict::Wrong, _) => {
            told(&format!("wrong user or password from {address}"));
            Err(ApiError::new(403, "AUTH", "wrong user or password"))
        }
    }
}

/// Returns a user who proved himself by his password.
fn by_name(endpoint: &Endpoint, snapshot: &Snapshot, user: &User) -> Caller {
    let proof = proof("user", &user.name);
    if let Some(known) = endpoint.desk.callers.find(&proof, snapshot) {
        return known.caller.clone();
    }
    let caller = user_caller(endpoint, snapshot, user, None);
    let mut rests_on = RestsOn::default();
    rests_on.user(snapshot, user);
    endpoint.desk.callers.note(proof, Known::new(caller.clone(), rests_on, snapshot));
    caller
}

/// Returns what stands for a token, or for the name of somebody whose password was right: no secret is kept.
fn proof(kind: &str, text: &str) -> Proof {
    let mut hasher = blake3::Hasher::new();
    hasher.update(kind.as_bytes()).update(&[0]).update(text.as_bytes());
    *hasher.finalize().as_bytes()
}

/// Finds out who a token stands for.
pub(crate) fn by_token(endpoint: &Endpoint, token: &str) -> Result<Caller, ApiError> {
    let snapshot = endpoint.snapshot();
    let proof = proof("token", token);
    let known = match endpoint.desk.callers.find(&proof, &snapshot) {
        Some(known) => known,
        None => {
            let known = opened(endpoint, &snapshot, token)?;
            endpoint.desk.callers.note(proof, Arc::clone(&known));
            known
        }
    };
    if known.caller.expires_seconds.is_some_and(|end| end <= endpoint.now().millis() / 1000) {
        return Err(refused("expired"));
    }
    Ok(known.caller.clone())
}

fn refused(why: &str) -> ApiError {
    ApiError::new(403, "AUTH", format!("the token is {why}"))
}

/// Opens a token that was made here and is tied to nothing that has changed.
fn opened(endpoint: &Endpoint, snapshot: &Snapshot, text: &str) -> Result<Arc<Known>, ApiError> {
    let token = endpoint.key.open(text).ok_or_else(|| refused("not one of this endpoint"))?;
    match token.only {
        Some(_) => Err(refused(signed::ELSEWHERE)),
        None => held(endpoint, snapshot, token),
    }
}

/// Finds out who a token stands for that was made here.
fn held(endpoint: &Endpoint, snapshot: &Snapshot, token: token::Token) -> Result<Arc<Known>, ApiError> {
    let expires_seconds = token.expires_seconds;
    if expires_seconds <= endpoint.now().millis() / 1000 {
        return Err(refused("expired"));
    }
    let stamp = stamp(endpoint, snapshot, &token.subject, token.grantor.as_deref());
    if stamp.as_ref() != Some(&token.stamp) {
        return Err(refused("revoked"));
    }
    let mut rests_on = RestsOn::default();
    for secret in [SYSTEM_SECRET, GRANTOR_SECRET] {
        rests_on.object(snapshot, Preference::KIND.prefix, secret);
    }
    if let Some(grantor) = &token.grantor {
        rests_on.object(snapshot, User::KIND.prefix, grantor);
    }
    let hub = Some(Arc::clone(&endpoint.hub));
    let caller = match token.subject {
        Subject::User(name) => {
            let user = snapshot.get::<User>(&name).ok_or_else(|| refused("revoked"))?;
            rests_on.user(snapshot, &user);
            user_caller(endpoint, snapshot, &user, token.limits.as_ref())
        }
        Subject::Machine(uuid) => {
            let object = Machine::find(snapshot, &uuid).ok_or_else(|| refused("revoked"))?;
            let prefix = object.kind().prefix;
            rests_on.machine(prefix, Machine::of(object.as_ref()).ok_or_else(|| refused("revoked"))?);
            let rights = Arc::new(Rights::of_claims(machine_claims(prefix, &uuid)));
            Caller::new(format!("runner:{uuid}"), Subject::Machine(uuid), rights, hub)
        }
        Subject::Job(uuid) => {
            let job = current_job(snapshot, &uuid).ok_or_else(|| refused("of a job that is over"))?;
            let object = Machine::find(snapshot, &job.machine).ok_or_else(|| refused("revoked"))?;
            let prefix = object.kind().prefix;
            rests_on.object(snapshot, Job::KIND.prefix, &uuid);
            rests_on.machine(prefix, Machine::of(object.as_ref()).ok_or_else(|| refused("revoked"))?);
            let mut claims = machine_claims(prefix, &job.machine);
            claims.extend(job.extra_claims.iter().cloned());
            let (name, subject) = (format!("runner:{}", job.machine), Subject::Machine(job.machine.clone()));
            Caller::new(name, subject, Arc::new(Rights::of_claims(claims)), hub)
        }
        Subject::Unknown => {
            let claims = UNKNOWN.iter().map(|(scope, action)| Claim::new(scope, action, "*")).collect();
            let rights = Arc::new(Rights::of_claims(claims));
            Caller::new(String::from("runner:unknown"), Subject::Unknown, rights, hub)
        }
    };
    Ok(Known::new(Caller { expires_seconds: Some(expires_seconds), ..caller }, rests_on, snapshot))
}

/// Returns what the agent of a machine, or of what is like one, may do.
fn machine_claims(prefix: &str, uuid: &str) -> Vec<Claim> {
    let own = [(prefix, OWN_MACHINE), OWN_JOBS].map(|(scope, action)| Claim::new(scope, action, uuid));
    let readable = READABLE.iter().map(|(scope, action)| Claim::new(scope, action, "*"));
    own.into_iter().chain(readable).collect()
}

/// Returns a job that its machine is at now.
fn current_job(snapshot: &Snapshot, uuid: &str) -> Option<Arc<Job>> {
    snapshot.get::<Job>(uuid).filter(|job| job.current && !job.state.is_final())
}

fn user_caller(endpoint: &Endpoint, snapshot: &Snapshot, user: &User, limits: Option<&Limits>) -> Caller {
    let rights = Arc::new(Rights::of_user(snapshot, user, limits));
    let subject = Subject::User(user.name.clone());
    Caller::new(format!("user:{}", user.name), subject, rights, Some(Arc::clone(&endpoint.hub)))
}

/// Returns what a token is tied to: it stops working when any of the secrets changes (drp-api.md 2.2).
fn stamp(
    endpoint: &Endpoint,
    snapshot: &Snapshot,
    subject: &Subject,
    grantor: Option<&str>,
) -> Option<String> {
    let secret = |name: &str| snapshot.get::<User>(name).map(|user| user.secret.clone());
    let own = match subject {
        Subject::User(name) => secret(name)?,
        Subject::Machine(uuid) => Machine::of(Machine::find(snapshot, uuid)?.as_ref())?.secret.clone(),
        Subject::Job(uuid) => {
            let machine = current_job(snapshot, uuid)?.machine.clone();
            Machine::of(Machine::find(snapshot, &machine)?.as_ref())?.secret.clone()
        }
        Subject::Unknown => String::new(),
    };
    let granting = match grantor {
        Some(name) => secret(name)?,
        None => String::new(),
    };
    let system = preferences::value(snapshot, SYSTEM_SECRET);
    let grantors = preferences::value(snapshot, GRANTOR_SECRET);
    Some(endpoint.key.digest(&[&own, &granting, &system, &grantors]))
}

/// What a token is to be.
pub(crate) struct NewToken<'a> {
    /// Whom it speaks for.
    pub(crate) subject: Subject,
    /// The user who has it made; his secret ends it too.
    pub(crate) grantor: Option<&'a str>,
    /// How long it lives, in seconds; at most [`FOREVER_SECONDS`].
    pub(crate) seconds: u64,
    /// What it is narrowed to.
    pub(crate) limits: Option<Limits>,
}

/// Makes a token.
pub(crate) fn issue(endpoint: &Endpoint, snapshot: &Snapshot, grant: NewToken<'_>) -> String {
    endpoint.key.seal(&made(endpoint, snapshot, grant))
}

fn made(endpoint: &Endpoint, snapshot: &Snapshot, grant: NewToken<'_>) -> token::Token {
    let stamp = stamp(endpoint, snapshot, &grant.subject, grant.grantor).unwrap_or_default();
    let seconds = i64::try_from(grant.seconds.min(FOREVER_SECONDS)).unwrap_or(0);
    token::Token {
        subject: grant.subject,
        grantor: grant.grantor.map(str::to_owned),
        stamp,
        expires_seconds: endpoint.now().millis() / 1000 + seconds,
        limits: grant.limits,
        only: None,
    }
}

/// Returns a token for the agent of a machine that is not known yet.
pub(crate) fn unknown_token(endpoint: &Endpoint, snapshot: &Snapshot) -> String {
    let seconds = preferences::seconds(snapshot, "unknownTokenTimeout");
    let grant = NewToken { subject: Subject::Unknown, grantor: None, seconds, limits: None };
    issue(endpoint, snapshot, grant)
}

/// Returns the token of a job whose task has more rights than its machine; it lives as long as the task says.
pub(crate) fn job_token(endpoint: &Endpoint, snapshot: &Snapshot, job: &Job) -> String {
    let lifetime = snapshot.get::<Task>(&job.task).map_or(0, |task| task.extra_duration);
    let seconds = match lifetime {
        0 => JOB_SECONDS,
        _ => u64::try_from(lifetime).unwrap_or(FOREVER_SECONDS),
    };
    let subject = Subject::Job(job.uuid.clone());
    issue(endpoint, snapshot, NewToken { subject, grantor: None, seconds, limits: None })
}

/// Returns a token for the agent of a machine; the preference says for how long unless the caller does.
pub(crate) fn machine_token(
    endpoint: &Endpoint,
    snapshot: &Snapshot,
    machine: &Machine,
    seconds: Option<u64>,
) -> String {
    let seconds = seconds.unwrap_or_else(|| preferences::seconds(snapshot, "knownTokenTimeout"));
    let subject = Subject::Machine(machine.uuid.clone());
    issue(endpoint, snapshot, NewToken { subject, grantor: None, seconds, limits: None })
}
