//! How much one call may use.

use std::fmt;
use std::time::Duration;

/// How much one call may use. A call that exceeds one of these is stopped, with an error that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Units of work, about one for each WebAssembly instruction. Deterministic.
    pub fuel: u64,
    /// Time from the start of the call to its end, host functions included.
    pub wall_time: Duration,
    /// Bytes of all linear memories together.
    pub memory_bytes: usize,
    /// Elements of all tables together.
    pub table_elements: usize,
    /// Core instances. A component of Rust has one to three, one of JavaScript about ten.
    pub instances: usize,
    /// Resource handles.
    pub handles: usize,
    /// Bytes of all log lines together.
    pub log_bytes: usize,
    /// Calls of host functions.
    pub host_calls: u64,
    /// Bytes that cross the border at once: the arguments of a host call, or the result.
    pub result_bytes: usize,
}

/// The most that the pool of instances can hold in one linear memory.
pub(crate) const MAX_MEMORY_BYTES: usize = 256 << 20;

impl Default for Limits {
    /// Enough for a task that parses some megabytes, little enough that a hundred of them at once hurt nobody.
    fn default() -> Self {
        Self {
            fuel: 10_000_000_000,
            wall_time: Duration::from_secs(30),
            memory_bytes: 64 << 20,
            table_elements: 20_000,
            instances: 16,
            handles: 1024,
            log_bytes: 1 << 20,
            host_calls: 10_000,
            result_bytes: 2 << 20,
        }
    }
}

impl Limits {
    /// Returns the lesser of each: what is asked for, capped by the site.
    #[must_use]
    pub fn capped(&self, cap: &Self) -> Self {
        Self {
            fuel: self.fuel.min(cap.fuel),
            wall_time: self.wall_time.min(cap.wall_time),
            memory_bytes: self.memory_bytes.min(cap.memory_bytes).min(MAX_MEMORY_BYTES),
            table_elements: self.table_elements.min(cap.table_elements),
            instances: self.instances.min(cap.instances),
            handles: self.handles.min(cap.handles),
            log_bytes: self.log_bytes.min(cap.log_bytes),
            host_calls: self.host_calls.min(cap.host_calls),
            result_bytes: self.result_bytes.min(cap.result_bytes),
        }
    }

    /// The value of one limit, as a number in its own unit; milliseconds for the wall time.
    pub fn value(&self, name: LimitName) -> u64 {
        let wide = |value: usize| u64::try_from(value).unwrap_or(u64::MAX);
        match name {
            LimitName::Fuel => self.fuel,
            LimitName::WallTime => u64::try_from(self.wall_time.as_millis()).unwrap_or(u64::MAX),
            LimitName::Memory => wide(self.memory_bytes),
            LimitName::TableElements => wide(self.table_elements),
            LimitName::Instances => wide(self.instances),
            LimitName::Handles => wide(self.handles),
            LimitName::LogBytes => wide(self.log_bytes),
            LimitName::HostCalls => self.host_calls,
            LimitName::ResultBytes => wide(self.result_bytes),
            LimitName::PlanEntries => wide(crate::workflow::MAX_PLAN_ENTRIES),
        }
    }
}

/// Names a limit in errors, in manifests and in the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LimitName {
    /// `fuel`.
    Fuel,
    /// `wall-time`, in milliseconds.
    WallTime,
    /// `memory`, in bytes.
    Memory,
    /// `table-elements`.
    TableElements,
    /// `instances`.
    Instances,
    /// `handles`.
    Handles,
    /// `log-bytes`.
    LogBytes,
    /// `host-calls`.
    HostCalls,
    /// `result-bytes`.
    ResultBytes,
    /// `plan-entries`: the entries of a task list. Not configurable.
    PlanEntries,
}

impl LimitName {
    /// The name in kebab case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fuel => "fuel",
            Self::WallTime => "wall-time",
            Self::Memory => "memory",
            Self::TableElements => "table-elements",
            Self::Instances => "instances",
            Self::Handles => "handles",
            Self::LogBytes => "log-bytes",
            Self::HostCalls => "host-calls",
            Self::ResultBytes => "result-bytes",
            Self::PlanEntries => "plan-entries",
        }
    }

    /// What its value counts, for messages.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::WallTime => " ms",
            Self::Memory | Self::LogBytes | Self::ResultBytes => " bytes",
            _ => "",
        }
    }
}

impl fmt::Display for LimitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_site_caps_what_a_manifest_asks() {
        let asked = Limits { fuel: 5, host_calls: 1_000_000, memory_bytes: usize::MAX, ..Limits::default() };
        let site = Limits { memory_bytes: usize::MAX, ..Limits::default() };
        let capped = asked.capped(&site);
        assert_eq!((capped.fuel, capped.host_calls), (5, 10_000));
        assert_eq!(capped.memory_bytes, MAX_MEMORY_BYTES);
    }
}
