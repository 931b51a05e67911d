//! The last lines of each plugin's log, in memory. The endpoint's own log has all of them.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use formwork_model::Timestamp;
use serde::Serialize;

/// The most lines that are kept for one plugin.
const MAX_LINES: usize = 1000;

/// The most bytes of messages that are kept for one plugin.
const MAX_BYTES: usize = 256 << 10;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Line {
    /// When it was written.
    pub(crate) time: Timestamp,
    /// How much it matters: `debug`, `info`, `warn` or `error`.
    pub(crate) level: &'static str,
    /// What it says.
    pub(crate) message: String,
}

/// The last lines of all plugins, by name.
#[derive(Debug, Default)]
pub(crate) struct Lines(Mutex<HashMap<String, Ring>>);

#[derive(Debug, Default)]
struct Ring {
    lines: VecDeque<Line>,
    bytes: usize,
}

impl Lines {
    /// Writes a line into the log of a plugin, and into that of the endpoint.
    pub(crate) fn push(&self, plugin: &str, line: Line) {
        let message = line.message.as_str();
        match line.level {
            "error" => tracing::error!(plugin, "{message}"),
            "warn" => tracing::warn!(plugin, "{message}"),
            "debug" => tracing::debug!(plugin, "{message}"),
            _ => tracing::info!(plugin, "{message}"),
        }
        let mut rings = self.lock();
        let ring = rings.entry(plugin.to_owned()).or_default();
        ring.bytes += line.message.len();
        ring.lines.push_back(line);
        while ring.lines.len() > MAX_LINES || (ring.bytes > MAX_BYTES && ring.lines.len() > 1) {
            ring.bytes -= ring.lines.pop_front().map_or(0, |line| line.message.len());
        }
    }

    /// Returns the lines of a plugin, the oldest first.
    pub(crate) fn of(&self, plugin: &str) -> Vec<Line> {
        self.lock().get(plugin).map(|ring| ring.lines.iter().cloned().collect()).unwrap_or_default()
    }

    /// Forgets the lines of a plugin that is gone.
    pub(crate) fn forget(&self, plugin: &str) {
        self.lock().remove(plugin);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Ring>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(message: String) -> Line {
        Line { time: Timestamp::from_millis(0), level: "debug", message }
    }

    #[test]
    fn oldest_lines_go_when_there_are_too_many() {
        let lines = Lines::default();
        (0..=MAX_LINES).for_each(|number| lines.push("p", line(number.to_string())));
        let kept = lines.of("p");
        assert_eq!((kept.len(), kept[0].message.as_str()), (MAX_LINES, "1"));
    }

    #[test]
    fn oldest_lines_go_when_they_are_too_long_but_the_last_one_stays() {
        let lines = Lines::default();
        (0..3).for_each(|_| lines.push("p", line("x".repeat(MAX_BYTES))));
        assert_eq!(lines.of("p").len(), 1);
        lines.push("p", line(String::from("y")));
        assert_eq!(lines.of("p").len(), 1, "both together are too long");
        lines.push("p", line(String::from("z")));
        assert_eq!(lines.of("p").len(), 2);
        assert!(lines.of("other").is_empty());
    }
}
