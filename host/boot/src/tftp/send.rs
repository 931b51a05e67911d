//! Many packets of one length in one call of the system.

use std::io::{self, IoSlice};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use formwork_boot_proto::tftp::Batch;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, send, sendmsg};

/// How to send to one client.
#[derive(Debug)]
pub(super) struct Sender {
    /// The kernel cuts a window into packets by itself (UDP generic segmentation offload, Linux 4.18), which passes
    /// the window through most of the network stack as one packet.
    segments: bool,
}

impl Sender {
    pub(super) fn new() -> Self {
        Self { segments: true }
    }

    /// Sends to the peer of a connected socket, and never waits.
    ///
    /// # Errors
    ///
    /// Those of the first packet that cannot be sent; the ones behind it stay. A full buffer is one of them: it holds
    /// more than a window, so what finds it full is a repeat of what has not even left.
    pub(super) fn send(&mut self, socket: &UdpSocket, batch: &Batch) -> io::Result<()> {
        if self.segments && !batch.is_single() {
            let result = send_segments(socket, batch);
            if !matches!(
                result,
                // Packets longer than the way's MTU, a device without checksums, an old kernel.
                Err(Errno::EINVAL | Errno::EMSGSIZE | Errno::EIO | Errno::EOPNOTSUPP | Errno::ENOPROTOOPT)
            ) {
                return Ok(result?);
            }
            self.segments = false;
        }
        let one = |packet: &[u8]| send(socket.as_raw_fd(), packet, MsgFlags::MSG_DONTWAIT);
        Ok(batch.packets().try_for_each(|packet| one(packet).map(drop))?)
    }
}

fn send_segments(socket: &UdpSocket, batch: &Batch) -> Result<(), Errno> {
    let packet_len = u16::try_from(batch.packet_len()).map_err(|_| Errno::EINVAL)?;
    let control = [ControlMessage::UdpGsoSegments(&packet_len)];
    let bytes = [IoSlice::new(batch.bytes())];
    sendmsg::<SockaddrStorage>(socket.as_raw_fd(), &bytes, &control, MsgFlags::MSG_DONTWAIT, None).map(drop)
}
