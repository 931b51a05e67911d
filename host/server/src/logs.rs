//! The logs of jobs: a file a job, appended to and read in ranges (drp-api.md 9.5).

use std::{
    io::{ErrorKind, SeekFrom},
    path::PathBuf,
};

use tokio::{
    fs::{File, OpenOptions},
    io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt},
};

/// The bytes that one log may hold; what comes after is dropped with a line that says so.
const MAX_LOG_BYTES: u64 = 64 << 20;

/// The last line of a log that is full.
const FULL: &[u8] = b"\n[log full: what follows was dropped]\n";

/// The folder of all job logs.
#[derive(Clone, Debug)]
pub(crate) struct JobLogs(PathBuf);

impl JobLogs {
    /// Keeps logs in a folder, which is made when missing.
    pub(crate) fn new(folder: PathBuf) -> std::io::Result<Self> {
        std::fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }

    /// Appends bytes to the log of a job. They are on disk when this returns.
    pub(crate) async fn append(&self, job: &str, bytes: &[u8]) -> std::io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let mut file = OpenOptions::new().create(true).append(true).open(self.path(job)).await?;
        let size = file.metadata().await?.len();
        // A log that is full to the byte has still to say so.
        if size > MAX_LOG_BYTES {
            return Ok(());
        }
        let room = usize::try_from(MAX_LOG_BYTES - size).unwrap_or(usize::MAX);
        file.write_all(bytes.get(..room).unwrap_or(bytes)).await?;
        if bytes.len() > room {
            file.write_all(FULL).await?;
        }
        file.sync_data().await
    }

    /// Reads the log of a job from an offset on, at most `limit` bytes; a job without output has an empty log.
    pub(crate) async fn read(&self, job: &str, offset: u64, limit: u64) -> std::io::Result<Vec<u8>> {
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
    pub(crate) async fn open(&self, job: &str) -> std::io::Result<Option<(File, u64)>> {
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
        if let Err(error) = tokio::fs::remove_file(self.path(job)).await
            && error.kind() != ErrorKind::NotFound
        {
            tracing::warn!(job, %error, "failed to remove a job log");
        }
    }

    /// The uuid of a job is checked when it is made; here only what is safe in a file name is left of it.
    fn path(&self, job: &str) -> PathBuf {
        let name: String = job.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
        self.0.join(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn log_without_end_is_cut_at_its_bound_and_says_so_once() {
        let folder = tempfile::tempdir().unwrap();
        let logs = JobLogs::new(folder.path().to_owned()).unwrap();
        for room in [0, 3] {
            let job = format!("job-{room}");
            std::fs::File::create(logs.path(&job)).unwrap().set_len(MAX_LOG_BYTES - room).unwrap();
            for _ in 0..3 {
                logs.append(&job, b"words").await.unwrap();
            }
            let end = logs.read(&job, MAX_LOG_BYTES - room, 1 << 10).await.unwrap();
            let (kept, told) = end.split_at(usize::try_from(room).unwrap());
            assert_eq!((kept, told), (&b"words"[..kept.len()], FULL), "with room for {room}");
        }
    }
}
