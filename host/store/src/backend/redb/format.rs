//! The numbers in a data file, and the formats of earlier releases.

use std::{
    hash::{BuildHasher as _, RandomState},
    path::Path,
};

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, TableError, WriteTransaction};

use super::{META, OBJECTS, REVISION, SAVED, late::Late, number, put, read_again};
use crate::{Limits, OpenError, Revision, loader::BadRow};

pub(super) const FORMAT: &str = "format";

/// The format that this release writes, and the latest that it reads.
pub(super) const FORMAT_KNOWN: u64 = 3;

/// A number that only this file and its journal have.
const STORE: &str = "store";

/// The feed of format 1, an entry a row. Its rows of objects were always complete.
pub(super) const FEED_1: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("feed");

/// The feed of format 2: the entries of each commit together, by the revision of the last.
pub(super) const GROUPS_2: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("groups");

/// Returns the format of a file; none when it has no tables.
pub(super) fn format(database: &Database) -> Result<Option<u64>, redb::Error> {
    match database.begin_read()?.open_table(META) {
        Ok(meta) => Ok(meta.get(FORMAT)?.map(|format| format.value())),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The numbers of a file.
pub(super) struct Numbers {
    pub(super) store: u64,
    pub(super) revision: u64,
    pub(super) saved: u64,
}

impl Numbers {
    pub(super) fn read(database: &Database) -> Result<Self, redb::Error> {
        let meta = database.begin_read()?.open_table(META)?;
        let number = |name| number(&meta, name);
        let revision = number(REVISION)?.unwrap_or(0);
        Ok(Self { store: number(STORE)?.unwrap_or(0), revision, saved: number(SAVED)?.unwrap_or(revision) })
    }
}

/// Makes the tables of a file that has none.
pub(super) fn initialise(database: &Database) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    transaction.open_table(OBJECTS)?;
    transaction.open_table(META)?.insert(REVISION, 0)?;
    begin_format(&transaction)?;
    Ok(transaction.commit()?)
}

/// Writes what this format has and those before it had not.
fn begin_format(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    let mut meta = transaction.open_table(META)?;
    meta.insert(FORMAT, FORMAT_KNOWN)?;
    // Its keys are from the system's source of random numbers.
    meta.insert(STORE, RandomState::new().hash_one(STORE))?;
    Ok(())
}

/// Makes a file of an earlier format one of this format: all rows come to their table. Readers of the feed begin anew.
pub(super) fn upgrade(database: &Database, path: &Path, limits: Limits) -> Result<(), OpenError> {
    let failed = |source: redb::Error| OpenError::Open { path: path.to_owned(), source: Box::new(source) };
    let upgrade = || -> Result<Result<(), BadRow>, redb::Error> {
        let mut transaction = database.begin_write()?;
        transaction.set_quick_repair(true);
        let meta = transaction.open_table(META)?;
        let revision = number(&meta, REVISION)?.unwrap_or(0);
        let saved = number(&meta, SAVED)?.unwrap_or(revision);
        drop(meta);
        let mut late = Late::new(limits, Revision(saved));
        if saved < revision {
            let mut next = Revision(saved).next();
            for group in transaction.open_table(GROUPS_2)?.iter()? {
                if let Err(bad) = read_again(group?.1.value(), &mut next, &mut late) {
                    return Ok(Err(bad));
                }
            }
        }
        put(&transaction, &late.all(Revision(revision)))?;
        transaction.delete_table(FEED_1)?;
        transaction.delete_table(GROUPS_2)?;
        transaction.open_table(META)?.insert(SAVED, revision)?;
        begin_format(&transaction)?;
        transaction.commit()?;
        Ok(Ok(()))
    };
    upgrade().map_err(failed)?.map_err(|bad| OpenError::Row {
        path: path.to_owned(),
        key: bad.key,
        reason: bad.reason,
    })
}
