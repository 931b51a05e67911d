//! Something that happens often and is told seldom.

use std::time::Duration;

use tokio::time::Instant;

/// How long nothing is told after something was.
const PAUSE: Duration = Duration::from_secs(10);

/// Counts what happens between one telling and the next.
#[derive(Debug, Default)]
pub(super) struct Seldom {
    told: Option<Instant>,
    count: u64,
}

impl Seldom {
    /// Notes that it happened; returns how often since it was last told, when it is to be told now.
    pub(super) fn note(&mut self, now: Instant) -> Option<u64> {
        self.count += 1;
        if self.told.is_some_and(|told| now.saturating_duration_since(told) < PAUSE) {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flood_is_told_at_once_and_then_every_ten_seconds_with_its_number() {
        let (began, mut seldom) = (Instant::now(), Seldom::default());
        assert_eq!(seldom.note(began), Some(1));
        for millis in 1..10_000 {
            assert_eq!(seldom.note(began + Duration::from_millis(millis)), None);
        }
        assert_eq!(seldom.note(began + PAUSE), Some(10_000));
        assert_eq!(seldom.note(began + PAUSE), None);
    }
}
