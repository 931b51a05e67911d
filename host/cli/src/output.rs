//! Where results go: standard output, as JSON, YAML, a table or text.

mod colors;
mod table;

#[cfg(test)]
mod tests;

use std::io::{self, Write};

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;

use crate::{arguments::Format, failure::ObjectErrors};

pub(crate) use self::colors::Colors;

/// How results look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Style {
    /// The format.
    pub(crate) format: Format,
    /// The columns that were asked for; none for those of the type.
    pub(crate) columns: Vec<String>,
    /// True for a table without its first line.
    pub(crate) no_header: bool,
    /// The longest text in a cell of a list; nothing for as much as there is.
    pub(crate) truncate: Option<usize>,
    /// The colours of JSON; nothing for none.
    pub(crate) colors: Option<Colors>,
    /// True when an object that has errors is an error.
    pub(crate) errors_are_fatal: bool,
}

/// The one place that writes results.
pub(crate) struct Output {
    style: Style,
    to: Box<dyn Write + Send>,
}

impl Output {
    /// Writes to standard output.
    pub(crate) fn stdout(style: Style) -> Self {
        Self { style, to: Box::new(io::stdout()) }
    }

    /// Writes nothing.
    pub(crate) fn nowhere() -> Self {
        Self { style: Style::default(), to: Box::new(io::sink()) }
    }

    /// Writes to somewhere else.
    #[cfg(test)]
    pub(crate) fn to(style: Style, to: Box<dyn Write + Send>) -> Self {
        Self { style, to }
    }

    /// Tells whether results are for people.
    pub(crate) fn is_table(&self) -> bool {
        matches!(self.style.format, Format::Table)
    }

    /// Tells whether results are columns.
    pub(crate) fn has_columns(&self) -> bool {
        matches!(self.style.format, Format::Table | Format::Text)
    }

    /// Writes a value. In a table an object is one row a member, in the order of their names, and a list of objects one
    /// row an object with these columns; other lists are a line an item, a text is itself.
    pub(crate) fn value(&mut self, value: &impl Serialize, columns: &[&str]) -> Result<()> {
        let value = serde_json::to_value(value)?;
        let text = match (self.style.format, &value) {
            (Format::Json, _) => match &self.style.colors {
                Some(colors) => colors.json(&value),
                None => serde_json::to_string_pretty(&value)?,
            },
            (Format::Yaml, _) => serde_saphyr::to_string(&value)?.trim_end().to_owned(),
            (_, Value::Object(members)) => table::fields(members, &self.style),
            (_, Value::Array(items)) if items.iter().all(Value::is_object) => {
                table::list(items, columns, &self.style)
            }
            (_, Value::Array(items)) => items.iter().map(table::plain).collect::<Vec<_>>().join("\n"),
            (_, value) => table::plain(value),
        };
        if !(text.is_empty() && self.has_columns()) {
            self.line(&text)?;
        }
        self.errors_of(&value)
    }

    /// Writes an object that is the answer to a command: in a table these columns only.
    pub(crate) fn row(&mut self, value: &impl Serialize, columns: &[&str]) -> Result<()> {
        match self.has_columns() {
            true => self.value(&[value], columns),
            false => self.value(value, columns),
        }
    }

    /// Writes one of many values as soon as it is there: JSON in one line.
    pub(crate) fn item(&mut self, value: &impl Serialize, summary: &str) -> Result<()> {
        match self.style.format {
            Format::Json => self.line(&serde_json::to_string(value)?)?,
            Format::Yaml => {
                let text = serde_saphyr::to_string(value)?;
                self.line(&format!("---\n{}", text.trim_end()))?;
            }
            Format::Table | Format::Text => self.line(summary)?,
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

    /// Returns where results go, for what writes them itself.
    pub(crate) fn writer(&mut self) -> &mut (dyn Write + Send) {
        &mut *self.to
    }

    /// Makes the errors of an object that was shown those of the command, where that was asked for.
    fn errors_of(&self, value: &Value) -> Result<()> {
        let errors = value.get("Errors").and_then(Value::as_array).filter(|errors| !errors.is_empty());
        match errors {
            Some(errors) if self.style.errors_are_fatal => {
                let errors = errors.iter().map(table::plain).collect();
                Err(ObjectErrors(errors).into())
            }
            _ => Ok(()),
        }
    }
}
