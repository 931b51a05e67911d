//! Writing the reply: the recipe that every firmware of boot-lab.md section 2 accepts.

use std::net::Ipv4Addr;

use super::address::Grant;
use super::config::Mode;
use super::decide::{Decision, Reason, Reply};
use super::destination::Destination;
use crate::boot::{BootClient, BootOffer, Firmware};
use crate::dhcp::{MessageType, Packet, code, payload_limit};

/// Longest name in the `file` field with its closing zero byte; a longer one stands in option 67 alone.
const FILE_NAME_MAX: usize = 127;

/// Sub-option 176 of iPXE's option 175, `no-pxedhcp`: without it iPXE waits 3.2 s for a proxy's offer.
const IPXE_NO_PROXY: [u8; 3] = [0xb0, 0x01, 0x01];

/// PXE discovery control: use the file given, ask no boot server. Without it OVMF would (boot-lab.md section 0).
const PXE_USE_GIVEN_FILE: [u8; 4] = [0x06, 0x01, 0x08, 0xff];

/// Options that configuration cannot replace: they hold the protocol together.
const OWN_OPTIONS: [u8; 6] = [
    code::LEASE_TIME,
    code::OVERLOAD,
    code::MESSAGE_TYPE,
    code::SERVER_ID,
    code::CLIENT_ID,
    code::RELAY_AGENT,
];

/// Options that every client needs, whether it asks for them or not.
const NEEDED: [u8; 12] = [
    code::MESSAGE_TYPE,
    code::SERVER_ID,
    code::LEASE_TIME,
    code::SUBNET_MASK,
    code::ROUTER,
    code::BOOT_FILE,
    code::VENDOR_CLASS,
    code::VENDOR_SPECIFIC,
    code::CLIENT_ID,
    code::MACHINE_ID,
    code::IPXE,
    code::RELAY_AGENT,
];

impl Decision<'_> {
    /// Writes an OFFER or ACK that gives an address; the reply to plain BOOTP when `kind` is none.
    pub(super) fn address_reply(&self, kind: Option<MessageType>, grant: &Grant) -> Reply {
        let mut packet = self.start(kind);
        packet.yiaddr = grant.address;
        if kind == Some(MessageType::Ack) {
            packet.ciaddr = self.request.ciaddr;
        }
        if kind.is_some() {
            // RFC 2131 section 4.4.5 names T1; T2 is DRP's three quarters (drp-behaviour.md 6.5).
            let (half, three_quarters) = (grant.lease_secs / 2, grant.lease_secs - grant.lease_secs / 4);
            packet.options.set(code::LEASE_TIME, grant.lease_secs.to_be_bytes());
            packet.options.set(code::RENEWAL_TIME, half.to_be_bytes());
            packet.options.set(code::REBINDING_TIME, three_quarters.to_be_bytes());
        }
        self.add_network(&mut packet);
        self.add_boot(&mut packet, false);
        self.lay_over(&mut packet);
        self.finish(packet, kind)
    }

    /// Writes the ACK to an INFORM: everything but an address and a lease time.
    pub(super) fn inform_reply(&self) -> Reply {
        let mut packet = self.start(Some(MessageType::Ack));
        packet.ciaddr = self.request.ciaddr;
        self.add_network(&mut packet);
        self.add_boot(&mut packet, false);
        self.lay_over(&mut packet);
        self.finish(packet, Some(MessageType::Ack))
    }

    /// Writes the reply of a proxy or boot server: boot options and no address. `None` when there is nothing to boot.
    pub(super) fn proxy_reply(&self, kind: MessageType) -> Option<Reply> {
        let mut packet = self.start(Some(kind));
        packet.ciaddr = self.request.ciaddr;
        self.add_boot(&mut packet, true);
        if !packet.options.contains(code::BOOT_FILE) {
            return None;
        }
        Some(self.finish(packet, Some(kind)))
    }

    /// Writes a NAK that says why.
    pub(super) fn nak_reply(&self, reason: &Reason) -> Reply {
        let mut packet = self.start(Some(MessageType::Nak));
        packet.options.set(code::MESSAGE, reason.to_string());
        if !packet.giaddr.is_unspecified() {
            packet.set_broadcast();
        }
        self.finish(packet, Some(MessageType::Nak))
    }

    fn start(&self, kind: Option<MessageType>) -> Packet {
        let mut packet = Packet::reply_to(self.request);
        if let Some(kind) = kind {
            packet.options.set(code::MESSAGE_TYPE, [kind.code()]);
            packet.options.set(code::SERVER_ID, self.server_id.octets());
        }
        packet
    }

    fn add_network(&self, packet: &mut Packet) {
        let Some(subnet) = self.context.subnet else {
            return;
        };
        packet.options.set(code::SUBNET_MASK, subnet.mask().octets());
        packet.options.set(code::BROADCAST, subnet.broadcast().octets());
    }

    fn add_boot(&self, packet: &mut Packet, proxy: bool) {
        let unmanaged = self.context.subnet.is_some_and(|subnet| subnet.mode == Mode::Unmanaged);
        let Some(client) = BootClient::from_request(self.request).filter(|_| !unmanaged) else {
            return;
        };
        if client.firmware == Firmware::Ipxe && !proxy {
            packet.options.set(code::IPXE, IPXE_NO_PROXY);
        }
        let next_server = self.configured_next_server();
        let offer = match (self.configured_boot(), next_server) {
            (Some(offer), _) => offer,
            (None, Some(next_server)) => {
                // Another server boots the clients, with a loader of its own (drp-behaviour.md 6.8).
                packet.siaddr = next_server;
                return;
            }
            (None, None) => self.context.boot.clone(),
        };
        let (BootOffer::File(name) | BootOffer::Url(name)) = offer else {
            return;
        };
        packet.siaddr = next_server.unwrap_or(self.context.server_id);
        if name.len() <= FILE_NAME_MAX {
            packet.file = name.clone().into_bytes();
        }
        packet.options.set(code::BOOT_FILE, name);
        if client.firmware == Firmware::HttpUefi {
            packet.options.set(code::VENDOR_CLASS, "HTTPClient");
        } else if proxy {
            packet.options.set(code::VENDOR_CLASS, "PXEClient");
            packet.options.set(code::VENDOR_SPECIFIC, PXE_USE_GIVEN_FILE);
        }
    }

    /// Returns what the operator put into option 67; empty means "boot nothing".
    fn configured_boot(&self) -> Option<BootOffer> {
        let (_, name) = self.context.options.iter().rfind(|(code, _)| *code == code::BOOT_FILE)?;
        let name = String::from_utf8_lossy(name).trim_end_matches('\0').to_owned();
        Some(if name.is_empty() { BootOffer::None } else { BootOffer::File(name) })
    }

    fn configured_next_server(&self) -> Option<Ipv4Addr> {
        let reservation = self.context.reservation.and_then(|reservation| reservation.next_server);
        let subnet = self.context.subnet.and_then(|subnet| subnet.next_server);
        let given = |address: &Ipv4Addr| !address.is_unspecified();
        reservation.filter(given).or(subnet.filter(given))
    }

    fn lay_over(&self, packet: &mut Packet) {
        for (code, value) in self.context.options.iter().filter(|(code, _)| !OWN_OPTIONS.contains(code)) {
            if value.is_empty() {
                packet.options.remove(*code);
            } else {
                packet.options.set(*code, value.as_slice());
            }
        }
        if self.context.subnet.is_some_and(|subnet| subnet.mode == Mode::Unmanaged) {
            packet.options.remove(code::TFTP_SERVER);
            packet.options.remove(code::BOOT_FILE);
        }
    }

    /// Returns the place of an option in the reply: what holds the protocol together first, then what the client asks
    /// for in its order, then the rest. What does not fit is left out from the end (RFC 2131 section 4.3.1 and
    /// RFC 2132 section 9.8).
    fn rank(&self, code: u8) -> usize {
        let asked = self.request.options.bytes(code::PARAMETER_LIST).unwrap_or_default();
        let place = |list: &[u8]| list.iter().position(|known| *known == code);
        let asked_for = || place(asked).map(|place| NEEDED.len() + place);
        place(&NEEDED).or_else(asked_for).unwrap_or(NEEDED.len() + asked.len())
    }

    fn finish(&self, mut packet: Packet, kind: Option<MessageType>) -> Reply {
        for echoed in [code::CLIENT_ID, code::RELAY_AGENT] {
            if let Some(value) = self.request.options.bytes(echoed) {
                packet.options.set(echoed, value);
            }
        }
        if let (Some(uuid), true) =
            (self.request.options.bytes(code::MACHINE_ID), packet.options.contains(code::BOOT_FILE))
        {
            // PXE 2.1 table 2-3: a boot reply returns the identifier that the client sent.
            packet.options.set(code::MACHINE_ID, uuid);
        }
        packet.options.sort_by_key(|code| self.rank(code));
        let destination = Destination::of_reply(self.request, kind, packet.yiaddr, self.arrival);
        Reply { packet, destination, limit: payload_limit(self.request.max_message_size()) }
    }
}
