//! How much one call may use.

use std::collections::BTreeMap;
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
    /// Core instances. A component of Rust has one to three, one of JavaScript about ten,
    /// one of Python about forty.
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

/// Core instances of one call that the pool has room for. A component of Python has 38.
pub(crate) const MAX_INSTANCES: usize = 64;

/// Linear memories of one call that the pool has room for.
pub(crate) const MAX_MEMORIES: usize = 2;

/// Tables of one call that the pool has room for.
pub(crate) const MAX_TABLES: usize = 8;

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
            instances: MAX_INSTANCES,
            handles: 1024,
            log_bytes: 1 << 20,
            host_calls: 10_000,
            result_bytes: 2 << 20,
        }
    }
}

/// Limits of a manifest that are none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("limit `{name}`: {reason}\nhint: known are {}", known())]
pub struct LimitError {
    /// The key in the manifest.
    pub name: String,
    /// What does not fit.
    pub reason: &'static str,
}

impl Limits {
    /// What a site allows at most unless it says otherwise: room for a manifest that asks for more than the default, and
    /// an end to what it may ask for.
    #[must_use]
    pub fn site() -> Self {
        Self {
            fuel: 1_000_000_000_000,
            wall_time: Duration::from_secs(3600),
            memory_bytes: MAX_MEMORY_BYTES,
            handles: 65_536,
            log_bytes: 16 << 20,
            host_calls: 1_000_000,
            result_bytes: 16 << 20,
            // Tables and instances come out of the pool, which has no more of them for one call.
            ..Self::default()
        }
    }

    /// Reads the `limits` of a manifest: those that it does not name are the default ones. The site's own limits cap
    /// all of them later.
    ///
    /// # Errors
    ///
    /// The first name that is not known or cannot be set, and the first value that is 0.
    pub fn from_manifest(limits: &BTreeMap<String, u64>) -> Result<Self, LimitError> {
        Self::default().with(limits)
    }

    /// Sets the limits that are named, each in its own unit: milliseconds for the wall time.
    ///
    /// # Errors
    ///
    /// The first name that is not known or cannot be set, and the first value that is 0.
    pub fn with(mut self, limits: &BTreeMap<String, u64>) -> Result<Self, LimitError> {
        for (name, &value) in limits {
            let refused = |reason| LimitError { name: name.clone(), reason };
            let limit = LimitName::ALL.into_iter().find(|limit| limit.as_str() == name);
            let limit = limit.ok_or_else(|| refused("there is no such limit"))?;
            if value == 0 {
                return Err(refused("it must be at least 1"));
            }
            self.set(limit, value).map_err(refused)?;
        }
        Ok(self)
    }

    /// Sets one limit, in its own unit.
    fn set(&mut self, name: LimitName, value: u64) -> Result<(), &'static str> {
        let size = usize::try_from(value).unwrap_or(usize::MAX);
        match name {
            LimitName::Fuel => self.fuel = value,
            LimitName::WallTime => self.wall_time = Duration::from_millis(value),
            LimitName::Memory => self.memory_bytes = size,
            LimitName::TableElements => self.table_elements = size,
            LimitName::Instances => self.instances = size,
            LimitName::Handles => self.handles = size,
            LimitName::LogBytes => self.log_bytes = size,
            LimitName::HostCalls => self.host_calls = value,
            LimitName::ResultBytes => self.result_bytes = size,
            LimitName::PlanEntries | LimitName::Stack => return Err("it is the same for all"),
        }
        Ok(())
    }

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
            LimitName::Stack => wide(crate::engine::WASM_STACK_BYTES),
        }
    }
}

/// Names a limit in errors, in manifests and in the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LimitName {
    /// `fuel`.
    Fuel,
    /// `wall-time-ms`.
    WallTime,
    /// `memory-bytes`.
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
    /// `stack-bytes`: how deep a guest may recurse. Not configurable.
    Stack,
}

impl LimitName {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Fuel,
        Self::WallTime,
        Self::Memory,
        Self::TableElements,
        Self::Instances,
        Self::Handles,
        Self::LogBytes,
        Self::HostCalls,
        Self::ResultBytes,
        Self::PlanEntries,
        Self::Stack,
    ];

    /// The name in kebab case, as in a manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fuel => "fuel",
            Self::WallTime => "wall-time-ms",
            Self::Memory => "memory-bytes",
            Self::TableElements => "table-elements",
            Self::Instances => "instances",
            Self::Handles => "handles",
            Self::LogBytes => "log-bytes",
            Self::HostCalls => "host-calls",
            Self::ResultBytes => "result-bytes",
            Self::PlanEntries => "plan-entries",
            Self::Stack => "stack-bytes",
        }
    }
}

impl fmt::Display for LimitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The limits that can be set, for messages.
fn known() -> String {
    let fixed = [LimitName::PlanEntries, LimitName::Stack];
    let names = LimitName::ALL.into_iter().filter(|name| !fixed.contains(name));
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_allows_the_default_and_more() {
        assert_eq!(Limits::default().capped(&Limits::site()), Limits::default());
        let asked = Limits { memory_bytes: 128 << 20, host_calls: 20_000, ..Limits::default() };
        assert_eq!(asked.capped(&Limits::site()), asked);
    }

    #[test]
    fn a_manifest_names_the_limits_that_it_needs_more_or_less_of() {
        let read = |pairs: &[(&str, u64)]| {
            Limits::from_manifest(&pairs.iter().map(|&(name, value)| (name.to_owned(), value)).collect())
        };
        let limits = read(&[("wall-time-ms", 500), ("memory-bytes", 1 << 20)]).unwrap();
        let expected =
            Limits { wall_time: Duration::from_millis(500), memory_bytes: 1 << 20, ..Limits::default() };
        assert_eq!(limits, expected);
        for (name, value) in [("stack-bytes", 5), ("plan-entries", 5), ("fuel", 0), ("memory", 5)] {
            let error = read(&[(name, value)]).unwrap_err();
            assert_eq!(error.name, name);
            assert!(error.to_string().contains("`table-elements`"), "{error}");
        }
    }

    #[test]
    fn the_site_caps_what_a_manifest_asks() {
        let asked = Limits { fuel: 5, host_calls: 1_000_000, memory_bytes: usize::MAX, ..Limits::default() };
        let site = Limits { memory_bytes: usize::MAX, ..Limits::default() };
        let capped = asked.capped(&site);
        assert_eq!((capped.fuel, capped.host_calls), (5, 10_000));
        assert_eq!(capped.memory_bytes, MAX_MEMORY_BYTES);
    }
}
