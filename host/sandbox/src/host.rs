//! What the host does for a task: the seam between this crate and the server or the agent.

use std::future::Future;
use std::pin::Pin;

/// An answer that may take a while.
pub type HostFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What the host does for a task. The guest sees plain calls that block; here they may wait.
///
/// Names and values are already checked against the grants, are of bounded size, and values are JSON text.
/// A future is dropped, at any of its waits, when the call's time is over.
pub trait TaskHost: Send + Sync {
    /// Appends a line to the job log. `message` may have line breaks in it.
    fn log<'a>(&'a self, level: Level, message: &'a str) -> HostFuture<'a, ()>;

    /// Reads a parameter as the machine sees it, as JSON text.
    fn param<'a>(&'a self, name: &'a str) -> HostFuture<'a, Result<Option<String>, HostError>>;

    /// Writes a parameter on the machine. It is durable, and read back by `param`, when this returns.
    fn set_param<'a>(&'a self, name: &'a str, json: &'a str) -> HostFuture<'a, Result<(), HostError>>;
}

/// How much a log line matters, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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

/// The host could not do what a task asked. The guest gets the same words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// The value does not fit the parameter's schema.
    #[error("{0}")]
    Invalid(String),
    /// The endpoint did not answer; a later try may help.
    #[error("{0}")]
    Unavailable(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}
