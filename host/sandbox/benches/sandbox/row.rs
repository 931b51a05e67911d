//! One line of the result.

use serde::Serialize;

/// A figure, what it is compared with, and whether it is good enough.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Row {
    /// The program that measured.
    bench: &'static str,
    /// What was measured.
    case: String,
    /// The figure; `None` where it could not be measured.
    value: Option<f64>,
    /// What it counts.
    unit: &'static str,
    /// What does the same work another way, or why there is no figure.
    peer: Option<String>,
    /// The peer's figure, in the same unit.
    peer_value: Option<f64>,
    /// How many times better this is than its peer; below 1 it is worse.
    ratio: Option<f64>,
    /// What the figure should reach, such as `< 25`.
    target: Option<String>,
    /// Whether it does.
    met: Option<bool>,
}

/// What a figure should reach.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    /// Less than this.
    Below(f64),
    /// At least this.
    AtLeast(f64),
}

impl Row {
    /// A figure by itself.
    pub(crate) fn new(case: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { bench: "sandbox", case: case.into(), value: Some(value), unit, ..Self::default() }
    }

    /// A case without a figure, and the reason.
    pub(crate) fn without(case: impl Into<String>, unit: &'static str, reason: impl Into<String>) -> Self {
        Self { bench: "sandbox", case: case.into(), unit, ..Self::default() }.with_note(reason)
    }

    /// Compares with a peer. Of times and sizes the lesser is better, of rates the greater.
    pub(crate) fn beside(self, peer: impl Into<String>, peer_value: f64) -> Self {
        let ratio = self
            .value
            .map(|value| if self.unit.ends_with("/s") { value / peer_value } else { peer_value / value });
        Self { peer: Some(peer.into()), peer_value: Some(peer_value), ratio, ..self }
    }

    /// Says something in the place of a peer.
    pub(crate) fn with_note(self, words: impl Into<String>) -> Self {
        Self { peer: Some(words.into()), ..self }
    }

    /// Sets what the figure should reach.
    pub(crate) fn reaches(self, target: Target) -> Self {
        let (words, met) = match target {
            Target::Below(limit) => (format!("< {limit}"), self.value.map(|value| value < limit)),
            Target::AtLeast(limit) => (format!(">= {limit}"), self.value.map(|value| value >= limit)),
        };
        Self { target: Some(words), met, ..self }
    }

    /// Prints it as one line of JSON.
    #[expect(clippy::print_stdout, reason = "its output is what the program is for")]
    pub(crate) fn print(&self) {
        println!("{}", serde_json::json!(self));
    }
}
