//! Which address an association gets.

use std::net::Ipv6Addr;

use sha2::{Digest, Sha256};

use super::config::{Assignment, Prefix};
use super::decide::Decision;
use crate::dhcp::HardwareAddress;
use crate::dhcp6::{Association, Duid};

/// How many addresses an identity has: one, and the others for when it is declined.
const ATTEMPTS: u8 = 8;

/// Who asks, as far as addresses go.
#[derive(Debug, Clone, Copy)]
enum Identity<'a> {
    /// A network card, whatever its program calls its association.
    Card(HardwareAddress),
    /// One of several associations of a network card.
    CardAssociation(HardwareAddress, u32),
    /// An association of a client whose network card is not known.
    Client(&'a Duid, u32),
}

impl Identity<'_> {
    /// Returns the last 64 bits of one of its addresses. The hash is not keyed, so that no secret has to survive a new
    /// installation, and it is a cryptographic one, so that nobody can find an identity for the address of another.
    fn identifier(&self, attempt: u8) -> u64 {
        let (kind, bytes, association) = match self {
            Self::Card(card) => (0, card.as_bytes(), 0),
            Self::CardAssociation(card, association) => (1, card.as_bytes(), *association),
            Self::Client(duid, association) => (2, duid.as_bytes(), *association),
        };
        let mut hash = Sha256::new();
        hash.update([kind, attempt]);
        hash.update(association.to_be_bytes());
        hash.update(bytes);
        let digest = <[u8; 32]>::from(hash.finalize());
        digest.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
    }

    fn addresses(&self, prefix: Prefix) -> impl Iterator<Item = Ipv6Addr> {
        let identifiers = (0..ATTEMPTS).map(|attempt| self.identifier(attempt));
        identifiers
            .filter(|identifier| !is_anycast(*identifier))
            .map(move |identifier| prefix.address(identifier))
    }
}

/// Returns the addresses that a network card is given in a network for its usual association, the first choice first. So it
/// is known whose an address is without a note of who was given it.
pub fn addresses_of_card(card: HardwareAddress, prefix: Prefix) -> Vec<Ipv6Addr> {
    Identity::Card(card).addresses(prefix).collect()
}

/// RFC 5453: routers and home agents answer at these.
fn is_anycast(identifier: u64) -> bool {
    identifier == 0 || (0xfdff_ffff_ffff_ff80..=0xfdff_ffff_ffff_ffff).contains(&identifier)
}

impl Decision<'_> {
    /// Returns every address that an association can have here, the usual one first.
    pub(super) fn addresses_of(&self, association: &Association) -> Vec<Ipv6Addr> {
        let Some(prefix) = self.network.prefix else {
            return Vec::new();
        };
        let id = association.id;
        let identities = match (self.client.hardware, &self.client.duid) {
            (Some(card), _) => vec![Identity::Card(card), Identity::CardAssociation(card, id)],
            (None, Some(duid)) => vec![Identity::Client(duid, id)],
            (None, None) => Vec::new(),
        };
        let everybody = self.network.assignment == Assignment::Everybody;
        let hashed = identities.iter().filter(|_| everybody).flat_map(|identity| identity.addresses(prefix));
        let hashed = hashed.filter(|address| self.is_free_for_client(*address));
        self.reserved(prefix).into_iter().chain(hashed).collect()
    }

    /// Chooses the address of an association; `taken` are those of the associations before it in this message.
    ///
    /// The reserved one goes first, then the one that the client has, then the usual one.
    pub(super) fn address_for(&self, association: &Association, taken: &[Ipv6Addr]) -> Option<Ipv6Addr> {
        let possible = self.addresses_of(association);
        let usable = |address: &&Ipv6Addr| {
            !taken.contains(address) && !self.context.declined.contains(**address, self.now_ms)
        };
        let reserved = self.network.prefix.and_then(|prefix| self.reserved(prefix));
        let named = association.addresses.iter().filter(|named| possible.contains(named));
        reserved.iter().chain(named).chain(&possible).find(usable).copied()
    }

    /// The client's network card is asked first: an identifier may hold the address of another card of the machine.
    fn reserved(&self, prefix: Prefix) -> Option<Ipv6Addr> {
        let address = self.client.macs().find_map(|mac| self.context.reservations.address_of(mac, prefix));
        address.filter(|address| prefix.contains(*address))
    }

    fn is_free_for_client(&self, address: Ipv6Addr) -> bool {
        let owner = self.context.reservations.owner_of(address);
        owner.is_none_or(|owner| self.client.macs().any(|mac| mac == owner))
    }
}
