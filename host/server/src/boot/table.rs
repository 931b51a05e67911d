//! The book of leases, in step with the store.
//!
//! A decision and its change of the book are one step under a lock, so that two clients never get one address. The
//! change is handed to the writer under that lock too, so that changes are written in the order of the decisions.
//! Offers stay in memory: a client whose offer is lost asks again.

use std::{collections::HashMap, net::Ipv4Addr, sync::Arc};

use formwork_boot::Interfaces;
use formwork_boot_proto::dhcp::{
    HardwareAddress,
    server::{Book, LeaseState, Reservation, Subnet},
};
use formwork_model::{Lease, Object, Objects, ObjectsExt, Record};
use formwork_store::{Change, Entry, Feed, FeedError, Snapshot, Store};

use super::{options::Configured, stored};

/// Who writes leases; changes by anybody else are taken over into the book.
pub(super) const PRINCIPAL: &str = "dhcp";

/// The book, the options of what is in it, and where changes come from.
pub(super) struct Table {
    pub(super) book: Book,
    of_subnets: HashMap<String, Arc<Configured>>,
    of_reservations: HashMap<Ipv4Addr, Arc<Configured>>,
    feed: Feed,
    interfaces: Arc<Interfaces>,
    own: Arc<[Ipv4Addr]>,
    /// The subnet that is served besides those of the store.
    besides: Option<formwork_model::Subnet>,
    /// How many changes of an address are on their way to the store, where the book is ahead of it.
    unwritten: HashMap<Ipv4Addr, usize>,
}

/// What is configured for one client on one link.
#[derive(Clone, Default)]
pub(super) struct Place {
    pub(super) subnet: Option<Arc<Subnet>>,
    pub(super) reservation: Option<Arc<Reservation>>,
    /// The options of the subnet and, over them, those of the reservation.
    pub(super) options: [Option<Arc<Configured>>; 2],
}

impl Table {
    /// Reads what is stored. `besides` is served as well.
    pub(super) fn new(store: &Store, besides: Option<formwork_model::Subnet>) -> Self {
        let (snapshot, feed) = store.snapshot_and_feed();
        let mut table = Self {
            book: Book::new(),
            of_subnets: HashMap::new(),
            of_reservations: HashMap::new(),
            feed,
            interfaces: Arc::default(),
            own: Arc::default(),
            unwritten: HashMap::new(),
            besides,
        };
        table.load(&snapshot);
        table
    }

    /// Takes over what others did: the end of leases that housekeeping notes, and what the API changes.
    pub(super) fn follow(&mut self, store: &Store) {
        loop {
            match self.feed.try_next() {
                Ok(Some(entry)) => self.take(store, &entry),
                Err(FeedError::Lagged { .. }) => self.reload(store),
                Ok(None) | Err(FeedError::Closed) => return,
            }
        }
    }

    /// Notes that a change of addresses is on its way to the store: until it is there, the book is right about them.
    pub(super) fn hold(&mut self, addresses: impl Iterator<Item = Ipv4Addr>) {
        addresses.for_each(|address| *self.unwritten.entry(address).or_default() += 1);
    }

    /// Notes that a change of addresses is stored, or was lost. Where no other one follows, the store is right from here on:
    /// others may have changed the same leases before or after.
    pub(super) fn release(&mut self, addresses: Vec<Ipv4Addr>, snapshot: &Snapshot) {
        for address in addresses {
            match self.unwritten.get_mut(&address) {
                Some(left) if *left > 1 => *left -= 1,
                _ => {
                    self.unwritten.remove(&address);
                    self.refresh(address, snapshot);
                }
            }
        }
    }

    fn refresh(&mut self, address: Ipv4Addr, snapshot: &Snapshot) {
        let key = format!("{:08X}", address.to_bits());
        let stored = snapshot.get::<Lease>(&key).and_then(|lease| stored::lease(&lease));
        match stored {
            Some(lease) if self.book.record_at(address) != Some(lease) => self.book.put(lease),
            None if self.book.record_at(address).is_some() => self.book.remove(address),
            _ => {}
        }
    }

    /// Reads all that is stored again; offers, and what is on its way to the store, stay as they are.
    fn reload(&mut self, store: &Store) {
        let (snapshot, feed) = store.snapshot_and_feed();
        self.feed = feed;
        let unwritten = self.unwritten.keys().map(|address| (*address, self.book.record_at(*address)));
        let unwritten = unwritten.collect::<Vec<_>>();
        self.book.clear_records();
        self.book.clear_reservations();
        self.load(&snapshot);
        for (address, record) in unwritten {
            match record {
                Some(record) => self.book.put(record),
                None => self.book.remove(address),
            }
        }
    }

    /// Returns what is configured for a client, in the first subnet that one of the addresses of its link is in.
    pub(super) fn place(&self, client: HardwareAddress, link: impl IntoIterator<Item = Ipv4Addr>) -> Place {
        let subnet = link.into_iter().find_map(|address| self.book.subnet_of(address)).cloned();
        let reservation = self.book.reservation_of(client, subnet.as_deref());
        let of_subnet = subnet.as_ref().and_then(|subnet| self.of_subnets.get(&subnet.name)).cloned();
        let of_reservation =
            reservation.as_ref().and_then(|own| self.of_reservations.get(&own.address)).cloned();
        Place { subnet, reservation, options: [of_subnet, of_reservation] }
    }

    /// Returns all addresses of this host.
    pub(super) fn own(&mut self, interfaces: &Arc<Interfaces>) -> Arc<[Ipv4Addr]> {
        if !Arc::ptr_eq(&self.interfaces, interfaces) {
            self.interfaces = Arc::clone(interfaces);
            self.own = interfaces.own_addresses().collect();
        }
        Arc::clone(&self.own)
    }

    fn load(&mut self, snapshot: &Snapshot) {
        self.load_subnets(snapshot);
        for own in snapshot.list::<formwork_model::Reservation>() {
            self.reserve(&own);
        }
        snapshot.visit(Lease::KIND.prefix, &mut |object| {
            let lease = object.as_any().downcast_ref::<Lease>().and_then(stored::lease);
            // Offers are in memory only; one of a store is from another program, and over.
            if let Some(lease) = lease.filter(|lease| lease.state != LeaseState::Offered) {
                self.book.put(lease);
            }
            true
        });
    }

    fn load_subnets(&mut self, snapshot: &Snapshot) {
        self.of_subnets.clear();
        let mut subnets = Vec::new();
        let besides = self.besides.clone().map(Arc::new);
        for own in snapshot.list::<formwork_model::Subnet>().into_iter().chain(besides) {
            if let Some((subnet, options)) = stored::subnet(&own) {
                self.of_subnets.insert(subnet.name.clone(), Arc::new(options));
                subnets.push(Arc::new(subnet));
            }
        }
        self.book.set_subnets(subnets);
    }

    fn reserve(&mut self, own: &formwork_model::Reservation) {
        let Some((reservation, options)) = stored::reservation(own) else { return };
        self.of_reservations.insert(reservation.address, Arc::new(options));
        self.book.reserve(reservation);
    }

    fn take(&mut self, store: &Store, entry: &Entry) {
        let of = |kind: &'static str| entry.changes.iter().filter(move |change| change.prefix == kind);
        if of(formwork_model::Subnet::KIND.prefix).next().is_some() {
            self.load_subnets(&store.snapshot());
        }
        for change in of(formwork_model::Reservation::KIND.prefix) {
            if let Some(address) = change.before.as_deref().and_then(reserved_address) {
                self.of_reservations.remove(&address);
                self.book.unreserve(address);
            }
            let after = change.after.as_deref().and_then(|after| after.as_any().downcast_ref());
            after.into_iter().for_each(|own| self.reserve(own));
        }
        if &*entry.principal != PRINCIPAL {
            of(Lease::KIND.prefix).for_each(|change| self.take_lease(change));
        }
    }

    fn is_stored(&self, address: Ipv4Addr) -> bool {
        !self.unwritten.contains_key(&address)
    }

    fn take_lease(&mut self, change: &Change) {
        let read = |object: &dyn Object| object.as_any().downcast_ref::<Lease>().and_then(stored::lease);
        match (&change.before, &change.after) {
            (_, Some(after)) => {
                let Some(lease) = read(after.as_ref()).filter(|lease| self.is_stored(lease.address)) else {
                    return;
                };
                // An end that was noted just before the client renewed is no end.
                let renewed = self.book.record_at(lease.address).is_some_and(|own| {
                    lease.state == LeaseState::Expired && own.expires_ms > lease.expires_ms
                });
                if !renewed {
                    self.book.put(lease);
                }
            }
            (Some(before), None) => {
                if let Some(lease) = read(before.as_ref()).filter(|lease| self.is_stored(lease.address)) {
                    self.book.remove(lease.address);
                }
            }
            (None, None) => {}
        }
    }
}

fn reserved_address(object: &dyn Object) -> Option<Ipv4Addr> {
    object.as_any().downcast_ref::<formwork_model::Reservation>()?.addr.parse().ok()
}

#[cfg(test)]
mod tests;
