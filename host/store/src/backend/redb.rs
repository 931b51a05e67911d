//! The backend of one machine: a redb file.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use redb::{
    Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError, TableDefinition,
    TableError, WriteTransaction,
};

use super::{Backend, Batch};
use crate::{
    BackendError, OpenError, Revision,
    loader::{BadRow, Loader},
};

const OBJECTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("objects");
const FEED: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("feed");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

const FORMAT: &str = "format";
const REVISION: &str = "revision";

/// The format that this release writes, and the latest that it reads.
const FORMAT_KNOWN: u64 = 1;

/// All reads come from the state in memory, so the file's cache only has to hold the inner pages of its trees.
const CACHE_BYTES: usize = 64 << 20;

/// A redb file with one table each for objects, the feed and the store's own numbers.
pub(crate) struct RedbBackend {
    database: Database,
    path: PathBuf,
}

impl RedbBackend {
    /// Opens the file at a path, and makes it when there is none.
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        if !path.exists()
            && let Some(created) = Self::create(path)?
        {
            return Ok(created);
        }
        let opened = builder().open(path).map_err(|error| open_error(path, error))?;
        Self::prepare(opened, path)
    }

    /// Takes a database and makes its tables when it has none.
    pub(crate) fn prepare(database: Database, path: &Path) -> Result<Self, OpenError> {
        let failed =
            |source: redb::Error| OpenError::Open { path: path.to_owned(), source: Box::new(source) };
        match format(&database).map_err(failed)? {
            None => initialise(&database).map_err(failed)?,
            Some(found) if found > FORMAT_KNOWN => {
                return Err(OpenError::Newer { path: path.to_owned(), found, known: FORMAT_KNOWN });
            }
            Some(_) => {}
        }
        Ok(Self { database, path: path.to_owned() })
    }

    /// Makes the file under another name and moves it into place, so that a crash leaves a whole file or none.
    ///
    /// Returns nothing when another process was faster.
    fn create(path: &Path) -> Result<Option<Self>, OpenError> {
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
        let backend = Self::prepare(database, path)?;
        fs::rename(&unfinished, path).and_then(|()| sync_parent(path)).map_err(failed)?;
        Ok(Some(backend))
    }

    fn write(&self, batch: &Batch, transaction: WriteTransaction) -> Result<(), Failure> {
        {
            let mut meta = transaction.open_table(META)?;
            let found = revision(&meta)?;
            if found != batch.expected {
                return Err(Failure::Conflict(found));
            }
            meta.insert(REVISION, batch.revision.0)?;
            let mut objects = transaction.open_table(OBJECTS)?;
            for (key, value) in &batch.rows {
                match value {
                    Some(value) => objects.insert(key.as_slice(), value.as_slice())?,
                    None => objects.remove(key.as_slice())?,
                };
            }
            let mut feed = transaction.open_table(FEED)?;
            feed.retain_in(..batch.keep_from.0, |_, _| false)?;
            for (revision, entry) in &batch.entries {
                feed.insert(revision.0, entry.as_slice())?;
            }
        }
        Ok(transaction.commit()?)
    }

    fn load_rows(&self, loader: &mut Loader) -> Result<Result<Revision, OpenError>, redb::Error> {
        let transaction = self.database.begin_read()?;
        let bad = |bad: BadRow| OpenError::Row { path: self.path.clone(), key: bad.key, reason: bad.reason };
        for row in transaction.open_table(OBJECTS)?.iter()? {
            let (key, value) = row?;
            if let Err(wrong) = loader.row(key.value(), value.value()) {
                return Ok(Err(bad(wrong)));
            }
        }
        if let Err(wrong) = loader.rows_end() {
            return Ok(Err(bad(wrong)));
        }
        for entry in transaction.open_table(FEED)?.iter()? {
            let (revision, value) = entry?;
            loader.entry(Revision(revision.value()), value.value());
        }
        Ok(Ok(revision(&transaction.open_table(META)?)?))
    }
}

impl Backend for RedbBackend {
    fn load(&mut self, loader: &mut Loader) -> Result<Revision, OpenError> {
        self.load_rows(loader).unwrap_or_else(|source| {
            Err(OpenError::Open { path: self.path.clone(), source: Box::new(source) })
        })
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), BackendError> {
        let begin = || {
            let mut transaction = self.database.begin_write()?;
            transaction.set_quick_repair(true);
            Ok(transaction)
        };
        begin().and_then(|transaction| self.write(batch, transaction)).map_err(|failure| match failure {
            Failure::Conflict(found) => BackendError::Conflict { expected: batch.expected, found },
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
        transaction.open_table(FEED)?;
    }
    Ok(transaction.commit()?)
}

fn revision(meta: &impl ReadableTable<&'static str, u64>) -> Result<Revision, StorageError> {
    Ok(Revision(meta.get(REVISION)?.map_or(0, |revision| revision.value())))
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
