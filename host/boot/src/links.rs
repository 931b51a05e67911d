//! The interfaces of this host that are served over IPv6, which come and go.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::Ipv6Addr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::{InterfaceFlags, if_nametoindex};
use socket2::SockRef;

use crate::error::BindError;

/// How often to look which interfaces there are.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Which interfaces to serve. Those that are not there yet are served within five seconds of their coming.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Interfaces {
    /// All that are up and carry multicast, without loopback.
    All,
    /// These.
    Named(Vec<String>),
}

impl From<&str> for Interfaces {
    fn from(name: &str) -> Self {
        Self::Named(vec![name.to_owned()])
    }
}

impl Interfaces {
    /// Checks that each named interface is there, since a wrong name is a likelier cause than one that will come.
    pub(crate) fn check(&self, service: &'static str) -> Result<(), BindError> {
        let Self::Named(names) = self else {
            return Ok(());
        };
        for name in names {
            if_nametoindex(name.as_str()).map_err(|error| BindError::Interface {
                service,
                interface: name.clone(),
                source: error.into(),
            })?;
        }
        Ok(())
    }

    fn include(&self, name: &str, flags: InterfaceFlags) -> bool {
        let usable = InterfaceFlags::IFF_UP | InterfaceFlags::IFF_MULTICAST;
        match self {
            Self::All => flags.contains(usable) && !flags.contains(InterfaceFlags::IFF_LOOPBACK),
            Self::Named(names) => {
                flags.contains(InterfaceFlags::IFF_UP) && names.iter().any(|named| named == name)
            }
        }
    }

    /// Looks which of them are up now, by index.
    fn links(&self) -> io::Result<BTreeMap<u32, Link>> {
        let mut links = BTreeMap::new();
        for entry in getifaddrs()?.filter(|entry| self.include(&entry.interface_name, entry.flags)) {
            let name = entry.interface_name;
            // One that has gone since has no index, and is passed over.
            let Ok(index) = if_nametoindex(name.as_str()) else {
                continue;
            };
            let multicast = entry.flags.contains(InterfaceFlags::IFF_MULTICAST);
            let link =
                links.entry(index).or_insert_with(|| Link { name, index, addresses: Vec::new(), multicast });
            let address = entry.address.as_ref().and_then(|address| Some(address.as_sockaddr_in6()?.ip()));
            link.addresses.extend(address);
        }
        Ok(links)
    }
}

/// An interface as it was when it was last looked at, at most five seconds ago.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// Its index.
    pub index: u32,
    /// Its addresses of IPv6, also those that are still being checked for duplicates.
    pub addresses: Vec<Ipv6Addr>,
    multicast: bool,
}

impl Link {
    /// Returns the first address that is not link-local, which is what a URL for clients of this link needs.
    #[must_use]
    pub fn address(&self) -> Option<Ipv6Addr> {
        self.addresses.iter().copied().find(|address| !address.is_unicast_link_local())
    }
}

/// The group that a socket has joined on each served interface.
#[derive(Debug)]
pub(crate) struct Membership {
    service: &'static str,
    group: Ipv6Addr,
    interfaces: Interfaces,
    joined: BTreeMap<u32, Arc<Link>>,
    refused: BTreeSet<u32>,
}

impl Membership {
    pub(crate) fn new(service: &'static str, group: Ipv6Addr, interfaces: Interfaces) -> Self {
        Self { service, group, interfaces, joined: BTreeMap::new(), refused: BTreeSet::new() }
    }

    /// Joins the group where an interface has come and leaves it where one went down. Returns those that came.
    pub(crate) fn refresh(&mut self, socket: &impl AsFd) -> Vec<Arc<Link>> {
        let socket = SockRef::from(socket);
        let links = match self.interfaces.links() {
            Ok(links) => links,
            Err(error) => {
                tracing::warn!(service = self.service, %error, "the interfaces cannot be listed");
                return Vec::new();
            }
        };
        self.refused.retain(|index| links.contains_key(index));
        for gone in self.joined.keys().filter(|index| !links.contains_key(index)) {
            // A deleted interface has taken its memberships with it.
            socket.leave_multicast_v6(&self.group, *gone).ok();
        }
        let known = std::mem::take(&mut self.joined);
        let mut came = Vec::new();
        for (index, link) in links {
            let new = !known.contains_key(&index);
            if new && !self.join(&socket, &link) {
                continue;
            }
            let link = Arc::new(link);
            if new {
                tracing::info!(service = self.service, interface = link.name, "an interface is served");
                came.push(Arc::clone(&link));
            }
            self.joined.insert(index, link);
        }
        came
    }

    /// Joins on one interface; a refusal is said once and tried again.
    fn join(&mut self, socket: &SockRef<'_>, link: &Link) -> bool {
        if !link.multicast {
            return true;
        }
        match socket.join_multicast_v6(&self.group, link.index) {
            Ok(()) => true,
            Err(error) => {
                if self.refused.insert(link.index) {
                    let (service, interface) = (self.service, &link.name);
                    tracing::warn!(service, interface, %error, "an interface is not served");
                }
                false
            }
        }
    }

    /// Returns a served interface.
    pub(crate) fn link(&self, index: u32) -> Option<&Arc<Link>> {
        self.joined.get(&index)
    }

    /// Iterates over all served interfaces.
    pub(crate) fn links(&self) -> impl Iterator<Item = &Arc<Link>> {
        self.joined.values()
    }
}
