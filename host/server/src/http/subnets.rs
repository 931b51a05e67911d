//! Addresses that subnets give by the API, and take back (drp-api.md 7.13).

use std::net::Ipv4Addr;

use axum::http::StatusCode;
use formwork_api::ApiError;
use formwork_model::{Record, Reservation, Subnet};

use super::{
    answer::Handled,
    objects,
    request::{Json, Path, Target},
    route::{Body, OF_CHANGE, Route},
};
use crate::commands::subnets;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/subnets/{key}/allocate", "allocate_subnet", allocate)
            .tells("Reserves a free address of a subnet, and tells it to a machine.")
            .write_query()
            .takes(Body::Object(Reservation::KIND))
            .answers(200, Body::Object(Reservation::KIND))
            .refuses(OF_CHANGE)
            .about(Subnet::KIND),
        Route::delete("/subnets/{key}/release/{ip}", "del_subnet_release", release)
            .tells("Takes back an address that a subnet gave.")
            .write_query()
            .takes(Body::json::<String>())
            .answers(200, Body::Object(Reservation::KIND))
            .refuses(&[404, 409])
            .about(Subnet::KIND),
    ]
}

async fn allocate(target: Target, body: Json) -> Handled {
    let (object, _) = objects::readable(&target, &target.endpoint.snapshot())?;
    let asked: Reservation = body.read_without_nulls(Reservation::KIND.prefix, "")?;
    let made = subnets::allocate(&target.endpoint, &target.caller, object.key(), asked).await?;
    objects::written(StatusCode::OK, &made)
}

/// Takes back the address of the path. A client that cannot fill it in there sends it as the body (drp-api.md 17.2).
async fn release(target: Target, Path((_, address)): Path<(String, String)>, body: Json) -> Handled {
    let (object, _) = objects::readable(&target, &target.endpoint.snapshot())?;
    let text = body.value.as_str().filter(|_| address.starts_with('{')).unwrap_or(&address);
    let address: Ipv4Addr = text.parse().map_err(|_| {
        let message = format!("`{text}` is no IPv4 address");
        ApiError::new(404, "DELETE", message).about(Reservation::KIND.prefix, text)
    })?;
    let freed = subnets::release(&target.endpoint, &target.caller, object.key(), address).await?;
    objects::written(StatusCode::OK, &freed)
}
