//! What only boot environments have (drp-api.md 7.1).

use axum::http::StatusCode;
use formwork_api::ApiError;
use formwork_model::{BootEnv, Record};

use super::{
    answer::{self, Handled},
    objects::{self, UPDATE},
    request::{Json, Target},
    route::{Body, Route, Shape},
};
use crate::trees;

pub(super) fn routes() -> Vec<Route> {
    let purge = Route::delete("/bootenvs/{key}/purgeLocal", "purge_local_boot_env", purge)
        .tells("Removes the trees of a boot environment, and its archives unless they are to be taken apart again.")
        .query(&[("reexplodeIsos", Shape::Flag, "Take the archives apart again.")])
        .takes(Body::json::<Vec<String>>())
        .answers(200, Body::json::<bool>())
        .refuses(&[404, 409]);
    vec![purge.about(BootEnv::KIND)]
}

/// Removes the trees of the named architectures, and their archives too unless they are to be taken apart again.
async fn purge(target: Target, body: Json) -> Handled {
    let (object, _) = objects::permitted(&target, &target.endpoint.snapshot(), UPDATE)?;
    target.require(UPDATE, &object.key())?;
    // A client that names none sends an empty object or nothing.
    let arches: Vec<String> =
        if body.value.is_array() { body.read("bootenvs", &target.id)? } else { Vec::new() };
    if let Some(arch) = arches.iter().find(|arch| formwork_model::canonical_arch(arch).is_none()) {
        let message = format!("{arch} is not a supported architecture");
        return Err(ApiError::invalid("bootenvs", &target.id, vec![message]).into());
    }
    let env = object.as_any().downcast_ref::<BootEnv>().cloned().unwrap_or_default();
    let again = target.query.is("reexplodeIsos");
    if !again {
        trees::archives(&env, &arches)
            .iter()
            .try_for_each(|iso| target.caller.require("isos", "delete", iso))?;
    }
    let purged = trees::purge(&target.endpoint, &env, &arches, again).await.map_err(|_| {
        let message = "an archive is being taken apart\nhint: try again when it is done";
        ApiError::new(409, "DELETE", message).about("bootenvs", &target.id)
    })?;
    answer::json(StatusCode::OK, &purged)
}
