//! The prober that asks the network.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use formwork_boot_proto::dhcp::HardwareAddress;
use nix::libc;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::ping::PingSocket;
use super::{ProbeFailure, ProbeFuture, Probed, Prober, Reach};
use crate::interfaces::InterfaceTable;
use crate::raw::{Pace, PacketSocket, filter, frame};

/// About 50,000 answers a second are looked at: a hundred times what the probes in flight can have.
const BATCH: u32 = 256;
const PAUSE: Duration = Duration::from_millis(5);

/// After an error of a socket.
const ERROR_PAUSE: Duration = Duration::from_millis(100);

/// Enough for any answer of ARP: on Ethernet it is 42 bytes, and padding.
const ARP_BUFFER: usize = 128;

/// How long and how much to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeConfig {
    /// How long a probe waits for an answer; it is repeated once after half of it.
    pub wait: Duration,
    /// How many probes may be under way. More are not asked at all.
    pub in_flight_max: usize,
}

impl Default for ProbeConfig {
    fn default() -> Self {
        Self { wait: Duration::from_millis(500), in_flight_max: 256 }
    }
}

/// Asks by ARP on the links of this host, and by ICMP echo behind routers.
///
/// A question of ARP is first asked as by any host, with the address of this host as its sender: a client that is
/// making sure of its own address (RFC 5227 section 2.1.1) takes a question without a sender for a rival and gives the
/// address up. The repeat is asked without a sender: a host with another network mask that filters by reverse path
/// answers only that, and so does everybody where this host has no address in the network.
///
/// Where packet sockets are not permitted, addresses on links are asked by ICMP as well. Dropped, it stops.
#[derive(Debug)]
pub struct NetworkProber {
    shared: Arc<Shared>,
    _readers: JoinSet<()>,
}

/// How an address is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Way {
    Arp { interface: u32 },
    Ping,
}

type Question = (Ipv4Addr, Way);

#[derive(Debug)]
struct Shared {
    config: ProbeConfig,
    interfaces: Arc<InterfaceTable>,
    arp: Option<PacketSocket>,
    ping: Option<PingSocket>,
    pending: Mutex<HashMap<Question, watch::Sender<Option<Probed>>>>,
}

impl NetworkProber {
    /// Opens what sockets it may. Needs a runtime of tokio.
    #[must_use]
    pub fn open(interfaces: Arc<InterfaceTable>, config: ProbeConfig) -> Self {
        let arp = PacketSocket::receiving(libc::ETH_P_ARP as u16, &filter::arp_replies());
        Self::with(interfaces, config, arp.ok(), PingSocket::open().ok())
    }

    fn with(
        interfaces: Arc<InterfaceTable>,
        config: ProbeConfig,
        arp: Option<PacketSocket>,
        ping: Option<PingSocket>,
    ) -> Self {
        let shared = Arc::new(Shared { config, interfaces, arp, ping, pending: Mutex::default() });
        let mut readers = JoinSet::new();
        if shared.arp.is_some() {
            readers.spawn(read_arp(Arc::clone(&shared)));
        }
        if shared.ping.is_some() {
            readers.spawn(read_ping(Arc::clone(&shared)));
        }
        Self { shared, _readers: readers }
    }

    /// Tells whether it asks by ARP.
    #[must_use]
    pub fn asks_by_arp(&self) -> bool {
        self.shared.arp.is_some()
    }

    /// Tells whether it asks by ICMP.
    #[must_use]
    pub fn asks_by_ping(&self) -> bool {
        self.shared.ping.is_some()
    }
}

impl Prober for NetworkProber {
    /// Takes as long as the configuration says where nobody answers, and otherwise ends with the answer. Callers that
    /// ask the same share one probe.
    fn in_use(&self, address: Ipv4Addr, reach: Reach) -> ProbeFuture<'_> {
        Box::pin(async move {
            if let Some(own) = self.shared.interfaces.fresh().with_address(address) {
                return Probed::Taken { by: own.mac.map(HardwareAddress::ethernet) };
            }
            let mut answer = match self.shared.begin(address, reach) {
                Ok(answer) => answer,
                Err(failure) => return Probed::Unknown(failure),
            };
            let answer = answer.wait_for(Option::is_some).await.ok().and_then(|answer| *answer);
            answer.unwrap_or(Probed::Unknown(ProbeFailure::Stopped))
        })
    }
}

impl Shared {
    /// Begins a probe or joins the one that is under way.
    fn begin(
        self: &Arc<Self>,
        address: Ipv4Addr,
        reach: Reach,
    ) -> Result<watch::Receiver<Option<Probed>>, ProbeFailure> {
        let question = (address, self.way(reach)?);
        let receiver = {
            let mut pending = self.pending();
            let full = pending.len() >= self.config.in_flight_max;
            match pending.entry(question) {
                Entry::Occupied(entry) => return Ok(entry.get().subscribe()),
                Entry::Vacant(_) if full => return Err(ProbeFailure::Busy),
                Entry::Vacant(entry) => entry.insert(watch::Sender::new(None)).subscribe(),
            }
        };
        // Without the lock: a runtime that is shutting down drops the task here, which takes it.
        tokio::spawn(ask(Asking { shared: Arc::clone(self), question }, receiver.clone()));
        Ok(receiver)
    }

    fn way(&self, reach: Reach) -> Result<Way, ProbeFailure> {
        let arp = |interface: u32| {
            let interfaces = self.interfaces.fresh_with(interface);
            self.arp.is_some() && interfaces.by_index(interface).is_some_and(|it| it.speaks_arp())
        };
        match reach {
            Reach::Link(interface) if arp(interface) => Ok(Way::Arp { interface }),
            Reach::Link(_) | Reach::Routed if self.ping.is_some() => Ok(Way::Ping),
            Reach::Link(_) | Reach::Routed => Err(ProbeFailure::NotPermitted),
        }
    }

    fn send(&self, (address, way): Question, repeated: bool) -> io::Result<()> {
        let gone = || io::Error::from(io::ErrorKind::NotFound);
        match way {
            Way::Ping => self.ping.as_ref().ok_or_else(gone)?.send_now(address),
            Way::Arp { interface } => {
                let interfaces = self.interfaces.current();
                let interface = interfaces.by_index(interface).ok_or_else(gone)?;
                let mac = interface.mac.ok_or_else(gone)?;
                let sender = interface.address_facing(address).filter(|_| !repeated);
                let question = frame::arp_request(mac, sender.unwrap_or(Ipv4Addr::UNSPECIFIED), address);
                self.arp.as_ref().ok_or_else(gone)?.send_now(&question, interface.link())
            }
        }
    }

    /// Notes an answer. The first one counts.
    fn answer(&self, question: &Question, found: Probed) {
        if let Some(sender) = self.pending().get(question) {
            sender.send_if_modified(|answer| {
                let first = answer.is_none();
                answer.get_or_insert(found);
                first
            });
        }
    }

    fn pending(&self) -> MutexGuard<'_, HashMap<Question, watch::Sender<Option<Probed>>>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A probe under way. It makes room however its task ends.
struct Asking {
    shared: Arc<Shared>,
    question: Question,
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.shared.pending().remove(&self.question);
    }
}

async fn ask(asking: Asking, mut answer: watch::Receiver<Option<Probed>>) {
    let (shared, question) = (&asking.shared, asking.question);
    let mut found = Probed::Unknown(ProbeFailure::Unsent(io::ErrorKind::WouldBlock));
    for repeated in [false, true] {
        match shared.send(question, repeated) {
            Ok(()) => found = Probed::Free,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => {
                found = Probed::Unknown(ProbeFailure::Unsent(error.kind()));
                break;
            }
        }
        let answered = answer.wait_for(Option::is_some);
        if tokio::time::timeout(shared.config.wait / 2, answered).await.is_ok() {
            return;
        }
    }
    shared.answer(&question, found);
}

async fn read_arp(shared: Arc<Shared>) {
    let Some(socket) = &shared.arp else { return };
    let mut pace = Pace::new(BATCH, PAUSE);
    let mut buffer = [0; ARP_BUFFER];
    loop {
        match socket.receive(&mut buffer).await {
            Ok(Some(arrived)) => {
                let reply = frame::arp_reply(buffer.get(..arrived.len).unwrap_or_default());
                if let Some((address, mac)) = reply {
                    let by = Some(HardwareAddress::ethernet(mac));
                    shared
                        .answer(&(address, Way::Arp { interface: arrived.interface }), Probed::Taken { by });
                }
            }
            Ok(None) => {}
            Err(error) => failed(&error).await,
        }
        pace.step().await;
    }
}

async fn read_ping(shared: Arc<Shared>) {
    let Some(socket) = &shared.ping else { return };
    let mut pace = Pace::new(BATCH, PAUSE);
    loop {
        match socket.receive().await {
            Ok(Some(address)) => shared.answer(&(address, Way::Ping), Probed::Taken { by: None }),
            Ok(None) => {}
            Err(error) => failed(&error).await,
        }
        pace.step().await;
    }
}

async fn failed(error: &io::Error) {
    tracing::warn!(%error, "the prober for addresses in use failed to receive");
    tokio::time::sleep(ERROR_PAUSE).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn prober_without_sockets_says_that_it_may_not() {
        let interfaces = Arc::new(InterfaceTable::read().unwrap());
        let prober = NetworkProber::with(interfaces, ProbeConfig::default(), None, None);
        assert!(!prober.asks_by_arp() && !prober.asks_by_ping());
        for reach in [Reach::Link(1), Reach::Routed] {
            let found = prober.in_use(Ipv4Addr::new(192, 0, 2, 1), reach).await;
            assert_eq!(found, Probed::Unknown(ProbeFailure::NotPermitted));
        }
    }
}
