//! The places for connections of a process: [`Table`] decides, this asks it, tells those that give way, and counts.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    seldom::Seldom,
    table::{Door, Full, Id, Table},
};
use crate::auth;

/// The most open files that connections stand for at the same time, at all doors together. A connection to the API is one, one
/// to the file server two.
const MOST: u64 = 60_000;

/// Open files that are left for everything but connections, where the system allows enough of them.
const OTHER_FILES: u64 = 1_024;

/// All places, and who has them.
pub(crate) struct Places {
    table: Mutex<Table<CancellationToken>>,
    refused: AtomicU64,
    gave_way: AtomicU64,
    refusals: Mutex<Seldom>,
    evictions: Mutex<Seldom>,
}

impl std::fmt::Debug for Places {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Places").field("refused", &self.refused).finish_non_exhaustive()
    }
}

impl Places {
    /// Makes places for connections that stand for so many open files.
    pub(crate) fn new(whole: usize) -> Arc<Self> {
        Arc::new(Self {
            table: Mutex::new(Table::new(whole)),
            refused: AtomicU64::default(),
            gave_way: AtomicU64::default(),
            refusals: Mutex::default(),
            evictions: Mutex::default(),
        })
    }

    /// Makes as many places as this process may have files open for, up to [`MOST`]. A store or a log that finds none left
    /// would lose what it has to write.
    pub(crate) fn of_process() -> Arc<Self> {
        use rustix::process::{Resource, getrlimit};
        let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        Self::new(usize::try_from(within(files)).unwrap_or(usize::MAX))
    }

    /// Takes a place for a connection from an address. Others may give way for it.
    pub(super) fn take(self: &Arc<Self>, door: Door, address: IpAddr) -> Result<Place, Full> {
        let over = CancellationToken::new();
        let admitted = self.table().admit(door, auth::network(address), over.clone());
        let (id, gone) = match admitted {
            Ok(admitted) => admitted,
            Err(full) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                let count = self.refusals.lock().unwrap_or_else(PoisonError::into_inner).note(Instant::now());
                if let Some(count) = count {
                    tracing::warn!(%address, ?door, ?full, count, "connections are refused: there is no place left");
                }
                return Err(full);
            }
        };
        for connection in gone {
            self.gave_way.fetch_add(1, Ordering::Relaxed);
            connection.cancel();
            let count = self.evictions.lock().unwrap_or_else(PoisonError::into_inner).note(Instant::now());
            if let Some(count) = count {
                tracing::warn!(%address, ?door, count, "silent connections gave way to others");
            }
        }
        Ok(Place { all: Arc::clone(self), id, over })
    }

    /// Returns how many connections were refused since the start.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Returns how many connections were ended since the start because others needed their place.
    pub(crate) fn gave_way(&self) -> u64 {
        self.gave_way.load(Ordering::Relaxed)
    }

    fn table(&self) -> MutexGuard<'_, Table<CancellationToken>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the places that a process has with so many files.
fn within(files: u64) -> u64 {
    files.saturating_sub((files / 4).min(OTHER_FILES)).clamp(1, MOST)
}

/// A place that is taken until this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    all: Arc<Places>,
    id: Id,
    over: CancellationToken,
}

impl Place {
    /// Returns what is done when the connection has to give way.
    pub(super) fn over(&self) -> CancellationToken {
        self.over.clone()
    }

    /// Notes that the connection has requests in flight, or is a stream: it gives way to nobody.
    pub(super) fn busy(&self) {
        self.all.table().busy(self.id);
    }

    /// Notes that the connection waits for its next request.
    pub(super) fn idle(&self) {
        self.all.table().idle(self.id);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.all.table().leave(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_leave_files_for_the_store_and_logs() {
        assert_eq!(within(1_024), 768);
        assert_eq!(within(20_000), 18_976);
        assert_eq!(within(1 << 20), MOST);
        assert_eq!(within(0), 1);
    }

    #[test]
    fn connection_that_gives_way_is_told_and_its_place_is_not_given_back_twice() {
        let places = Places::new(1);
        let address = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
        let first = places.take(Door::Api, address).unwrap();
        let second = places.take(Door::Api, address).unwrap();
        assert!(first.over().is_cancelled() && !second.over().is_cancelled());
        drop(first);
        second.busy();
        assert_eq!(places.take(Door::Api, address).unwrap_err(), Full::Address);
        assert_eq!((places.gave_way(), places.refused()), (1, 1));
        drop(second);
        places.take(Door::Api, address).unwrap();
    }
}
