//! What the commands print: steps, results, and times since a start.

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

/// Prints one line to standard output. A closed pipe is no reason to stop.
pub(crate) fn say(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// A monotonic clock that starts when it is made; the only place where this program reads time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one real clock of this program; it measures and times out"
    )]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Returns the time since the start.
    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }

    /// Prints `line` behind the seconds since the start: `[ 12.3s] line`.
    pub(crate) fn say(self, line: &str) {
        say(&format!("{} {line}", stamp(self.elapsed())));
    }
}

/// Returns `elapsed` as it stands before a step: `[ 12.3s]`.
pub(crate) fn stamp(elapsed: Duration) -> String {
    format!("[{:5.1}s]", elapsed.as_secs_f64())
}

/// Returns `rows` as lines with aligned columns; the first row is the head.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_a_table_are_as_wide_as_their_widest_cell() {
        let row = |a: &str, b: &str| vec![a.to_owned(), b.to_owned()];
        let text = table(&[row("step", "time"), row("format", "0.1s"), row("a longer step", "12.0s")]);
        assert_eq!(text, "step           time\nformat         0.1s\na longer step  12.0s");
    }

    #[test]
    fn stamp_has_one_decimal_and_a_steady_width() {
        assert_eq!(stamp(Duration::from_millis(12_340)), "[ 12.3s]");
        assert_eq!(stamp(Duration::from_millis(40)), "[  0.0s]");
    }
}
