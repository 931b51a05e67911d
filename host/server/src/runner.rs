//! Runs the jobs of machines, clusters and resource brokers whose context is `host`, inside the endpoint.
//!
//! It is an agent like any other, only that it needs no network: it asks for the next job, runs it, and says how it
//! ended. What is owed is in the saved state alone, so after a crash the same is done again.

mod groups;
mod job;
mod task_host;

pub use groups::Groups;
pub(crate) use job::{Assigned, call, conclude, perform};

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use formwork_core::jobs::Answer;
use formwork_model::{ExitState, Job, JobState, Machine, Objects, ObjectsExt, Timestamp};
use formwork_store::{FeedError, Snapshot};
use tokio::{
    sync::{Semaphore, watch},
    task::{self, JoinError, JoinHandle, JoinSet},
};

use crate::{
    boot::ended,
    commands::jobs::{create_job, update_job},
    endpoint::Endpoint,
};

/// The context whose jobs run here (design, part 1).
pub(crate) const CONTEXT: &str = "host";

/// Machines whose jobs run at once; the others wait for their turn.
const MACHINES_AT_ONCE: usize = 64;

/// The pause before the next try when the endpoint itself could not do its part.
const TROUBLE_PAUSE: Duration = Duration::from_secs(5);

/// Runs jobs until the shutdown.
pub(crate) fn start(endpoint: Arc<Endpoint>, shutdown: watch::Receiver<bool>) -> JoinHandle<()> {
    tokio::spawn(run(endpoint, shutdown))
}

async fn run(endpoint: Arc<Endpoint>, shutdown: watch::Receiver<bool>) {
    let over = ended(shutdown);
    tokio::pin!(over);
    let (snapshot, mut feed) = endpoint.store.snapshot_and_feed();
    let mut runner = Runner::new(Arc::clone(&endpoint));
    runner.wake_all(&snapshot);
    loop {
        tokio::select! {
            () = &mut over => return,
            Some(ended) = runner.running.join_next_with_id() => runner.ended(ended),
            Some(timer) = runner.timers.join_next() => {
                if let Ok((uuid, waited)) = timer {
                    runner.has_waited(&uuid, waited.as_ref());
                    runner.wake(&endpoint.snapshot(), &uuid);
                }
            }
            entry = feed.next() => match entry {
                Ok(entry) => {
                    let changed = entry.changes.iter().filter(|change| Machine::PREFIXES.contains(&change.prefix));
                    let snapshot = endpoint.snapshot();
                    changed.for_each(|change| runner.wake(&snapshot, &change.key));
                }
                Err(FeedError::Lagged { .. }) => {
                    let (snapshot, fresh) = endpoint.store.snapshot_and_feed();
                    feed = fresh;
                    runner.wake_all(&snapshot);
                }
                Err(FeedError::Closed) => return,
            }
        }
    }
}

/// Which machines are worked on. Dropping it ends what runs; the saved state still says that it is owed.
struct Runner {
    endpoint: Arc<Endpoint>,
    slots: Arc<Semaphore>,
    running: JoinSet<Pause>,
    /// Machines that wait, and what for.
    timers: JoinSet<(String, Option<(String, Timestamp)>)>,
    /// Machines that are worked on, and whether they changed since.
    active: HashMap<String, bool>,
    /// Which machine each of the running tasks is about.
    subjects: HashMap<task::Id, String>,
    /// Machines that wait for a time, and the job that they wait with.
    waiting: HashMap<String, (String, Timestamp)>,
    /// How often the job that a machine waits with was called.
    attempts: HashMap<String, (String, u32)>,
    /// Machines that were looked at since the start: what runs on the others was left by a process that is gone.
    seen: HashSet<String>,
}

/// Why the work on a machine paused.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pause {
    /// There is nothing to do until the machine changes.
    Idle,
    /// A job wants to be called again at a time.
    Until {
        /// The job.
        job: String,
        /// The time.
        time: Timestamp,
    },
    /// The endpoint could not do its part; it is tried again soon.
    Trouble,
}

impl Runner {
    fn new(endpoint: Arc<Endpoint>) -> Self {
        Self {
            endpoint,
            slots: Arc::new(Semaphore::new(MACHINES_AT_ONCE)),
            running: JoinSet::new(),
            timers: JoinSet::new(),
            active: HashMap::new(),
            subjects: HashMap::new(),
            waiting: HashMap::new(),
            attempts: HashMap::new(),
            seen: HashSet::new(),
        }
    }

    fn wake_all(&mut self, snapshot: &Snapshot) {
        let mut found = Vec::new();
        for prefix in Machine::PREFIXES {
            snapshot.visit(prefix, &mut |object| {
                if Machine::of(object.as_ref()).is_some_and(|machine| is_owed(machine, CONTEXT)) {
                    found.push(object.key());
                }
                true
            });
        }
        found.iter().for_each(|uuid| self.wake(snapshot, uuid));
    }

    /// Begins to work on a machine that is owed something.
    fn wake(&mut self, snapshot: &Snapshot, uuid: &str) {
        let Some((_, machine)) = Machine::with_uuid(snapshot, uuid) else {
            self.waiting.remove(uuid);
            self.attempts.remove(uuid);
            self.seen.remove(uuid);
            return;
        };
        if let Some(changed) = self.active.get_mut(uuid) {
            *changed = true;
            return;
        }
        if !is_owed(&machine, CONTEXT) || self.waits(&machine) {
            return;
        }
        let stale = self.seen.insert(uuid.to_owned());
        self.active.insert(uuid.to_owned(), false);
        let (endpoint, slots, uuid) = (Arc::clone(&self.endpoint), Arc::clone(&self.slots), uuid.to_owned());
        let subject = uuid.clone();
        let attempts = self.attempts.get(&uuid).cloned().unwrap_or_default();
        let running = self.running.spawn(async move {
            // The semaphore is never closed.
            let _slot = slots.acquire_owned().await;
            work(&endpoint, &uuid, stale, attempts).await
        });
        self.subjects.insert(running.id(), subject);
    }

    /// Tells whether a machine's job wants to be called later.
    fn waits(&mut self, machine: &Machine) -> bool {
        let Some((job, time)) = self.waiting.get(&machine.uuid) else { return false };
        if *job == machine.current_job && self.endpoint.now() < *time {
            return true;
        }
        self.waiting.remove(&machine.uuid);
        false
    }

    /// Ends a wait whose pause is over, whatever the clock says: it may have been set back by years.
    fn has_waited(&mut self, uuid: &str, waited: Option<&(String, Timestamp)>) {
        if waited.is_some() && self.waiting.get(uuid) == waited {
            self.waiting.remove(uuid);
        }
    }

    fn ended(&mut self, ended: Result<(task::Id, Pause), JoinError>) {
        let (id, pause) = ended.unwrap_or_else(|error| {
            tracing::error!(%error, "the work on a machine ended in a fault");
            (error.id(), Pause::Trouble)
        });
        let Some(uuid) = self.subjects.remove(&id) else { return };
        if pause == Pause::Trouble {
            // Whatever still says that it runs here does not.
            self.seen.remove(&uuid);
        }
        let changed = self.active.remove(&uuid).unwrap_or(false);
        match pause {
            Pause::Idle => {
                self.attempts.remove(&uuid);
            }
            Pause::Until { job, time } => {
                let called = self.attempts.entry(uuid.clone()).or_default();
                if called.0 != job {
                    *called = (job.clone(), 0);
                }
                called.1 = called.1.saturating_add(1);
                let millis = time.millis().saturating_sub(self.endpoint.now().millis()).max(0);
                self.waiting.insert(uuid.clone(), (job, time));
                self.after(&uuid, Duration::from_millis(u64::try_from(millis).unwrap_or(0)));
            }
            Pause::Trouble => self.after(&uuid, TROUBLE_PAUSE),
        }
        if changed {
            self.wake(&self.endpoint.snapshot(), &uuid);
        }
    }

    fn after(&mut self, uuid: &str, pause: Duration) {
        let (uuid, waited) = (uuid.to_owned(), self.waiting.get(uuid).cloned());
        self.timers.spawn(async move {
            tokio::time::sleep(pause).await;
            (uuid, waited)
        });
    }
}

/// Tells whether a machine has something to do in a context.
fn is_owed(machine: &Machine, context: &str) -> bool {
    machine.context == context
        && machine.runnable
        && machine.header.available
        && !(machine.workflow_complete
            && usize::try_from(machine.current_task).is_ok_and(|at| at >= machine.tasks.len()))
}

/// Works on a machine until there is nothing more to do for now. `stale` says that its running job, if any, was left
/// by a process that is gone; `called` is the job that was called before, and how often.
async fn work(endpoint: &Arc<Endpoint>, uuid: &str, stale: bool, called: (String, u32)) -> Pause {
    let principal = format!("runner:{uuid}");
    if stale && let Err(error) = put_back(endpoint, &principal, uuid).await {
        tracing::warn!(machine.id = uuid, %error, "a job that was left behind cannot go on");
        return Pause::Trouble;
    }
    loop {
        let snapshot = endpoint.snapshot();
        if !Machine::with_uuid(&snapshot, uuid).is_some_and(|(_, machine)| is_owed(&machine, CONTEXT)) {
            return Pause::Idle;
        }
        let request = Job { machine: uuid.to_owned(), context: CONTEXT.to_owned(), ..Job::default() };
        let job = match create_job(endpoint, &principal, request).await {
            Ok(Answer::Created(job) | Answer::Resumed(job)) => *job,
            Ok(Answer::Nothing) => return Pause::Idle,
            Err(error) if error.code == 409 => {
                tracing::debug!(machine.id = uuid, %error, "no job now");
                return Pause::Idle;
            }
            Err(error) => {
                tracing::warn!(machine.id = uuid, %error, "no job");
                return Pause::Trouble;
            }
        };
        if job.state.is_final() {
            continue;
        }
        let attempt = if job.uuid == called.0 { called.1 } else { 0 };
        match perform(endpoint, Assigned { principal: &principal, job: &job, attempt }).await {
            Ok(None) => {}
            Ok(Some(time)) => return Pause::Until { job: job.uuid, time },
            Err(error) => {
                tracing::warn!(machine.id = uuid, job = job.uuid, %error, "a job could not be brought to its end");
                // What it left is put back at the next try, for this process does not run it any more.
                let put_back = put_back(endpoint, &principal, uuid).await;
                if let Err(error) = put_back {
                    tracing::warn!(machine.id = uuid, %error, "a job stays as it is");
                }
                return Pause::Trouble;
            }
        }
    }
}

/// Lets a job go on that nobody runs any more: a task is called again, for a repeat is harmless (drp-api.md 9.1).
async fn put_back(
    endpoint: &Arc<Endpoint>,
    principal: &str,
    uuid: &str,
) -> Result<(), formwork_api::ApiError> {
    let snapshot = endpoint.snapshot();
    let machine = Machine::with_uuid(&snapshot, uuid);
    let job = machine.and_then(|(_, machine)| snapshot.get::<Job>(&machine.current_job));
    let Some(job) = job
        .filter(|job| job.context == CONTEXT && matches!(job.state, JobState::Created | JobState::Running))
    else {
        return Ok(());
    };
    update_job(endpoint, principal, &job.uuid, |job| {
        if matches!(job.state, JobState::Created | JobState::Running) {
            job.state = JobState::Incomplete;
            job.exit_state = ExitState::Complete;
        }
    })
    .await
    .map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machine_is_owed_only_here_and_while_it_has_something_to_do() {
        let mut machine =
            Machine { context: CONTEXT.to_owned(), tasks: vec![String::from("greet")], ..Machine::default() };
        machine.header.set_errors(Vec::new());
        assert!(is_owed(&machine, CONTEXT));
        assert!(!is_owed(&Machine { context: String::new(), ..machine.clone() }, CONTEXT));
        assert!(!is_owed(&Machine { runnable: false, ..machine.clone() }, CONTEXT));
        assert!(
            is_owed(&Machine { current_task: 1, ..machine.clone() }, CONTEXT),
            "it has yet to be told that it is through"
        );
        assert!(!is_owed(&Machine { current_task: 1, workflow_complete: true, ..machine.clone() }, CONTEXT));
        machine.header.set_errors(vec![String::from("no")]);
        assert!(!is_owed(&machine, CONTEXT));
    }
}
