//! What the saved state owes by itself as time goes by: retries of failed tasks, the availability of boot
//! environments whose files come and go, and the end of leases.
//!
//! Nothing here is remembered that the store does not hold: after a restart the same is found again.

mod batches;
mod news;
mod rendering;
mod triggers;
mod work_orders;

use std::{collections::HashMap, sync::Arc, time::Duration};

use formwork_api::ApiError;
use formwork_core::{
    availability,
    jobs::{self, Retention, Scope},
    preferences,
};
use formwork_model::{
    BootEnv, Job, JobState, Lease, Machine, Object, Objects, ObjectsExt, Record as _, Timestamp, WorkOrder,
};
use formwork_store::{Entry, FeedError, Snapshot, Transaction};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{MissedTickBehavior, interval, sleep},
};

#[cfg(test)]
pub(crate) use self::{rendering::note_rendering, triggers::Follower};
use crate::{
    boot::ended,
    commands::{jobs::purge, work_orders::purge_old},
    commit::commit,
    content::is_brought_along,
    endpoint::Endpoint,
    files::FileRoot,
    kinds::put_moved,
    trees,
};

/// How often boot files and leases are looked at. Files change without telling anybody.
const ROUND: Duration = Duration::from_secs(5);

/// How often jobs are removed that nothing keeps.
const PURGE_ROUND: Duration = Duration::from_secs(600);

/// The longest sleep before the next retry; the clock may be set meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// Who the server is when it changes something by itself.
const PRINCIPAL: &str = "system";

/// Keeps house until the shutdown.
pub(crate) fn start(endpoint: Arc<Endpoint>, shutdown: watch::Receiver<bool>) -> JoinHandle<()> {
    tokio::spawn(async move {
        tokio::select! {
            () = ended(shutdown) => {}
            _ = async { tokio::join!(rendering::run(&endpoint), triggers::run(&endpoint), batches::run(&endpoint), work_orders::run(&endpoint), run(&endpoint)) } => {}
        }
    })
}

/// Returns what is missing of a boot environment's files (drp-api.md 7.1). One that comes out of an archive is
/// judged by the archive alone.
pub(crate) fn faults(files: &FileRoot, object: &dyn Object) -> Vec<String> {
    let mut found = faults_at_once(files, object);
    found.extend(object.as_any().downcast_ref().map(|env| trees::faults(files, env)).unwrap_or_default());
    found
}

/// Returns what is missing of the files of a boot environment that has no archive. An archive is looked for only after
/// the answer to the creation (drp-api.md 7.1). Of a machine it is what was noted about its files.
pub(crate) fn faults_at_once(files: &FileRoot, object: &dyn Object) -> Vec<String> {
    let Some(env) = object.as_any().downcast_ref::<BootEnv>() else { return rendering::noted(object) };
    let mut missing = Vec::new();
    for arch in env.arches() {
        let boot = env.for_arch(arch);
        if boot.kernel.is_empty() || !boot.iso_file.is_empty() {
            continue;
        }
        for file in std::iter::once(&boot.kernel).chain(&boot.initrds) {
            let path = format!("{}/{}", env.install_tree(arch), file.trim_start_matches('/'));
            if files.find(&path).is_none() {
                missing.push(format!("{}: missing boot file {path} below the file root", env.name));
            }
        }
    }
    missing
}

async fn run(endpoint: &Arc<Endpoint>) {
    let (snapshot, mut feed) = endpoint.store.snapshot_and_feed();
    let mut retries = Retries::default();
    retries.scan(&snapshot);
    drop(snapshot);
    let mut rounds = interval(ROUND);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut purges = interval(PURGE_ROUND);
    purges.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let pause = retries.pause(endpoint.now());
        tokio::select! {
            () = sleep(pause), if !retries.0.is_empty() => report("retry", retries.perform(endpoint).await),
            _ = rounds.tick() => {
                note_boot_files(endpoint).await;
                report("leases", end_leases(endpoint).await);
            }
            _ = purges.tick() => report("jobs", purge_jobs(endpoint).await),
            entry = feed.next() => match entry {
                Ok(entry) => retries.note(&entry),
                Err(FeedError::Lagged { .. }) => {
                    let (snapshot, fresh) = endpoint.store.snapshot_and_feed();
                    feed = fresh;
                    retries.scan(&snapshot);
                }
                Err(FeedError::Closed) => return,
            }
        }
    }
}

fn report(what: &'static str, done: Result<(), ApiError>) {
    if let Err(error) = done {
        tracing::error!(what, %error, "housekeeping failed; it is tried again");
    }
}

/// Returns how long to sleep until a time, or until the next look at the clock.
fn pause_until(due: Option<Timestamp>, now: Timestamp) -> Duration {
    let left = due.map_or(i64::MAX, |due| due.millis().saturating_sub(now.millis()));
    Duration::from_millis(u64::try_from(left).unwrap_or(0)).min(LONGEST_SLEEP)
}

/// The jobs that are tried again: when each failed, and when it is tried.
#[derive(Default)]
struct Retries(HashMap<String, (Timestamp, Timestamp)>);

impl Retries {
    /// Finds all retries that are owed.
    fn scan(&mut self, snapshot: &Snapshot) {
        self.0.clear();
        for prefix in Machine::PREFIXES {
            snapshot.visit(prefix, &mut |object| {
                let machine = Machine::of(object.as_ref());
                let job = machine.filter(|machine| !machine.runnable).map(|machine| &machine.current_job);
                if let Some(job) = job.and_then(|job| snapshot.get::<Job>(job)) {
                    self.note_job(&job);
                }
                true
            });
        }
        snapshot.visit(WorkOrder::KIND.prefix, &mut |object| {
            let order = object.as_any().downcast_ref::<WorkOrder>();
            let waiting = order.filter(|order| !order.is_final() && !order.runnable);
            if let Some(job) = waiting.and_then(|order| snapshot.get::<Job>(&order.current_job)) {
                self.note_job(&job);
            }
            true
        });
    }

    fn note(&mut self, entry: &Entry) {
        for change in entry.changes.iter().filter(|change| change.prefix == "jobs") {
            match change.after.as_ref().and_then(|job| job.as_any().downcast_ref::<Job>()) {
                Some(job) => self.note_job(job),
                None => drop(self.0.remove(&*change.key)),
            }
        }
    }

    fn note_job(&mut self, job: &Job) {
        if job.state == JobState::Failed && !job.retry_at.is_unset() && job.current {
            self.0.insert(job.uuid.clone(), (job.end_time, job.retry_at));
        } else {
            self.0.remove(&job.uuid);
        }
    }

    /// Returns how long it is until the next retry is due.
    fn pause(&self, now: Timestamp) -> Duration {
        pause_until(
            self.0.values().map(|owed| if jobs::is_due(*owed, now) { now } else { owed.1 }).min(),
            now,
        )
    }

    /// Makes the machines runnable whose time has come.
    async fn perform(&mut self, endpoint: &Arc<Endpoint>) -> Result<(), ApiError> {
        let now = endpoint.now();
        let due: Vec<String> =
            self.0.iter().filter(|(_, owed)| jobs::is_due(**owed, now)).map(|(job, _)| job.clone()).collect();
        if due.is_empty() {
            return Ok(());
        }
        let jobs = due.clone();
        let done = commit(endpoint, PRINCIPAL, move |work| {
            for job in jobs.iter().filter_map(|job| work.tx.get::<Job>(job)).collect::<Vec<_>>() {
                if let Some(moved) = jobs::retry_due(&*work.tx, &job, work.now) {
                    put_moved(work, moved)?;
                }
            }
            Ok(())
        })
        .await;
        for job in due {
            match done {
                Ok(()) => drop(self.0.remove(&job)),
                // The store may be full or closing: neither is helped by haste.
                Err(_) => drop(self.0.insert(job, (now, now.plus_millis(5000)))),
            }
        }
        done
    }
}

/// Returns when a machine that failed is tried again; none when nobody has said so.
pub(crate) fn next_retry(objects: &impl Objects, machine: &Machine) -> Option<Timestamp> {
    let job = objects.get::<Job>(&machine.current_job)?;
    (job.state == JobState::Failed && job.current && !job.retry_at.is_unset()).then_some(job.retry_at)
}

/// Tries again now what is due by now.
pub(crate) async fn retry(endpoint: &Arc<Endpoint>) -> Result<(), ApiError> {
    let mut retries = Retries::default();
    retries.scan(&endpoint.snapshot());
    retries.perform(endpoint).await
}

/// Notes which boot environments lost their files or got them back, and all that depends on them; a failure is reported.
pub(crate) async fn note_boot_files(endpoint: &Arc<Endpoint>) {
    report("availability", check_boot_files(endpoint).await);
}

async fn check_boot_files(endpoint: &Arc<Endpoint>) -> Result<(), ApiError> {
    let (snapshot, files) = (endpoint.snapshot(), endpoint.files.clone());
    let looked = tokio::task::spawn_blocking(move || changed_environments(&snapshot, &files));
    let changed = looked.await.unwrap_or_default();
    if changed.is_empty() {
        return Ok(());
    }
    for (name, errors) in &changed {
        tracing::info!(bootenv = name, available = errors.is_empty(), ?errors, "boot files changed");
    }
    let files = endpoint.files.clone();
    commit(endpoint, PRINCIPAL, move |work| {
        note_availability(work.tx, &files, changed.iter().map(|(name, _)| name));
        Ok(())
    })
    .await
}

/// Returns the boot environments whose errors are others than those that are noted.
fn changed_environments(objects: &impl Objects, files: &FileRoot) -> Vec<(String, Vec<String>)> {
    let mut changed = Vec::new();
    objects.visit("bootenvs", &mut |env| {
        let errors = availability::errors(objects, env.as_ref(), faults(files, env.as_ref()));
        if errors != env.header().errors {
            changed.push((env.key(), errors));
        }
        true
    });
    changed
}

/// Writes the present availability of boot environments and of what depends on them.
fn note_availability<'a>(tx: &mut Transaction, files: &FileRoot, names: impl Iterator<Item = &'a String>) {
    let mut causes = Vec::new();
    for name in names {
        let Some(env) = tx.find("bootenvs", name) else { continue };
        let errors = availability::errors(tx, env.as_ref(), faults(files, env.as_ref()));
        let mut env = env.boxed();
        env.header_mut().set_errors(errors);
        put(tx, env.shared());
        causes.push(("bootenvs", name.clone()));
    }
    for object in availability::dependants(tx, causes, &|object| faults(files, object)) {
        put(tx, object);
    }
}

/// Puts an object whose availability changed. One that every start brings along is hidden by a copy only while it is not
/// available.
fn put(tx: &mut Transaction, object: Arc<dyn Object>) {
    let (prefix, key) = (object.kind().prefix, object.key());
    if is_brought_along(tx, object.as_ref()) && object.header().available && !tx.is_base(prefix, &key) {
        tx.delete(prefix, &key);
        return;
    }
    tx.put(object);
}

/// Removes the jobs and the work orders that the preferences let go.
async fn purge_jobs(endpoint: &Arc<Endpoint>) -> Result<(), ApiError> {
    let rules = preferences::retention(&endpoint.snapshot());
    if rules == Retention::default() {
        return Ok(());
    }
    let gone = purge(endpoint, PRINCIPAL, (rules, Scope::All), false, |_| true).await?;
    if !gone.is_empty() {
        tracing::info!(count = gone.len(), "jobs purged");
    }
    let gone = purge_old(endpoint, PRINCIPAL, rules).await?;
    if !gone.is_empty() {
        tracing::info!(count = gone.len(), "work orders purged");
    }
    Ok(())
}

/// Notes the end of leases whose time is over; their records stay, so that a client gets its address again.
async fn end_leases(endpoint: &Arc<Endpoint>) -> Result<(), ApiError> {
    let now = endpoint.now();
    let mut over = Vec::new();
    endpoint.snapshot().visit("leases", &mut |object| {
        if object.as_any().downcast_ref::<Lease>().is_some_and(|lease| is_over(lease, now)) {
            over.push(object.key());
        }
        true
    });
    for part in over.chunks(LEASES_AT_ONCE) {
        let part = part.to_vec();
        commit(endpoint, PRINCIPAL, move |work| {
            for key in &part {
                // It may have been renewed since.
                let lease = work.tx.get::<Lease>(key).filter(|lease| is_over(lease, work.now));
                if let Some(lease) = lease {
                    let ended = Lease { state: String::from("EXPIRED"), ..lease.as_ref().clone() };
                    work.put_unchecked(Box::new(ended))?;
                }
            }
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// Leases that end in one commit: after a storm thousands do at once, and others write meanwhile.
const LEASES_AT_ONCE: usize = 500;

fn is_over(lease: &Lease, now: Timestamp) -> bool {
    lease.expire_time <= now && matches!(lease.state.as_str(), "OFFER" | "ACK")
}

#[cfg(test)]
mod tests;
