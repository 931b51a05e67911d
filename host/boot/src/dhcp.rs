//! The DHCP service: requests to the handler, its answers to the network.

use std::future::{Future, poll_fn};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use formwork_boot_proto::dhcp::server::{Arrival, Destination, Reply};
use formwork_boot_proto::dhcp::{MAX_PACKET, Packet};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::counters::{DhcpCounters, count};
use crate::error::BindError;
use crate::raw::FrameSender;
use crate::socket::{Datagram, InfoSocket};

const SERVICE: &str = "dhcp";

/// How long requests that are being answered may take when the service stops.
const DRAIN: Duration = Duration::from_secs(2);

/// After an error of the socket, as when its interface went away for a moment.
const ERROR_PAUSE: Duration = Duration::from_millis(100);

/// How often it is looked whether an interface went away and came back. It then has another index, and no error tells
/// the socket that is bound to the old one.
const LOOK_PAUSE: Duration = Duration::from_secs(5);

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DhcpConfig {
    /// The interfaces to serve, each with a socket of its own; none for one socket on all of them.
    pub interfaces: Vec<String>,
    /// The port, 67 for real clients. On any other, answers go back to the sender. 0 lets the system choose.
    pub port: u16,
    /// This is the boot server's port (4011), where no addresses are given.
    pub binl: bool,
    /// How many requests of one socket may be in flight. More wait in its receive buffer.
    pub in_flight_max: usize,
}

impl Default for DhcpConfig {
    fn default() -> Self {
        Self { interfaces: Vec::new(), port: 67, binl: false, in_flight_max: 4096 }
    }
}

/// How a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// What the decision needs.
    pub arrival: Arrival,
    /// The address of this host from which to answer: the one that was asked, or the first of the receiving interface.
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

/// The bound DHCP sockets of one port.
#[derive(Debug)]
pub struct DhcpService {
    bound: Vec<Bound>,
    config: DhcpConfig,
    port: u16,
    counters: Arc<DhcpCounters>,
}

impl DhcpService {
    /// Binds the port on each interface. Needs a runtime of tokio.
    ///
    /// # Errors
    ///
    /// The port is taken or privileged, or an interface is not there.
    pub fn bind(mut config: DhcpConfig) -> Result<Self, BindError> {
        let mut bound = Vec::new();
        let names = match &config.interfaces[..] {
            [] => vec![None],
            names => names.iter().cloned().map(Some).collect(),
        };
        for name in names {
            let interface = name.map(Interface::find).transpose()?;
            let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, config.port));
            let socket = InfoSocket::bind(address, interface.as_ref().map(|it| it.name.as_str()));
            let socket = socket.and_then(|socket| {
                let port = socket.local_addr()?.port();
                Ok((socket, port))
            });
            let hint = "ports below 1024 need CAP_NET_BIND_SERVICE";
            let (socket, port) =
                socket.map_err(|source| BindError::new(SERVICE, address.to_string(), hint, source))?;
            // The sockets share a port, also where the system chose it.
            config.port = port;
            bound.push(Bound { interface, socket: Arc::new(socket) });
        }
        Ok(Self { bound, port: config.port, config, counters: Arc::default() })
    }

    /// Returns the port, also where the system chose it.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Tells whether this is the boot server's port, where no addresses are given.
    #[must_use]
    pub fn is_binl(&self) -> bool {
        self.config.binl
    }

    /// Returns the counters, which go on while the service runs.
    #[must_use]
    pub fn counters(&self) -> Arc<DhcpCounters> {
        Arc::clone(&self.counters)
    }

    /// Serves until `shutdown` ends, then lets the requests in flight finish for at most two seconds. With `frames`,
    /// clients that have no address yet are answered alone; without, all clients on their link hear the answer.
    pub async fn run<H: DhcpHandler>(
        self,
        handler: Arc<H>,
        frames: Option<Arc<FrameSender>>,
        shutdown: impl Future<Output = ()> + Send,
    ) {
        let (stop, stopped) = watch::channel(false);
        let mut listeners = JoinSet::new();
        for bound in self.bound {
            let listener = Listener {
                bound,
                config: self.config.clone(),
                counters: Arc::clone(&self.counters),
                handler: Arc::clone(&handler),
                frames: frames.clone(),
            };
            listeners.spawn(listener.run(stopped.clone()));
        }
        shutdown.await;
        let _ = stop.send(true);
        while let Some(ended) = listeners.join_next().await {
            report(ended);
        }
    }
}

/// An interface by its name, and the index that it had when the socket was bound.
#[derive(Debug)]
struct Interface {
    name: String,
    index: u32,
}

impl Interface {
    fn find(name: String) -> Result<Self, BindError> {
        match nix::net::if_::if_nametoindex(name.as_str()) {
            Ok(index) => Ok(Self { name, index }),
            Err(error) => {
                Err(BindError::Interface { service: SERVICE, interface: name, source: error.into() })
            }
        }
    }
}

/// A socket, on one interface or on all.
#[derive(Debug)]
struct Bound {
    interface: Option<Interface>,
    socket: Arc<InfoSocket>,
}

/// One socket and the requests that come in by it.
struct Listener<H> {
    bound: Bound,
    config: DhcpConfig,
    counters: Arc<DhcpCounters>,
    handler: Arc<H>,
    frames: Option<Arc<FrameSender>>,
}

impl<H: DhcpHandler> Listener<H> {
    async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        let slots = Arc::new(Semaphore::new(self.config.in_flight_max));
        let mut tasks = JoinSet::new();
        let mut look = tokio::time::interval(LOOK_PAUSE);
        // One byte more than is allowed shows that a datagram is too long.
        let mut buffer = vec![0; MAX_PACKET + 1];
        loop {
            // Without a slot nothing is received: the storm waits in the socket's buffer, where it is not lost.
            let slot = tokio::select! {
                _ = stopped.wait_for(|over| *over) => break,
                slot = Arc::clone(&slots).acquire_owned() => slot,
            };
            let Ok(slot) = slot else { break };
            let datagram = tokio::select! {
                _ = stopped.wait_for(|over| *over) => break,
                Some(ended) = tasks.join_next() => {
                    report(ended);
                    continue;
                }
                _ = look.tick() => {
                    self.follow_interface();
                    continue;
                }
                datagram = self.bound.socket.receive(&mut buffer) => datagram,
            };
            let datagram = match datagram {
                Ok(datagram) => datagram,
                Err(error) => {
                    tracing::warn!(%error, "the dhcp socket failed to receive");
                    tokio::time::sleep(ERROR_PAUSE).await;
                    continue;
                }
            };
            let Some((packet, received)) = self.parse(&datagram, &buffer) else { continue };
            let way = Way {
                socket: Arc::clone(&self.bound.socket),
                frames: self.frames.clone(),
                counters: Arc::clone(&self.counters),
            };
            let handler = Arc::clone(&self.handler);
            let mut answering = Box::pin(async move {
                let answer = handler.handle(packet, received).await;
                way.send(answer, &received).await;
                drop(slot);
            });
            // Most requests wait for nothing, and a task of their own would cost more than they do.
            let first = poll_fn(|context| {
                let poll = AssertUnwindSafe(|| answering.as_mut().poll(context).is_pending());
                Poll::Ready(catch_unwind(poll))
            });
            match first.await {
                Ok(true) => {
                    tasks.spawn(answering);
                }
                Ok(false) => {}
                Err(_) => tracing::error!("a dhcp request ended in a fault"),
            }
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

    /// Binds anew where the interface went away and came back.
    fn follow_interface(&mut self) {
        let Some(interface) = &mut self.bound.interface else { return };
        let name = interface.name.as_str();
        let Ok(index) = nix::net::if_::if_nametoindex(name) else { return };
        if index == interface.index {
            return;
        }
        let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, self.config.port));
        match InfoSocket::bind(address, Some(name)) {
            Ok(socket) => {
                tracing::info!(interface = name, "dhcp is served again on an interface that came back");
                self.bound.socket = Arc::new(socket);
                interface.index = index;
            }
            Err(error) => tracing::warn!(interface = name, %error, "dhcp cannot be served on an interface"),
        }
    }

    fn parse(&self, datagram: &Datagram, buffer: &[u8]) -> Option<(Packet, Received)> {
        count(&self.counters.received);
        let received = self.received(datagram)?;
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
        let arrival = Arrival { peer, server_port: self.config.port, unicast, binl: self.config.binl };
        Some(Received { arrival, local, interface: datagram.interface })
    }
}

/// How answers leave.
struct Way {
    socket: Arc<InfoSocket>,
    frames: Option<Arc<FrameSender>>,
    counters: Arc<DhcpCounters>,
}

impl Way {
    async fn send(&self, answer: Option<Answer>, received: &Received) {
        let Some(answer) = answer else {
            count(&self.counters.silent);
            return;
        };
        if let (Some(frames), Destination::Offered { address, hardware }) = (&self.frames, answer.destination)
        {
            let from = SocketAddrV4::new(received.local, received.arrival.server_port);
            let to = SocketAddrV4::new(address, answer.destination.socket_address().port());
            if frames.send(received.interface, from, (to, hardware), &answer.bytes).await.is_ok() {
                count(&self.counters.answered);
                return;
            }
        }
        let to: SocketAddrV4 = answer.destination.socket_address();
        // A route may lead a unicast elsewhere, but a broadcast must leave where the request came in.
        let interface = if to.ip().is_broadcast() { received.interface } else { 0 };
        match self.socket.send(&answer.bytes, to.into(), received.local.into(), interface).await {
            Ok(()) => count(&self.counters.answered),
            Err(error) => {
                count(&self.counters.unsent);
                tracing::warn!(%to, %error, "a dhcp reply could not be sent");
            }
        }
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a dhcp request ended in a fault");
    }
}
