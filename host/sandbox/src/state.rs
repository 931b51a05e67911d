//! What one call has used so far, and what it may still use.

use std::fmt;
use std::sync::Arc;

use crate::capabilities::{Level, LogLine};
use crate::grants::Allowance;
use crate::limits::{MAX_MEMORIES, MAX_TABLES};
use crate::{Host, HostAnswer, HostCall, HostError, LimitName, Refusal};

/// Most bytes of a panic's words that are kept for the error.
const MAX_PANIC_BYTES: usize = 4096;

/// Longest name of a parameter, a secret or a key.
pub(crate) const MAX_NAME_BYTES: usize = 512;

/// The data of one call's store.
pub(crate) struct CallState {
    pub(crate) allowance: Allowance,
    /// What the host does for it; none for a call that only decides, whose log goes to tracing.
    host: Option<Arc<dyn Host>>,
    /// The words of a panic, sent before the trap.
    pub(crate) panic: Option<String>,
    pub(crate) meter: Meter,
    /// The latest time that the guest was told.
    pub(crate) last_time: u64,
    pub(crate) host_calls: u64,
    pub(crate) log_bytes: usize,
}

/// A limit was exceeded. Travels through the engine as an error and is found again at its end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LimitHit(pub(crate) LimitName);

impl fmt::Display for LimitHit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "limit `{}` exceeded", self.0)
    }
}

impl std::error::Error for LimitHit {}

impl CallState {
    /// The state before a call.
    pub(crate) fn new(allowance: Allowance, host: Option<Arc<dyn Host>>) -> Self {
        let meter = Meter {
            memory_limit: allowance.limits.memory_bytes,
            table_limit: allowance.limits.table_elements,
            instance_limit: allowance.limits.instances,
            ..Meter::default()
        };
        Self { allowance, host, panic: None, meter, last_time: 0, host_calls: 0, log_bytes: 0 }
    }

    /// Counts one host call.
    pub(crate) fn count_call(&mut self) -> Result<(), LimitHit> {
        self.host_calls += 1;
        if self.host_calls > self.allowance.limits.host_calls {
            return Err(LimitHit(LimitName::HostCalls));
        }
        Ok(())
    }

    /// Asks the host. The call was counted and checked before.
    pub(crate) async fn ask(&self, call: HostCall) -> Result<HostAnswer, HostError> {
        match &self.host {
            Some(host) => host.call(call).await,
            None => {
                Err(HostError::Unavailable("this call only decides; the host does nothing for it".to_owned()))
            }
        }
    }

    /// Returns the error of a call that is refused here, and has the host take note.
    pub(crate) fn refuse(&self, call: &str, error: HostError) -> HostError {
        if let Some(host) = &self.host {
            host.refused(Refusal { call: call.to_owned(), error: error.clone() });
        }
        error
    }

    /// Takes one line of the guest's log.
    pub(crate) async fn log(&mut self, line: LogLine, is_panic: bool) -> Result<(), LimitHit> {
        self.count_call()?;
        let message = line.message.as_str();
        self.log_bytes = self.log_bytes.saturating_add(message.len());
        if self.log_bytes > self.allowance.limits.log_bytes {
            return Err(LimitHit(LimitName::LogBytes));
        }
        if is_panic {
            let end = message.floor_char_boundary(MAX_PANIC_BYTES);
            self.panic = Some(message.get(..end).unwrap_or_default().to_owned());
        }
        if self.host.is_some() {
            // Whose log it is keeps it, at its level. A guest is not to fill the process's own.
            tracing::debug!(target: "component", "{message}");
            if let Err(error) = self.ask(HostCall::Log(line)).await {
                // A full disk is no reason to stop the work.
                tracing::warn!(target: "component", %error, "a line of the log is lost");
            }
            return Ok(());
        }
        match line.level {
            Level::Debug => tracing::debug!(target: "component", "{message}"),
            Level::Info => tracing::info!(target: "component", "{message}"),
            Level::Warn => tracing::warn!(target: "component", "{message}"),
            Level::Error => tracing::error!(target: "component", "{message}"),
        }
        Ok(())
    }
}

/// Counts memories and tables while they grow.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    memory_limit: usize,
    table_limit: usize,
    instance_limit: usize,
    memory: usize,
    tables: usize,
    /// The most memory that was held at once.
    pub(crate) memory_peak: usize,
}

impl wasmtime::ResourceLimiter for Meter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let memory = self.memory.saturating_add(desired.saturating_sub(current));
        if memory > self.memory_limit {
            return Err(LimitHit(LimitName::Memory).into());
        }
        self.memory = memory;
        self.memory_peak = self.memory_peak.max(memory);
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let tables = self.tables.saturating_add(desired.saturating_sub(current));
        if tables > self.table_limit {
            return Err(LimitHit(LimitName::TableElements).into());
        }
        self.tables = tables;
        Ok(true)
    }

    fn instances(&self) -> usize {
        self.instance_limit
    }

    fn tables(&self) -> usize {
        MAX_TABLES
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES
    }
}
