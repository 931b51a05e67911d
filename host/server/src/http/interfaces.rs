//! Network interfaces (drp-api.md 7.14).

use axum::http::StatusCode;
use formwork_api::{ApiError, Interface};

use super::{
    answer::{self, Handled},
    request::{Authenticated, Path},
    route::{Body, OF_ONE, Route},
};
use crate::interfaces;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/interfaces", "list_interfaces", list)
            .tells("Lists the network interfaces that are up.")
            .answers(200, Body::json::<Vec<Interface>>()),
        Route::get("/interfaces/{key}", "get_interface", show)
            .tells("Returns a network interface.")
            .answers(200, Body::json::<Interface>())
            .refuses(OF_ONE),
    ]
}

async fn list(Authenticated(caller): Authenticated) -> Handled {
    caller.require("interfaces", "list", "")?;
    answer::json(StatusCode::OK, &interfaces::all())
}

async fn show(Authenticated(caller): Authenticated, Path(name): Path<String>) -> Handled {
    caller.require("interfaces", "get", &name)?;
    let found = interfaces::all().into_iter().find(|interface| interface.name == name);
    let missing = || ApiError::new(404, "GET", "No interface").about("interfaces", &name);
    answer::json(StatusCode::OK, &found.ok_or_else(missing)?)
}
