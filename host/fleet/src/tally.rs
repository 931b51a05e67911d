//! What is counted of a fleet.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use formwork_client::{Meter, Method};
use formwork_model::JobState;
use serde::Serialize;
use tokio::{sync::watch, time::Instant};

/// The path of the question for a job.
const JOBS: &str = "/api/v3/jobs";

/// Each bucket of times is so much wider than the one before: a time is known to a twentieth.
const GROWTH: f64 = 1.05;

/// Buckets from a microsecond on; the last one begins at more than an hour.
const BUCKETS: usize = 460;

/// Errors of agents that are kept to be shown.
const KEPT_ERRORS: usize = 10;

/// How a machine stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum State {
    /// Not there: not yet switched on, or between two boots.
    #[default]
    Away,
    /// It has something to do, or waits for what the endpoint does by itself.
    Running,
    /// Its workflow is complete.
    Complete,
    /// A job keeps it from going on, and nobody changes that.
    Failed,
    /// Its agent ended for good: a task stopped it or powered the machine off, or the agent could not go on.
    Ended,
}

/// How many machines stand how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Not there: not yet switched on, or between two boots.
    pub away: u64,
    /// With something to do, or waiting for what the endpoint does by itself.
    pub running: u64,
    /// With a complete workflow.
    pub complete: u64,
    /// Kept from going on by a job.
    pub failed: u64,
    /// Without an agent: a task stopped it or powered the machine off, or it could not go on.
    pub ended: u64,
}

impl Counts {
    fn of(&mut self, state: State) -> &mut u64 {
        match state {
            State::Away => &mut self.away,
            State::Running => &mut self.running,
            State::Complete => &mut self.complete,
            State::Failed => &mut self.failed,
            State::Ended => &mut self.ended,
        }
    }

    /// Returns how many have nothing more to come.
    pub(crate) fn settled(&self) -> u64 {
        self.complete + self.failed + self.ended
    }
}

/// How far a fleet is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// How many machines stand how.
    pub machines: Counts,
    /// Jobs that came to an end so far.
    pub jobs: u64,
}

/// What came of a fleet.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Summary {
    /// What all was decided by.
    pub seed: u64,
    /// How many machines stood how at the end.
    pub machines: Counts,
    /// Jobs that finished.
    pub jobs_finished: u64,
    /// Jobs that failed, without those that a crash broke off.
    pub jobs_failed: u64,
    /// Jobs that were left to be run again.
    pub jobs_incomplete: u64,
    /// Jobs that were taken away while they ran.
    pub jobs_lost: u64,
    /// Machines that vanished in the middle of a task.
    pub crashes: u64,
    /// Reboots that a task or a change of the boot environment asked for.
    pub reboots: u64,
    /// Jumps into the kernel of another boot environment instead of a reboot.
    pub kexecs: u64,
    /// How often a machine was let go on or switched on again.
    pub resumes: u64,
    /// Seconds from the first job to the end of the last one.
    pub seconds: f64,
    /// Jobs that came to an end in one of these seconds.
    pub jobs_per_second: f64,
    /// Requests that were answered.
    pub requests: u64,
    /// Those that were refused, with a status from 400 on.
    pub requests_refused: u64,
    /// How long the question for a job took until its answer, in milliseconds: the time that half of them needed at most.
    pub job_request_median_ms: f64,
    /// The same for 99 of 100.
    pub job_request_p99_ms: f64,
    /// Why agents ended for good, the first ten.
    pub errors: Vec<String>,
}

/// The counters of a fleet.
#[derive(Debug)]
pub(crate) struct Tally {
    machines: watch::Sender<Counts>,
    pub(crate) finished: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) incomplete: AtomicU64,
    pub(crate) lost: AtomicU64,
    pub(crate) crashes: AtomicU64,
    pub(crate) reboots: AtomicU64,
    pub(crate) kexecs: AtomicU64,
    pub(crate) resumes: AtomicU64,
    requests: AtomicU64,
    refused: AtomicU64,
    /// How many questions for a job took so long, by buckets.
    job_requests: Vec<AtomicU64>,
    /// When the first job began and the last one ended.
    span: Mutex<Option<(Instant, Instant)>>,
    errors: Mutex<Vec<String>>,
}

impl Tally {
    /// Begins with a number of machines that are away.
    pub(crate) fn new(machines: u32) -> Self {
        let counts = Counts { away: u64::from(machines), ..Counts::default() };
        Self {
            machines: watch::Sender::new(counts),
            finished: AtomicU64::default(),
            failed: AtomicU64::default(),
            incomplete: AtomicU64::default(),
            lost: AtomicU64::default(),
            crashes: AtomicU64::default(),
            reboots: AtomicU64::default(),
            kexecs: AtomicU64::default(),
            resumes: AtomicU64::default(),
            requests: AtomicU64::default(),
            refused: AtomicU64::default(),
            job_requests: (0..BUCKETS).map(|_| AtomicU64::default()).collect(),
            span: Mutex::default(),
            errors: Mutex::default(),
        }
    }

    /// Returns how the machines stand, as it changes.
    pub(crate) fn watch(&self) -> watch::Receiver<Counts> {
        self.machines.subscribe()
    }

    /// Notes that a machine stands another way than before.
    pub(crate) fn moved(&self, from: State, to: State) {
        if from == to {
            return;
        }
        self.machines.send_modify(|counts| {
            let before = counts.of(from);
            *before = before.saturating_sub(1);
            *counts.of(to) += 1;
        });
    }

    /// Notes that a job begins.
    pub(crate) fn job_begins(&self) {
        let now = Instant::now();
        lock(&self.span).get_or_insert((now, now));
    }

    /// Notes how a job ended; nothing for one that was taken away.
    pub(crate) fn job_ended(&self, state: Option<JobState>) {
        let counter = match state {
            Some(JobState::Finished) => &self.finished,
            Some(JobState::Incomplete) => &self.incomplete,
            Some(_) => &self.failed,
            None => &self.lost,
        };
        add(counter);
        if let Some((_, last)) = lock(&self.span).as_mut() {
            *last = Instant::now();
        }
    }

    /// Notes why an agent ended for good.
    pub(crate) fn error(&self, words: String) {
        let mut errors = lock(&self.errors);
        if errors.len() < KEPT_ERRORS {
            errors.push(words);
        }
    }

    pub(crate) fn progress(&self) -> Progress {
        Progress { machines: *self.machines.borrow(), jobs: self.jobs() }
    }

    fn jobs(&self) -> u64 {
        [&self.finished, &self.failed, &self.incomplete].into_iter().map(read).sum()
    }

    pub(crate) fn summary(&self, seed: u64) -> Summary {
        let seconds = lock(&self.span).map_or(0.0, |(first, last)| (last - first).as_secs_f64());
        let rate = if seconds > 0.0 { self.jobs() as f64 / seconds } else { 0.0 };
        Summary {
            seed,
            machines: *self.machines.borrow(),
            jobs_finished: read(&self.finished),
            jobs_failed: read(&self.failed),
            jobs_incomplete: read(&self.incomplete),
            jobs_lost: read(&self.lost),
            crashes: read(&self.crashes),
            reboots: read(&self.reboots),
            kexecs: read(&self.kexecs),
            resumes: read(&self.resumes),
            seconds,
            jobs_per_second: rate,
            requests: read(&self.requests),
            requests_refused: read(&self.refused),
            job_request_median_ms: self.job_request_ms(0.5),
            job_request_p99_ms: self.job_request_ms(0.99),
            errors: lock(&self.errors).clone(),
        }
    }

    /// Returns the time that a share of the questions for a job needed at most; 0 when there was none.
    fn job_request_ms(&self, share: f64) -> f64 {
        let counts: Vec<u64> = self.job_requests.iter().map(read).collect();
        let wanted = counts.iter().sum::<u64>() as f64 * share;
        let mut seen = 0;
        let bucket = counts.iter().position(|count| {
            seen += count;
            seen as f64 >= wanted && seen > 0
        });
        bucket.map_or(0.0, |bucket| GROWTH.powf(bucket as f64) / 1e3)
    }
}

impl Meter for Tally {
    fn answered(&self, method: &Method, path: &str, status: u16, time: Duration) {
        add(&self.requests);
        if status >= 400 {
            add(&self.refused);
        }
        let is_job_request = *method == Method::POST && path.ends_with(JOBS);
        if let Some(count) = self.job_requests.get(bucket(time)).filter(|_| is_job_request) {
            add(count);
        }
    }
}

/// Returns the bucket of a time: the first whose end, a power of the growth in microseconds, is not below it.
fn bucket(time: Duration) -> usize {
    let micros = (time.as_secs_f64() * 1e6).max(1.0);
    // A small number without a sign: logarithms of what is at least 1 and at most the longest time there is.
    let place = (micros.ln() / GROWTH.ln()).ceil() as usize;
    place.min(BUCKETS - 1)
}

pub(crate) fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_times_are_known_to_a_twentieth() {
        let tally = Tally::new(1);
        for millis in 1..=100 {
            tally.answered(&Method::POST, JOBS, 201, Duration::from_millis(millis));
        }
        tally.answered(&Method::GET, JOBS, 200, Duration::from_secs(50));
        tally.answered(&Method::POST, "/api/v3/machines", 409, Duration::from_secs(50));
        let summary = tally.summary(7);
        assert!((50.0..52.5).contains(&summary.job_request_median_ms), "{summary:?}");
        assert!((99.0..104.0).contains(&summary.job_request_p99_ms), "{summary:?}");
        assert_eq!((summary.requests, summary.requests_refused, summary.seed), (102, 1, 7));
    }

    #[test]
    fn times_beyond_all_buckets_count_in_the_last() {
        assert_eq!(bucket(Duration::MAX), BUCKETS - 1);
        assert_eq!(bucket(Duration::ZERO), 0);
        assert!(GROWTH.powf((BUCKETS - 1) as f64) > 3600.0 * 1e6);
    }

    #[test]
    fn machines_are_counted_where_they_stand() {
        let tally = Tally::new(2);
        tally.moved(State::Away, State::Running);
        tally.moved(State::Running, State::Complete);
        tally.moved(State::Complete, State::Complete);
        let counts = *tally.watch().borrow();
        assert_eq!(counts, Counts { away: 1, complete: 1, ..Counts::default() });
        assert_eq!(counts.settled(), 1);
    }
}
