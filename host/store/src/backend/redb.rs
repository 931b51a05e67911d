//! The backend of one machine: a redb file and a journal beside it.
//!
//! A commit appends its entries to the journal, and that is what makes it durable: one write and one flush, where a commit of
//! redb takes two flushes and a dozen pages. The rows of objects follow later (see [`late`]), many with one commit of redb. A start
//! reads the rows, and over them the entries of the journal since the revision up to which the rows are complete. The journal is
//! the feed as well: it keeps the entries that readers may still ask for.
//!
//! When the store is closed, all rows go to their table: the file is then whole without the journal.

mod format;
mod late;

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use formwork_journal::{Folder, Journal, Media, Records};
use redb::{
    Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError, TableDefinition,
    WriteTransaction,
};

use format::{FORMAT_KNOWN, Numbers, format, initialise, upgrade};
use late::Late;

use super::{Backend, Batch};
use crate::{
    BackendError, Limits, OpenError, Revision, codec,
    loader::{BadRow, Loader},
};

const OBJECTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("objects");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

/// The latest revision of which the table of objects has something.
const REVISION: &str = "revision";
/// The revision up to which all changes are in the table of objects.
const SAVED: &str = "saved";
/// All reads come from the state in memory, so the file's cache only has to hold the inner pages of its trees: those of 100,000
/// machines take a third of this. A start fills it, and it stays.
const CACHE_BYTES: usize = 16 << 20;

/// A segment of the journal is used again when none of its entries is needed.
const SEGMENT_BYTES: u64 = 8 << 20;

/// The length of what is in front of the entries of a record: the number of the store, and the revision from which entries are
/// kept for readers of the feed.
const HEAD_BYTES: usize = 16;

/// A redb file with one table each for objects and the store's own numbers, and its journal.
pub(crate) struct RedbBackend {
    database: Database,
    path: PathBuf,
    store: u64,
    /// The revision that is durable.
    revision: Revision,
    journal: Journal,
    /// What the journal held when it was opened, until that is loaded.
    found: Records,
    late: Late,
    /// Why rows could not be written; nothing is saved after that.
    broken: Option<String>,
}

impl RedbBackend {
    /// Opens the file at a path, and makes it when there is none.
    pub(crate) fn open(path: &Path, limits: Limits) -> Result<Self, OpenError> {
        if !path.exists()
            && let Some(created) = Self::create(path, limits)?
        {
            return Ok(created);
        }
        let opened = builder().open(path).map_err(|error| open_error(path, error))?;
        Self::prepare(opened, Box::new(journal_beside(path)), path, limits)
    }

    /// Takes a database and makes its tables when it has none.
    pub(crate) fn prepare(
        database: Database,
        journal: Box<dyn Media>,
        path: &Path,
        limits: Limits,
    ) -> Result<Self, OpenError> {
        let failed =
            |source: redb::Error| OpenError::Open { path: path.to_owned(), source: Box::new(source) };
        let format = format(&database).map_err(failed)?;
        if let Some(found) = format.filter(|format| *format > FORMAT_KNOWN) {
            return Err(OpenError::Newer { path: path.to_owned(), found, known: FORMAT_KNOWN });
        }
        let wrong = |reason| OpenError::Journal { path: path.to_owned(), reason };
        let (journal, found) =
            Journal::open(journal, SEGMENT_BYTES).map_err(|error| wrong(error.to_string()))?;
        // A file without tables or of another format has no journal.
        let owner = match format {
            Some(FORMAT_KNOWN) => Some(Numbers::read(&database).map_err(failed)?.store.to_le_bytes()),
            _ => None,
        };
        let is_own = |record: &[u8]| owner.is_some_and(|owner| record.starts_with(&owner));
        if !found.iter().all(|(_, record)| is_own(record)) {
            return Err(wrong(String::from("it belongs to another database")));
        }
        match format {
            None => initialise(&database).map_err(failed)?,
            Some(FORMAT_KNOWN) => {}
            Some(_) => upgrade(&database, path, limits)?,
        }
        let numbers = Numbers::read(&database).map_err(failed)?;
        let revision = Revision(numbers.revision.max(journal.last()));
        let late = Late::new(limits, Revision(numbers.saved));
        let path = path.to_owned();
        Ok(Self { database, path, store: numbers.store, revision, journal, found, late, broken: None })
    }

    /// Makes the file under another name and moves it into place, so that a crash leaves a whole file or none.
    ///
    /// Returns nothing when another process was faster.
    fn create(path: &Path, limits: Limits) -> Result<Option<Self>, OpenError> {
        let failed = |source| OpenError::Create { path: path.to_owned(), source };
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(".new");
        let unfinished = PathBuf::from(unfinished);
        let file = File::options().read(true).write(true).create(true).truncate(false).open(&unfinished);
        let file = file.map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::Held { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        if path.exists() {
            fs::remove_file(&unfinished).map_err(failed)?;
            return Ok(None);
        }
        file.set_len(0).map_err(failed)?;
        let database = builder().create_file(file).map_err(|error| open_error(path, error))?;
        let backend = Self::prepare(database, Box::new(journal_beside(path)), path, limits)?;
        fs::rename(&unfinished, path).and_then(|()| sync_parent(path)).map_err(failed)?;
        Ok(Some(backend))
    }

    fn append(&mut self, batch: &Batch) -> io::Result<()> {
        if batch.entries.is_empty() {
            return Ok(());
        }
        let needed = batch.keep_from.min(self.late.saved().next());
        let (store, kept) = (self.store.to_le_bytes(), batch.keep_from.0.to_le_bytes());
        self.journal.append(batch.revision.0, needed.0, &[&store, &kept, &batch.entries])
    }

    /// Writes rows that it is time to write.
    fn write(&self, rows: &[codec::Row]) -> Result<(), redb::Error> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_quick_repair(true);
        put(&transaction, rows)?;
        let mut meta = transaction.open_table(META)?;
        meta.insert(REVISION, self.revision.0)?;
        meta.insert(SAVED, self.late.saved().0)?;
        drop(meta);
        Ok(transaction.commit()?)
    }

    /// Writes the rows that were taken out; when that fails, nothing is saved any more.
    fn settle(&mut self, rows: &[codec::Row]) {
        if let Err(error) = self.write(rows) {
            tracing::error!(%error, "the rows of objects could not be written; their changes are in the journal");
            self.broken = Some(error.to_string());
        }
    }

    fn load_rows(&mut self, loader: &mut Loader) -> Result<Result<Revision, OpenError>, redb::Error> {
        let found = std::mem::take(&mut self.found);
        let saved = self.late.saved();
        let bad = |bad: BadRow| OpenError::Row { path: self.path.clone(), key: bad.key, reason: bad.reason };
        let mut next = saved.next();
        for (_, record) in found.iter() {
            if let Err(wrong) = read_again(entries_of(record), &mut next, &mut self.late) {
                return Ok(Err(bad(wrong)));
            }
        }
        let transaction = self.database.begin_read()?;
        let known = Revision(number(&transaction.open_table(META)?, REVISION)?.unwrap_or(0));
        if next <= known {
            let reason = format!("the revisions from {next} to {known} are missing");
            return Ok(Err(OpenError::Journal { path: self.path.clone(), reason }));
        }
        for row in transaction.open_table(OBJECTS)?.iter()? {
            let (key, value) = row?;
            if self.late.goes_before(key.value(), value.value()) {
                continue;
            }
            if let Err(wrong) = loader.row(key.value(), value.value()) {
                return Ok(Err(bad(wrong)));
            }
        }
        let rest = self.late.rows().try_for_each(|(key, value)| loader.row(key, value));
        if let Err(wrong) = rest.and_then(|()| loader.rows_end()) {
            return Ok(Err(bad(wrong)));
        }
        let kept = found.iter().last().and_then(|(_, record)| kept_of(record)).unwrap_or_default();
        for (_, record) in found.iter() {
            for (revision, entry) in codec::split_entries(entries_of(record)).unwrap_or_default() {
                if revision >= kept {
                    loader.entry(revision, entry);
                }
            }
        }
        Ok(Ok(self.revision))
    }
}

/// Where the journal of a data file is.
fn journal_beside(path: &Path) -> Folder {
    let mut name = path.as_os_str().to_owned();
    name.push(".journal");
    Folder::new(name)
}

fn entries_of(record: &[u8]) -> &[u8] {
    record.get(HEAD_BYTES..).unwrap_or_default()
}

fn kept_of(record: &[u8]) -> Option<Revision> {
    let kept = record.get(HEAD_BYTES / 2..HEAD_BYTES)?.try_into().ok()?;
    Some(Revision(u64::from_le_bytes(kept)))
}

/// Lets the rows wait that the entries of a group have changed, from the revision `next` on, which comes to be the one after them.
fn read_again(group: &[u8], next: &mut Revision, late: &mut Late) -> Result<(), BadRow> {
    let bad = |revision: Revision| move |reason: String| BadRow { key: format!("feed/{revision}"), reason };
    let entries = codec::split_entries(group).map_err(|reason| bad(*next)(reason.into()))?;
    let first = *next;
    for (revision, entry) in entries.into_iter().filter(|(revision, _)| *revision >= first) {
        if revision != *next {
            return Err(bad(*next)(format!("it is missing, and the next one is {revision}")));
        }
        let rows = codec::rows_of_entry(revision, entry).map_err(bad(revision))?;
        late.add(rows, entry.len());
        *next = revision.next();
    }
    Ok(())
}

fn put(transaction: &WriteTransaction, rows: &[codec::Row]) -> Result<(), redb::Error> {
    let mut objects = transaction.open_table(OBJECTS)?;
    for (key, value) in rows {
        match value {
            Some(value) => objects.insert(key.as_slice(), value.as_slice())?,
            None => objects.remove(key.as_slice())?,
        };
    }
    Ok(())
}

impl Backend for RedbBackend {
    fn load(&mut self, loader: &mut Loader) -> Result<Revision, OpenError> {
        self.load_rows(loader).unwrap_or_else(|source| {
            Err(OpenError::Open { path: self.path.clone(), source: Box::new(source) })
        })
    }

    fn commit(&mut self, batch: Batch) -> Result<(), BackendError> {
        if batch.expected != self.revision {
            return Err(BackendError::Conflict { expected: batch.expected, found: self.revision });
        }
        if let Some(reason) = &self.broken {
            return Err(BackendError::Broken(reason.as_str().into()));
        }
        self.append(&batch).map_err(|error| BackendError::Broken(error.into()))?;
        self.revision = batch.revision;
        self.late.add(batch.rows, batch.entries.len());
        Ok(())
    }

    fn tidy(&mut self) {
        let rows = self.late.due(self.revision);
        if !rows.is_empty() {
            self.settle(&rows);
        }
    }

    fn close(&mut self) {
        let rows = self.late.all(self.revision);
        if self.broken.is_none() {
            self.settle(&rows);
        }
    }
}

fn builder() -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

fn open_error(path: &Path, error: DatabaseError) -> OpenError {
    let path = path.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen => OpenError::Held { path },
        error => OpenError::Open { path, source: Box::new(error.into()) },
    }
}

fn number(meta: &impl ReadableTable<&'static str, u64>, name: &str) -> Result<Option<u64>, StorageError> {
    Ok(meta.get(name)?.map(|number| number.value()))
}

/// Makes a rename outlive a loss of power.
fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

#[cfg(test)]
mod tests;
