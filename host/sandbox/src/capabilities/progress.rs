//! `progress`: how far the work has come. Needs no grant.

use serde::{Deserialize, Serialize};

use super::bindings::formwork::progress::progress as wit;
use crate::HostCall;
use crate::state::CallState;

/// Most bytes of the words.
const MAX_MESSAGE_BYTES: usize = 512;

/// How far the work has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ProgressReport {
    /// 0 to 100; none when it cannot be told.
    pub percent: Option<u8>,
    /// What it is at, one line of at most 512 bytes.
    pub message: String,
}

impl ProgressReport {
    /// The report as a line of a job log.
    pub fn text(&self) -> String {
        match self.percent {
            Some(percent) => format!("progress: {percent} % {}", self.message),
            None => format!("progress: {}", self.message),
        }
    }
}

impl wit::Host for CallState {
    async fn report(&mut self, percent: Option<u8>, message: String) -> wasmtime::Result<()> {
        self.count_call()?;
        let end = message.floor_char_boundary(MAX_MESSAGE_BYTES);
        let message = message.get(..end).unwrap_or_default().replace(['\n', '\r'], " ");
        let report = ProgressReport { percent: percent.map(|percent| percent.min(100)), message };
        if let Err(error) = self.ask(HostCall::Progress(report)).await {
            // Nobody watches; that is no reason to stop the work.
            tracing::debug!(target: "component", %error, "a report of progress is lost");
        }
        Ok(())
    }
}
