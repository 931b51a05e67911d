//! Whether a group waits for the writers who have just been answered.
//!
//! A writer who sends one change after the other comes back right after the answer. Were the next group handed over before
//! that, few steady writers would fall into two halves, each with a flush of its own.

use std::time::{Duration, Instant};

/// The longest time that a group waits.
const WAIT_MAX: Duration = Duration::from_millis(1);

/// The most writers that a group waits for: groups of more share a flush well enough, and each of their members would wait.
const WRITERS_MAX: usize = 16;

/// The writers who were answered last and may come back at once.
#[derive(Default)]
pub(crate) struct Reunion {
    missing: usize,
    until: Option<Instant>,
}

impl Reunion {
    /// Begins to expect writers who are answered now. The wait ends after half of the time that their flush took, which they
    /// would wait for longer in a group of their own.
    pub(crate) fn of(writers: usize, took: Duration, now: Instant) -> Self {
        let missing = if writers > WRITERS_MAX { 0 } else { writers };
        Self { missing, until: now.checked_add((took / 2).min(WAIT_MAX)) }
    }

    /// Takes note of a writer who came.
    pub(crate) fn came(&mut self) {
        self.missing = self.missing.saturating_sub(1);
    }

    /// Returns until when it is worth to wait; nothing when all have come or their time is over.
    pub(crate) fn until(&self, now: Instant) -> Option<Instant> {
        self.until.filter(|until| self.missing > 0 && now < *until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLUSH: Duration = Duration::from_micros(600);

    /// An instant that only serves to count from.
    #[expect(clippy::disallowed_methods, reason = "nothing depends on when it is")]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn wait_ends_when_all_who_were_answered_have_come() {
        let now = start();
        let mut reunion = Reunion::of(2, FLUSH, now);
        reunion.came();
        assert!(reunion.until(now).is_some());
        reunion.came();
        assert_eq!(reunion.until(now), None);
    }

    #[test]
    fn wait_ends_after_half_a_flush_and_after_a_millisecond_at_most() {
        let now = start();
        for (took, wait) in [(FLUSH, FLUSH / 2), (Duration::from_secs(9), WAIT_MAX)] {
            let reunion = Reunion::of(2, took, now);
            assert_eq!(reunion.until(now), Some(now + wait));
            assert_eq!(reunion.until(now + wait), None);
        }
    }

    #[test]
    fn nobody_waits_for_many_writers_or_before_the_first_were_answered() {
        let now = start();
        assert_eq!(Reunion::of(WRITERS_MAX + 1, FLUSH, now).until(now), None);
        assert_eq!(Reunion::default().until(now), None);
    }
}
