//! The event stream (drp-api.md 8.3).
//!
//! A listener that cannot keep up is told so with status 1013 and where it can go on: `?since=REVISION` sends what was
//! committed after a revision, each event with the one to go on from (an extension); of the events of one commit all come again
//! when it breaks off between them. Filters can stand in the URL as `register=FILTER`; a
//! stream that resumes without one begins with its first filter.
//!
//! Connections are served on the threads of the hub, which come after those that answer.

mod listener;

use std::sync::Arc;

use axum::{
    extract::{
        FromRequestParts, State,
        ws::{WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    http::{HeaderMap, request::Parts},
    response::IntoResponse,
};
use formwork_api::ApiError;

use self::listener::Listener;
use super::{
    answer::Handled,
    request::{Authenticated, Path, Query},
    route::Route,
};
use crate::{connections::Seat, endpoint::Endpoint};

/// The longest command, in bytes.
const MAX_COMMAND_BYTES: usize = 64 << 10;

/// What is read at once, in bytes: commands are short and rare, and each of very many connections keeps so much.
const READ_BYTES: usize = 2 << 10;

pub(super) fn routes() -> Vec<Route> {
    vec![Route::stream("/ws", upgrade), Route::stream("/ws/{id}", upgrade_of)]
}

/// Opens the stream of the endpoint with an id, which must be this one: there is no way to another yet.
async fn upgrade_of(
    State(endpoint): State<Arc<Endpoint>>,
    Path(id): Path<String>,
    caller: Authenticated,
    given: Given,
    socket: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Handled {
    if id != endpoint.id {
        return Err(ApiError::not_found("GET", "endpoints", &id).into());
    }
    upgrade(State(endpoint), caller, given, socket).await
}

async fn upgrade(
    State(endpoint): State<Arc<Endpoint>>,
    Authenticated(caller): Authenticated,
    given: Given,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Handled {
    let upgrade = upgrade.map_err(|rejection| {
        let message = format!("this route is a websocket: {rejection}");
        ApiError::new(rejection.into_response().status().as_u16(), "GET", message)
    })?;
    if let Some(session) = given.seat.as_ref().and_then(|seat| seat.session()) {
        session.becomes_websocket();
    }
    // Before the answer, so that what is committed after it is told.
    let opening = Arc::clone(&endpoint);
    let opened = endpoint.hub.spawn(async move { Listener::new(opening, caller, given) }).await;
    let listener = opened.map_err(|error| ApiError::new(500, "GET", error.to_string()).about("ws", ""))??;
    let upgrade = upgrade
        .max_message_size(MAX_COMMAND_BYTES)
        .max_frame_size(MAX_COMMAND_BYTES)
        .read_buffer_size(READ_BYTES);
    Ok(upgrade.on_upgrade(async move |socket| {
        endpoint.hub.spawn(listener.run(socket));
    }))
}

/// What a request gave to be let in, kept to ask again whether it still counts.
struct Given {
    headers: HeaderMap,
    query: Query,
    /// Kept as long as the stream.
    seat: Option<Arc<Seat>>,
}

impl FromRequestParts<Arc<Endpoint>> for Given {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Endpoint>) -> Result<Self, Self::Rejection> {
        Ok(Self {
            headers: parts.headers.clone(),
            query: Query::of(parts),
            seat: parts.extensions.get::<Arc<Seat>>().cloned(),
        })
    }
}

#[cfg(test)]
mod tests;
