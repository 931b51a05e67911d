//! The identifier of a client or a server.

use std::fmt;

use crate::bytes::{Hexadecimal, Reader};
use crate::dhcp::HardwareAddress;

/// The types of RFC 8415 section 11 and RFC 6355.
mod kind {
    pub(super) const LINK_LAYER_TIME: u16 = 1;
    pub(super) const LINK_LAYER: u16 = 3;
    pub(super) const UUID: u16 = 4;
}

/// The hardware type of Ethernet.
const ETHERNET: u16 = 1;

/// A DHCP unique identifier, opaque but for the types that hold a hardware address or a UUID.
///
/// Shown in lower case hexadecimal with colons.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Duid(Vec<u8>);

impl Duid {
    /// Takes the bytes of an option. `None` below 3 or above 130 bytes (RFC 8415 section 11.1).
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        (3..=130).contains(&bytes.len()).then(|| Self(bytes.to_vec()))
    }

    /// Makes the identifier of a host out of one of its network cards (DUID-LL).
    #[must_use]
    pub fn link_layer(address: HardwareAddress) -> Self {
        let head = [kind::LINK_LAYER.to_be_bytes(), ETHERNET.to_be_bytes()];
        Self([head.as_flattened(), address.as_bytes()].concat())
    }

    /// Makes the identifier of a host out of its UUID in network byte order (DUID-UUID).
    #[must_use]
    pub fn uuid(uuid: [u8; 16]) -> Self {
        Self([&kind::UUID.to_be_bytes()[..], &uuid].concat())
    }

    /// Returns all bytes with the type.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the hardware address that DUID-LL and DUID-LLT hold. It is one of the host's network cards, not always
    /// the one that asks.
    #[must_use]
    pub fn hardware(&self) -> Option<HardwareAddress> {
        let mut reader = Reader::new(&self.0);
        let kind = reader.u16()?;
        let hardware_type = reader.u16()?;
        match kind {
            kind::LINK_LAYER => {}
            kind::LINK_LAYER_TIME => drop(reader.array::<4>()?),
            _ => return None,
        }
        let address = HardwareAddress::new(reader.rest()).filter(HardwareAddress::names_one_client)?;
        (hardware_type == ETHERNET).then_some(address)
    }

    /// Returns the bytes of the UUID in a DUID-UUID, as they are, and then with the first three fields turned round.
    ///
    /// RFC 6355 wants network byte order, and iPXE sends that; OVMF sends the bytes as SMBIOS stores them
    /// (boot-lab.md section 2). Who looks for a machine by its UUID tries both.
    #[must_use]
    pub fn uuids(&self) -> Option<[[u8; 16]; 2]> {
        let mut reader = Reader::new(&self.0);
        let kind = reader.u16()?;
        let uuid = reader.rest().try_into().ok().filter(|_| kind == kind::UUID)?;
        Some([uuid, turned_round(uuid)])
    }
}

/// Turns a UUID from network byte order into the order of SMBIOS, or back.
fn turned_round(uuid: [u8; 16]) -> [u8; 16] {
    let [a, b, c, d, e, f, g, h, rest @ ..] = uuid;
    let [i, j, k, l, m, n, o, p] = rest;
    [d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p]
}

impl fmt::Display for Duid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hexadecimal(&self.0).fmt(formatter)
    }
}

impl fmt::Debug for Duid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Duid({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [0x52, 0x54, 0, 0x77, 0, 1];

    #[test]
    fn hardware_address_is_read_from_both_link_layer_types() {
        let mac = HardwareAddress::ethernet(MAC);
        assert_eq!(Duid::link_layer(mac).hardware(), Some(mac));
        let with_time = [&[0, 1, 0, 1, 1, 2, 3, 4][..], &MAC].concat();
        assert_eq!(Duid::parse(&with_time).unwrap().hardware(), Some(mac));
        assert_eq!(Duid::uuid([7; 16]).hardware(), None);
        let infiniband = [&[0, 3, 0, 32][..], &MAC].concat();
        assert_eq!(Duid::parse(&infiniband).unwrap().hardware(), None);
        assert_eq!(Duid::parse(&[0, 3, 0, 1]).unwrap().hardware(), None);
    }

    #[test]
    fn uuid_is_read_in_both_orders() {
        let network = *b"\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff";
        let smbios = *b"\x33\x22\x11\x00\x55\x44\x77\x66\x88\x99\xaa\xbb\xcc\xdd\xee\xff";
        assert_eq!(Duid::uuid(network).uuids(), Some([network, smbios]));
        assert_eq!(Duid::uuid(smbios).uuids(), Some([smbios, network]));
        assert_eq!(Duid::parse(&[0, 4, 1, 2, 3]).unwrap().uuids(), None);
    }

    #[test]
    fn length_is_limited() {
        assert_eq!(Duid::parse(&[0, 4]), None);
        assert!(Duid::parse(&[0; 130]).is_some());
        assert_eq!(Duid::parse(&[0; 131]), None);
        assert_eq!(Duid::parse(&[0, 3, 0xAB]).unwrap().to_string(), "00:03:ab");
    }
}
