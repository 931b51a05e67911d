//! Networks of IPv6 as subnets configure them with parameters, in step with the store.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use formwork_boot_proto::{
    dhcp::HardwareAddress,
    dhcp6::{
        DomainName,
        server::{Assignment, Network, Prefix, Reservations, addresses_of_card},
    },
};
use formwork_core::params;
use formwork_model::{Objects, ObjectsExt, Param, Profile, Record, Reservation, Subnet};
use formwork_store::{Entry, Feed, FeedError, Snapshot, Store};
use serde_json::Value;

/// The network that addresses come from. A subnet without it has no IPv6.
const PREFIX: &str = "dhcp6/prefix";

/// A subnet that has IPv6.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) network: Network,
    pub(super) prefix: Prefix,
    /// For how many seconds hosts take the endpoint for a router.
    pub(super) router_secs: u16,
    subnet: Subnet,
    reserved: BTreeSet<HardwareAddress>,
}

impl Served {
    /// Returns the address of an interface that clients of this network can reach; the first one is as good for those behind
    /// a relay.
    pub(super) fn own_address(&self, addresses: &[Ipv6Addr]) -> Option<Ipv6Addr> {
        let usable = || addresses.iter().filter(|own| !own.is_unicast_link_local());
        usable().find(|own| self.prefix.contains(**own)).or_else(|| usable().next()).copied()
    }
}

/// A reservation of IPv4 lets its network card have its address of IPv6.
impl Reservations for Served {
    fn address_of(&self, mac: HardwareAddress, prefix: Prefix) -> Option<Ipv6Addr> {
        let reserved = self.reserved.contains(&mac);
        addresses_of_card(mac, prefix).first().copied().filter(|_| reserved)
    }

    fn owner_of(&self, _: Ipv6Addr) -> Option<HardwareAddress> {
        // An address is a hash of its network card, so another card does not come to it.
        None
    }
}

/// All subnets with IPv6.
pub(super) struct Networks {
    served: Vec<Arc<Served>>,
    feed: Feed,
    told: BTreeSet<String>,
}

impl Networks {
    /// Reads what is stored.
    pub(super) fn new(store: &Store) -> Self {
        let (snapshot, feed) = store.snapshot_and_feed();
        let mut networks = Self { served: Vec::new(), feed, told: BTreeSet::new() };
        networks.load(&snapshot);
        networks
    }

    /// Takes over what the API changed.
    pub(super) fn follow(&mut self, store: &Store) {
        let mut changed = false;
        loop {
            match self.feed.try_next() {
                Ok(Some(entry)) => changed |= self.is_about_networks(&entry),
                Err(FeedError::Lagged { .. }) => {
                    let (snapshot, feed) = store.snapshot_and_feed();
                    self.feed = feed;
                    self.load(&snapshot);
                }
                Ok(None) | Err(FeedError::Closed) => break,
            }
        }
        if changed {
            self.load(&store.snapshot());
        }
    }

    /// Returns the network of a link: that of the address by which a relay agent names it; without one the network that an
    /// address of the receiving interface is in, of IPv6 or else of IPv4.
    pub(super) fn of(
        &self,
        relay: Option<Ipv6Addr>,
        ipv6: &[Ipv6Addr],
        mut ipv4: impl Iterator<Item = Ipv4Addr>,
    ) -> Option<Arc<Served>> {
        let with = |address: Ipv6Addr| self.served.iter().find(|served| served.prefix.contains(address));
        let found = match relay {
            Some(link) => with(link),
            None => ipv6.iter().copied().find_map(with).or_else(|| {
                ipv4.find_map(|address| self.served.iter().find(|served| served.subnet.contains(address)))
            }),
        };
        found.cloned()
    }

    fn is_about_networks(&self, entry: &Entry) -> bool {
        let restricted = self.served.iter().any(|served| served.subnet.only_reservations);
        entry.changes.iter().any(|change| {
            [Subnet::KIND.prefix, Profile::KIND.prefix, Param::KIND.prefix].contains(&change.prefix)
                || restricted && change.prefix == Reservation::KIND.prefix
        })
    }

    fn load(&mut self, snapshot: &Snapshot) {
        let mut problems = Vec::new();
        self.served =
            configured(snapshot).filter_map(|subnet| served(snapshot, &subnet, &mut problems)).collect();
        for problem in &problems {
            if !self.told.contains(problem) {
                tracing::warn!(target: "formwork_boot::dhcp6", "{problem}");
            }
        }
        self.told = problems.into_iter().collect();
    }
}

/// Tells whether an address is the one that a network card is given in a network of the store.
pub(in crate::boot) fn is_of_card(objects: &Snapshot, address: Ipv6Addr, card: HardwareAddress) -> bool {
    let prefixes = configured(objects).filter_map(|subnet| prefix(objects, &subnet)?.ok());
    prefixes
        .filter(|prefix| prefix.contains(address))
        .any(|prefix| addresses_of_card(card, prefix).contains(&address))
}

fn configured(objects: &Snapshot) -> impl Iterator<Item = Arc<Subnet>> {
    objects.list::<Subnet>().into_iter().filter(|subnet| subnet.enabled)
}

/// Returns the prefix of a subnet, or the text that is none; nothing where it has no IPv6.
fn prefix(objects: &impl Objects, subnet: &Subnet) -> Option<Result<Prefix, String>> {
    let value = params::resolve(objects, subnet, PREFIX)?;
    match value.as_str() {
        Some("") => None,
        Some(text) => Some(text.parse::<Prefix>().map_err(|error| error.to_string())),
        None => Some(Err(format!("`{value}` is no text"))),
    }
}

fn served(objects: &Snapshot, subnet: &Subnet, problems: &mut Vec<String>) -> Option<Arc<Served>> {
    let mut wrong = |param: &str, why: String, then: &str| {
        problems.push(format!("subnet `{}`: `{param}`: {why}; {then}", subnet.name));
    };
    let prefix = match prefix(objects, subnet)? {
        Ok(prefix) => prefix,
        Err(why) => {
            wrong(PREFIX, why, "it has no ipv6 until that is changed");
            return None;
        }
    };
    let value = |name: &str| params::resolve(objects, subnet, name).filter(|value| !value.is_null());
    let mut network = Network { prefix: Some(prefix), ..Network::default() };
    for server in value("dhcp6/dns").iter().filter_map(Value::as_array).flatten() {
        match server.as_str().unwrap_or_default().parse() {
            Ok(server) => network.dns.push(server),
            Err(_) => wrong("dhcp6/dns", format!("{server} is not an ipv6 address"), "it is left out"),
        }
    }
    if let Some(domain) =
        value("dhcp6/domain").as_ref().and_then(Value::as_str).filter(|text| !text.is_empty())
    {
        match domain.parse::<DomainName>() {
            Ok(domain) => network.domains.push(domain),
            Err(error) => wrong("dhcp6/domain", error.to_string(), "it is left out"),
        }
    }
    let number = |name| value(name).as_ref().and_then(Value::as_u64);
    if let Some(secs) = number("dhcp6/lease-time").and_then(|secs| u32::try_from(secs).ok()) {
        (network.valid_secs, network.preferred_secs) = (secs, secs / 2);
    }
    let router_secs = number("dhcp6/router-lifetime").and_then(|secs| u16::try_from(secs).ok()).unwrap_or(0);
    let mut reserved = BTreeSet::new();
    if subnet.only_reservations {
        network.assignment = Assignment::Reserved;
        let of_subnet = |own: &Reservation| {
            own.addr.parse().is_ok_and(|address| subnet.contains(address)) && own.strategy == "MAC"
        };
        let own = objects.list::<Reservation>().into_iter().filter(|own| of_subnet(own));
        reserved.extend(own.filter_map(|own| own.token.parse::<HardwareAddress>().ok()));
    }
    Some(Arc::new(Served { network, prefix, router_secs, subnet: subnet.clone(), reserved }))
}

#[cfg(test)]
mod tests;
