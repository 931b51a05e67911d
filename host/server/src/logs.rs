//! The logs of jobs: appended to, read in ranges, and removed with their jobs (drp-api.md 9.5).
//!
//! Thousands of machines each write a few lines at a time, so a log is no file. What is appended goes to a journal, which makes
//! the words of many jobs durable with one flush, and stays in memory; from time to time it moves to a table on disk.
//!
//! | module | holds |
//! |---|---|
//! | `keeper` | the thread that appends, for many jobs at once |
//! | `record` | what is appended, as bytes of the journal |
//! | `recent` | what is only in the journal and in memory yet |
//! | `table` | all that is older |

mod keeper;
mod recent;
mod record;
mod table;

use std::{
    io::{Error, Result},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    sync::{mpsc, oneshot},
    task::spawn_blocking,
};

use self::{
    keeper::{Append, Asked, Keeper},
    recent::Recent,
    table::Table,
};
use crate::download::Source;

/// Appends that wait for the keeper; who comes when so many do waits until one is done.
const QUEUE: usize = 1024;

/// The logs of all jobs.
#[derive(Clone, Debug)]
pub(crate) struct JobLogs {
    shelf: Arc<Shelf>,
    queue: mpsc::Sender<Asked>,
}

/// Where logs are.
#[derive(Debug)]
struct Shelf {
    recent: Mutex<Recent>,
    table: Table,
}

impl JobLogs {
    /// Keeps logs in a folder, which is made when missing. Those of jobs that are not `known` any more are removed.
    ///
    /// # Errors
    ///
    /// The operating system's; the table is damaged; and another endpoint has the logs open.
    pub(crate) fn open(folder: &Path, known: impl Fn(&str) -> bool) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let (queue, asked) = mpsc::channel(QUEUE);
        let shelf = Keeper::open(folder, known)?.spawn(asked)?;
        Ok(Self { shelf, queue })
    }

    /// Appends bytes to the log of a job. They are on disk when this returns.
    ///
    /// # Errors
    ///
    /// The operating system's; then it is not known whether they will be read again after the endpoint is started anew.
    pub(crate) async fn append(&self, job: &str, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let (job, bytes) = (name(job), bytes.to_vec());
        self.ask(|done| Asked::Append(Append { job, bytes, done })).await
    }

    /// Reads the log of a job from an offset on, at most `limit` bytes; a job without output has an empty log.
    ///
    /// # Errors
    ///
    /// The operating system's, and a damaged table.
    pub(crate) async fn read(&self, job: &str, offset: u64, limit: u64) -> Result<Vec<u8>> {
        let (shelf, job) = (Arc::clone(&self.shelf), name(job));
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        spawn_blocking(move || {
            let mut bytes = Vec::new();
            shelf.read(&job, offset, limit, &mut bytes).map(|()| bytes)
        })
        .await
        .map_err(Error::other)?
    }

    /// Returns the log of a job as something to read from, and its length in bytes.
    ///
    /// # Errors
    ///
    /// As [`JobLogs::read`].
    pub(crate) async fn open_log(&self, job: &str) -> Result<(JobLog, u64)> {
        let log = JobLog { shelf: Arc::clone(&self.shelf), job: name(job) };
        spawn_blocking(move || log.shelf.length(&log.job).map(|length| (log, length)))
            .await
            .map_err(Error::other)?
    }

    /// Removes the logs of jobs. They are gone for good when this returns.
    ///
    /// # Errors
    ///
    /// The operating system's; then the next start may find them again, if their jobs are there again too.
    pub(crate) async fn remove(&self, jobs: impl IntoIterator<Item = &str>) -> Result<()> {
        let jobs = jobs.into_iter().map(name).collect();
        self.ask(|done| Asked::Remove(jobs, done)).await
    }

    async fn ask(&self, asked: impl FnOnce(oneshot::Sender<Result<()>>) -> Asked) -> Result<()> {
        let (done, is_done) = oneshot::channel();
        let gone = || Error::other("the keeper of job logs has ended");
        self.queue.send(asked(done)).await.map_err(|_| gone())?;
        is_done.await.map_err(|_| gone())?
    }
}

impl Shelf {
    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn length(&self, job: &str) -> Result<u64> {
        let known = self.recent().length(job);
        known.map_or_else(|| self.table.length(job), Ok)
    }

    /// Appends to `out` what a log has from an offset on, at most `limit` bytes.
    fn read(&self, job: &str, offset: u64, limit: usize, out: &mut Vec<u8>) -> Result<()> {
        let mut recent = Vec::new();
        let base = self.recent().read(job, offset, limit, &mut recent);
        let of_table = base.map_or(limit, |base| {
            usize::try_from(base.saturating_sub(offset)).map_or(limit, |bytes| bytes.min(limit))
        });
        self.table.read(job, offset, of_table, out)?;
        out.extend_from_slice(
            recent.get(..recent.len().min(limit - of_table.min(limit))).unwrap_or_default(),
        );
        Ok(())
    }
}

/// A log that is read in parts.
#[derive(Debug)]
pub(crate) struct JobLog {
    shelf: Arc<Shelf>,
    job: String,
}

impl Source for JobLog {
    fn read_at(&self, offset: u64, part: &mut Vec<u8>) -> Result<()> {
        self.shelf.read(&self.job, offset, part.capacity(), part)
    }
}

/// The uuid of a job is checked when it is made; here only what is short and plain is left of it.
fn name(job: &str) -> String {
    job.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(64).collect()
}

#[cfg(test)]
mod tests;
