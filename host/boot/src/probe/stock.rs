//! Addresses that were probed ahead of time, so that a client rarely waits for a probe: pure.

use std::net::Ipv4Addr;

/// As many addresses as new clients of one subnet ask for within a few probes' time.
const CAPACITY: usize = 32;

/// How long "nobody answered" counts, in milliseconds. An address that somebody took meanwhile is found by the client,
/// which asks once more and declines (RFC 2131 section 4.4.1).
const LIFE_MS: u64 = 60_000;

/// The addresses of one subnet that were found free within the last minute, 32 at most.
///
/// The owner probes as many addresses as are [wanted](Stock::wanted), those that it would give next, puts those that
/// are free here, and takes them out when it offers them. Times are milliseconds of any clock.
#[derive(Debug, Clone, Default)]
pub struct Stock {
    free: Vec<(Ipv4Addr, u64)>,
}

impl Stock {
    /// Notes that an address is free. The oldest one makes room where there is none.
    pub fn put(&mut self, address: Ipv4Addr, now_ms: u64) {
        self.expire(now_ms);
        self.free.retain(|(known, _)| *known != address);
        if self.free.len() == CAPACITY {
            self.free.remove(0);
        }
        self.free.push((address, now_ms));
    }

    /// Takes an address out, and tells whether it was there: it may be offered without another probe.
    pub fn take(&mut self, address: Ipv4Addr, now_ms: u64) -> bool {
        self.expire(now_ms);
        let position = self.free.iter().position(|(known, _)| *known == address);
        position.map(|position| self.free.remove(position)).is_some()
    }

    /// Tells whether an address is there, and so need not be probed again.
    #[must_use]
    pub fn holds(&self, address: Ipv4Addr, now_ms: u64) -> bool {
        self.free.iter().any(|(known, at)| *known == address && lives(*at, now_ms))
    }

    /// Returns how many more addresses to probe.
    #[must_use]
    pub fn wanted(&self, now_ms: u64) -> usize {
        CAPACITY - self.free.iter().filter(|(_, at)| lives(*at, now_ms)).count()
    }

    fn expire(&mut self, now_ms: u64) {
        self.free.retain(|(_, at)| lives(*at, now_ms));
    }
}

/// A time in the future is as stale as one long ago: the clock was set back.
fn lives(at_ms: u64, now_ms: u64) -> bool {
    now_ms.abs_diff(at_ms) < LIFE_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000;

    fn address(last: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 0, 0, last)
    }

    #[test]
    fn address_is_taken_once() {
        let mut stock = Stock::default();
        stock.put(address(1), NOW);
        assert!(stock.holds(address(1), NOW));
        assert!(!stock.take(address(2), NOW));
        assert!(stock.take(address(1), NOW));
        assert!(!stock.take(address(1), NOW));
    }

    #[test]
    fn address_counts_for_a_minute_and_longer_where_it_is_probed_again() {
        let mut stock = Stock::default();
        stock.put(address(1), NOW);
        stock.put(address(2), NOW);
        stock.put(address(2), NOW + 30_000);
        assert_eq!(stock.wanted(NOW + LIFE_MS - 1), 30);
        assert_eq!(stock.wanted(NOW + LIFE_MS), 31);
        assert!(!stock.holds(address(1), NOW + LIFE_MS));
        assert!(!stock.take(address(1), NOW + LIFE_MS));
        assert!(stock.take(address(2), NOW + LIFE_MS));
    }

    #[test]
    fn stock_is_full_at_32_and_drops_the_oldest() {
        let mut stock = Stock::default();
        assert_eq!(stock.wanted(NOW), CAPACITY);
        for last in 0..40 {
            stock.put(address(last), NOW + u64::from(last));
        }
        assert_eq!(stock.wanted(NOW + 40), 0);
        assert!(!stock.take(address(7), NOW + 40));
        assert!(stock.take(address(8), NOW + 40));
        assert_eq!(stock.wanted(NOW + 40), 1);
    }

    #[test]
    fn clock_that_is_set_back_empties_the_stock() {
        let mut stock = Stock::default();
        stock.put(address(1), NOW);
        assert_eq!(stock.wanted(NOW - LIFE_MS), CAPACITY);
        assert!(!stock.take(address(1), NOW - LIFE_MS));
    }
}
