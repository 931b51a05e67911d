//! What has happened in the store since somebody looked last.

use std::{sync::Arc, time::Duration};

use formwork_store::{Entry, Feed, FeedError, Snapshot};
use tokio::time::sleep;

use crate::endpoint::Endpoint;

/// The pause before another try with what could not be brought on.
const TROUBLE_PAUSE: Duration = Duration::from_secs(5);

/// What is new.
pub(super) enum News {
    /// These transactions; none when it is only time for another try.
    Entries(Vec<Arc<Entry>>),
    /// More than is remembered: everything is to be looked at.
    All(Snapshot),
}

/// Waits for what is new, or for another try where something is to be done `again`; then all that is there already comes with
/// it. Returns nothing when the store is closed.
pub(super) async fn next(endpoint: &Arc<Endpoint>, feed: &mut Feed, again: bool) -> Option<News> {
    let mut entry = tokio::select! {
        entry = feed.next() => entry.map(Some),
        () = sleep(TROUBLE_PAUSE), if again => Ok(None),
    };
    let mut entries = Vec::new();
    loop {
        match entry {
            Ok(Some(found)) => entries.push(found),
            Ok(None) => return Some(News::Entries(entries)),
            Err(FeedError::Lagged { .. }) => {
                let (snapshot, fresh) = endpoint.store.snapshot_and_feed();
                *feed = fresh;
                return Some(News::All(snapshot));
            }
            Err(FeedError::Closed) => return None,
        }
        entry = feed.try_next();
    }
}
