//! The standard routes of every object type (drp-api.md 7).

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use axum::http::{HeaderMap, StatusCode};
use formwork_api::ApiError;
use formwork_model::{Kind, Object, Objects};
use formwork_store::{Committed, Revision, Snapshot};
use json_patch::Patch;
use tokio::task::spawn_blocking;

use super::{
    answer::{self, Handled},
    list::{self, Shaper},
    params as param_routes,
    poll::{self, Patience, Seen},
    pubkey,
    request::{Json, Target},
    route::{Body, OF_CHANGE, OF_ONE, Route},
};
use crate::{
    auth::Wanted,
    commands::{
        objects::{self, Change},
        patch,
    },
    commit::internal,
    kinds,
    search::Look,
};

/// The index by which a machine is found by the address of a network card, and the member that has the addresses.
const CARD: &str = "HardwareAddr";
const CARDS: &str = "HardwareAddrs";

/// Returns the routes of one type.
pub(super) fn routes(kind: &'static Kind) -> Vec<Route> {
    let (noun, (many, name)) = (kind.noun, kind.words());
    let all = format!("/{}", kind.prefix);
    let one = if kind.slashed_key { format!("{all}/{{*key}}") } else { format!("{all}/{{key}}") };
    let mut routes = vec![
        Route::get(&all, format!("list_{many}"), list::list)
            .head(format!("list_stats_{many}"))
            .tells(format!("Lists every {noun}."))
            .list_query(kind)
            .answers(200, Body::Objects(kind))
            .refuses(&[406, 413]),
        Route::get(&one, format!("get_{name}"), show)
            .head(format!("head_{name}"))
            .tells(format!("Returns a {noun}."))
            .object_query()
            .answers(200, Body::Object(kind))
            .answers(304, Body::Nothing)
            .refuses(OF_ONE),
        Route::put(&one, format!("put_{name}"), replace)
            .tells(format!("Replaces a {noun}."))
            .write_query()
            .takes(Body::Object(kind))
            .answers(200, Body::Object(kind))
            .refuses(OF_CHANGE),
        Route::patch(&one, format!("patch_{name}"), change)
            .tells(format!("Changes a {noun} by RFC 6902."))
            .write_query()
            .answers(200, Body::Object(kind))
            .refuses(OF_CHANGE),
        Route::delete(&one, format!("delete_{name}"), remove)
            .tells(format!("Deletes a {noun}."))
            .write_query()
            .answers(200, Body::Object(kind))
            .refuses(&[404, 409, 422]),
    ];
    if !kind.own_create {
        let create = Route::post(all, format!("create_{name}"), create)
            .tells(format!("Creates a {noun}."))
            .takes(Body::Object(kind))
            .answers(201, Body::Object(kind))
            .refuses(&[400, 409, 422]);
        routes.push(create);
    }
    if kind.bears_params {
        routes.extend(param_routes::routes(kind));
        routes.extend(pubkey::routes(kind));
    }
    routes.into_iter().map(|route| route.about(kind)).collect()
}

/// Returns the routes of the meta maps of all types.
pub(super) fn meta_routes() -> Vec<Route> {
    type Map = BTreeMap<String, String>;
    let path = "/meta/{type}/{*key}";
    vec![
        Route::get(path, "get_meta", meta)
            .tells("Returns the Meta of an object.")
            .answers(200, Body::json::<Map>())
            .refuses(OF_ONE),
        Route::patch(path, "patch_meta", change_meta)
            .tells("Changes the Meta of an object.")
            .answers(200, Body::json::<Map>())
            .refuses(OF_CHANGE),
    ]
}

/// What one does to change something of an object.
pub(super) const UPDATE: &str = "update";

/// Finds the object that a request names by its key or by `INDEX:VALUE` of a unique index (drp-api.md 3.3), for a caller who
/// may do something to it; [`UPDATE`] stands for any change of it.
pub(super) fn permitted(
    target: &Target,
    snapshot: &Snapshot,
    action: &str,
) -> Result<(Arc<dyn Object>, Revision), ApiError> {
    permitted_named(target, snapshot, &target.id, action)
}

/// Finds an object of the type of a request as [`permitted`] does, by another name than that of its URL.
///
/// Whoever may not do it gets the same answer whether there is such an object or not: he does not learn which keys there are.
/// It is 403, but 404 where the claim is about something that only the object tells (a job's machine) and the caller has it
/// for others of the type. What a tenant hides is not there for anybody of it, before all claims (drp-api.md 2.5).
pub(super) fn permitted_named(
    target: &Target,
    snapshot: &Snapshot,
    id: &str,
    action: &str,
) -> Result<(Arc<dyn Object>, Revision), ApiError> {
    let (caller, prefix, behaviour) = (&target.caller, target.kind.prefix, kinds::of(target.kind));
    let missing = || ApiError::not_found(target.method.as_str(), prefix, id);
    let found = native_key(snapshot, target.kind, id)
        .filter(|key| caller.sees(prefix, key))
        .and_then(|key| snapshot.stored(prefix, &key));
    if found.is_none() && caller.visible(prefix).is_some() {
        return Err(missing());
    }
    let claimed = match &found {
        Some(found) => Cow::Owned(behaviour.claim_key(found.object.as_ref())),
        None => Cow::Borrowed(behaviour.claim_key_of_missing(id).unwrap_or_default()),
    };
    let may =
        |key: &str| caller.may(prefix, action, key) || action == UPDATE && caller.touches(prefix, "", key);
    if !may(&claimed) {
        // Where only the object tells which claim it takes, one that is not there cannot be refused to somebody who has such
        // a claim for others: he reads of both that there is none, and auditors learn what he lacks.
        let hides = behaviour.claim_key_of_missing(id).is_none() && may("");
        let specific = if hides { &*claimed } else { id };
        let denied = caller.deny(&[Wanted { scope: prefix, action: Cow::Borrowed(action), specific }]);
        return Err(if hides { missing() } else { denied });
    }
    found.map(|found| (found.object, found.revision)).ok_or_else(missing)
}

/// Returns the key of the object that a text in a URL names.
fn native_key(snapshot: &Snapshot, kind: &'static Kind, id: &str) -> Option<String> {
    if snapshot.stored(kind.prefix, id).is_some() {
        return Some(id.to_owned());
    }
    let (index, value) = id.split_once(':')?;
    if index == "Key" || index == kind.key {
        return Some(kind.canonical_key(value).into_owned());
    }
    // No two machines have the same card (drp-behaviour.md 4.1); its address is in a list of the machine.
    if index == CARD && kind.indexed.contains(&CARDS) {
        return snapshot.by_unique(kind.prefix, CARDS, &value.to_lowercase()).map(|object| object.key());
    }
    if !kind.unique.contains(&index) {
        return None;
    }
    snapshot.by_unique(kind.prefix, index, value).map(|object| object.key())
}

/// Finds the object that a request names, for a caller who may read it.
pub(super) fn readable(
    target: &Target,
    snapshot: &Snapshot,
) -> Result<(Arc<dyn Object>, Revision), ApiError> {
    permitted(target, snapshot, "get")
}

/// Changes the object that a request names, and returns it.
pub(super) async fn update(target: &Target, change: Change) -> Result<Committed<Arc<dyn Object>>, ApiError> {
    update_all(target, vec![change]).await
}

/// Changes the object that a request names, one change after the other in one commit, and returns it.
pub(super) async fn update_all(
    target: &Target,
    changes: Vec<Change>,
) -> Result<Committed<Arc<dyn Object>>, ApiError> {
    let key = permitted(target, &target.endpoint.snapshot(), UPDATE)?.0.key();
    objects::update(&target.endpoint, target.request(), key, changes).await
}

/// Changes a part of the object that a request names by a JSON Patch, and returns the object.
pub(super) async fn patched(
    target: &Target,
    body: &Json,
    part: fn(Patch) -> Change,
) -> Result<Committed<Arc<dyn Object>>, ApiError> {
    let operations = patch::parse(&body.value, target.kind.prefix, &target.id)?;
    update(target, part(operations)).await
}

/// Answers with an object as a commit left it, or as it was before a commit deleted it.
pub(super) fn written(status: StatusCode, written: &Committed<Arc<dyn Object>>) -> Handled {
    Ok(answer::object(status, written.value.as_ref(), written.revision))
}

/// Answers one object. A request that says which state of it is known waits for another, or learns that there is none.
pub(super) async fn show(target: Target, headers: HeaderMap) -> Handled {
    let seen = poll::readable(&target, &Patience::of(&headers)).await?;
    if !seen.is_new {
        return Ok(answer::written(StatusCode::NOT_MODIFIED, Vec::new(), seen.revision));
    }
    if !list::renders(&target.query) {
        return shaped(&target, &seen);
    }
    spawn_blocking(move || shaped(&target, &seen)).await.map_err(|error| internal(&error))?
}

/// Writes an object as the query wants it.
fn shaped(target: &Target, seen: &Seen) -> Handled {
    let (query, _) = list::query(target, &seen.snapshot)?;
    let look = Look::new(&seen.snapshot);
    let mut out = Vec::new();
    let shaper = Shaper::new(&look, target.kind, &query.projection);
    let shaper = shaper.opening(target, std::slice::from_ref(&seen.object))?;
    shaper.write(seen.object.as_ref(), &mut out);
    Ok(answer::written(StatusCode::OK, out, seen.revision))
}

pub(super) async fn create(target: Target, body: Json) -> Handled {
    let object = objects::create(&target.endpoint, target.request(), body.value).await?;
    written(StatusCode::CREATED, &object)
}

pub(super) async fn replace(target: Target, body: Json) -> Handled {
    let object = update(&target, Change::Put(body.value)).await?;
    written(StatusCode::OK, &object)
}

pub(super) async fn change(target: Target, body: Json) -> Handled {
    let object = patched(&target, &body, Change::Patch).await?;
    written(StatusCode::OK, &object)
}

pub(super) async fn remove(target: Target) -> Handled {
    let key = permitted(&target, &target.endpoint.snapshot(), "delete")?.0.key();
    let object = objects::delete(&target.endpoint, target.request(), key).await?;
    written(StatusCode::OK, &object)
}

async fn meta(target: Target) -> Handled {
    let (object, _) = readable(&target, &target.endpoint.snapshot())?;
    answer::json(StatusCode::OK, &object.header().meta)
}

async fn change_meta(target: Target, body: Json) -> Handled {
    let object = patched(&target, &body, Change::PatchMeta).await?;
    answer::json(StatusCode::OK, &object.value.header().meta)
}
