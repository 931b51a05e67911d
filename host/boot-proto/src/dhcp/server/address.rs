//! Which address a client may have.

use std::net::Ipv4Addr;

use super::config::{Picker, Reservation, Subnet};
use super::decide::{Decision, Reason};

/// An address that a client may have.
#[derive(Debug, Clone)]
pub(super) struct Grant {
    pub(super) address: Ipv4Addr,
    pub(super) lease_secs: u32,
    pub(super) why: Reason,
}

/// The lease time of a reservation without any subnet and without one of its own: DRP's default for reservations.
const RESERVED_LEASE_SECS: u32 = 7200;

impl Decision<'_> {
    /// Finds the address to offer: reservation, then the client's own lease, then the pickers.
    pub(super) fn address_to_offer(&self) -> Result<Grant, Reason> {
        if let Some(reservation) = self.context.reservation {
            return self.reserved(reservation);
        }
        let subnet = self.context.subnet.ok_or(Reason::NoSubnet)?;
        if !subnet.enabled {
            return Err(Reason::SubnetDisabled);
        }
        let leases = self.context.book.leases_of(self.token(), Some(subnet));
        let usable = leases.iter().filter(|lease| self.is_usable(subnet, lease.address));
        if let Some(lease) = usable.max_by_key(|lease| lease.expires_ms) {
            return Ok(active(subnet, lease.address, Reason::OwnLease));
        }
        if !self.context.is_known && !self.context.book.has_room_for(self.context.link, subnet) {
            return Err(Reason::TooManyOffers);
        }
        self.pick(subnet)
    }

    /// Checks that the client may keep or take the address that it asks for.
    pub(super) fn address_asked_for(&self, address: Ipv4Addr) -> Result<Grant, Reason> {
        if let Some(reservation) = self.context.reservation {
            let matches = reservation.address == address;
            return if matches { self.reserved(reservation) } else { Err(Reason::ReservedElsewhere) };
        }
        if self.context.book.reserved_for(address).is_some() {
            return Err(Reason::ReservedForAnother);
        }
        let subnet = self.context.subnet.ok_or(Reason::NoSubnet)?;
        if !subnet.contains(address) {
            return Err(Reason::WrongNetwork);
        }
        if !subnet.enabled {
            return Err(Reason::SubnetDisabled);
        }
        let lease = self.context.book.lease_at(address);
        if !lease.is_some_and(|lease| lease.belongs_to(self.token())) {
            return Err(Reason::NoLease);
        }
        if !self.is_usable(subnet, address) {
            return Err(Reason::OutOfRange);
        }
        Ok(active(subnet, address, Reason::OwnLease))
    }

    fn reserved(&self, reservation: &Reservation) -> Result<Grant, Reason> {
        let subnet_secs =
            self.context.subnet.map_or(RESERVED_LEASE_SECS, |subnet| subnet.reserved_lease_secs);
        if self.is_held_by_another(reservation.address) {
            return Err(Reason::ReservationInUse);
        }
        Ok(Grant {
            address: reservation.address,
            lease_secs: reservation.lease_secs.filter(|secs| *secs > 0).unwrap_or(subnet_secs),
            why: Reason::Reservation,
        })
    }

    fn pick(&self, subnet: &Subnet) -> Result<Grant, Reason> {
        let usable = |address: Ipv4Addr| self.is_usable(subnet, address);
        let book = self.context.book;
        for picker in &subnet.pickers {
            let found = match picker {
                Picker::Hint => match self.hint().filter(|hint| subnet.is_active(*hint)) {
                    Some(hint) if usable(hint) && !self.is_held_by_another(hint) => Some(hint),
                    Some(_) => return Err(Reason::HintTaken),
                    None => None,
                },
                Picker::NextFree => book.next_free(subnet, &usable),
                Picker::MostExpired => book.most_expired(subnet, self.now_ms, &usable),
                Picker::None => return Err(Reason::NewClientsRefused),
            };
            if let Some(address) = found {
                return Ok(active(subnet, address, Reason::Picked(*picker)));
            }
        }
        Err(Reason::NoAddressLeft)
    }

    fn hint(&self) -> Option<Ipv4Addr> {
        let ciaddr = Some(self.request.ciaddr).filter(|ciaddr| !ciaddr.is_unspecified());
        self.request.requested_address().or(ciaddr)
    }

    /// Tells whether this client could have the address of the active range, were it free.
    fn is_usable(&self, subnet: &Subnet, address: Ipv4Addr) -> bool {
        let reserved = self.context.book.reserved_for(address);
        subnet.is_active(address)
            && subnet.is_host(address)
            && !self.is_own(address)
            && !subnet.routers.contains(&address)
            && reserved.is_none_or(|token| token == self.token())
    }

    /// Tells whether an address is one of this server.
    pub(super) fn is_own(&self, address: Ipv4Addr) -> bool {
        [self.context.server_id, self.server_id].contains(&address) || self.context.own.contains(&address)
    }

    fn is_held_by_another(&self, address: Ipv4Addr) -> bool {
        let lease = self.context.book.lease_at(address);
        lease.is_some_and(|lease| !lease.belongs_to(self.token()) && !lease.is_expired(self.now_ms))
    }
}

fn active(subnet: &Subnet, address: Ipv4Addr, why: Reason) -> Grant {
    Grant { address, lease_secs: subnet.active_lease_secs, why }
}
