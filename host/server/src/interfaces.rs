//! The network interfaces of the host, as they are now (drp-api.md 7.14).

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
};

use formwork_api::Interface;
use nix::{ifaddrs::getifaddrs, net::if_::InterfaceFlags, sys::socket::SockaddrStorage};

/// Returns all interfaces that are up, in the order of their numbers.
pub(crate) fn all() -> Vec<Interface> {
    let Ok(found) = getifaddrs() else { return Vec::new() };
    let routes = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
    let resolver = Resolver::parse(&std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default());
    let mut interfaces: BTreeMap<u32, Interface> = BTreeMap::new();
    for card in found.filter(|card| card.flags.contains(InterfaceFlags::IFF_UP)) {
        let Ok(index) = nix::net::if_::if_nametoindex(card.interface_name.as_str()) else { continue };
        let interface = interfaces.entry(index).or_insert_with(|| Interface {
            gateway: gateway(&routes, &card.interface_name),
            name: card.interface_name.clone(),
            index,
            dns_servers: resolver.servers.clone(),
            dns_domain: resolver.domain.clone(),
            read_only: true,
            ..Interface::default()
        });
        let address = card.address.as_ref().and_then(ip);
        let mask = card.netmask.as_ref().and_then(ip);
        if let (Some(address), Some(mask)) = (address, mask) {
            interface.addresses.push(format!("{address}/{}", prefix_length(mask)));
        }
    }
    let mut found: Vec<Interface> = interfaces.into_values().collect();
    for interface in &mut found {
        let best = interface.addresses.iter().min_by_key(|address| address.contains(':'));
        interface.active_address = best.cloned().unwrap_or_default();
    }
    found
}

fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = || address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
    v4().or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
}

fn prefix_length(mask: IpAddr) -> u32 {
    match mask {
        IpAddr::V4(mask) => mask.to_bits().count_ones(),
        IpAddr::V6(mask) => mask.to_bits().count_ones(),
    }
}

/// Returns the gateway of an interface's default route out of the system's table, whose numbers are in the order of
/// the host's bytes.
fn gateway(routes: &str, name: &str) -> String {
    let of_default = |line: &str| {
        let mut fields = line.split_whitespace();
        let (interface, destination, gateway) = (fields.next()?, fields.next()?, fields.next()?);
        let gateway = u32::from_str_radix(gateway, 16).ok()?;
        (interface == name && destination == "00000000" && gateway != 0)
            .then(|| Ipv4Addr::from(gateway.to_ne_bytes()).to_string())
    };
    routes.lines().skip(1).find_map(of_default).unwrap_or_default()
}

/// What the host's resolver is told (resolv.conf).
#[derive(Debug, Default, PartialEq, Eq)]
struct Resolver {
    servers: Vec<String>,
    domain: String,
}

impl Resolver {
    fn parse(text: &str) -> Self {
        let mut resolver = Self::default();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match (words.next(), words.next()) {
                (Some("nameserver"), Some(server)) => resolver.servers.push(server.to_owned()),
                (Some("domain" | "search"), Some(domain)) if resolver.domain.is_empty() => {
                    domain.clone_into(&mut resolver.domain);
                }
                _ => {}
            }
        }
        resolver
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_an_interface_with_its_addresses() {
        let found = all();
        let loopback = found.iter().find(|interface| interface.name == "lo").unwrap();
        assert!(loopback.addresses.contains(&String::from("127.0.0.1/8")), "{loopback:?}");
        assert_eq!(loopback.active_address, "127.0.0.1/8");
        assert!(loopback.index > 0 && loopback.read_only);
    }

    #[test]
    fn gateway_is_that_of_the_default_route_through_the_interface() {
        let routes = "Iface\tDestination\tGateway\tFlags\n\
                      eth1\t00000000\t0100000A\t0003\neth0\t0000A8C0\t00000000\t0001\neth0\t00000000\t0101A8C0\t0003\n";
        assert_eq!(gateway(routes, "eth0"), "192.168.1.1");
        assert_eq!(gateway(routes, "eth1"), "10.0.0.1");
        assert_eq!(gateway(routes, "eth2"), "");
        assert_eq!(gateway("", "eth0"), "");
    }

    #[test]
    fn resolver_has_servers_and_the_first_domain() {
        let resolver =
            Resolver::parse("# made\nsearch a.example b.example\nnameserver 10.0.0.1\nnameserver ::1\n");
        assert_eq!(
            resolver,
            Resolver { servers: vec!["10.0.0.1".into(), "::1".into()], domain: "a.example".into() }
        );
    }
}
