//! The public keys that writers seal secure params to (drp-api.md 6.3).

use axum::http::StatusCode;
use formwork_model::{Cluster, Kind, Record, ResourceBroker};

use super::{
    answer::{self, Handled},
    lives, objects,
    request::Target,
    route::{Body, OF_ONE, Route},
};
use crate::secure;

/// Returns the route of one type.
pub(super) fn routes(kind: &'static Kind) -> Vec<Route> {
    let (noun, (_, name)) = (kind.noun, kind.words());
    let read =
        Route::get(format!("/{}/{{key}}/pubkey", kind.prefix), format!("get_{name}_pub_key"), of_object)
            .tells(format!("Returns the public key that secure params of a {noun} are sealed to."))
            .answers(200, Body::json::<String>())
            .refuses(OF_ONE);
    vec![read]
}

/// Returns the routes of what has a profile of its own for a group of machines.
pub(super) fn group_routes() -> Vec<Route> {
    let of = |kind: &'static Kind| {
        let (noun, (_, name)) = (kind.noun, kind.words());
        let path = format!("/{}/{{key}}/group/pubkey", kind.prefix);
        Route::get(path, format!("get_{name}_group_pub_key"), of_group)
            .tells(format!("Returns the public key of the group profile of a {noun}."))
            .answers(200, Body::json::<String>())
            .refuses(OF_ONE)
            .about(kind)
    };
    [Cluster::KIND, ResourceBroker::KIND].into_iter().map(of).collect()
}

/// Answers the key of an object. Who may not seal params has no use for it.
pub(super) async fn of_object(target: Target) -> Handled {
    let (object, _) = objects::permitted(&target, &target.endpoint.snapshot(), "updateSecure")?;
    let (prefix, principal) = (target.kind.prefix, &target.caller.principal);
    let public = secure::public_key(&target.endpoint, principal, prefix, object.key()).await?;
    answer::json(StatusCode::OK, &public)
}

async fn of_group(target: Target) -> Handled {
    of_object(lives::group(target)?).await
}
