//! The logs of jobs: a file a job, appended to and read in ranges (drp-api.md 9.5).
//!
//! | module | holds |
//! |---|---|
//! | `keeper` | the thread that appends, for many jobs at once |
//! | `journal` | what makes that durable with one flush for all of them |

mod journal;
mod keeper;

use std::{
    io::{Error, ErrorKind, Result, SeekFrom},
    path::{Path, PathBuf},
};

use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt},
    sync::{mpsc, oneshot},
    task::spawn_blocking,
};

use self::keeper::{Append, Keeper};

/// Appends that wait for the keeper; who comes when so many do waits until one is done.
const QUEUE: usize = 1024;

/// The folder of all job logs.
#[derive(Clone, Debug)]
pub(crate) struct JobLogs {
    folder: PathBuf,
    queue: mpsc::Sender<Append>,
}

impl JobLogs {
    /// Keeps logs in a folder, which is made when missing. What the last keeper had acknowledged and the system had not
    /// written before it stopped is written now, for jobs that are still `known`; the logs of others go: the endpoint was
    /// killed after it had removed their jobs.
    ///
    /// # Errors
    ///
    /// The operating system's; and the folder's journal is in use by another endpoint.
    pub(crate) fn open(folder: PathBuf, known: impl Fn(&str) -> bool) -> Result<Self> {
        std::fs::create_dir_all(&folder)?;
        let (queue, asked) = mpsc::channel(QUEUE);
        let keeper = Keeper::open(folder.clone(), &known)?;
        sweep(&folder, known)?;
        keeper.spawn(asked)?;
        Ok(Self { folder, queue })
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
        let (done, is_done) = oneshot::channel();
        let append = Append { job: file_name(job), bytes: bytes.to_vec(), done };
        let gone = || Error::other("the keeper of job logs has ended");
        self.queue.send(append).await.map_err(|_| gone())?;
        is_done.await.map_err(|_| gone())?
    }

    /// Reads the log of a job from an offset on, at most `limit` bytes; a job without output has an empty log.
    pub(crate) async fn read(&self, job: &str, offset: u64, limit: u64) -> Result<Vec<u8>> {
        let mut file = match File::open(self.path(job)).await {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        file.seek(SeekFrom::Start(offset)).await?;
        let mut bytes = Vec::new();
        file.take(limit).read_to_end(&mut bytes).await?;
        Ok(bytes)
    }

    /// Opens the log of a job and returns it with its length; `None` for a job without output.
    pub(crate) async fn open_log(&self, job: &str) -> Result<Option<(File, u64)>> {
        match File::open(self.path(job)).await {
            Ok(file) => {
                let length = file.metadata().await?.len();
                Ok(Some((file, length)))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes the log of a job.
    pub(crate) async fn remove(&self, job: &str) {
        self.remove_all(vec![job.to_owned()]).await;
    }

    /// Removes the logs of jobs. It goes on when the caller does not wait for it: a busy endpoint takes milliseconds until a
    /// thread is free that may wait for the disk, so that one is asked for all of them.
    pub(crate) async fn remove_all(&self, jobs: Vec<String>) {
        let paths: Vec<PathBuf> = jobs.iter().map(|job| self.path(job)).collect();
        let removed = spawn_blocking(move || paths.iter().for_each(|path| remove_file(path))).await;
        if let Err(error) = removed {
            tracing::error!(%error, "failed to remove job logs");
        }
    }

    fn path(&self, job: &str) -> PathBuf {
        path_of(&self.folder, &file_name(job))
    }
}

/// Removes the logs of jobs that are not known. The journal stays: no job has a name with a dot.
fn sweep(folder: &Path, known: impl Fn(&str) -> bool) -> Result<()> {
    let mut count = 0;
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        if let Some(name) = name.to_str().filter(|name| !name.contains('.') && !known(name)) {
            remove_file(&path_of(folder, name));
            count += 1;
        }
    }
    if count > 0 {
        tracing::info!(count, "logs of jobs that are gone were removed");
    }
    Ok(())
}

/// Removes a log, if there is one.
fn remove_file(path: &Path) {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "failed to remove a job log");
    }
}

/// The uuid of a job is checked when it is made; here only what is safe in a file name is left of it.
fn file_name(job: &str) -> String {
    job.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(64).collect()
}

fn path_of(folder: &Path, name: &str) -> PathBuf {
    folder.join(name)
}
