//! A line for auditors of everything that a user creates, changes or deletes (drp-behaviour.md 8.4): who did what to which
//! object, and what came of it. Never what it holds.
//!
//! What was done is read from the feed, beside the requests: a change waits for no line, and the log is all that is written.
//! What was refused is not in the feed, so the edge of the API tells that.

use std::sync::{Arc, OnceLock};

use axum::http::{Method, StatusCode};
use formwork_model::is_internal;
use formwork_store::{Action, Entry, Feed, FeedError, Revision};
use tokio::{sync::watch, task::JoinHandle};

use super::{
    Caller,
    audit::{AUDIT, shortened},
};
use crate::{boot::ended, endpoint::Endpoint};

/// How the principal of a user begins.
const USER: &str = "user:";

/// Tells of what users change until the shutdown.
pub(crate) fn start(endpoint: Arc<Endpoint>, shutdown: watch::Receiver<bool>) -> JoinHandle<()> {
    let feed = endpoint.store.snapshot_and_feed().1;
    tokio::spawn(async move {
        tokio::select! {
            () = ended(shutdown) => {}
            () = follow(&endpoint, feed) => {}
        }
    })
}

async fn follow(endpoint: &Endpoint, mut feed: Feed) {
    loop {
        match feed.next().await {
            Ok(entry) => tell(&entry),
            Err(FeedError::Lagged { position, .. }) => {
                feed = endpoint.store.snapshot_and_feed().1;
                let (Revision(after), Revision(until)) = (position, feed.position());
                tracing::error!(
                    target: AUDIT,
                    after,
                    until,
                    "changes came faster than they could be told: those of these revisions are not told"
                );
            }
            Err(FeedError::Closed) => return,
        }
    }
}

/// Writes a line for each change of an entry that a user made.
pub(crate) fn tell(entry: &Entry) {
    for change in entry.changes.iter() {
        if !change.principal.starts_with(USER) || is_internal(change.prefix) {
            continue;
        }
        let what = match change.action {
            Action::Created => "create",
            Action::Updated => "update",
            Action::Deleted => "delete",
        };
        done(&change.principal, what, (change.prefix, &change.key));
    }
}

fn done(principal: &str, what: &str, (scope, key): (&str, &str)) {
    tracing::info!(target: AUDIT, what, scope, key = shortened(key), principal, outcome = "done", "an object was written");
}

impl Caller {
    /// Writes a line of something that a user wrote and that is not in the store.
    pub(crate) fn wrote(&self, what: &str, about: (&str, &str)) {
        if self.is_user() {
            done(&self.principal, what, about);
        }
    }
}

/// Who sent a request, for those who see it before and after its route. Empty until the credentials have held.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sender(Arc<OnceLock<String>>);

impl Sender {
    /// Notes who it is.
    pub(crate) fn note(&self, caller: &Caller) {
        // Nobody is asked for credentials twice; should it be so, the first holds.
        let _ = self.0.set(caller.principal.clone());
    }

    /// Writes a line of a change that a user was refused. That of a missing right is written where it is missed.
    pub(crate) fn refused(&self, method: &Method, path: &str, status: StatusCode) {
        let is_told = status == StatusCode::FORBIDDEN;
        let Some(principal) = self.0.get().filter(|principal| principal.starts_with(USER) && !is_told) else {
            return;
        };
        let (path, outcome) = (shortened(path), status.as_u16());
        tracing::info!(target: AUDIT, what = %method, path, principal, outcome, "a change was refused");
    }
}
