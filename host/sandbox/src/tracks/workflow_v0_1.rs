//! Workflows, track 0.1.

use wasmtime::Store;

use super::failures;
use crate::state::CallState;
use crate::workflow::{PlanMachine, StageInfo, TaskInfo};
use crate::{Answer, Decision, JobReport, JobState, PlanRequest, Question};

mod bindings {
    wasmtime::component::bindgen!({
        inline: "package formwork:host; world guest { export formwork:workflow/workflow@0.1.0; }",
        path: ["../../wit/log-0.1", "../../wit/workflow-0.1"],
        world: "formwork:host/guest",
        exports: { default: async },
    });
}

use bindings::exports::formwork::workflow::workflow as guest;

pub(crate) use bindings::{Guest, GuestPre};

/// Puts a question to a workflow.
pub(crate) async fn ask(
    workflow: &Guest,
    store: &mut Store<CallState>,
    question: &Question,
) -> wasmtime::Result<Option<Answer>> {
    let workflow = workflow.formwork_workflow_workflow();
    Ok(Some(match question {
        Question::Plan(request) => {
            Answer::Plan(workflow.call_plan(store, &request.into()).await?.map_err(Into::into))
        }
        Question::AfterJob(report) => {
            Answer::Decision(workflow.call_after_job(store, &report.into()).await?.into())
        }
        _ => return Ok(None),
    }))
}

failures!(guest::Failure);

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
