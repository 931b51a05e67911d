//! Answers Router Solicitations: "no router here", so that iPXE does not wait for one, and "ask DHCPv6" where that is
//! served.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::Arc;
use std::time::Duration;

use formwork_boot_proto::ra::{self, Advertisement};
use tokio::time::MissedTickBehavior;

use crate::error::BindError;
use crate::interfaces::{Interface, InterfaceTable};
use crate::membership::{LOOK_AGAIN, Membership, ServedLinks};
use crate::socket::{Datagram, InfoSocket};

const SERVICE: &str = "router advertisement";

/// After an error of the socket, as when its interface went away for a moment.
const ERROR_PAUSE: Duration = Duration::from_millis(500);

/// How often each interface hears an advertisement that says more than "no router here".
const REPEAT: Duration = Duration::from_secs(ra::REPEAT_SECS as u64);

type Advertise = Box<dyn Fn(&Interface) -> Advertisement + Send + Sync>;

/// A raw `ICMPv6` socket in the group of all routers on the served interfaces.
pub struct RaResponder {
    socket: InfoSocket,
    membership: Membership,
    advertise: Advertise,
}

impl fmt::Debug for RaResponder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RaResponder").field("membership", &self.membership).finish_non_exhaustive()
    }
}

impl RaResponder {
    /// Opens the socket and joins the group of all routers. Needs a runtime of tokio.
    ///
    /// # Errors
    ///
    /// The process has no CAP_NET_RAW, or a named interface is not there. The server goes on without it: booting over
    /// IPv4 works, iPXE is only slower.
    pub fn bind(served: impl Into<ServedLinks>, interfaces: Arc<InterfaceTable>) -> Result<Self, BindError> {
        let mut membership = Membership::new(SERVICE, ra::ALL_ROUTERS, served.into(), interfaces)?;
        let hint = "raw sockets need CAP_NET_RAW; without them iPXE waits 16 s for a router";
        let socket = InfoSocket::icmpv6(ra::ROUTER_SOLICITATION, ra::HOP_LIMIT)
            .map_err(|source| BindError::new(SERVICE, "icmpv6".to_owned(), hint, source))?;
        membership.refresh(&socket);
        Ok(Self { socket, membership, advertise: Box::new(|_| Advertisement::default()) })
    }

    /// Sets what each interface advertises, asked before each message. Without it, all say "no router here" only.
    #[must_use]
    pub fn advertising(
        mut self,
        advertise: impl Fn(&Interface) -> Advertisement + Send + Sync + 'static,
    ) -> Self {
        self.advertise = Box::new(advertise);
        self
    }

    /// Answers until `shutdown` ends.
    ///
    /// An interface with DHCPv6 hears an advertisement unasked when it comes and every ten minutes. Where this host
    /// forwards IPv6, only what names it as a router is sent.
    pub async fn run(mut self, shutdown: impl Future<Output = ()> + Send) {
        tokio::pin!(shutdown);
        let mut look = tokio::time::interval(LOOK_AGAIN);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Its first tick comes at once.
        let mut repeat = tokio::time::interval(REPEAT);
        let mut buffer = [0; 512];
        loop {
            tokio::select! {
                () = &mut shutdown => return,
                received = self.socket.receive(&mut buffer) => self.answer(received, &buffer).await,
                _ = look.tick() => {
                    let came = self.membership.refresh(&self.socket);
                    self.announce(came).await;
                }
                _ = repeat.tick() => self.announce(self.membership.interfaces().cloned().collect()).await,
            }
        }
    }

    async fn answer(&self, received: io::Result<Datagram>, buffer: &[u8]) {
        let datagram = match received {
            Ok(datagram) => datagram,
            Err(error) => {
                tracing::warn!(%error, "the socket for router solicitations failed to receive");
                tokio::time::sleep(ERROR_PAUSE).await;
                return;
            }
        };
        let message = buffer.get(..datagram.len).unwrap_or_default();
        let (IpAddr::V6(source), Some(interface)) =
            (datagram.peer.ip(), self.membership.interface(datagram.interface))
        else {
            return;
        };
        if ra::is_router_solicitation(message) {
            self.send(interface, &(self.advertise)(interface), ra::destination(source)).await;
        }
    }

    /// Tells the hosts on some interfaces unasked.
    async fn announce(&self, interfaces: Vec<Arc<Interface>>) {
        for interface in interfaces {
            let advertisement = (self.advertise)(&interface);
            if advertisement.is_repeated() {
                self.send(&interface, &advertisement, ra::ALL_NODES).await;
            }
        }
    }

    async fn send(&self, interface: &Interface, advertisement: &Advertisement, to: Ipv6Addr) {
        if !advertisement.may_be_sent(forwards(interface)) {
            tracing::debug!(
                interface = interface.name,
                "a host that forwards ipv6 does not say that it is no router"
            );
            return;
        }
        let to = SocketAddr::V6(SocketAddrV6::new(to, 0, 0, interface.index));
        let local = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        if let Err(error) = self.socket.send(&advertisement.encode(), to, local, interface.index).await {
            tracing::warn!(interface = interface.name, %to, %error, "a router advertisement could not be sent");
        }
    }
}

/// The setting of the kernel by which an interface is one of a router.
fn forwards(interface: &Interface) -> bool {
    let setting = format!("/proc/sys/net/ipv6/conf/{}/forwarding", interface.name);
    std::fs::read_to_string(setting).is_ok_and(|value| value.trim() != "0")
}
