//! The snapshot that is in force, and when it is read anew.
//!
//! Reading costs a dump over netlink, so it is bounded in time instead of done for each packet. A watch over netlink
//! would tell of changes at once, but its queue can overflow and then needs this as well.

use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::Instant;

use super::Interfaces;

/// How old a snapshot may be where it is asked for fresh.
const FRESH: Duration = Duration::from_secs(1);

/// How long after a reading an unknown index may cause another one.
const UNKNOWN_PAUSE: Duration = Duration::from_millis(100);

/// The interfaces of this host, read again on demand within limits.
#[derive(Debug)]
pub struct InterfaceTable {
    current: RwLock<Arc<Interfaces>>,
    reading: Mutex<Reading>,
}

#[derive(Debug)]
struct Reading {
    last: Instant,
    failing: bool,
}

impl InterfaceTable {
    /// Reads the interfaces of the calling thread's network namespace.
    ///
    /// # Errors
    ///
    /// The system does not list them.
    pub fn read() -> io::Result<Self> {
        let current = RwLock::new(Arc::new(Interfaces::read()?));
        Ok(Self { current, reading: Mutex::new(Reading { last: Instant::now(), failing: false }) })
    }

    /// Returns the last snapshot, however old it is.
    #[must_use]
    pub fn current(&self) -> Arc<Interfaces> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns a snapshot of the last second. Where another thread is reading, it is the last one.
    #[must_use]
    pub fn fresh(&self) -> Arc<Interfaces> {
        if let Ok(mut reading) = self.reading.try_lock()
            && reading.last.elapsed() >= FRESH
        {
            self.read_again(&mut reading);
        }
        self.current()
    }

    /// Returns a snapshot with an interface that a packet named. The interfaces are read again where it is unknown,
    /// at most ten times a second: it may have come since, or be gone already.
    #[must_use]
    pub fn fresh_with(&self, index: u32) -> Arc<Interfaces> {
        let current = self.fresh();
        if current.by_index(index).is_some() {
            return current;
        }
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        if reading.last.elapsed() >= UNKNOWN_PAUSE {
            self.read_again(&mut reading);
        }
        self.current()
    }

    fn read_again(&self, reading: &mut Reading) {
        reading.last = Instant::now();
        match Interfaces::read() {
            Ok(interfaces) => {
                reading.failing = false;
                let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
                if **current != interfaces {
                    *current = Arc::new(interfaces);
                }
            }
            Err(error) if !reading.failing => {
                reading.failing = true;
                tracing::warn!(%error, "the interfaces cannot be read; the last ones known are used");
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table that knows nothing yet and was read `age` ago.
    fn stale(age: Duration) -> InterfaceTable {
        let last = Instant::now().checked_sub(age).unwrap();
        InterfaceTable { current: RwLock::default(), reading: Mutex::new(Reading { last, failing: false }) }
    }

    fn loopback() -> u32 {
        Interfaces::read().unwrap().by_name("lo").unwrap().index
    }

    #[test]
    fn snapshot_is_read_again_after_a_second() {
        assert!(stale(Duration::from_secs(2)).fresh().by_name("lo").is_some());
        assert!(stale(Duration::ZERO).fresh().by_name("lo").is_none(), "not before");
        assert!(stale(Duration::from_secs(2)).current().by_name("lo").is_none(), "not where nobody asks");
    }

    #[test]
    fn unknown_index_causes_a_reading_ten_times_a_second_at_most() {
        assert!(stale(Duration::from_millis(200)).fresh_with(loopback()).by_name("lo").is_some());
        assert!(stale(Duration::ZERO).fresh_with(loopback()).by_name("lo").is_none());
    }

    #[test]
    fn known_index_is_answered_out_of_the_snapshot() {
        let table = InterfaceTable::read().unwrap();
        let before = table.current();
        assert!(Arc::ptr_eq(&before, &table.fresh_with(loopback())));
    }
}
