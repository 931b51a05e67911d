//! JSON in colours, for terminals.

use serde_json::Value;

/// The colours when nothing names others: texts, booleans, numbers, nulls, names.
const USUAL: [&str; 5] = ["32", "33", "36", "90", "34;1"];

/// What each kind of JSON looks like, as the numbers of a terminal's escape sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Colors([String; 5]);

impl Default for Colors {
    fn default() -> Self {
        Self(USUAL.map(str::to_owned))
    }
}

impl Colors {
    /// Reads `0=32;1=33;4=34,1`: places that are not named keep the usual colour, those that nothing uses are ignored.
    /// Nothing when it is not of this form.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut colors = Self::default();
        for part in text.split(';').filter(|part| !part.trim().is_empty()) {
            let (place, numbers) = part.split_once('=')?;
            let place: usize = place.trim().parse().ok()?;
            let numbers: Result<Vec<u8>, _> =
                numbers.split(',').map(|number| number.trim().parse()).collect();
            let numbers: Vec<String> = numbers.ok()?.iter().map(u8::to_string).collect();
            if let Some(color) = colors.0.get_mut(place) {
                *color = numbers.join(";");
            }
        }
        Some(colors)
    }

    /// Writes a value with two spaces of indentation.
    pub(super) fn json(&self, value: &Value) -> String {
        let mut text = String::new();
        self.write(value, 0, &mut text);
        text
    }

    fn write(&self, value: &Value, depth: usize, to: &mut String) {
        let inner = "  ".repeat(depth + 1);
        let end = format!("\n{}", "  ".repeat(depth));
        match value {
            Value::Object(members) if !members.is_empty() => {
                for (place, (name, member)) in members.iter().enumerate() {
                    to.push_str(if place == 0 { "{\n" } else { ",\n" });
                    to.push_str(&inner);
                    self.paint(4, &Value::String(name.clone()).to_string(), to);
                    to.push_str(": ");
                    self.write(member, depth + 1, to);
                }
                to.push_str(&end);
                to.push('}');
            }
            Value::Array(items) if !items.is_empty() => {
                for (place, item) in items.iter().enumerate() {
                    to.push_str(if place == 0 { "[\n" } else { ",\n" });
                    to.push_str(&inner);
                    self.write(item, depth + 1, to);
                }
                to.push_str(&end);
                to.push(']');
            }
            Value::Object(_) | Value::Array(_) => to.push_str(&value.to_string()),
            Value::String(_) => self.paint(0, &value.to_string(), to),
            Value::Bool(_) => self.paint(1, &value.to_string(), to),
            Value::Number(_) => self.paint(2, &value.to_string(), to),
            Value::Null => self.paint(3, "null", to),
        }
    }

    fn paint(&self, place: usize, text: &str, to: &mut String) {
        let color = self.0.get(place).map_or("0", String::as_str);
        to.push_str("\u{1b}[");
        to.push_str(color);
        to.push('m');
        to.push_str(text);
        to.push_str("\u{1b}[0m");
    }
}
