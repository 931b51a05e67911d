//! When to repeat: a timer that learns the client's round trip (after RFC 6298).

/// Before anything is known of the client, and right for one that is busy starting up.
const FIRST_MS: u64 = 500;

/// Less would repeat because of a scheduling hiccup. A lock-step transfer that loses packets waits this long for each,
/// where the usual fixed timer waits a second.
const MIN_MS: u64 = 40;

/// The longest wait between two repeats.
const MAX_MS: u64 = 4_000;

/// How often the same packets are repeated before the client counts as gone: after 20 to 36 s.
const MAX_REPEATS: u32 = 10;

/// The same for a client that never answered, after 11 s: its request may have been sent in its name by another, and
/// a real client asks anew.
const MAX_REPEATS_UNANSWERED: u32 = 4;

/// The time to wait for an answer.
#[derive(Debug, Clone)]
pub(super) struct Timer {
    /// Smoothed round trip and its variation, in 1/8 ms so that a fast network does not round to nothing.
    estimate: Option<(u64, u64)>,
    wait_ms: u64,
    ceiling_ms: u64,
    repeats: u32,
    answered: bool,
}

impl Timer {
    /// Starts with a ceiling that the client may have asked for (RFC 2349).
    pub(super) fn new(timeout_secs: Option<u64>) -> Self {
        let ceiling_ms = timeout_secs.map_or(MAX_MS, |secs| secs.saturating_mul(1000)).clamp(MIN_MS, MAX_MS);
        Self { estimate: None, wait_ms: FIRST_MS.min(ceiling_ms), ceiling_ms, repeats: 0, answered: false }
    }

    /// Returns how long to wait for an answer, in milliseconds.
    pub(super) fn wait_ms(&self) -> u64 {
        self.wait_ms
    }

    /// Notes progress. `sample_ms` is the round trip, known only where nothing was repeated: the answer to a
    /// repeated packet may be to its first copy (Karn's rule). Without a sample the longer wait stays.
    pub(super) fn progress(&mut self, sample_ms: Option<u64>) {
        self.repeats = 0;
        self.answered = true;
        let Some(sample) = sample_ms.map(|sample| sample.min(MAX_MS) * 8) else {
            return;
        };
        let (smoothed, variation) = match self.estimate {
            None => (sample, sample / 2),
            Some((smoothed, variation)) => {
                let error = smoothed.abs_diff(sample);
                ((smoothed * 7 + sample) / 8, (variation * 3 + error) / 4)
            }
        };
        self.estimate = Some((smoothed, variation));
        self.wait_ms = ((smoothed + variation * 4) / 8).max(MIN_MS).min(self.ceiling_ms);
    }

    /// Notes that nothing came; false when it is time to give up.
    pub(super) fn expired(&mut self) -> bool {
        self.repeats += 1;
        self.wait_ms = (self.wait_ms * 2).min(self.ceiling_ms);
        self.repeats <= if self.answered { MAX_REPEATS } else { MAX_REPEATS_UNANSWERED }
    }
}
