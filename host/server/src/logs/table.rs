//! The table of logs on disk: the pieces of each, by its job and their place in it.

use std::{
    io::{Error, Result},
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock},
};

use redb::{Builder, Database, ReadableDatabase as _, ReadableTable, TableDefinition};

use super::recent::Arrears;

const PIECES: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("pieces");

/// The most bytes of a piece.
const PIECE_BYTES: usize = 64 << 10;

/// Logs are rarely read twice: what is kept of the file in memory is the inner pages of its tree.
const CACHE_BYTES: usize = 4 << 20;

/// An open table.
#[derive(Debug)]
pub(super) struct Table {
    path: PathBuf,
    /// None where it could not be opened again.
    database: RwLock<Option<Database>>,
}

impl Table {
    /// Opens the table in a file, which is made when missing.
    ///
    /// # Errors
    ///
    /// The operating system's; the file is no table, or damaged; and another process has it open.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let table = Self { path: path.to_owned(), database: RwLock::new(None) };
        table.open_again()?;
        Ok(table)
    }

    /// Opens the file again: after an error of the disk nothing more is written to it before that.
    ///
    /// # Errors
    ///
    /// Those of [`Table::open`].
    pub(super) fn open_again(&self) -> Result<()> {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        // It is locked as long as it is open.
        *database = None;
        *database =
            Some(Builder::new().set_cache_size(CACHE_BYTES).create(&self.path).map_err(Error::other)?);
        drop(database);
        self.write(|_| Ok(()))
    }

    /// Leaves the table as an error of the disk does from which it could not be opened again.
    #[cfg(test)]
    pub(super) fn lose(&self) {
        *self.database.write().unwrap() = None;
    }

    /// Does something with the open file.
    fn with<T>(&self, work: impl FnOnce(&Database) -> std::result::Result<T, redb::Error>) -> Result<T> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let database =
            database.as_ref().ok_or_else(|| Error::other("the logs of jobs could not be opened"))?;
        work(database).map_err(Error::other)
    }

    /// Returns how long a log is.
    pub(super) fn length(&self, job: &str) -> Result<u64> {
        self.with(|database| {
            let pieces = database.begin_read()?.open_table(PIECES)?;
            let last = pieces.range((job, 0)..=(job, u64::MAX))?.next_back().transpose()?;
            Ok(last.map_or(0, |(key, bytes)| key.value().1 + bytes.value().len() as u64))
        })
    }

    /// Appends to `out` what a log has from an offset on, at most `limit` bytes.
    pub(super) fn read(&self, job: &str, offset: u64, limit: usize, out: &mut Vec<u8>) -> Result<()> {
        if limit == 0 {
            return Ok(());
        }
        let mut left = limit;
        self.with(|database| {
            let pieces = database.begin_read()?.open_table(PIECES)?;
            let within = pieces.range((job, 0)..=(job, offset))?.next_back().transpose()?;
            let first = within.map_or(offset, |(key, _)| key.value().1);
            for piece in pieces.range((job, first)..=(job, u64::MAX))? {
                let (key, bytes) = piece?;
                let skipped = usize::try_from(offset.saturating_sub(key.value().1)).unwrap_or(usize::MAX);
                let bytes = bytes.value().get(skipped..).unwrap_or_default();
                let bytes = bytes.get(..left).unwrap_or(bytes);
                out.extend_from_slice(bytes);
                left -= bytes.len();
                if left == 0 {
                    break;
                }
            }
            Ok(())
        })
    }

    /// Takes what was not here yet. All of it is on disk when this returns, or nothing.
    pub(super) fn settle(&self, arrears: &Arrears) -> Result<()> {
        let all = |pieces: &mut redb::Table<'_, (&str, u64), &[u8]>| {
            for job in &arrears.gone {
                pieces.retain_in((job.as_str(), 0)..=(job.as_str(), u64::MAX), |_, _| false)?;
            }
            for (job, base, bytes) in &arrears.ends {
                for (piece, number) in bytes.chunks(PIECE_BYTES).zip(0_u64..) {
                    pieces.insert((job.as_str(), base + number * PIECE_BYTES as u64), piece)?;
                }
            }
            Ok(())
        };
        self.write(all)
    }

    /// Returns the jobs that have logs here and are not `known`.
    pub(super) fn unknown(&self, known: impl Fn(&str) -> bool) -> Result<Vec<String>> {
        self.with(|database| {
            let pieces = database.begin_read()?.open_table(PIECES)?;
            let mut unknown: Vec<String> = Vec::new();
            for piece in pieces.iter()? {
                let key = piece?.0;
                let (job, offset) = key.value();
                // Each log begins with a piece at 0.
                if offset == 0 && !known(job) {
                    unknown.push(job.to_owned());
                }
            }
            Ok(unknown)
        })
    }

    fn write(
        &self,
        change: impl FnOnce(
            &mut redb::Table<'_, (&'static str, u64), &'static [u8]>,
        ) -> std::result::Result<(), redb::StorageError>,
    ) -> Result<()> {
        self.with(|database| {
            let mut transaction = database.begin_write()?;
            // A start after a crash must not have to read all of the file.
            transaction.set_quick_repair(true);
            change(&mut transaction.open_table(PIECES)?)?;
            Ok(transaction.commit()?)
        })
    }
}
