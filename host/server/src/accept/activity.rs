//! What a connection is doing, and from when on nobody waits for it any more.

use std::time::Duration;

use tokio::time::Instant;

/// How long a client may take from its connection to its first request.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);

/// How long a connection is kept without a request after its first one, where the HTTP library does not know it better.
pub(super) const IDLE: Duration = Duration::from_secs(120);

/// How long one waits until a client has taken [`LEAST_BYTES`] of what it is answered.
const STALL: Duration = Duration::from_secs(60);

/// What a client has to take in that time; anything that reads at all is faster.
const LEAST_BYTES: usize = 16 << 10;

/// What is known of a connection.
#[derive(Debug)]
pub(super) struct Activity {
    /// When it began, and later when it last got on.
    since: Instant,
    has_asked: bool,
    /// Requests whose answers are not handed over as a whole.
    in_flight: usize,
    /// Answers of which the client has a part to take before the next is asked for.
    offered: usize,
    /// True while the system takes no more bytes for the client.
    is_blocked: bool,
    /// Bytes that were taken since `since`.
    taken: usize,
    /// How long it may wait for its next request.
    idle: Duration,
}

impl Activity {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            since: now,
            has_asked: false,
            in_flight: 0,
            offered: 0,
            is_blocked: false,
            taken: 0,
            idle: IDLE,
        }
    }

    /// Notes a request; true when there was none in flight.
    pub(super) fn asked(&mut self, now: Instant) -> bool {
        self.change(now, |own| {
            own.has_asked = true;
            own.in_flight += 1;
        });
        self.in_flight == 1
    }

    /// Notes how long the connection may wait for its next request.
    pub(super) fn waits_for(&mut self, idle: Duration) {
        self.idle = idle;
    }

    /// Notes that an answer was handed over; true when none is left.
    pub(super) fn answered(&mut self, now: Instant) -> bool {
        self.change(now, |own| own.in_flight = own.in_flight.saturating_sub(1));
        self.in_flight == 0
    }

    /// Notes that the client has a part of an answer to take.
    pub(super) fn offered(&mut self, now: Instant) {
        self.change(now, |own| own.offered += 1);
    }

    /// Notes that an answer does not wait for the client, but for what makes it, or is over.
    pub(super) fn withdrawn(&mut self, now: Instant) {
        self.change(now, |own| own.offered = own.offered.saturating_sub(1));
    }

    /// Notes that the system takes no more bytes.
    pub(super) fn blocked(&mut self, now: Instant) {
        self.change(now, |own| own.is_blocked = true);
    }

    /// Notes that the system has taken all bytes.
    pub(super) fn flushed(&mut self, now: Instant) {
        self.change(now, |own| own.is_blocked = false);
    }

    /// Notes bytes that were taken. A few are no progress: else a client could take one at a time for ever.
    pub(super) fn took(&mut self, bytes: usize, now: Instant) {
        self.taken = self.taken.saturating_add(bytes);
        if self.taken >= LEAST_BYTES && self.has_asked {
            (self.taken, self.since) = (0, now);
        }
    }

    /// Returns when the connection is over if nothing happens; never while a request waits for its answer to be made.
    pub(super) fn deadline(&self) -> Option<Instant> {
        if self.is_on_client() {
            Some(self.since + STALL)
        } else if self.in_flight > 0 {
            None
        } else if self.has_asked {
            Some(self.since + self.idle)
        } else {
            Some(self.since + PATIENCE)
        }
    }

    fn is_on_client(&self) -> bool {
        self.has_asked && (self.is_blocked || self.offered > 0)
    }

    /// What a client does beside what it does not take gives it no more time for that.
    fn change(&mut self, now: Instant, change: impl FnOnce(&mut Self)) {
        let (was_on_client, had_asked) = (self.is_on_client(), self.has_asked);
        change(self);
        if self.has_asked && !(had_asked && was_on_client && self.is_on_client()) {
            (self.taken, self.since) = (0, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(began: Instant, seconds: u64) -> Instant {
        began + Duration::from_secs(seconds)
    }

    #[test]
    fn client_that_asks_nothing_is_over_whatever_else_it_does() {
        let began = Instant::now();
        let mut activity = Activity::new(began);
        activity.took(1 << 20, at(began, 9));
        activity.blocked(at(began, 10));
        activity.flushed(at(began, 11));
        assert_eq!(activity.deadline(), Some(at(began, 15)));
    }

    #[test]
    fn request_that_is_held_may_take_any_time_and_the_next_one_two_minutes() {
        let began = Instant::now();
        let mut activity = Activity::new(began);
        assert!(activity.asked(at(began, 1)));
        assert!(!activity.asked(at(began, 2)));
        assert_eq!(activity.deadline(), None);
        assert!(!activity.answered(at(began, 599)));
        assert_eq!(activity.deadline(), None);
        assert!(activity.answered(at(began, 600)));
        assert_eq!(activity.deadline(), Some(at(began, 720)));
    }

    #[test]
    fn answer_that_is_not_taken_ends_the_connection_also_beside_other_requests() {
        let began = Instant::now();
        let mut activity = Activity::new(began);
        activity.asked(began);
        activity.offered(at(began, 1));
        for second in 2..50 {
            activity.asked(at(began, second));
            activity.answered(at(began, second));
            activity.took(100, at(began, second));
        }
        assert_eq!(activity.deadline(), Some(at(began, 61)));
    }

    #[test]
    fn slow_reader_has_all_the_time_as_long_as_it_reads() {
        let began = Instant::now();
        let mut activity = Activity::new(began);
        activity.asked(began);
        activity.blocked(began);
        for minute in 0..60 {
            activity.took(LEAST_BYTES, at(began, 50 * minute));
            assert_eq!(activity.deadline(), Some(at(began, 50 * minute + 60)));
        }
        activity.flushed(at(began, 3_000));
        assert_eq!(activity.deadline(), None, "the rest of the answer is being made");
    }

    #[test]
    fn answer_that_is_handed_over_but_not_sent_counts_as_not_taken() {
        let began = Instant::now();
        let mut activity = Activity::new(began);
        activity.asked(began);
        activity.blocked(at(began, 1));
        assert!(activity.answered(at(began, 2)));
        assert_eq!(activity.deadline(), Some(at(began, 61)));
    }
}
