//! `log`: lines for the job log and the endpoint's own log.

use serde::{Deserialize, Serialize};

use super::bindings::formwork::log::log as wit;
use crate::state::CallState;

/// How much a log line matters, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// For the author of the component.
    Debug,
    /// What happened.
    Info,
    /// Something odd that did not stop the work.
    Warn,
    /// Something that stopped the work, the words of a panic included.
    Error,
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LogLine {
    /// How much it matters.
    pub level: Level,
    /// The words; may have line breaks in them.
    pub message: String,
}

impl LogLine {
    /// The line as it stands in a job log: levels other than `info` are told in front.
    pub fn text(&self) -> String {
        let mark = match self.level {
            Level::Debug => "debug: ",
            Level::Info => "",
            Level::Warn => "warning: ",
            Level::Error => "error: ",
        };
        format!("{mark}{}", self.message)
    }
}

impl wit::Host for CallState {
    async fn write(&mut self, level: wit::Level, message: String) -> wasmtime::Result<()> {
        let (level, is_panic) = match level {
            wit::Level::Debug => (Level::Debug, false),
            wit::Level::Info => (Level::Info, false),
            wit::Level::Warn => (Level::Warn, false),
            wit::Level::Error => (Level::Error, false),
            wit::Level::Panic => (Level::Error, true),
        };
        Ok(self.log(LogLine { level, message }, is_panic).await?)
    }
}
