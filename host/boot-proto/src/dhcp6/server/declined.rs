//! Addresses that clients found in use by somebody else.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

/// How long nobody gets a declined address: as long as in DHCPv4.
const DECLINED_MS: u64 = 600_000;

/// The most addresses that are remembered; a client that declines for fun fills at most this.
const DECLINED_MAX: usize = 1024;

/// A bounded set of declined addresses, each for ten minutes.
#[derive(Debug, Clone, Default)]
pub struct Declined {
    until_ms: BTreeMap<Ipv6Addr, u64>,
}

impl Declined {
    /// Notes a declined address. When the set is full, the one that would end first makes room.
    pub fn insert(&mut self, address: Ipv6Addr, now_ms: u64) {
        if self.until_ms.len() >= DECLINED_MAX {
            self.until_ms.retain(|_, until_ms| *until_ms > now_ms);
        }
        if self.until_ms.len() >= DECLINED_MAX {
            let first = self.until_ms.iter().min_by_key(|(_, until_ms)| **until_ms).map(|(first, _)| *first);
            first.map(|first| self.until_ms.remove(&first));
        }
        self.until_ms.insert(address, now_ms.saturating_add(DECLINED_MS));
    }

    /// Tells whether nobody may get an address now.
    #[must_use]
    pub fn contains(&self, address: Ipv6Addr, now_ms: u64) -> bool {
        self.until_ms.get(&address).is_some_and(|until_ms| *until_ms > now_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_is_out_of_use_for_ten_minutes() {
        let (mut declined, address) = (Declined::default(), Ipv6Addr::LOCALHOST);
        declined.insert(address, 1000);
        assert!(declined.contains(address, 600_999));
        assert!(!declined.contains(address, 601_000));
    }

    #[test]
    fn full_set_forgets_what_would_end_first() {
        let mut declined = Declined::default();
        let address = |index: u64| Ipv6Addr::from_bits(u128::from(index));
        for index in 0..2000 {
            declined.insert(address(index), index);
        }
        assert_eq!(declined.until_ms.len(), DECLINED_MAX);
        assert!(declined.contains(address(1999), 2000) && !declined.contains(address(0), 2000));
    }
}
