//! What people and programs see: results on standard output, words on standard error.

use std::{io::Write, process::ExitCode};

use anyhow::Context;
use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use formwork_client::ClientError;
use formwork_model::kind_of;
use serde::Serialize;
use serde_json::Value;

/// The longest text of a cell before it is cut.
const MAX_CELL: usize = 60;

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// JSON, indented by two spaces.
    #[default]
    Json,
    /// YAML.
    Yaml,
    /// A table for people.
    Table,
}

/// Where results go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    format: Format,
}

impl Output {
    /// Writes results in one format.
    pub(crate) fn new(format: Format) -> Self {
        Self { format }
    }

    /// Writes a result; `prefix` says what it is, for the columns of a table.
    pub(crate) fn value(self, prefix: &str, value: &impl Serialize) -> anyhow::Result<()> {
        let value = serde_json::to_value(value)?;
        let text = match self.format {
            Format::Json => serde_json::to_string_pretty(&value)?,
            Format::Yaml => serde_saphyr::to_string(&value)?.trim_end().to_owned(),
            Format::Table => table(prefix, &value),
        };
        self.line(&text)
    }

    /// Writes one compact JSON text a line, for streams.
    pub(crate) fn json_line(self, value: &impl Serialize) -> anyhow::Result<()> {
        self.line(&serde_json::to_string(value)?)
    }

    /// Writes a line.
    pub(crate) fn line(self, text: &str) -> anyhow::Result<()> {
        self.bytes(text.as_bytes())?;
        self.bytes(b"\n")
    }

    /// Writes bytes as they are.
    pub(crate) fn bytes(self, bytes: &[u8]) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            // Whoever reads has seen enough.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
            other => other.context("failed to write to standard output"),
        }
    }
}

fn table(prefix: &str, value: &Value) -> String {
    let rows: Vec<&Value> = match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(members) if kind_of(prefix).is_none() => return pairs(members),
        Value::Object(members) if !members.contains_key(kind_of(prefix).map_or("", |kind| kind.key)) => {
            return pairs(members);
        }
        Value::Object(_) => vec![value],
        Value::String(text) => return text.clone(),
        other => return other.to_string(),
    };
    let columns = columns(prefix, &rows);
    let mut table = blank();
    table.set_header(&columns);
    for row in rows {
        table.add_row(columns.iter().map(|column| cell(row.pointer(&pointer(prefix, column)).unwrap_or(&Value::Null))));
    }
    table.to_string()
}

fn blank() -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table
}

fn pairs(members: &serde_json::Map<String, Value>) -> String {
    let mut table = blank();
    for (name, value) in members {
        table.add_row([name.clone(), cell(value)]);
    }
    table.to_string()
}

fn columns(prefix: &str, rows: &[&Value]) -> Vec<String> {
    if let Some(kind) = kind_of(prefix) {
        return kind.columns.iter().map(|column| (*column).to_owned()).collect();
    }
    let first = rows.first().and_then(|row| row.as_object());
    first.map(|members| members.keys().take(8).cloned().collect()).unwrap_or_default()
}

/// The members of a content bundle are one level down.
fn pointer(prefix: &str, column: &str) -> String {
    if prefix == "contents" { format!("/meta/{column}") } else { format!("/{column}") }
}

fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    };
    match text.char_indices().nth(MAX_CELL) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// Writes an error for people and returns the exit code for it.
pub(crate) fn failed(error: &anyhow::Error) -> ExitCode {
    let mut err = std::io::stderr().lock();
    let text = error
        .chain()
        .map(ToString::to_string)
        .fold(Vec::<String>::new(), |mut told, text| {
            // A message often holds the one below it already.
            if !told.last().is_some_and(|last| last.contains(&text)) {
                told.push(text);
            }
            told
        })
        .join(": ");
    let _ = writeln!(err, "Error: {text}");
    if let Some(hint) = error.downcast_ref::<ClientError>().and_then(hint) {
        let _ = writeln!(err, "hint: {hint}");
    }
    ExitCode::FAILURE
}

fn hint(error: &ClientError) -> Option<&'static str> {
    match error {
        ClientError::Connect { .. } => {
            Some("is the endpoint running? start one with `formwork serve`, or name another with --endpoint")
        }
        ClientError::Api(refused) => match refused.code {
            401 => Some("give credentials with --username and --password, --token, or RS_KEY=user:password"),
            403 if refused.messages.iter().any(|message| message.contains("password")) => {
                Some("the first start of `formwork serve` told the password; set RS_KEY=user:password")
            }
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn table_has_the_columns_of_the_kind() {
        let text = table("stages", &json!([{"Name": "one", "BootEnv": "local", "Tasks": ["a", "b"]}]));
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].contains("Name") && lines[0].contains("Tasks"), "{text}");
        assert!(lines[1].contains("a b"), "{text}");
    }

    #[test]
    fn long_cells_are_cut_between_characters() {
        assert_eq!(cell(&json!("ä".repeat(100))).chars().count(), MAX_CELL + 1);
    }
}
