//! Which jobs may go (drp-api.md 9.9; drp-behaviour.md 3.11).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use formwork_model::{
    Job, JobState, Machine, Object, Objects, ObjectsExt, Record, SortKey, Span, Timestamp, WorkOrder,
};

/// What keeps a job. One that nothing keeps goes; without any rule for its kind a job stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// So many of the newest jobs of each machine stay.
    pub keep: Option<u64>,
    /// A finished job stays so long after its end.
    pub complete_after: Option<Duration>,
    /// A failed job stays so long after its end.
    pub failed_after: Option<Duration>,
}

/// The jobs of which machines are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All of them.
    All,
    /// Those of one machine.
    Machine(String),
    /// Those of machines that are gone.
    Missing,
}

/// Returns the jobs that may go, oldest first for each machine. The current job of a machine stays, and so does one that has
/// not ended, unless its machine is gone.
pub fn expired(
    objects: &(impl Objects + ?Sized),
    rules: Retention,
    scope: &Scope,
    now: Timestamp,
) -> Vec<Arc<Job>> {
    let mut machines: BTreeMap<String, Vec<Arc<Job>>> = BTreeMap::new();
    let mut note = |object: &Arc<dyn Object>| {
        if let Ok(job) = Arc::clone(object).into_any().downcast::<Job>()
            && (*scope != Scope::Missing || Machine::find(objects, &job.machine).is_none())
        {
            machines.entry(job.machine.clone()).or_default().push(job);
        }
        true
    };
    match scope {
        Scope::All | Scope::Missing => objects.visit(Job::KIND.prefix, &mut note),
        Scope::Machine(uuid) => {
            let value = SortKey::of("Machine", &uuid.as_str().into());
            objects.range(&Span::equal(Job::KIND.prefix, "Machine", value), &mut note);
        }
    }
    let mut gone = Vec::new();
    for (machine, mut jobs) in machines {
        let current = Machine::with_uuid(objects, &machine).map(|(_, machine)| machine.current_job.clone());
        jobs.retain(|job| match &current {
            Some(current) => job.state.is_final() && job.uuid != *current && !is_place(objects, job),
            None => true,
        });
        jobs.sort_by_key(|job| (ended(job), job.uuid.clone()));
        let keep = usize::try_from(rules.keep.unwrap_or(0)).unwrap_or(usize::MAX);
        let beyond = jobs.len().saturating_sub(keep);
        gone.extend(jobs.into_iter().take(beyond).filter(|job| may_go(job, rules, now)));
    }
    gone
}

impl Retention {
    /// Tells whether something that ended at a time is old enough to go; nothing where no age is said.
    #[must_use]
    pub fn is_old(&self, has_finished: bool, ended: Timestamp, now: Timestamp) -> Option<bool> {
        let after = if has_finished { self.complete_after } else { self.failed_after }?;
        let age = now.millis().saturating_sub(ended.millis());
        Some(u128::try_from(age).is_ok_and(|age| age >= after.as_millis()))
    }
}

/// Tells whether a job that is not among the newest may go.
fn may_go(job: &Job, rules: Retention, now: Timestamp) -> bool {
    let is_old = rules.is_old(job.state == JobState::Finished, ended(job), now);
    is_old.unwrap_or(rules.keep.is_some())
}

/// Returns when a job ended; one that never did counts from its beginning.
fn ended(job: &Job) -> Timestamp {
    if job.end_time.is_unset() { job.start_time } else { job.end_time }
}

/// Tells whether a work order that has not ended knows by a job where it stands.
fn is_place(objects: &(impl Objects + ?Sized), job: &Job) -> bool {
    let order = objects.get::<WorkOrder>(&job.work_order);
    order.is_some_and(|order| !order.is_final() && order.current_job == job.uuid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Site {
        jobs: Vec<Arc<dyn Object>>,
        machines: Vec<Arc<dyn Object>>,
    }

    impl Objects for Site {
        fn find(&self, prefix: &str, key: &str) -> Option<Arc<dyn Object>> {
            let all = if prefix == "jobs" { &self.jobs } else { &self.machines };
            all.iter().find(|object| object.key() == key).cloned()
        }

        fn visit(&self, prefix: &str, visit: &mut dyn FnMut(&Arc<dyn Object>) -> bool) {
            let all = if prefix == Job::KIND.prefix { &self.jobs } else { &self.machines };
            let _ = all.iter().all(visit);
        }

        fn count(&self, _: &str) -> usize {
            self.jobs.len()
        }
    }

    fn second(number: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + number * 1000)
    }

    /// Five ended jobs of `m1`, one more that is current, and two of a machine that is gone.
    fn site() -> Site {
        let mut site = Site::default();
        let current = String::from("m1-current");
        site.machines.push(Arc::new(Machine {
            uuid: "m1".into(),
            current_job: current.clone(),
            ..Machine::default()
        }));
        let mut add = |uuid: String, machine: &str, state, end| {
            let end_time = second(end);
            site.jobs.push(Arc::new(Job {
                uuid,
                machine: machine.into(),
                state,
                end_time,
                ..Job::default()
            }));
        };
        for number in 0..5 {
            let state = if number % 2 == 0 { JobState::Finished } else { JobState::Failed };
            add(format!("m1-{number}"), "m1", state, number);
        }
        add(current, "m1", JobState::Finished, 5);
        add("lost-1".into(), "lost", JobState::Running, 1);
        add("lost-2".into(), "lost", JobState::Finished, 2);
        site
    }

    fn gone(rules: Retention, scope: &Scope, now: i64) -> Vec<String> {
        expired(&site(), rules, scope, second(now)).iter().map(|job| job.uuid.clone()).collect()
    }

    const NOW: Option<Duration> = Some(Duration::ZERO);

    #[test]
    fn newest_n_of_each_machine_stay() {
        let rules = Retention { keep: Some(2), complete_after: NOW, failed_after: NOW };
        assert_eq!(gone(rules, &Scope::All, 100), ["m1-0", "m1-1", "m1-2"]);
        let rules = Retention { keep: Some(2), ..Retention::default() };
        assert_eq!(gone(rules, &Scope::All, 100), ["m1-0", "m1-1", "m1-2"]);
    }

    #[test]
    fn current_job_is_never_purged() {
        let rules = Retention { keep: Some(0), complete_after: NOW, failed_after: NOW };
        let machine = Scope::Machine("m1".into());
        assert_eq!(gone(rules, &machine, 100), ["m1-0", "m1-1", "m1-2", "m1-3", "m1-4"]);
    }

    #[test]
    fn ages_apply_to_failed_and_complete_apart() {
        let after = |seconds| Some(Duration::from_secs(seconds));
        let rules = Retention { complete_after: after(8), ..Retention::default() };
        assert_eq!(gone(rules, &Scope::Machine("m1".into()), 10), ["m1-0", "m1-2"]);
        let rules = Retention { failed_after: after(7), ..Retention::default() };
        assert_eq!(gone(rules, &Scope::Machine("m1".into()), 10), ["m1-1", "m1-3"]);
        let day = Retention { keep: Some(0), complete_after: after(86_400), failed_after: after(86_400) };
        assert!(gone(day, &Scope::All, 10).is_empty());
    }

    #[test]
    fn missing_selects_jobs_of_deleted_machines() {
        let rules = Retention { keep: Some(0), complete_after: NOW, failed_after: NOW };
        assert_eq!(gone(rules, &Scope::Missing, 100), ["lost-1", "lost-2"]);
    }

    #[test]
    fn without_a_rule_nothing_goes() {
        assert!(gone(Retention::default(), &Scope::All, 100).is_empty());
    }
}
