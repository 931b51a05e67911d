//! What a simulated machine shows on its screen.

use std::io::{self, Write as _};

use tokio::time::Instant;

/// Writes steps with the time since power-on to standard error.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    power_on: Instant,
}

impl Progress {
    /// Starts the clock.
    pub(super) fn start() -> Self {
        Self { power_on: Instant::now() }
    }

    /// Tells a step.
    pub(super) fn say(&self, step: &str) {
        let line = format!("[{:8.3}] {step}\n", self.power_on.elapsed().as_secs_f64());
        // Nobody is left to tell when standard error is closed.
        io::stderr().write_all(line.as_bytes()).ok();
    }
}
