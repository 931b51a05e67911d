//! What a client says about itself, read from the raw options.
//!
//! An option with a wrong length reads as absent: a sloppy client gets a plain answer rather than none.

use std::net::Ipv6Addr;

use super::duid::Duid;
use super::options::{Options, code};
use super::packet::{Message, Packet};
use crate::boot::{BootClient, Firmware, Platform, VendorClass};
use crate::bytes::Reader;
use crate::dhcp::HardwareAddress;

/// More addresses than this in one association are passed over: clients name one or two.
const MAX_ADDRESSES: usize = 4;

/// An identity association for addresses (option 3, RFC 8415 section 21.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Association {
    /// The client's name of it (IAID).
    pub id: u32,
    /// The addresses that the client names.
    pub addresses: Vec<Ipv6Addr>,
}

impl Association {
    fn parse(value: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(value);
        let id = u32::from_be_bytes(reader.array()?);
        let _t1_and_t2: [u8; 8] = reader.array()?;
        let options = Options::parse(reader.rest()).unwrap_or_default();
        let addresses = options.all(code::IA_ADDRESS).filter_map(|value| Reader::new(value).array::<16>());
        Some(Self { id, addresses: addresses.map(Ipv6Addr::from).take(MAX_ADDRESSES).collect() })
    }
}

impl Message {
    /// Returns the client's identifier (option 1).
    #[must_use]
    pub fn client_id(&self) -> Option<Duid> {
        self.options.bytes(code::CLIENT_ID).and_then(Duid::parse)
    }

    /// Returns the server that the client speaks to (option 2).
    #[must_use]
    pub fn server_id(&self) -> Option<Duid> {
        self.options.bytes(code::SERVER_ID).and_then(Duid::parse)
    }

    /// Tells whether the client asks for an option (option 6).
    #[must_use]
    pub fn asks_for(&self, code: u16) -> bool {
        let list = self.options.bytes(code::OPTION_REQUEST).unwrap_or_default();
        list.as_chunks::<2>().0.iter().any(|asked| u16::from_be_bytes(*asked) == code)
    }

    /// Returns the associations for addresses (option 3), in their order.
    #[must_use]
    pub fn associations(&self) -> Vec<Association> {
        self.options.all(code::IA_NA).filter_map(Association::parse).collect()
    }

    /// Returns the architectures that the client can run, in its order of preference (option 61, RFC 5970).
    #[must_use]
    pub fn architectures(&self) -> Vec<u16> {
        let list = self.options.bytes(code::ARCHITECTURE).unwrap_or_default();
        list.as_chunks::<2>().0.iter().map(|pair| u16::from_be_bytes(*pair)).collect()
    }

    /// Tells whether iPXE asks: one of the user classes is `iPXE` (option 15).
    #[must_use]
    pub fn is_ipxe(&self) -> bool {
        let classes = self.options.bytes(code::USER_CLASS).unwrap_or_default();
        texts(classes).contains(&b"iPXE".as_slice())
    }

    /// Tells whether a PXE firmware asks (a vendor class begins with `PXEClient`).
    #[must_use]
    pub fn is_pxe_client(&self) -> bool {
        self.vendor_class_enterprise(b"PXEClient").is_some()
    }

    /// Tells whether a UEFI HTTP boot firmware asks (a vendor class begins with `HTTPClient`).
    #[must_use]
    pub fn is_http_client(&self) -> bool {
        self.vendor_class_enterprise(b"HTTPClient").is_some()
    }

    /// Returns the enterprise number of the vendor class (option 16) that begins with `prefix`.
    #[must_use]
    pub fn vendor_class_enterprise(&self, prefix: &[u8]) -> Option<u32> {
        self.options.all(code::VENDOR_CLASS).find_map(|value| {
            let (enterprise, classes) = value.split_first_chunk()?;
            let named = texts(classes).iter().any(|class| class.starts_with(prefix));
            named.then(|| u32::from_be_bytes(*enterprise))
        })
    }

    /// Describes the sender; `None` for an operating system, which asks for an address only. `mac` is its network
    /// card, as far as it is known.
    #[must_use]
    pub fn boot_client(&self, mac: Option<HardwareAddress>) -> Option<BootClient> {
        let architecture = self.architectures().first().copied();
        let ipxe = self.is_ipxe();
        let class = VendorClass { http: self.is_http_client(), pxe: self.is_pxe_client() };
        let platform = Platform::from_architecture(architecture.unwrap_or(0));
        let firmware = Firmware::of(ipxe, class, platform, architecture)?;
        let uuids = self.client_id().and_then(|duid| duid.uuids());
        Some(BootClient {
            mac: mac.unwrap_or_default(),
            architecture: architecture.unwrap_or(0),
            platform,
            firmware,
            // iPXE sends network byte order as RFC 6355 wants it, the firmware what SMBIOS has.
            uuid: uuids.map(|[as_sent, turned_round]| if ipxe { turned_round } else { as_sent }),
        })
    }
}

impl Packet {
    /// Returns an address in the client's network, where a relay agent names one: the one nearest to the client that
    /// does (RFC 8415 section 13.1). `None` for a client on the server's own link.
    #[must_use]
    pub fn link(&self) -> Option<Ipv6Addr> {
        self.relays.iter().rev().map(|relay| relay.link).find(|link| !link.is_unspecified())
    }

    /// Returns the hardware address of the network card that asks: what the first relay agent saw (option 79, RFC
    /// 6939), else what the client's link-local address tells. `peer` is the sender of the datagram.
    #[must_use]
    pub fn hardware(&self, peer: Ipv6Addr) -> Option<HardwareAddress> {
        let Some(relay) = self.relays.last() else {
            return hardware_of_link_local(peer);
        };
        let seen = relay.options.bytes(code::LINK_LAYER_ADDRESS).and_then(|value| {
            let (_hardware_type, address) = value.split_first_chunk::<2>()?;
            HardwareAddress::new(address).filter(HardwareAddress::names_one_client)
        });
        seen.or_else(|| hardware_of_link_local(relay.peer))
    }
}

/// Returns the Ethernet address out of which a link-local address was made (RFC 4291 appendix A); `None` for one that
/// was made otherwise.
#[must_use]
pub fn hardware_of_link_local(address: Ipv6Addr) -> Option<HardwareAddress> {
    let [.., a, b, c, 0xff, 0xfe, d, e, f] = address.octets() else {
        return None;
    };
    let hardware = HardwareAddress::ethernet([a ^ 2, b, c, d, e, f]);
    Some(hardware).filter(|hardware| address.is_unicast_link_local() && hardware.names_one_client())
}

/// Reads texts that each have a length of two bytes before them; what is damaged ends the list.
fn texts(list: &[u8]) -> Vec<&[u8]> {
    let mut reader = Reader::new(list);
    std::iter::from_fn(|| reader.u16().and_then(|len| reader.take(usize::from(len)))).collect()
}
