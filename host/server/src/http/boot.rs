//! What became of the boots of machines.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use formwork_api::{ApiError, BootExplanation, BootSeen};
use formwork_boot_proto::dhcp::HardwareAddress;

use super::{
    answer::{self, Handled},
    request::{Authenticated, Path},
    route::{Body, Route},
};
use crate::{boot, endpoint::Endpoint, render::Site};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/boot", "list_boots", list)
            .tells("Lists the network cards that were seen to boot since the start, the last ones first.")
            .answers(200, Body::json::<Vec<BootSeen>>()),
        Route::get("/boot/{mac}", "get_boot", show)
            .tells(
                "Explains the boot of a network card: what was seen, which rule decided, what would boot it.",
            )
            .answers(200, Body::json::<BootExplanation>())
            .refuses(&[400]),
    ]
}

async fn list(State(endpoint): State<Arc<Endpoint>>, Authenticated(caller): Authenticated) -> Handled {
    caller.require("boot", "list", "")?;
    answer::json(StatusCode::OK, &boot::seen(&endpoint))
}

async fn show(
    State(endpoint): State<Arc<Endpoint>>,
    Authenticated(caller): Authenticated,
    Path(mac): Path<String>,
) -> Handled {
    caller.require("boot", "get", &mac)?;
    let parsed: HardwareAddress = mac.parse().map_err(|_| {
        ApiError::new(400, "GET", format!("`{mac}` is no hardware address, as 52:54:00:12:34:56"))
    })?;
    let site: Arc<dyn Site> = Arc::clone(&endpoint) as _;
    let known = endpoint.renderer.machine_of(&site, &endpoint.store, &parsed.to_string());
    answer::json(StatusCode::OK, &boot::explain(&endpoint, parsed, known.as_ref()))
}
