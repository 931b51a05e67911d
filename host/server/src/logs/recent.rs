//! What was appended to logs and is not in the table yet, and the logs that are to go from there.

use std::collections::{HashMap, HashSet};

/// At so many logs that are to go from the table they are taken from it.
const MAX_GONE: usize = 10_000;

/// The ends of logs.
#[derive(Debug, Default)]
pub(super) struct Recent {
    ends: HashMap<String, End>,
    /// Logs of which what the table has is to go before it gets more.
    gone: HashSet<String>,
}

/// The end of one log.
#[derive(Clone, Debug)]
struct End {
    /// Where it begins.
    base: u64,
    bytes: Vec<u8>,
}

/// What the table has to do to have all.
#[derive(Debug)]
pub(super) struct Arrears {
    /// The logs to remove.
    pub(super) gone: Vec<String>,
    /// What to write after that: the log, the offset, the bytes.
    pub(super) ends: Vec<(String, u64, Vec<u8>)>,
}

impl Recent {
    /// Returns how long a log is; nothing where only the table knows.
    pub(super) fn length(&self, job: &str) -> Option<u64> {
        let end = self.ends.get(job).map(|end| end.base + end.bytes.len() as u64);
        end.or_else(|| self.gone.contains(job).then_some(0))
    }

    /// Appends to a log at its end.
    pub(super) fn append(&mut self, job: &str, offset: u64, bytes: &[u8]) {
        match self.ends.get_mut(job) {
            Some(end) => end.bytes.extend_from_slice(bytes),
            None => drop(self.ends.insert(job.to_owned(), End { base: offset, bytes: bytes.to_vec() })),
        }
    }

    /// Appends to `out` what is here of a log from an offset on, at most `limit` bytes. Returns where what is here begins, which
    /// is where the table's part ends; nothing where all of it is in the table.
    pub(super) fn read(&self, job: &str, offset: u64, limit: usize, out: &mut Vec<u8>) -> Option<u64> {
        let Some(end) = self.ends.get(job) else { return self.gone.contains(job).then_some(0) };
        let first = usize::try_from(offset.saturating_sub(end.base)).unwrap_or(usize::MAX);
        let rest = end.bytes.get(first..).unwrap_or_default();
        out.extend_from_slice(rest.get(..limit).unwrap_or(rest));
        Some(end.base)
    }

    /// Removes a log.
    pub(super) fn remove(&mut self, job: &str) {
        self.ends.remove(job);
        self.gone.insert(job.to_owned());
    }

    /// Tells whether so many logs are to go from the table that it is time for that.
    pub(super) fn has_many_to_remove(&self) -> bool {
        self.gone.len() > MAX_GONE
    }

    /// Returns what the table lacks.
    pub(super) fn arrears(&self) -> Arrears {
        let ends = self.ends.iter().map(|(job, end)| (job.clone(), end.base, end.bytes.clone()));
        Arrears { gone: self.gone.iter().cloned().collect(), ends: ends.collect() }
    }

    /// Forgets what the table has now.
    pub(super) fn settled(&mut self) {
        self.ends.clear();
        self.gone.clear();
    }
}
