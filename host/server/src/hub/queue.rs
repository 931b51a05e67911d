//! What waits for one listener.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use axum::extract::ws::Utf8Bytes;
use formwork_store::Revision;
use tokio::sync::Notify;

/// Events that may wait: what a reader that stands still for a few seconds of a busy site has to catch up with.
pub(super) const MAX_EVENTS: usize = 8192;

/// Bytes that may wait. Texts are shared by all who wait for them, but in the worst case each listener waits for others. It is
/// a hundred events with inventories, each of which holds its object twice.
pub(super) const MAX_BYTES: usize = 16 << 20;

/// Bytes that are taken at once: as much as a socket takes without waiting, more or less.
const BATCH_BYTES: usize = 64 << 10;

/// A text on its way to one listener.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    /// The text.
    pub(crate) text: Utf8Bytes,
    /// The entry of the store that it tells of; nothing when it tells of none.
    pub(crate) entry: Option<Revision>,
}

/// Why nothing more comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The listener does not keep up. It has got all that it wants up to this revision, if it got what was taken.
    Slow(Revision),
    /// The endpoint goes down.
    Down,
}

impl fmt::Display for End {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The words of a farewell have 123 bytes (RFC 6455, section 5.5).
            Self::Slow(Revision(revision)) => {
                write!(formatter, "slow reader: too many events wait; go on with `since={revision}`")
            }
            Self::Down => formatter.write_str("the endpoint goes down"),
        }
    }
}

/// The texts that wait for one listener: one side puts, the other takes.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    /// Rung when there is something to take.
    news: Notify,
    /// Rung when the listener does not keep up, for a sending that stands still.
    cut: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    pieces: VecDeque<Piece>,
    bytes: usize,
    end: Option<End>,
}

impl Queue {
    /// Adds texts that belong together; `at` is the revision up to which everything is here with them, or was not wanted.
    /// Tells whether there was room. Without it nothing waits any more: the listener is at its end.
    ///
    /// Where nothing waits there is always room, so that a single large entry ends no listener that keeps up.
    pub(super) fn put(&self, pieces: Vec<Piece>, at: Revision) -> bool {
        let mut waiting = self.lock();
        if waiting.end.is_some() {
            return false;
        }
        let bytes = pieces.iter().map(|piece| piece.text.len()).sum::<usize>();
        let fits = waiting.pieces.len() + pieces.len() <= MAX_EVENTS && waiting.bytes + bytes <= MAX_BYTES;
        if fits || waiting.pieces.is_empty() {
            waiting.bytes += bytes;
            waiting.pieces.extend(pieces);
        } else {
            let missed = waiting.pieces.iter().chain(&pieces).find_map(|piece| piece.entry);
            *waiting =
                Waiting { end: Some(End::Slow(missed.map_or(at, Revision::previous))), ..Waiting::default() };
            self.cut.notify_one();
        }
        let fitted = waiting.end.is_none();
        drop(waiting);
        self.news.notify_one();
        fitted
    }

    /// Ends it after what waits.
    pub(super) fn end(&self, end: End) {
        self.lock().end.get_or_insert(end);
        self.news.notify_one();
    }

    /// Returns the revision of the first entry that waits.
    pub(super) fn first(&self) -> Option<Revision> {
        self.lock().pieces.iter().find_map(|piece| piece.entry)
    }

    /// Waits for texts and takes some. Dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// Nothing more comes.
    pub(super) async fn take(&self) -> Result<Vec<Piece>, End> {
        loop {
            if let Some(taken) = self.try_take() {
                return taken;
            }
            self.news.notified().await;
        }
    }

    /// Takes some of the texts that are there.
    pub(super) fn try_take(&self) -> Option<Result<Vec<Piece>, End>> {
        let mut waiting = self.lock();
        if waiting.pieces.is_empty() {
            return waiting.end.map(Err);
        }
        let mut left = BATCH_BYTES;
        let mut taken = Vec::new();
        while let Some(piece) =
            waiting.pieces.pop_front_if(|piece| taken.is_empty() || piece.text.len() <= left)
        {
            left = left.saturating_sub(piece.text.len());
            waiting.bytes -= piece.text.len();
            taken.push(piece);
        }
        Some(Ok(taken))
    }

    /// Waits until the listener does not keep up; it may be at its end for another reason and never be told here.
    pub(super) async fn cut(&self) -> End {
        loop {
            if let Some(end @ End::Slow(_)) = self.lock().end {
                return end;
            }
            self.cut.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(revision: u64, bytes: usize) -> Piece {
        Piece { text: "x".repeat(bytes).into(), entry: Some(Revision(revision)) }
    }

    /// Puts texts of as many bytes until there is no room, and returns how many were taken in.
    fn filled(queue: &Queue, bytes: usize) -> u64 {
        let mut revision = 1;
        while queue.put(vec![piece(revision, bytes)], Revision(revision)) {
            let waiting = queue.lock();
            assert!(waiting.pieces.len() <= MAX_EVENTS && waiting.bytes <= MAX_BYTES);
            drop(waiting);
            revision += 1;
        }
        revision - 1
    }

    #[test]
    fn blocked_listener_costs_bounded_memory_and_none_once_it_is_given_up() {
        for (bytes, most) in [(1 << 20, MAX_BYTES >> 20), (1, MAX_EVENTS)] {
            let queue = Queue::default();
            assert_eq!(usize::try_from(filled(&queue, bytes)).unwrap(), most);
            let waiting = queue.lock();
            assert_eq!((waiting.pieces.capacity(), waiting.bytes), (0, 0));
            drop(waiting);
            assert!(!queue.put(vec![piece(9, 1)], Revision(9)), "it is at its end");
            assert_eq!(queue.try_take().unwrap().unwrap_err(), End::Slow(Revision(0)));
        }
    }

    #[test]
    fn reader_that_is_given_up_resumes_before_the_first_text_that_it_did_not_take() {
        let queue = Queue::default();
        assert!(queue.put(vec![piece(4, 1), piece(5, BATCH_BYTES)], Revision(5)));
        assert_eq!(queue.try_take().unwrap().unwrap().len(), 1);
        filled(&queue, 1 << 20);
        assert_eq!(queue.try_take().unwrap().unwrap_err(), End::Slow(Revision(4)));
        let passing = Queue::default();
        while passing.put(vec![Piece { text: "x".into(), entry: None }], Revision(7)) {}
        assert_eq!(passing.try_take().unwrap().unwrap_err(), End::Slow(Revision(7)));
    }

    #[test]
    fn single_entry_that_is_larger_than_the_room_is_taken_in_when_nothing_waits() {
        let queue = Queue::default();
        assert!(queue.put(vec![piece(1, MAX_BYTES + 1)], Revision(1)));
        assert_eq!(queue.try_take().unwrap().unwrap().len(), 1);
        assert!(queue.put((0..=MAX_EVENTS).map(|_| piece(2, 1)).collect(), Revision(2)));
    }

    #[test]
    fn farewell_fits_its_frame() {
        assert!(End::Slow(Revision(u64::MAX)).to_string().len() <= 123);
    }
}
