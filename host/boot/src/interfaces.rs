//! The interfaces of this host, as a snapshot that is cheap to read for each packet.

mod table;

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, Ipv6Addr};

use nix::ifaddrs::InterfaceAddress as Entry;
use nix::libc;
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::LinkAddr;

pub use table::InterfaceTable;

/// An IPv4 address of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// The address.
    pub address: Ipv4Addr,
    /// The bits that name its network, 0 to 32.
    pub prefix_len: u8,
}

impl InterfaceAddress {
    /// Tells whether `other` is in the network of this address.
    #[must_use]
    pub fn covers(&self, other: Ipv4Addr) -> bool {
        let host_bits = 32 - u32::from(self.prefix_len.min(32));
        let network = |address: Ipv4Addr| u64::from(address.to_bits()) >> host_bits;
        network(self.address) == network(other)
    }
}

/// An interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Its index, by which packets name it. An interface that goes and comes back has another one.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its hardware address; `None` where it is not Ethernet.
    pub mac: Option<[u8; 6]>,
    /// Its IPv4 addresses in the order of the system: the primary one of a network is before its secondary ones.
    pub addresses: Vec<InterfaceAddress>,
    /// Its IPv6 addresses, also those that are still being checked for duplicates.
    pub ipv6_addresses: Vec<Ipv6Addr>,
    flags: InterfaceFlags,
    link: LinkAddr,
}

impl Interface {
    /// Tells whether it is switched on.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.flags.contains(InterfaceFlags::IFF_UP)
    }

    /// Tells whether it has a carrier.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.flags.contains(InterfaceFlags::IFF_RUNNING)
    }

    /// Tells whether it leads to this host itself.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.flags.contains(InterfaceFlags::IFF_LOOPBACK)
    }

    /// Tells whether there is just one host at its other end, as in a tunnel.
    #[must_use]
    pub fn is_point_to_point(&self) -> bool {
        self.flags.contains(InterfaceFlags::IFF_POINTOPOINT)
    }

    /// Tells whether hosts on it ask for each other's hardware addresses: Ethernet with ARP.
    #[must_use]
    pub fn speaks_arp(&self) -> bool {
        self.mac.is_some() && !self.flags.contains(InterfaceFlags::IFF_NOARP)
    }

    /// Tells whether it carries multicast.
    #[must_use]
    pub fn speaks_multicast(&self) -> bool {
        self.flags.contains(InterfaceFlags::IFF_MULTICAST)
    }

    /// Returns its first IPv6 address of the link-local range.
    #[must_use]
    pub fn link_local(&self) -> Option<Ipv6Addr> {
        self.ipv6_addresses.iter().copied().find(Ipv6Addr::is_unicast_link_local)
    }

    /// Returns its first IPv6 address that is not link-local, which is what a URL for clients of this link needs.
    #[must_use]
    pub fn routable_ipv6(&self) -> Option<Ipv6Addr> {
        self.ipv6_addresses.iter().copied().find(|address| !address.is_unicast_link_local())
    }

    /// Returns its address in the network of `other`; `None` where it has none there.
    #[must_use]
    pub fn address_facing(&self, other: Ipv4Addr) -> Option<Ipv4Addr> {
        self.addresses.iter().find(|own| own.covers(other)).map(|own| own.address)
    }

    /// Returns where a packet socket sends to, to send through this interface.
    pub(crate) fn link(&self) -> &LinkAddr {
        &self.link
    }
}

/// All interfaces at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interfaces {
    by_index: BTreeMap<u32, Interface>,
    own: HashMap<Ipv4Addr, u32>,
}

impl Interfaces {
    /// Asks the system.
    pub(crate) fn read() -> nix::Result<Self> {
        Ok(Self::gather(nix::ifaddrs::getifaddrs()?))
    }

    /// Sorts what the system lists: one entry for each link and one for each address.
    fn gather(entries: impl Iterator<Item = Entry>) -> Self {
        let (links, addresses): (Vec<_>, Vec<_>) =
            entries.partition(|entry| entry.address.as_ref().is_some_and(|it| it.as_link_addr().is_some()));
        let mut interfaces: BTreeMap<_, _> =
            links.into_iter().filter_map(interface).map(|interface| (interface.index, interface)).collect();
        let indexes: HashMap<_, _> =
            interfaces.values().map(|interface| (interface.name.clone(), interface.index)).collect();
        let mut own = HashMap::new();
        for entry in addresses {
            // An address with a label is listed under `eth0:label`.
            let name = entry.interface_name.split(':').next().unwrap_or_default();
            let Some(interface) = indexes.get(name).and_then(|index| interfaces.get_mut(index)) else {
                continue;
            };
            if let Some(address) = ipv4(&entry) {
                own.insert(address.address, interface.index);
                interface.addresses.push(address);
            }
            interface.ipv6_addresses.extend(ipv6(&entry));
        }
        Self { by_index: interfaces, own }
    }

    /// Returns all of them by index.
    pub fn iter(&self) -> impl Iterator<Item = &Interface> {
        self.by_index.values()
    }

    /// Returns the one with an index.
    #[must_use]
    pub fn by_index(&self, index: u32) -> Option<&Interface> {
        self.by_index.get(&index)
    }

    /// Returns the one with a name.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<&Interface> {
        self.iter().find(|interface| interface.name == name)
    }

    /// Returns the IPv4 addresses of an interface; none where there is no such interface.
    #[must_use]
    pub fn addresses_of(&self, index: u32) -> &[InterfaceAddress] {
        self.by_index(index).map(|interface| interface.addresses.as_slice()).unwrap_or_default()
    }

    /// Returns the IPv4 addresses of all interfaces, that of the loopback among them.
    pub fn own_addresses(&self) -> impl Iterator<Item = Ipv4Addr> {
        self.own.keys().copied()
    }

    /// Returns the interface that has an address.
    #[must_use]
    pub fn with_address(&self, address: Ipv4Addr) -> Option<&Interface> {
        self.own.get(&address).and_then(|index| self.by_index(*index))
    }

    /// Tells whether a hardware address is one of this host.
    #[must_use]
    pub fn has_mac(&self, mac: [u8; 6]) -> bool {
        self.iter().any(|interface| interface.mac == Some(mac))
    }
}

fn interface(entry: Entry) -> Option<Interface> {
    let link = *entry.address.as_ref()?.as_link_addr()?;
    let ethernet = link.hatype() == libc::ARPHRD_ETHER && link.halen() == 6;
    Some(Interface {
        index: u32::try_from(link.ifindex()).ok()?,
        name: entry.interface_name,
        mac: link.addr().filter(|_| ethernet),
        addresses: Vec::new(),
        ipv6_addresses: Vec::new(),
        flags: entry.flags,
        link,
    })
}

fn ipv4(entry: &Entry) -> Option<InterfaceAddress> {
    let address = entry.address.as_ref()?.as_sockaddr_in()?.ip();
    let mask = entry.netmask.as_ref()?.as_sockaddr_in()?.ip();
    Some(InterfaceAddress { address, prefix_len: u8::try_from(mask.to_bits().leading_ones()).ok()? })
}

fn ipv6(entry: &Entry) -> Option<Ipv6Addr> {
    entry.address.as_ref()?.as_sockaddr_in6().map(|it| it.ip())
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddrV4;

    use nix::sys::socket::SockaddrStorage;

    use super::*;

    fn address(name: &str, address: [u8; 4], mask: [u8; 4]) -> Entry {
        let storage = |it: [u8; 4]| Some(SockaddrStorage::from(SocketAddrV4::new(it.into(), 0)));
        Entry {
            interface_name: name.into(),
            flags: InterfaceFlags::IFF_UP,
            address: storage(address),
            netmask: storage(mask),
            broadcast: None,
            destination: None,
        }
    }

    /// The loopback is the one interface that every host has.
    fn with(entries: Vec<Entry>) -> Interfaces {
        let links = nix::ifaddrs::getifaddrs().unwrap().filter(|entry| {
            entry.interface_name == "lo" && entry.address.is_some_and(|it| it.as_link_addr().is_some())
        });
        Interfaces::gather(links.chain(entries))
    }

    #[test]
    fn loopback_is_no_ethernet_and_has_its_address() {
        let interfaces = Interfaces::read().unwrap();
        let loopback = interfaces.by_name("lo").unwrap();
        assert!(loopback.is_loopback() && !loopback.is_point_to_point());
        assert_eq!((loopback.mac, loopback.speaks_arp()), (None, false));
        assert_eq!(interfaces.by_index(loopback.index), Some(loopback));
        assert_eq!(interfaces.by_index(0), None);
    }

    #[test]
    fn addresses_with_and_without_label_belong_to_their_interface_in_order() {
        let interfaces = with(vec![
            address("lo", [10, 0, 0, 1], [255, 255, 255, 0]),
            address("lo:boot", [10, 0, 1, 1], [255, 255, 0, 0]),
            address("gone", [10, 0, 2, 1], [255, 0, 0, 0]),
        ]);
        let index = interfaces.by_name("lo").unwrap().index;
        let found: Vec<_> =
            interfaces.addresses_of(index).iter().map(|it| (it.address, it.prefix_len)).collect();
        assert_eq!(found, [(Ipv4Addr::new(10, 0, 0, 1), 24), (Ipv4Addr::new(10, 0, 1, 1), 16)]);
        assert_eq!(interfaces.addresses_of(index + 1), []);
        let mut own: Vec<_> = interfaces.own_addresses().collect();
        own.sort();
        assert_eq!(own, [Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 1, 1)]);
        assert!(interfaces.with_address(Ipv4Addr::new(10, 0, 1, 1)).is_some());
        assert!(interfaces.with_address(Ipv4Addr::new(10, 0, 2, 1)).is_none());
    }

    #[test]
    fn address_facing_another_is_in_its_network() {
        let interfaces = with(vec![
            address("lo", [10, 0, 0, 1], [255, 255, 255, 0]),
            address("lo", [10, 0, 1, 1], [255, 255, 255, 255]),
        ]);
        let loopback = interfaces.by_name("lo").unwrap();
        assert_eq!(loopback.address_facing(Ipv4Addr::new(10, 0, 0, 200)), Some(Ipv4Addr::new(10, 0, 0, 1)));
        assert_eq!(loopback.address_facing(Ipv4Addr::new(10, 0, 1, 2)), None);
        assert_eq!(loopback.address_facing(Ipv4Addr::new(10, 0, 1, 1)), Some(Ipv4Addr::new(10, 0, 1, 1)));
        let anywhere = InterfaceAddress { address: Ipv4Addr::LOCALHOST, prefix_len: 0 };
        assert!(anywhere.covers(Ipv4Addr::BROADCAST));
    }
}
