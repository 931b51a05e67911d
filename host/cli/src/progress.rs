//! How far a transfer is, for people at a terminal.

use std::io::{self, IsTerminal as _};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Returns a bar for a transfer of so many bytes; one of unknown length only counts.
pub(crate) fn bar(length: Option<u64>) -> ProgressBar {
    let template = match length {
        Some(_) => "{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
        None => "{bytes} {bytes_per_sec}",
    };
    let bar = ProgressBar::with_draw_target(length, target());
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Returns a sign that something goes on, with a word about what.
pub(crate) fn spinner(word: &'static str) -> ProgressBar {
    ProgressBar::with_draw_target(None, target()).with_message(word)
}

/// Returns a line that is written over again and again.
pub(crate) fn line() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, target());
    match ProgressStyle::with_template("{msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn target() -> ProgressDrawTarget {
    if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_silent_without_a_terminal() {
        // Standard error of a test may be a terminal: then the bar shows, else it must not.
        let silent = !io::stderr().is_terminal();
        assert_eq!(bar(Some(10)).is_hidden(), silent);
        assert_eq!(bar(None).is_hidden(), silent);
        assert_eq!(spinner("received").is_hidden(), silent);
    }
}
