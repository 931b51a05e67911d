//! Components that an agent would run, in a plan: called here as an agent would call them, but for what only the machine
//! itself can answer.
//!
//! A plan is not to say what nobody knows. What a component reads of the machine is kept back; from then on its params are
//! told and not set, and what it ends with is told and does not fail the task, since on the machine it may be otherwise.

use std::sync::{Arc, Mutex, PoisonError};

use formwork_api::ApiError;
use formwork_model::Timestamp;
use formwork_sandbox::{
    FilesCall, Host, HostAnswer, HostCall, HostError, HostFuture, Outcome, ParamsCall, Report,
};

use super::plan;
use crate::{
    endpoint::Endpoint,
    runner::{self, Assigned},
};

/// What became of a job of an agent.
pub(super) struct Ended {
    /// When it is to be called again.
    pub(super) again: Option<Timestamp>,
    /// What the agent would do, a line each.
    pub(super) does: Vec<String>,
}

/// Calls the component of a job that an agent would run, and ends the job.
pub(super) async fn perform(endpoint: &Arc<Endpoint>, asked: Assigned<'_>) -> Result<Ended, ApiError> {
    let told = Arc::new(Mutex::new(Told::default()));
    let place = Arc::clone(&told);
    let ended = runner::call(endpoint, asked, |within| Arc::new(AsAgent { within, told: place })).await?;
    let Told { kept_back, lines } = std::mem::take(&mut *told.lock().unwrap_or_else(PoisonError::into_inner));
    let mut does = vec![format!("the agent would run the component of task {}", asked.job.task)];
    does.extend(lines);
    let ended = if kept_back { excused(ended, &mut does) } else { ended };
    let again = runner::conclude(endpoint, asked, ended).await?;
    Ok(Ended { again, does })
}

/// Takes a job for done whose component was not told what it asked for, and says what it ended with.
fn excused(
    ended: Result<Report<Outcome>, String>,
    does: &mut Vec<String>,
) -> Result<Report<Outcome>, String> {
    let words = match &ended {
        Ok(Report { answer: Outcome::Failed(failure), .. }) => failure.to_string(),
        Ok(Report { answer: Outcome::RetryAt(_), .. }) => String::from("to be called again"),
        Err(words) => words.clone(),
        Ok(_) => {
            does.push(String::from("only the machine can tell whether it ends like this there"));
            return ended;
        }
    };
    does.push(format!("here it ended with: {words}"));
    does.push(String::from("taken as done: only the machine can answer what it asked for"));
    let used = ended.map(|report| report.used).unwrap_or_default();
    Ok(Report { answer: Outcome::Done, used })
}

/// What was seen of a call.
#[derive(Default)]
struct Told {
    /// Whether it asked for something that only the machine can answer.
    kept_back: bool,
    lines: Vec<String>,
}

/// The side of the agent in one call.
struct AsAgent {
    /// The side of the endpoint, which captures what would be changed outside.
    within: Arc<dyn Host>,
    told: Arc<Mutex<Told>>,
}

impl AsAgent {
    /// Tells once what would be done, and that the answer is not the machine's.
    fn tell(&self, line: String) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.kept_back = true;
        if !told.lines.contains(&line) {
            told.lines.push(line);
        }
    }

    fn is_kept_back(&self) -> bool {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).kept_back
    }

    /// Answers what an agent would answer otherwise than the endpoint; `None` for all that they answer alike.
    fn answer(&self, call: &HostCall) -> Option<Result<HostAnswer, HostError>> {
        let unavailable = |words| Some(Err(HostError::Unavailable(words)));
        match call {
            HostCall::Kv(_) => unavailable(String::from(
                "the store of a pack is on the endpoint, which lends it to no agent",
            )),
            HostCall::Secrets(_) => {
                unavailable(String::from("a secret is on the endpoint, which lends it to no agent"))
            }
            HostCall::Files(call) => {
                let (FilesCall::Read { root, path, .. }
                | FilesCall::List { root, path }
                | FilesCall::ReadLink { root, path }) = call
                else {
                    // It is told among the effects.
                    return self.changes();
                };
                let place = plan::place(root, path);
                let words = format!("not done in a plan: only the machine knows {place}");
                self.tell(format!("would read {place}"));
                unavailable(words)
            }
            HostCall::Exec(_) | HostCall::Http(_) => self.changes(),
            HostCall::Params(ParamsCall::Write { name, .. }) if self.is_kept_back() => {
                self.tell(format!("would set param {name}, to what only the machine can tell"));
                Some(Ok(HostAnswer::Done))
            }
            HostCall::Params(ParamsCall::Remove { name }) if self.is_kept_back() => {
                self.tell(format!("could remove param {name}"));
                Some(Ok(HostAnswer::Done))
            }
            _ => None,
        }
    }

    /// Takes note that the answer is not that of the world outside.
    fn changes(&self) -> Option<Result<HostAnswer, HostError>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).kept_back = true;
        None
    }
}

impl Host for AsAgent {
    fn call(&self, call: HostCall) -> HostFuture<'_, Result<HostAnswer, HostError>> {
        match self.answer(&call) {
            Some(answer) => Box::pin(std::future::ready(answer)),
            None => self.within.call(call),
        }
    }
}
