//! What would happen to a machine: its next steps, gone through in a copy of the endpoint.

use std::sync::{Arc, Mutex, PoisonError};

use formwork_api::ApiError;
use formwork_model::{Machine, ObjectsExt};
use formwork_sandbox::{FilesCall, Host, HostAnswer, HostCall, HostError, HostFuture, native};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Simulation, Step};
use crate::{commit::internal, endpoint::Endpoint};

/// What would happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Plan {
    /// The task list that the machine would get.
    pub(crate) tasks: Vec<String>,
    /// What would be done, entry by entry.
    pub(crate) steps: Vec<Step>,
    /// What would have left the endpoint, a line each: requests, files, programs. None of it was done.
    pub(crate) effects: Vec<String>,
    /// Whether the machine would be through.
    pub(crate) complete: bool,
}

/// Answers what leaves the endpoint with the word that it is not done in a plan, and keeps it.
#[derive(Default)]
struct Captured(Mutex<Vec<String>>);

impl Host for Captured {
    fn call(&self, call: HostCall) -> HostFuture<'_, Result<HostAnswer, HostError>> {
        // Whoever takes these changes nothing.
        if let HostCall::Random(call) = call {
            return Box::pin(std::future::ready(native::random(call)));
        }
        let effect = effect(&call);
        let words = format!("not done in a plan: {effect}");
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(effect);
        Box::pin(std::future::ready(Err(HostError::Unavailable(words))))
    }
}

fn effect(call: &HostCall) -> String {
    match call {
        HostCall::Http(request) => {
            format!("send {} {}", format!("{:?}", request.method).to_uppercase(), request.url)
        }
        HostCall::Exec(command) => format!("run {} {}", command.program, command.args.join(" ")),
        HostCall::Files(FilesCall::Write { root, path, .. }) => format!("write {}", place(root, path)),
        HostCall::Files(
            FilesCall::Read { root, path, .. }
            | FilesCall::List { root, path }
            | FilesCall::ReadLink { root, path },
        ) => format!("read {}", place(root, path)),
        _ => String::from("leave the endpoint"),
    }
}

/// Writes a root and a path below it as components name them.
pub(super) fn place(root: &str, path: &str) -> String {
    if path.is_empty() { root.to_owned() } else { format!("{root}/{path}") }
}

/// Plans a change of a machine, such as `{"Workflow": "w"}`. Nothing is written, nothing leaves the endpoint.
///
/// Components are run, with what they would reach outside kept back, also those that an agent would run: what only the
/// machine can answer is told and not made up. Scripts are rendered and told.
///
/// # Errors
///
/// The machine is not there, or the change would be refused.
pub(crate) async fn plan(
    endpoint: &Arc<Endpoint>,
    machine: &str,
    members: &Map<String, Value>,
) -> Result<Plan, ApiError> {
    let scratch = tempfile::tempdir().map_err(|error| internal(&error))?;
    let captured = Arc::new(Captured::default());
    let outside: Arc<dyn Host> = Arc::clone(&captured) as _;
    let copy = Simulation::copy_of(endpoint, scratch.path(), outside).map_err(|error| internal(&error))?;
    let mut wanted = members.clone();
    // A machine that waits for its operator would go on: that is the question.
    wanted.entry("Runnable").or_insert(json!(true));
    copy.change("machines", machine, &Value::Object(wanted)).await?;
    let steps = copy.run(machine).await?;
    let ended = copy.endpoint.snapshot().get::<Machine>(machine);
    let ended = ended.ok_or_else(|| ApiError::not_found("POST", "machines", machine))?;
    let effects = std::mem::take(&mut *captured.0.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Plan { tasks: ended.tasks.clone(), steps, effects, complete: ended.workflow_complete })
}
