//! One thing that was seen on the network of a boot.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::dhcp_seen::DhcpSeen;
use crate::dhcp::HardwareAddress;

/// Longest text of the network that a sighting keeps, in characters.
pub const MAX_TEXT: usize = 512;

/// One thing that was seen: a packet, or how a transfer went.
///
/// Made from a capture by [`pcap::record`](crate::pcap::record), and by the services of an endpoint from what they
/// received and sent. A live sighting leaves out what a service cannot know, such as hardware addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// When, in microseconds since the Unix epoch.
    pub at_us: u64,
    /// The client that this is about, where the packet itself says so.
    pub mac: Option<HardwareAddress>,
    /// Who sent it.
    pub from: Peer,
    /// To whom.
    pub to: Peer,
    /// What it is.
    pub what: What,
}

/// One end of a packet, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Peer {
    /// Its hardware address on this link; that of the router for a peer behind one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<HardwareAddress>,
    /// Its IP address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// Its port of UDP or TCP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum What {
    /// A message of `DHCPv4`.
    Dhcp(Box<DhcpSeen>),
    /// A message of `DHCPv6`.
    Dhcp6(Box<Dhcp6Seen>),
    /// A step of a TFTP transfer.
    Tftp(TftpSeen),
    /// A step of an HTTP exchange.
    Http(HttpSeen),
    /// A question or an answer of ARP.
    Arp(ArpSeen),
    /// A question for a router or an answer to it.
    Router(RouterSeen),
    /// A port that the client spoke to and where nobody is.
    Closed(ClosedSeen),
    /// What an endpoint decided for the client; never in a capture.
    Decision(DecisionSeen),
    /// A packet of one of these protocols that nobody can read.
    Unreadable {
        /// The protocol and what is wrong.
        reason: String,
    },
}

/// A message of `DHCPv6` (RFC 8415), as much of it as a boot depends on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Dhcp6Seen {
    /// The number of the message type.
    pub message: u8,
    /// The transaction id.
    pub transaction: u32,
    /// The client's DUID in hexadecimal.
    pub duid: String,
    /// The server's DUID in hexadecimal, empty where there is none.
    pub server_duid: String,
    /// The addresses of all associations.
    pub addresses: Vec<Ipv6Addr>,
    /// The boot file's URL (option 59, RFC 5970).
    pub boot_url: Option<String>,
    /// What the client can run first (option 61, RFC 5970).
    pub architecture: Option<u16>,
    /// The vendor class (option 16).
    pub vendor_class: Option<String>,
    /// The user class (option 15).
    pub user_class: Option<String>,
    /// The options that the client asks for (option 6).
    pub asked: Vec<u16>,
    /// A status other than success, with its text (option 13).
    pub status: Option<(u16, String)>,
}

/// A step of a TFTP transfer. Its byte counts are those of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum TftpSeen {
    /// The client asks for a file.
    Request {
        /// Its name, as the client wrote it.
        file: String,
        /// True for a write request.
        write: bool,
        /// The block size asked for.
        block_size: Option<u64>,
        /// The window asked for, in blocks.
        window: Option<u64>,
        /// True when the client asks how long the file is.
        size: bool,
    },
    /// The server confirms options.
    Options {
        /// The file.
        file: String,
        /// Names and values.
        confirmed: Vec<(String, String)>,
    },
    /// The last block was acknowledged.
    Done {
        /// The file.
        file: String,
        /// Its length.
        bytes: u64,
        /// Milliseconds since the request.
        millis: u64,
    },
    /// One side gave up.
    Error {
        /// The file.
        file: String,
        /// The code of RFC 1350; 8 where a client does not like the confirmed options.
        code: u16,
        /// The text that came with it.
        text: String,
        /// True when the client sent it.
        by_client: bool,
        /// Bytes sent before.
        bytes: u64,
    },
    /// Nothing more was seen of a transfer under way.
    Unfinished {
        /// The file.
        file: String,
        /// Bytes sent.
        bytes: u64,
        /// The last block that the client acknowledged, counted from 1; `None` where it acknowledged nothing, not
        /// even the options.
        acknowledged: Option<u64>,
        /// True when the server answered at all.
        answered: bool,
        /// Milliseconds from the request to the last packet.
        millis: u64,
    },
}

/// A step of an HTTP exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum HttpSeen {
    /// The client asks.
    Request {
        /// `GET` or `HEAD`, as it wrote it.
        method: String,
        /// The path with its query.
        target: String,
        /// The `Host` header.
        host: Option<String>,
        /// The `User-Agent` header.
        agent: Option<String>,
    },
    /// The server begins to answer.
    Response {
        /// The path asked for.
        target: String,
        /// The status.
        status: u16,
        /// The `Content-Length` header.
        length: Option<u64>,
    },
    /// The answer is complete.
    Done {
        /// The path asked for.
        target: String,
        /// The status.
        status: u16,
        /// Bytes of the body.
        bytes: u64,
        /// Milliseconds since the request.
        millis: u64,
    },
    /// The answer ended before it was complete.
    Broken {
        /// The path asked for.
        target: String,
        /// The status; `None` where the server did not answer.
        status: Option<u16>,
        /// Bytes of the body.
        bytes: u64,
        /// The length that the server named.
        length: Option<u64>,
        /// How it ended.
        end: HttpEnd,
        /// Milliseconds since the request.
        millis: u64,
    },
}

/// How an HTTP answer ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HttpEnd {
    /// The server closed the connection.
    ClosedByServer,
    /// The client closed the connection.
    ClosedByClient,
    /// One side reset the connection.
    Reset,
    /// Nothing more was seen.
    Silence,
}

/// A question or an answer of ARP; the sender is [`Sighting::mac`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum ArpSeen {
    /// Asks who has an address.
    Asks {
        /// The address.
        address: Ipv4Addr,
        /// True when the sender has no address yet: it probes whether this one is free (RFC 5227).
        probe: bool,
    },
    /// Says that it has an address.
    Has {
        /// The address.
        address: Ipv4Addr,
    },
}

/// A Router Solicitation or a Router Advertisement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum RouterSeen {
    /// A host asks for routers.
    Solicitation,
    /// A router, or something that only ends the wait, answers.
    Advertisement {
        /// Addresses come by `DHCPv6`.
        managed: bool,
        /// Other settings come by `DHCPv6`.
        other: bool,
        /// For how long it is a router; 0 when it is none.
        lifetime_secs: u16,
    },
}

/// A port where nobody is. The sender is the host that says so, or the one that stays silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosedSeen {
    /// The transport protocol.
    pub transport: Transport,
    /// The port.
    pub port: u16,
    /// True where no answer came at all; false where the host, or a router before it, refused.
    pub silent: bool,
}

/// A transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names of the protocols")]
pub enum Transport {
    Udp,
    Tcp,
}

impl Transport {
    /// Returns the name in capitals.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        }
    }
}

/// What an endpoint decided for a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionSeen {
    /// The rule that decided, as the endpoint names it.
    pub rule: String,
    /// The file or URL that the client is told; `None` where it is told nothing.
    pub boot: Option<String>,
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        // A dual-stack socket shows an IPv4 client in this form.
        Self { mac: None, address: Some(address.ip().to_canonical()), port: Some(address.port()) }
    }
}

impl Sighting {
    /// Returns the end that is the client, for the steps of a transfer and the messages of DHCP.
    #[must_use]
    pub fn client(&self) -> &Peer {
        if self.is_by_client() { &self.from } else { &self.to }
    }

    /// Returns the end that is the server.
    #[must_use]
    pub fn server(&self) -> &Peer {
        if self.is_by_client() { &self.to } else { &self.from }
    }

    /// Tells whether the client sent it. The end of a transfer counts as the server's.
    #[must_use]
    pub fn is_by_client(&self) -> bool {
        match &self.what {
            What::Dhcp(seen) => seen.is_by_client(),
            What::Dhcp6(seen) => seen.is_by_client(),
            What::Tftp(seen) => {
                matches!(seen, TftpSeen::Request { .. } | TftpSeen::Error { by_client: true, .. })
            }
            What::Http(seen) => matches!(seen, HttpSeen::Request { .. }),
            What::Router(seen) => matches!(seen, RouterSeen::Solicitation),
            What::Arp(_) | What::Unreadable { .. } => true,
            What::Decision(_) | What::Closed(_) => false,
        }
    }
}

impl Dhcp6Seen {
    /// Tells whether a client sends messages of this type (RFC 8415 section 7.3).
    #[must_use]
    pub fn is_by_client(&self) -> bool {
        matches!(self.message, 1 | 3 | 4 | 5 | 6 | 8 | 9 | 11)
    }

    /// Returns the name of the message type.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.message {
            1 => "SOLICIT",
            2 => "ADVERTISE",
            3 => "REQUEST",
            4 => "CONFIRM",
            5 => "RENEW",
            6 => "REBIND",
            7 => "REPLY",
            8 => "RELEASE",
            9 => "DECLINE",
            10 => "RECONFIGURE",
            11 => "INFORMATION-REQUEST",
            _ => "unknown message",
        }
    }
}

/// Turns bytes of the network into a text to keep: lossy, without control characters, at most [`MAX_TEXT`] long.
#[must_use]
pub fn text(bytes: &[u8]) -> String {
    let bytes = bytes.get(..bytes.len().min(4 * MAX_TEXT)).unwrap_or_default();
    let clean = |letter: char| if letter.is_control() { '\u{fffd}' } else { letter };
    String::from_utf8_lossy(bytes).trim_end_matches('\0').chars().take(MAX_TEXT).map(clean).collect()
}
