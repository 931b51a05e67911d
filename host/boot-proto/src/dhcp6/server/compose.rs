//! Writing replies.

use std::net::Ipv6Addr;

use super::config::BootUrl;
use super::decide::Decision;
use super::verdict::Reply;
use crate::dhcp6::{Message, MessageType, Options, Packet, Relay, code};

/// The largest message that is written, in bytes: what every link of IPv6 carries (RFC 8200 section 5) without the
/// headers of IP and UDP. Firmware reassembles fragments badly.
const MESSAGE_MAX: usize = 1280 - 48;

/// The most entries of a list in a reply.
const LIST_MAX: usize = 8;

/// The status codes of RFC 8415 section 21.13 that are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Success,
    NoAddressAvailable,
    NoBinding,
    NotOnLink,
    UseMulticast,
    NoPrefixAvailable,
}

impl Status {
    fn value(self) -> Vec<u8> {
        let (code, text) = match self {
            Self::Success => (0_u16, "success"),
            Self::NoAddressAvailable => (2, "no address for this client"),
            Self::NoBinding => (3, "this server knows of no such address"),
            Self::NotOnLink => (4, "the address is not of this link"),
            Self::UseMulticast => (5, "send to ff02::1:2"),
            Self::NoPrefixAvailable => (6, "no prefixes are delegated here"),
        };
        [&code.to_be_bytes(), text.as_bytes()].concat()
    }
}

/// What one association gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) id: u32,
    pub(super) address: Option<Ipv6Addr>,
    /// Addresses that the client must not use any longer.
    pub(super) ended: Vec<Ipv6Addr>,
    pub(super) status: Option<Status>,
}

impl Answer {
    pub(super) fn new(id: u32) -> Self {
        Self { id, address: None, ended: Vec::new(), status: None }
    }

    fn value(&self, preferred_secs: u32, valid_secs: u32) -> Vec<u8> {
        let lifetime = |secs| if self.address.is_some() { secs } else { 0 };
        let mut value = self.id.to_be_bytes().to_vec();
        value.extend_from_slice(&lifetime(renewal_secs(preferred_secs)).to_be_bytes());
        value.extend_from_slice(&lifetime(rebinding_secs(preferred_secs)).to_be_bytes());
        let mut options = Options::new();
        if let Some(address) = self.address {
            options.push(code::IA_ADDRESS, address_value(address, preferred_secs, valid_secs));
        }
        for address in &self.ended {
            options.push(code::IA_ADDRESS, address_value(*address, 0, 0));
        }
        if let Some(status) = self.status {
            options.push(code::STATUS, status.value());
        }
        options.write(&mut value);
        value
    }
}

fn address_value(address: Ipv6Addr, preferred_secs: u32, valid_secs: u32) -> Vec<u8> {
    [&address.octets()[..], &preferred_secs.to_be_bytes(), &valid_secs.to_be_bytes()].concat()
}

/// RFC 8415 section 21.4 recommends half of the preferred lifetime for T1. For ever stays for ever.
fn renewal_secs(preferred_secs: u32) -> u32 {
    if preferred_secs == u32::MAX { u32::MAX } else { preferred_secs / 2 }
}

/// The same section recommends 0.8 of it for T2.
fn rebinding_secs(preferred_secs: u32) -> u32 {
    if preferred_secs == u32::MAX { u32::MAX } else { preferred_secs / 5 * 4 }
}

impl Decision<'_> {
    /// A reply that gives or advertises addresses, with all options that the client asks for.
    pub(super) fn address_reply(&self, kind: MessageType, answers: &[Answer]) -> Reply {
        let mut message = self.reply(kind);
        self.push_associations(&mut message.options, answers);
        let options = &mut message.options;
        if kind == MessageType::Advertise {
            options.push(code::PREFERENCE, [self.network.preference]);
        } else if self.packet.message.kind == MessageType::Solicit {
            options.push(code::RAPID_COMMIT, []);
        }
        self.with_options(message)
    }

    /// The reply to a client that asks for options only.
    pub(super) fn options_reply(&self) -> Reply {
        self.with_options(self.reply(MessageType::Reply))
    }

    /// A reply that says nothing but a status.
    pub(super) fn status_reply(&self, status: Status) -> Reply {
        let mut message = self.reply(MessageType::Reply);
        message.options.push(code::STATUS, status.value());
        self.send(message, Vec::new())
    }

    /// The reply to Release and Decline, with those associations that hold nothing of this server.
    pub(super) fn given_back_reply(&self, unknown: &[Answer]) -> Reply {
        let mut message = self.reply(MessageType::Reply);
        for answer in unknown {
            message.options.push(code::IA_NA, answer.value(0, 0));
        }
        message.options.push(code::STATUS, Status::Success.value());
        self.send(message, Vec::new())
    }

    fn reply(&self, kind: MessageType) -> Message {
        let request = &self.packet.message;
        let mut message = Message::new(kind, request.transaction);
        if let Some(id) = request.options.bytes(code::CLIENT_ID) {
            message.options.push(code::CLIENT_ID, id);
        }
        message.options.push(code::SERVER_ID, self.context.server_id.as_bytes());
        message
    }

    fn push_associations(&self, options: &mut Options, answers: &[Answer]) {
        let preferred_secs = self.network.preferred_secs;
        let valid_secs = self.network.valid_secs.max(preferred_secs);
        for answer in answers {
            options.push(code::IA_NA, answer.value(preferred_secs, valid_secs));
        }
        // Temporary addresses and prefixes are not given, which their associations are told.
        for (code, status) in
            [(code::IA_TA, Status::NoAddressAvailable), (code::IA_PD, Status::NoPrefixAvailable)]
        {
            let Some(id) = self.packet.message.options.bytes(code).and_then(|value| value.first_chunk::<4>())
            else {
                continue;
            };
            let times = if code == code::IA_PD { &[0; 8][..] } else { &[] };
            let mut value = [&id[..], times].concat();
            let mut inner = Options::new();
            inner.push(code::STATUS, status.value());
            inner.write(&mut value);
            options.push(code, value);
        }
    }

    /// Adds what the client asks for, the most needed first, as far as there is room.
    fn with_options(&self, mut message: Message) -> Reply {
        let mut omitted = Vec::new();
        for (code, value) in self.options() {
            if 4 + message.options.written_len() + 4 + value.len() > MESSAGE_MAX {
                omitted.push(code);
            } else {
                message.options.push(code, value);
            }
        }
        self.send(message, omitted)
    }

    fn options(&self) -> Vec<(u16, Vec<u8>)> {
        let (request, network) = (&self.packet.message, self.network);
        let mut options = Vec::new();
        let boot = request.boot_client(self.client.macs().next());
        if let Some(boot) = boot.and_then(|client| self.context.boot.boot_url(&client)) {
            options.extend(self.boot_options(boot));
        }
        let domains = network.domains.iter().take(LIST_MAX).map(|domain| domain.as_bytes());
        let servers = network.ntp.iter().take(LIST_MAX);
        let configured = [
            (code::DNS, addresses_value(&network.dns)),
            (code::DOMAINS, domains.collect::<Vec<_>>().concat()),
            (code::SNTP, addresses_value(&network.ntp)),
            (code::NTP, servers.flat_map(|server| ntp_server(*server)).collect()),
        ];
        options.extend(
            configured.into_iter().filter(|(code, value)| request.asks_for(*code) && !value.is_empty()),
        );
        if request.kind == MessageType::InformationRequest && request.asks_for(code::REFRESH_TIME) {
            options.push((code::REFRESH_TIME, network.refresh_secs.to_be_bytes().to_vec()));
        }
        options
    }

    fn boot_options(&self, boot: BootUrl) -> Vec<(u16, Vec<u8>)> {
        let request = &self.packet.message;
        let mut options = Vec::new();
        if request.asks_for(code::BOOT_URL) {
            options.push((code::BOOT_URL, boot.url.into_bytes()));
            // HTTP boot takes an offer for one of its own only by this class.
            if let Some(enterprise) = request.vendor_class_enterprise(HTTP_CLIENT) {
                let value = [&enterprise.to_be_bytes()[..], &counted(HTTP_CLIENT)].concat();
                options.push((code::VENDOR_CLASS, value));
            }
        }
        if request.asks_for(code::BOOT_PARAMETERS) && !boot.parameters.is_empty() {
            let parameters = boot.parameters.iter().flat_map(|parameter| counted(parameter.as_bytes()));
            options.push((code::BOOT_PARAMETERS, parameters.collect()));
        }
        options
    }

    fn send(&self, message: Message, omitted: Vec<u16>) -> Reply {
        let relays = self.packet.relays.iter().map(reply_envelope).collect();
        Reply { packet: Packet { relays, message }, to: self.arrival.reply_to(self.packet), omitted }
    }
}

const HTTP_CLIENT: &[u8] = b"HTTPClient";

/// A text with a length of two bytes before it. One that is too long has no form and becomes empty.
fn counted(text: &[u8]) -> Vec<u8> {
    let len = u16::try_from(text.len()).unwrap_or(0);
    [&len.to_be_bytes()[..], text.get(..usize::from(len)).unwrap_or_default()].concat()
}

fn addresses_value(addresses: &[Ipv6Addr]) -> Vec<u8> {
    addresses.iter().take(LIST_MAX).flat_map(Ipv6Addr::octets).collect()
}

/// A time server as a sub-option of option 56 (RFC 5908 section 4.1).
fn ntp_server(address: Ipv6Addr) -> Vec<u8> {
    [&[0, 1, 0, 16][..], &address.octets()].concat()
}

/// The envelope of a reply is that of the request, with what the relay agent wants to have back (RFC 8415 section 19.3,
/// RFC 8357 section 5, RFC 4994).
fn reply_envelope(relay: &Relay) -> Relay {
    let asked = relay.options.bytes(code::ECHO_REQUEST).unwrap_or_default().as_chunks::<2>().0;
    let asked = asked.iter().map(|code| u16::from_be_bytes(*code)).collect::<Vec<_>>();
    let echoed =
        |code: u16| [code::INTERFACE_ID, code::RELAY_SOURCE_PORT].contains(&code) || asked.contains(&code);
    let mut options = Options::new();
    for (code, value) in relay.options.iter().filter(|(code, _)| echoed(*code)) {
        options.push(code, value);
    }
    Relay { options, ..relay.clone() }
}
