//! Tasks, track 0.1: the machine and the time as two arguments, and no attempt.

use wasmtime::Store;

use super::failures;
use crate::capabilities::bindings::formwork::machine::machine as wit_machine;
use crate::state::CallState;
use crate::{Answer, MachineInfo, Outcome, Question};

mod bindings {
    wasmtime::component::bindgen!({
        inline: "package formwork:host; world guest { export formwork:task/task@0.1.0; }",
        path: [
            "../../wit/log-0.1",
            "../../wit/params-0.1",
            "../../wit/files-0.1",
            "../../wit/machine-0.1",
            "../../wit/task-0.1",
        ],
        world: "formwork:host/guest",
        imports: { default: async | trappable },
        exports: { default: async },
        with: { "formwork:machine/machine@0.1.0": crate::capabilities::bindings::formwork::machine::machine },
    });
}

use bindings::exports::formwork::task::task as guest;

pub(crate) use bindings::{Guest, GuestPre};

/// Puts a question to a task. An error that the guest did not expect fails the job as a refusal does.
pub(crate) async fn ask(
    task: &Guest,
    store: &mut Store<CallState>,
    question: &Question,
) -> wasmtime::Result<Option<Answer>> {
    let Question::Run(call) = question else { return Ok(None) };
    let answer = task.formwork_task_task().call_run(store, &(&call.machine).into(), call.now_ms).await?;
    let outcome = answer.map_or_else(|failure| Outcome::Failed(failure.into()), Into::into);
    Ok(Some(Answer::Outcome(outcome)))
}

impl From<&MachineInfo> for wit_machine::Machine {
    fn from(machine: &MachineInfo) -> Self {
        let MachineInfo { uuid, name, context, workflow, stage, bootenv, task, job } = machine.clone();
        Self { uuid, name, context, workflow, stage, bootenv, task, job }
    }
}

impl From<guest::Outcome> for Outcome {
    fn from(outcome: guest::Outcome) -> Self {
        match outcome {
            guest::Outcome::Done => Self::Done,
            guest::Outcome::RetryAt(time) => Self::RetryAt(time),
            guest::Outcome::Failed(failure) => Self::Failed(failure.into()),
            guest::Outcome::Reboot => Self::Reboot,
            guest::Outcome::Poweroff => Self::Poweroff,
            guest::Outcome::Stop => Self::Stop,
        }
    }
}

failures!(guest::Failure);
