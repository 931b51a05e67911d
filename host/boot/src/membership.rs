//! The interfaces of this host that are served by multicast, which come and go.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::Ipv6Addr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;

use crate::error::BindError;
use crate::interfaces::{Interface, InterfaceTable};

/// How often to look which interfaces there are.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Which interfaces to serve. Those that are not there yet are served within five seconds of their coming.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServedLinks {
    /// All that are up and carry multicast, without loopback.
    All,
    /// These.
    Named(Vec<String>),
}

impl From<&str> for ServedLinks {
    fn from(name: &str) -> Self {
        Self::Named(vec![name.to_owned()])
    }
}

impl ServedLinks {
    /// Checks that each named interface is there, since a wrong name is a likelier cause than one that will come.
    fn check(&self, service: &'static str, interfaces: &InterfaceTable) -> Result<(), BindError> {
        let Self::Named(names) = self else {
            return Ok(());
        };
        let current = interfaces.fresh();
        match names.iter().find(|name| current.by_name(name).is_none()) {
            None => Ok(()),
            Some(missing) => {
                let source = io::Error::new(io::ErrorKind::NotFound, "there is no such interface");
                Err(BindError::Interface { service, interface: missing.clone(), source })
            }
        }
    }

    fn include(&self, interface: &Interface) -> bool {
        interface.is_up()
            && match self {
                Self::All => interface.speaks_multicast() && !interface.is_loopback(),
                Self::Named(names) => names.contains(&interface.name),
            }
    }
}

/// The group that a socket has joined on each served interface.
#[derive(Debug)]
pub(crate) struct Membership {
    service: &'static str,
    group: Ipv6Addr,
    served: ServedLinks,
    interfaces: Arc<InterfaceTable>,
    joined: BTreeMap<u32, Arc<Interface>>,
    refused: BTreeSet<u32>,
}

impl Membership {
    /// Checks the names. Nothing is joined before the first refresh.
    pub(crate) fn new(
        service: &'static str,
        group: Ipv6Addr,
        served: ServedLinks,
        interfaces: Arc<InterfaceTable>,
    ) -> Result<Self, BindError> {
        served.check(service, &interfaces)?;
        Ok(Self { service, group, served, interfaces, joined: BTreeMap::new(), refused: BTreeSet::new() })
    }

    /// Joins the group where an interface has come and leaves it where one went down. Returns those that came.
    pub(crate) fn refresh(&mut self, socket: &impl AsFd) -> Vec<Arc<Interface>> {
        let socket = SockRef::from(socket);
        let current = self.interfaces.fresh();
        let served: BTreeMap<u32, &Interface> = current
            .iter()
            .filter(|interface| self.served.include(interface))
            .map(|interface| (interface.index, interface))
            .collect();
        self.refused.retain(|index| served.contains_key(index));
        for gone in self.joined.keys().filter(|index| !served.contains_key(index)) {
            // A deleted interface has taken its memberships with it.
            socket.leave_multicast_v6(&self.group, *gone).ok();
        }
        let known = std::mem::take(&mut self.joined);
        let mut came = Vec::new();
        for (index, interface) in served {
            let new = !known.contains_key(&index);
            if new && !self.join(&socket, interface) {
                continue;
            }
            let interface = Arc::new(interface.clone());
            if new {
                tracing::info!(service = self.service, interface = interface.name, "an interface is served");
                came.push(Arc::clone(&interface));
            }
            self.joined.insert(index, interface);
        }
        came
    }

    /// Joins on one interface; a refusal is said once and tried again.
    fn join(&mut self, socket: &SockRef<'_>, interface: &Interface) -> bool {
        if !interface.speaks_multicast() {
            return true;
        }
        match socket.join_multicast_v6(&self.group, interface.index) {
            Ok(()) => true,
            Err(error) => {
                if self.refused.insert(interface.index) {
                    let (service, interface) = (self.service, &interface.name);
                    tracing::warn!(service, interface, %error, "an interface is not served");
                }
                false
            }
        }
    }

    /// Returns a served interface as it was at the last refresh.
    pub(crate) fn interface(&self, index: u32) -> Option<&Arc<Interface>> {
        self.joined.get(&index)
    }

    /// Iterates over all served interfaces.
    pub(crate) fn interfaces(&self) -> impl Iterator<Item = &Arc<Interface>> {
        self.joined.values()
    }
}
