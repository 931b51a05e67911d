//! Datagrams to clients that do not use their address yet.

use std::io;
use std::net::SocketAddrV4;
use std::sync::Arc;

use formwork_boot_proto::dhcp::HardwareAddress;

use super::{HINT, PacketSocket};
use crate::error::BindError;
use crate::interfaces::{Interface, InterfaceTable};
use crate::raw::frame::UdpFrame;

/// Sends UDP by unicast to a hardware address, without asking who has the address (RFC 2131 section 4.1).
///
/// A client that has just been offered an address answers no ARP request for it. A broadcast reaches it as well, but
/// wakes every host on the link: in a storm of 1,000 clients, a thousand for each reply.
#[derive(Debug)]
pub struct FrameSender {
    socket: PacketSocket,
    interfaces: Arc<InterfaceTable>,
}

impl FrameSender {
    /// Opens the socket. Needs a runtime of tokio.
    ///
    /// # Errors
    ///
    /// The process lacks `CAP_NET_RAW`. Replies to new clients are broadcast then.
    pub fn open(interfaces: Arc<InterfaceTable>) -> Result<Self, BindError> {
        let socket = PacketSocket::sending()
            .map_err(|source| BindError::new("dhcp", "packet socket".to_owned(), HINT, source))?;
        Ok(Self { socket, interfaces })
    }

    /// Sends `payload` through an interface to the address `to` of the client with the hardware address `client`. The
    /// caller makes sure that the hardware is Ethernet (`htype` 1).
    ///
    /// # Errors
    ///
    /// The hardware address does not name one Ethernet card, the interface is unknown or not Ethernet, or the system
    /// does not send: the caller broadcasts instead.
    pub async fn send(
        &self,
        interface: u32,
        from: SocketAddrV4,
        (to, client): (SocketAddrV4, HardwareAddress),
        payload: &[u8],
    ) -> io::Result<()> {
        let interfaces = self.interfaces.fresh_with(interface);
        let interface = interfaces.by_index(interface);
        let ethernet = |interface: &Interface| interface.mac.map(|mac| (*interface.link(), mac));
        let Some((link, source_mac)) = interface.and_then(ethernet) else {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "the interface is gone or not ethernet"));
        };
        let target_mac = <[u8; 6]>::try_from(client.as_bytes()).ok().filter(|_| client.names_one_client());
        let Some(target_mac) = target_mac else {
            let message = format!("`{client}` is not the address of one ethernet card");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        };
        let frame = UdpFrame { source_mac, target_mac, source: from, target: to, payload }.encode()?;
        self.socket.send(&frame, &link).await
    }
}
