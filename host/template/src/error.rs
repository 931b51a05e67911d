//! What can go wrong, with the place where it did.

use std::fmt;

/// A template text that cannot be parsed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub struct ParseError {
    /// The name of the template.
    pub template: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// The source text of the action, shortened when it is long; empty in plain text.
    pub expression: String,
    /// What is wrong, in Go's words where Go has them.
    pub message: String,
    /// What usually helps, for known mistakes.
    pub hint: Option<String>,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_place(f, &self.template, (self.line, self.column), &self.expression)?;
        write!(f, ": {}", self.message)?;
        write_hint(f, self.hint.as_deref())
    }
}

/// Why a render ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RenderFailure {
    /// The template asked for something that is not there or does not fit.
    Evaluation,
    /// A template that is included by name does not exist.
    MissingTemplate,
    /// A template that is rendered or included by name does not parse.
    Parse,
    /// One of the [`RenderLimits`](crate::RenderLimits) was reached.
    Limit,
}

/// A render that ended early. There is no partial output.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub struct RenderError {
    /// Why it ended.
    pub failure: RenderFailure,
    /// The name of the innermost template, the one that holds the line.
    pub template: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// The source text of the expression, shortened when it is long.
    pub expression: String,
    /// What is wrong, in Go's words where Go has them.
    pub message: String,
    /// What usually helps, for known mistakes.
    pub hint: Option<String>,
}

impl fmt::Display for RenderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_place(f, &self.template, (self.line, self.column), &self.expression)?;
        write!(f, ": {}", self.message)?;
        write_hint(f, self.hint.as_deref())
    }
}

/// A function or method that could not give a result. A plain text converts into one.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The call does not make sense; the text says why.
    #[error("{0}")]
    Message(String),
    /// A limit of the render was reached; the text names it.
    #[error("{0}")]
    Limit(String),
    /// A render that the call started failed.
    #[error("{0}")]
    Render(Box<RenderError>),
}

impl From<String> for CallError {
    fn from(message: String) -> Self {
        Self::Message(message)
    }
}

impl From<&str> for CallError {
    fn from(message: &str) -> Self {
        Self::Message(message.to_owned())
    }
}

impl From<RenderError> for CallError {
    fn from(error: RenderError) -> Self {
        Self::Render(Box::new(error))
    }
}

fn write_place(
    f: &mut fmt::Formatter<'_>,
    template: &str,
    (line, column): (usize, usize),
    expression: &str,
) -> fmt::Result {
    write!(f, "template `{template}` line {line} column {column}")?;
    if expression.is_empty() { Ok(()) } else { write!(f, " at `{expression}`") }
}

fn write_hint(f: &mut fmt::Formatter<'_>, hint: Option<&str>) -> fmt::Result {
    hint.map_or(Ok(()), |hint| write!(f, "\nhint: {hint}"))
}
