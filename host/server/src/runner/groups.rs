//! Clusters and resource brokers whose tasks are for an agent beside the endpoint: they have no machine that one runs on.

use std::{collections::HashSet, fmt, sync::Arc};

use formwork_model::{Cluster, Machine, Objects as _, Record as _, ResourceBroker};
use formwork_store::{FeedError, Snapshot};

use super::is_owed;
use crate::{auth, endpoint::Endpoint, kinds::GROUP_CONTEXT, start::OwnMachine};

/// The clusters and resource brokers of an endpoint, for who runs their tasks.
#[derive(Clone)]
pub struct Groups(Arc<Endpoint>);

impl Groups {
    /// The context whose tasks are looked for.
    pub const CONTEXT: &str = GROUP_CONTEXT;

    /// Looks at the groups of an endpoint.
    pub(crate) fn new(endpoint: Arc<Endpoint>) -> Self {
        Self(endpoint)
    }

    /// Waits for a group that has something to do and is none of `attended`, by their UUIDs, and returns it with a token for
    /// its agent; nothing when the endpoint goes down.
    pub async fn next(&self, attended: &HashSet<String>) -> Option<OwnMachine> {
        // The feed begins where the snapshot ends: whatever is not in the one is in the other.
        let (mut snapshot, mut feed) = self.0.store.snapshot_and_feed();
        loop {
            if let Some(group) = owed(&snapshot, attended) {
                let token = auth::machine_token(&self.0, &snapshot, &group, None);
                return Some(OwnMachine { uuid: group.uuid, token });
            }
            loop {
                match feed.next().await {
                    Ok(entry) if entry.changes.iter().any(|change| PREFIXES.contains(&change.prefix)) => {
                        snapshot = self.0.snapshot();
                        break;
                    }
                    Ok(_) => {}
                    Err(FeedError::Lagged { .. }) => {
                        (snapshot, feed) = self.0.store.snapshot_and_feed();
                        break;
                    }
                    Err(FeedError::Closed) => return None,
                }
            }
        }
    }
}

impl fmt::Debug for Groups {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Groups").finish_non_exhaustive()
    }
}

/// The types of groups: few objects, while a site has many machines.
const PREFIXES: [&str; 2] = [Cluster::KIND.prefix, ResourceBroker::KIND.prefix];

/// Returns a group that has something to do and that nobody attends to.
fn owed(snapshot: &Snapshot, attended: &HashSet<String>) -> Option<Machine> {
    let mut found = None;
    for prefix in PREFIXES {
        snapshot.visit(prefix, &mut |object| {
            let group = Machine::of(object.as_ref());
            found = group
                .filter(|group| is_owed(group, Groups::CONTEXT) && !attended.contains(&group.uuid))
                .cloned();
            found.is_none()
        });
        if found.is_some() {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use formwork_model::Task;

    use super::*;
    use crate::{
        commit::commit,
        testing::{Site, Wishes},
    };

    #[tokio::test]
    async fn group_is_told_once_it_has_something_to_do_and_not_while_somebody_attends_to_it() {
        let site = Site::new(Wishes::default());
        let groups = Groups::new(Arc::clone(&site.endpoint));
        let next = |attended: &[&str]| {
            let attended: HashSet<String> = attended.iter().map(ToString::to_string).collect();
            let groups = groups.clone();
            tokio::spawn(async move { groups.next(&attended).await.map(|group| group.uuid) })
        };
        let put = async |uuid: &str, context: &str| {
            let group = Machine {
                uuid: uuid.into(),
                name: uuid.into(),
                arch: "amd64".into(),
                context: context.into(),
                tasks: vec!["greet".into()],
                runnable: true,
                ..Machine::default()
            };
            let put = commit(&site.endpoint, "user:anna", move |work| {
                work.put(Box::new(Task { name: "greet".into(), ..Task::default() }))?;
                work.put(group.clone().into_kind(Cluster::KIND)).map(drop)
            });
            put.await.unwrap();
        };
        let [first, second, elsewhere] =
            ["1", "2", "0"].map(|end| format!("11111111-2222-4333-8444-55555555555{end}"));
        put(&elsewhere, "shelf").await;
        let waiting = next(&[]);
        put(&first, Groups::CONTEXT).await;
        assert_eq!(waiting.await.unwrap(), Some(first.clone()));
        let waiting = next(&[&first]);
        put(&second, Groups::CONTEXT).await;
        assert_eq!(waiting.await.unwrap(), Some(second.clone()));
        let waiting = next(&[&first, &second]);
        site.endpoint.store.close().await;
        assert_eq!(waiting.await.unwrap(), None);
    }
}
