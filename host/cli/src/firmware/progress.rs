//! The steps of the boot on standard error, with the time since power-on.

use std::io::Write;

use tokio::time::Instant;

/// The longest line that is shown, in characters: most of it comes from the network.
const MAX_LINE: usize = 2000;

/// Where the steps are shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    started: Instant,
}

impl Progress {
    /// Starts the clock.
    pub(crate) fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// Returns the seconds since power-on.
    pub(crate) fn seconds(&self) -> u64 {
        self.started.elapsed().as_secs()
    }

    /// Shows a step. Control characters, which could play with a terminal, become `?`.
    pub(crate) fn line(&self, text: &str) {
        let text: String =
            text.chars().take(MAX_LINE).map(|c| if c.is_control() { '?' } else { c }).collect();
        let seconds = self.started.elapsed().as_secs_f64();
        // Nobody reads it: no reason to stop the boot.
        let _ = writeln!(std::io::stderr().lock(), "firmware: [{seconds:>6.3}s] {text}");
    }
}
