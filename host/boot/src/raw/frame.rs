//! Ethernet frames as bytes: pure.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};

use etherparse::{
    ArpEthIpv4Packet, ArpHardwareId, ArpOperation, ArpPacketSlice, EtherType, Ethernet2Slice, LaxNetSlice,
    LaxSlicedPacket, LinkSlice, PacketBuilder, TransportSlice,
};

const BROADCAST: [u8; 6] = [0xff; 6];

/// The usual number of routers on the way. A client on the link passes none.
const TIME_TO_LIVE: u8 = 64;

/// A datagram of UDP over IPv4 in a frame of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UdpFrame<'a> {
    /// The sending interface.
    pub(crate) source_mac: [u8; 6],
    /// The receiving one.
    pub(crate) target_mac: [u8; 6],
    /// The sender.
    pub(crate) source: SocketAddrV4,
    /// The receiver.
    pub(crate) target: SocketAddrV4,
    /// What is sent.
    pub(crate) payload: &'a [u8],
}

impl<'a> UdpFrame<'a> {
    /// Writes the frame with both checksums and "don't fragment".
    ///
    /// # Errors
    ///
    /// The payload is longer than a datagram can be.
    pub(crate) fn encode(&self) -> io::Result<Vec<u8>> {
        let builder = PacketBuilder::ethernet2(self.source_mac, self.target_mac)
            .ipv4(self.source.ip().octets(), self.target.ip().octets(), TIME_TO_LIVE)
            .udp(self.source.port(), self.target.port());
        let mut frame = Vec::with_capacity(builder.size(self.payload.len()));
        builder.write(&mut frame, self.payload).map_err(io::Error::other)?;
        Ok(frame)
    }

    /// Reads a frame; `None` where it is another one, a fragment, or cut.
    ///
    /// Checksums are not looked at: those of a sender on the same machine, as a virtual one is, are written by a network
    /// card that the frame never passes.
    pub(crate) fn parse(frame: &'a [u8]) -> Option<Self> {
        let packet = LaxSlicedPacket::from_ethernet(frame).ok()?;
        let (Some(LinkSlice::Ethernet2(link)), Some(LaxNetSlice::Ipv4(ip)), Some(TransportSlice::Udp(udp))) =
            (packet.link, packet.net, packet.transport)
        else {
            return None;
        };
        if ip.payload().incomplete || ip.is_payload_fragmented() {
            return None;
        }
        let header = ip.header();
        Some(Self {
            source_mac: link.source(),
            target_mac: link.destination(),
            source: SocketAddrV4::new(header.source_addr(), udp.source_port()),
            target: SocketAddrV4::new(header.destination_addr(), udp.destination_port()),
            payload: udp.payload(),
        })
    }
}

/// Writes the question who has `address`, to everybody on the link. An unspecified `sender` makes it the probe of
/// RFC 5227 section 2.1.1.
pub(crate) fn arp_request(mac: [u8; 6], sender: Ipv4Addr, address: Ipv4Addr) -> Vec<u8> {
    let request = ArpEthIpv4Packet {
        operation: ArpOperation::REQUEST,
        sender_mac: mac,
        sender_ipv4: sender.octets(),
        target_mac: [0; 6],
        target_ipv4: address.octets(),
    };
    let link =
        etherparse::Ethernet2Header { source: mac, destination: BROADCAST, ether_type: EtherType::ARP };
    [link.to_bytes().as_slice(), &request.to_bytes()].concat()
}

/// Reads an answer of ARP: who has which address.
pub(crate) fn arp_reply(frame: &[u8]) -> Option<(Ipv4Addr, [u8; 6])> {
    let link = Ethernet2Slice::from_slice_without_fcs(frame).ok()?;
    if link.ether_type() != EtherType::ARP {
        return None;
    }
    let packet = ArpPacketSlice::from_slice(link.payload_slice()).ok()?;
    if packet.hw_addr_type() != ArpHardwareId::ETHERNET || packet.operation() != ArpOperation::REPLY {
        return None;
    }
    let packet = packet.to_packet().try_eth_ipv4().ok()?;
    let one_host =
        packet.sender_mac.first().is_some_and(|first| first & 1 == 0) && packet.sender_mac != [0; 6];
    one_host.then_some((packet.sender_ipv4_addr(), packet.sender_mac))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: UdpFrame<'_> = UdpFrame {
        source_mac: [2, 0, 0, 0, 0, 1],
        target_mac: [2, 0, 0, 0, 0, 2],
        source: SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 67),
        target: SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 100), 68),
        payload: b"offer",
    };

    /// The sum of RFC 1071; zero over data that holds its own checksum.
    fn sum(bytes: &[u8]) -> u16 {
        let words = bytes.chunks(2).map(|it| u32::from(it[0]) << 8 | u32::from(*it.get(1).unwrap_or(&0)));
        let sum = words.sum::<u32>();
        !((sum & 0xffff) + (sum >> 16)) as u16
    }

    #[test]
    fn frame_has_the_fields_of_its_three_headers_and_right_checksums() {
        let frame = FRAME.encode().unwrap();
        assert_eq!(frame.len(), 14 + 20 + 8 + 5);
        assert_eq!(frame[..14], [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0]);
        assert_eq!(frame[14..24], [0x45, 0, 0, 33, 0, 0, 0x40, 0, 64, 17]);
        assert_eq!(frame[26..34], [10, 0, 0, 1, 10, 0, 0, 100]);
        assert_eq!(frame[34..40], [0, 67, 0, 68, 0, 13]);
        assert_eq!(&frame[42..], b"offer");
        assert_eq!(sum(&frame[14..34]), 0);
        let pseudo = [&frame[26..34], &[0, 17, 0, 13], &frame[34..]].concat();
        assert_eq!(sum(&pseudo), 0);
    }

    #[test]
    fn frame_reads_back_also_with_the_padding_of_ethernet() {
        let mut frame = FRAME.encode().unwrap();
        assert_eq!(UdpFrame::parse(&frame), Some(FRAME));
        frame.resize(60, 0);
        assert_eq!(UdpFrame::parse(&frame), Some(FRAME));
    }

    #[test]
    fn cut_and_fragmented_frames_are_refused() {
        let frame = FRAME.encode().unwrap();
        for len in 0..frame.len() {
            assert_eq!(UdpFrame::parse(&frame[..len]), None, "{len}");
        }
        for (offset, value) in [(20, 0x20), (21, 1), (23, 6), (12, 0x86), (14, 0x44)] {
            let mut frame = frame.clone();
            frame[offset] = value;
            assert_eq!(UdpFrame::parse(&frame), None, "{offset}");
        }
    }

    #[test]
    fn payload_that_no_datagram_holds_is_refused() {
        let payload = vec![0; 65_536];
        assert!(UdpFrame { payload: &payload, ..FRAME }.encode().is_err());
    }

    #[test]
    fn question_of_arp_is_broadcast_and_its_answer_names_the_host() {
        let mut frame =
            arp_request([2, 0, 0, 0, 0, 1], Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 9));
        assert_eq!(frame.len(), 42);
        assert_eq!(
            frame[..22],
            [255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1]
        );
        assert_eq!(frame[22..], [2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 9]);
        assert_eq!(arp_reply(&frame), None);
        frame[21] = 2;
        assert_eq!(arp_reply(&frame), Some((Ipv4Addr::new(10, 0, 0, 1), [2, 0, 0, 0, 0, 1])));
        for len in 0..frame.len() {
            assert_eq!(arp_reply(&frame[..len]), None, "{len}");
        }
        for (offset, value) in [(13, 0), (15, 6), (17, 1), (18, 8), (19, 16), (22, 0xff)] {
            let mut frame = frame.clone();
            frame[offset] = value;
            assert_eq!(arp_reply(&frame), None, "{offset}");
        }
    }
}
