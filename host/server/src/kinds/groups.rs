//! Clusters and resource brokers: they go through tasks as machines do, and each stands for a group, whose profile has its
//! name (drp-api.md 7A.5, 7A.6).

use std::sync::Arc;

use formwork_model::{Machine, Object, ObjectsExt, Profile};

use super::{Behaviour, machines::Machines};
use crate::{
    auth::Caller,
    commands::objects::{Request, remove},
    commit::{Stop, Work},
};

/// The context of a group that names none (drp-behaviour.md 3.14): its tasks are run by an agent that is not its own, for it
/// has no machine.
pub(crate) const CONTEXT: &str = "drpcli-runner";

/// The member of the meta of a profile that says which object's group it is of.
const GROUP_OF: &str = "group-of";

/// How clusters and resource brokers behave.
pub(super) struct Groups;

impl Behaviour for Groups {
    fn complete(&self, work: &mut Work<'_>, object: Box<dyn Object>) -> Result<Box<dyn Object>, Stop> {
        let kind = object.kind();
        let mut object = object;
        // There is no machine whose agent could do it: from the start its tasks are those of another context.
        let context = Machine::of(object.as_ref()).map(|group| group.context.clone()).unwrap_or_default();
        let context = if context.is_empty() { CONTEXT.to_owned() } else { context };
        object.header_mut().meta.entry(String::from("BaseContext")).or_insert(context);
        let object = Machines.complete(work, object)?;
        let Some(mut group) = Machine::of(object.as_ref()).cloned() else { return Ok(object) };
        make_profile(work, &group, Profile::default())?;
        if !group.name.is_empty() && !group.profiles.contains(&group.name) {
            group.profiles.push(group.name.clone());
        }
        // The noun in the form of a role: `resource-broker` (drp-behaviour.md 3.14).
        group.header.meta.insert(Machine::ROLE.to_owned(), kind.noun.replace(' ', "-"));
        Ok(group.into_kind(kind))
    }

    fn change(
        &self,
        work: &mut Work<'_>,
        request: &Request,
        old: &Arc<dyn Object>,
        new: &dyn Object,
    ) -> Result<Arc<dyn Object>, Stop> {
        let (Some(before), Some(wanted)) = (Machine::of(old.as_ref()), Machine::of(new)) else {
            return Machines.change(work, request, old, new);
        };
        if before.name == wanted.name {
            return Machines.change(work, request, old, new);
        }
        // The group has the new profile before the old one goes, which it would be the last to use.
        let own = own_profile(work, before);
        let mut like = Profile::default();
        if let Some(profile) = &own {
            like = profile.as_ref().clone();
            like.params = work.params_in_the_clear(profile.as_ref()).into();
        }
        make_profile(work, wanted, like)?;
        let mut wanted = wanted.clone();
        for name in wanted.profiles.iter_mut().filter(|name| **name == before.name) {
            name.clone_from(&wanted.name);
        }
        let stored = Machines.change(work, request, old, wanted.into_kind(old.kind()).as_ref())?;
        if let Some(profile) = own {
            remove(work, profile.as_ref(), request.force)?;
        }
        Ok(stored)
    }

    fn audited(&self, old: &dyn Object, new: &dyn Object) -> Option<(&'static str, &'static str)> {
        Machines.audited(old, new)
    }

    fn delete_with(&self, work: &mut Work<'_>, object: &dyn Object, force: bool) -> Result<(), Stop> {
        Machines.delete_with(work, object, force)?;
        match Machine::of(object).and_then(|group| own_profile(work, group)) {
            Some(profile) => remove(work, profile.as_ref(), force),
            None => Ok(()),
        }
    }

    fn may_delete(&self, work: &Work<'_>, caller: &Caller, object: &dyn Object) -> Result<(), Stop> {
        Machines.may_delete(work, caller, object)
    }
}

/// Makes the profile of a group out of what it was under another name. A profile that somebody else made is taken as it is.
fn make_profile(work: &mut Work<'_>, group: &Machine, like: Profile) -> Result<(), Stop> {
    if group.name.is_empty() || work.tx.get::<Profile>(&group.name).is_some() {
        return Ok(());
    }
    let mut profile = Profile { name: group.name.clone(), ..like };
    profile.header.meta.insert(GROUP_OF.to_owned(), group.uuid.clone());
    work.put(Box::new(profile)).map(drop)
}

/// Returns the profile that was made for a group.
fn own_profile(work: &Work<'_>, group: &Machine) -> Option<Arc<Profile>> {
    let profile = work.tx.get::<Profile>(&group.name)?;
    (profile.header.meta.get(GROUP_OF) == Some(&group.uuid)).then_some(profile)
}

#[cfg(test)]
mod tests {
    use formwork_core::jobs::Answer;
    use formwork_model::{Cluster, Job, JobState, Kind, Objects as _, Record as _, ResourceBroker, Task};
    use tokio::sync::watch;

    use super::*;
    use crate::{
        commands::jobs::{create_job, update_job},
        commit::commit,
        runner,
        testing::{Site, Wishes},
    };

    const UUID: &str = "11111111-2222-4333-8444-555555555555";

    /// A site with a group that a pool makes ready by a list of tasks.
    async fn building(kind: &'static Kind, context: &str, tasks: &[&str]) -> Site {
        let site = Site::new(Wishes::default());
        let group = Machine {
            uuid: UUID.into(),
            name: "g1".into(),
            arch: "amd64".into(),
            context: context.into(),
            tasks: tasks.iter().map(|task| (*task).to_owned()).collect(),
            runnable: true,
            pool: "default".into(),
            pool_status: "Building".into(),
            pool_allocated: true,
            ..Machine::default()
        };
        let put = commit(&site.endpoint, "user:anna", move |work| {
            work.put(Box::new(Task { name: "greet".into(), ..Task::default() }))?;
            work.put(group.clone().into_kind(kind)).map(drop)
        });
        put.await.unwrap();
        site
    }

    fn group(site: &Site, kind: &Kind) -> Machine {
        let object = site.endpoint.snapshot().find(kind.prefix, UUID).unwrap();
        Machine::of(object.as_ref()).unwrap().clone()
    }

    async fn next(site: &Site) -> Answer {
        let request = Job { machine: UUID.into(), ..Job::default() };
        create_job(&site.endpoint, "user:anna", request).await.unwrap()
    }

    async fn ended(site: &Site, job: &Job, state: JobState) {
        for state in [JobState::Running, state] {
            let change = update_job(&site.endpoint, "user:anna", &job.uuid, move |job| job.state = state);
            change.await.unwrap();
        }
    }

    #[tokio::test]
    async fn group_goes_through_its_tasks_and_its_transition_ends_with_them() {
        for kind in [Cluster::KIND, ResourceBroker::KIND] {
            let site = building(kind, "", &["greet", "greet"]).await;
            for _ in 0..2 {
                let Answer::Created(job) = next(&site).await else { panic!("no job") };
                assert_eq!(group(&site, kind).current_job, job.uuid);
                ended(&site, &job, JobState::Finished).await;
            }
            assert_eq!(next(&site).await, Answer::Nothing);
            let group = group(&site, kind);
            assert!(group.workflow_complete && group.pool_allocated, "{group:?}");
            assert_eq!(group.pool_status, "InUse");
            assert!(site.endpoint.snapshot().get::<Machine>(UUID).is_none(), "it is no machine");
        }
    }

    #[tokio::test]
    async fn group_whose_task_fails_is_held_in_its_pool() {
        let site = building(Cluster::KIND, "", &["greet"]).await;
        let Answer::Created(job) = next(&site).await else { panic!("no job") };
        ended(&site, &job, JobState::Failed).await;
        let group = group(&site, Cluster::KIND);
        assert_eq!((group.pool_status.as_str(), group.runnable), ("HoldBuild", false));
    }

    #[tokio::test]
    async fn endpoint_itself_takes_a_group_through_its_tasks_in_the_context_of_the_host() {
        let site = building(Cluster::KIND, runner::CONTEXT, &["stage:none"]).await;
        let mut feed = site.endpoint.store.snapshot_and_feed().1;
        let (stop, shutdown) = watch::channel(false);
        let running = runner::start(Arc::clone(&site.endpoint), shutdown);
        while group(&site, Cluster::KIND).pool_status != "InUse" {
            let waited = tokio::time::timeout(std::time::Duration::from_secs(60), feed.next()).await;
            waited.expect("the transition never ends").unwrap();
        }
        assert!(group(&site, Cluster::KIND).workflow_complete);
        stop.send(true).unwrap();
        running.await.unwrap();
    }
}
