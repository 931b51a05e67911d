//! Where results go: standard output, as JSON, YAML or a table.

use std::io::{self, Write};

use anyhow::Result;
use comfy_table::{Table, presets};
use serde::Serialize;
use serde_json::Value;

use crate::arguments::Format;

/// The longest text in a cell of a list; the rest is cut, for it would break the table.
const MAX_CELL: usize = 60;

/// The one place that writes results.
pub(crate) struct Output {
    format: Format,
    to: Box<dyn Write + Send>,
}

impl Output {
    /// Writes to standard output.
    pub(crate) fn stdout(format: Format) -> Self {
        Self { format, to: Box::new(io::stdout()) }
    }

    /// Tells whether results are for people.
    pub(crate) fn is_table(&self) -> bool {
        matches!(self.format, Format::Table)
    }

    /// Writes a value. In a table an object is one row a member, in the order of their names, and a list of objects one
    /// row an object with these columns; anything else is written as JSON.
    pub(crate) fn value(&mut self, value: &impl Serialize, columns: &[&str]) -> Result<()> {
        let value = serde_json::to_value(value)?;
        let text = match (self.format, &value) {
            (Format::Json, _) => serde_json::to_string_pretty(&value)?,
            (Format::Yaml, _) => serde_saphyr::to_string(&value)?.trim_end().to_owned(),
            (Format::Table, Value::Object(members)) => fields(members),
            (Format::Table, Value::Array(items)) if items.iter().all(Value::is_object) => {
                list(items, columns)
            }
            (Format::Table, _) => serde_json::to_string_pretty(&value)?,
        };
        self.line(&text)
    }

    /// Writes an object that is the answer to a command: in a table these columns only.
    pub(crate) fn row(&mut self, value: &impl Serialize, columns: &[&str]) -> Result<()> {
        match self.format {
            Format::Table => self.value(&[value], columns),
            _ => self.value(value, columns),
        }
    }

    /// Writes one of many values as soon as it is there: JSON in one line.
    pub(crate) fn item(&mut self, value: &impl Serialize, summary: &str) -> Result<()> {
        match self.format {
            Format::Json => self.line(&serde_json::to_string(value)?)?,
            Format::Yaml => {
                let text = serde_saphyr::to_string(value)?;
                self.line(&format!("---\n{}", text.trim_end()))?;
            }
            Format::Table => self.line(summary)?,
        }
        Ok(self.to.flush()?)
    }

    /// Writes a line of text, whatever the format.
    pub(crate) fn line(&mut self, text: &str) -> Result<()> {
        Ok(writeln!(self.to, "{text}")?)
    }

    /// Writes bytes as they are.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> Result<()> {
        self.to.write_all(bytes)?;
        Ok(self.to.flush()?)
    }
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    table
}

fn fields(members: &serde_json::Map<String, Value>) -> String {
    let mut table = table(&["Field", "Value"]);
    let mut names: Vec<&String> = members.keys().collect();
    names.sort();
    for name in names {
        let value = members.get(name).unwrap_or(&Value::Null);
        table.add_row([name.clone(), plain(value)]);
    }
    table.trim_fmt()
}

fn list(items: &[Value], columns: &[&str]) -> String {
    let columns = if columns.is_empty() { &["Name"][..] } else { columns };
    let mut table = table(columns);
    for item in items {
        table.add_row(columns.iter().map(|column| cell(item.get(*column).unwrap_or(&Value::Null))));
    }
    table.trim_fmt()
}

/// Returns a value as people write it.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
        }
        value => value.to_string(),
    }
}

fn cell(value: &Value) -> String {
    let text = plain(value).replace('\n', " ");
    if text.chars().count() <= MAX_CELL {
        return text;
    }
    let kept: String = text.chars().take(MAX_CELL - 3).collect();
    format!("{kept}...")
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::json;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(format: Format, value: &Value, columns: &[&str]) -> String {
        let kept = Kept::default();
        let mut output = Output { format, to: Box::new(kept.clone()) };
        output.value(value, columns).unwrap();
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn json_is_indented_and_yaml_is_yaml() {
        let value = json!({"Name": "x", "Tasks": ["a"]});
        assert_eq!(
            written(Format::Json, &value, &[]),
            "{\n  \"Name\": \"x\",\n  \"Tasks\": [\n    \"a\"\n  ]\n}\n"
        );
        assert_eq!(crate::input::parse(&written(Format::Yaml, &value, &[])).unwrap(), value);
    }

    #[test]
    fn list_in_a_table_has_the_columns_of_its_type_and_short_cells() {
        let items = json!([{"Name": "x", "Secret": "s", "Tasks": ["a", "b"]}, {"Name": "y".repeat(200)}]);
        let text = written(Format::Table, &items, &["Name", "Tasks"]);
        assert!(text.contains("a, b") && !text.contains('s'.to_string().repeat(2).as_str()), "{text}");
        assert!(text.lines().all(|line| line.len() < MAX_CELL + 20), "{text}");
    }

    #[test]
    fn answer_in_a_table_is_one_row_of_columns() {
        let kept = Kept::default();
        let mut output = Output { format: Format::Table, to: Box::new(kept.clone()) };
        output.row(&json!({"Name": "x", "Secret": "s"}), &["Name"]).unwrap();
        assert_eq!(String::from_utf8(kept.0.lock().unwrap().clone()).unwrap().trim(), "Name\n x");
    }

    #[test]
    fn one_object_in_a_table_is_sorted_by_field() {
        let text = written(Format::Table, &json!({"b": 1, "a": null}), &[]);
        let (a, b) = (text.find(" a").unwrap(), text.find(" b").unwrap());
        assert!(a < b, "{text}");
    }
}
