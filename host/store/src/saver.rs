//! The thread that saves: it makes a group durable, shows the new state, and only then answers the writers.

use std::{
    io,
    sync::{Arc, mpsc as groups},
    task::{Context, Poll},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio::sync::{mpsc, watch};

use crate::{
    BackendError, Limits, Revision,
    backend::Backend,
    group::{self, Answer, Group},
    published::Published,
};

/// The owner of the backend.
pub(crate) struct Saver {
    pub(crate) backend: Box<dyn Backend>,
    pub(crate) published: Arc<Published>,
    pub(crate) news: watch::Sender<Revision>,
    pub(crate) limits: Limits,
}

/// What became of a group.
pub(crate) enum Saved {
    /// It is durable and can be seen.
    Durable {
        /// How many wait for it.
        writers: usize,
        /// How long the backend took.
        took: Duration,
    },
    /// It is not; those who wait for it have heard nothing yet.
    Failed(Vec<Answer>, BackendError),
}

/// The way to the thread and back. There is at most one group on it.
pub(crate) struct Saves {
    groups: groups::Sender<Group>,
    saved: mpsc::Receiver<Saved>,
    thread: JoinHandle<()>,
}

/// Reads the clock, which decides here only how long a group waits for company, and nothing that is saved.
#[expect(clippy::disallowed_methods, reason = "a flush takes as long as it takes")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

impl Saver {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// The system gives none.
    pub(crate) fn spawn(mut self) -> io::Result<Saves> {
        let (groups, received) = groups::channel();
        let (sender, saved) = mpsc::channel(1);
        let thread = thread::Builder::new().name(String::from("saver")).spawn(move || {
            while let Ok(group) = received.recv() {
                self.save(group, &sender);
            }
            self.backend.close();
        })?;
        Ok(Saves { groups, saved, thread })
    }

    fn save(&mut self, mut group: Group, told: &mpsc::Sender<Saved>) {
        let revision = group.state.revision;
        let keep_from = self.published.keep_from(&group.added, &self.limits);
        group.batch.revision = revision;
        group.batch.keep_from = keep_from;
        let tell = |saved| {
            // Nobody hears it when the committer has ended in a panic.
            let _ = told.blocking_send(saved);
        };
        let begin = now();
        if let Err(error) = self.backend.commit(group.batch) {
            return tell(Saved::Failed(group.answers, error));
        }
        let replaced = self.published.publish(group.state, group.added, keep_from);
        tell(Saved::Durable { writers: group.answers.len(), took: now().saturating_duration_since(begin) });
        // Writers before readers of the feed, which would keep the processors from them; and to drop what was replaced takes as
        // long as to make it.
        group::answer(group.answers, None);
        self.news.send_replace(revision);
        drop(replaced);
        self.backend.tidy();
    }
}

impl Saves {
    /// Begins to save a group.
    pub(crate) fn save(&self, group: Group) {
        // Should the thread have ended in a panic, the group goes, and its writers hear that the store is closed.
        let _ = self.groups.send(group);
    }

    /// Waits for what became of the group; nothing when the thread has ended.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Saved>> {
        self.saved.poll_recv(context)
    }

    /// Ends the thread after the group that is on the way; then the backend is released.
    pub(crate) fn end(self) {
        drop((self.groups, self.saved));
        // A panic has told of itself.
        let _ = self.thread.join();
    }
}
