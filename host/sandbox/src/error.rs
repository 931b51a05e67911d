//! What a call can fail with, and how it is read out of the engine's errors.

use wasmtime::{Trap, WasmBacktrace};

use crate::engine::MAX_FRAMES;
use crate::state::LimitHit;
use crate::{Digest, Failure, Kind, LimitName, Limits, QueueFull};

/// Frames of a trap that are told.
const SHOWN_FRAMES: usize = 16;

/// A call did not come to an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// No compiled code of ours is there.
    #[error("component `{component}` ({digest}) is not prepared on this host")]
    NotPrepared {
        /// The component.
        component: String,
        /// Its digest.
        digest: Digest,
    },
    /// It is a component of another kind.
    #[error("component `{component}` is not a {expected} component")]
    WrongKind {
        /// The component.
        component: String,
        /// What was to be called.
        expected: Kind,
    },
    /// It asks for what was not granted.
    #[error("component `{component}` imports `{import}`, which was not granted\nhint: grant `{grant}`")]
    NotGranted {
        /// The component.
        component: String,
        /// The import.
        import: String,
        /// The line that would grant it.
        grant: String,
    },
    /// It used more than it may.
    #[error("component `{component}` exceeded its limit `{limit}` of {value}")]
    Limit {
        /// The component.
        component: String,
        /// The limit.
        limit: LimitName,
        /// The limit's value, in its own unit.
        value: u64,
    },
    /// It crashed.
    #[error("component `{component}` crashed: {}", panic.as_deref().unwrap_or(reason))]
    Trap {
        /// The component.
        component: String,
        /// What the engine says, such as `stack overflow`.
        reason: String,
        /// The words of its panic, if it could send them.
        panic: Option<String>,
        /// The functions that it was in, the innermost first.
        frames: Vec<String>,
    },
    /// It answered that it cannot.
    #[error("component `{component}` refused: {failure}")]
    Refused {
        /// The component.
        component: String,
        /// Its words.
        failure: Failure,
    },
    /// It answered something that breaks the rules of its world.
    #[error("component `{component}` gave an answer that cannot be used: {words}")]
    Answer {
        /// The component.
        component: String,
        /// The rule.
        words: String,
    },
    /// Too many calls wait already.
    #[error("component `{component}` was not called: {source}\nhint: try again later")]
    Busy {
        /// The component.
        component: String,
        /// Whose calls they are.
        source: QueueFull,
    },
    /// The engine could not start it.
    #[error("component `{component}` did not start: {words}")]
    Start {
        /// The component.
        component: String,
        /// The engine's words.
        words: String,
    },
}

/// Reads out of an engine's error what happened to a call.
pub(crate) fn explain(
    component: &str,
    limits: &Limits,
    panic: Option<String>,
    error: &wasmtime::Error,
) -> CallError {
    if let Some(limit) = limit(error) {
        return exceeded(component, limits, limit);
    }
    let frames = frames(error);
    let reason = match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => stack_overflow(limits),
        // Compilers put the stack of a language's own variables at the bottom of the memory, and going below that is
        // going out of bounds. Only endless recursion has so many frames.
        Some(Trap::MemoryOutOfBounds) if frames.len() >= MAX_FRAMES => stack_overflow(limits),
        Some(trap) => trap.to_string(),
        None => error.root_cause().to_string(),
    };
    let frames = frames.into_iter().take(SHOWN_FRAMES).collect();
    CallError::Trap { component: component.to_owned(), reason, panic, frames }
}

/// The words for endless recursion. It is told as a crash, as where it was helps its author.
fn stack_overflow(limits: &Limits) -> String {
    format!(
        "stack overflow: it exceeded its limit `{}` of {}",
        LimitName::Stack,
        limits.value(LimitName::Stack)
    )
}

/// The error for a limit.
pub(crate) fn exceeded(component: &str, limits: &Limits, limit: LimitName) -> CallError {
    CallError::Limit { component: component.to_owned(), limit, value: limits.value(limit) }
}

/// The limit that an error stands for.
fn limit(error: &wasmtime::Error) -> Option<LimitName> {
    if let Some(LimitHit(limit)) = error.downcast_ref::<LimitHit>() {
        return Some(*limit);
    }
    if let Some(Trap::OutOfFuel) = error.downcast_ref::<Trap>() {
        return Some(LimitName::Fuel);
    }
    // The engine has no types for these; tests hold on to the words.
    let words = error.root_cause().to_string();
    if words.contains("fuel allocated for hostcalls has been exhausted") {
        return Some(LimitName::ResultBytes);
    }
    if words.contains("store handle limit exceeded") {
        return Some(LimitName::Handles);
    }
    if words.contains("resource limit exceeded: instance") {
        return Some(LimitName::Instances);
    }
    None
}

/// The names of the functions that a guest was in.
fn frames(error: &wasmtime::Error) -> Vec<String> {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else { return Vec::new() };
    // Only the engine's own text has the names as people write them.
    backtrace
        .to_string()
        .lines()
        .filter_map(|line| line.split_once(" - ").map(|(_, name)| name.trim().chars().take(200).collect()))
        .collect()
}
