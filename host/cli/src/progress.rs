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

fn target() -> ProgressDrawTarget {
    if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() }
}
