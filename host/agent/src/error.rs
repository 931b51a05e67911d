//! Why an agent could not go on.

use std::{io, path::PathBuf};

use formwork_client::ClientError;
use formwork_model::JobState;

/// An agent cannot go on by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// The URL of the endpoint or the credentials cannot be used.
    #[error("the endpoint cannot be called")]
    Endpoint(#[source] ClientError),
    /// The endpoint refused a request that has to succeed.
    #[error("failed to {what}")]
    Refused {
        /// What the agent wanted.
        what: String,
        /// The endpoint's words.
        #[source]
        source: ClientError,
    },
    /// The machine object was removed while the agent ran.
    #[error("machine `{uuid}` does not exist any more\nhint: start the agent again to make a new one")]
    MachineGone {
        /// Its key.
        uuid: String,
    },
    /// Nothing tells this machine from others.
    #[error(
        "nothing identifies this machine: it has no physical network card and no usable firmware data\n\
         hint: name the machine object, or simulate a MAC address"
    )]
    Nameless,
    /// The state folder cannot be used.
    #[error("failed to use `{path}`")]
    State {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's words.
        #[source]
        source: io::Error,
    },
    /// The power of the machine could not be switched.
    #[error("failed to {action} this machine")]
    Power {
        /// `reboot`, `power off` or `jump into the loaded kernel of`.
        action: &'static str,
        /// The operating system's words.
        #[source]
        source: io::Error,
    },
    /// The machine waits for an operator because of a job, and the agent was not to wait.
    #[error("job `{job}` of task `{task}` is {}\nhint: `formwork jobs log {job}` tells why", state.as_str())]
    JobStopped {
        /// The job's key.
        job: String,
        /// Its task.
        task: String,
        /// `failed` or `incomplete`.
        state: JobState,
    },
    /// The agent was told to end. Never leaves the crate.
    #[error("the agent was told to end")]
    Shutdown,
}

impl AgentError {
    /// Returns the exit code of the program: 4 where a job keeps the machine from going on, which means nothing else
    /// for agents, tasks (drp-api.md 9.6) and the other commands; else 1.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::JobStopped { .. } => 4,
            _ => 1,
        }
    }

    /// Returns the status with which the endpoint refused.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { source, .. } | Self::Endpoint(source) => source.status(),
            _ => None,
        }
    }
}
