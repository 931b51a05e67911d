//! One figure, as a suite prints it and as a table shows it.

use serde::{Deserialize, Serialize};

/// A figure, what it is compared with, and whether it is good enough.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// The suite.
    pub bench: String,
    /// What was measured.
    pub case: String,
    /// The figure; `None` where it could not be measured.
    pub value: Option<f64>,
    /// What it counts.
    pub unit: String,
    /// What does the same work another way, or why there is no figure.
    pub peer: Option<String>,
    /// The peer's figure, in the same unit.
    pub peer_value: Option<f64>,
    /// How many times better the figure is than its peer's; below 1 it is worse.
    pub ratio: Option<f64>,
    /// What the figure should reach, such as `< 25`.
    pub target: Option<String>,
    /// Whether it does.
    pub met: Option<bool>,
}

/// What a figure should reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// Less than this.
    Below(f64),
    /// At least this.
    AtLeast(f64),
}

impl Row {
    /// A figure by itself.
    #[must_use]
    pub fn new(bench: &str, case: impl Into<String>, value: f64, unit: &str) -> Self {
        Self { value: Some(value), ..Self::named(bench, case.into(), unit) }
    }

    /// A case without a figure, and the reason.
    #[must_use]
    pub fn without(bench: &str, case: impl Into<String>, unit: &str, reason: impl Into<String>) -> Self {
        Self::named(bench, case.into(), unit).with_note(reason)
    }

    /// Compares with a peer. Of times and sizes the lesser is better, of rates the greater.
    #[must_use]
    pub fn beside(self, peer: impl Into<String>, peer_value: f64) -> Self {
        let ratio = self
            .value
            .map(|value| if self.unit.ends_with("/s") { value / peer_value } else { peer_value / value });
        Self { peer: Some(peer.into()), peer_value: Some(peer_value), ratio, ..self }
    }

    /// Says something in the place of a peer.
    #[must_use]
    pub fn with_note(self, words: impl Into<String>) -> Self {
        Self { peer: Some(words.into()), ..self }
    }

    /// Sets what the figure should reach.
    #[must_use]
    pub fn reaches(self, target: Target) -> Self {
        let (words, met) = match target {
            Target::Below(limit) => (format!("< {limit}"), self.value.map(|value| value < limit)),
            Target::AtLeast(limit) => (format!(">= {limit}"), self.value.map(|value| value >= limit)),
        };
        Self { target: Some(words), met, ..self }
    }

    /// Prints it as one line of JSON.
    #[expect(clippy::print_stdout, reason = "its output is what the program is for")]
    pub fn print(&self) {
        println!("{}", serde_json::json!(self));
    }

    /// Returns the cells of a table, in the order of the fields.
    #[must_use]
    pub fn cells(&self) -> Vec<String> {
        let number = |value: Option<f64>| value.map(three_digits).unwrap_or_default();
        let met = match self.met {
            Some(true) => "yes",
            Some(false) => "NO",
            None => "",
        };
        vec![
            self.bench.clone(),
            self.case.clone(),
            number(self.value),
            self.unit.clone(),
            self.peer.clone().unwrap_or_default(),
            number(self.peer_value),
            number(self.ratio),
            self.target.clone().unwrap_or_default(),
            met.to_owned(),
        ]
    }

    fn named(bench: &str, case: String, unit: &str) -> Self {
        Self { bench: bench.to_owned(), case, unit: unit.to_owned(), ..Self::default() }
    }
}

/// Returns a number with three digits that mean something.
fn three_digits(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        small if small >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_of_a_suite_becomes_a_line_of_the_table() {
        let text = r#"{"bench":"sandbox","case":"fresh call","value":17.26,"unit":"us","peer":"child",
            "peer_value":1030.4,"ratio":59.7,"target":"< 25","met":true}"#;
        let row: Row = serde_json::from_str(text).unwrap();
        let cells = ["sandbox", "fresh call", "17.3", "us", "child", "1030", "59.7", "< 25", "yes"];
        assert_eq!(row.cells(), cells);
    }

    #[test]
    fn case_without_a_figure_says_why() {
        let text = r#"{"bench":"sandbox","case":"extism","value":null,"unit":"x","peer":"not run: why",
            "peer_value":null,"ratio":null,"target":null,"met":null}"#;
        let row: Row = serde_json::from_str(text).unwrap();
        assert_eq!(row.cells(), ["sandbox", "extism", "", "x", "not run: why", "", "", "", ""]);
    }
}
