//! Tasks, track 0.2.

use wasmtime::Store;

use super::failures;
use crate::state::CallState;
use crate::{Answer, Outcome, Question, TaskCall};

mod bindings {
    wasmtime::component::bindgen!({
        inline: "package formwork:host; world guest { export formwork:task/task@0.2.0; }",
        path: [
            "../../wit/log-0.1",
            "../../wit/params-0.2",
            "../../wit/http-0.1",
            "../../wit/kv-0.1",
            "../../wit/files-0.2",
            "../../wit/exec-0.1",
            "../../wit/progress-0.1",
            "../../wit/secrets-0.1",
            "../../wit/clock-0.1",
            "../../wit/random-0.1",
            "../../wit/machine-0.1",
            "../../wit/task-0.2",
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
    let answer = task.formwork_task_task().call_run(store, &call.into()).await?;
    let outcome = answer.map_or_else(|failure| Outcome::Failed(failure.into()), Into::into);
    Ok(Some(Answer::Outcome(outcome)))
}

impl From<&TaskCall> for guest::Call {
    fn from(call: &TaskCall) -> Self {
        Self { machine: (&call.machine).into(), attempt: call.attempt, now_ms: call.now_ms }
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
