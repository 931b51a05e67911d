//! What the endpoint finds out about the host's network.

use std::net::Ipv4Addr;

use crate::ServeOptions;

/// Returns the hardware address of the first card that is up, no loopback and no `veth`; empty without one.
pub(super) fn first_hardware_address() -> String {
    let Ok(cards) = std::fs::read_dir("/sys/class/net") else { return String::new() };
    let read = |path: std::path::PathBuf| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let mut found: Vec<(u32, String)> = cards
        .flatten()
        .filter(|card| !card.file_name().to_string_lossy().starts_with("veth"))
        .map(|card| card.path())
        .filter(|path| matches!(read(path.join("operstate")).as_str(), "up" | "unknown"))
        .map(|path| (read(path.join("ifindex")).parse().unwrap_or(u32::MAX), read(path.join("address"))))
        .filter(|(_, address)| address.len() == 17 && address != "00:00:00:00:00:00")
        .collect();
    found.sort();
    found.into_iter().next().map(|(_, address)| address).unwrap_or_default()
}

/// Returns the name of an endpoint that was given none.
pub(super) fn default_id(local_id: &str) -> String {
    if local_id.is_empty() { String::from("formwork") } else { local_id.to_owned() }
}

/// Returns the address that machines are told: the configured one, else the one in the network that DHCP serves,
/// else the first of the host that is no loopback, else loopback.
pub(super) fn told_address(options: &ServeOptions) -> Ipv4Addr {
    let subnet = options.dhcp_subnet.as_ref().map(|subnet| subnet.address);
    let own = || {
        nix::ifaddrs::getifaddrs()
            .ok()?
            .filter_map(|card| card.address?.as_sockaddr_in().map(nix::sys::socket::SockaddrIn::ip))
            .find(|address| !address.is_loopback())
    };
    options.static_ip.or(subnet).or_else(own).unwrap_or(Ipv4Addr::LOCALHOST)
}
