//! The leases in memory, in step with the store.
//!
//! A decision and its change of this table are one step under a lock, so that two clients never get one address. The
//! change is then committed with many others at once; what is written is what the table says at the moment of the
//! commit, so the order of commits does not matter. Offers stay in memory: a client whose offer is lost asks again.

use std::{
    collections::{BTreeSet, HashMap},
    net::Ipv4Addr,
};

use formwork_boot_proto::dhcp::{
    HardwareAddress,
    server::{self, LeaseChange, LeaseState, LeaseTable, Reservation, Subnet},
};
use formwork_model::{Lease, Objects, Timestamp};
use formwork_store::{Change, Feed, FeedError, Snapshot, Store};

/// Who writes leases; changes by anybody else are taken over into the table.
pub(super) const PRINCIPAL: &str = "dhcp";

/// All leases by address and by client.
pub(super) struct Leases {
    feed: Feed,
    by_address: HashMap<Ipv4Addr, server::Lease>,
    by_client: HashMap<HardwareAddress, BTreeSet<Ipv4Addr>>,
    last_given: Option<Ipv4Addr>,
}

impl Leases {
    /// Reads the leases that are stored.
    pub(super) fn new(store: &Store) -> Self {
        let (snapshot, feed) = store.snapshot_and_feed();
        let mut leases =
            Self { feed, by_address: HashMap::new(), by_client: HashMap::new(), last_given: None };
        leases.load(&snapshot);
        leases
    }

    /// Takes over what others did to leases: the end that housekeeping notes, and what the API removes.
    pub(super) fn follow(&mut self, store: &Store) {
        loop {
            match self.feed.try_next() {
                Ok(Some(entry)) if &*entry.principal != PRINCIPAL => {
                    entry
                        .changes
                        .iter()
                        .filter(|change| change.prefix == "leases")
                        .for_each(|change| self.take(change));
                }
                Ok(Some(_)) => {}
                Err(FeedError::Lagged { .. }) => {
                    let (snapshot, feed) = store.snapshot_and_feed();
                    self.feed = feed;
                    // Offers are nowhere else; all other leases are stored.
                    let stored = |lease: &server::Lease| lease.state != LeaseState::Offered;
                    let gone: Vec<Ipv4Addr> = self
                        .by_address
                        .values()
                        .filter(|lease| stored(lease))
                        .map(|lease| lease.address)
                        .collect();
                    gone.into_iter().for_each(|address| self.remove(address));
                    self.load(&snapshot);
                }
                Ok(None) | Err(FeedError::Closed) => return,
            }
        }
    }

    /// Applies a decision.
    pub(super) fn apply(&mut self, change: &LeaseChange) {
        change.remove.iter().for_each(|address| self.remove(*address));
        if let Some(lease) = &change.put {
            if self.by_address.get(&lease.address).is_none_or(|before| before.token != lease.token) {
                self.last_given = Some(lease.address);
            }
            self.put(lease.clone());
        }
    }

    /// Returns the lease of an address as it is now.
    pub(super) fn get(&self, address: Ipv4Addr) -> Option<&server::Lease> {
        self.by_address.get(&address)
    }

    fn load(&mut self, snapshot: &Snapshot) {
        snapshot.visit("leases", &mut |object| {
            let lease = object.as_any().downcast_ref::<Lease>().and_then(from_stored);
            if let Some(lease) = lease {
                self.put(lease);
            }
            true
        });
    }

    fn take(&mut self, change: &Change) {
        let stored = |object: &dyn formwork_model::Object| {
            object.as_any().downcast_ref::<Lease>().and_then(from_stored)
        };
        match (&change.before, &change.after) {
            (_, Some(after)) => {
                let Some(lease) = stored(after.as_ref()) else { return };
                // An end that was noted just before the client renewed is no end.
                let renewed = self.by_address.get(&lease.address).is_some_and(|own| {
                    lease.state == LeaseState::Expired && own.expires_ms > lease.expires_ms
                });
                if !renewed {
                    self.put(lease);
                }
            }
            (Some(before), None) => {
                if let Some(lease) = stored(before.as_ref()) {
                    self.remove(lease.address);
                }
            }
            (None, None) => {}
        }
    }

    fn put(&mut self, lease: server::Lease) {
        self.remove(lease.address);
        if let Some(client) = lease.token {
            self.by_client.entry(client).or_default().insert(lease.address);
        }
        self.by_address.insert(lease.address, lease);
    }

    fn remove(&mut self, address: Ipv4Addr) {
        let Some(client) = self.by_address.remove(&address).and_then(|lease| lease.token) else { return };
        if let Some(addresses) = self.by_client.get_mut(&client) {
            addresses.remove(&address);
            if addresses.is_empty() {
                self.by_client.remove(&client);
            }
        }
    }
}

impl LeaseTable for Leases {
    fn leases_of(&self, token: HardwareAddress, subnet: Option<&Subnet>) -> Vec<server::Lease> {
        let here = |address: &&Ipv4Addr| subnet.is_none_or(|subnet| subnet.contains(**address));
        let addresses = self.by_client.get(&token).into_iter().flatten();
        addresses.filter(here).filter_map(|address| self.by_address.get(address).cloned()).collect()
    }

    fn lease_at(&self, address: Ipv4Addr) -> Option<server::Lease> {
        self.by_address.get(&address).cloned()
    }

    fn reservation_of(&self, _: HardwareAddress, _: Option<&Subnet>) -> Option<Reservation> {
        None
    }

    fn reserved_for(&self, _: Ipv4Addr) -> Option<HardwareAddress> {
        None
    }

    fn last_given(&self, _: &Subnet) -> Option<Ipv4Addr> {
        self.last_given
    }
}

/// Writes a lease into an object of the store; what only the object knows is kept.
pub(super) fn to_stored(lease: &server::Lease, before: Option<&Lease>) -> Lease {
    let mut stored = before.cloned().unwrap_or_default();
    stored.addr = lease.address.to_string();
    stored.token = lease.token.map(|client| client.to_string()).unwrap_or_default();
    stored.strategy = if lease.token.is_some() { String::from("MAC") } else { String::new() };
    stored.state = String::from(match lease.state {
        LeaseState::Offered => "OFFER",
        LeaseState::Bound => "ACK",
        LeaseState::Expired => "EXPIRED",
        LeaseState::Invalid => "INVALID",
    });
    stored.expire_time = Timestamp::from_millis(i64::try_from(lease.expires_ms).unwrap_or(i64::MAX));
    stored.duration = i64::from(lease.duration_secs);
    stored
}

/// Reads a lease from an object of the store; `None` for one that is no lease of this server.
fn from_stored(stored: &Lease) -> Option<server::Lease> {
    let state = match stored.state.as_str() {
        "OFFER" => LeaseState::Offered,
        "ACK" => LeaseState::Bound,
        "EXPIRED" => LeaseState::Expired,
        "INVALID" => LeaseState::Invalid,
        _ => return None,
    };
    let token = stored.token.parse().ok();
    if token.is_none() && state != LeaseState::Invalid {
        return None;
    }
    Some(server::Lease {
        address: stored.addr.parse().ok()?,
        token: token.filter(|_| state != LeaseState::Invalid),
        state,
        expires_ms: u64::try_from(stored.expire_time.millis()).unwrap_or(0),
        duration_secs: u32::try_from(stored.duration).unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn mac() -> HardwareAddress {
        HardwareAddress::ethernet([2, 0, 0, 0, 0, 1])
    }

    fn lease(last: u8, expires_ms: u64) -> server::Lease {
        server::Lease {
            address: Ipv4Addr::new(10, 0, 0, last),
            token: Some(mac()),
            state: LeaseState::Bound,
            expires_ms,
            duration_secs: 60,
        }
    }

    #[test]
    fn lease_reads_back_as_it_was_written() {
        for lease in [lease(5, 1000), server::Lease::benched(Ipv4Addr::new(10, 0, 0, 6), 7)] {
            assert_eq!(from_stored(&to_stored(&lease, None)), Some(lease));
        }
        assert_eq!(from_stored(&Lease::default()), None);
    }

    #[tokio::test]
    async fn table_follows_what_others_do_and_keeps_what_was_renewed() {
        let store = Store::memory(Vec::new());
        let mut leases = Leases::new(&store);
        for last in [5, 6] {
            leases.apply(&LeaseChange { put: Some(lease(last, 9000)), remove: Vec::new() });
        }
        let write = |principal: &'static str, lease: server::Lease| {
            let stored = Arc::new(to_stored(&lease, None));
            store.write(principal, move |tx| {
                tx.put(stored);
                Ok::<(), ()>(())
            })
        };
        write(PRINCIPAL, lease(5, 9000)).await.unwrap();
        write("system", server::Lease { state: LeaseState::Expired, ..lease(5, 8000) }).await.unwrap();
        write("system", server::Lease { state: LeaseState::Expired, ..lease(6, 9000) }).await.unwrap();
        leases.follow(&store);
        assert_eq!(leases.get(Ipv4Addr::new(10, 0, 0, 5)).unwrap().state, LeaseState::Bound);
        assert_eq!(leases.get(Ipv4Addr::new(10, 0, 0, 6)).unwrap().state, LeaseState::Expired);
        let deleted = store.write("user:me", |tx| tx.delete("leases", "0A000005").map(|_| ()).ok_or(()));
        deleted.await.unwrap();
        leases.follow(&store);
        assert!(leases.get(Ipv4Addr::new(10, 0, 0, 5)).is_none());
        assert_eq!(leases.leases_of(mac(), None).len(), 1);
        assert_eq!(
            Leases::new(&store).leases_of(mac(), None).len(),
            1,
            "what is stored is read at the start"
        );
    }
}
