//! What one listener wants, and what it gets.

use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use formwork_api::EventFilter;
use formwork_store::{Entry, Revision};
use tokio::sync::Notify;

use super::{
    queue::{End, Piece, Queue},
    router::{Router, Subscriber},
    told::Told,
};
use crate::auth::Caller;

/// The filters that one listener may have.
pub(crate) const MAX_FILTERS: usize = 10_000;

/// What the filters of one listener may take, in bytes: 10,000 of them, each for one object.
const MAX_FILTER_BYTES: usize = 4 << 20;

/// What a value of a filter takes beside its text, in bytes.
const VALUE_BYTES: usize = 64;

/// A listener's place among all. It ends with this.
pub(crate) struct Subscription {
    router: Arc<Router>,
    id: u64,
    queue: Arc<Queue>,
    doubt: Arc<Notify>,
    filters: Vec<Filter>,
    filter_bytes: usize,
    next_filter: u64,
}

/// A filter as it was asked for.
struct Filter {
    text: String,
    number: u64,
    parsed: Arc<EventFilter>,
}

/// Returns about how many bytes a filter with this text takes.
fn bytes(text: &str) -> usize {
    text.len() + VALUE_BYTES * (3 + text.matches(',').count())
}

impl Subscription {
    /// Adds a listener, who wants nothing yet. One that resumes gets no entries of the store before it goes live.
    pub(super) fn new(router: Arc<Router>, caller: Caller, resumes: bool) -> Self {
        let subscriber = Subscriber::new(caller, resumes);
        let (queue, doubt) = (Arc::clone(&subscriber.queue), Arc::clone(&subscriber.doubt));
        let id = router.add(subscriber);
        Self { router, id, queue, doubt, filters: Vec::new(), filter_bytes: 0, next_filter: 0 }
    }

    /// Tells whether anything is wanted.
    pub(crate) fn wants_something(&self) -> bool {
        !self.filters.is_empty()
    }

    /// Adds a filter, from now on.
    ///
    /// # Errors
    ///
    /// It is malformed, or there are too many; the words for the listener.
    pub(crate) fn register(&mut self, text: &str) -> Result<(), String> {
        if self.filters.len() >= MAX_FILTERS {
            return Err(format!("more than {MAX_FILTERS} filters"));
        }
        let bytes = bytes(text);
        if self.filter_bytes + bytes > MAX_FILTER_BYTES {
            return Err(format!(
                "the filters take more than {MAX_FILTER_BYTES} bytes\nhint: take `*` for long lists, or further connections"
            ));
        }
        let parsed = Arc::new(EventFilter::parse(text).map_err(|error| error.to_string())?);
        let number = self.next_filter;
        self.next_filter += 1;
        self.filter_bytes += bytes;
        self.router.at_present().index.add((self.id, number), &parsed);
        self.filters.push(Filter { text: text.to_owned(), number, parsed });
        Ok(())
    }

    /// Removes a filter with this text, if there is one, from now on.
    pub(crate) fn deregister(&mut self, text: &str) {
        let Some(place) = self.filters.iter().position(|filter| filter.text == text) else { return };
        let filter = self.filters.remove(place);
        self.filter_bytes -= bytes(&filter.text);
        self.router.at_present().index.remove((self.id, filter.number), &filter.parsed);
    }

    /// Puts the answer to a command after all that was routed before.
    pub(crate) fn answer(&self, text: Utf8Bytes) {
        let mut state = self.router.lock();
        let at = state.position();
        state.put(self.id, vec![Piece { text, entry: None }], at);
    }

    /// Waits until the listener may have lost rights, and has to be asked again who it is.
    pub(crate) fn doubted(&self) -> impl Future<Output = ()> + use<> {
        let doubt = Arc::clone(&self.doubt);
        async move { doubt.notified().await }
    }

    /// Notes what the listener may see from now on.
    pub(crate) fn set_caller(&self, caller: Caller) {
        if let Some(subscriber) = self.router.lock().subscriber(self.id) {
            subscriber.caller = caller;
        }
    }

    /// Returns what the listener gets of an entry that it replays.
    pub(crate) fn replayed(&self, entry: &Entry) -> Vec<Piece> {
        let events = self.router.of(entry);
        let mut state = self.router.lock();
        let Some(subscriber) = state.subscriber(self.id) else { return Vec::new() };
        let wanted = |told: &&Arc<Told>| {
            let named = |filter: &Filter| filter.parsed.matches(&told.r#type, &told.action, &told.key);
            self.filters.iter().any(named) && told.is_for(&subscriber.caller)
        };
        let wanted: Vec<_> = events.iter().filter(wanted).collect();
        subscriber.pieces(entry.revision, &wanted)
    }

    /// Gets entries from the router from now on, if it is at a revision; otherwise there is more to replay.
    pub(crate) fn goes_live(&self, at: Revision) -> bool {
        let mut state = self.router.at_present();
        let is_there = state.position() == at;
        if let Some(subscriber) = state.subscriber(self.id) {
            subscriber.is_live = is_there;
        }
        is_there
    }

    /// Returns the revision from which the listener can resume, if it got all that was taken.
    pub(crate) fn position(&self) -> Revision {
        let state = self.router.lock();
        self.queue.first().map_or(state.position(), Revision::previous)
    }

    /// Waits for texts and takes some. Dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// Nothing more comes.
    pub(crate) async fn take(&self) -> Result<Vec<Piece>, End> {
        self.queue.take().await
    }

    /// Waits until the listener does not keep up.
    pub(crate) async fn cut(&self) -> End {
        self.queue.cut().await
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut state = self.router.lock();
        for filter in &self.filters {
            state.index.remove((self.id, filter.number), &filter.parsed);
        }
        drop(state);
        self.router.remove(self.id);
    }
}
