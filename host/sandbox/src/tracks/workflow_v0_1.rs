//! Workflows, track 0.1.

use crate::state::CallState;
use crate::workflow::{PlanMachine, StageInfo, TaskInfo};
use crate::{Decision, Failure, JobReport, JobState, PlanRequest};

mod bindings {
    wasmtime::component::bindgen!({
        path: ["../../wit/log-0.1", "../../wit/workflow-0.1"],
        world: "formwork:workflow/workflow-component@0.1.0",
        imports: { default: async | trappable },
        exports: { default: async },
        with: { "formwork:log/log@0.1.0": crate::tracks::task_v0_1::bindings::formwork::log::log },
    });
}

use bindings::exports::formwork::workflow::workflow as guest;

pub(crate) use bindings::{WorkflowComponent, WorkflowComponentPre};

/// Calls `plan`.
pub(crate) async fn plan(
    workflow: &WorkflowComponent,
    store: &mut wasmtime::Store<CallState>,
    request: &PlanRequest,
) -> wasmtime::Result<Result<Vec<String>, Failure>> {
    let answer = workflow.formwork_workflow_workflow().call_plan(store, &request.into()).await?;
    Ok(answer.map_err(|failure| Failure { code: failure.code, message: failure.message, hint: failure.hint }))
}

/// Calls `after-job`.
pub(crate) async fn after_job(
    workflow: &WorkflowComponent,
    store: &mut wasmtime::Store<CallState>,
    report: &JobReport,
) -> wasmtime::Result<Decision> {
    Ok(workflow.formwork_workflow_workflow().call_after_job(store, &report.into()).await?.into())
}

impl From<&PlanRequest> for guest::Request {
    fn from(request: &PlanRequest) -> Self {
        Self {
            machine: (&request.machine).into(),
            workflow: request.workflow.clone(),
            stages: request.stages.iter().map(Into::into).collect(),
            tasks: request.tasks.iter().map(Into::into).collect(),
        }
    }
}

impl From<&PlanMachine> for guest::Machine {
    fn from(machine: &PlanMachine) -> Self {
        let PlanMachine { uuid, name, stage, bootenv, workflow } = machine.clone();
        Self { uuid, name, stage, bootenv, workflow }
    }
}

impl From<&StageInfo> for guest::Stage {
    fn from(stage: &StageInfo) -> Self {
        let StageInfo { name, bootenv, tasks } = stage.clone();
        Self { name, bootenv, tasks }
    }
}

impl From<&TaskInfo> for guest::Task {
    fn from(task: &TaskInfo) -> Self {
        let TaskInfo { name, prerequisites } = task.clone();
        Self { name, prerequisites }
    }
}

impl From<&JobReport> for guest::JobReport {
    fn from(report: &JobReport) -> Self {
        Self {
            task: report.task.clone(),
            state: match report.state {
                JobState::Finished => guest::JobState::Finished,
                JobState::Failed => guest::JobState::Failed,
                JobState::Incomplete => guest::JobState::Incomplete,
            },
            attempt: report.attempt,
            retries: report.retries,
            handlers: report.handlers.clone(),
            error_depth: report.error_depth,
        }
    }
}

impl From<guest::Decision> for Decision {
    fn from(decision: guest::Decision) -> Self {
        match decision {
            guest::Decision::Advance => Self::Advance,
            guest::Decision::RetryAfterMs(time) => Self::RetryAfterMs(time),
            guest::Decision::Divert(tasks) => Self::Divert(tasks),
            guest::Decision::Stop(reason) => Self::Stop(reason),
        }
    }
}
