//! The agents of clusters and resource brokers, which have no machine that one could run on (drp-behaviour.md 3.14).

use std::{collections::HashSet, ffi::OsStr, io, path::PathBuf};

use formwork_server::{Groups, OwnMachine};
use tokio::{fs, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::agent::{Agents, REST};

/// How many of them are attended to at once: each is a process. The others wait for their turn.
const AT_ONCE: usize = 8;

/// Groups that are remembered as told of; after so many all are told of again.
const TOLD: usize = 10_000;

/// Starts an agent for each group that has something to do, which ends when that is done, as long as the endpoint runs.
pub(super) async fn attend(agents: Agents, folder: PathBuf, groups: Groups, shutdown: CancellationToken) {
    // What an endpoint that was killed left there belongs to agents that are gone.
    let _ = fs::remove_dir_all(&folder).await;
    let mut attended = HashSet::new();
    let mut running = JoinSet::new();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            Some(Ok(uuid)) = running.join_next() => {
                attended.remove(&uuid);
            }
            group = groups.next(&attended), if running.len() < AT_ONCE => {
                let Some(group) = group else { return };
                attended.insert(group.uuid.clone());
                let (agents, folder) = (agents.clone(), folder.join(&group.uuid));
                running.spawn(async move {
                    if let Err(error) = run(&agents, &group, folder).await {
                        tracing::warn!(machine.id = group.uuid, %error, "the agent of a group does not start");
                    }
                    // Whatever made it end with work left is not made better by haste.
                    tokio::time::sleep(REST).await;
                    group.uuid
                });
            }
        }
    }
}

/// Runs the agent of a group until it has nothing to do. Its folder goes with it.
async fn run(agents: &Agents, group: &OwnMachine, folder: PathBuf) -> io::Result<()> {
    fs::create_dir_all(&folder).await?;
    let flags = ["--once", "--context", Groups::CONTEXT, "--state-dir"].map(OsStr::new);
    let arguments: Vec<&OsStr> = flags.into_iter().chain([folder.as_os_str()]).collect();
    tracing::info!(machine.id = group.uuid, "an agent runs the tasks of a group");
    let ended = agents.start(group, &arguments)?.wait().await?;
    tracing::info!(machine.id = group.uuid, %ended, "the agent of a group ended");
    fs::remove_dir_all(&folder).await
}

/// Says of each group that has something to do what it waits for, where the endpoint starts no agents.
pub(super) async fn tell(groups: Groups, shutdown: CancellationToken) {
    let mut told = HashSet::new();
    loop {
        let group = tokio::select! {
            () = shutdown.cancelled() => return,
            group = groups.next(&told) => group,
        };
        let Some(group) = group else { return };
        if told.len() == TOLD {
            told.clear();
        }
        tracing::warn!(
            machine.id = group.uuid,
            "the tasks of a group wait for an agent in its context: start the endpoint with --start-runner, or run \
             `formwork agent --uuid {} --context {}`",
            group.uuid,
            Groups::CONTEXT
        );
        told.insert(group.uuid);
    }
}
