//! The table of leases, offers and reservations, with the subnets that they are in.
//!
//! It lives in memory and is pure: the caller keeps it in step with what is stored. Each question of a decision costs
//! about the same whatever the size of the ranges: what is free is a bit a address, and records are in the order in
//! which they expire.
//!
//! **Offers lie over records.** An offer is not stored; until it is taken or lapses, it keeps its address from everybody
//! else, and the record below, of whoever had the address before, comes back when it lapses. So a flood of requests
//! that are never followed up takes nothing from anybody for longer than offers live, and offers to strangers are
//! bounded for each link and each range ([`Book::has_room_for`]).

use std::collections::{BTreeSet, HashMap};
use std::net::Ipv4Addr;
use std::sync::Arc;

use super::area::Area;
use super::config::{Reservation, Subnet};
use super::lease::{Lease, LeaseChange, LeaseState};
use crate::dhcp::HardwareAddress;

/// Offers to strangers that may be open at once on one link: an interface of this host, or a relay. A storm of
/// thousands of machines stays below; what lies above has only made requests and never taken an answer.
pub const OFFERS_MAX: usize = 8192;

/// How long an offered address is kept for the client that it was offered to. Two clients are never offered the same.
const OFFER_MS: u64 = 60_000;

/// The same where many offers are open. OVMF collects offers for 3.8 s before it takes one (boot-lab.md section 2).
const SHORT_OFFER_MS: u64 = 10_000;

/// Ranges of fewer addresses are given away wholly; of others a quarter is kept from strangers' offers.
const SMALL_RANGE: usize = 64;

/// Where requests come in: the address of a relay, or the number of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Link {
    /// Through a relay with this address.
    Relay(Ipv4Addr),
    /// On an interface of this host.
    Interface(u32),
}

/// The table.
#[derive(Debug, Default)]
pub struct Book {
    /// In the order of their addresses; they do not overlap.
    areas: Vec<Area>,
    records: HashMap<Ipv4Addr, Lease>,
    offers: HashMap<Ipv4Addr, Offer>,
    lapses: BTreeSet<(u64, Ipv4Addr)>,
    open: HashMap<Link, usize>,
    by_client: HashMap<HardwareAddress, BTreeSet<Ipv4Addr>>,
    reservations: HashMap<HardwareAddress, Vec<Arc<Reservation>>>,
    reserved: HashMap<Ipv4Addr, HardwareAddress>,
}

#[derive(Debug, Clone, Copy)]
struct Offer {
    lease: Lease,
    link: Link,
    is_unproved: bool,
}

impl Book {
    /// Makes an empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces the subnets. They must not overlap; of two that do, the one that begins first has the addresses.
    pub fn set_subnets(&mut self, subnets: impl IntoIterator<Item = Arc<Subnet>>) {
        let former = std::mem::take(&mut self.areas);
        self.areas = subnets.into_iter().map(Area::new).collect();
        self.areas.sort_by_key(|area| area.subnet.network & area.subnet.mask());
        for area in &mut self.areas {
            let before = former.iter().find(|before| {
                (&before.subnet.name, before.subnet.active_start)
                    == (&area.subnet.name, area.subnet.active_start)
            });
            area.cursor = before.map_or(0, |before| before.cursor);
        }
        let addresses = self.records.keys().chain(self.offers.keys()).chain(self.reserved.keys());
        let addresses = addresses.copied().collect::<BTreeSet<_>>();
        for address in addresses {
            self.enter(address);
            let offers = usize::from(self.offers.contains_key(&address));
            if let Some(area) = self.area_of(address) {
                area.offers += offers;
            }
        }
    }

    /// Returns the subnet with an address.
    #[must_use]
    pub fn subnet_of(&self, address: Ipv4Addr) -> Option<&Arc<Subnet>> {
        self.area_place(address).and_then(|place| self.areas.get(place)).map(|area| &area.subnet)
    }

    /// Sets the reservation of an address.
    pub fn reserve(&mut self, reservation: Reservation) {
        self.unreserve(reservation.address);
        let (address, token) = (reservation.address, reservation.token);
        self.leave(address);
        self.reserved.insert(address, token);
        self.reservations.entry(token).or_default().push(Arc::new(reservation));
        self.enter(address);
    }

    /// Removes the reservation of an address, if it has one.
    pub fn unreserve(&mut self, address: Ipv4Addr) {
        self.leave(address);
        if let Some(token) = self.reserved.remove(&address)
            && let Some(own) = self.reservations.get_mut(&token)
        {
            own.retain(|reservation| reservation.address != address);
            if own.is_empty() {
                self.reservations.remove(&token);
            }
        }
        self.enter(address);
    }

    /// Returns the reservation of a client on a link: the one in the link's subnet; else one that may be used anywhere
    /// and lies in no other subnet (drp-behaviour.md 6.4).
    #[must_use]
    pub fn reservation_of(
        &self,
        token: HardwareAddress,
        subnet: Option<&Subnet>,
    ) -> Option<Arc<Reservation>> {
        let own = self.reservations.get(&token)?;
        let here = own.iter().find(|own| subnet.is_some_and(|subnet| subnet.contains(own.address)));
        let anywhere = |own: &&Arc<Reservation>| !own.is_scoped && self.subnet_of(own.address).is_none();
        here.or_else(|| own.iter().find(anywhere)).cloned()
    }

    /// Returns for whom an address is reserved.
    #[must_use]
    pub fn reserved_for(&self, address: Ipv4Addr) -> Option<HardwareAddress> {
        self.reserved.get(&address).copied()
    }

    /// Returns what holds an address: an open offer, else its record in any state.
    #[must_use]
    pub fn lease_at(&self, address: Ipv4Addr) -> Option<Lease> {
        self.offers.get(&address).map(|offer| offer.lease).or_else(|| self.records.get(&address).copied())
    }

    /// Tells whether an address is offered and is still to be asked for.
    #[must_use]
    pub fn is_unproved(&self, address: Ipv4Addr) -> bool {
        self.offers.get(&address).is_some_and(|offer| offer.is_unproved)
    }

    /// Notes that nobody uses an address that is offered to a client.
    pub fn prove(&mut self, address: Ipv4Addr, client: HardwareAddress) {
        if let Some(offer) = self.offers.get_mut(&address).filter(|offer| offer.lease.belongs_to(client)) {
            offer.is_unproved = false;
        }
    }

    /// Returns the record of an address, whatever is offered over it: what has to be stored.
    #[must_use]
    pub fn record_at(&self, address: Ipv4Addr) -> Option<Lease> {
        self.records.get(&address).copied()
    }

    /// Returns the leases and open offers of a client in a subnet; everywhere when there is none. An address that was
    /// its own and is offered to somebody else is not among them.
    #[must_use]
    pub fn leases_of(&self, token: HardwareAddress, subnet: Option<&Subnet>) -> Vec<Lease> {
        let here = |address: &&Ipv4Addr| subnet.is_none_or(|subnet| subnet.contains(**address));
        let addresses = self.by_client.get(&token).into_iter().flatten().filter(here);
        addresses
            .filter_map(|address| self.lease_at(*address))
            .filter(|lease| lease.belongs_to(token))
            .collect()
    }

    /// Returns the next address of a subnet's active range that has no record, no offer and no reservation, and that
    /// `usable` accepts, round robin.
    #[must_use]
    pub fn next_free(&self, subnet: &Subnet, usable: &dyn Fn(Ipv4Addr) -> bool) -> Option<Ipv4Addr> {
        self.area(subnet)?.next_free(usable)
    }

    /// Returns the next addresses that [`Book::next_free`] will find, in their order.
    #[must_use]
    pub fn free_ahead(&self, subnet: &Subnet, count: usize) -> Vec<Ipv4Addr> {
        self.area(subnet).map(|area| area.free().take(count).collect()).unwrap_or_default()
    }

    /// Returns the address of a subnet's active range whose lease expired first, that is not offered and not reserved,
    /// and that `usable` accepts.
    #[must_use]
    pub fn most_expired(
        &self,
        subnet: &Subnet,
        now_ms: u64,
        usable: &dyn Fn(Ipv4Addr) -> bool,
    ) -> Option<Ipv4Addr> {
        self.area(subnet)?.most_expired(now_ms, usable)
    }

    /// Tells whether a stranger on a link may be offered an address of a subnet: while few enough offers are open.
    #[must_use]
    pub fn has_room_for(&self, link: Link, subnet: &Subnet) -> bool {
        let open = self.open.get(&link).copied().unwrap_or(0);
        let (offers, len) = self.area(subnet).map_or((0, 0), |area| (area.offers, area.len()));
        open < OFFERS_MAX && (len < SMALL_RANGE || offers < len - len / 4)
    }

    /// Returns how long an offer is kept, in milliseconds: less where many are open.
    #[must_use]
    pub fn offer_ms(&self, link: Link, subnet: Option<&Subnet>) -> u64 {
        let open = self.open.get(&link).copied().unwrap_or(0);
        let area = subnet.and_then(|subnet| self.area(subnet));
        let crowded = area.is_some_and(|area| area.len() >= SMALL_RANGE && area.offers >= area.len() / 4);
        if crowded || open >= OFFERS_MAX / 4 { SHORT_OFFER_MS } else { OFFER_MS }
    }

    /// Returns how many offers are open.
    #[must_use]
    pub fn open_offers(&self) -> usize {
        self.offers.len()
    }

    /// Lets the offers go whose time is over. To be called before each decision.
    pub fn lapse(&mut self, now_ms: u64) {
        while let Some((expires_ms, address)) = self.lapses.first().copied()
            && expires_ms <= now_ms
        {
            self.withdraw(address);
        }
    }

    /// Applies a decision for a request that came in on a link, and returns the addresses whose records it removed.
    pub fn apply(&mut self, change: &LeaseChange, link: Link) -> Vec<Ipv4Addr> {
        let mut removed = Vec::new();
        change.withdraw.iter().for_each(|address| self.withdraw(*address));
        for address in &change.remove {
            let over = self.offers.get(address).and_then(|offer| offer.lease.token);
            self.withdraw(*address);
            if over.is_none() || self.records.get(address).is_some_and(|record| record.token == over) {
                removed.extend(self.records.contains_key(address).then_some(*address));
                self.remove(*address);
            }
        }
        let Some(lease) = change.put else { return removed };
        let is_new = self.lease_at(lease.address).is_none_or(|before| before.token != lease.token);
        if let Some(area) = self.area_of(lease.address).filter(|_| is_new) {
            area.pass(lease.address);
        }
        self.withdraw(lease.address);
        if lease.state == LeaseState::Offered {
            self.offer(Offer { lease, link, is_unproved: change.is_unproved });
        } else {
            self.put(lease);
        }
        removed
    }

    /// Writes a record; an offer over it stays.
    pub fn put(&mut self, lease: Lease) {
        self.remove(lease.address);
        self.leave(lease.address);
        if let Some(client) = lease.token {
            self.by_client.entry(client).or_default().insert(lease.address);
        }
        self.records.insert(lease.address, lease);
        self.enter(lease.address);
    }

    /// Removes a record; an offer over it stays.
    pub fn remove(&mut self, address: Ipv4Addr) {
        self.leave(address);
        let client = self.records.remove(&address).and_then(|lease| lease.token);
        let offered = self.offers.get(&address).and_then(|offer| offer.lease.token);
        if let Some(client) = client.filter(|client| offered != Some(*client)) {
            self.forget(client, address);
        }
        self.enter(address);
    }

    /// Removes all records, but no offers.
    pub fn clear_records(&mut self) {
        let addresses = self.records.keys().copied().collect::<Vec<_>>();
        addresses.into_iter().for_each(|address| self.remove(address));
    }

    /// Removes all reservations.
    pub fn clear_reservations(&mut self) {
        let addresses = self.reserved.keys().copied().collect::<Vec<_>>();
        addresses.into_iter().for_each(|address| self.unreserve(address));
    }

    fn offer(&mut self, offer: Offer) {
        let Offer { lease, link, .. } = offer;
        self.leave(lease.address);
        if let Some(client) = lease.token {
            self.by_client.entry(client).or_default().insert(lease.address);
        }
        self.lapses.insert((lease.expires_ms, lease.address));
        *self.open.entry(link).or_default() += 1;
        self.offers.insert(lease.address, offer);
        if let Some(area) = self.area_of(lease.address) {
            area.offers += 1;
        }
        self.enter(lease.address);
    }

    fn withdraw(&mut self, address: Ipv4Addr) {
        let Some(offer) = self.offers.remove(&address) else { return };
        self.lapses.remove(&(offer.lease.expires_ms, address));
        if let Some(open) = self.open.get_mut(&offer.link) {
            *open -= 1;
            if *open == 0 {
                self.open.remove(&offer.link);
            }
        }
        let recorded = self.records.get(&address).and_then(|record| record.token);
        if let Some(client) = offer.lease.token.filter(|client| recorded != Some(*client)) {
            self.forget(client, address);
        }
        if let Some(area) = self.area_of(address) {
            area.offers -= 1;
        }
        self.enter(address);
    }

    fn forget(&mut self, client: HardwareAddress, address: Ipv4Addr) {
        if let Some(addresses) = self.by_client.get_mut(&client) {
            addresses.remove(&address);
            if addresses.is_empty() {
                self.by_client.remove(&client);
            }
        }
    }

    /// Brings the state of an address in its range up to date, after a change; [`Self::leave`] comes before one.
    fn enter(&mut self, address: Ipv4Addr) {
        let record = self.records.get(&address).copied();
        let (offered, reserved) = (self.offers.contains_key(&address), self.reserved.contains_key(&address));
        let Some(area) = self.area_of(address) else { return };
        let fixed = !area.subnet.is_host(address) || area.subnet.routers.contains(&address);
        area.set_taken(address, fixed || offered || reserved || record.is_some());
        if let Some(record) = record.filter(|_| !offered && !reserved && !fixed) {
            area.note_reusable(record.expires_ms, address);
        }
    }

    fn leave(&mut self, address: Ipv4Addr) {
        let expires_ms = self.records.get(&address).map(|record| record.expires_ms);
        if let (Some(area), Some(expires_ms)) = (self.area_of(address), expires_ms) {
            area.forget_reusable(expires_ms, address);
        }
    }

    fn area(&self, subnet: &Subnet) -> Option<&Area> {
        let place = self.area_place(subnet.network & subnet.mask())?;
        self.areas.get(place)
    }

    fn area_of(&mut self, address: Ipv4Addr) -> Option<&mut Area> {
        let place = self.area_place(address)?;
        self.areas.get_mut(place)
    }

    fn area_place(&self, address: Ipv4Addr) -> Option<usize> {
        let behind = self.areas.partition_point(|area| area.subnet.network & area.subnet.mask() <= address);
        let place = behind.checked_sub(1)?;
        self.areas.get(place).filter(|area| area.subnet.contains(address)).map(|_| place)
    }
}

#[cfg(test)]
mod tests;
