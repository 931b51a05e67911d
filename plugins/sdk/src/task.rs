//! Tasks: one step of a workflow.

use std::marker::PhantomData;
use std::time::Duration;

use crate::bindings::task_world::exports::formwork::task::task;
use crate::{Failure, logger};

pub use crate::bindings::capabilities::formwork::machine::machine::Machine;

/// One step of a workflow, done for one machine.
///
/// Each call gets a fresh instance, so nothing is remembered between calls but what was written to params. A repeat must
/// be harmless: after a crash of the agent, the power or the network the same step is called again.
pub trait Task {
    /// Advances the step. Returns promptly; waiting is [`Outcome::RetryAt`].
    ///
    /// # Errors
    ///
    /// What the component did not expect; an answer is [`Outcome::Failed`]. Both fail the job.
    fn run(call: &Call) -> Result<Outcome, Failure>;
}

/// What one call of a task is about.
#[derive(Debug, Clone)]
pub struct Call {
    /// The machine; it does not change during the call.
    pub machine: Machine,
    /// How often this step was called for the same job before; 0 at first.
    pub attempt: u32,
    /// The time of the call.
    pub now: Timestamp,
}

/// What the host does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The step is complete; the workflow goes on.
    Done,
    /// Not complete: call again at or after this time.
    RetryAt(Timestamp),
    /// The step refuses: the job fails.
    Failed(Failure),
    /// Complete; reboot the machine before the next step.
    Reboot,
    /// Complete; power the machine off.
    Poweroff,
    /// Complete; the agent ends and the machine is left as it is.
    Stop,
}

/// A time, in milliseconds since 1970-01-01 00:00 UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Returns the time after a while; the latest possible one when that is too far.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// Stands between the world's types and those of this crate.
#[derive(Debug)]
pub struct TaskComponent<T>(PhantomData<T>);

impl<T: Task> task::Guest for TaskComponent<T> {
    fn run(call: task::Call) -> Result<task::Outcome, task::Failure> {
        logger::begin();
        let task::Call { machine, attempt, now_ms } = call;
        let call = Call { machine, attempt, now: Timestamp(now_ms) };
        T::run(&call).map(Into::into).map_err(Into::into)
    }
}

impl From<Outcome> for task::Outcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::Done,
            Outcome::RetryAt(time) => Self::RetryAt(time.0),
            Outcome::Failed(failure) => Self::Failed(failure.into()),
            Outcome::Reboot => Self::Reboot,
            Outcome::Poweroff => Self::Poweroff,
            Outcome::Stop => Self::Stop,
        }
    }
}

impl From<Failure> for task::Failure {
    fn from(failure: Failure) -> Self {
        Self { code: failure.code, message: failure.message, hint: failure.hint }
    }
}
