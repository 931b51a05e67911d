//! Jobs: what an agent is to do next, and what the end of a job means (drp-api.md 9.2, 9.3, 9.7).

mod create;
mod limits;
mod retention;
mod subject;
mod update;

use formwork_model::{Job, Machine};

pub use self::{
    create::{create, extra_claims},
    retention::{Retention, Scope, expired},
    subject::{Moved, Subject},
    update::{Ended, deleted, fail_unfinished, failure_report, is_due, retry_due, subject_of, update},
};

/// What `POST /jobs` answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// There is nothing to do now: 204.
    Nothing,
    /// A job that was left incomplete goes on: 202.
    Resumed(Box<Job>),
    /// A new job: 201.
    Created(Box<Job>),
}

/// A decision about the jobs of a machine or of a work order: what to answer, and what to save with it in one transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What the agent is told.
    pub answer: Answer,
    /// The machine or the work order, when it changed.
    pub moved: Option<Moved>,
    /// Jobs that are new or changed, in the order in which they happened.
    pub jobs: Vec<Job>,
}

/// Copies the state of the current job to its machine.
fn mirror(machine: &mut Machine, job: &Job) {
    job.state.as_str().clone_into(&mut machine.job_state);
    job.exit_state.as_str().clone_into(&mut machine.job_exit_state);
    machine.job_result_errors.clone_from(&job.result_errors);
}

#[cfg(test)]
mod tests;
