//! Answers Router Solicitations with "no router here", so that iPXE does not wait for one.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, SocketAddrV6};
use std::time::Duration;

use formwork_boot_proto::ra;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use crate::error::BindError;

const SERVICE: &str = "router advertisement";

/// After an error of the socket, as when its interface went away for a moment.
const ERROR_PAUSE: Duration = Duration::from_millis(500);

/// A raw `ICMPv6` socket on one interface.
#[derive(Debug)]
pub struct RaResponder {
    /// A raw socket in the clothes of a datagram socket: both receive and send whole messages with an address, and
    /// that is all that is used here.
    socket: UdpSocket,
    interface: String,
    index: u32,
}

impl RaResponder {
    /// Opens the socket and joins the group of all routers on the interface. Needs a runtime of tokio.
    ///
    /// # Errors
    ///
    /// The process has no CAP_NET_RAW, or the interface is not there or has no IPv6. The server goes on without it:
    /// booting works, iPXE is only slower.
    pub fn bind(interface: &str) -> Result<Self, BindError> {
        let no_interface = |source: io::Error| BindError::Interface {
            service: SERVICE,
            interface: interface.to_owned(),
            source,
        };
        let index = nix::net::if_::if_nametoindex(interface).map_err(|error| no_interface(error.into()))?;
        let hint = "raw sockets need CAP_NET_RAW; without them iPXE waits 16 s for a router";
        let refused = |source| BindError::new(SERVICE, interface.to_owned(), hint, source);
        let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6)).map_err(refused)?;
        socket.bind_device(Some(interface.as_bytes())).map_err(refused)?;
        configure(&socket, index).map_err(no_interface)?;
        let socket = UdpSocket::from_std(socket.into()).map_err(refused)?;
        Ok(Self { socket, interface: interface.to_owned(), index })
    }

    /// Answers until `shutdown` ends.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        tokio::pin!(shutdown);
        let advertisement = ra::Advertisement::default().encode();
        let mut buffer = [0; 512];
        loop {
            let received = tokio::select! {
                () = &mut shutdown => return,
                received = self.socket.recv_from(&mut buffer) => received,
            };
            let answered = match received {
                Ok((len, SocketAddr::V6(peer))) => {
                    let message = buffer.get(..len).unwrap_or_default();
                    if !ra::is_router_solicitation(message) {
                        continue;
                    }
                    let to = SocketAddrV6::new(ra::destination(*peer.ip()), 0, 0, self.index);
                    self.socket.send_to(&advertisement, SocketAddr::V6(to)).await.map(|_| ())
                }
                Ok(_) => continue,
                Err(error) => Err(error),
            };
            if let Err(error) = answered {
                tracing::warn!(interface = self.interface, %error, "a router solicitation is not answered");
                tokio::time::sleep(ERROR_PAUSE).await;
            }
        }
    }
}

fn configure(socket: &Socket, index: u32) -> io::Result<()> {
    let hops = u32::from(ra::HOP_LIMIT);
    socket.join_multicast_v6(&ra::ALL_ROUTERS, index)?;
    socket.set_multicast_if_v6(index)?;
    socket.set_multicast_hops_v6(hops)?;
    socket.set_unicast_hops_v6(hops)?;
    socket.set_multicast_loop_v6(false)?;
    socket.set_nonblocking(true)
}
