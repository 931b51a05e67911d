//! What machines, clusters and resource brokers have beyond the standard routes: their token, how they begin and how they
//! end, and the parameters of a group (drp-api.md 7.8, 7A.5, 7A.6, 14.9).

use std::collections::BTreeMap;

use axum::http::StatusCode;
use formwork_api::{ApiError, UserToken};
use formwork_model::{Cluster, Kind, Machine, Objects, Profile, Record, ResourceBroker};

use super::{
    answer::{self, Handled},
    objects, params,
    request::{Json, Last, Target},
    route::{Body, OF_CHANGE, OF_ONE, Route, Shape},
    system, users,
};
use crate::{
    auth,
    commands::{
        machines::{Cleaned, cleaned_up},
        objects::Change,
        patch as patches,
    },
};

pub(super) fn routes() -> Vec<Route> {
    [Machine::KIND, Cluster::KIND, ResourceBroker::KIND]
        .into_iter()
        .flat_map(|kind| {
            let mut own = of_kind(kind);
            if kind.prefix != Machine::KIND.prefix {
                own.extend(of_group(kind));
            }
            own.into_iter().map(|route| route.about(kind)).collect::<Vec<_>>()
        })
        .collect()
}

fn of_kind(kind: &'static Kind) -> Vec<Route> {
    let (noun, (_, name)) = (kind.noun, kind.words());
    let path = |word: &str| format!("/{}/{{key}}/{word}", kind.prefix);
    vec![
        Route::get(path("token"), format!("get_{name}_token"), token)
            .tells(format!("Makes a token of a {noun}."))
            .query(&[("ttl", Shape::Text, "How long it lives: seconds, or a number with a unit.")])
            .answers(200, Body::json::<UserToken>())
            .refuses(&[400, 404]),
        Route::delete(path("cleanup"), format!("cleanup_{name}"), clean_up)
            .tells(format!("Removes a {noun}, after its last workflow if it has one."))
            .write_query()
            .answers(200, Body::Object(kind))
            .answers(202, Body::Object(kind))
            .refuses(&[404, 409]),
        Route::patch(path("start"), format!("start_{name}"), start)
            .tells(format!("Ends the workflow of a {noun} and then changes it, in one."))
            .write_query()
            .answers(200, Body::Object(kind))
            .refuses(OF_CHANGE),
    ]
}

fn of_group(kind: &'static Kind) -> Vec<Route> {
    type Map = BTreeMap<String, serde_json::Value>;
    let (noun, (_, name)) = (kind.noun, kind.words());
    let all = format!("/{}/{{key}}/group/params", kind.prefix);
    let one = format!("{all}/{{*param}}");
    vec![
        Route::get(&all, format!("get_{name}_group_params"), group_all)
            .tells(format!("Returns the params of the group of a {noun}."))
            .query(params::READ)
            .answers(200, Body::json::<Map>())
            .refuses(OF_ONE),
        Route::post(&all, format!("post_{name}_group_params"), group_replace)
            .tells(format!("Replaces the params of the group of a {noun}."))
            .takes(Body::json::<Map>())
            .answers(200, Body::json::<Map>())
            .refuses(&[400, 404, 422]),
        Route::patch(all, format!("patch_{name}_group_params"), group_change)
            .tells(format!("Changes the params of the group of a {noun}."))
            .answers(200, Body::json::<Map>())
            .refuses(OF_CHANGE),
        Route::get(&one, format!("get_{name}_group_param"), group_one)
            .tells(format!("Returns a param of the group of a {noun}; null when it is not set."))
            .query(params::READ)
            .answers(200, Body::any())
            .refuses(OF_ONE),
        Route::post(&one, format!("post_{name}_group_param"), group_set)
            .tells(format!("Sets a param of the group of a {noun}."))
            .takes(Body::any())
            .answers(200, Body::any())
            .refuses(&[400, 404, 422]),
        Route::delete(one, format!("delete_{name}_group_param"), group_unset)
            .tells(format!("Removes a param of the group of a {noun}."))
            .answers(200, Body::any())
            .refuses(&[404, 422]),
    ]
}

async fn token(target: Target) -> Handled {
    let snapshot = target.endpoint.snapshot();
    let (object, _) = objects::permitted(&target, &snapshot, "token")?;
    let seconds = users::lifetime(&target.query)?;
    let machine = Machine::of(object.as_ref()).cloned().unwrap_or_default();
    let token = auth::machine_token(&target.endpoint, &snapshot, &machine, seconds);
    target.caller.audit("token", (target.kind.prefix, &machine.uuid), "a token was made");
    answer::json(StatusCode::OK, &UserToken { token, info: system::describe(&target.endpoint) })
}

/// Ends the workflow, then applies the patch of the body, all in one commit.
async fn start(target: Target, body: Json) -> Handled {
    let ended = serde_json::json!([
        {"op": "add", "path": "/Workflow", "value": ""},
        {"op": "add", "path": "/Runnable", "value": false},
    ]);
    let (prefix, id) = (target.kind.prefix, target.id.as_str());
    let changes = vec![
        Change::Patch(patches::parse(&ended, prefix, id)?),
        Change::Patch(patches::parse(&body.value, prefix, id)?),
    ];
    objects::written(StatusCode::OK, &objects::update_all(&target, changes).await?)
}

/// Removes an object at once, or has it go through its last workflow first.
async fn clean_up(target: Target) -> Handled {
    let key = objects::permitted(&target, &target.endpoint.snapshot(), "delete")?.0.key();
    match cleaned_up(&target.endpoint, target.request(), key).await? {
        Cleaned::Removed(object) => objects::written(StatusCode::OK, &object),
        Cleaned::Begun(object) => objects::written(StatusCode::ACCEPTED, &object),
    }
}

/// Returns a request about the profile of the group that an object stands for.
pub(super) fn group(mut target: Target) -> Result<Target, ApiError> {
    let snapshot = target.endpoint.snapshot();
    let (object, _) = objects::readable(&target, &snapshot)?;
    let name = Machine::of(object.as_ref()).map(|machine| machine.name.clone()).unwrap_or_default();
    if snapshot.find(Profile::KIND.prefix, &name).is_none() {
        let message = format!("the group of {name} has no profile\nhint: create the profile {name}");
        return Err(ApiError::new(404, target.method.as_str(), message).about(Profile::KIND.prefix, &name));
    }
    target.kind = Profile::KIND;
    target.id = name;
    Ok(target)
}

async fn group_all(target: Target) -> Handled {
    params::all(group(target)?).await
}

async fn group_replace(target: Target, body: Json) -> Handled {
    params::replace(group(target)?, body).await
}

async fn group_change(target: Target, body: Json) -> Handled {
    params::change(group(target)?, body).await
}

async fn group_one(target: Target, name: Last) -> Handled {
    params::one(group(target)?, name).await
}

async fn group_set(target: Target, name: Last, body: Json) -> Handled {
    params::set(group(target)?, name, body).await
}

async fn group_unset(target: Target, name: Last) -> Handled {
    params::unset(group(target)?, name).await
}
