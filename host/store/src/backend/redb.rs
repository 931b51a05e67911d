//! The backend of one machine: a redb file.
//!
//! A commit appends entries to the feed, and that is what makes it durable; rows of objects follow later (see [`late`]). A
//! start reads the rows, and over them the entries since the revision up to which the rows are complete.

mod late;

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use redb::{
    Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError, TableDefinition,
    TableError, WriteTransaction,
};

use late::Late;

use super::{Backend, Batch};
use crate::{
    BackendError, Limits, OpenError, Revision, codec,
    loader::{BadRow, Loader},
};

const OBJECTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("objects");
/// The entries of each commit together, by the revision of the last.
const GROUPS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("groups");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

const FORMAT: &str = "format";
const REVISION: &str = "revision";
/// The revision up to which all changes are in the table of objects.
const SAVED: &str = "saved";
/// The revision from which entries are kept for readers of the feed.
const KEPT: &str = "kept";

/// The format that this release writes, and the latest that it reads.
const FORMAT_KNOWN: u64 = 2;

/// The feed of format 1, an entry a row. Its rows of objects were always complete.
const FEED_1: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("feed");

/// All reads come from the state in memory, so the file's cache only has to hold the inner pages of its trees: those of 100,000
/// machines take a third of this. A start fills it, and it stays.
const CACHE_BYTES: usize = 16 << 20;

/// A redb file with one table each for objects, the feed and the store's own numbers.
pub(crate) struct RedbBackend {
    database: Database,
    path: PathBuf,
    limits: Limits,
    late: Late,
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
        Self::prepare(opened, path, limits)
    }

    /// Takes a database and makes its tables when it has none.
    pub(crate) fn prepare(database: Database, path: &Path, limits: Limits) -> Result<Self, OpenError> {
        let failed =
            |source: redb::Error| OpenError::Open { path: path.to_owned(), source: Box::new(source) };
        match format(&database).map_err(failed)? {
            None => initialise(&database).map_err(failed)?,
            Some(found) if found > FORMAT_KNOWN => {
                return Err(OpenError::Newer { path: path.to_owned(), found, known: FORMAT_KNOWN });
            }
            Some(1) => upgrade(&database).map_err(failed)?,
            Some(_) => {}
        }
        let late = Late::new(limits, Revision(0));
        Ok(Self { database, path: path.to_owned(), limits, late })
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
        let backend = Self::prepare(database, path, limits)?;
        fs::rename(&unfinished, path).and_then(|()| sync_parent(path)).map_err(failed)?;
        Ok(Some(backend))
    }

    fn write(&mut self, batch: Batch, transaction: WriteTransaction) -> Result<(), Failure> {
        {
            let mut meta = transaction.open_table(META)?;
            let found = Revision(number(&meta, REVISION)?.unwrap_or(0));
            if found != batch.expected {
                return Err(Failure::Conflict(found));
            }
            // What may be refused comes before the rows begin to wait: they would not go away with the transaction.
            let mut groups = transaction.open_table(GROUPS)?;
            if !batch.entries.is_empty() {
                groups.insert(batch.revision.0, batch.entries.as_slice())?;
            }
            self.late.add(batch.rows, batch.entries.len());
            let mut objects = transaction.open_table(OBJECTS)?;
            for (key, value) in self.late.due(batch.revision) {
                match value {
                    Some(value) => objects.insert(key.as_slice(), value.as_slice())?,
                    None => objects.remove(key.as_slice())?,
                };
            }
            let saved = self.late.saved();
            meta.insert(REVISION, batch.revision.0)?;
            meta.insert(SAVED, saved.0)?;
            meta.insert(KEPT, batch.keep_from.0)?;
            groups.retain_in(..batch.keep_from.min(saved.next()).0, |_, _| false)?;
        }
        Ok(transaction.commit()?)
    }

    fn load_rows(&mut self, loader: &mut Loader) -> Result<Result<Revision, OpenError>, redb::Error> {
        let transaction = self.database.begin_read()?;
        let bad = |bad: BadRow| OpenError::Row { path: self.path.clone(), key: bad.key, reason: bad.reason };
        let meta = transaction.open_table(META)?;
        let revision = Revision(number(&meta, REVISION)?.unwrap_or(0));
        let saved = Revision(number(&meta, SAVED)?.unwrap_or(revision.0));
        let kept = Revision(number(&meta, KEPT)?.unwrap_or(0));
        let groups = transaction.open_table(GROUPS)?;
        let mut late = Late::new(self.limits, saved);
        for group in groups.range(saved.next().0..)? {
            if let Err(wrong) = read_again(group?.1.value(), saved, &mut late) {
                return Ok(Err(bad(wrong)));
            }
        }
        for row in transaction.open_table(OBJECTS)?.iter()? {
            let (key, value) = row?;
            if late.goes_before(key.value(), value.value()) {
                continue;
            }
            if let Err(wrong) = loader.row(key.value(), value.value()) {
                return Ok(Err(bad(wrong)));
            }
        }
        let rest = late.rows().try_for_each(|(key, value)| loader.row(key, value));
        if let Err(wrong) = rest.and_then(|()| loader.rows_end()) {
            return Ok(Err(bad(wrong)));
        }
        for group in groups.iter()? {
            let group = group?.1;
            for (revision, entry) in codec::split_entries(group.value()).unwrap_or_default() {
                if revision >= kept {
                    loader.entry(revision, entry);
                }
            }
        }
        self.late = late;
        Ok(Ok(revision))
    }
}

/// Lets the rows wait that the entries of a group after a revision have changed.
fn read_again(group: &[u8], saved: Revision, late: &mut Late) -> Result<(), BadRow> {
    let bad = |revision: Revision| move |reason: String| BadRow { key: format!("feed/{revision}"), reason };
    let entries = codec::split_entries(group).map_err(|reason| bad(saved.next())(reason.into()))?;
    for (revision, entry) in entries.into_iter().filter(|(revision, _)| *revision > saved) {
        let rows = codec::rows_of_entry(revision, entry).map_err(bad(revision))?;
        late.add(rows, entry.len());
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
        let expected = batch.expected;
        let begin = || {
            let mut transaction = self.database.begin_write()?;
            transaction.set_quick_repair(true);
            Ok(transaction)
        };
        begin().and_then(|transaction| self.write(batch, transaction)).map_err(|failure| match failure {
            Failure::Conflict(found) => BackendError::Conflict { expected, found },
            Failure::Database(error @ redb::Error::ValueTooLarge(_)) => BackendError::Refused(error.into()),
            Failure::Database(error) => BackendError::Broken(error.into()),
        })
    }
}

/// Why a batch was not written.
enum Failure {
    Conflict(Revision),
    Database(redb::Error),
}

impl<E: Into<redb::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Database(error.into())
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

fn format(database: &Database) -> Result<Option<u64>, redb::Error> {
    match database.begin_read()?.open_table(META) {
        Ok(meta) => Ok(meta.get(FORMAT)?.map(|format| format.value())),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn initialise(database: &Database) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    {
        let mut meta = transaction.open_table(META)?;
        meta.insert(FORMAT, FORMAT_KNOWN)?;
        meta.insert(REVISION, 0)?;
        transaction.open_table(OBJECTS)?;
        transaction.open_table(GROUPS)?;
    }
    Ok(transaction.commit()?)
}

/// Makes a file of format 1 one of this format, its feed included.
fn upgrade(database: &Database) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    {
        let feed = transaction.open_table(FEED_1)?;
        let mut groups = transaction.open_table(GROUPS)?;
        for row in feed.iter()? {
            let (revision, entry) = row?;
            let group = codec::framed(Revision(revision.value()), entry.value());
            groups.insert(revision.value(), group.as_slice())?;
        }
        transaction.open_table(META)?.insert(FORMAT, FORMAT_KNOWN)?;
    }
    transaction.delete_table(FEED_1)?;
    Ok(transaction.commit()?)
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
