//! The thread that appends to the logs of jobs: all that waits is made durable by one flush, and only then acknowledged.

use std::{
    collections::HashMap,
    io::{Error, Result},
    path::Path,
    sync::Arc,
    thread,
};

use formwork_journal::{Folder, Journal};
use tokio::sync::{mpsc, oneshot};

use super::{
    Shelf,
    recent::Recent,
    record::{self, Record},
    table::Table,
};

/// The bytes that one log may hold; what comes after is dropped with a line that says so.
pub(super) const MAX_LOG_BYTES: u64 = 64 << 20;

/// The last line of a log that is full.
pub(super) const LAST_LINE: &[u8] = b"\n[log full: what follows was dropped]\n";

/// At so many bytes no more appends are put into a group.
const MAX_GROUP_BYTES: usize = 4 << 20;

/// At so many bytes in the journal they move to the table: few enough to be written at once, and enough for a page of it to
/// take the words of many jobs.
const FULL: u64 = 4 << 20;

/// What the thread is asked for.
#[derive(Debug)]
pub(super) enum Asked {
    Append(Append),
    /// Remove logs.
    Remove(Vec<String>, oneshot::Sender<Result<()>>),
    /// Bring the table up to date.
    #[cfg(test)]
    Settle,
}

/// Bytes for a log.
#[derive(Debug)]
pub(super) struct Append {
    pub(super) job: String,
    pub(super) bytes: Vec<u8>,
    /// Who waits for it.
    pub(super) done: oneshot::Sender<Result<()>>,
}

/// The owner of the journal.
pub(super) struct Keeper {
    shelf: Arc<Shelf>,
    journal: Journal,
    /// The number of the first record of the journal that the table does not have.
    keep_from: u64,
    /// The bytes in the journal from there on.
    length: u64,
    /// True when the table has to be up to date before the journal takes more.
    must_settle: bool,
}

impl Keeper {
    /// Opens the journal and the table of a folder. What the journal holds of `known` jobs comes to the table, and what that has
    /// of others goes.
    pub(super) fn open(folder: &Path, known: impl Fn(&str) -> bool) -> Result<Self> {
        let (journal, records) = Journal::open(Box::new(Folder::new(folder.join("logs.journal"))), FULL)?;
        let table = Table::open(&folder.join("logs.redb"))?;
        let mut recent = Recent::default();
        table.unknown(&known)?.iter().for_each(|job| recent.remove(job));
        let records = records.iter().flat_map(|(_, text)| record::read(text));
        for record in records.filter(|record| known(&record.name)) {
            if record.offset == 0 {
                // The table may have it already, from before a crash, and more than is here of an older one by that name.
                recent.remove(&record.name);
            }
            take(&mut recent, &record);
        }
        let shelf = Arc::new(Shelf { recent: recent.into(), table });
        let mut keeper = Self { shelf, journal, keep_from: 0, length: 0, must_settle: true };
        keeper.settle()?;
        Ok(keeper)
    }

    /// Starts the thread, which ends when nobody can ask it any more. Returns where the logs are.
    pub(super) fn spawn(mut self, mut asked: mpsc::Receiver<Asked>) -> Result<Arc<Shelf>> {
        let shelf = Arc::clone(&self.shelf);
        let run = move || {
            while let Some(first) = asked.blocking_recv() {
                let mut size = 0;
                let mut group = Vec::new();
                let mut next = Some(first);
                while let Some(one) = next {
                    if let Asked::Append(append) = &one {
                        size += append.bytes.len();
                    }
                    group.push(one);
                    next = if size < MAX_GROUP_BYTES { asked.try_recv().ok() } else { None };
                }
                self.serve(group);
                if self.must_settle
                    && let Err(error) = self.settle()
                {
                    tracing::error!(%error, "failed to save the logs of jobs; new words are refused until that goes");
                }
            }
        };
        thread::Builder::new().name(String::from("job-logs")).spawn(run)?;
        Ok(shelf)
    }

    fn serve(&mut self, group: Vec<Asked>) {
        let mut lengths = HashMap::new();
        let mut waiting = Vec::new();
        let mut records = Vec::new();
        for asked in group {
            match asked {
                Asked::Append(Append { job, bytes, done }) => match self.placed(&mut lengths, job, bytes) {
                    Ok(Some(record)) => {
                        records.push(record);
                        waiting.push(done);
                    }
                    Ok(None) => answer(done, Ok(())),
                    Err(error) => answer(done, Err(error)),
                },
                Asked::Remove(jobs, done) => {
                    lengths.extend(jobs.iter().map(|job| (job.clone(), 0)));
                    records.extend(jobs.into_iter().map(Record::removal));
                    waiting.push(done);
                }
                #[cfg(test)]
                Asked::Settle => self.must_settle = true,
            }
        }
        let written = if records.is_empty() { Ok(()) } else { self.write(&records) };
        for done in waiting {
            answer(
                done,
                written.as_ref().copied().map_err(|error| Error::new(error.kind(), error.to_string())),
            );
        }
    }

    fn write(&mut self, records: &[Record]) -> Result<()> {
        // It was tried at the end of the last group, and failed.
        if self.must_settle {
            self.settle()?;
        }
        let mut text = Vec::new();
        records.iter().for_each(|record| record.write(&mut text));
        let written = self.journal.append(self.journal.last() + 1, self.keep_from, &[&text]);
        self.length += text.len() as u64;
        // After a failure the journal may hold what was never acknowledged, and which must not come back over what will be.
        self.must_settle |= self.length >= FULL || written.is_err();
        written?;
        let mut recent = self.shelf.recent();
        for record in records {
            take(&mut recent, record);
        }
        self.must_settle |= recent.has_many_to_remove();
        Ok(())
    }

    /// Brings the table up to date, so that nothing in the journal is needed any more.
    fn settle(&mut self) -> Result<()> {
        let arrears = self.shelf.recent().arrears();
        let table = &self.shelf.table;
        // The table has all or nothing of it; a second time changes nothing.
        table.settle(&arrears).or_else(|_| table.open_again().and_then(|()| table.settle(&arrears)))?;
        (self.keep_from, self.length) = (self.journal.last() + 1, 0);
        self.shelf.recent().settled();
        self.must_settle = false;
        Ok(())
    }

    /// Finds where bytes belong in a log; nothing when it is full.
    fn placed(
        &self,
        lengths: &mut HashMap<String, u64>,
        job: String,
        mut bytes: Vec<u8>,
    ) -> Result<Option<Record>> {
        let length = match lengths.get(&job) {
            Some(length) => *length,
            None => self.shelf.length(&job)?,
        };
        // A log that is full to the byte has still to say so.
        if length > MAX_LOG_BYTES {
            return Ok(None);
        }
        let room = usize::try_from(MAX_LOG_BYTES - length).unwrap_or(usize::MAX);
        if bytes.len() > room {
            bytes.truncate(room);
            bytes.extend_from_slice(LAST_LINE);
        }
        lengths.insert(job.clone(), length + bytes.len() as u64);
        Ok(Some(Record { name: job, offset: length, bytes }))
    }
}

/// Does what a record says.
fn take(recent: &mut Recent, record: &Record) {
    if record.bytes.is_empty() {
        recent.remove(&record.name);
    } else {
        recent.append(&record.name, record.offset, &record.bytes);
    }
}

fn answer(done: oneshot::Sender<Result<()>>, result: Result<()>) {
    // Who does not wait any more needs no answer.
    let _ = done.send(result);
}
