//! Reading what was committed, in order.

use std::sync::Arc;

use tokio::sync::watch;

use crate::{
    Entry, Revision,
    published::{Lookup, Published},
};

/// A reader of the feed: every committed entry after some revision, in revision order, without gaps.
///
/// The store keeps one bounded log for all readers; a reader is a place in it. A slow reader never holds up a writer:
/// it falls off the end of the log and is told so.
pub struct Feed {
    published: Arc<Published>,
    news: watch::Receiver<Revision>,
    next: Revision,
}

/// The feed cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeedError {
    /// The reader was too slow, and entries that it has not seen are gone. Further calls say the same: start again
    /// with a snapshot.
    #[error("the reader of the feed is at revision {position}, the feed begins after {oldest}")]
    Lagged {
        /// The revision that the reader saw last.
        position: Revision,
        /// The earliest revision from which a feed can resume.
        oldest: Revision,
    },
    /// The store was closed, and all entries have been read.
    #[error("the store is closed")]
    Closed,
}

/// A feed cannot resume from a revision: its successors are not kept any more, or it lies in the future.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the feed cannot resume from revision {asked}: it keeps what came after {oldest}, up to {newest}")]
pub struct FeedGone {
    /// The revision that was asked for.
    pub asked: Revision,
    /// The earliest revision from which a feed can resume.
    pub oldest: Revision,
    /// The latest revision.
    pub newest: Revision,
}

impl Feed {
    /// Makes a feed of what comes after a revision.
    pub(crate) fn after(
        revision: Revision,
        published: Arc<Published>,
        news: watch::Receiver<Revision>,
    ) -> Self {
        Self { published, news, next: revision.next() }
    }

    /// Returns the revision of the last entry that was read, or the one from which the feed began.
    #[must_use]
    pub fn position(&self) -> Revision {
        self.next.previous()
    }

    /// Waits for the next entry. Dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// The reader lagged, or the store was closed.
    pub async fn next(&mut self) -> Result<Arc<Entry>, FeedError> {
        loop {
            // Seen before the look, so that what comes after the look still wakes the wait.
            self.news.borrow_and_update();
            if let Some(entry) = self.try_next()? {
                return Ok(entry);
            }
            if self.news.changed().await.is_err() {
                return self.try_next()?.ok_or(FeedError::Closed);
            }
        }
    }

    /// Returns the next entry if it is there already.
    ///
    /// # Errors
    ///
    /// The reader lagged.
    pub fn try_next(&mut self) -> Result<Option<Arc<Entry>>, FeedError> {
        match self.published.lookup(self.next) {
            Lookup::Found(entry) => {
                self.next = self.next.next();
                Ok(Some(entry))
            }
            Lookup::NotYet => Ok(None),
            Lookup::Gone { oldest } => Err(FeedError::Lagged { position: self.position(), oldest }),
        }
    }
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Feed").field("position", &self.position()).finish_non_exhaustive()
    }
}
