//! The bounds of a render and the account that is kept against them.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use regex::Regex;

use crate::error::CallError;
use crate::value::{Entries, List, Map, Value};

/// Lists inside lists, and levels that printing, comparing or encoding a value descends. Deeper is an error: Go would
/// run out of stack on a map that holds itself.
pub(crate) const VALUE_DEPTH: u16 = 200;

/// How many steps pass between two looks at the deadline.
const STEPS_PER_LOOK: u64 = 256;

/// The bounds of one render, everything that it includes counted together.
#[derive(Clone)]
pub struct RenderLimits {
    /// Bytes of text in the result. 8 MiB unless told.
    pub output_bytes: usize,
    /// Bytes of all values that the render builds on its way. 64 MiB unless told.
    pub memory_bytes: u64,
    /// Steps: nodes, iterations, function calls and the work inside of them. 5 million unless told, which is about a second.
    pub steps: u64,
    /// Templates inside each other. 100 unless told (drp-behaviour.md 2.6); never more than 100 is used.
    pub depth: usize,
    /// Asked now and then; `true` ends the render. This crate has no clock, so the caller brings one. None unless told.
    pub expired: Option<Arc<dyn Fn() -> bool + Send + Sync>>,
}

impl Default for RenderLimits {
    fn default() -> Self {
        Self { output_bytes: 8 << 20, memory_bytes: 64 << 20, steps: 5_000_000, depth: 100, expired: None }
    }
}

impl fmt::Debug for RenderLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RenderLimits")
            .field("output_bytes", &self.output_bytes)
            .field("memory_bytes", &self.memory_bytes)
            .field("steps", &self.steps)
            .field("depth", &self.depth)
            .field("expired", &self.expired.is_some())
            .finish()
    }
}

/// What a running render has left, and the maps that it made or changed.
///
/// Maps can be tied into rings by `set`, which reference counts never free, and into chains that would be dropped by
/// deep recursion. So every such map is held here, and emptied one by one at the end. A map that came from the caller
/// gets back the content that it had.
pub(crate) struct Session {
    steps_left: u64,
    memory_left: u64,
    until_look: u64,
    expired: Option<Arc<dyn Fn() -> bool + Send + Sync>>,
    maps: HashMap<usize, (Map, Entries)>,
    /// Expressions that were compiled already, by their text.
    pub(crate) regexes: HashMap<String, Regex>,
}

impl Session {
    pub(crate) fn new(limits: &RenderLimits) -> Self {
        Self {
            steps_left: limits.steps,
            memory_left: limits.memory_bytes,
            until_look: 0,
            expired: limits.expired.clone(),
            maps: HashMap::new(),
            regexes: HashMap::new(),
        }
    }

    /// Counts `count` steps of work.
    pub(crate) fn steps(&mut self, count: usize) -> Result<(), CallError> {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.steps_left = self
            .steps_left
            .checked_sub(count)
            .ok_or_else(|| CallError::Limit("the render takes more steps than it may".to_owned()))?;
        if let Some(left) = self.until_look.checked_sub(count) {
            self.until_look = left;
            return Ok(());
        }
        self.until_look = STEPS_PER_LOOK;
        match &self.expired {
            Some(expired) if expired() => {
                Err(CallError::Limit("the render takes more time than it may".to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// Counts `bytes` that are about to be built, and the work of it.
    pub(crate) fn memory(&mut self, bytes: usize) -> Result<(), CallError> {
        let count = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.memory_left = self
            .memory_left
            .checked_sub(count)
            .ok_or_else(|| CallError::Limit("the values take more memory than they may".to_owned()))?;
        self.steps(bytes / 64)
    }

    /// Returns how many bytes may still be built.
    pub(crate) fn memory_left(&self) -> usize {
        usize::try_from(self.memory_left).unwrap_or(usize::MAX)
    }

    /// Makes a text value.
    pub(crate) fn text(&mut self, text: impl Into<Arc<str>>) -> Result<Value, CallError> {
        let text = text.into();
        self.memory(text.len())?;
        Ok(Value::String(text))
    }

    /// Makes a list value.
    pub(crate) fn list(&mut self, items: Vec<Value>) -> Result<Value, CallError> {
        self.memory(items.len().saturating_mul(size_of::<Value>()))?;
        let list = List::from(items);
        if list.depth() > VALUE_DEPTH {
            return Err(CallError::Limit("lists are nested too deeply".to_owned()));
        }
        Ok(Value::List(list))
    }

    /// Makes a map value.
    pub(crate) fn map(&mut self, pairs: Vec<(Arc<str>, Value)>) -> Result<Value, CallError> {
        self.memory(pairs.iter().map(|(key, _)| entry_bytes(key)).sum())?;
        let map: Map = pairs.into_iter().collect();
        self.maps.insert(map.identity(), (map.clone(), Entries::new()));
        Ok(Value::Map(map))
    }

    /// Writes into a map.
    pub(crate) fn insert(&mut self, map: &Map, key: Arc<str>, value: Value) -> Result<(), CallError> {
        self.memory(entry_bytes(&key))?;
        self.hold(map)?;
        map.insert(key, value);
        Ok(())
    }

    /// Removes from a map.
    pub(crate) fn remove(&mut self, map: &Map, key: &str) -> Result<(), CallError> {
        self.hold(map)?;
        map.remove(key);
        Ok(())
    }

    fn hold(&mut self, map: &Map) -> Result<(), CallError> {
        if !self.maps.contains_key(&map.identity()) {
            self.memory(map.len().saturating_mul(64))?;
            self.maps.insert(map.identity(), (map.clone(), map.snapshot()));
        }
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for (map, before) in self.maps.values_mut() {
            drop(map.replace(std::mem::take(before)));
        }
    }
}

fn entry_bytes(key: &str) -> usize {
    key.len().saturating_add(64)
}
