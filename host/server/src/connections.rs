//! Who is connected to the API (drp-api.md 14.2).

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use formwork_model::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{accept::Place, auth::Caller};

/// A connection as clients see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Connection {
    /// Where it comes from, `ADDRESS:PORT`; the key.
    pub(crate) remote_addr: String,
    /// `api` or `websocket`.
    pub(crate) r#type: &'static str,
    /// Who used it last; empty when nobody proved himself on it.
    pub(crate) principal: String,
    /// Since when it is open.
    pub(crate) create_time: Timestamp,
    /// When the token ends that was used last; unset with a password.
    pub(crate) expires_at: Timestamp,
}

/// One connection that is open. Requests on it note who sends them.
#[derive(Debug)]
pub(crate) struct Session {
    address: SocketAddr,
    since: Timestamp,
    is_websocket: AtomicBool,
    user: Mutex<(String, Timestamp)>,
}

impl Session {
    /// Notes who sends a request.
    pub(crate) fn note(&self, caller: &Caller) {
        let expires =
            Timestamp::from_millis(caller.expires_seconds.map_or(0, |seconds| seconds.saturating_mul(1000)));
        let mut user = self.user.lock().unwrap_or_else(PoisonError::into_inner);
        if user.0 != caller.principal {
            user.0.clone_from(&caller.principal);
        }
        user.1 = if caller.expires_seconds.is_some() { expires } else { Timestamp::default() };
    }

    /// Notes that the connection is a stream of events from now on.
    pub(crate) fn becomes_websocket(&self) {
        self.is_websocket.store(true, Ordering::Relaxed);
    }

    fn shown(&self) -> Connection {
        let (principal, expires_at) = self.user.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Connection {
            remote_addr: self.address.to_string(),
            r#type: if self.is_websocket.load(Ordering::Relaxed) { "websocket" } else { "api" },
            principal,
            create_time: self.since,
            expires_at,
        }
    }
}

/// The connections that are open.
#[derive(Debug, Default)]
pub(crate) struct Connections(Mutex<HashMap<SocketAddr, Arc<Session>>>);

/// Keeps a connection among those that are open, as long as it lives.
#[derive(Debug)]
pub(crate) struct Open {
    all: Arc<Connections>,
    session: Arc<Session>,
}

impl Connections {
    /// Adds a connection.
    pub(crate) fn open(self: &Arc<Self>, address: SocketAddr, since: Timestamp) -> Open {
        let session = Arc::new(Session {
            address,
            since,
            is_websocket: AtomicBool::new(false),
            user: Mutex::default(),
        });
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.insert(address, Arc::clone(&session));
        drop(open);
        Open { all: Arc::clone(self), session }
    }

    /// Returns all connections, in the order of their addresses.
    pub(crate) fn all(&self) -> Vec<Connection> {
        let open: Vec<Arc<Session>> =
            self.0.lock().unwrap_or_else(PoisonError::into_inner).values().map(Arc::clone).collect();
        let mut shown: Vec<Connection> = open.iter().map(|session| session.shown()).collect();
        shown.sort_by(|one, other| one.remote_addr.cmp(&other.remote_addr));
        shown
    }
}

impl Open {
    /// Returns what requests note on.
    pub(crate) fn session(&self) -> Arc<Session> {
        Arc::clone(&self.session)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut open = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The same address can be connected to another of this host's at the same time.
        if open.get(&self.session.address).is_some_and(|own| Arc::ptr_eq(own, &self.session)) {
            open.remove(&self.session.address);
        }
    }
}

/// What a connection takes up, until the last who uses it lets go: also the stream that it became.
#[derive(Debug)]
pub(crate) struct Seat {
    open: Option<Open>,
    place: Place,
}

impl Seat {
    /// Makes a connection of its place, which is listed when it is open somewhere.
    pub(crate) fn new(place: Place, open: Option<Open>) -> Arc<Self> {
        Arc::new(Self { open, place })
    }

    /// Returns the place that the connection has.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// Returns what requests note on; nothing where connections are not listed.
    pub(crate) fn session(&self) -> Option<Arc<Session>> {
        self.open.as_ref().map(Open::session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_is_listed_with_who_used_it_last_until_it_ends() {
        let all = Arc::new(Connections::default());
        let open = all.open("10.0.0.1:5".parse().unwrap(), Timestamp::from_millis(7));
        assert_eq!((all.all()[0].principal.as_str(), all.all()[0].r#type), ("", "api"));
        let mut caller = Caller::operator();
        caller.expires_seconds = Some(9);
        open.session().note(&caller);
        open.session().becomes_websocket();
        let shown = all.all();
        assert_eq!((shown[0].principal.as_str(), shown[0].r#type), ("user:operator", "websocket"));
        assert_eq!(shown[0].expires_at, Timestamp::from_millis(9000));
        open.session().note(&Caller::operator());
        assert!(all.all()[0].expires_at.is_unset());
        drop(open);
        assert_eq!(all.all(), []);
    }
}
