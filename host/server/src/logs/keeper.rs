//! The thread that appends to the logs of jobs: all that waits is made durable by one flush, and only then acknowledged.

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::{Error, Result},
    os::unix::fs::FileExt as _,
    path::PathBuf,
    thread,
};

use tokio::sync::{mpsc, oneshot};

use super::{
    journal::{Journal, Record},
    path_of,
};

/// The bytes that one log may hold; what comes after is dropped with a line that says so.
const MAX_LOG_BYTES: u64 = 64 << 20;

/// The last line of a log that is full.
const LAST_LINE: &[u8] = b"\n[log full: what follows was dropped]\n";

/// At so many bytes no more appends are put into a group.
const MAX_GROUP_BYTES: usize = 4 << 20;

/// The journal's name; no job has one with a dot.
const JOURNAL: &str = ".journal";

/// What the thread is asked for.
#[derive(Debug)]
pub(super) struct Append {
    /// The name of the log's file.
    pub(super) job: String,
    pub(super) bytes: Vec<u8>,
    /// Who waits for it.
    pub(super) done: oneshot::Sender<Result<()>>,
}

/// The owner of the journal.
pub(super) struct Keeper {
    folder: PathBuf,
    journal: Journal,
}

/// A log that is appended to.
struct Log {
    file: File,
    length: u64,
}

impl Keeper {
    /// Opens the journal of a folder, and writes what it holds of `known` jobs to their logs.
    pub(super) fn open(folder: PathBuf, known: impl Fn(&str) -> bool) -> Result<Self> {
        let (mut journal, records) = Journal::open(&folder.join(JOURNAL))?;
        if !records.is_empty() {
            for record in records.iter().filter(|record| known(&record.name)) {
                let path = path_of(&folder, &record.name);
                let log = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
                log.write_all_at(&record.bytes, record.offset)?;
            }
            journal.begin_again()?;
        }
        Ok(Self { folder, journal })
    }

    /// Starts the thread; it ends when nobody can ask it any more.
    pub(super) fn spawn(mut self, mut asked: mpsc::Receiver<Append>) -> Result<()> {
        let run = move || {
            while let Some(first) = asked.blocking_recv() {
                let mut size = first.bytes.len();
                let mut group = vec![first];
                while size < MAX_GROUP_BYTES
                    && let Ok(next) = asked.try_recv()
                {
                    size += next.bytes.len();
                    group.push(next);
                }
                self.append(group);
            }
        };
        thread::Builder::new().name(String::from("job-logs")).spawn(run).map(drop)
    }

    fn append(&mut self, group: Vec<Append>) {
        let mut logs = HashMap::new();
        let mut waiting = Vec::new();
        let mut records = Vec::new();
        for Append { job, bytes, done } in group {
            match self.placed(&mut logs, &job, bytes) {
                Ok(Some(record)) => {
                    records.push(record);
                    waiting.push(done);
                }
                Ok(None) => answer(done, Ok(())),
                Err(error) => answer(done, Err(error)),
            }
        }
        let written = match records.is_empty() {
            true => Ok(()),
            false => self.journal.append(&records).and_then(|()| write(&logs, &records)),
        };
        // After a failure the journal may hold what was never acknowledged, and which must not come back over what will be.
        if (self.journal.is_full() || written.is_err())
            && let Err(error) = self.journal.begin_again()
        {
            tracing::error!(%error, "failed to flush the logs of jobs");
        }
        for done in waiting {
            answer(
                done,
                written.as_ref().copied().map_err(|error| Error::new(error.kind(), error.to_string())),
            );
        }
    }

    /// Finds where bytes belong in a log; nothing when it is full.
    fn placed(
        &self,
        logs: &mut HashMap<String, Log>,
        job: &str,
        mut bytes: Vec<u8>,
    ) -> Result<Option<Record>> {
        if !logs.contains_key(job) {
            let path = path_of(&self.folder, job);
            let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
            let length = file.metadata()?.len();
            logs.insert(job.to_owned(), Log { file, length });
        }
        // A log that is full to the byte has still to say so.
        let Some(log) = logs.get_mut(job).filter(|log| log.length <= MAX_LOG_BYTES) else { return Ok(None) };
        let room = usize::try_from(MAX_LOG_BYTES - log.length).unwrap_or(usize::MAX);
        if bytes.len() > room {
            bytes.truncate(room);
            bytes.extend_from_slice(LAST_LINE);
        }
        let record = Record { name: job.to_owned(), offset: log.length, bytes };
        log.length += record.bytes.len() as u64;
        Ok(Some(record))
    }
}

fn write(logs: &HashMap<String, Log>, records: &[Record]) -> Result<()> {
    for record in records {
        if let Some(log) = logs.get(&record.name) {
            log.file.write_all_at(&record.bytes, record.offset)?;
        }
    }
    Ok(())
}

fn answer(done: oneshot::Sender<Result<()>>, result: Result<()>) {
    // Who does not wait any more needs no answer.
    let _ = done.send(result);
}

#[cfg(test)]
mod tests {
    use super::super::JobLogs;
    use super::*;

    const JOB: &str = "00000000-0000-4000-8000-000000000001";

    fn open(folder: &std::path::Path) -> JobLogs {
        // The thread of the one before ends when it is dropped, and with it the lock.
        loop {
            match JobLogs::open(folder.to_owned(), |_| true) {
                Ok(logs) => return logs,
                Err(_) => thread::yield_now(),
            }
        }
    }

    #[tokio::test]
    async fn appends_of_many_at_once_are_all_there_and_each_in_its_order() {
        let folder = tempfile::tempdir().unwrap();
        let logs = open(folder.path());
        let writers = (0..20).map(|writer| {
            let logs = logs.clone();
            tokio::spawn(async move {
                for line in 0..50 {
                    logs.append(&format!("job-{}", writer % 4), format!("{writer} {line}\n").as_bytes())
                        .await
                        .unwrap();
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
        for writer in 0..20 {
            let text = logs.read(&format!("job-{}", writer % 4), 0, u64::MAX).await.unwrap();
            let text = String::from_utf8(text).unwrap();
            let own: Vec<_> =
                text.lines().filter_map(|line| line.strip_prefix(&format!("{writer} "))).collect();
            assert_eq!(own, (0..50).map(|line| line.to_string()).collect::<Vec<_>>());
        }
    }

    #[tokio::test]
    async fn what_was_acknowledged_is_there_again_when_the_system_lost_the_log_itself() {
        let folder = tempfile::tempdir().unwrap();
        let logs = open(folder.path());
        for words in ["one\n", "two\n"] {
            logs.append(JOB, words.as_bytes()).await.unwrap();
        }
        logs.append("gone", b"of a job that was deleted").await.unwrap();
        logs.append("left", b"of a job that was deleted, with the endpoint killed before the log was")
            .await
            .unwrap();
        drop(logs);
        // As after a power failure: only what was flushed is left, and that is the journal.
        for name in [JOB, "gone"] {
            std::fs::remove_file(folder.path().join(name)).unwrap();
        }
        let again = loop {
            match JobLogs::open(folder.path().to_owned(), |job| job == JOB) {
                Ok(logs) => break logs,
                Err(_) => thread::yield_now(),
            }
        };
        assert_eq!(again.read(JOB, 0, u64::MAX).await.unwrap(), b"one\ntwo\n");
        for gone in ["gone", "left"] {
            assert!(again.open_log(gone).await.unwrap().is_none(), "{gone}");
        }
        again.append(JOB, b"three\n").await.unwrap();
        assert_eq!(again.read(JOB, 4, u64::MAX).await.unwrap(), b"two\nthree\n");
    }

    #[tokio::test]
    async fn log_without_end_is_cut_at_its_bound_and_says_so_once() {
        let folder = tempfile::tempdir().unwrap();
        let logs = open(folder.path());
        for room in [0, 3] {
            let job = format!("job-{room}");
            File::create(folder.path().join(&job)).unwrap().set_len(MAX_LOG_BYTES - room).unwrap();
            for _ in 0..3 {
                logs.append(&job, b"words").await.unwrap();
            }
            let end = logs.read(&job, MAX_LOG_BYTES - room, u64::MAX).await.unwrap();
            let (kept, told) = end.split_at(usize::try_from(room).unwrap());
            assert_eq!((kept, told), (&b"words"[..kept.len()], LAST_LINE), "with room for {room}");
        }
    }
}
