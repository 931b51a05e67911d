//! Machines go from pool to pool and are handed out, all that a call asks for or none (drp-api.md 13.3).

use std::{sync::Arc, time::Duration};

use axum::http::Method;
use formwork_api::ApiError;
use formwork_core::{
    plugins::is_secure,
    pools::{self, Operation, PoolResult, Wanted},
};
use formwork_model::{Kind, Machine, Objects, Pool, Record};
use formwork_store::FeedError;

use crate::{
    auth::Caller,
    commit::{Stop, Work, commit, refused},
    endpoint::Endpoint,
    kinds,
};

/// No call waits longer for the machines.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// Most machines that go through a transition in one call: everybody who writes waits for it.
const MAX_AT_ONCE: usize = if cfg!(test) { 50 } else { 5_000 };

/// What a call asks for.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// The type of what goes through the transition: machines, or what is like them.
    pub(crate) kind: &'static Kind,
    /// The transition.
    pub(crate) wanted: Wanted,
    /// The keys of those that come into question, the first ones first.
    pub(crate) candidates: Vec<String>,
    /// How many are taken at most.
    pub(crate) count: usize,
    /// With fewer nothing is done.
    pub(crate) minimum: usize,
    /// How long the answer may wait for the ends of the transitions.
    pub(crate) wait: Duration,
}

/// Puts machines through a transition and tells how they stand then.
pub(crate) async fn carry_out(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    call: Call,
) -> Result<Vec<PoolResult>, ApiError> {
    let (kind, wait) = (call.kind, call.wait.min(LONGEST_WAIT));
    let by = caller.clone();
    let moved = commit(endpoint, &caller.principal, move |work| moved(work, &by, &call)).await?;
    if !wait.is_zero() {
        let _ = tokio::time::timeout(wait, ended(endpoint, kind, &moved)).await;
    }
    let snapshot = endpoint.snapshot();
    let stands = moved.iter().filter_map(|uuid| snapshot.find(kind.prefix, uuid));
    Ok(stands.filter_map(|object| Machine::of(object.as_ref()).map(pools::result)).collect())
}

/// Chooses machines and puts them through the transition; returns their keys.
fn moved(work: &mut Work<'_>, caller: &Caller, call: &Call) -> Result<Vec<String>, Stop> {
    let (kind, wanted) = (call.kind, &call.wanted);
    let mut chosen = Vec::new();
    let mut objections = Vec::new();
    for uuid in &call.candidates {
        if chosen.len() == call.count {
            break;
        }
        let Some(object) = work.tx.find(kind.prefix, uuid) else { continue };
        let Some(machine) = Machine::of(object.as_ref()) else { continue };
        match wanted.objection(machine) {
            Some(objection) => objections.push(objection),
            None => chosen.push(machine.clone()),
        }
    }
    if chosen.len() > MAX_AT_ONCE {
        let message = format!(
            "{} machines are more than {MAX_AT_ONCE}, which one call can move\nhint: set `pool/count`, and call again for the rest",
            chosen.len()
        );
        return Err(ApiError::new(409, Method::POST.as_str(), message)
            .about(Pool::KIND.prefix, &wanted.pool)
            .into());
    }
    if chosen.len() < call.minimum {
        return Err(too_few(call, chosen.len(), &objections).into());
    }
    let touched = wanted.instead.params();
    let secure = touched.iter().find(|name| is_secure(&*work.tx, name));
    if let (Some(name), Operation::Add) = (secure, wanted.operation) {
        let message =
            format!("the secure param {name} cannot be given on the way\nhint: set it on the machine");
        return Err(ApiError::invalid(Pool::KIND.prefix, &wanted.pool, vec![message]).into());
    }
    for machine in &chosen {
        if secure.is_some() {
            caller.require(kind.prefix, "updateSecure", &machine.uuid)?;
        }
        for member in wanted.instead.members() {
            caller.require(kind.prefix, &format!("update:/{member}"), &machine.uuid)?;
        }
    }
    let mut ready = Vec::new();
    let mut unplanned = Vec::new();
    for before in chosen {
        let change = pools::begin(&*work.tx, before.clone(), wanted)
            .map_err(|refusal| refused(Pool::KIND.prefix, &wanted.pool, refusal))?;
        match kinds::settled(work, kind, &before, change, false) {
            Ok(after) => ready.push((before, after)),
            Err(Stop::Plan(requests)) => unplanned.extend(requests),
            Err(stop) => return Err(stop),
        }
    }
    // All of them are asked for at once: one transaction serves them all.
    if !unplanned.is_empty() {
        return Err(Stop::Plan(unplanned));
    }
    let mut moved = Vec::new();
    for (before, after) in ready {
        if after.tasks != before.tasks || !after.workflow_complete {
            kinds::end_job(work, &before)?;
        }
        moved.push(after.uuid.clone());
        work.put(after.into_kind(kind))?;
    }
    Ok(moved)
}

fn too_few(call: &Call, found: usize, objections: &[String]) -> ApiError {
    let (pool, from, least) = (&call.wanted.pool, call.wanted.from(), call.minimum);
    let mut message = format!("{found} of {least} machines can be taken from pool {from}");
    if !objections.is_empty() {
        message.push_str(&format!(": {}", pools::told(objections)));
    }
    message.push_str("\nhint: `GET /pools/POOL/status` shows how they stand; `pool/minimum` takes fewer");
    ApiError::new(409, Method::POST.as_str(), message).about(Pool::KIND.prefix, pool)
}

/// Waits until no machine is on its way any more.
async fn ended(endpoint: &Arc<Endpoint>, kind: &'static Kind, moved: &[String]) {
    loop {
        // The feed begins where the snapshot ends: whatever is not in the one is in the other.
        let (snapshot, mut feed) = endpoint.store.snapshot_and_feed();
        let under_way = |uuid: &String| {
            let object = snapshot.find(kind.prefix, uuid);
            object.is_some_and(|object| {
                Machine::of(object.as_ref()).is_some_and(|machine| pools::is_under_way(&machine.pool_status))
            })
        };
        if !moved.iter().any(under_way) {
            return;
        }
        loop {
            match feed.next().await {
                Ok(entry) if entry.changes.iter().any(|change| change.prefix == kind.prefix) => break,
                Ok(_) => {}
                Err(FeedError::Lagged { .. }) => break,
                Err(FeedError::Closed) => return,
            }
        }
    }
}
