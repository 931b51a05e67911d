//! One figure, as a suite prints it and as a table shows it.

use serde::Deserialize;

/// A figure, what it is compared with, and whether it is good enough.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    /// The suite.
    pub(crate) bench: String,
    /// What was measured.
    pub(crate) case: String,
    /// The figure; `None` where it could not be measured.
    pub(crate) value: Option<f64>,
    /// What it counts.
    pub(crate) unit: String,
    /// What does the same work another way, or why there is no figure.
    pub(crate) peer: Option<String>,
    /// The peer's figure, in the same unit.
    pub(crate) peer_value: Option<f64>,
    /// How many times better the figure is than its peer's; below 1 it is worse.
    pub(crate) ratio: Option<f64>,
    /// What the figure should reach, such as `< 25`.
    pub(crate) target: Option<String>,
    /// Whether it does.
    pub(crate) met: Option<bool>,
}

impl Row {
    /// Returns the cells of a table, in the order of the fields.
    pub(crate) fn cells(&self) -> Vec<String> {
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
