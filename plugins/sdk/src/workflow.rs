//! Workflows: which tasks a machine gets, and what follows the end of a job.

use std::marker::PhantomData;

use crate::bindings::workflow_world::exports::formwork::workflow::workflow;
use crate::{Failure, logger};

pub use workflow::{
    Decision, JobReport, JobState, Machine as WorkflowMachine, Request as PlanRequest, Stage,
    Task as TaskInfo,
};

/// The rules by which machines move on. Both functions are pure: the same input gives the same output.
pub trait Workflow {
    /// Returns the task list of a machine.
    ///
    /// # Errors
    ///
    /// When the stages and tasks allow no plan.
    fn plan(request: &PlanRequest) -> Result<Vec<String>, Failure>;

    /// Decides what follows the end of a job.
    fn after_job(report: &JobReport) -> Decision;
}

/// Stands between the world's types and those of this crate.
#[derive(Debug)]
pub struct WorkflowComponent<T>(PhantomData<T>);

impl<T: Workflow> workflow::Guest for WorkflowComponent<T> {
    fn plan(request: PlanRequest) -> Result<Vec<String>, workflow::Failure> {
        logger::begin();
        T::plan(&request).map_err(Into::into)
    }

    fn after_job(report: JobReport) -> Decision {
        logger::begin();
        T::after_job(&report)
    }
}

impl From<Failure> for workflow::Failure {
    fn from(failure: Failure) -> Self {
        Self { code: failure.code, message: failure.message, hint: failure.hint }
    }
}
