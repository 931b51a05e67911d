//! Clocks and medians.

use std::time::{Duration, Instant};

/// A clock that starts when it is made; the only one of this program.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    #[expect(clippy::disallowed_methods, reason = "the one real clock of programs that measure")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the start.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }

    /// The same in microseconds.
    pub fn micros(self) -> f64 {
        self.elapsed().as_secs_f64() * 1e6
    }

    /// The same in milliseconds.
    pub fn millis(self) -> f64 {
        self.elapsed().as_secs_f64() * 1e3
    }
}

/// Samples of one thing.
#[derive(Debug, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// Adds one.
    pub fn add(&mut self, value: f64) {
        self.0.push(value);
    }

    /// The value that a share of the samples, such as 0.5, is not above.
    pub fn quantile(&mut self, share: f64) -> f64 {
        self.0.sort_by(f64::total_cmp);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index of a list that fits into memory, times a share of one"
        )]
        let at = (self.0.len() as f64 * share) as usize;
        self.0.get(at.min(self.0.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
    }

    /// The value in the middle.
    pub fn median(&mut self) -> f64 {
        self.quantile(0.5)
    }
}
