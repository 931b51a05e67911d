//! The DHCPv6 service: packets to the handler, its answers to the network.
//!
//! How to use it: implement [`Dhcp6Handler`] with `formwork_boot_proto::dhcp6::server::decide`, choosing the network by
//! `packet.link()` or else by [`Dhcp6Received::interface`]; then [`Dhcp6Service::bind`] and [`Dhcp6Service::run`]. Clients
//! come only where Router Advertisements have the flag M (or O): see [`crate::RaResponder`]. What they boot must be
//! served over IPv6 as well.

use std::future::Future;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::Arc;
use std::time::Duration;

use formwork_boot_proto::dhcp6::server::{Arrival, Reply};
use formwork_boot_proto::dhcp6::{MAX_PACKET, Packet};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::counters::{DhcpCounters, count};
use crate::error::BindError;
use crate::interfaces::{Interface, InterfaceTable};
use crate::membership::{LOOK_AGAIN, Membership, ServedLinks};
use crate::socket::{Datagram, InfoSocket};

const SERVICE: &str = "dhcpv6";

/// All servers and relay agents on the link (RFC 8415 section 7.1).
const ALL_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);

/// How long requests that are being answered may take when the service stops.
const DRAIN: Duration = Duration::from_secs(2);

/// After an error of the socket, as when its interface went away for a moment.
const ERROR_PAUSE: Duration = Duration::from_millis(100);

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dhcp6Config {
    /// The interfaces to serve. Relay agents are served by unicast through them too.
    pub interfaces: ServedLinks,
    /// The port, 547 for real clients. On any other, answers go back to the sender. 0 lets the system choose.
    pub port: u16,
    /// How many requests may be in flight; more wait in the buffer of the socket.
    pub in_flight_max: usize,
}

impl Default for Dhcp6Config {
    fn default() -> Self {
        Self { interfaces: ServedLinks::All, port: 547, in_flight_max: 1024 }
    }
}

/// How a packet came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dhcp6Received {
    /// What the decision needs.
    pub arrival: Arrival,
    /// The receiving interface, by which the network of a client on the link is chosen.
    pub interface: Arc<Interface>,
}

/// What to send, and to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dhcp6Answer {
    /// The datagram.
    pub bytes: Vec<u8>,
    /// Where it goes.
    pub to: SocketAddrV6,
}

impl From<&Reply> for Dhcp6Answer {
    fn from(reply: &Reply) -> Self {
        if !reply.omitted.is_empty() {
            tracing::warn!(to = %reply.to, options = ?reply.omitted, "options left out of a dhcpv6 reply for want of room");
        }
        Self { bytes: reply.packet.encode(), to: reply.to }
    }
}

/// Answers packets: decides, notes what is given, and only then returns.
pub trait Dhcp6Handler: Send + Sync + 'static {
    /// Returns the answer to a packet; `None` for silence. Many calls run at once.
    fn handle(
        &self,
        packet: Packet,
        received: Dhcp6Received,
    ) -> impl Future<Output = Option<Dhcp6Answer>> + Send;
}

/// A bound DHCPv6 socket.
#[derive(Debug)]
pub struct Dhcp6Service {
    socket: Arc<InfoSocket>,
    membership: Membership,
    port: u16,
    in_flight_max: usize,
    counters: Arc<DhcpCounters>,
}

impl Dhcp6Service {
    /// Binds the port and joins the group of all servers. Needs a runtime of tokio.
    ///
    /// # Errors
    ///
    /// The port is taken or privileged, or a named interface is not there.
    pub fn bind(config: Dhcp6Config, interfaces: Arc<InterfaceTable>) -> Result<Self, BindError> {
        let mut membership = Membership::new(SERVICE, ALL_SERVERS, config.interfaces, interfaces)?;
        let address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, config.port));
        let bound = InfoSocket::bind(address, None).and_then(|socket| {
            let port = socket.local_addr()?.port();
            Ok((socket, port))
        });
        let hint = "ports below 1024 need CAP_NET_BIND_SERVICE";
        let (socket, port) =
            bound.map_err(|source| BindError::new(SERVICE, address.to_string(), hint, source))?;
        membership.refresh(&socket);
        let (socket, in_flight_max) = (Arc::new(socket), config.in_flight_max);
        Ok(Self { socket, membership, port, in_flight_max, counters: Arc::default() })
    }

    /// Returns the port, also where the system chose it.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the counters, which go on while the service runs.
    #[must_use]
    pub fn counters(&self) -> Arc<DhcpCounters> {
        Arc::clone(&self.counters)
    }

    /// Serves until `shutdown` ends, then lets the requests in flight finish for at most two seconds.
    pub async fn run<H: Dhcp6Handler>(mut self, handler: Arc<H>, shutdown: impl Future<Output = ()> + Send) {
        tokio::pin!(shutdown);
        let slots = Arc::new(Semaphore::new(self.in_flight_max));
        let mut look = tokio::time::interval(LOOK_AGAIN);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut tasks = JoinSet::new();
        // One byte more than is allowed shows that a datagram is too long.
        let mut buffer = vec![0; MAX_PACKET + 1];
        loop {
            // A storm waits in the large buffer of the socket; what is dropped comes again only after seconds.
            let next = async {
                let slot = Arc::clone(&slots).acquire_owned().await;
                (slot, self.socket.receive(&mut buffer).await)
            };
            let (slot, datagram) = tokio::select! {
                () = &mut shutdown => break,
                Some(ended) = tasks.join_next() => {
                    report(ended);
                    continue;
                }
                _ = look.tick() => {
                    self.membership.refresh(&*self.socket);
                    continue;
                }
                next = next => next,
            };
            let Some((packet, received, datagram)) = self.parse(datagram, &buffer).await else {
                continue;
            };
            let (socket, counters) = (Arc::clone(&self.socket), Arc::clone(&self.counters));
            let handler = Arc::clone(&handler);
            tasks.spawn(async move {
                let answer = handler.handle(packet, received).await;
                send(&socket, &counters, answer, &datagram).await;
                drop(slot);
            });
        }
        let drained = tokio::time::timeout(DRAIN, async {
            while let Some(ended) = tasks.join_next().await {
                report(ended);
            }
        });
        if drained.await.is_err() {
            tracing::warn!(left = tasks.len(), "dhcpv6 requests were dropped at shutdown");
        }
    }

    async fn parse(
        &self,
        datagram: std::io::Result<Datagram>,
        buffer: &[u8],
    ) -> Option<(Packet, Dhcp6Received, Datagram)> {
        let datagram = match datagram {
            Ok(datagram) => datagram,
            Err(error) => {
                tracing::warn!(%error, "the dhcpv6 socket failed to receive");
                tokio::time::sleep(ERROR_PAUSE).await;
                return None;
            }
        };
        count(&self.counters.received);
        let Some(received) = self.received(&datagram) else {
            count(&self.counters.silent);
            return None;
        };
        match Packet::parse(buffer.get(..datagram.len)?) {
            Ok(packet) => Some((packet, received, datagram)),
            Err(error) => {
                count(&self.counters.malformed);
                tracing::debug!(peer = %datagram.peer, %error, "not a dhcpv6 message");
                None
            }
        }
    }

    /// `None` for an interface that is not served, and for a sender of IPv4, which the socket lets in as well.
    fn received(&self, datagram: &Datagram) -> Option<Dhcp6Received> {
        let (SocketAddr::V6(peer), IpAddr::V6(destination)) = (datagram.peer, datagram.destination) else {
            return None;
        };
        if peer.ip().to_ipv4_mapped().is_some() {
            return None;
        }
        let interface = Arc::clone(self.membership.interface(datagram.interface)?);
        let arrival = Arrival { peer, server_port: self.port, unicast: !destination.is_multicast() };
        Some(Dhcp6Received { arrival, interface })
    }
}

async fn send(
    socket: &InfoSocket,
    counters: &DhcpCounters,
    answer: Option<Dhcp6Answer>,
    datagram: &Datagram,
) {
    let Some(Dhcp6Answer { bytes, to }) = answer else {
        count(&counters.silent);
        return;
    };
    // Who asked one address is answered from it; else the system takes the one of the interface that faces the client.
    let local = if datagram.local.is_multicast() { Ipv6Addr::UNSPECIFIED.into() } else { datagram.local };
    // A relay agent may be behind a router, to which a route leads.
    let interface = if to.ip().is_unicast_link_local() { datagram.interface } else { 0 };
    match socket.send(&bytes, to.into(), local, interface).await {
        Ok(()) => count(&counters.answered),
        Err(error) => {
            count(&counters.unsent);
            tracing::warn!(%to, %error, "a dhcpv6 reply could not be sent");
        }
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a dhcpv6 request ended in a fault");
    }
}
