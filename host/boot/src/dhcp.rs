//! The DHCP service: requests to the handler, its answers to the network.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use formwork_boot_proto::dhcp::server::{Arrival, Destination, Reply};
use formwork_boot_proto::dhcp::{MAX_PACKET, Packet};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::counters::{DhcpCounters, count};
use crate::error::BindError;
use crate::socket::{Datagram, InfoSocket};

const SERVICE: &str = "dhcp";

/// How long requests that are being answered may take when the service stops.
const DRAIN: Duration = Duration::from_secs(2);

/// After an error of the socket, as when its interface went away for a moment.
const ERROR_PAUSE: Duration = Duration::from_millis(100);

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DhcpConfig {
    /// The interface to serve; `None` for all of them.
    pub interface: Option<String>,
    /// The address by which clients know this server; `None` for the one that faces each client. The socket itself
    /// listens on all addresses, since clients without one broadcast.
    pub address: Option<Ipv4Addr>,
    /// The port, 67 for real clients. On any other, answers go back to the sender. 0 lets the system choose.
    pub port: u16,
    /// This is the boot server's port (4011), where no addresses are given.
    pub binl: bool,
    /// How many requests may be in flight; more are dropped and counted, and their clients repeat.
    pub in_flight_max: usize,
}

impl Default for DhcpConfig {
    fn default() -> Self {
        Self { interface: None, address: None, port: 67, binl: false, in_flight_max: 1024 }
    }
}

/// How a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// What the decision needs.
    pub arrival: Arrival,
    /// The server identifier for the answer.
    pub server_id: Ipv4Addr,
    /// The address of this host on the receiving interface, which selects the subnet.
    pub local: Ipv4Addr,
    /// The index of the interface.
    pub interface: u32,
}

/// What to send, and to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The datagram.
    pub bytes: Vec<u8>,
    /// Where it goes.
    pub destination: Destination,
}

impl From<&Reply> for Answer {
    fn from(reply: &Reply) -> Self {
        let encoded = reply.encode();
        if !encoded.omitted.is_empty() {
            tracing::warn!(
                client = %reply.packet.chaddr, options = ?encoded.omitted, limit = reply.limit,
                "options left out of a dhcp reply that is too long for its client"
            );
        }
        Self { bytes: encoded.bytes, destination: reply.destination }
    }
}

/// Answers requests: decides, makes the lease durable, and only then returns.
pub trait DhcpHandler: Send + Sync + 'static {
    /// Returns the answer to a request; `None` for silence. Many calls run at once.
    fn handle(&self, packet: Packet, received: Received) -> impl Future<Output = Option<Answer>> + Send;
}

/// A bound DHCP socket.
#[derive(Debug)]
pub struct DhcpService {
    socket: Arc<InfoSocket>,
    config: DhcpConfig,
    port: u16,
    counters: Arc<DhcpCounters>,
}

impl DhcpService {
    /// Binds the port. Needs a runtime of tokio.
    ///
    /// # Errors
    ///
    /// The port is taken or privileged, or the interface is not there.
    pub fn bind(config: DhcpConfig) -> Result<Self, BindError> {
        let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, config.port));
        let interface = config.interface.as_deref();
        if let Some(name) = interface {
            nix::net::if_::if_nametoindex(name).map_err(|error| BindError::Interface {
                service: SERVICE,
                interface: name.to_owned(),
                source: error.into(),
            })?;
        }
        let bound = InfoSocket::bind(address, interface).and_then(|socket| {
            let port = socket.local_addr()?.port();
            Ok((socket, port))
        });
        let hint = "ports below 1024 need CAP_NET_BIND_SERVICE";
        let (socket, port) =
            bound.map_err(|source| BindError::new(SERVICE, address.to_string(), hint, source))?;
        Ok(Self { socket: Arc::new(socket), config, port, counters: Arc::default() })
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
    pub async fn run<H: DhcpHandler>(self, handler: Arc<H>, shutdown: impl Future<Output = ()> + Send) {
        tokio::pin!(shutdown);
        let slots = Arc::new(Semaphore::new(self.config.in_flight_max));
        let mut tasks = JoinSet::new();
        // One byte more than is allowed shows that a datagram is too long.
        let mut buffer = vec![0; MAX_PACKET + 1];
        loop {
            let datagram = tokio::select! {
                () = &mut shutdown => break,
                Some(ended) = tasks.join_next() => {
                    report(ended);
                    continue;
                }
                datagram = self.socket.receive(&mut buffer) => datagram,
            };
            let Some((packet, received)) = self.parse(datagram, &buffer).await else {
                continue;
            };
            let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
                count(&self.counters.dropped);
                continue;
            };
            let (socket, counters) = (Arc::clone(&self.socket), Arc::clone(&self.counters));
            let handler = Arc::clone(&handler);
            tasks.spawn(async move {
                let answer = handler.handle(packet, received).await;
                send(&socket, &counters, answer, &received).await;
                drop(slot);
            });
        }
        let drained = tokio::time::timeout(DRAIN, async {
            while let Some(ended) = tasks.join_next().await {
                report(ended);
            }
        });
        if drained.await.is_err() {
            tracing::warn!(left = tasks.len(), "dhcp requests were dropped at shutdown");
        }
    }

    async fn parse(&self, datagram: std::io::Result<Datagram>, buffer: &[u8]) -> Option<(Packet, Received)> {
        let datagram = match datagram {
            Ok(datagram) => datagram,
            Err(error) => {
                tracing::warn!(%error, "the dhcp socket failed to receive");
                tokio::time::sleep(ERROR_PAUSE).await;
                return None;
            }
        };
        count(&self.counters.received);
        let received = self.received(&datagram)?;
        match Packet::parse(buffer.get(..datagram.len)?) {
            Ok(packet) => Some((packet, received)),
            Err(error) => {
                count(&self.counters.malformed);
                tracing::debug!(peer = %datagram.peer, %error, "not a dhcp message");
                None
            }
        }
    }

    fn received(&self, datagram: &Datagram) -> Option<Received> {
        let (SocketAddr::V4(peer), IpAddr::V4(local)) = (datagram.peer, datagram.local) else {
            return None;
        };
        let unicast = datagram.destination == datagram.local;
        let arrival = Arrival { peer, server_port: self.port, unicast, binl: self.config.binl };
        let server_id = self.config.address.unwrap_or(local);
        Some(Received { arrival, server_id, local, interface: datagram.interface })
    }
}

async fn send(socket: &InfoSocket, counters: &DhcpCounters, answer: Option<Answer>, received: &Received) {
    let Some(answer) = answer else {
        count(&counters.silent);
        return;
    };
    let to: SocketAddrV4 = answer.destination.socket_address();
    // A route may lead a unicast elsewhere, but a broadcast must leave where the request came in.
    let interface = if to.ip().is_broadcast() { received.interface } else { 0 };
    match socket.send(&answer.bytes, to.into(), received.local.into(), interface).await {
        Ok(()) => count(&counters.answered),
        Err(error) => {
            count(&counters.unsent);
            tracing::warn!(%to, %error, "a dhcp reply could not be sent");
        }
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a dhcp request ended in a fault");
    }
}
