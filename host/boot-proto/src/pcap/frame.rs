//! The headers of a frame, down to what UDP or TCP carries.

use std::net::IpAddr;

use etherparse::{
    ArpPacketSlice, EtherType, IpNumber, LaxNetSlice, LaxSlicedPacket, TcpSlice, TransportSlice,
};
use etherparse::{UdpSlice, ether_type};

use super::Frame;
use crate::bytes::Reader;
use crate::dhcp::HardwareAddress;
use crate::story::{ArpSeen, Peer};

/// The link types that are read (tcpdump.org, "Link-layer header types").
mod link_type {
    pub(super) const ETHERNET: u32 = 1;
    /// Raw IP: the old number of `tcpdump` on Linux, the registered one, and the ones of a single version.
    pub(super) const RAW: [u32; 4] = [12, 101, 228, 229];
    pub(super) const LINUX_COOKED: u32 = 113;
    pub(super) const LINUX_COOKED_2: u32 = 276;
}

/// A frame with its ends and what it carries.
#[derive(Debug)]
pub(super) struct Decoded<'a> {
    pub(super) from: Peer,
    pub(super) to: Peer,
    pub(super) payload: Payload<'a>,
}

/// What a frame carries.
#[derive(Debug)]
pub(super) enum Payload<'a> {
    /// The payload of a datagram, and its length on the wire where the capture kept less.
    Udp {
        bytes: &'a [u8],
        wire_len: usize,
    },
    Tcp(Segment<'a>),
    Icmpv6(&'a [u8]),
    /// A host or a router refuses a datagram of the receiver, which went to this port of UDP.
    Refused(u16),
    Arp {
        sender: HardwareAddress,
        seen: ArpSeen,
    },
    /// A later fragment of a datagram, which has no header of UDP or TCP.
    Fragment,
    Other,
}

/// A segment of a TCP connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment<'a> {
    pub(super) sequence: u32,
    /// The sequence number that the sender expects next.
    pub(super) acknowledged: Option<u32>,
    pub(super) bytes: &'a [u8],
    /// How many bytes it had on the wire.
    pub(super) wire_len: u32,
    pub(super) syn: bool,
    pub(super) fin: bool,
    pub(super) rst: bool,
}

/// Reads the headers of a frame; `None` where its first header is damaged or of a link type that is not read.
pub(super) fn decode<'a>(frame: &Frame<'a>) -> Option<Decoded<'a>> {
    let (from, to, kind, rest) = link_header(frame)?;
    let packet = LaxSlicedPacket::from_ether_type(kind, rest);
    let mut decoded = Decoded {
        from: Peer { mac: from, ..Peer::default() },
        to: Peer { mac: to, ..Peer::default() },
        payload: Payload::Other,
    };
    match packet.net {
        Some(LaxNetSlice::Arp(arp)) => decoded.payload = arp_payload(&arp).unwrap_or(Payload::Other),
        Some(net) => decoded.read_ip(&net, packet.transport),
        None => {}
    }
    Some(decoded)
}

/// The hardware addresses and the kind of the next header.
type Link<'a> = (Option<HardwareAddress>, Option<HardwareAddress>, EtherType, &'a [u8]);

fn link_header<'a>(frame: &Frame<'a>) -> Option<Link<'a>> {
    let mut reader = Reader::new(frame.bytes);
    match frame.link_type {
        link_type::ETHERNET => {
            let (to, from) = (reader.array()?, reader.array()?);
            let kind = EtherType(reader.u16()?);
            let station = |mac| Some(HardwareAddress::ethernet(mac));
            Some((station(from), station(to), kind, reader.rest()))
        }
        link_type::LINUX_COOKED => {
            reader.take(4)?;
            let len = reader.u16()?;
            let address = reader.array::<8>()?;
            let kind = EtherType(reader.u16()?);
            Some((cooked_sender(&address, len.into()), None, kind, reader.rest()))
        }
        link_type::LINUX_COOKED_2 => {
            let kind = EtherType(reader.u16()?);
            reader.take(9)?;
            let len = reader.byte()?;
            let address = reader.array::<8>()?;
            Some((cooked_sender(&address, len.into()), None, kind, reader.rest()))
        }
        raw if link_type::RAW.contains(&raw) => {
            let kind = match frame.bytes.first()? >> 4 {
                4 => ether_type::IPV4,
                6 => ether_type::IPV6,
                _ => return None,
            };
            Some((None, None, kind, frame.bytes))
        }
        _ => None,
    }
}

fn cooked_sender(address: &[u8], len: usize) -> Option<HardwareAddress> {
    address.get(..len).and_then(HardwareAddress::new).filter(|address| !address.as_bytes().is_empty())
}

fn arp_payload<'a>(arp: &ArpPacketSlice<'_>) -> Option<Payload<'a>> {
    let sender = HardwareAddress::new(arp.sender_hw_addr())?;
    let own = <[u8; 4]>::try_from(arp.sender_protocol_addr()).ok()?;
    let wanted = <[u8; 4]>::try_from(arp.target_protocol_addr()).ok()?;
    // A question for the sender's own address is an announcement (RFC 5227 section 3).
    let seen = if arp.operation().0 == 1 && own != wanted {
        ArpSeen::Asks { address: wanted.into(), probe: own == [0; 4] }
    } else {
        ArpSeen::Has { address: own.into() }
    };
    Some(Payload::Arp { sender, seen })
}

impl<'a> Decoded<'a> {
    fn read_ip(&mut self, net: &LaxNetSlice<'a>, transport: Option<TransportSlice<'a>>) {
        let (from, to, wire_len, later_fragment): (IpAddr, IpAddr, usize, bool) = match net {
            LaxNetSlice::Ipv4(ip) => {
                let header = ip.header();
                let len = header.payload_len().unwrap_or(0).into();
                let later = header.fragments_offset().value() != 0;
                (header.source_addr().into(), header.destination_addr().into(), len, later)
            }
            LaxNetSlice::Ipv6(ip) => {
                let header = ip.header();
                let extensions = ip.extensions().slice().len();
                let len = usize::from(header.payload_length()).saturating_sub(extensions);
                let later = ip.is_payload_fragmented() && !is_first_fragment(ip.extensions().slice());
                (header.source_addr().into(), header.destination_addr().into(), len, later)
            }
            LaxNetSlice::Arp(_) => return,
        };
        self.from.address = Some(from);
        self.to.address = Some(to);
        let Some(payload) = net.ip_payload_ref() else { return };
        if later_fragment {
            self.payload = Payload::Fragment;
            return;
        }
        match transport.or_else(|| first_fragment(payload.ip_number, payload.payload)) {
            Some(TransportSlice::Udp(udp)) => self.read_udp(&udp),
            Some(TransportSlice::Tcp(tcp)) => self.read_tcp(&tcp, wire_len),
            Some(TransportSlice::Icmpv6(_)) => {
                let message = payload.payload;
                self.payload = refused(message, UNREACHABLE6).unwrap_or(Payload::Icmpv6(message));
            }
            Some(TransportSlice::Icmpv4(_)) => {
                self.payload = refused(payload.payload, UNREACHABLE4).unwrap_or(Payload::Other);
            }
            _ => {}
        }
    }

    fn read_udp(&mut self, udp: &UdpSlice<'a>) {
        self.from.port = Some(udp.source_port());
        self.to.port = Some(udp.destination_port());
        let bytes = udp.payload();
        let wire_len = usize::from(udp.length()).saturating_sub(udp.header_slice().len()).max(bytes.len());
        self.payload = Payload::Udp { bytes, wire_len };
    }

    fn read_tcp(&mut self, tcp: &TcpSlice<'a>, ip_payload: usize) {
        self.from.port = Some(tcp.source_port());
        self.to.port = Some(tcp.destination_port());
        let bytes = tcp.payload();
        let wire_len = ip_payload.saturating_sub(tcp.header_slice().len()).max(bytes.len());
        self.payload = Payload::Tcp(Segment {
            sequence: tcp.sequence_number(),
            acknowledged: tcp.ack().then(|| tcp.acknowledgment_number()),
            bytes,
            wire_len: u32::try_from(wire_len).unwrap_or(u32::MAX),
            syn: tcp.syn(),
            fin: tcp.fin(),
            rst: tcp.rst(),
        });
    }
}

/// The types of "destination unreachable" (RFC 792, RFC 4443).
const UNREACHABLE4: u8 = 3;
const UNREACHABLE6: u8 = 1;

/// Reads a message of ICMP that refuses a datagram of UDP, whose headers it holds behind its own.
fn refused(message: &[u8], unreachable: u8) -> Option<Payload<'static>> {
    const HEADER: usize = 8;
    if *message.first()? != unreachable {
        return None;
    }
    match LaxSlicedPacket::from_ip(message.get(HEADER..)?).ok()?.transport? {
        TransportSlice::Udp(udp) => Some(Payload::Refused(udp.destination_port())),
        _ => None,
    }
}

/// Reads the header of UDP in a datagram whose further fragments are elsewhere; nothing of interest sends TCP so.
fn first_fragment(protocol: IpNumber, payload: &[u8]) -> Option<TransportSlice<'_>> {
    (protocol == IpNumber::UDP).then(|| UdpSlice::from_slice_lax(payload).ok().map(TransportSlice::Udp))?
}

/// Looks into the fragment header, which is the last extension of a fragment: its offset is 0 in the first one.
fn is_first_fragment(extensions: &[u8]) -> bool {
    let header = extensions.len().checked_sub(8).and_then(|start| extensions.get(start..));
    matches!(header, Some([_, _, high, low, ..]) if u16::from_be_bytes([*high, *low]) >> 3 == 0)
}
