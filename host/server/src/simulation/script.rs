//! Tasks of scripts: rendered as for an agent, and ended as the scenario says, for nothing is run.

use std::sync::Arc;

use formwork_api::ApiError;
use formwork_model::{ExitState, Job, JobState};
use serde::Deserialize;

use crate::{
    commands::{jobs::update_job, machines::update_machine},
    endpoint::Endpoint,
    render,
};

/// How the scripts of a task end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// They succeed.
    #[default]
    Finished,
    /// They fail.
    Failed,
    /// They ask to be called again.
    Incomplete,
    /// They succeed and ask for a reboot.
    Reboot,
    /// They succeed and ask for the power to be switched off.
    Poweroff,
    /// They succeed and stop the agent; the machine is not runnable after that.
    Stop,
}

/// What the scripts of a task come to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Script {
    /// How they end at the first call, the second and so on; the last one stands for all after it. Empty: they succeed.
    pub ends: Vec<Ending>,
    /// What they write.
    pub log: String,
}

impl Script {
    /// Returns how the call with this number, from 0, ends.
    fn ending(&self, call: usize) -> Ending {
        self.ends.get(call).or(self.ends.last()).copied().unwrap_or_default()
    }
}

/// Renders what an agent would run, says so, and ends the job.
pub(super) async fn perform(
    endpoint: &Arc<Endpoint>,
    principal: &str,
    job: &Job,
    (script, call): (Option<&Script>, usize),
) -> Result<Vec<String>, ApiError> {
    let script = script.cloned().unwrap_or_default();
    update_job(endpoint, principal, &job.uuid, |job| job.state = JobState::Running).await?;
    let rendered = render::job_actions(endpoint, &endpoint.snapshot(), job, Some("linux"));
    let (state, exit, errors, does) = match rendered {
        Err(errors) => (JobState::Failed, ExitState::Failed, errors, Vec::new()),
        Ok(actions) => {
            let does = actions.iter().map(|action| match action.path.as_str() {
                "" => format!("would run script {} of {} bytes", action.name, action.content.len()),
                path => format!("would write {path} of {} bytes", action.content.len()),
            });
            let (state, exit) = script.ending(call).states();
            let errors = match state {
                JobState::Failed => vec![String::from("a script failed, as the scenario says")],
                _ => Vec::new(),
            };
            (state, exit, errors, does.collect())
        }
    };
    let words: String = errors.iter().map(|error| format!("{error}\n")).collect();
    let log = format!("{}{words}", script.log);
    // The log lasts as long as the simulation; its end is looked at by whoever asked for it.
    endpoint.append_log(&job.uuid, log.as_bytes()).await.ok();
    if exit == ExitState::Stop {
        update_machine(endpoint, principal, &job.machine, |machine| machine.runnable = false).await?;
    }
    update_job(endpoint, principal, &job.uuid, move |job| {
        job.state = state;
        job.exit_state = exit;
        job.result_errors.clone_from(&errors);
    })
    .await?;
    Ok(does)
}

impl Ending {
    fn states(self) -> (JobState, ExitState) {
        match self {
            Self::Finished => (JobState::Finished, ExitState::Complete),
            Self::Failed => (JobState::Failed, ExitState::Failed),
            Self::Incomplete => (JobState::Incomplete, ExitState::Complete),
            Self::Reboot => (JobState::Finished, ExitState::Reboot),
            Self::Poweroff => (JobState::Finished, ExitState::Poweroff),
            Self::Stop => (JobState::Finished, ExitState::Stop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_ending_stands_for_all_later_calls() {
        let script = Script { ends: vec![Ending::Reboot, Ending::Finished], log: String::new() };
        assert_eq!(
            [0, 1, 7].map(|call| script.ending(call)),
            [Ending::Reboot, Ending::Finished, Ending::Finished]
        );
        assert_eq!(Script::default().ending(0), Ending::Finished);
    }
}
